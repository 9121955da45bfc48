//! A room, as far as it is heard here: for each dialect that has members in it a channel, which is a log and the cursors of
//! its readers.

use super::held::Standing;
use super::log::{Log, Offset};
use super::pool::BlockPool;
use crate::chat::ConnId;
use crate::limits::LOG_BYTES_LIMIT_MIN;
use crate::wire::Dialect;

/// A reader of a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) conn: ConnId,
    /// Everything before it is sent.
    pub(super) cursor: Offset,
    /// From the cursor to here there may be frames that this member wrote itself and does not get.
    pub(super) own_until: Offset,
}

/// The members of one dialect in a room.
///
/// Flushing goes round: `next` is whom it visits next, `due` how many are still to be visited since the last frame was
/// appended. Members that have everything are passed over. A member that a round finds blocked is *parked* behind the
/// others, where rounds do not go, until it can be written to: it costs its cursor, and no visit.
///
/// ```text
///   members  │ alice   bob   carol   dave │ eve   frank │
///             ───────── go round ──────────  ─ parked ──
///                        ▲                  ▲
///                       next              active
/// ```
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) dialect: Dialect,
    pub(super) log: Log,
    pub(super) members: Vec<Member>,
    /// How many members rounds visit; those behind are parked. `due <= active <= members.len()`.
    active: usize,
    next: usize,
    due: usize,
    /// Who was last found to stand in the oldest block, which cannot be given back meanwhile.
    slowest: usize,
    /// The head when the round last began, and when the one before began: whoever is not blocked has been visited
    /// since the latter, so that it has read at least so far.
    round_began: Offset,
    last_round_began: Offset,
    /// Up to where the engine was told that it was read, where that is on another shard.
    reported: Offset,
    /// Its log's place among those that hold something.
    pub(super) standing: Option<Standing>,
    /// The tail of its log when it took that place.
    pub(super) stood_at: Offset,
}

impl Channel {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            log: Log::default(),
            members: Vec::new(),
            active: 0,
            next: 0,
            due: 0,
            slowest: 0,
            round_began: Offset::default(),
            last_round_began: Offset::default(),
            reported: Offset::default(),
            standing: None,
            stood_at: Offset::default(),
        }
    }

    /// Something was appended behind `before`: everybody is to be visited (again).
    pub(super) fn visit_all(&mut self, before: Offset) {
        if self.due == 0 && self.active > 0 {
            // The last round is over, so that whoever is not blocked has read what was there before. The new one begins
            // with the next member: nobody is always the last.
            self.next = (self.next + 1) % self.active;
            (self.round_began, self.last_round_began) = (before, before);
        }
        self.due = self.active;
    }

    /// The next member that has something to read.
    fn next_behind(&mut self) -> Option<ConnId> {
        let head = self.log.head();
        while self.due > 0 {
            if self.next >= self.active {
                self.next = 0;
                self.last_round_began = self.round_began;
                self.round_began = head;
            }
            let Some(member) = self.members.get(self.next) else { break };
            self.next += 1;
            self.due -= 1;
            if member.cursor < head {
                return Some(member.conn);
            }
        }
        self.due = 0;
        None
    }

    /// Whether the member at an index is still to be visited.
    pub(super) fn is_due(&self, index: usize) -> bool {
        let count = self.active;
        index < count && (index + count - self.next % count) % count < self.due
    }

    /// Whether rounds do not come to the member at an index.
    pub(super) fn is_parked(&self, index: usize) -> bool {
        index >= self.active
    }

    /// Parks the member that was visited last. Returns the two indices whose members have changed places.
    pub(super) fn park(&mut self, index: usize) -> [usize; 2] {
        debug_assert_eq!(index + 1, self.next, "it was visited last");
        self.active -= 1;
        self.members.swap(index, self.active);
        // Whoever stands there now was not visited since the round came by the first of all: it is visited next.
        self.next = index;
        if self.due > 0 {
            self.due = (self.due + 1).min(self.active);
        }
        [index, self.active]
    }

    /// Lets rounds come to a parked member again. Returns the two indices whose members have changed places, its own
    /// first.
    pub(super) fn unpark(&mut self, index: usize) -> [usize; 2] {
        self.members.swap(index, self.active);
        self.active += 1;
        // It may stand between the next to be visited and the others that are due.
        if self.due > 0 {
            self.due += 1;
        }
        [self.active - 1, index]
    }

    /// Bytes that a member who is not blocked may be behind.
    pub(super) fn backlog(&self) -> usize {
        if self.due == 0 { 0 } else { (self.log.head().0 - self.last_round_began.0) as usize }
    }

    /// Bytes that were read since this last said so, if they are at least so many. (Who is blocked is not waited for.)
    pub(super) fn take_read(&mut self, bytes_min: usize) -> Option<usize> {
        let read = self.log.head().0 - self.backlog() as u64;
        let bytes = read.saturating_sub(self.reported.0) as usize;
        (bytes >= bytes_min).then(|| {
            self.reported = Offset(read);
            bytes
        })
    }

    /// Nobody reads any more: what was not said to be read need not be.
    pub(super) fn take_unreported(&mut self) -> usize {
        let bytes = (self.log.head().0 - self.reported.0) as usize;
        self.reported = self.log.head();
        bytes
    }

    /// Gives back what every member has read, where looking for it is worth it: when a round has ended, or the log has
    /// grown meanwhile.
    pub(super) fn trim_when_due(&mut self, pool: &mut BlockPool) {
        if self.due == 0 || self.log.held() >= LOG_BYTES_LIMIT_MIN {
            self.trim(pool);
        }
    }

    /// Gives back what every member has read.
    pub(super) fn trim(&mut self, pool: &mut BlockPool) {
        // While one member stands in the oldest block, it does not matter where the others are.
        let block_end = self.log.next_tail();
        let is_slow = |member: &Member| member.cursor < block_end;
        if self.log.len() == 0 || self.members.get(self.slowest).is_some_and(is_slow) {
            return;
        }
        let head = self.log.head();
        let read = self.members.iter().map(|member| member.cursor).min().unwrap_or(head);
        if read < block_end {
            self.slowest = self.members.iter().position(is_slow).unwrap_or_default();
        }
        self.log.release(read, pool);
    }

    /// Lets a connection in: it reads from the head. Returns its index, and another whose member has changed.
    pub(super) fn insert(&mut self, conn: ConnId) -> [usize; 2] {
        let cursor = self.log.head();
        self.members.push(Member { conn, cursor, own_until: cursor });
        self.unpark(self.members.len() - 1)
    }

    /// Takes a member out. Returns the two indices whose members have changed: there may be none there now.
    pub(super) fn remove(&mut self, index: usize) -> [usize; 2] {
        let mut hole = index;
        if index < self.active {
            self.active -= 1;
            hole = self.active;
            self.members.swap(index, hole);
            // Whoever moved may have moved from before the next to be visited to behind it.
            if self.due > 0 {
                self.due = self.active;
            }
        }
        self.members.swap_remove(hole);
        [index, hole]
    }
}

#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) channels: Vec<Channel>,
    /// Whose member was visited last: channels take turns, so that a large one does not keep a small one waiting.
    last_visited: usize,
    /// It waits in the list of rooms to be flushed.
    pub(super) dirty: bool,
    /// It waits in the list of rooms to be trimmed.
    pub(super) touched: bool,
}

impl Room {
    /// The channel of a dialect, which stays where it is as long as the room lives.
    pub(super) fn channel_of(&mut self, dialect: Dialect) -> usize {
        self.channels.iter().position(|channel| channel.dialect == dialect).unwrap_or_else(|| {
            self.channels.push(Channel::new(dialect));
            self.channels.len() - 1
        })
    }

    pub(super) fn count(&self) -> usize {
        self.channels.iter().map(|channel| channel.members.len()).sum()
    }

    /// The next member in any channel that has something to read.
    pub(super) fn next_behind(&mut self) -> Option<ConnId> {
        for _ in 0..self.channels.len() {
            self.last_visited = (self.last_visited + 1) % self.channels.len();
            if let Some(id) = self.channels[self.last_visited].next_behind() {
                return Some(id);
            }
        }
        None
    }

    /// Bytes that a member who is not blocked may be behind.
    pub(super) fn backlog(&self) -> usize {
        self.channels.iter().map(Channel::backlog).max().unwrap_or(0)
    }
}

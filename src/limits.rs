//! Every bound: its unit, its reason, and what happens when it is hit.
//!
//! `_MAX` is fixed here; what an operator may change is in [`Config`](crate::config::Config), and its own bounds are here.

// Names.

/// Bytes of a person's name. Long enough for people, short enough to stand inline in a session and in front of every
/// message. Longer: the name is refused.
pub const NAME_BYTES_MAX: usize = 32;
/// Bytes of a folded name: lower case grows a text by at most half, composition by at most twice. Longer: refused.
pub const NAME_FOLDED_BYTES_MAX: usize = 3 * NAME_BYTES_MAX;
/// Bytes of a room's name. Longer: the name is refused.
pub const ROOM_NAME_BYTES_MAX: usize = 64;

// The wire.

/// Bytes of a line with its end, in the text dialects. Longer: the sender is told, and the line is skipped unread.
pub const LINE_BYTES_MAX: usize = 4096;
/// Bytes of a line with its end from the server, as a client reads it: a text of [`LINE_BYTES_MAX`], each byte of which
/// may have become a replacement character of three, and a time, a name and a few words in front. Longer: the client
/// skips it.
pub const SERVER_LINE_BYTES_MAX: usize = 3 * LINE_BYTES_MAX + 256;
/// Characters of a slash user's nickname, at least. Shorter: refused.
pub const SLASH_NAME_CHARS_MIN: u8 = 3;
/// Characters of a slash user's nickname, at most. Longer: refused.
pub const SLASH_NAME_CHARS_MAX: u8 = 20;

// The room log.

/// Bytes of a log's blocks, smallest first. A room that says a line a minute holds the smallest; a write of
/// [`WRITE_SLICES_MAX`] of the largest is 256 KiB, more than a socket takes at once.
pub const LOG_BLOCK_BYTES: [usize; 3] = [1 << 10, 4 << 10, 16 << 10];
/// Bytes of an encoded frame: no dialect's longest frame is longer, and a block of the largest size holds it.
pub const FRAME_BYTES_MAX: usize = SERVER_LINE_BYTES_MAX;
/// Bytes of blocks of one size kept for reuse when no log needs them. More: given back to the allocator.
pub const LOG_POOL_BYTES_MAX: usize = 4 << 20;
/// Bytes of a room's log a dialect, at least: twice what one turn may add before it is flushed.
pub const LOG_BYTES_LIMIT_MIN: usize = 64 << 10;
/// Bytes of a room's log a dialect, at most.
pub const LOG_BYTES_LIMIT_MAX: usize = 1 << 30;
/// Slices of one `writev`. More: the rest goes with the next one.
pub const WRITE_SLICES_MAX: usize = 16;

const _: () = assert!(FRAME_BYTES_MAX <= LOG_BLOCK_BYTES[LOG_BLOCK_BYTES.len() - 1]);
const _: () = assert!(LOG_BYTES_LIMIT_MIN >= 4 * LOG_BLOCK_BYTES[LOG_BLOCK_BYTES.len() - 1]);

// Rooms.

/// Rooms at once. More: whoever would make one is told so.
pub const ROOMS_MAX: usize = 1 << 16;
/// Rooms in an answer to a list of rooms, so that one command costs at most some 90 kB. The rest is given as a number.
pub const ROOMS_LISTED_MAX: usize = 1000;
/// Messages of a room's history when none are asked for by number.
pub const HISTORY_COUNT_DEFAULT: usize = 20;
/// Bytes of a room's history, in two halves of which the older is dropped when the newer is full.
pub const HISTORY_BYTES_MAX: usize = 64 << 10;

// Connections.

/// Bytes waiting for one connection beyond which it is not read from: whoever asks must read the answers.
pub const OUTBOX_BYTES_HIGH: usize = 64 << 10;
/// Bytes waiting for one connection, at most, apart from one answer to its own command. More (direct messages to
/// somebody who does not read): the connection is closed as too slow.
pub const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Bytes waiting for all connections of a shard together. More: the one with the most gives way, and is closed.
pub const OUTBOX_TOTAL_BYTES_MAX: usize = 256 << 20;
/// Outboxes kept for reuse, so that an answer costs no allocation. More: given back to the allocator.
pub const OUTBOX_POOL_MAX: usize = 64;
/// Bytes of an outbox that is kept for reuse. Larger: given back to the allocator.
pub const OUTBOX_POOL_BYTES_MAX: usize = 4 << 10;
/// Connections beyond the limit on clients that are kept just long enough to be told that the server is full. More:
/// closed with as much said as the socket takes at once.
pub const REFUSED_MAX: usize = 64;
/// Seconds that a connection has to read what is still owed to it, and to close its side, after the server decided to
/// close it. Longer: it is dropped.
pub const LINGER_SECONDS_MAX: u64 = 2;

// A turn of the loop.

/// Members of one room that are written to before the next room has its turn: about a millisecond at 4 to 5 µs a write.
pub const ROOM_VISITS_MAX: usize = 256;

// What an operator may ask for.

/// Seconds of a timeout, at most: 30 days. Whoever wants longer means "never", which is 0.
pub const TIMEOUT_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;
/// Seconds to flush at shutdown, at most. Supervisors lose their patience after about as long.
pub const DRAIN_SECONDS_MAX: u64 = 60;
/// Clients at once, at most. The limit on open files is met long before.
pub const CLIENTS_MAX: u32 = 1_000_000;
/// The highest number of a core: the kernel's own `CPU_SETSIZE`, less one.
pub const CORE_MAX: usize = 1023;
/// Cores to be pinned to: one a shard, and there is one shard.
pub const CORES_MAX: usize = 1;
/// Readiness events taken from the kernel at once. More: they come with the next turn.
pub const EVENTS_PER_TURN_MAX: usize = 1024;
/// Connections accepted in a turn, a listener. More: they wait for the next one, behind those that are there.
pub const ACCEPTS_PER_TURN_MAX: usize = 256;
/// Reads in a turn, one a connection. More: the rest is read in the next one, first come first served.
pub const READS_PER_TURN_MAX: usize = 1024;
/// Writes in a turn: about a millisecond. More: the rest is written in the next one, after what was read meanwhile.
pub const WRITES_PER_TURN_MAX: usize = 256;
/// Bytes of the one buffer that a shard reads into. What one connection sends beyond it waits for its next read.
pub const RECEIVE_BUFFER_BYTES: usize = 64 << 10;

// Sockets.

/// Connections that wait to be accepted, a listener; the kernel may allow fewer. More: their handshake is repeated.
pub const ACCEPT_BACKLOG_MAX: i32 = 4096;
/// Milliseconds without accepting after the kernel lacked memory or the like for it.
pub const ACCEPT_PAUSE_MILLIS: u64 = 100;
/// Open files that are not for clients: listeners, the readiness queue, the waker, the spare one, standard streams, and
/// what libraries open.
pub const DESCRIPTORS_RESERVED: u64 = 64;
/// Seconds of silence after which the kernel asks whether a peer is still there.
pub const KEEPALIVE_IDLE_SECONDS: u64 = 60;
/// Seconds between two such questions.
pub const KEEPALIVE_INTERVAL_SECONDS: u64 = 15;
/// Such questions without an answer after which the connection is gone.
pub const KEEPALIVE_PROBES_MAX: u32 = 4;
/// Seconds that what was sent may stay unacknowledged, or a peer take nothing at all. Longer: the connection is gone.
pub const UNACKNOWLEDGED_SECONDS_MAX: u64 = 120;

/// Seconds between two log lines about the same trouble. More often: counted, and told with the next line.
pub const LOG_REPEAT_SECONDS: u64 = 10;

// The typed dialect.

/// Bytes of a request's payload: twice the longest text of the other dialects, so that a text which is somewhat too long
/// is still read, and answered with an error of its own. Longer: refused from the header alone, and the connection ends.
pub const TYPED_REQUEST_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;
/// Bytes of a reply's payload: what may wait for one connection. The next entry of a list would be beyond it: the entry is
/// not added, and whoever lists is told. A client that has a longer one announced to it takes it for none.
pub const TYPED_REPLY_BYTES_MAX: usize = OUTBOX_BYTES_MAX;
/// Lists, dicts and chat messages around each other. What clients send needs one, what servers send two. Deeper: refused,
/// and the connection ends.
pub const TYPED_DEPTH_MAX: usize = 32;

/// Bytes of a chat message around its content: keys, tags, counts, header, id and two names, rounded up.
const TYPED_MESSAGE_BYTES_AROUND: usize = 512;
const _: () = assert!(TYPED_REQUEST_BYTES_MAX + TYPED_MESSAGE_BYTES_AROUND <= FRAME_BYTES_MAX);
// Every bound fits the four bytes of a length, with its header.
const _: () = assert!(TYPED_REPLY_BYTES_MAX < u32::MAX as usize / 2);

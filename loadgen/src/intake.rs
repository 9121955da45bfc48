//! What the clients receive: decoded, checked and measured. Pure: bytes and the time go in; nothing is allocated for a
//! message.

use hdrhistogram::CreationError;
use parlance::wire::typed::Messages;
use parlance::wire::{Codec, DecodeError, Frame};

use crate::check::{Order, Sequences, Tally};
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::in_flight::{InFlight, Settled};
use crate::incoming::{Answer, Incoming, of_datagram};
use crate::mailbox;
use crate::measure::Latencies;
use crate::payload::{HEADER_BYTES, Header, padding};
use crate::plan::Plan;
use crate::roster::Roster;
use crate::shape::Shape;
use crate::speech::PROBE;

/// Checks all that the clients receive.
pub(crate) struct Intake {
    dialect: Dialect,
    /// An acknowledgement is what is delivered; nothing else is.
    only_kept: bool,
    /// As headers have it.
    run: u8,
    padding: Vec<u8>,
    name_prefix: String,
    /// By publisher.
    names: Vec<String>,
    /// By room; none where messages do not say which one they are for.
    pub(crate) rooms: Vec<String>,
    shape: Shape,
    sequences: Sequences,
    /// How many of its messages each publisher was told are kept.
    kept: Vec<u32>,
    pub(crate) roster: Roster,
    pub(crate) in_flight: InFlight,
    pub(crate) latencies: Latencies,
    pub(crate) tally: Tally,
    /// Why the first message was that the server refused to keep.
    pub(crate) first_refusal: Option<String>,
}

/// What [`Intake::take`] did.
pub(crate) struct Taken<'a> {
    /// Bytes that are done with. Without an answer, the rest is the start of a frame.
    pub(crate) consumed: usize,
    /// Something that concerns the client itself; there may be more behind it.
    pub(crate) answer: Option<Answer<'a>>,
}

impl Intake {
    pub(crate) fn new(plan: &Plan, run: u16) -> Result<Self, CreationError> {
        let roster = Roster::new(plan, run);
        let named_rooms = if plan.dialect.names_rooms() { roster.room_count() } else { 0 };
        let rooms = (0..named_rooms).map(|room| roster.room_name(roster.members(room).start)).collect();
        let names = roster.publishers().iter().map(|speaker| roster.name(speaker.client as usize)).collect();
        Ok(Self {
            dialect: plan.dialect,
            only_kept: plan.kept,
            run: run as u8,
            padding: padding(plan.size),
            name_prefix: roster.name_prefix().to_owned(),
            names,
            rooms,
            shape: Shape::new(plan.publishers),
            sequences: Sequences::new(roster.cells()),
            kept: vec![0; plan.publishers],
            roster,
            in_flight: InFlight::new(plan.publishers),
            latencies: Latencies::new()?,
            tally: Tally::default(),
            first_refusal: None,
        })
    }

    /// Takes in what a client received, up to the first answer to the client itself.
    #[inline]
    pub(crate) fn take<'a>(
        &mut self,
        client: usize,
        codec: &mut Codec,
        bytes: &'a [u8],
        now: Moment,
    ) -> Taken<'a> {
        let mut consumed = 0;
        let mut answer = None;
        while answer.is_none() && consumed < bytes.len() {
            // The shape of a frame says nothing in the middle of a line that is being skipped.
            if !codec.is_skipping() {
                while let Some(header) = self.shape.recognize(&bytes[consumed..])
                    && header.run == self.run
                {
                    consumed += self.shape.frame_bytes();
                    self.account(client, header, now);
                }
            }
            let rest = &bytes[consumed..];
            let found = self.dialect.decode(codec, rest);
            consumed += found.consumed;
            match found.frame {
                Frame::Incomplete if found.consumed == 0 => break,
                Frame::Incomplete => {}
                // If it was a message, it is missed as such.
                Frame::Refused(DecodeError::Unrecognized) => self.tally.unrecognized += 1,
                Frame::Refused(_) => self.tally.undecodable += 1,
                Frame::Whole(whole) => {
                    answer = self.handle(client, &rest[..found.consumed], whole, now);
                }
            }
        }
        self.latencies.finish(now);
        Taken { consumed, answer }
    }

    /// Takes in a datagram that a client received; [`Intake::finish`] follows the last one that came at the same time.
    #[inline]
    pub(crate) fn take_datagram<'a>(
        &mut self,
        client: usize,
        bytes: &'a [u8],
        now: Moment,
    ) -> Option<Answer<'a>> {
        if bytes.len() == self.shape.frame_bytes()
            && let Some(header) = self.shape.recognize(bytes)
            && header.run == self.run
        {
            self.account(client, header, now);
            return None;
        }
        let Ok(incoming) = of_datagram(bytes) else {
            self.tally.undecodable += 1;
            return None;
        };
        self.handle(client, bytes, incoming, now)
    }

    /// All that came by now was taken in.
    #[inline]
    pub(crate) fn finish(&mut self, now: Moment) {
        self.latencies.finish(now);
    }

    /// A client is gone: what it is owed is lost.
    pub(crate) fn lose(&mut self, client: usize) {
        let heard: Vec<_> = self.roster.heard_by(client).collect();
        for (publisher, cell) in heard {
            for sequence in self.sequences.next(cell)..self.in_flight.next(publisher) {
                self.in_flight.settle(publisher, sequence);
                self.tally.lost += 1;
            }
        }
        self.roster.remove(client);
    }

    /// Handles what came; gives back what concerns the client itself.
    #[inline]
    fn handle<'a>(
        &mut self,
        client: usize,
        frame: &[u8],
        incoming: Incoming<'a>,
        now: Moment,
    ) -> Option<Answer<'a>> {
        match incoming {
            Incoming::Message { sender, room, text } => {
                return self.message(client, frame, (sender, room, text), now);
            }
            Incoming::Missed(count) => self.tally.announced_missed += count,
            Incoming::Kept { key, .. } if self.only_kept => match self.header_of(key) {
                Some(header) => self.account(client, header, now),
                None => self.tally.corrupted += 1,
            },
            Incoming::Kept { key, .. } => self.keep(client, key, now),
            Incoming::Aside => {}
            Incoming::Answer(answer) => {
                self.tally.undecodable += u64::from(matches!(answer, Answer::Unreadable(_)));
                return Some(answer);
            }
        }
        None
    }

    /// A message of a shape not yet known, or of somebody else, or a wrong one.
    fn message(
        &mut self,
        client: usize,
        frame: &[u8],
        (sender, room, text): (Option<&str>, Option<&str>, &str),
        now: Moment,
    ) -> Option<Answer<'static>> {
        let is_elsewhere = room.is_some_and(|room| room != self.rooms[self.roster.room_of(client)]);
        match self.header(sender, text) {
            Some(_) if is_elsewhere => self.tally.corrupted += 1,
            Some(header) => {
                if self.dialect.has_shape() {
                    let text_at = text.as_ptr() as usize - frame.as_ptr() as usize;
                    self.shape.learn(frame, text_at, usize::from(header.publisher));
                }
                self.account(client, header, now);
            }
            None if sender.is_some_and(|sender| !sender.starts_with(&self.name_prefix)) => {
                self.tally.foreign += 1;
            }
            None if text == PROBE => return Some(Answer::Probe),
            None => self.tally.corrupted += 1,
        }
        None
    }

    /// A publisher is told that its message is kept. They are told in turn: one that is passed over never is.
    fn keep(&mut self, client: usize, key: &str, now: Moment) {
        match (self.header_of(key), self.roster.publisher(client)) {
            (Some(Header { publisher, sequence, scheduled, .. }), Some(own))
                if usize::from(publisher) == own
                    && sequence >= self.kept[own]
                    && self.in_flight.knows(own, sequence, scheduled) =>
            {
                self.tally.unkept += u64::from(sequence - self.kept[own]);
                self.kept[own] = sequence + 1;
                self.latencies.kept(scheduled, now);
            }
            _ => self.tally.corrupted += 1,
        }
    }

    /// The header of a message of this run that has this key.
    #[inline]
    fn header_of(&self, key: &str) -> Option<Header> {
        let header = Header::decode(key.as_bytes().try_into().ok()?)?;
        (header.run == self.run).then_some(header)
    }

    /// A client's oldest message that is neither acknowledged nor refused, where acknowledgements are what counts.
    fn unanswered(&self, client: usize) -> Option<(usize, usize, u32)> {
        let publisher = self.roster.publisher(client)?;
        let cell = self.roster.cell(client, publisher)?;
        let sequence = self.sequences.next(cell);
        (sequence < self.in_flight.next(publisher)).then_some((publisher, cell, sequence))
    }

    /// Whether a client has a message that is neither acknowledged nor refused, where acknowledgements are what counts.
    pub(crate) fn awaits_acknowledgement(&self, client: usize) -> bool {
        self.unanswered(client).is_some()
    }

    /// A publisher is told that a message is not kept. Which one, only the order of the answers says.
    pub(crate) fn refuse(&mut self, client: usize, reason: &str) {
        let Some((publisher, cell, sequence)) = self.unanswered(client) else { return };
        self.sequences.accept(cell, sequence);
        self.in_flight.settle(publisher, sequence);
        self.tally.refused += 1;
        self.first_refusal.get_or_insert_with(|| reason.to_owned());
    }

    /// Messages of which their publishers have yet to hear that they are kept, where that is told beside a delivery.
    pub(crate) fn not_yet_kept(&self) -> u64 {
        if !self.dialect.keeps_messages() || self.only_kept {
            return 0;
        }
        let of = |(publisher, &kept): (usize, &u32)| u64::from(self.in_flight.next(publisher) - kept);
        self.kept.iter().enumerate().map(of).sum()
    }

    /// A client's mailbox lists what it holds.
    pub(crate) fn listed(&mut self, client: usize, messages: Messages<'_>) {
        let is_right = mailbox::is_right(client, messages, self.padding.len() + HEADER_BYTES, self);
        self.tally.mislisted += u64::from(!is_right);
    }

    /// The header of a message of this run, when the text is what it was when it was sent, and so is the sender, where
    /// the dialect says who that is.
    pub(crate) fn header(&self, sender: Option<&str>, text: &str) -> Option<Header> {
        let (header, padding) = text.as_bytes().split_first_chunk::<HEADER_BYTES>()?;
        let header = Header::decode(header)?;
        let name = self.names.get(usize::from(header.publisher))?;
        let is_from = sender.is_none_or(|sender| sender == name);
        (header.run == self.run && padding == self.padding && is_from).then_some(header)
    }

    #[inline]
    fn account(&mut self, client: usize, header: Header, now: Moment) {
        let Header { publisher, sequence, scheduled, .. } = header;
        let publisher = usize::from(publisher);
        let Some(cell) = self.roster.cell(client, publisher) else {
            self.tally.corrupted += 1;
            return;
        };
        if !self.in_flight.knows(publisher, sequence, scheduled) {
            self.tally.corrupted += 1;
            return;
        }
        match self.sequences.accept(cell, sequence) {
            Order::Next => self.tally.delivered += 1,
            Order::Gap { from } => {
                for sequence in from..sequence {
                    self.in_flight.settle(publisher, sequence);
                    self.tally.lost += 1;
                }
                self.tally.delivered += 1;
            }
            Order::Late => {
                self.tally.lost -= 1;
                self.tally.reordered += 1;
                return;
            }
            Order::Again => {
                self.tally.doubled += 1;
                return;
            }
        }
        self.latencies.delivered(scheduled, now);
        match self.in_flight.settle(publisher, sequence) {
            Settled::Open => {}
            Settled::Complete => self.latencies.completed(scheduled, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use parlance::chat::{Event, Mail, UnixMillis};

    const RUN: u16 = 0x1f2e;
    const NOW: Moment = Moment(6400);

    struct Fixture {
        intake: Intake,
        codec: Codec,
        size: usize,
    }

    impl Fixture {
        fn new(dialect: Dialect) -> Self {
            let size = 64;
            Self::of(&Plan { dialect, clients: 4, room_size: 4, publishers: 2, size, ..Plan::default() })
        }

        /// Where only acknowledgements count: client 2 is publisher 1.
        fn only_kept() -> Self {
            let dialect = Dialect::Typed;
            Self::of(&Plan {
                dialect,
                kept: true,
                clients: 4,
                room_size: 1,
                publishers: 2,
                ..Plan::default()
            })
        }

        fn of(plan: &Plan) -> Self {
            let size = plan.size;
            let mut intake = Intake::new(plan, RUN).expect("the bounds are sensible");
            intake.latencies.measure(Moment(0)..Moment::NEVER);
            Self { intake, codec: Codec::default(), size }
        }

        /// Publishes a message and gives the frame that a receiver gets.
        fn publish(&mut self, publisher: u16) -> Vec<u8> {
            let index = usize::from(publisher);
            let sequence = self.intake.in_flight.next(index);
            let scheduled = Moment(u64::from(sequence) * 64);
            let recipients = self.intake.roster.recipients(index);
            self.intake.in_flight.publish(index, scheduled, recipients);
            let mut text = Header { run: RUN as u8, publisher, sequence, scheduled }.encode().to_vec();
            text.extend_from_slice(&padding(self.size));
            let text = String::from_utf8(text).expect("text");
            let mut frame = Vec::new();
            let at = parlance::chat::UnixSeconds(u64::from(sequence));
            let sender = &self.intake.names[index];
            let event = match self.intake.dialect {
                Dialect::Typed => Event::MailArrived(Mail {
                    id: "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
                    at: UnixMillis(u64::from(sequence)),
                    sender,
                    recipient: "somebody",
                    content: &text,
                    unread: true,
                }),
                _ => Event::Message { sender, text: &text, at },
            };
            let wire = match self.intake.dialect {
                Dialect::Peer(peer) => {
                    let room = &self.intake.rooms[0];
                    return crate::peer::tests::delivery(peer, sender, room, &text);
                }
                Dialect::Tcrp => parlance::wire::Dialect::Ucrp,
                dialect => dialect.wire().expect("it is one of Parlance's"),
            };
            let fit = wire.encode_event(&Codec::default(), &event, &mut frame);
            assert_eq!(fit, parlance::wire::Fit::Whole);
            frame
        }

        /// The acknowledgement of a message that was published.
        fn acknowledgement(publisher: u16, sequence: u32) -> Vec<u8> {
            let scheduled = Moment(u64::from(sequence) * 64);
            let key = Header { run: RUN as u8, publisher, sequence, scheduled }.encode();
            let key = str::from_utf8(&key).expect("text");
            let id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
            let mut frame = Vec::new();
            let reply = parlance::wire::typed::Reply::Kept { key, id };
            reply.encode(crate::speech::TAGS, &mut frame).expect("it is short");
            frame
        }

        fn receive(&mut self, client: usize, bytes: &[u8]) -> usize {
            self.intake.take(client, &mut self.codec, bytes, NOW).consumed
        }

        fn receive_datagrams(&mut self, client: usize, datagrams: &[Vec<u8>]) {
            for bytes in datagrams {
                assert!(self.intake.take_datagram(client, bytes, NOW).is_none());
            }
            self.intake.finish(NOW);
        }
    }

    /// All dialects whose messages come over TCP.
    fn streams() -> impl Iterator<Item = Dialect> {
        Dialect::value_variants().iter().copied().filter(|dialect| !dialect.may_lose())
    }

    #[test]
    fn what_is_right_is_delivered_in_every_dialect_however_it_is_cut() {
        let publish_all = |fixture: &mut Fixture| -> Vec<u8> {
            [0, 0, 1, 0, 1, 1].into_iter().flat_map(|publisher| fixture.publish(publisher)).collect()
        };
        for dialect in streams() {
            for cut in 0..publish_all(&mut Fixture::new(dialect)).len() {
                let mut fixture = Fixture::new(dialect);
                let stream = publish_all(&mut fixture);
                let consumed = fixture.receive(3, &stream[..cut]);
                assert_eq!(consumed + fixture.receive(3, &stream[consumed..]), stream.len());
                assert_eq!(fixture.intake.tally, Tally { delivered: 6, ..Tally::default() });
            }
        }
    }

    #[test]
    fn lost_doubled_reordered_and_corrupted_are_told_apart() {
        let mut fixture = Fixture::new(Dialect::Line);
        let frames: Vec<_> = (0..8).map(|_| fixture.publish(0)).collect();
        for index in [0, 1, 3, 2, 3, 6] {
            fixture.receive(1, &frames[index]);
        }
        let mut wrong = frames[7].clone();
        wrong[60] ^= 1;
        fixture.receive(1, &wrong);
        fixture.receive(1, b"MSG alice hello\n");
        fixture.receive(1, b"INFO 5 messages missed\n");
        fixture.receive(1, b"something else\n\xff\n");
        fixture.receive(0, &frames[0]);
        let expected = Tally {
            delivered: 4,
            lost: 2,
            doubled: 1,
            reordered: 1,
            corrupted: 2,
            announced_missed: 5,
            undecodable: 1,
            unrecognized: 1,
            foreign: 1,
            ..Tally::default()
        };
        assert_eq!(fixture.intake.tally, expected, "the second corrupted one is publisher 0's own");
    }

    #[test]
    fn a_sender_that_the_payload_does_not_name_is_corruption() {
        let mut fixture = Fixture::new(Dialect::Line);
        let frame = fixture.publish(0);
        let (own, other) = (fixture.intake.names[0].clone(), fixture.intake.names[1].clone());
        let wrong = String::from_utf8(frame).expect("text").replace(&own, &other);
        fixture.receive(1, wrong.as_bytes());
        assert_eq!(fixture.intake.tally, Tally { corrupted: 1, ..Tally::default() });
    }

    #[test]
    fn what_peers_deliver_is_checked_with_its_room_though_no_sender_is_told() {
        for peer in crate::peer::tests::PEERS {
            let mut fixture = Fixture::new(Dialect::Peer(peer));
            let frames: Vec<_> = (0..6).map(|_| fixture.publish(0)).collect();
            let altered = |from: &str, to: &str| {
                let frame = String::from_utf8(frames[4].clone()).expect("text");
                assert!(frame.contains(from), "{frame}");
                frame.replace(from, to).into_bytes()
            };
            // Once before the shape is known, and once after that.
            fixture.receive(1, &altered("-room-000000", "-room-000001"));
            for index in [0, 1, 3, 2, 3] {
                fixture.receive(1, &frames[index]);
            }
            assert!(fixture.intake.shape.recognize(&frames[5]).is_some(), "{peer:?} takes the fast way");
            fixture.receive(1, &altered("-room-000000", "-room-000001"));
            fixture.receive(1, &altered("abc", "abd"));
            // The header's last digit.
            let mut wrong = frames[4].clone();
            let at = wrong.windows(3).position(|part| part == b"abc").expect("padding");
            wrong[at - 1] ^= 1;
            fixture.receive(1, &wrong);
            let expected = Tally { delivered: 3, doubled: 1, reordered: 1, corrupted: 4, ..Tally::default() };
            assert_eq!(fixture.intake.tally, expected, "{peer:?}");
        }
    }

    #[test]
    fn what_a_lost_client_was_owed_is_lost() {
        let mut fixture = Fixture::new(Dialect::Line);
        let frame = fixture.publish(0);
        for client in [1, 2] {
            fixture.receive(client, &frame);
        }
        assert_eq!(fixture.intake.in_flight.open(), 1);
        fixture.intake.lose(3);
        assert_eq!((fixture.intake.in_flight.open(), fixture.intake.tally.lost), (0, 1));
        assert_eq!(fixture.intake.roster.recipients(0), 2);
    }

    #[test]
    fn a_message_received_allocates_nothing() {
        for dialect in streams() {
            let mut fixture = Fixture::new(dialect);
            let frames: Vec<_> = (0..1000).map(|index| fixture.publish(index % 2)).collect();
            let (first, rest) = frames.split_at(2);
            fixture.receive(3, &first.concat());
            let rest = rest.concat();
            let half = rest.len() / 2 + 7;
            let counted = allocation_counter::measure(|| {
                let consumed = fixture.receive(3, &rest[..half]);
                fixture.receive(3, &rest[consumed..]);
            });
            assert_eq!(fixture.intake.tally, Tally { delivered: 1000, ..Tally::default() });
            assert_eq!(counted.count_total, 0, "{dialect:?}");
        }
    }

    #[test]
    fn datagrams_are_checked_one_by_one_and_allocate_nothing() {
        let mut fixture = Fixture::new(Dialect::Tcrp);
        let datagrams: Vec<_> = (0..1000).map(|index| fixture.publish(index % 2)).collect();
        fixture.receive_datagrams(3, &datagrams[..2]);
        let counted = allocation_counter::measure(|| fixture.receive_datagrams(3, &datagrams[2..900]));
        assert_eq!(counted.count_total, 0);
        let mut longer = datagrams[900].clone();
        longer.push(b'x');
        // 902 comes late; 901 is still owed.
        let rest = [longer, datagrams[900].clone(), datagrams[904].clone(), datagrams[902].clone()];
        fixture.receive_datagrams(3, &rest);
        fixture.receive_datagrams(3, &[datagrams[902].clone(), b"\x05alicehello".to_vec(), vec![200]]);
        fixture.receive_datagrams(3, &[b"\x06server7 messages missed".to_vec()]);
        let expected = Tally {
            delivered: 902,
            reordered: 1,
            doubled: 1,
            corrupted: 1,
            foreign: 1,
            undecodable: 1,
            announced_missed: 7,
            ..Tally::default()
        };
        assert_eq!(fixture.intake.tally, expected);
    }

    #[test]
    fn acknowledgements_are_checked_as_deliveries_are_and_allocate_nothing() {
        let mut fixture = Fixture::only_kept();
        (0..1000).for_each(|_| drop(fixture.publish(1)));
        let acknowledgements: Vec<u8> =
            (0..990).flat_map(|sequence| Fixture::acknowledgement(1, sequence)).collect();
        let half = acknowledgements.len() / 2 + 7;
        let counted = allocation_counter::measure(|| {
            let consumed = fixture.receive(2, &acknowledgements[..half]);
            fixture.receive(2, &acknowledgements[consumed..]);
        });
        assert_eq!(fixture.intake.tally, Tally { delivered: 990, ..Tally::default() });
        assert_eq!((counted.count_total, fixture.intake.in_flight.open()), (0, 10));
        assert_eq!(fixture.intake.latencies.delivery.len(), 990);
        // Again; 990 passed over, and after all; to somebody else; of a message that was never sent.
        for (client, sequence) in [(2, 989), (2, 991), (2, 990), (3, 992), (2, 1000)] {
            fixture.receive(client, &Fixture::acknowledgement(1, sequence));
        }
        let expected = Tally { delivered: 991, doubled: 1, reordered: 1, corrupted: 2, ..Tally::default() };
        assert_eq!((fixture.intake.tally, fixture.intake.in_flight.owed()), (expected, 8));
        assert_eq!(fixture.intake.not_yet_kept(), 0, "they are owed");
    }

    #[test]
    fn a_refusal_is_of_the_oldest_message_that_is_not_answered() {
        let mut fixture = Fixture::only_kept();
        (0..3).for_each(|_| drop(fixture.publish(1)));
        fixture.receive(2, &Fixture::acknowledgement(1, 0));
        assert!(fixture.intake.awaits_acknowledgement(2));
        fixture.intake.refuse(2, "full");
        fixture.receive(2, &Fixture::acknowledgement(1, 2));
        assert_eq!(fixture.intake.tally, Tally { delivered: 2, refused: 1, ..Tally::default() });
        assert_eq!(
            (fixture.intake.in_flight.open(), fixture.intake.first_refusal.as_deref()),
            (0, Some("full"))
        );
        assert!(!fixture.intake.awaits_acknowledgement(2), "all are answered");
        assert!(!fixture.intake.awaits_acknowledgement(3), "it says nothing");
    }

    #[test]
    fn what_is_kept_is_told_once_and_in_turn() {
        let mut fixture = Fixture::new(Dialect::Typed);
        let key = |sequence| {
            let header = Header {
                run: RUN as u8,
                publisher: 1,
                sequence,
                scheduled: Moment(u64::from(sequence) * 64),
            };
            String::from_utf8(header.encode().to_vec()).expect("text")
        };
        (0..3).for_each(|_| drop(fixture.publish(1)));
        let publisher = fixture.intake.roster.publishers()[1].client as usize;
        assert_eq!(fixture.intake.not_yet_kept(), 3);
        for (client, sequence) in [(publisher, 0), (publisher, 0), (0, 1), (publisher, 2), (publisher, 1)] {
            fixture.intake.keep(client, &key(sequence), NOW);
        }
        let Tally { unkept, corrupted, .. } = fixture.intake.tally;
        assert_eq!((fixture.intake.not_yet_kept(), unkept, corrupted), (0, 1, 3));
        fixture.intake.keep(publisher, "hello", NOW);
        assert_eq!(fixture.intake.tally.corrupted, 4);
    }
}

//! What a mailbox must list at the end: all that the two of a pair wrote to each other, in order, as far as one answer
//! holds it.

use parlance::limits::{MAIL_BYTES_AROUND, MAIL_LISTED_BYTES_MAX};
use parlance::wire::typed::{Message, Messages};

use crate::intake::Intake;
use crate::payload::Header;
use crate::roster::Roster;

/// How many of so many messages an answer lists: the newest.
pub(crate) fn listed_of(sent: u64, size: usize) -> u64 {
    sent.min((MAIL_LISTED_BYTES_MAX / (MAIL_BYTES_AROUND + size)) as u64)
}

/// Whether a client's conversation is what was sent.
pub(crate) fn is_right(client: usize, messages: Messages<'_>, size: usize, intake: &Intake) -> bool {
    let roster = &intake.roster;
    let pair = [client, Roster::partner(client)].map(|client| (client, roster.publisher(client)));
    let next = |publisher: Option<usize>| publisher.map_or(0, |publisher| intake.in_flight.next(publisher));
    let sent: u64 = pair.iter().map(|(_, publisher)| u64::from(next(*publisher))).sum();
    let expected = listed_of(sent, size);
    // Of each of the two, the next sequence number, once there was one.
    let mut following: [Option<u32>; 2] = [None; 2];
    let mut count = 0;
    for message in messages {
        count += 1;
        let Message { sender, content, recipient, .. } = message;
        let Some(Header { publisher, sequence, .. }) = intake.header(Some(sender), content) else {
            return false;
        };
        let Some(of) = pair.iter().position(|(_, own)| *own == Some(usize::from(publisher))) else {
            return false;
        };
        let is_next = following[of].is_none_or(|following| following == sequence);
        if !is_next || recipient != roster.name(pair[1 - of].0) {
            return false;
        }
        following[of] = Some(sequence + 1);
    }
    // The newest are at the end.
    let ends = |(of, (_, publisher)): (usize, &(usize, Option<usize>))| {
        following[of].is_none_or(|following| following == next(*publisher))
    };
    count == expected && pair.iter().enumerate().all(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::dialect::Dialect;
    use crate::payload::padding;
    use crate::plan::Plan;
    use crate::speech::TAGS;
    use parlance::wire::typed::{Decoded, Frame, MessagesFrame, Reply, UnixMillis};

    const SIZE: usize = 64;

    fn intake(sent: u32) -> Intake {
        let plan =
            Plan { dialect: Dialect::Typed, clients: 4, room_size: 2, publishers: 4, ..Plan::default() };
        let mut intake = Intake::new(&plan, 7).expect("the bounds are sensible");
        for _ in 0..sent {
            for publisher in [0, 1] {
                intake.in_flight.publish(publisher, Moment(0), 1);
            }
        }
        intake
    }

    /// A list of messages, each by its publisher and its sequence number.
    fn list(intake: &Intake, messages: &[(u16, u32)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut frame = MessagesFrame::begin(TAGS, &mut out);
        for &(publisher, sequence) in messages {
            let mut text = Header { run: 7, publisher, sequence, scheduled: Moment(0) }.encode().to_vec();
            text.extend_from_slice(&padding(SIZE));
            let message = Message {
                id: "id",
                at: UnixMillis(0),
                sender: &intake.roster.name(usize::from(publisher)),
                recipient: &intake.roster.name(usize::from(publisher ^ 1)),
                content: str::from_utf8(&text).expect("text"),
                unread: true,
            };
            frame.push(&message).expect("it is short");
        }
        out
    }

    fn passes(intake: &Intake, client: usize, messages: &[(u16, u32)]) -> bool {
        let bytes = list(intake, messages);
        let Decoded { frame: Frame::Whole(Reply::Messages(messages)), .. } = Reply::decode(TAGS, &bytes)
        else {
            panic!("it was just encoded")
        };
        is_right(client, messages, SIZE, intake)
    }

    #[test]
    fn all_of_both_in_order_is_right_and_nothing_else() {
        let intake = intake(2);
        for client in [0, 1] {
            assert!(passes(&intake, client, &[(0, 0), (1, 0), (1, 1), (0, 1)]));
            assert!(!passes(&intake, client, &[(0, 0), (1, 0), (1, 1)]), "one is missing");
            assert!(!passes(&intake, client, &[(0, 1), (1, 0), (1, 1), (0, 0)]), "out of order");
            assert!(!passes(&intake, client, &[(0, 0), (0, 0), (1, 0), (1, 1)]), "twice");
            assert!(!passes(&intake, client, &[(0, 0), (1, 0), (1, 1), (2, 1)]), "somebody else's");
        }
        assert!(passes(&intake, 2, &[]), "nobody wrote to it");
    }

    #[test]
    fn of_more_than_an_answer_holds_the_newest_are_listed() {
        let held = listed_of(u64::MAX, SIZE) as u32;
        assert_eq!(held, 512 * 1024 / 320);
        let mut intake = intake(0);
        (0..held + 5).for_each(|_| intake.in_flight.publish(0, Moment(0), 1));
        let newest: Vec<_> = (5..held + 5).map(|sequence| (0, sequence)).collect();
        assert!(passes(&intake, 1, &newest));
        assert!(!passes(&intake, 1, &newest[1..]));
        let oldest: Vec<_> = (0..held).map(|sequence| (0, sequence)).collect();
        assert!(!passes(&intake, 1, &oldest));
    }
}

//! Holds a store, or a reader, to the model.

use parlance::chat::{Kept, OpId, Page};
use parlance::store::{Reader, Sizes};

use crate::dealer::{Dealer, ROOMS, pick};
use crate::model::Model;

pub(crate) fn load(reader: &mut dyn Reader) -> (Vec<Kept>, Option<OpId>) {
    let mut all = Vec::new();
    let last = reader.load(&mut |kept| all.push(kept)).expect("it can be read");
    (all, last)
}

/// Everything that it shows, and pages and searches of it at random.
#[track_caller]
pub(crate) fn compare(reader: &mut dyn Reader, model: &Model, dealer: &mut Dealer, when: &str) {
    let (all, last) = load(reader);
    let wanted = model.kept();
    if all != wanted {
        let differs = all.iter().zip(&wanted).position(|(one, other)| one != other);
        let at = differs.unwrap_or(all.len().min(wanted.len()));
        panic!(
            "{when}: {} are there, {} should be; at {at}: {:?} for {:?}",
            all.len(),
            wanted.len(),
            all.get(at),
            wanted.get(at)
        );
    }
    assert_eq!(last, model.last, "{when}: the last id");
    let mut rooms = Vec::new();
    reader.rooms(&mut |room| rooms.push(room)).expect("rooms");
    assert_eq!(rooms, model.rooms(), "{when}");
    for room in ROOMS.into_iter().chain(["nowhere", ""]) {
        let page = reader.history(room, None, usize::MAX).expect("history");
        assert_eq!(page, model.messages(room), "{when}: all of {room}");
        for _ in 0..4 {
            let before = dealer.message(&model.said_ids());
            let own: Vec<_> = page.iter().map(|message| message.id).collect();
            let id = match dealer.dice.below(3) {
                0 if !own.is_empty() => *pick(&mut dealer.dice, &own[own.len() - own.len().min(3)..]),
                1 if !own.is_empty() => *pick(&mut dealer.dice, &own),
                _ => before,
            };
            let pages = [Page::Newest, Page::Before(id), Page::After(id), Page::Around(id)];
            let asked = *pick(&mut dealer.dice, &pages);
            let count = *pick(&mut dealer.dice, &[0, 1, 2, 5, 100, 1 << 40]);
            let page = reader.page(room, asked, count).expect("history");
            assert_eq!(page, model.page(room, asked, count), "{when}: {count} of {room}, {asked:?}");
        }
    }
    for _ in 0..8 {
        let question = dealer.question();
        let count = *pick(&mut dealer.dice, &[0, 1, 3, 50, usize::MAX]);
        let found = reader.search(&question, count).expect("a search");
        assert_eq!(found, model.search(&question, count), "{when}: {count} of {question:?}");
    }
    let Sizes { bytes, dead_bytes, accounts, letters, seats, room_messages } = reader.sizes().expect("sizes");
    assert_eq!([accounts, letters, seats, room_messages], model.counts(), "{when}");
    assert!(dead_bytes <= bytes, "{when}: {dead_bytes} of {bytes}");
    assert_eq!(reader.check().expect("a check"), [""; 0], "{when}");
}

//! What happens when more comes than the server can do: everybody waits, and nobody much longer than others.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use parlance::fanout::{LagPolicies, LagPolicy};
use parlance::limits::{LOG_BYTES_LIMIT_MIN, READS_PER_VISIT_MAX};

use crate::dice::Dice;
use crate::net::Weather;
use crate::script::{Act, DENS, Kind, Script, Step, What, deal_set_up, everybody, pick};
use crate::world::play_watched;

/// What each says at once.
const MESSAGES: usize = 600;
/// Bytes of each on the wire, at least.
const MESSAGE_BYTES_MIN: usize = 41;
/// Looks at who was heard how often, while much waits.
const LOOKS: usize = 8;

/// How often each was heard, whenever so much more was heard.
type Looks = Rc<RefCell<Vec<Vec<usize>>>>;

/// So much space that nobody who reads is ever short of it.
const WIDE: &[usize] = &[16 << 20];

/// One in which all are in a few rooms, and then say so much at once that the server is behind for long.
fn overload(seed: u64, clients: Vec<Kind>) -> Script {
    let mut dice = Dice(seed);
    let mut set_up = deal_set_up(&mut dice, seed);
    set_up.settings.clients_limit = 10_000;
    set_up.settings.exempt = everybody();
    set_up.settings.lag = LagPolicies::all(LagPolicy::Skip);
    set_up.settings.log_bytes_limit = LOG_BYTES_LIMIT_MIN;
    set_up.read_bytes = pick(&mut dice, &[61, 512]);
    // Of several, each would be as fast as it can.
    set_up.settings.shards = 1;
    // All of it is there at once.
    let weather = Weather { delay_micros: 20, lost_percent: 0 };
    let mut steps = Vec::new();
    let mut all_do = |act: &dyn Fn(usize) -> Option<Act>| {
        let mut after = Duration::from_secs(5);
        for client in 0..clients.len() {
            if let Some(act) = act(client) {
                steps.push(Step { after: std::mem::take(&mut after), what: What::Act(client, act) });
            }
        }
    };
    all_do(&|_| Some(Act::Connect { name: 0 }));
    all_do(&|client| (clients[client] == Kind::Slash).then_some(Act::Join(client % DENS)));
    all_do(&|_| Some(Act::Say { count: MESSAGES, bytes: 40 }));
    Script { seed, set_up, clients, weather, capacities: WIDE, steps }
}

#[test]
fn of_those_who_all_say_too_much_at_once_nobody_is_starved() {
    let clients: Vec<_> = [Kind::Line, Kind::Slash, Kind::Slash].into_iter().cycle().take(12).collect();
    for seed in 0..6 {
        let script = overload(seed, clients.clone());
        let looks = Looks::default();
        let (found, count) = (Rc::clone(&looks), clients.len());
        play_watched(&script, move |book| {
            let mut looks = looks.borrow_mut();
            let heard = |client| book.heard.get(&client).map_or(0, |&(count, _)| count);
            let counts: Vec<_> = (0..count).map(heard).collect();
            let due = count * MESSAGES * (looks.len() + 1) / (LOOKS + 1);
            if looks.len() < LOOKS && counts.iter().sum::<usize>() >= due {
                looks.push(counts);
            }
        });
        let looks = found.take();
        assert_eq!(looks.len(), LOOKS);
        // Whoever is in the way of others is passed over a few times, and no more. A visit takes as many bytes from each,
        // and a message of line has a word more.
        let visit = (READS_PER_VISIT_MAX * script.set_up.read_bytes).div_ceil(MESSAGE_BYTES_MIN);
        for counts in looks {
            let (least, most) = (counts.iter().min(), counts.iter().max());
            let is_fair = least.zip(most).is_some_and(|(least, most)| most - least <= 4 * visit + most / 5);
            assert!(is_fair, "seed {seed}, {visit} a visit: {counts:?}");
        }
    }
}

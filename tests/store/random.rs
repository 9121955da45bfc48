//! Random ops in groups of random size, and everything that may happen between them.

use parlance::chat::Op;
use parlance::store::{self, Store};

use crate::compare::compare;
use crate::dealer::Dealer;
use crate::model::Model;
use crate::on_each_store;
use crate::shelf::Shelf;

const SEEDS: u64 = 6;
const OPS: usize = 600;
const GROUP_MAX: usize = 12;
const TIDY_STEPS_MAX: usize = 1000;

on_each_store!(random_ops);

/// More of them by the environment variable `PARLANCE_STORE_SEEDS`.
fn seeds() -> u64 {
    std::env::var("PARLANCE_STORE_SEEDS").map_or(SEEDS, |text| text.parse().expect("a number"))
}

fn random_ops(shelf: &Shelf) {
    // Each seed goes on in the same store, with what is left of the one before.
    let mut store = Some(shelf.open());
    let mut model = Model::default();
    let mut dealer = Dealer::new(0);
    for seed in 0..seeds() {
        dealer.dice.0 = seed;
        run(shelf, &mut store, &mut model, &mut dealer, seed);
    }
}

fn run(shelf: &Shelf, place: &mut Option<Box<dyn Store>>, model: &mut Model, dealer: &mut Dealer, seed: u64) {
    let mut count = 0;
    while count < OPS {
        let mut store = place.take().expect("it is open");
        let mut group: Vec<Op> = Vec::new();
        for _ in 0..dealer.dice.below(GROUP_MAX + 1) {
            let op = dealer.deal(model);
            model.apply(&op);
            group.push(op);
        }
        store.commit(&group).expect("it commits");
        count += group.len();
        let mut when = format!("seed {seed}, after {count} ops");
        match dealer.dice.below(12) {
            0 => {
                tidy(store.as_mut(), model, dealer);
                when += ", tidied";
            }
            1 => {
                store.compact().expect("it compacts");
                when += ", compacted";
            }
            2 if shelf.is_on_disk() => {
                drop(store);
                store = shelf.open();
                when += ", opened again";
            }
            3 if shelf.is_on_disk() => {
                compare(shelf.reader().as_mut(), model, dealer, &format!("{when}, to a reader"));
            }
            4 if shelf.is_on_disk() => {
                let path = shelf.copy_path();
                store.backup(&path).expect("a copy");
                let mut copy = store::open(&shelf.copy_spec(&path), &shelf.options).expect("a store");
                compare(copy.as_mut(), model, dealer, &format!("{when}, a copy"));
            }
            5..9 => {}
            _ => {
                *place = Some(store);
                continue;
            }
        }
        compare(store.as_mut(), model, dealer, &when);
        *place = Some(store);
    }
}

fn tidy(store: &mut dyn Store, model: &mut Model, dealer: &mut Dealer) {
    let (rules, now) = (dealer.rules(), dealer.now());
    let mut steps = 0;
    while store.tidy(&rules, now).expect("it is tidied") {
        steps += 1;
        assert!(steps < TIDY_STEPS_MAX, "it comes to an end");
    }
    model.forget(&rules, now);
}

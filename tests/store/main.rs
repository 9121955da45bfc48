//! One suite for all stores: they keep the same, in whatever they keep it.
//!
//! What they are held to is a plain model (`model.rs`), written from their documentation and sharing no code with them.

#[path = "../support/dice.rs"]
mod dice;

mod beside;
mod compare;
mod dealer;
mod directed;
mod model;
mod old_logs;
mod owners;
mod random;
mod schemas;
mod scripts;
mod shelf;

/// A test for each store, in a module of the store's name.
#[macro_export]
macro_rules! on_each_store {
    ($($test:ident),* $(,)?) => {
        $crate::on_each_store! { @ [memory sqlite_full sqlite_normal_without_search jsonl_full jsonl_none] [$($test)*] }
    };
    (@ [$($store:ident)*] $tests:tt) => {
        $($crate::on_each_store! { @@ $store $tests })*
    };
    (@@ $store:ident [$($test:ident)*]) => {
        mod $store {
            $(#[test]
            fn $test() {
                super::$test(&$crate::shelf::Shelf::$store());
            })*
        }
    };
}

//! The engine, driven through fake sockets: what everybody sees, in which order, and what happens to who is slow.

mod abuse;
mod account;
mod accounts;
mod addresses;
mod answers;
mod bounds;
mod closing;
#[path = "../support/dice.rs"]
mod dice;
mod fairness;
mod framed;
mod holders;
mod kept;
mod lag;
mod logs;
mod mail;
mod names;
mod order;
mod own;
mod pace;
mod passwords;
mod promises;
mod random;
mod rates;
mod rooms;
mod rows;
mod seats;
mod shards;
mod strangers;
mod time;
mod together;
mod totals;
mod world;

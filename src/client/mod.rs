//! Small blocking clients, for tests, tools and `parlance chat`: [`Client`] for line, slash and gob, [`Seat`] for TCRP with
//! UCRP, [`Mailbox`] for typed. Every wait has a deadline, and what is received is bounded. [`Place`] reads
//! an address, [`connect`] tries all that stand behind it, and [`Pace`] keeps a program that says much below
//! a server's limits.
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use parlance::client::Client;
//! use parlance::wire::Dialect;
//!
//! let deadline = Instant::now() + Duration::from_secs(5);
//! let mut alice = Client::connect(Dialect::Line, "127.0.0.1:4000", deadline)?;
//! alice.login("alice", deadline)?;
//! alice.say("hello")?;
//! println!("{:?}", alice.next_event(deadline)?);
//! # Ok::<(), parlance::client::ClientError>(())
//! ```

mod address;
mod connect;
mod connection;
mod error;
mod first_bytes;
mod pace;
mod stranger;
mod stream;
mod tcrp;
mod typed;

pub use address::{AddressError, Place};
pub use connect::{Attempts, connect};
pub use error::ClientError;
pub use first_bytes::{FirstBytes, Opened};
pub use pace::Pace;
pub use stranger::Stranger;
pub use stream::{Client, Speaker};
pub use tcrp::{Entry, Seat, nearest_address};
pub use typed::{Letter, Mailbox, MailboxSpeaker, Unread};

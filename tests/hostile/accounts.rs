//! A network that makes accounts as fast as it can.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;

use parlance::limits::{ACCOUNTS_WIDE_FACTOR, ADDRESS_ACCOUNTS_DEFAULT};
use parlance::wire::typed::TagSet;

use crate::bystanders::Bystanders;
use crate::child::{Child, NOBODY_EXEMPT};
use crate::support::typed::{Told, TypedPeer};

/// Connections of the attacker, each from an address of its own in one /24, or all from one.
const CONNECTIONS: u8 = 12;
/// Names that each connection asks for.
const TRIES: usize = 20;
/// Users with networks of their own, who make an account during the attack.
const HONEST: u8 = 3;

fn is_refused(told: &Told) -> bool {
    matches!(told, Told::Error(reason) if reason.starts_with("too many new accounts from your address; try again in "))
}

/// Makes accounts until it is refused. Returns the number of accounts, and of refusals.
fn attack(server: &Child, from: IpAddr, name: &str) -> (u64, u64) {
    let mut peer = TypedPeer::connect_from(server, from, TagSet::InUse);
    let (mut made, mut refused) = (0, 0);
    for index in 0..TRIES {
        let told = peer.try_log_in(&format!("{name}-{index}"), "secret");
        made += u64::from(matches!(told, Told::LoggedIn(_)));
        refused += u64::from(is_refused(&told));
    }
    (made, refused)
}

fn from_all(address: fn(u8) -> Ipv4Addr, made_max: u32) {
    let server = Child::start(&NOBODY_EXEMPT);
    let mut bystanders = Bystanders::paced(&server);
    let counts = bystanders.talk_while(|| {
        thread::scope(|scope| {
            let server = &server;
            let attackers: Vec<_> = (1..=CONNECTIONS)
                .map(|index| (index, IpAddr::from(address(index))))
                .map(|(index, from)| scope.spawn(move || attack(server, from, &format!("taken{index}"))))
                .collect();
            for index in 1..=HONEST {
                let from = Ipv4Addr::new(127, 2, index, 1).into();
                let mut peer = TypedPeer::connect_from(server, from, TagSet::InUse);
                let told = peer.try_log_in(&format!("honest{index}"), "secret");
                assert!(matches!(told, Told::LoggedIn(_)), "{told:?}");
            }
            let counts = attackers.into_iter().map(|attacker| attacker.join().expect("each was answered"));
            counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        })
    });
    let tries = u64::from(CONNECTIONS) * TRIES as u64;
    assert_eq!(counts, (u64::from(made_max), tries - u64::from(made_max)));
    bystanders.leave();
    assert_eq!(server.stop().of("accounts_refused"), tries - u64::from(made_max));
}

#[test]
fn one_address_makes_five_accounts_however_fast_and_others_make_theirs() {
    from_all(|_| Ipv4Addr::new(127, 1, 0, 1), ADDRESS_ACCOUNTS_DEFAULT.div_ceil(2));
}

#[test]
fn a_24_makes_three_times_as_many_however_many_addresses_it_has() {
    let wide = ADDRESS_ACCOUNTS_DEFAULT * ACCOUNTS_WIDE_FACTOR;
    from_all(|index| Ipv4Addr::new(127, 1, 0, index), wide.div_ceil(2));
}

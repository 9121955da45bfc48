//! Accounts that are made, changed and deleted by command: when each is answered, what it ends, and what a
//! store that fails leaves.

use parlance::chat::{Change, CloseReason, HistoryRules, Kept, Op, OpId, ReservedNames, Secret, UnixMillis};
use parlance::engine::Settings;
use parlance::limits::ATTEMPTS_DEFAULT;
use parlance::store::Store;
use parlance::wire::Dialect;
use parlance::wire::gob::Kind;
use parlance::wire::tcrp::{Operation, Refusal};
use parlance::wire::typed::Request;

use crate::kept::{self, mail_user};
use crate::pace::shown;
use crate::seats::asks;
use crate::world::{Client, HERE, World, hash, settings};

const RESERVED: &str = "ERR invalid-username the name is reserved\n";
const LOOKS: &str = "ERR invalid-username the name looks like one that is reserved or has an account\n";

/// Types a line of the line dialect, and reads what came of it.
fn gets(world: &mut World, client: Client, line: &str) -> String {
    world.types(client, line);
    world.hears(client)
}

fn ended(world: &World, client: Client) -> Option<CloseReason> {
    world.ended(client).map(|ended| ended.reason)
}

fn gob_gets(world: &mut World, client: Client, text: &str) -> Vec<String> {
    world.gob_says(client, Kind::Text, "", text);
    world.settles();
    shown(&world.took_bytes(client))
}

#[test]
fn an_account_is_promised_once_it_is_kept_and_what_follows_waits() {
    for dialect in [Dialect::Line, Dialect::Slash] {
        let (mut world, mut disk) = kept::world();
        let (alice, register, made) = match dialect {
            Dialect::Slash => (world.slash("alice"), "/register secret", "Account created\n"),
            _ => (world.line("alice"), "REGISTER secret", "OK\n"),
        };
        world.hears(alice);
        assert_eq!(gets(&mut world, alice, register), "", "nothing is kept yet");
        assert_eq!(gets(&mut world, alice, "/users"), "", "it would overtake the promise");
        disk.keeps(&mut world);
        assert!(world.hears(alice).starts_with(made));
        assert!(
            disk.kept().iter().any(|kept| matches!(kept, Kept::Account { name, .. } if **name == *"alice"))
        );
        let other = world.connects(Dialect::Line);
        assert_eq!(gets(&mut world, other, "LOGIN alice"), "ERR password-required\n");
        assert_eq!(ended(&world, alice), None);
    }
}

#[test]
fn an_account_that_is_not_kept_is_undone_and_its_session_goes_on() {
    let (mut world, mut disk) = kept::world();
    let alice = world.line("alice");
    let bob = world.line("bob");
    world.types(alice, "REGISTER secret");
    world.settles();
    disk.fails(&mut world);
    assert_eq!(world.hears(alice), "ERR not-kept\n");
    world.types(alice, "MSG still here");
    assert_eq!(world.hears(bob), "MSG alice still here\n");
    disk.keeps(&mut world);
    assert!(disk.kept().is_empty(), "{:?}", disk.kept());
    // The name is a stranger's, as it was.
    let other = world.connects(Dialect::Line);
    assert_eq!(gets(&mut world, other, "LOGIN alice"), "ERR username-taken\n");
    world.types(alice, "REGISTER secret");
    world.settles();
    disk.keeps(&mut world);
    assert_eq!(world.hears(alice), "OK\n");
}

#[test]
fn a_password_that_is_not_kept_is_undone() {
    let (mut world, mut disk) = kept::world();
    let mailbox = mail_user(&mut world, &mut disk, "alice");
    world.vanishes(mailbox);
    let alice = world.connects(Dialect::Line);
    assert_eq!(gets(&mut world, alice, "LOGIN alice alice"), "OK\n");
    world.types(alice, "PASSWD alice new");
    world.settles();
    disk.fails(&mut world);
    assert_eq!(world.hears(alice), "ERR not-kept\n");
    disk.keeps(&mut world);
    let is_old = |kept: &Kept| matches!(kept, Kept::Account { password, .. } if *password == hash("alice"));
    assert!(disk.kept().iter().any(is_old));
    world.types(alice, "PASSWD alice new");
    world.settles();
    disk.keeps(&mut world);
    assert_eq!(world.hears(alice), "OK\n", "the old one counts, and is changed");
}

#[test]
fn a_changed_password_ends_what_was_held_by_the_old_one() {
    let mut world = World::new();
    let mailbox = world.connects(Dialect::Typed);
    world.asks(mailbox, &Request::LoginName("alice"));
    world.asks(mailbox, &Request::LoginPassword(Secret("old")));
    world.settles();
    world.replies(mailbox);
    let alice = world.connects(Dialect::Line);
    assert_eq!(gets(&mut world, alice, "LOGIN alice old"), "OK\n");
    assert_eq!(gets(&mut world, alice, "PASSWD wrong new"), "ERR wrong-password\n");
    assert_eq!(gets(&mut world, alice, "PASSWD old new"), "OK\n");
    assert_eq!(gets(&mut world, alice, "WHO"), "USER alice\n", "the session goes on");
    assert_eq!(world.gets(mailbox, &Request::ListUsers), ["error: not logged in"]);
    let other = world.connects(Dialect::Line);
    assert_eq!(gets(&mut world, other, "LOGIN alice old"), "ERR wrong-password\n");
    assert_eq!(gets(&mut world, other, "LOGIN alice new"), "OK\n");
    assert_eq!(ended(&world, alice), Some(CloseReason::Replaced));
}

#[test]
fn a_check_of_the_old_password_that_ends_after_the_change_proves_nothing() {
    let mut world = World::new();
    world.mail_user("alice");
    let alice = world.connects(Dialect::Line);
    assert_eq!(gets(&mut world, alice, "LOGIN alice alice"), "OK\n");
    let others = [Dialect::Line, Dialect::Typed].map(|dialect| world.connects(dialect));
    world.types(others[0], "LOGIN alice alice");
    world.asks(others[1], &Request::LoginName("alice"));
    world.asks(others[1], &Request::LoginPassword(Secret("alice")));
    let tasks: Vec<_> = std::iter::from_fn(|| world.engine.next_password_task()).collect();
    assert_eq!(tasks.len(), 2);
    assert_eq!(gets(&mut world, alice, "PASSWD alice new"), "OK\n");
    for task in tasks {
        world.compares(task);
    }
    world.settles();
    assert_eq!(world.hears(others[0]), "ERR wrong-password\n");
    let replies = world.replies(others[1]);
    assert!(replies.iter().all(|reply| !reply.starts_with("logged in")), "{replies:?}");
    assert_eq!(world.gets(others[1], &Request::ListUsers), ["error: not logged in"]);
    assert_eq!(gets(&mut world, alice, "WHO"), "USER alice\n", "the session goes on");
    assert_eq!(gets(&mut world, others[0], "LOGIN alice new"), "OK\n");
}

#[test]
fn guesses_at_a_password_by_command_are_held_to_the_limits_of_logins() {
    for command in ["PASSWD {} new", "UNREGISTER {}"] {
        let mut world = World::new();
        let alice = world.line("alice");
        assert_eq!(gets(&mut world, alice, "REGISTER secret"), "OK\n");
        for guess in 0..ATTEMPTS_DEFAULT {
            let line = command.replace("{}", &format!("guess{guess}"));
            assert_eq!(gets(&mut world, alice, &line), "ERR wrong-password\n");
        }
        // Not even the right one is looked at.
        for password in ["guess", "secret"] {
            let line = command.replace("{}", password);
            assert_eq!(gets(&mut world, alice, &line), "ERR too-many-attempts\n");
        }
        assert_eq!(world.metrics().wrong_passwords, u64::from(ATTEMPTS_DEFAULT));
        world.seconds_pass(61);
        world.types(alice, "PING");
        world.settles();
        let again = world.connects(Dialect::Line);
        assert_eq!(gets(&mut world, again, "LOGIN alice secret"), "OK\n", "it still has the account");
    }
}

#[test]
fn a_deleted_account_takes_its_mail_with_it_and_leaves_a_stranger() {
    let mut world = World::new();
    let mailbox = world.connects(Dialect::Typed);
    world.asks(mailbox, &Request::LoginName("alice"));
    world.asks(mailbox, &Request::LoginPassword(Secret("secret")));
    world.settles();
    world.replies(mailbox);
    let bob = world.line("bob");
    world.types(bob, "DM alice hello");
    world.settles();
    let alice = world.connects(Dialect::Slash);
    for line in ["alice", "secret"] {
        world.types(alice, line);
    }
    world.hears(alice);
    assert_eq!(gets(&mut world, alice, "/unregister wrong"), "ERROR: Wrong password\n");
    assert_eq!(gets(&mut world, alice, "/unregister secret"), "Account deleted\n");
    assert_eq!(gets(&mut world, alice, "/unregister secret"), "ERROR: You have no account\n");
    assert_eq!(world.gets(mailbox, &Request::ListUsers), ["error: not logged in"]);
    world.types(alice, "still here");
    assert_eq!(world.hears(bob), "MSG alice still here\n");
    assert_eq!(gets(&mut world, alice, "/register other"), "[12:34:56] alice: still here\nAccount created\n");
    world.asks(mailbox, &Request::LoginName("alice"));
    world.asks(mailbox, &Request::LoginPassword(Secret("other")));
    world.settles();
    world.replies(mailbox);
    assert_eq!(world.gets(mailbox, &Request::ListMessages("bob")), ["[]"], "the mail went with the account");
}

#[test]
fn a_gob_session_has_accounts_rooms_and_lists_as_texts() {
    let mut world = World::new();
    let owner = world.line("alice");
    assert_eq!(gets(&mut world, owner, "REGISTER secret"), "OK\n");
    let gob = world.gob("alice");
    assert_eq!(shown(&world.took_bytes(gob)), ["server: your name here is alice~2"]);
    assert_eq!(gob_gets(&mut world, gob, "/login alice"), ["server: usage: /login <name> <password>"]);
    assert_eq!(gob_gets(&mut world, gob, "/login alice wrong"), ["server: wrong password"]);
    assert_eq!(gob_gets(&mut world, gob, "/login zoe x"), ["server: there is no account zoe"]);
    let heard = gob_gets(&mut world, gob, "/login alice secret");
    assert!(heard.contains(&"server: your name here is alice".to_owned()), "{heard:?}");
    assert_eq!(ended(&world, owner), Some(CloseReason::Replaced));
    assert_eq!(gob_gets(&mut world, gob, "/password secret new"), ["server: password changed"]);
    assert_eq!(gob_gets(&mut world, gob, "/who"), ["server: in lobby: 1", "server: alice"]);
    assert_eq!(gob_gets(&mut world, gob, "/join #den"), ["server: you are in den"]);
    assert_eq!(gob_gets(&mut world, gob, "/leave"), ["server: you are in lobby"]);
    assert_eq!(gob_gets(&mut world, gob, "/unregister new"), ["server: account deleted"]);
    assert_eq!(gob_gets(&mut world, gob, "/register newer"), ["server: account created"]);
    // The first text of a session can be a login, and no other client sees a password.
    let bob = world.line("bob");
    let late = world.connects(Dialect::Gob);
    world.gob_says(late, Kind::Text, "late", "/register hidden");
    world.gob_says(late, Kind::Text, "late", "/login alice");
    world.gob_says(late, Kind::Text, "late", "/login alice newer");
    world.settles();
    let answers = [
        "server: not logged in",
        "server: usage: /login <name> <password>",
        "-alice",
        "server: your name here is alice",
    ];
    assert_eq!(shown(&world.took_bytes(late)), answers);
    assert_eq!(ended(&world, gob), Some(CloseReason::Replaced));
    let heard = world.hears(bob);
    assert!(!heard.contains("hidden") && !heard.contains("newer"), "{heard}");
}

#[test]
fn a_new_password_is_one_that_every_dialect_can_send() {
    let mut world = World::new();
    // Lines cannot have white space at their ends.
    let gob = world.gob("alice");
    world.took_bytes(gob);
    let unusable = ["server: this can not be a password"];
    for password in ["x ", "a\nb", "\u{feff}x", "\u{1b}x", "a\u{202e}b"] {
        assert_eq!(gob_gets(&mut world, gob, &format!("/register {password}")), unusable, "{password:?}");
    }
    let typed = world.connects(Dialect::Typed);
    for password in [" x", "x ", "a\rb", "\u{feff}x", "a\0b"] {
        assert_eq!(world.gets(typed, &Request::LoginName("bob")), ["new"]);
        let replies = world.gets(typed, &Request::LoginPassword(Secret(password)));
        assert_eq!(replies, ["error: this can not be a password"], "{password:?}");
    }
    let line = world.line("carol");
    assert_eq!(gets(&mut world, line, "REGISTER a\u{1b}b"), "ERR invalid-password\n");
    assert_eq!(gets(&mut world, line, "REGISTER correct horse"), "OK\n");
    world.took_bytes(gob);
    assert_eq!(gob_gets(&mut world, gob, "/register old"), ["server: account created"]);
    assert_eq!(gob_gets(&mut world, gob, "/password old ne\u{7f}w"), unusable);
    assert_eq!(gob_gets(&mut world, gob, "/password old new"), ["server: password changed"]);
}

#[test]
fn frames_held_behind_a_promise_go_out_one_by_one() {
    let (mut world, mut disk) = kept::world();
    let gob = world.gob("alice");
    world.gob_says(gob, Kind::Text, "", "/register secret");
    world.settles();
    assert!(shown(&world.took_bytes(gob)).is_empty());
    disk.keeps(&mut world);
    assert_eq!(shown(&world.took_bytes(gob)), ["server: account created"]);
    assert_eq!(gob_gets(&mut world, gob, "/who"), ["server: in lobby: 1", "server: alice"]);
}

#[test]
fn reserved_names_are_for_accounts_that_were_made_elsewhere() {
    let reserved_names = ReservedNames::with(&["helpdesk".to_owned()]);
    let (_, mut disk) = kept::world();
    let made = Change::AccountCreated { name: "Admin".into(), password: hash("secret"), is_unused: false };
    let id = OpId::new(UnixMillis(1), 0, 0);
    disk.store.commit(&[Op::new(id, made)]).expect("memory");
    let mut world = disk.restarts(&HistoryRules::default());
    let admin = world.connects(Dialect::Line);
    assert_eq!(gets(&mut world, admin, "LOGIN admin"), "ERR password-required\n");
    assert_eq!(gets(&mut world, admin, "LOGIN admin secret"), "OK\n");

    let mut world = World::with(Settings { reserved_names, ..settings() });
    let line = world.connects(Dialect::Line);
    for name in ["ADMIN", "root", "HelpDesk"] {
        assert_eq!(gets(&mut world, line, &format!("LOGIN {name}")), RESERVED);
    }
    let slash = world.slash("carol");
    world.hears(slash);
    assert_eq!(gets(&mut world, slash, "/nick root"), "ERROR: Nickname is reserved\n");
    let gob = world.gob("root");
    let told = shown(&world.took_bytes(gob));
    assert!(told.contains(&"server: your name here is root~2".to_owned()), "{told:?}");
    let typed = world.connects(Dialect::Typed);
    world.asks(typed, &Request::LoginName("root"));
    world.asks(typed, &Request::LoginPassword(Secret("secret")));
    world.settles();
    assert!(!world.replies(typed).iter().any(|reply| reply.starts_with("in: ")));
    // The seat of a stranger neither.
    let refused = asks(&mut world, HERE, Operation::Create, "den", "root");
    assert_eq!(refused, Err(Refusal::BadName));
}

#[test]
fn a_name_that_looks_like_an_accounts_gets_none() {
    let mut world = World::new();
    let first = world.line("William");
    assert_eq!(gets(&mut world, first, "REGISTER secret"), "OK\n");
    for name in ["WiIIiarn", "wi1liam", "w\u{456}lliam", "adm1n", "rnoderator"] {
        let other = world.line(name);
        assert_eq!(gets(&mut world, other, "REGISTER secret"), LOOKS, "{name}");
        world.vanishes(other);
    }
    world.hears(first);
    // The name is free for others once its account is deleted.
    assert_eq!(gets(&mut world, first, "UNREGISTER secret"), "OK\n");
    let other = world.line("wi1liam");
    assert_eq!(gets(&mut world, other, "REGISTER secret"), "OK\n");
}

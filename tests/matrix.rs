//! Everybody with everybody: what is said in one dialect arrives in each, once, from the right sender, and as it was said.

mod support;

use parlance::wire::Dialect;
use parlance::wire::typed::{Request, TagSet};
use support::TestServer;
use support::person::{AnyPeer, Heard, IN_ROOMS, Person, notice, private, room};
use support::typed::{Letter, Told, TypedPeer};

/// What is said: each kind of text that some dialect might stumble over.
fn texts() -> Vec<String> {
    vec![
        "plain words".to_owned(),
        "Zoë – 世界 🦀, e\u{301}; {\"json\": \"quotes\"} \\n".to_owned(),
        "two\nlines".to_owned(),
        "a NUL \0 and \u{1b}[31mred\u{1b}[0m, \u{85}\u{2028}\u{202e}backwards".to_owned(),
        "tab\tand  blanks".to_owned(),
        "__REGISTER__ or not".to_owned(),
        "é".repeat(2000),
        "🦀".repeat(1000),
    ]
}

/// Everybody is as far as everybody else: nothing that happened before is still to be heard.
fn settle(people: &mut [Person]) {
    for person in people {
        person.heard();
    }
}

/// `speaker` has done something. Waits until it is done, and compares what each of them heard of it.
#[track_caller]
fn expect_heard(people: &mut [Person], speaker: usize, expected: impl Fn(usize, &Person) -> Vec<Heard>) {
    let order = std::iter::once(speaker).chain((0..people.len()).filter(|&index| index != speaker));
    for index in order {
        let heard = people[index].heard();
        let (from, to) = (people[speaker].name.clone(), &people[index]);
        assert_eq!(heard, expected(index, to), "from {from} to {}", to.name);
    }
}

/// Two of each dialect in the lobby.
fn crowd(server: &TestServer) -> Vec<Person> {
    let mut people: Vec<_> = ["1", "2"]
        .into_iter()
        .flat_map(|number| IN_ROOMS.map(|dialect| (dialect, format!("{}{number}", dialect.name()))))
        .map(|(dialect, name)| Person::in_lobby(server, dialect, &name))
        .collect();
    settle(&mut people);
    people
}

#[test]
fn what_is_said_in_the_lobby_reaches_everybody_in_each_dialect() {
    let server = TestServer::start();
    let mut people = crowd(&server);
    let mut said = 0;
    for speaker in 0..people.len() {
        for text in texts() {
            if !people[speaker].can_say(&text) {
                continue;
            }
            let from = people[speaker].name.clone();
            people[speaker].say(&text);
            expect_heard(&mut people, speaker, |index, person| {
                if index == speaker {
                    person.echo(&text)
                } else {
                    person.shown(&text, |text| room(&from, text))
                }
            });
            said += 1;
        }
    }
    // Nobody has to be waited for.
    drop(people);
    let report = server.stop();
    assert_eq!((report.metrics.messages, report.metrics.cut), (said, 0));
}

#[test]
fn what_is_told_to_one_reaches_that_one_alone() {
    let server = TestServer::start();
    let mut people = crowd(&server);
    for tags in [TagSet::InUse, TagSet::Document] {
        let name = format!("typed-{tags:?}");
        people.push(Person::with_mailbox(&server, tags, &name, "secret"));
    }
    settle(&mut people);
    let mut told = 0;
    for speaker in 0..people.len() {
        for listener in 0..people.len() {
            for text in texts() {
                if !people[speaker].can_say(&text) {
                    continue;
                }
                let [from, to] = [speaker, listener].map(|index| people[index].name.clone());
                // Names are the same in any case.
                people[speaker].tell(&to.to_uppercase(), &text);
                expect_heard(&mut people, speaker, |index, person| {
                    let mut expected = Vec::new();
                    if index == listener {
                        expected.extend(person.shown(&text, |text| private(&from, text)));
                    }
                    if index == speaker {
                        expected.extend(person.sent(&to, &text));
                    }
                    expected
                });
                told += 1;
            }
        }
    }
    // Nobody has to be waited for.
    drop(people);
    let report = server.stop();
    assert_eq!((report.metrics.directs, report.metrics.messages, report.metrics.cut), (told, 0, 0));
}

#[test]
fn nobody_of_that_name_is_told_in_the_words_of_each_dialect() {
    let server = TestServer::start();
    let mut people = crowd(&server);
    people.push(Person::with_mailbox(&server, TagSet::InUse, "typed", "secret"));
    settle(&mut people);
    for speaker in 0..people.len() {
        people[speaker].tell("nobody", "hi");
        let answer = match people[speaker].peer {
            AnyPeer::Line(_) => "ERR user-not-found nobody",
            AnyPeer::Slash(_) => "ERROR: User not found",
            AnyPeer::Seat(_) | AnyPeer::Gob(_) => "there is no nobody here",
            AnyPeer::Typed(_) => "Error(\"there is no nobody here\")",
        };
        expect_heard(
            &mut people,
            speaker,
            |index, _| {
                if index == speaker { vec![notice(answer)] } else { vec![] }
            },
        );
    }
}

fn contents(letters: &[Letter]) -> Vec<(&str, &str, &str)> {
    letters.iter().map(|letter| (&*letter.sender, &*letter.recipient, &*letter.content)).collect()
}

/// What `tycho` wrote to somebody with an account, and was answered.
fn exchanged<'a>(texts: &'a [String], name: &'a str) -> Vec<(&'a str, &'a str, &'a str)> {
    let sent = texts.iter().map(|text| ("tycho", name, &**text));
    sent.chain([(name, "tycho", "thanks")]).collect()
}

#[test]
fn whoever_has_an_account_finds_in_the_mailbox_what_was_told_to_any_dialect() {
    let server = TestServer::start();
    let dialects = [Dialect::Line, Dialect::Slash, Dialect::Tcrp];
    for dialect in dialects {
        server.account(&format!("own-{}", dialect.name()), "secret");
    }
    let mut people: Vec<_> = dialects
        .into_iter()
        .flat_map(|dialect| {
            let name = dialect.name();
            [
                Person::proved_in_lobby(&server, dialect, &format!("own-{name}"), "secret"),
                Person::in_lobby(&server, dialect, &format!("guest-{name}")),
            ]
        })
        .collect();
    people.push(Person::with_mailbox(&server, TagSet::InUse, "tycho", "secret"));
    let sender = people.len() - 1;
    settle(&mut people);
    for listener in 0..sender {
        let to = people[listener].name.clone();
        for text in texts() {
            people[sender].tell(&to, &text);
            expect_heard(&mut people, sender, |index, person| {
                if index == listener { person.shown(&text, |text| private("tycho", text)) } else { vec![] }
            });
        }
        // And back: with an account both have it in their mailbox, without one its recipient alone.
        people[listener].tell("tycho", "thanks");
        expect_heard(&mut people, listener, |index, person| match index {
            index if index == sender => vec![private(&to, "thanks")],
            index if index == listener => person.sent("tycho", "thanks"),
            _ => vec![],
        });
    }
    let AnyPeer::Typed(tycho) = &mut people[sender].peer else { unreachable!("the last one is typed") };
    let texts = texts();
    for dialect in dialects {
        let (own, guest) = (format!("own-{}", dialect.name()), format!("guest-{}", dialect.name()));
        assert_eq!(contents(&tycho.conversation(&own)), exchanged(&texts, &own));
        // Nothing that was only live is kept, and what a guest wrote is.
        assert_eq!(contents(&tycho.conversation(&guest)), [(&*guest, "tycho", "thanks")]);
        let mut mailbox = TypedPeer::connect(&server, TagSet::Document);
        mailbox.log_in(&own, "secret");
        assert_eq!(contents(&mailbox.conversation("tycho")), exchanged(&texts, &own));
        assert!(mailbox.users().contains(&("tycho".to_owned(), texts.len() as u32)));
    }
    let users = tycho.users();
    for dialect in dialects {
        assert!(users.contains(&(format!("guest-{}", dialect.name()), 1)), "{users:?}");
    }
}

#[test]
fn what_is_told_to_a_mailbox_waits_there_for_its_owner() {
    let server = TestServer::start();
    server.account("tycho", "secret");
    let mut people = crowd(&server);
    let mut expected = Vec::new();
    for speaker in 0..people.len() {
        for text in texts() {
            if !people[speaker].can_say(&text) {
                continue;
            }
            people[speaker].tell("Tycho", &text);
            expect_heard(&mut people, speaker, |index, person| {
                if index == speaker { person.sent("tycho", &text) } else { vec![] }
            });
            expected.push((people[speaker].name.clone(), text));
        }
    }
    for tags in [TagSet::InUse, TagSet::Document] {
        let mut tycho = TypedPeer::connect(&server, tags);
        tycho.log_in("tycho", "secret");
        for person in &people {
            let letters = tycho.conversation(&person.name);
            let sent = expected.iter().filter(|(sender, _)| *sender == person.name);
            let sent: Vec<_> = sent.map(|(sender, text)| (&**sender, "tycho", &**text)).collect();
            assert_eq!(contents(&letters), sent);
            assert!(letters.iter().all(|letter| letter.unread));
        }
        assert_eq!(tycho.users().len(), 1 + people.len());
    }
}

#[test]
fn what_is_too_long_for_a_dialect_is_cut_there_and_counted() {
    let server = TestServer::start();
    let mut line = server.line("lieselotte");
    let mut slash = server.slash("slash");
    let mut people: Vec<_> = [Dialect::Ucrp, Dialect::Gob]
        .map(|dialect| Person::in_lobby(&server, dialect, dialect.name()))
        .into();
    let mut typed = Person::with_mailbox(&server, TagSet::InUse, "typed", "secret");
    settle(&mut people);
    slash.expect("*** ucrp joined the room\n*** gob joined the room\n");
    // The most that a line carries, and a text of three bytes a character.
    let text = format!("{}x", "世".repeat((4096 - "MSG \n".len() - 1) / 3));
    line.send(format!("MSG {text}\n"));
    // The command is longer here, and the text as much shorter.
    let dm = &text[6..];
    line.send(format!("DM ucrp {dm}\nDM gob {dm}\nDM typed {dm}\nPING\n"));
    line.expect("PONG\n");
    slash.expect(&format!("[HH:MM:SS] lieselotte: {text}\n"));
    assert_eq!(typed.heard(), [private("lieselotte", dm)]);
    for person in &mut people {
        let heard = person.heard();
        let [Heard::Room(sender, said), Heard::Private(from, told)] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!((&**sender, &**from), ("lieselotte", "lieselotte"));
        for (cut, whole) in [(said, &*text), (told, dm)] {
            let kept = cut.strip_suffix('…').unwrap_or_else(|| panic!("{} bytes, not cut", cut.len()));
            assert!(whole.starts_with(kept));
            assert!(kept.len() >= 4000, "no more than has to be is cut: {}", kept.len());
        }
    }
    drop((line, slash, people, typed));
    assert_eq!(server.stop().metrics.cut, 4);
}

#[test]
fn a_text_that_is_longer_than_others_could_carry_is_refused_by_the_dialect_that_could() {
    let server = TestServer::start();
    server.account("anna", "secret");
    let mut tycho = TypedPeer::connect(&server, TagSet::InUse);
    tycho.log_in("tycho", "secret");
    let longest = "x".repeat(4096);
    tycho.send(Request::Send { recipient: "anna", content: &longest });
    let longer = format!("{longest}x");
    for request in [
        Request::Send { recipient: "anna", content: &longer },
        Request::SendKept { recipient: "anna", content: &longer, key: "k" },
    ] {
        assert_eq!(tycho.ask(request), Told::Error("the text is too long".to_owned()));
    }
    assert_eq!(contents(&tycho.conversation("anna")), [("tycho", "anna", &*longest)]);
}

#[test]
fn the_history_of_a_room_shows_what_was_said_in_each_dialect() {
    let server = TestServer::start();
    let mut people: Vec<_> =
        IN_ROOMS.map(|dialect| Person::in_lobby(&server, dialect, dialect.name())).into();
    settle(&mut people);
    for person in &mut people {
        let text = if person.is_of_lines() { "one line" } else { "two\nlines" };
        person.say(text);
        person.heard();
    }
    let mut late = server.slash("late");
    late.send("/history 4\n");
    late.expect("[HH:MM:SS] line: one line\n[HH:MM:SS] slash: one line\n");
    late.expect("[HH:MM:SS] ucrp: two\n[HH:MM:SS] ucrp: lines\n[HH:MM:SS] gob: two\n[HH:MM:SS] gob: lines\n");
}

#[test]
fn who_comes_and_goes_is_seen_by_those_whose_dialect_has_words_for_it() {
    let server = TestServer::start();
    let mut people: Vec<_> =
        IN_ROOMS.map(|dialect| Person::in_lobby(&server, dialect, &format!("{}1", dialect.name()))).into();
    let mut witness = server.slash("witness");
    settle(&mut people);
    for dialect in IN_ROOMS {
        let name = format!("{}2", dialect.name());
        let mut other = Person::in_lobby(&server, dialect, &name);
        other.heard();
        for person in &mut people {
            let expected = match person.peer {
                AnyPeer::Slash(_) => vec![notice(&format!("*** {name} joined the room"))],
                AnyPeer::Gob(_) => vec![notice(&format!("Join {name}"))],
                _ => vec![],
            };
            assert_eq!(person.heard(), expected, "{}", person.name);
        }
        match &mut other.peer {
            AnyPeer::Line(peer) => {
                peer.finish();
                peer.expect_end();
            }
            AnyPeer::Slash(peer) => {
                peer.send("/quit\n");
                peer.expect("Goodbye!\n");
                peer.expect_end();
            }
            AnyPeer::Seat(seat) => {
                seat.leave();
                // Nothing answers a seat that is none.
                witness.line_where(|line| line == format!("*** {name} left the room"));
            }
            AnyPeer::Gob(peer) => {
                peer.finish();
                peer.expect_end();
            }
            AnyPeer::Typed(_) => unreachable!("it has no rooms"),
        }
        for person in &mut people {
            let expected = match person.peer {
                AnyPeer::Line(_) => vec![notice(&format!("INFO {name} disconnected"))],
                AnyPeer::Slash(_) => vec![notice(&format!("*** {name} left the room"))],
                AnyPeer::Gob(_) => vec![notice(&format!("Leave {name}"))],
                _ => vec![],
            };
            assert_eq!(person.heard(), expected, "{}", person.name);
        }
    }
}

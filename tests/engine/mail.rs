//! Accounts and mailboxes, in the typed dialect and across the others.

use std::collections::HashMap;

use parlance::chat::{Change, HistoryRules, Kept, OpId, Secret, UnixMillis};
use parlance::engine::{Engine, Random, Settings};
use parlance::limits::{
    MAIL_BYTES_AROUND, MAIL_LISTED_BYTES_MAX, MAILBOX_BYTES_MAX, MAILBOX_SENDER_BYTES_MAX,
    MAILBOX_STRANGERS_BYTES_MAX, TEXT_BYTES_MAX,
};
use parlance::store::memory::MemoryStore;
use parlance::store::{Reader, Store};
use parlance::wire::Dialect;
use parlance::wire::typed::{Frame, Reply, Request, TagSet};

use crate::dice::Dice;
use crate::pace::shown;
use crate::world::{Client, World, hash, settings};

const TAGS: TagSet = TagSet::InUse;

impl World {
    pub(crate) fn asks(&mut self, client: Client, request: &Request<'_>) {
        let mut bytes = Vec::new();
        request.encode(TAGS, &mut bytes).expect("short");
        self.sends(client, &bytes);
    }

    /// What came of it.
    pub(crate) fn replies(&mut self, client: Client) -> Vec<String> {
        self.settles();
        let bytes = self.took_bytes(client);
        let mut rest = &bytes[..];
        let mut replies = Vec::new();
        while !rest.is_empty() {
            let decoded = Reply::decode(TAGS, rest);
            let Frame::Whole(reply) = decoded.frame else { panic!("{decoded:?}") };
            replies.push(match reply {
                Reply::Error(reason) => format!("error: {reason}"),
                Reply::NameKnown => "known".to_owned(),
                Reply::NameNew => "new".to_owned(),
                Reply::LoggedIn(names) => format!("in: {}", names.collect::<Vec<_>>().join(" ")),
                Reply::LoginFailed => "failed".to_owned(),
                Reply::Messages(messages) => {
                    let shown = messages.map(|m| {
                        format!(
                            "{}>{}:{}{}",
                            m.sender,
                            m.recipient,
                            m.content,
                            if m.unread { "*" } else { "" }
                        )
                    });
                    format!("[{}]", shown.collect::<Vec<_>>().join(", "))
                }
                Reply::Users(users) => {
                    let shown = users.map(|user| format!("{}={}", user.name, user.unread));
                    format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
                }
                Reply::Message(m) => format!("{}>{}:{}", m.sender, m.recipient, m.content),
                Reply::Kept { key, id } => format!("kept {key} {}", id.len()),
            });
            rest = &rest[decoded.consumed..];
        }
        replies
    }

    pub(crate) fn gets(&mut self, client: Client, request: &Request<'_>) -> Vec<String> {
        self.asks(client, request);
        self.replies(client)
    }

    /// Somebody with an account, which is made where there is none; the password is the name.
    pub(crate) fn mail_user(&mut self, name: &str) -> Client {
        let client = self.connects(Dialect::Typed);
        self.asks(client, &Request::LoginName(name));
        self.asks(client, &Request::LoginPassword(Secret(name)));
        let replies = self.replies(client);
        assert!(replies[1].starts_with("in: "), "{replies:?}");
        client
    }

    fn sends_mail(&mut self, client: Client, recipient: &str, content: &str) {
        assert_eq!(self.gets(client, &Request::Send { recipient, content }), [""; 0]);
    }
}

/// The ids of a conversation, oldest first.
fn ids(world: &mut World, client: Client, with: &str) -> Vec<String> {
    world.asks(client, &Request::ListMessages(with));
    world.settles();
    let bytes = world.took_bytes(client);
    let Frame::Whole(Reply::Messages(messages)) = Reply::decode(TAGS, &bytes).frame else {
        panic!("{bytes:?}")
    };
    messages.map(|message| message.id.to_owned()).collect()
}

#[test]
fn an_account_is_made_and_proved() {
    let mut world = World::new();
    let alice = world.connects(Dialect::Typed);
    assert_eq!(world.gets(alice, &Request::ListUsers), ["error: not logged in"]);
    assert_eq!(world.gets(alice, &Request::LoginPassword(Secret("x"))), ["error: not logged in"]);
    assert_eq!(world.gets(alice, &Request::LoginName("alice")), ["new"]);
    assert_eq!(world.gets(alice, &Request::LoginPassword(Secret("alice"))), ["in: alice"]);
    let other = world.connects(Dialect::Typed);
    assert_eq!(world.gets(other, &Request::LoginName("ALICE")), ["known"]);
    assert_eq!(world.gets(other, &Request::LoginPassword(Secret("wrong"))), ["failed"]);
    assert_eq!(world.gets(other, &Request::ListUsers), ["error: not logged in"]);
    assert_eq!(world.gets(other, &Request::LoginPassword(Secret("alice"))), ["in: alice"]);
    // A bare PING names nobody, and then a password proves it.
    let third = world.connects(Dialect::Typed);
    assert_eq!(world.gets(third, &Request::Ping(Some("alice"))), [""; 0]);
    assert_eq!(world.gets(third, &Request::ListUsers), ["error: not logged in"]);
    assert_eq!(world.gets(third, &Request::LoginPassword(Secret("alice"))), ["in: alice"]);
    assert_eq!(world.gets(third, &Request::Ping(Some("alice"))), [""; 0]);
    assert_eq!(world.gets(third, &Request::ListUsers), ["{alice=0}"]);
    assert_eq!(world.gets(third, &Request::Ping(None)), [""; 0]);
    assert_eq!(world.metrics().wrong_passwords, 1);
}

#[test]
fn messages_are_kept_counted_read_and_deleted() {
    let mut world = World::new();
    let [alice, bob] = ["alice", "bob"].map(|name| world.mail_user(name));
    for content in ["one", "two", ""] {
        world.sends_mail(alice, "Bob", content);
    }
    world.sends_mail(bob, "alice", "three");
    world.sends_mail(alice, "alice", "to myself");
    let all = "[alice>bob:one*, alice>bob:two*, alice>bob:*, bob>alice:three*]";
    assert_eq!(world.gets(alice, &Request::ListMessages("bob")), [all]);
    assert_eq!(world.gets(bob, &Request::ListMessages("ALICE")), [all]);
    assert_eq!(world.gets(alice, &Request::ListMessages("alice")), ["[alice>alice:to myself*]"]);
    assert_eq!(world.gets(bob, &Request::ListUsers), ["{alice=3, bob=0}"]);
    assert_eq!(world.gets(alice, &Request::ListUsers), ["{alice=1, bob=1}"]);
    assert_eq!(world.gets(bob, &Request::MarkRead("alice")), [""; 0]);
    assert_eq!(world.gets(bob, &Request::ListUsers), ["{alice=0, bob=0}"]);
    let ids = ids(&mut world, alice, "bob");
    let history = |before, count| Request::History { other: "bob", before, count };
    assert_eq!(world.gets(alice, &history(None, 2)), ["[alice>bob:, bob>alice:three*]"]);
    assert_eq!(world.gets(alice, &history(Some(&ids[2]), 1)), ["[alice>bob:two]"]);
    assert_eq!(world.gets(alice, &history(Some("nonsense"), 1)), ["[]"]);
    // By the sender, for both; by the recipient, for itself.
    assert_eq!(world.gets(alice, &Request::DeleteMessage(&ids[0])), [""; 0]);
    assert_eq!(world.gets(bob, &Request::DeleteMessage(&ids[1])), [""; 0]);
    assert_eq!(world.gets(bob, &Request::DeleteMessage("nonsense")), [""; 0]);
    assert_eq!(
        world.gets(alice, &Request::ListMessages("bob")),
        ["[alice>bob:two, alice>bob:, bob>alice:three*]"]
    );
    assert_eq!(world.gets(bob, &Request::ListMessages("alice")), ["[alice>bob:, bob>alice:three*]"]);
    let carol = world.mail_user("carol");
    assert_eq!(world.gets(carol, &Request::DeleteMessage(&ids[2])), [""; 0], "not hers");
    assert_eq!(world.gets(bob, &Request::ListMessages("alice")), ["[alice>bob:, bob>alice:three*]"]);
    assert_eq!(world.gets(carol, &Request::ListMessages("alice")), ["[]"]);
}

#[test]
fn an_account_that_is_deleted_takes_its_messages_along() {
    let mut world = World::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| world.mail_user(name));
    let alice_too = world.mail_user("alice");
    world.sends_mail(alice, "bob", "one");
    world.sends_mail(bob, "alice", "two");
    world.sends_mail(carol, "bob", "three");
    let kept = ids(&mut world, alice, "bob");
    // Deleted from her own view, and gone all the same.
    assert_eq!(world.gets(alice, &Request::DeleteMessage(&kept[1])), [""; 0]);
    assert_eq!(world.gets(alice, &Request::DeleteAccount), [""; 0]);
    assert_eq!(world.gets(alice, &Request::ListUsers), ["error: not logged in"]);
    assert_eq!(world.gets(alice_too, &Request::ListUsers), ["error: not logged in"]);
    assert_eq!(world.gets(bob, &Request::ListUsers), ["{bob=0, carol=1}"]);
    assert_eq!(world.gets(bob, &Request::ListMessages("alice")), ["[]"]);
    // Somebody else may have the name, and finds nothing under it.
    let new = world.connects(Dialect::Typed);
    assert_eq!(world.gets(new, &Request::LoginName("alice")), ["new"]);
    assert_eq!(world.gets(new, &Request::LoginPassword(Secret("other"))), ["in: bob carol alice"]);
    assert_eq!(world.gets(new, &Request::ListMessages("bob")), ["[]"]);
}

#[test]
fn what_was_sent_without_an_account_belongs_to_no_later_account_of_that_name() {
    let mut world = World::new();
    let alice = world.mail_user("alice");
    let stranger = world.line("zoe");
    world.types(stranger, "DM alice secret");
    assert_eq!(world.hears(stranger), "");
    assert_eq!(world.gets(alice, &Request::ListUsers), ["{alice=0, zoe=1}"], "who wrote is listed");
    // As long as somebody has the name without an account, nobody can make one of it.
    let thief = world.connects(Dialect::Typed);
    assert_eq!(world.gets(thief, &Request::LoginName("zoe")), ["known"]);
    assert_eq!(world.gets(thief, &Request::LoginPassword(Secret("zoe"))), ["failed"]);
    world.vanishes(stranger);
    assert_eq!(world.gets(thief, &Request::LoginPassword(Secret("zoe"))), ["in: alice zoe"]);
    assert_eq!(world.gets(thief, &Request::ListMessages("alice")), ["[]"]);
    assert_eq!(world.gets(alice, &Request::ListMessages("zoe")), ["[]"], "that is another one now");
    assert_eq!(world.gets(alice, &Request::ListMessages("zoe (no account)")), ["[zoe>alice:secret*]"]);
}

#[test]
fn direct_messages_are_live_and_kept_across_dialects() {
    let mut world = World::new();
    let mail = world.mail_user("alice");
    world.mail_user("bob");
    let bob = world.connects(Dialect::Line);
    world.types(bob, "LOGIN bob bob");
    assert_eq!(world.hears(bob), "OK\n");
    world.sends_mail(mail, "bob", "hi\nthere");
    assert_eq!(world.hears(bob), "DM alice hi\nDM alice there\n");
    assert_eq!(world.gets(mail, &Request::Subscribe(true)), [""; 0]);
    world.types(bob, "DM alice hello");
    assert_eq!(world.hears(bob), "");
    assert_eq!(world.replies(mail), ["bob>alice:hello"]);
    assert_eq!(world.gets(mail, &Request::ListMessages("bob")), ["[alice>bob:hi\nthere*, bob>alice:hello*]"]);
    // Without an account: live, as long as somebody is there.
    let gob = world.gob("carol");
    world.sends_mail(mail, "carol", "hey");
    world.settles();
    assert_eq!(shown(&world.took_bytes(gob)), ["alice (private): hey"]);
    assert_eq!(
        world.gets(mail, &Request::Send { recipient: "nobody", content: "x" }),
        ["error: there is no nobody here"]
    );
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(
        world.gets(mail, &Request::Send { recipient: "bob", content: &long }),
        ["error: the text is too long"]
    );
}

#[test]
fn a_message_with_a_key_is_sent_once() {
    let mut world = World::new();
    let [alice, bob] = ["alice", "bob"].map(|name| world.mail_user(name));
    let kept = |content, key| Request::SendKept { recipient: "bob", content, key };
    world.asks(alice, &kept("one", "k"));
    world.settles();
    let first = world.took_bytes(alice);
    world.asks(alice, &kept("one", "k"));
    world.settles();
    assert_eq!(world.took_bytes(alice), first, "the same id");
    assert_eq!(world.gets(alice, &kept("two", "l")), ["kept l 36"]);
    // Another account's key is another key.
    let send = Request::SendKept { recipient: "alice", content: "three", key: "k" };
    assert_eq!(world.gets(bob, &send), ["kept k 36"]);
    assert_eq!(
        world.gets(bob, &Request::ListMessages("alice")),
        ["[alice>bob:one*, alice>bob:two*, bob>alice:three*]"]
    );
    assert_eq!(
        world.gets(alice, &Request::SendKept { recipient: "nobody", content: "x", key: "m" }),
        ["error: there is no nobody here"]
    );
    // An empty key is none: each is sent, and acknowledged.
    assert_eq!(world.gets(alice, &kept("four", "")), ["kept  36"]);
    assert_eq!(world.gets(alice, &kept("five", "")), ["kept  36"]);
    assert!(
        world.gets(bob, &Request::ListMessages("alice"))[0].ends_with("alice>bob:four*, alice>bob:five*]")
    );
    let key = "k".repeat(129);
    assert_eq!(world.gets(alice, &kept("x", &key)), ["error: the text is too long"]);
}

#[test]
fn names_with_accounts_need_their_password_in_each_dialect() {
    let mut world = World::new();
    let mail = world.mail_user("alice");
    let line = world.connects(Dialect::Line);
    world.types(line, "LOGIN alice");
    assert_eq!(world.hears(line), "ERR password-required\n");
    world.types(line, "LOGIN alice wrong");
    assert_eq!(world.hears(line), "ERR wrong-password\n");
    world.types(line, "LOGIN Alice alice");
    assert_eq!(world.hears(line), "OK\n");
    let slash = world.connects(Dialect::Slash);
    world.types(slash, "alice");
    world.types(slash, "wrong");
    assert!(world.hears(slash).ends_with("Login failed: Wrong password\n"));
    assert_eq!(world.hears(line), "", "a wrong password ends nothing");
    let slash = world.connects(Dialect::Slash);
    world.types(slash, "alice");
    assert!(world.hears(slash).ends_with("nickname: Password: "));
    world.types(slash, "alice");
    assert!(world.hears(slash).starts_with("Welcome alice! You are in #lobby\n"));
    world.types(slash, "/nick carol");
    world.types(slash, "/nick alice");
    assert!(
        world.hears(slash).ends_with("ERROR: Nickname has an account: log in with its password\n"),
        "a name is proved at the login only"
    );
    let slash = world.connects(Dialect::Slash);
    world.types(slash, "alice");
    world.types(slash, "wrong");
    assert!(world.hears(slash).ends_with("Password: Login failed: Wrong password\n"));
    assert!(world.ended(slash).is_some());
    let gob = world.gob("alice");
    assert_eq!(shown(&world.took_bytes(gob)), ["server: your name here is alice~2"]);
    assert_eq!(world.gets(mail, &Request::ListUsers), ["{alice=0}"]);
}

#[test]
fn what_follows_a_password_waits_until_it_is_compared() {
    let mut world = World::new();
    world.mail_user("alice");
    world.compares_at_once = false;
    let line = world.connects(Dialect::Line);
    world.types(line, "LOGIN alice alice");
    world.types(line, "WHO");
    world.types(line, "PING");
    assert_eq!(world.hears(line), "");
    world.compares_passwords();
    assert_eq!(world.hears(line), "OK\nUSER alice\nPONG\n");
    // What came before the end is carried out, however long that takes.
    world.vanishes(line);
    let line = world.connects(Dialect::Line);
    world.types(line, "LOGIN alice alice");
    assert!(!world.listens_to(line), "the end is not read before");
    world.compares_passwords();
    assert_eq!(world.hears(line), "OK\n");
    assert!(world.listens_to(line));
    // Who is gone by then is not logged in.
    let other = world.connects(Dialect::Typed);
    world.asks(other, &Request::LoginName("bob"));
    world.asks(other, &Request::LoginPassword(Secret("bob")));
    world.vanishes(other);
    world.compares_passwords();
    world.settles();
    let bob = world.line("bob");
    assert_eq!(world.hears(bob), "");
}

#[test]
fn of_two_who_make_the_same_account_one_does() {
    let mut world = World::new();
    world.compares_at_once = false;
    let both = [(); 2].map(|()| world.connects(Dialect::Typed));
    for (client, password) in both.into_iter().zip(["one", "two"]) {
        world.asks(client, &Request::LoginName("alice"));
        world.asks(client, &Request::LoginPassword(Secret(password)));
    }
    world.compares_passwords();
    assert_eq!(
        both.map(|client| world.replies(client).pop()),
        [Some("in: alice".into()), Some("failed".into())]
    );
}

#[test]
fn five_wrong_passwords_are_too_many() {
    let mut world = World::with(Settings { login_timeout: 0, ..settings() });
    world.mail_user("alice");
    let thief = world.connects(Dialect::Typed);
    world.asks(thief, &Request::LoginName("alice"));
    world.replies(thief);
    for _ in 0..5 {
        assert_eq!(world.gets(thief, &Request::LoginPassword(Secret("wrong"))), ["failed"]);
    }
    let refused = ["error: too many wrong passwords; try again later"];
    assert_eq!(world.gets(thief, &Request::LoginPassword(Secret("alice"))), refused);
    world.seconds_pass(61);
    assert_eq!(world.gets(thief, &Request::LoginPassword(Secret("alice"))), ["in: alice"]);
}

#[test]
fn an_imported_hash_is_accepted_and_upgraded() {
    let mut world = World::with(Settings { journal: true, ..settings() });
    let imported = parlance::chat::PasswordHash::new("$2b$alice").expect("bcrypt by its prefix");
    let id = parlance::chat::OpId::new(parlance::chat::UnixMillis(1), 0, 7);
    let kept = Kept::Account { name: "alice".into(), password: imported, id: Some(id), is_unused: false };
    world.engine.restore(&kept, world.now);
    let alice = world.mail_user("alice");
    let changed: Vec<_> = world.engine.take_ops().into_iter().map(|op| op.change).collect();
    assert_eq!(
        changed,
        [Change::PasswordChanged { name: "alice".into(), account: Some(id), password: hash("alice") }]
    );
    assert_eq!(world.gets(alice, &Request::ListUsers), ["{alice=0}"]);
}

#[test]
fn a_bare_name_resumes_a_login_of_the_same_address_where_that_is_allowed() {
    for allowed in [false, true] {
        let mut world = World::with(Settings { ping_identity: allowed, ..settings() });
        let first = world.mail_user("alice");
        world.vanishes(first);
        let pinged = |world: &mut World, ip: [u8; 4]| {
            let client = world.connects_from(ip.into(), Dialect::Typed);
            world.asks(client, &Request::Ping(Some("alice")));
            world.gets(client, &Request::ListUsers) == ["{alice=0}"]
        };
        assert_eq!(pinged(&mut world, [127, 0, 0, 1]), allowed);
        assert!(!pinged(&mut world, [127, 0, 0, 2]));
        world.seconds_pass(601);
        assert!(!pinged(&mut world, [127, 0, 0, 1]), "ten minutes later");
    }
}

/// Sends long messages until one is refused. Returns their number, and the refusal.
fn fills(world: &mut World, client: Client, recipient: &str) -> (usize, String) {
    let text = "x".repeat(TEXT_BYTES_MAX);
    for sent in 0..=MAILBOX_BYTES_MAX / TEXT_BYTES_MAX {
        let replies = world.gets(client, &Request::Send { recipient, content: &text });
        if let Some(refused) = replies.into_iter().next() {
            return (sent, refused);
        }
    }
    panic!("a mailbox has a bound")
}

const LONG_BYTES: usize = TEXT_BYTES_MAX + MAIL_BYTES_AROUND;
const FULL: &str = "error: the mailbox is full";
const FULL_FOR_YOU: &str = "error: the mailbox is full for you: it holds as much from you as it may";
const FULL_FOR_UNKNOWN: &str = "error: the mailbox is full for people that its owner has not written to";

#[test]
fn a_mailbox_has_a_bound_and_nothing_is_lost_silently() {
    let mut world = World::new();
    world.checks = false;
    let [alice, bob] = ["alice", "bob"].map(|name| world.mail_user(name));
    let (sent, refused) = fills(&mut world, alice, "bob");
    assert_eq!((sent, &*refused), (MAILBOX_SENDER_BYTES_MAX / LONG_BYTES, FULL_FOR_YOU));
    assert_eq!(world.gets(bob, &Request::ListUsers), [format!("{{alice={sent}, bob=0}}")]);
    // Of so many, as many are listed as a reply holds: the newest.
    let listed = ids(&mut world, bob, "alice");
    assert!(listed.len() > 100 && listed.len() < sent && listed.is_sorted());
    world.gets(bob, &Request::DeleteMessage(&listed[0]));
    assert_eq!(fills(&mut world, alice, "bob"), (1, FULL_FOR_YOU.to_owned()));
    // What she sends is in her own, too.
    let mut all = sent + 1;
    for index in 0.. {
        let name = format!("user{index}");
        world.mail_user(&name);
        let (sent, refused) = fills(&mut world, alice, &name);
        all += sent;
        if refused == FULL {
            break;
        }
        assert_eq!(refused, FULL_FOR_YOU);
    }
    assert_eq!(all, MAILBOX_BYTES_MAX / LONG_BYTES);
    world.check();
}

/// The same people before a restart and after it.
struct Shares {
    world: World,
    strangers: [Client; 2],
    friend: Client,
    ann: Client,
}

impl Shares {
    fn with(mut world: World) -> Self {
        let strangers = ["eve", "mallory"].map(|name| world.line(name));
        let [ann, friend] = ["ann", "friend"].map(|name| world.mail_user(name));
        Self { world, strangers, friend, ann }
    }

    /// Sends long lines, until one is refused.
    fn stranger_fills(&mut self, stranger: usize) -> usize {
        let client = self.strangers[stranger];
        let line = format!("DM ann {}", "x".repeat(TEXT_BYTES_MAX - 100));
        for sent in 0..=MAILBOX_BYTES_MAX / TEXT_BYTES_MAX {
            self.world.types(client, &line);
            let heard = self.world.hears(client);
            if !heard.is_empty() {
                assert_eq!(heard, "ERR mailbox-full-for-strangers\n");
                return sent;
            }
        }
        panic!("strangers have a share")
    }

    fn new_account_fills(&mut self, name: &str) -> (usize, String) {
        let client = self.world.mail_user(name);
        fills(&mut self.world, client, "ann")
    }
}

#[test]
fn strangers_and_unknown_accounts_fill_their_shares_and_friends_still_write() {
    let mut world = World::with(Settings { journal: true, ..settings() });
    world.checks = false;
    let mut shares = Shares::with(world);
    let Shares { ann, friend, .. } = shares;
    shares.world.sends_mail(ann, "friend", "hello");
    shares.world.sends_mail(friend, "ann", "hello yourself");

    let of_strangers = MAILBOX_STRANGERS_BYTES_MAX / (LONG_BYTES - 100);
    assert_eq!(shares.stranger_fills(0), of_strangers);
    assert_eq!(shares.stranger_fills(1), 0, "all strangers have one share");
    for name in ["new0", "new1", "new2"] {
        let (sent, refused) = shares.new_account_fills(name);
        if refused == FULL_FOR_YOU {
            assert_eq!(sent, MAILBOX_SENDER_BYTES_MAX / LONG_BYTES);
        }
    }
    let (_, refused) = shares.new_account_fills("new3");
    assert_eq!(refused, FULL_FOR_UNKNOWN);
    assert_eq!(shares.new_account_fills("new4"), (0, FULL_FOR_UNKNOWN.to_owned()));
    shares.world.check();

    // After a restart it is the same.
    let mut store = MemoryStore::new();
    store.commit(&shares.world.engine.take_ops()).expect("memory");
    let mut restored = World::new();
    restored.checks = false;
    let now = restored.now;
    let last = store.load(&mut |kept| restored.engine.restore(&kept, now)).expect("memory");
    restored.engine.restore_last(last.expect("there are ops"));
    restored.check();
    for mut shares in [shares, Shares::with(restored)] {
        assert_eq!(shares.stranger_fills(0), 0);
        assert_eq!(shares.new_account_fills("new4"), (0, FULL_FOR_UNKNOWN.to_owned()));
        let friend = shares.friend;
        let (sent, refused) = fills(&mut shares.world, friend, "ann");
        assert_eq!((sent, &*refused), (MAILBOX_SENDER_BYTES_MAX / LONG_BYTES, FULL_FOR_YOU));
        // The owner has space for an answer, and knows its recipient then.
        let ann = shares.ann;
        shares.world.sends_mail(ann, "new4", "who are you?");
        assert_eq!(shares.new_account_fills("new4").1, FULL_FOR_YOU);
        // A cleared conversation is space for others of its share.
        assert_eq!(shares.world.gets(ann, &Request::Clear("eve")), [""; 0]);
        assert_eq!(shares.stranger_fills(1), of_strangers);
        shares.world.check();
    }
}

#[test]
fn what_a_mailbox_has_no_space_for_still_reaches_those_who_are_there() {
    let mut world = World::new();
    world.checks = false;
    let mut shares = Shares::with(world);
    shares.stranger_fills(0);
    let ann = shares.world.connects(Dialect::Line);
    shares.world.types(ann, "LOGIN ann ann");
    shares.world.hears(ann);
    let text = "x".repeat(TEXT_BYTES_MAX - 100);
    shares.world.types(shares.strangers[1], &format!("DM ann {text}"));
    assert_eq!(shares.world.hears(shares.strangers[1]), "");
    assert_eq!(shares.world.hears(ann), format!("DM mallory {text}\n"));
    assert_eq!(shares.world.gets(shares.ann, &Request::ListMessages("mallory")), ["[]"], "it is not kept");
    shares.world.check();
}

#[test]
fn a_conversation_is_cleared_from_the_view_of_the_one_who_asks() {
    let mut world = World::with(Settings { journal: true, ..settings() });
    let [alice, bob] = ["alice", "bob"].map(|name| world.mail_user(name));
    for (from, to, text) in [(alice, "bob", "one"), (bob, "alice", "two"), (alice, "alice", "note")] {
        world.sends_mail(from, to, text);
    }
    assert_eq!(world.gets(alice, &Request::Clear("bob")), [""; 0]);
    assert_eq!(world.gets(alice, &Request::Clear("nobody")), [""; 0]);
    let list = |world: &mut World, of, with| world.gets(of, &Request::ListMessages(with));
    assert_eq!(list(&mut world, alice, "bob"), ["[]"]);
    assert_eq!(list(&mut world, alice, "alice"), ["[alice>alice:note*]"]);
    assert_eq!(list(&mut world, bob, "alice"), ["[alice>bob:one*, bob>alice:two*]"]);
    let kept = |store: &mut MemoryStore| {
        let mut letters = 0;
        store.load(&mut |kept| letters += usize::from(matches!(kept, Kept::Letter(_)))).expect("memory");
        letters
    };
    let mut store = MemoryStore::new();
    store.commit(&world.engine.take_ops()).expect("memory");
    assert_eq!(kept(&mut store), 3);
    assert_eq!(world.gets(alice, &Request::Clear("alice")), [""; 0]);
    assert_eq!(list(&mut world, alice, "alice"), ["[]"]);
    assert_eq!(world.gets(bob, &Request::Clear("alice")), [""; 0]);
    assert_eq!(list(&mut world, bob, "alice"), ["[]"]);
    store.commit(&world.engine.take_ops()).expect("memory");
    assert_eq!(kept(&mut store), 0, "what both have cleared is gone");
}

#[test]
fn more_unread_mail_than_an_answer_holds_is_read_from_its_oldest_on() {
    let mut world = World::new();
    world.checks = false;
    let [_, bob] = ["alice", "bob"].map(|name| world.mail_user(name));
    let text = "x".repeat(TEXT_BYTES_MAX - 10);
    let each = MAIL_LISTED_BYTES_MAX / (LONG_BYTES - 6);
    let all = each * 2 + each / 2;
    for index in 0..all {
        world.sends_mail(bob, "alice", &format!("{index:04}{text}"));
    }
    let alice = world.connects(Dialect::Line);
    world.types(alice, "LOGIN alice alice");
    let mut read = Vec::new();
    let mut heard = world.hears(alice);
    assert_eq!(heard, format!("OK\nINFO {all} messages wait: MAIL\n"));
    while heard.contains("messages wait") {
        world.types(alice, "MAIL bob");
        heard = world.hears(alice);
        assert!(heard.ends_with("OK\n"));
        let lines = heard.lines().filter(|line| line.starts_with("FROM "));
        read.extend(lines.filter_map(|line| line.split(' ').nth(3)?[..4].parse::<usize>().ok()));
    }
    read.dedup();
    assert_eq!(read[..2 * each], (0..2 * each).collect::<Vec<_>>(), "each once, oldest first");
    // The rest comes with earlier messages, up to the size of an answer.
    assert_eq!(read.last(), Some(&(all - 1)));
    world.types(alice, "MAIL");
    assert_eq!(world.hears(alice), "MAIL bob 0\nOK\n");
    world.check();
}

/// What a plain program would keep.
#[derive(Default)]
struct Model {
    /// Who has an account, oldest first.
    accounts: Vec<usize>,
    /// From whom, to whom, what, unread, and whether each of them sees it.
    letters: Vec<(usize, usize, String, bool, bool, bool)>,
}

impl Model {
    fn conversation(&self, reader: usize, with: usize) -> String {
        let seen = self.letters.iter().filter(|(from, to, _, _, sender_sees, recipient_sees)| {
            ((*from, *to) == (reader, with) && *sender_sees)
                || ((*from, *to) == (with, reader) && *recipient_sees)
        });
        let shown = seen.map(|(from, to, text, unread, ..)| {
            format!("{}>{}:{text}{}", NAMES[*from], NAMES[*to], if *unread { "*" } else { "" })
        });
        format!("[{}]", shown.collect::<Vec<_>>().join(", "))
    }

    fn users(&self, reader: usize) -> String {
        let shown = self.accounts.iter().map(|&account| {
            let unread = self.letters.iter().filter(|(from, to, _, unread, _, recipient_sees)| {
                (*from, *to) == (account, reader) && *unread && *recipient_sees
            });
            format!("{}={}", NAMES[account], unread.count())
        });
        format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
    }
}

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Random people send, read, delete and begin anew; what they see is what a plain program would show them, and an engine
/// that is given the ops alone shows the same.
#[test]
fn mailboxes_are_what_a_plain_model_says() {
    for seed in [1, 2, 3, 5, 8, 13] {
        let mut dice = Dice(seed);
        let mut world = World::with(Settings { journal: true, ..settings() });
        let mut clients: HashMap<usize, Client> = HashMap::new();
        let mut model = Model::default();
        for step in 0..600 {
            let who = dice.below(NAMES.len());
            let client = *clients.entry(who).or_insert_with(|| {
                model.accounts.push(who);
                world.mail_user(NAMES[who])
            });
            let other = dice.below(NAMES.len());
            let known = model.accounts.contains(&other);
            match dice.below(12) {
                0..5 => {
                    let content = step.to_string();
                    let replies =
                        world.gets(client, &Request::Send { recipient: NAMES[other], content: &content });
                    assert_eq!(replies.is_empty(), known, "{replies:?}");
                    if known {
                        model.letters.push((who, other, content, true, true, true));
                    }
                }
                5 | 6 => {
                    assert_eq!(world.gets(client, &Request::MarkRead(NAMES[other])), [""; 0]);
                    for (from, to, _, unread, _, recipient_sees) in &mut model.letters {
                        *unread &= (*from, *to) != (other, who) || !*recipient_sees;
                    }
                }
                7 | 8 => {
                    let ids = ids(&mut world, client, NAMES[other]);
                    if ids.is_empty() {
                        continue;
                    }
                    let nth = dice.below(ids.len());
                    assert_eq!(world.gets(client, &Request::DeleteMessage(&ids[nth])), [""; 0]);
                    let seen =
                        model.letters.iter_mut().filter(|(from, to, _, _, sender_sees, recipient_sees)| {
                            ((*from, *to) == (who, other) && *sender_sees)
                                || ((*from, *to) == (other, who) && *recipient_sees)
                        });
                    let (from, _, _, _, sender_sees, recipient_sees) =
                        seen.into_iter().nth(nth).expect("as many");
                    *recipient_sees = false;
                    *sender_sees &= *from != who;
                }
                9 if dice.below(3) == 0 => {
                    assert_eq!(world.gets(client, &Request::Clear(NAMES[other])), [""; 0]);
                    for (from, to, _, _, sender_sees, recipient_sees) in &mut model.letters {
                        *sender_sees &= (*from, *to) != (who, other);
                        *recipient_sees &= (*from, *to) != (other, who);
                    }
                }
                9 if dice.below(4) == 0 => {
                    assert_eq!(world.gets(client, &Request::DeleteAccount), [""; 0]);
                    clients.remove(&who);
                    model.accounts.retain(|&account| account != who);
                    model.letters.retain(|&(from, to, ..)| from != who && to != who);
                }
                _ => {
                    let list = Request::ListMessages(NAMES[other]);
                    assert_eq!(world.gets(client, &list), [model.conversation(who, other)], "seed {seed}");
                    assert_eq!(world.gets(client, &Request::ListUsers), [model.users(who)], "seed {seed}");
                }
            }
        }
        // The ops say all of it, and so does what a store makes of them.
        let mut store = MemoryStore::new();
        store.commit(&world.engine.take_ops()).expect("memory");
        let mut replayed = World::with(settings());
        let now = replayed.now;
        store.load(&mut |kept| replayed.engine.restore(&kept, now)).expect("memory");
        replayed.engine.check_invariants();
        for &reader in &model.accounts {
            let client = replayed.mail_user(NAMES[reader]);
            assert_eq!(replayed.gets(client, &Request::ListUsers), [model.users(reader)]);
            for (with, name) in NAMES.into_iter().enumerate() {
                let list = Request::ListMessages(name);
                assert_eq!(replayed.gets(client, &list), [model.conversation(reader, with)]);
            }
        }
    }
}

#[test]
fn ids_go_on_rising_after_what_was_restored() {
    let mut engine =
        Engine::new(Settings { journal: true, ..settings() }, HistoryRules::default(), Random::guessable(1));
    let late = OpId::new(UnixMillis(u64::from(u32::MAX) << 8), 5, 0);
    engine.restore_last(late);
    let mut world = World::with(Settings { journal: true, ..settings() });
    world.engine = engine;
    let alice = world.mail_user("alice");
    world.asks(alice, &Request::Send { recipient: "alice", content: "to myself" });
    world.settles();
    let ops = world.engine.take_ops();
    assert!(ops.len() >= 2 && ops[0].id > late && ops.is_sorted_by_key(|op| op.id), "{ops:?}");
    assert!(ops.iter().all(|op| op.at == world.now.unix), "times are those of the clock: {ops:?}");
}

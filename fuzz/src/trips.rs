//! Round trips: what one end of a dialect encodes the other end decodes, whatever the texts in it are.
//!
//! The targets of the dialects begin with bytes; this one begins with what is to be said, so that it gets to where no
//! decoder comes from: names and texts that look like the dialect itself.

use parlance::chat::{
    Command, Departure, Event, Mail, Name, Phase, Problem, RoomName, Secret, Token, UnixMillis, UnixSeconds,
    is_disruptive,
};
use parlance::limits::{LINE_BYTES_MAX, SERVER_LINE_BYTES_MAX, TEXT_LINES_MAX, TYPED_REQUEST_BYTES_MAX};
use parlance::wire::gob::{Kind, Message as GobMessage};
use parlance::wire::tcrp::{
    Content, Decoded, Operation, Refusal, Reply as TcrpReply, encode_answer, encode_request,
};
use parlance::wire::typed::{
    HEADER_BYTES, MessagesFrame, NamesFrame, Reply, Request, TagSet, User, UsersFrame,
};
use parlance::wire::ucrp::{Datagram, Delivery, Message};
use parlance::wire::{Codec, Dialect, Fit};

use super::feed::{commands_in, events_in, shown};
use super::gob::encode_again;
use super::input::Input;
use super::typed::{reply_in, request_in, shown as shown_request, shown_reply};

/// Names that may be had, and look like something else.
const NAMES: [&str; 14] = [
    "bob", "[x", "***", "*", "Goodbye!", "a]:b", "x]:", "a:b:", "(you)", "5", "Type", "ERROR:", "Zoë", "山田",
];
/// Rooms likewise.
const ROOMS: [&str; 8] = [
    "lobby",
    "#",
    "was closed by its host",
    "x (3 users)",
    "a: b",
    "server shutting down",
    "部屋 ñ",
    "5 messages missed",
];

pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    while !input.is_empty() {
        match input.below(10) {
            0 => line_command(&mut input),
            1 => slash_command(&mut input),
            2 => event(Dialect::Line, &mut input),
            3 => event(Dialect::Slash, &mut input),
            4 => gob(&mut input),
            5 => request(&mut input),
            6 => reply(&mut input),
            7 => handshake(&mut input),
            8 => datagram(&mut input),
            _ => delivery(&mut input),
        }
    }
}

/// A name that somebody may have.
fn name(input: &mut Input<'_>) -> String {
    match input.below(NAMES.len() + 1) {
        0 => Name::near(&input.text()),
        index => NAMES[index - 1].to_owned(),
    }
}

fn room(input: &mut Input<'_>) -> String {
    match input.below(ROOMS.len() + 1) {
        0 => Some(input.text()).filter(|text| RoomName::parse(text).is_ok()).unwrap_or_default() + "x",
        index => ROOMS[index - 1].to_owned(),
    }
}

/// A text as the dialects of lines carry it.
fn visible(text: &str) -> String {
    let replaced: String =
        text.chars().map(|c| if is_disruptive(c) { char::REPLACEMENT_CHARACTER } else { c }).collect();
    replaced.trim_ascii().to_owned()
}

/// Checks what the server makes of a command.
fn said(dialect: Dialect, phase: Phase, command: &Command<'_>, heard: &Command<'_>) {
    let mut out = Vec::new();
    dialect.encode_command(command, &mut out).expect("sayable");
    if out.len() <= LINE_BYTES_MAX {
        assert_eq!(commands_in(dialect, phase, &out), [shown(heard)], "{}", out.escape_ascii());
    }
}

/// Checks a command with a password, which is sayable only as it is.
fn password(dialect: Dialect, phase: Phase, text: &str, command: &Command<'_>, heard: &Command<'_>) {
    if visible(text) == text && !text.starts_with('\u{feff}') {
        said(dialect, phase, command, heard);
    } else {
        let said = dialect.encode_command(command, &mut Vec::new());
        said.expect_err("a line would change the password");
    }
}

fn line_command(input: &mut Input<'_>) {
    let (to, text) = (name(input), input.text());
    let heard = visible(&text);
    match input.below(3) {
        0 => said(Dialect::Line, Phase::Chat, &Command::Say(&text), &Command::Say(&heard)),
        1 => said(
            Dialect::Line,
            Phase::Chat,
            &Command::Direct { to: &to, text: &text },
            &Command::Direct { to: &to, text: &heard },
        ),
        _ => {
            let heard = Some(Secret(&heard)).filter(|Secret(heard)| !heard.is_empty());
            let login = |password| Command::Login { name: &to, password };
            password(Dialect::Line, Phase::Login, &text, &login(Some(Secret(&text))), &login(heard));
        }
    }
}

fn slash_command(input: &mut Input<'_>) {
    let (to, room, text) = (name(input), room(input), input.text());
    let heard = visible(&text);
    let chat = |command, heard| said(Dialect::Slash, Phase::Chat, command, heard);
    match input.below(6) {
        // What would be a command is not sayable, also where only blanks or a control are in front of it.
        0 if text.trim_ascii_start().starts_with('/') => {
            let said = Dialect::Slash.encode_command(&Command::Say(&text), &mut Vec::new());
            said.expect_err("it would be a command");
        }
        0 => chat(&Command::Say(&text), &Command::Say(&heard)),
        1 => {
            let direct = |text| Command::Direct { to: &to, text };
            chat(&direct(&text), &direct(&heard));
        }
        2 => chat(&Command::Join(&room), &Command::Join(&room)),
        3 => chat(&Command::Rename(&to), &Command::Rename(&to)),
        4 => chat(&Command::History(&text), &Command::History(&heard)),
        _ => {
            let (command, heard) = (Command::Password(Secret(&text)), Command::Password(Secret(&heard)));
            password(Dialect::Slash, Phase::Password, &text, &command, &heard);
        }
    }
}

fn has_text(event: &Event<'_>) -> bool {
    matches!(event, Event::Message { .. } | Event::Direct { .. } | Event::DirectSent { .. })
}

/// The lines of a text as they are shown, each in a message of its own.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        lines.push("");
    }
    let further = lines.split_off(lines.len().min(TEXT_LINES_MAX));
    let mut lines: Vec<_> = lines.into_iter().map(visible).collect();
    for line in further {
        if let Some(last) = lines.last_mut() {
            *last += "\u{23ce}";
            *last += &visible(line);
        }
    }
    lines
}

/// Checks that an event is heard as one event: as which, and nothing where the dialect does not tell it. A
/// message of several lines is heard as several.
fn event(dialect: Dialect, input: &mut Input<'_>) {
    let (first, second, place, text) = (name(input), name(input), room(input), input.text());
    let seen = visible(&text);
    let texts = lines(&text);
    let number = input.word() as u64;
    let at = UnixSeconds(number);
    let is_line = dialect == Dialect::Line;
    // Lines have no time, slash has that of the day.
    let seen_at = UnixSeconds(if is_line { 0 } else { number % 86_400 });
    let (name, new, room) = (&*first, &*second, &*place);
    let only_slash = |event| (event, (!is_line).then_some(event));
    let (event, heard) = match input.below(17) {
        0 => (
            Event::Message { sender: name, text: &text, at },
            Some(Event::Message { sender: name, text: "", at: seen_at }),
        ),
        1 => (
            Event::Direct { sender: name, text: &text, at },
            Some(Event::Direct { sender: name, text: "", at: seen_at }),
        ),
        2 => (
            Event::DirectSent { to: name, text: &text },
            (!is_line).then_some(Event::DirectSent { to: name, text: "" }),
        ),
        3 => only_slash(Event::Joined(name)),
        4 => only_slash(Event::Left { name, departure: Departure::Moved }),
        5 => only_slash(Event::Renamed { old: name, new }),
        6 => only_slash(Event::YouJoined(room)),
        7 => only_slash(Event::YouReturned(room)),
        8 => only_slash(Event::Room { name: room, members: number as u32 }),
        9 => (Event::User { name, own: true }, Some(Event::User { name, own: !is_line })),
        10 => (Event::RoomClosed(room), Some(Event::RoomClosed(room))),
        11 => (Event::Missed(number), Some(Event::Missed(number))),
        14 => {
            let waits = Event::MailWaits(number as u32);
            (waits, Some(waits))
        }
        15 => {
            let account = Event::Account { name, unread: number as u32 };
            (account, Some(account))
        }
        12 => {
            let heard = if is_line { Problem::UserNotFound(&seen) } else { Problem::UserNotFound("") };
            (Event::Error(Problem::UserNotFound(&text)), Some(Event::Error(heard)))
        }
        13 => only_slash(Event::Error(Problem::UnknownCommand(name))),
        _ => {
            let departure = Departure::Disconnected;
            let seen = if is_line { departure } else { Departure::Moved };
            (Event::Left { name, departure }, Some(Event::Left { name, departure: seen }))
        }
    };
    let mut out = Vec::new();
    let _ = dialect.encode_event(&Codec::default(), &event, &mut out);
    assert!(out.is_empty() || out.ends_with(b"\n"));
    if out.len() <= SERVER_LINE_BYTES_MAX {
        let heard: Vec<_> = heard
            .iter()
            .flat_map(|event| {
                texts.iter().take(if has_text(event) { texts.len() } else { 1 }).map(|text| match *event {
                    Event::Message { sender, at, .. } => Event::Message { sender, text, at },
                    Event::Direct { sender, at, .. } => Event::Direct { sender, text, at },
                    Event::DirectSent { to, .. } => Event::DirectSent { to, text },
                    event => event,
                })
            })
            .map(|event| format!("{event:?}"))
            .collect();
        assert_eq!(events_in(dialect, &out), heard, "{event:?} as {}", out.escape_ascii());
    }
}

fn gob(input: &mut Input<'_>) {
    let (sender, text) = (name(input), input.text());
    let number = i64::from(input.byte()) - 100;
    encode_again(&GobMessage { kind: Kind::from_number(number), sender: &sender, content: &text });
    let long = input.text();
    encode_again(&GobMessage {
        kind: Kind::from_number(i64::MIN.wrapping_add(number)),
        sender: &long,
        content: &text,
    });
    let at = UnixSeconds::default();
    let message = Event::Message { sender: &sender, text: &text, at };
    let direct = Event::Direct { sender: &sender, text: &text, at };
    for event in [message, direct, Event::Joined(&sender)] {
        let mut out = Vec::new();
        let fit = Dialect::Gob.encode_event(&Codec::default(), &event, &mut out);
        let heard = events_in(Dialect::Gob, &out);
        assert_eq!(heard.len(), 1);
        assert!(fit == Fit::Cut || heard == [format!("{event:?}")], "{heard:?}");
    }
}

fn tags(input: &mut Input<'_>) -> TagSet {
    input.pick(&[TagSet::Document, TagSet::InUse])
}

fn request(input: &mut Input<'_>) {
    let tags = tags(input);
    let (to, text, key) = (input.text(), input.text(), input.text());
    let (recipient, content) = (&*to, &*text);
    let request = match input.below(13) {
        0 => Request::LoginName(&text),
        1 => Request::LoginPassword(Secret(&text)),
        2 => Request::Send { recipient, content },
        3 => Request::MarkRead(&text),
        4 => Request::ListMessages(&text),
        5 => Request::ListUsers,
        6 => Request::DeleteMessage(&text),
        7 => Request::DeleteAccount,
        8 => Request::Ping((!text.is_empty()).then_some(&text)),
        9 => Request::Subscribe(text.is_empty()),
        10 => Request::History {
            other: recipient,
            before: (!text.is_empty()).then_some(&text),
            count: input.word() as u32 * 65_537,
        },
        11 => Request::Clear(&text),
        _ => Request::SendKept { recipient, content, key: &key },
    };
    let mut out = Vec::new();
    if request.encode(tags, &mut out).is_ok() {
        assert_eq!(request_in(tags, &out), shown_request(&request));
    } else {
        assert!(out.is_empty(), "what is not said leaves no bytes");
        assert!(to.len() + text.len() + key.len() + 100 > TYPED_REQUEST_BYTES_MAX);
    }
}

fn reply(input: &mut Input<'_>) {
    let tags = tags(input);
    let (sender, text) = (name(input), input.text());
    let mail = Mail {
        id: "018bcfe5-6800-7001-8000-000000000004",
        at: UnixMillis(input.word() as u64 * 123_456_789),
        sender: &sender,
        recipient: "bob",
        content: &text,
        unread: input.is_odd(),
    };
    let simple = match input.below(7) {
        0 => Reply::Error(&text),
        1 => Reply::NameKnown,
        2 => Reply::NameNew,
        3 => Reply::LoginFailed,
        4 => Reply::Message(mail),
        5 => Reply::Kept { key: &text, id: mail.id },
        _ => return list(tags, &mail, input.below(9)),
    };
    let mut out = Vec::new();
    simple.encode(tags, &mut out).expect("far shorter than the bound");
    assert_eq!(reply_in(tags, &out), shown_reply(&simple));
}

/// A list, entry by entry, is whole after each.
fn list(tags: TagSet, mail: &Mail<'_>, entries: usize) {
    let (mut names, mut messages, mut users) = (Vec::new(), Vec::new(), Vec::new());
    NamesFrame::begin(tags, &mut names);
    MessagesFrame::begin(tags, &mut messages);
    UsersFrame::begin(tags, &mut users);
    assert_eq!(reply_in(tags, &messages), "Messages []");
    let user = User { name: mail.sender, unread: mail.at.0 as u32 };
    let (mut in_names, mut in_messages, mut in_users) = (Vec::new(), Vec::new(), Vec::new());
    let mut names_frame = NamesFrame::begin(tags, &mut in_names);
    let mut messages_frame = MessagesFrame::begin(tags, &mut in_messages);
    let mut users_frame = UsersFrame::begin(tags, &mut in_users);
    for _ in 0..entries {
        names_frame.push(mail.sender).expect("short");
        messages_frame.push(mail).expect("short");
        users_frame.push(user).expect("short");
    }
    assert_eq!(reply_in(tags, &in_names), format!("LoggedIn {:?}", vec![mail.sender; entries]));
    assert_eq!(reply_in(tags, &in_messages), format!("Messages {:?}", vec![mail; entries]));
    assert_eq!(reply_in(tags, &in_users), format!("Users {:?}", vec![user; entries]));
    assert!(in_names.len() >= HEADER_BYTES);
}

fn handshake(input: &mut Input<'_>) {
    let (room, username, password) = (input.text(), input.text(), input.text());
    let operation = input.pick(&[Operation::Create, Operation::Join]);
    let password = input.is_odd().then_some(Secret(&password));
    let mut out = Vec::new();
    if encode_request(&room, operation, &username, password, &mut out).is_err() {
        return assert!(out.is_empty(), "what is not said leaves no bytes");
    }
    let Decoded::Whole { frame, consumed } = parlance::wire::tcrp::Request::decode(&out) else {
        panic!("no request: {}", out.escape_ascii())
    };
    let credentials = frame.credentials().expect("they were spelled here");
    assert_eq!((consumed, frame.room, frame.operation), (out.len(), room.as_str(), operation));
    assert_eq!((credentials.username.as_ref(), credentials.password()), (username.as_str(), password));
    let token = Token::from_random([input.byte(); 16]);
    for outcome in [Ok(&token), Err(input.pick(&Refusal::ALL))] {
        let mut answer = Vec::new();
        encode_answer(frame.echo(), outcome, &mut answer);
        let Decoded::Whole { frame: reply, .. } = TcrpReply::decode(&answer) else { panic!("no answer") };
        assert_eq!(reply.echo, frame.echo());
        match outcome {
            Ok(_) => assert_eq!(reply.content, Content::Accepted),
            Err(refusal) => assert_eq!(reply.content, Content::Refused(Some(refusal))),
        }
    }
}

fn datagram(input: &mut Input<'_>) {
    let (room, token, text) = (input.text(), input.text(), input.text());
    let message = input.pick(&[Message::Register, Message::Leave, Message::Chat(&text)]);
    let datagram = Datagram { room: &room, token: &token, message };
    let mut out = Vec::new();
    if datagram.encode(&mut out).is_ok() {
        assert_eq!(Datagram::decode(&out), Ok(datagram));
    } else {
        assert!(out.is_empty(), "what is not said leaves no bytes");
    }
}

fn delivery(input: &mut Input<'_>) {
    let (sender, text) = (name(input), input.text());
    let delivery = Delivery::Relay { sender: &sender, text: &text };
    let mut out = Vec::new();
    let fit = delivery.encode(&mut out);
    let found = Delivery::decode(&out).expect("it was told");
    assert!(fit == Fit::Cut || found == delivery);
    let at = UnixSeconds::default();
    let message = Event::Message { sender: &sender, text: &text, at };
    let direct = Event::Direct { sender: &sender, text: &text, at };
    for event in [message, direct] {
        let mut out = Vec::new();
        let fit = Dialect::Ucrp.encode_event(&Codec::default(), &event, &mut out);
        let found = Delivery::decode(&out).expect("it was told").event();
        assert!(fit == Fit::Cut || found == event, "{found:?}");
    }
}

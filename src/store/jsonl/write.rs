//! Ops and parts of what is kept, written as lines.

use std::io::Write;

use crate::chat::{Change, Kept, Letter, OP_ID_BYTES, Op, OpId, Seat, UnixMillis};

/// The version of the format that is written here, and the newest that is understood.
pub(super) const VERSION: u64 = 2;

/// The oldest that is understood: it has no ids of accounts.
pub(super) const VERSION_MIN: u64 = 1;

/// A JSON object on its way into a buffer. Keys are texts without anything to escape.
struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out }
    }

    /// An operation has its name in front, so that a person finds it.
    fn operation(out: &'a mut Vec<u8>, name: &str) -> Self {
        Self::new(out).text("operation", name)
    }

    /// The same of an op, with its id and its time.
    fn of_op(out: &'a mut Vec<u8>, name: &str, (id, at): (OpId, UnixMillis)) -> Self {
        Self::operation(out, name).id(id, at)
    }

    fn key(&mut self, key: &str) {
        let separator: &[u8] = if self.out.last() == Some(&b'{') { b"\"" } else { b",\"" };
        self.out.extend_from_slice(separator);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn text(mut self, key: &str, text: &str) -> Self {
        self.key(key);
        push_text(self.out, text);
        self
    }

    fn text_if(self, key: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(key, text),
            None => self,
        }
    }

    fn number(mut self, key: &str, number: u64) -> Self {
        self.key(key);
        push_number(self.out, number);
        self
    }

    fn bool(mut self, key: &str, value: bool) -> Self {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// The id of an account, where it is known.
    fn account_if(mut self, key: &str, id: Option<OpId>) -> Self {
        if let Some(id) = id {
            self.key(key);
            push_id(self.out, id);
        }
        self
    }

    fn unused_if(self, is_unused: bool) -> Self {
        if is_unused { self.bool("unused", true) } else { self }
    }

    /// An id, and when that was: seconds, with three decimals.
    fn id(mut self, id: OpId, at: UnixMillis) -> Self {
        self.key("id");
        push_id(self.out, id);
        self.key("timestamp");
        let millis = at.0;
        push_number(self.out, millis / 1000);
        let [hundreds, tens, ones] =
            [millis / 100 % 10, millis / 10 % 10, millis % 10].map(|d| b'0' + d as u8);
        self.out.extend_from_slice(&[b'.', hundreds, tens, ones]);
        self
    }

    fn ids(mut self, ids: &[OpId]) -> Self {
        self.key("ids");
        self.out.push(b'[');
        for (index, &id) in ids.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            push_id(self.out, id);
        }
        self.out.push(b']');
        self
    }

    fn seat(self, seat: &Seat) -> Self {
        let Seat { name, token, ip } = seat;
        let mut object = self.text("name", name).text("token", &token.reveal());
        object.key("ip");
        write!(object.out, "\"{ip}\"").expect("a vector takes all that is written");
        object
    }

    fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }
}

fn push_id(out: &mut Vec<u8>, id: OpId) {
    out.push(b'"');
    out.extend_from_slice(id.text(&mut [0; OP_ID_BYTES]).as_bytes());
    out.push(b'"');
}

fn push_number(out: &mut Vec<u8>, mut number: u64) {
    const DIGITS_MAX: usize = 20;
    let mut digits = [0; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Most texts have nothing to escape, and are copied.
fn push_text(out: &mut Vec<u8>, text: &str) {
    // Without a branch a byte, so that many are looked at in one instruction.
    let escapes =
        text.bytes().fold(0, |found, byte| found | u8::from(byte < 0x20 || byte == b'"' || byte == b'\\'));
    if escapes != 0 {
        serde_json::to_writer(out, text).expect("a vector takes all that is written, and a text can be");
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

/// The first line of a log.
pub(super) fn format(out: &mut Vec<u8>, last: Option<OpId>) {
    format_of(VERSION, out, last);
}

/// The first line of a log of a version.
pub(super) fn format_of(version: u64, out: &mut Vec<u8>, last: Option<OpId>) {
    let mut object = Object::operation(out, "format").number("version", version);
    if let Some(last) = last {
        object.key("last");
        push_id(object.out, last);
    }
    object.end();
}

/// An op.
pub(super) fn op(out: &mut Vec<u8>, op: &Op) {
    let id = (op.id, op.at);
    match &op.change {
        Change::AccountCreated { name, password, is_unused } => Object::of_op(out, "account-created", id)
            .text("name", name)
            .text("password", password.as_str())
            .unused_if(*is_unused)
            .end(),
        Change::AccountUsed { name, account } => {
            Object::of_op(out, "account-used", id).text("name", name).account_if("account", *account).end();
        }
        Change::PasswordChanged { name, account, password } => Object::of_op(out, "password-changed", id)
            .text("name", name)
            .account_if("account", *account)
            .text("password", password.as_str())
            .end(),
        Change::AccountDeleted { name, account } => {
            Object::of_op(out, "account-deleted", id)
                .text("name", name)
                .account_if("account", *account)
                .end();
        }
        Change::MailSent {
            sender,
            sender_has_account,
            sender_account,
            recipient,
            recipient_account,
            content,
            key,
        } => {
            let object = mail(out, id, sender, recipient, content, true)
                .text_if("key", key.as_deref())
                .account_if("sender_account", *sender_account)
                .account_if("recipient_account", *recipient_account);
            if *sender_has_account { object } else { object.bool("sender_has_account", false) }.end();
        }
        Change::MailRead { reader, messages } => {
            Object::of_op(out, "read", id).ids(messages).text("reader", reader).end();
        }
        Change::MailDeleted { by, message } => {
            Object::of_op(out, "delete", id).ids(&[*message]).text("by", by).end();
        }
        Change::ConversationCleared { by, messages } => {
            Object::of_op(out, "clear", id).ids(messages).text("by", by).end();
        }
        Change::Said { room, sender, text } => said(out, id, room, sender, text, None),
        Change::RoomMade { room, host } => {
            Object::of_op(out, "room-made", id).text("room", room).seat(host).end();
        }
        Change::SeatTaken { room, seat } => {
            Object::of_op(out, "seat-taken", id).text("room", room).seat(seat).end();
        }
        Change::SeatLeft { token } => {
            Object::of_op(out, "seat-left", id).text("token", &token.reveal()).end();
        }
        Change::RoomClosed { room, made } => {
            let mut object = Object::of_op(out, "room-closed", id).text("room", room);
            if let Some(made) = made {
                object.key("made");
                push_id(object.out, *made);
            }
            object.end();
        }
    }
}

/// An op that changes nothing, of which only the id counts.
pub(super) fn nothing(out: &mut Vec<u8>, id: OpId, at: UnixMillis) {
    Object::of_op(out, "nothing", (id, at)).end();
}

/// A part of what is kept.
pub(super) fn kept(out: &mut Vec<u8>, kept: &Kept) {
    match kept {
        Kept::Account { name, password, id, is_unused } => Object::operation(out, "account-created")
            .text("name", name)
            .account_if("account", *id)
            .text("password", password.as_str())
            .unused_if(*is_unused)
            .end(),
        Kept::Letter(letter) => {
            let Letter {
                id, at, sender, recipient, content, key, sender_sees, recipient_sees, unread, ..
            } = letter;
            let seen_by = match (sender_sees, recipient_sees) {
                (true, false) => "sender",
                (false, _) => "recipient",
                (true, true) => "both",
            };
            mail(out, (*id, *at), sender, recipient, content, *unread)
                .text_if("key", key.as_deref())
                .account_if("sender_account", letter.sender_account)
                .account_if("recipient_account", letter.recipient_account)
                .text("seen_by", seen_by)
                .end();
        }
        // With its id, it is read as the op that made the room.
        Kept::Seat { room, seat, is_host: true, made: Some(made) } => {
            Object::of_op(out, "room-made", (*made, made.at())).text("room", room).seat(seat).end();
        }
        Kept::Seat { room, seat, is_host, made: _ } => {
            let operation = if *is_host { "room-made" } else { "seat-taken" };
            Object::operation(out, operation).text("room", room).seat(seat).end();
        }
    }
}

fn mail<'a>(
    out: &'a mut Vec<u8>,
    (id, at): (OpId, UnixMillis),
    sender: &str,
    recipient: &str,
    content: &str,
    unread: bool,
) -> Object<'a> {
    Object::new(out)
        .id(id, at)
        .text("sender", sender)
        .text("recipient", recipient)
        .text("content", content)
        .text("status", if unread { "unread" } else { "read" })
}

/// A message in a room. Its number, where it is not one more than that of the message before it, or 1.
pub(super) fn said(
    out: &mut Vec<u8>,
    (id, at): (OpId, UnixMillis),
    room: &str,
    sender: &str,
    text: &str,
    sequence: Option<u64>,
) {
    let object = Object::new(out).id(id, at).text("sender", sender).text("room", room).text("content", text);
    match sequence {
        Some(sequence) => object.number("sequence", sequence),
        None => object,
    }
    .end();
}

/// That the messages of a room before a number are forgotten.
pub(super) fn forget(out: &mut Vec<u8>, room: &str, before: u64) {
    Object::operation(out, "forget").text("room", room).number("before", before).end();
}

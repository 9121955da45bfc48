//! Requests as commands, events as replies.

use super::{Decoder, Frame as TypedFrame, NamesFrame, Reply, Request, TagSet, TooLong, User, layout, reply};
use crate::chat::{Command, Event, Problem};
use crate::wire::{DecodeError, Decoded, Fit, Frame, text};

/// Decodes the first command in `bytes`, on the server. A type that no client sends is a sign of life.
#[inline]
pub(in crate::wire) fn decode_command<'a>(decoder: &mut Decoder, bytes: &'a [u8]) -> Decoded<Command<'a>> {
    let super::Decoded { consumed, frame } = decoder.decode(bytes);
    let frame = match frame {
        TypedFrame::Incomplete => Frame::Incomplete,
        TypedFrame::Whole(request) => Frame::Whole(command(request)),
        TypedFrame::Ignored(_) => Frame::Whole(Command::Nothing),
        TypedFrame::Refused(error) => Frame::Refused(DecodeError::Typed(error)),
    };
    Decoded { consumed, frame }
}

#[inline]
fn command(request: Request<'_>) -> Command<'_> {
    match request {
        Request::LoginName(name) => Command::Identify { name, answered: true },
        Request::Ping(Some(name)) => Command::Identify { name, answered: false },
        Request::Ping(None) => Command::Nothing,
        Request::LoginPassword(password) => Command::Password(password),
        Request::Send { recipient: to, content: text } => Command::Send { to, text, key: None },
        Request::SendKept { recipient: to, content: text, key } => Command::Send { to, text, key: Some(key) },
        Request::MarkRead(sender) => Command::MarkRead(sender),
        Request::ListMessages(with) => Command::Conversation { with, before: None, count: u32::MAX },
        Request::History { other: with, before, count } => Command::Conversation { with, before, count },
        Request::ListUsers => Command::Accounts,
        Request::DeleteMessage(id) => Command::DeleteMail(id),
        Request::Clear(with) => Command::ClearMail(with),
        Request::DeleteAccount => Command::DeleteAccount,
        Request::Subscribe(on) => Command::Subscribe(on),
    }
}

/// Appends the reply for an event, or nothing if the client did not ask. An entry of a list belongs to the
/// frame that the last [`Event::ListBegin`] has begun.
#[inline]
pub(in crate::wire) fn encode_event(tags: TagSet, event: &Event<'_>, out: &mut Vec<u8>) -> Fit {
    let done = match *event {
        Event::MailArrived(mail) => Reply::Message(mail).encode(tags, out),
        Event::Kept { key, id } => Reply::Kept { key, id }.encode(tags, out),
        Event::NameKnown => Reply::NameKnown.encode(tags, out),
        Event::NameFree => Reply::NameNew.encode(tags, out),
        // The account's own name is no secret to whoever proved it; that it is taken is told like a wrong password,
        // which older clients know.
        Event::LoginRefused(Problem::WrongPassword | Problem::NameTaken) => {
            Reply::LoginFailed.encode(tags, out)
        }
        Event::Error(
            Problem::IdleTimeout | Problem::LoginTimeout | Problem::TooSlow | Problem::UnknownCommand(_),
        ) => Ok(()),
        Event::LoginRefused(problem) | Event::Error(problem) => {
            Reply::Error(&text::words(problem)).encode(tags, out)
        }
        Event::LoggedIn { .. } => {
            NamesFrame::begin(tags, out);
            Ok(())
        }
        Event::ListBegin(list) => reply::begin_list(list, tags, out),
        Event::AccountName(name) => {
            reply::push_name(tags, name, out);
            Ok(())
        }
        Event::Account { name, unread } => {
            reply::push_user(tags, User { name, unread }, out);
            Ok(())
        }
        Event::Mail(mail) => {
            layout::push(&mail, tags, out);
            Ok(())
        }
        _ => Ok(()),
    };
    match done {
        Ok(()) => Fit::Whole,
        Err(TooLong) => Fit::Cut,
    }
}

/// Bytes of an entry of a list.
pub(in crate::wire) fn entry_bytes(tags: TagSet, entry: &Event<'_>) -> usize {
    match *entry {
        Event::AccountName(name) => reply::name_bytes(name),
        Event::Account { name, .. } => reply::user_bytes(name),
        Event::Mail(mail) => mail.bytes(tags),
        _ => 0,
    }
}

/// Appends the reason, after which the connection ends.
pub(in crate::wire) fn encode_refusal(tags: TagSet, error: DecodeError, out: &mut Vec<u8>) {
    let reason = error.to_string();
    // The reasons are short.
    let _: Result<(), TooLong> = Reply::Error(&reason).encode(tags, out);
}

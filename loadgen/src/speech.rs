//! What clients say, in each dialect. Appends whole frames; those who speak in datagrams append one at a time.

use parlance::chat::{Command, Secret, TokenText};
use parlance::wire::Unsayable;
use parlance::wire::tcrp::{self, Operation};
use parlance::wire::typed::{Request, TagSet, TooLong};
use parlance::wire::ucrp::{Datagram, Message};

use crate::dialect::Dialect;
use crate::payload::HEADER_BYTES;
use crate::peer::{Login, Peer};

/// The tags of the programs in use.
pub(crate) const TAGS: TagSet = TagSet::InUse;
/// The password of all accounts that the generator makes.
const PASSWORD: &str = "loadgen";
/// What somebody says to be heard at all.
pub(crate) const PROBE: &str = "probe";

/// What a client shows in each of its datagrams.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) room: String,
    pub(crate) token: TokenText,
}

/// Whom a message is for.
pub(crate) enum To<'a> {
    /// The room that its speaker is in.
    Room(Dialect),
    /// A room of a peer's.
    Channel(Peer, &'a str),
    /// Somebody's mailbox.
    Mailbox(&'a str),
    Seat(&'a Seat),
}

/// What a client says first, in the dialects that have a login in one piece.
pub(crate) fn login(dialect: Dialect, login: &Login<'_>, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    let name = login.name;
    match dialect {
        Dialect::Peer(peer) => {
            (peer.facts().log_in)(login, out);
            return Ok(());
        }
        Dialect::Line | Dialect::Slash | Dialect::Tcrp | Dialect::Typed | Dialect::Gob => {
            dialect.encode_command(&Command::Login { name, password: None }, out)?;
        }
    }
    if dialect == Dialect::Gob {
        // Nothing is answered to whoever comes in. What it says to itself comes back, when it is in, and has its name.
        dialect.encode_command(&Command::Direct { to: name, text: PROBE }, out)?;
    }
    Ok(())
}

pub(crate) fn join(dialect: Dialect, room: &str, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    match dialect {
        Dialect::Peer(peer) => (peer.facts().join)(room, out),
        Dialect::Line | Dialect::Slash | Dialect::Tcrp | Dialect::Typed | Dialect::Gob => {
            dialect.encode_command(&Command::Join(room), out)?;
        }
    }
    Ok(())
}

/// The answer to a server that asks whether somebody is there. Only peers do.
pub(crate) fn pong(dialect: Dialect, token: &str, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    let Dialect::Peer(peer) = dialect else { return Err(Unsayable) };
    (peer.facts().pong)(token, out);
    Ok(())
}

/// A message. Where it is kept, the payload's header is its key.
pub(crate) fn message(text: &str, to: &To<'_>, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    match *to {
        To::Room(dialect) => dialect.encode_command(&Command::Say(text), out),
        To::Channel(peer, room) => {
            (peer.facts().message)(room, text, out);
            Ok(())
        }
        To::Mailbox(recipient) => {
            let key = text.get(..HEADER_BYTES).ok_or(Unsayable)?;
            request(&Request::SendKept { recipient, content: text, key }, out)
        }
        To::Seat(seat) => datagram(seat, Message::Chat(text), out),
    }
}

/// Asks for a seat in a room, as its host or as anybody else.
pub(crate) fn handshake(room: &str, is_host: bool, name: &str, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    let operation = if is_host { Operation::Create } else { Operation::Join };
    tcrp::encode_request(room, operation, name, None, out)
}

pub(crate) fn datagram(seat: &Seat, message: Message<'_>, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    Datagram { room: &seat.room, token: &seat.token, message }.encode(out)
}

/// Says whose account it is about; [`password`] follows when that is answered.
pub(crate) fn identify(name: &str, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    request(&Request::LoginName(name), out)
}

pub(crate) fn password(out: &mut Vec<u8>) -> Result<(), Unsayable> {
    request(&Request::LoginPassword(Secret(PASSWORD)), out)
}

/// Asks for each message as it arrives. That is not answered, so that something is asked behind it that is.
pub(crate) fn subscribe(partner: &str, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    request(&Request::Subscribe(true), out)?;
    list(partner, out)
}

pub(crate) fn list(partner: &str, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    request(&Request::ListMessages(partner), out)
}

/// Deletes the account. That is not answered either, but whether there is one is.
pub(crate) fn delete_account(name: &str, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    request(&Request::DeleteAccount, out)?;
    identify(name, out)
}

/// The messages of a sender are read.
pub(crate) fn mark_read(sender: &str, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    request(&Request::MarkRead(sender), out)
}

pub(crate) fn delete_message(id: &str, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    request(&Request::DeleteMessage(id), out)
}

fn request(request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), Unsayable> {
    request.encode(TAGS, out).map_err(|TooLong| Unsayable)
}

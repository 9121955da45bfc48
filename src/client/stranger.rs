//! Identifies servers of another protocol or dialect.

use std::fmt;

use crate::wire::Dialect;

/// What a server speaks that is not what its client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stranger {
    /// A web server.
    Http,
    /// A server that wants TLS.
    Tls,
    /// An SSH server.
    Ssh,
    /// An IRC server.
    Irc,
    /// A server for mail or for files (SMTP, FTP: `220`).
    Mail,
    /// A mailbox server (IMAP).
    Imap,
    /// A mailbox server (POP3).
    Pop3,
    /// A chat server of another kind (XMPP).
    Xmpp,
    /// Redis, or a server that speaks like it.
    Redis,
    /// `MySQL` or `MariaDB`.
    Mysql,
    /// `PostgreSQL`.
    Postgres,
    /// A NATS server.
    Nats,
    /// A broker of AMQP.
    Amqp,
    /// memcached.
    Memcached,
    /// A remote desktop (VNC).
    Vnc,
    /// A telnet server.
    Telnet,
    /// A Parlance server, in another dialect.
    Dialect(Dialect),
}

impl Stranger {
    /// Identifies a server by its first bytes, if they suffice.
    pub(super) fn recognize(first: &[u8]) -> Option<Self> {
        if let Some((_, found)) = STARTS.iter().find(|(start, _)| first.starts_with(start)) {
            return Some(*found);
        }
        match *first {
            // RFC 8446 section 5.1: an alert or a handshake, and the version of the record.
            [0x15 | 0x16, 3, 0..=4, ..] => Some(Self::Tls),
            // A number of eight bytes, from 100 to 111 in replies.
            [0, 0, 0, 0, 0, 0, 0, 100..=111, ..] => Some(Self::Dialect(Dialect::Typed)),
            // RFC 854: WILL, WON'T, DO or DON'T, and a small option, which begins no definition of gob.
            [0xff, 0xfb..=0xfe, 0..=50, ..] => Some(Self::Telnet),
            // A length of three bytes, number 0, and version 10 of the protocol with that of the server, or
            // an error from 1024 on (MySQL's `HandshakeV10` and `ERR_Packet`).
            [_, _, 0, 0, 0x0a, b'0'..=b'9', ..] | [_, _, 0, 0, 0xff, _, 4..=15, ..] => Some(Self::Mysql),
            // PostgreSQL's `ErrorResponse`: the length, and the severity first.
            [b'E', 0, 0, _, _, b'S', ..] => Some(Self::Postgres),
            // The operation repeated, whatever it was where no room is, state 1 or 2, and a length whose
            // first bytes are zero.
            [_, 0..=2, 1 | 2, 0, 0, 0, 0, 0, ..] | [0, _, 1 | 2, 0, 0, 0, 0, 0, ..] => {
                Some(Self::Dialect(Dialect::Tcrp))
            }
            // A length, the definition of type 64, or of a later one below 128 (-65 is 0xff 0x81), and that
            // it is a struct.
            [_, 0x7f, 3, ..] | [_, 0xff, 0x81..=0xff, 3, ..] => Some(Self::Dialect(Dialect::Gob)),
            // A server's prefix, and a notice or a number. Lengths of gob and operations of TCRP can be the
            // same byte as the colon.
            [b':', ref rest @ ..] => is_word_and_blank(rest).then_some(Self::Irc),
            _ => None,
        }
    }
}

/// The beginnings of texts.
const STARTS: &[(&[u8], Stranger)] = &[
    (b"HTTP/", Stranger::Http),
    (b"<html", Stranger::Http),
    (b"<!DOCTYPE", Stranger::Http),
    (b"SSH-", Stranger::Ssh),
    (b"ERROR :", Stranger::Irc),
    (b"NOTICE ", Stranger::Irc),
    (b"PING :", Stranger::Irc),
    (b"220 ", Stranger::Mail),
    (b"220-", Stranger::Mail),
    (b"421 ", Stranger::Mail),
    (b"554 ", Stranger::Mail),
    (b"* OK", Stranger::Imap),
    (b"* PREAUTH", Stranger::Imap),
    (b"* BYE", Stranger::Imap),
    (b"+OK\r\n", Stranger::Redis),
    (b"+PONG", Stranger::Redis),
    (b"+OK ", Stranger::Pop3),
    (b"-ERR ", Stranger::Redis),
    (b"-NOAUTH ", Stranger::Redis),
    (b"-DENIED ", Stranger::Redis),
    (b"<?xml", Stranger::Xmpp),
    (b"<stream:", Stranger::Xmpp),
    (b"INFO {", Stranger::Nats),
    (b"AMQP", Stranger::Amqp),
    (b"ERROR\r\n", Stranger::Memcached),
    (b"RFB 0", Stranger::Vnc),
    (b"OK\n", Stranger::Dialect(Dialect::Line)),
    (b"PONG\n", Stranger::Dialect(Dialect::Line)),
    (b"ERR ", Stranger::Dialect(Dialect::Line)),
    (b"Welcome to the chat server!", Stranger::Dialect(Dialect::Slash)),
    (b"Registration failed: ", Stranger::Dialect(Dialect::Slash)),
    (b"ERROR: ", Stranger::Dialect(Dialect::Slash)),
];

/// Whether this begins with a word of printable ASCII and the blank behind it.
fn is_word_and_blank(bytes: &[u8]) -> bool {
    let word = bytes.iter().take_while(|byte| byte.is_ascii_graphic()).count();
    word > 0 && bytes.get(word) == Some(&b' ')
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http => f.write_str("a web server (HTTP)"),
            Self::Tls => f.write_str("a server that wants TLS"),
            Self::Ssh => f.write_str("an SSH server"),
            Self::Irc => f.write_str("an IRC server"),
            Self::Mail => f.write_str("a server for mail or files (SMTP or FTP)"),
            Self::Imap => f.write_str("a mail server (IMAP)"),
            Self::Pop3 => f.write_str("a mail server (POP3)"),
            Self::Xmpp => f.write_str("an XMPP server"),
            Self::Redis => f.write_str("a server that speaks as Redis does"),
            Self::Mysql => f.write_str("a database server (MySQL or MariaDB)"),
            Self::Postgres => f.write_str("a database server (PostgreSQL)"),
            Self::Nats => f.write_str("a NATS server"),
            Self::Amqp => f.write_str("a message broker (AMQP)"),
            Self::Memcached => f.write_str("a server that speaks as memcached does"),
            Self::Vnc => f.write_str("a remote desktop (VNC)"),
            Self::Telnet => f.write_str("a telnet server"),
            Self::Dialect(dialect) => write!(f, "a server that speaks the {} dialect", dialect.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_is_told_from_its_first_bytes() {
        for (first, found) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], Some(Stranger::Http)),
            (b"\x15\x03\x01\0\x02\x02\x46", Some(Stranger::Tls)),
            (b"SSH-2.0-OpenSSH_9.9\r\n", Some(Stranger::Ssh)),
            (b":irc.example.org NOTICE * :*** Looking up your hostname", Some(Stranger::Irc)),
            (b"ERROR :Closing Link", Some(Stranger::Irc)),
            (b"220 mail.example.org ESMTP", Some(Stranger::Mail)),
            (b"-ERR unknown command 'LOGIN'", Some(Stranger::Redis)),
            (b"+OK\r\n", Some(Stranger::Redis)),
            (b"+OK Dovecot ready.\r\n", Some(Stranger::Pop3)),
            (b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n", Some(Stranger::Imap)),
            (b"<?xml version='1.0'?><stream:stream", Some(Stranger::Xmpp)),
            (b"\x4a\0\0\0\x0a8.0.36\0", Some(Stranger::Mysql)),
            (b"\x45\0\0\0\xff\x6a\x04Host is blocked", Some(Stranger::Mysql)),
            (b"E\0\0\0\x92SFATAL\0", Some(Stranger::Postgres)),
            (b"INFO {\"server_id\":", Some(Stranger::Nats)),
            (b"INFO bob joined\n", None),
            (b"AMQP\0\0\x09\x01", Some(Stranger::Amqp)),
            (b"ERROR\r\n", Some(Stranger::Memcached)),
            (b"RFB 003.008\n", Some(Stranger::Vnc)),
            (b"\xff\xfd\x18\xff\xfd\x20", Some(Stranger::Telnet)),
            (b"*** bob joined the room\n", None),
            (b"ERR must-login-first\n", Some(Stranger::Dialect(Dialect::Line))),
            (b"Welcome to the chat server!\n", Some(Stranger::Dialect(Dialect::Slash))),
            (b"\0\0\0\0\0\0\0\x64\0\0", Some(Stranger::Dialect(Dialect::Typed))),
            (b"\0\0\0\0\0\0\0\0\0\0", None),
            (b"\x05\x02\x01\0\0\0\0\0\0\0", Some(Stranger::Dialect(Dialect::Tcrp))),
            (b"\x2c\xff\x81\x03\x01\x01", Some(Stranger::Dialect(Dialect::Gob))),
            (b"\x2c\x7f\x03\x01\x01", Some(Stranger::Dialect(Dialect::Gob))),
            // Each begins with a colon, and has a blank further on.
            (b"\x3a\x7f\x03\x01\x01 ", Some(Stranger::Dialect(Dialect::Gob))),
            (b"\x3a\xff\x81\x03\x01\x01\x07Message ", Some(Stranger::Dialect(Dialect::Gob))),
            (b"\x3a\x02\x01\0\0\0\0\0 ", Some(Stranger::Dialect(Dialect::Tcrp))),
            (b":\x7f \0", None),
            (b": hello", None),
            (b"\0\xff\x01\0\0\0\0\0\0\0", Some(Stranger::Dialect(Dialect::Tcrp))),
            (b"", None),
            (b"H", None),
            (b"INFO bob disconnected\n", None),
            (b"[10:40:06] alice: hi", None),
        ] {
            assert_eq!(Stranger::recognize(first), found, "{}", first.escape_ascii());
        }
    }
}

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
    /// Redis, or a server that speaks like it.
    Redis,
    /// A Parlance server, in another dialect.
    Dialect(Dialect),
}

impl Stranger {
    /// Identifies a server by its first bytes, if they suffice. Returns none for a server of the dialect
    /// `spoken`.
    pub(super) fn of(first: &[u8], spoken: Dialect) -> Option<Self> {
        let found = Self::recognize(first)?;
        (found != Self::Dialect(spoken)).then_some(found)
    }

    fn recognize(first: &[u8]) -> Option<Self> {
        let starts: [(&[u8], Self); 19] = [
            (b"HTTP/", Self::Http),
            (b"<html", Self::Http),
            (b"<!DOCTYPE", Self::Http),
            (b"SSH-", Self::Ssh),
            (b"ERROR :", Self::Irc),
            (b"NOTICE ", Self::Irc),
            (b"PING :", Self::Irc),
            (b"220 ", Self::Mail),
            (b"220-", Self::Mail),
            (b"-ERR ", Self::Redis),
            (b"-NOAUTH ", Self::Redis),
            (b"-DENIED ", Self::Redis),
            (b"OK\n", Self::Dialect(Dialect::Line)),
            (b"PONG\n", Self::Dialect(Dialect::Line)),
            (b"ERR ", Self::Dialect(Dialect::Line)),
            (b"Welcome to the chat server!", Self::Dialect(Dialect::Slash)),
            (b"Registration failed: ", Self::Dialect(Dialect::Slash)),
            (b"ERROR: ", Self::Dialect(Dialect::Slash)),
            // A number of eight bytes, of which the replies' are 100 to 111.
            (b"\0\0\0\0\0\0\0", Self::Dialect(Dialect::Typed)),
        ];
        if let Some((_, found)) = starts.iter().find(|(start, _)| first.starts_with(start)) {
            return Some(*found);
        }
        match *first {
            // RFC 8446 section 5.1: an alert or a handshake, and the version of the record.
            [0x15 | 0x16, 3, 0..=4, ..] => Some(Self::Tls),
            // The operation repeated, whatever it was where no room is, state 1 or 2, and a length whose
            // first bytes are zero.
            [_, 0..=2, 1 | 2, 0, 0, 0, 0, 0, ..] | [0, _, 1 | 2, 0, 0, 0, 0, 0, ..] => {
                Some(Self::Dialect(Dialect::Tcrp))
            }
            // A length, the definition of type 64, or of a later one below 128 (-65 is 0xff 0x81), and that
            // it is a struct.
            [_, 0x7f, 3, ..] | [_, 0xff, 0x81..=0xff, 3, ..] => Some(Self::Dialect(Dialect::Gob)),
            // A server's prefix, and a notice or a number. Lengths of gob and operations of TCRP can be the same
            // byte as the colon.
            [b':', ref rest @ ..] => is_word_and_blank(rest).then_some(Self::Irc),
            _ => None,
        }
    }
}

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
            Self::Redis => f.write_str("a server that speaks as Redis does"),
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
            (b"ERR must-login-first\n", Some(Stranger::Dialect(Dialect::Line))),
            (b"Welcome to the chat server!\n", Some(Stranger::Dialect(Dialect::Slash))),
            (b"\0\0\0\0\0\0\0\x64\0\0", Some(Stranger::Dialect(Dialect::Typed))),
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
        assert_eq!(Stranger::of(b"ERR busy\n", Dialect::Line), None, "it is what the client speaks");
    }
}

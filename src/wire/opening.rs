//! The first bytes of a connection, which may be those of another protocol.
//!
//! Browsers, scanners and misconfigured proxies connect to any port. A web page can have its visitor's
//! browser POST to a chat port, with lines of chat in the body. So the first [`OPENING_BYTES_MAX`] bytes are
//! looked at before anything is answered. Those of another protocol close the connection without an answer:
//! one in the dialect is noise to that peer, and one in its own protocol is no part of a chat port.
//!
//! No signature is the start of what a client of a dialect may send:
//! * line: none is a command;
//! * slash: none is a nickname, which has no blank, `.` or control character. `PUT` and `SSH-2` are
//!   nicknames, and no signatures;
//! * TCRP: the second byte of a request is 1 or 2;
//! * typed: the first eight bytes of a request are a number below 256;
//! * gob: a stream starts with the definition of a type. The byte behind its length is 0x7f or more.

use super::{DecodeError, Dialect, Transport};
use crate::limits::OPENING_BYTES_MAX;

/// Another protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Foreign {
    /// A request of HTTP/1, or the preface of HTTP/2.
    Http,
    /// A handshake of TLS.
    Tls,
    /// A banner of SSH.
    Ssh,
    /// The header that a proxy puts in front of a connection, version 1 or 2 of the PROXY protocol.
    Proxy,
    /// The first command of an IRC client. It is text, and a dialect of lines answers it with an error.
    Irc,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// The start of a signature, or of the byte order mark in front of one: more must come.
    Unclear,
    /// Those of another protocol.
    Foreign(Foreign),
    /// None of these.
    Own,
}

impl Foreign {
    /// How many there are.
    pub const COUNT: usize = Self::Irc as usize + 1;

    /// The name used in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Ssh => "SSH",
            Self::Proxy => "PROXY header",
            Self::Irc => "IRC",
        }
    }

    /// The reason to close a connection to a dialect, or nothing.
    pub fn refused(self, dialect: Dialect) -> Option<DecodeError> {
        match self {
            Self::Irc if dialect.is_of_lines() => None,
            Self::Http | Self::Tls | Self::Ssh | Self::Proxy | Self::Irc => Some(DecodeError::Foreign(self)),
        }
    }

    /// The cause as metrics name it.
    pub(super) fn cause(self) -> &'static str {
        match self {
            Self::Http => "foreign-http",
            Self::Tls => "foreign-tls",
            Self::Ssh => "foreign-ssh",
            Self::Proxy => "foreign-proxy",
            Self::Irc => "foreign-irc",
        }
    }
}

/// A request's target is a path or a URL. The eight bytes of `CONNECT` and `OPTIONS` end before it.
const SIGNATURES: &[(&[u8], Foreign)] = &[
    (b"GET /", Foreign::Http),
    (b"GET http", Foreign::Http),
    (b"POST /", Foreign::Http),
    (b"POST htt", Foreign::Http),
    (b"PUT /", Foreign::Http),
    (b"PUT http", Foreign::Http),
    (b"HEAD /", Foreign::Http),
    (b"HEAD htt", Foreign::Http),
    (b"PATCH /", Foreign::Http),
    (b"PATCH ht", Foreign::Http),
    (b"TRACE /", Foreign::Http),
    (b"TRACE ht", Foreign::Http),
    (b"DELETE /", Foreign::Http),
    (b"DELETE h", Foreign::Http),
    (b"CONNECT ", Foreign::Http),
    (b"OPTIONS ", Foreign::Http),
    (b"PRI * HT", Foreign::Http),
    // A handshake record of SSL 3.0 to TLS 1.3.
    (b"\x16\x03\x00", Foreign::Tls),
    (b"\x16\x03\x01", Foreign::Tls),
    (b"\x16\x03\x02", Foreign::Tls),
    (b"\x16\x03\x03", Foreign::Tls),
    (b"\x16\x03\x04", Foreign::Tls),
    (b"SSH-1.", Foreign::Ssh),
    (b"SSH-2.", Foreign::Ssh),
    (b"PROXY TC", Foreign::Proxy),
    (b"PROXY UN", Foreign::Proxy),
    (b"\r\n\r\n\0\r\nQ", Foreign::Proxy),
    (b"NICK ", Foreign::Irc),
    (b"USER ", Foreign::Irc),
    (b"PASS ", Foreign::Irc),
    (b"CAP LS", Foreign::Irc),
    (b"CAP REQ ", Foreign::Irc),
];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Dialect {
    /// What the first bytes of a connection are. To be asked again with more where it is unclear, which it is
    /// only where the dialect has no answer to them either. An empty line may be the start of a PROXY header
    /// of version 2: line, which has no answer to an empty line, waits for more; slash refuses the empty
    /// nickname at once, as a person at a terminal expects.
    #[inline]
    pub fn opening(self, bytes: &[u8]) -> Opening {
        debug_assert!(self.transport() != Transport::Datagram, "a datagram has no first bytes");
        let mut bytes = bytes;
        if self.is_of_lines() {
            if BYTE_ORDER_MARK.starts_with(bytes) {
                return Opening::Unclear;
            }
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        let head = &bytes[..bytes.len().min(OPENING_BYTES_MAX)];
        let mut is_unclear = false;
        for &(signature, foreign) in SIGNATURES {
            if head.starts_with(signature) {
                return Opening::Foreign(foreign);
            }
            is_unclear |= signature.starts_with(head);
        }
        let is_answered = self == Self::Slash && head.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        if is_unclear && !is_answered { Opening::Unclear } else { Opening::Own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_signature_is_longer_than_what_is_looked_at() {
        for &(signature, foreign) in SIGNATURES {
            assert!(signature.len() <= OPENING_BYTES_MAX, "{foreign:?}");
        }
    }

    #[test]
    fn no_signature_is_the_start_of_a_client_of_a_binary_dialect() {
        for &(signature, foreign) in SIGNATURES {
            let second = signature[1];
            assert!(second != 1 && second != 2, "TCRP: an operation, {foreign:?}");
            assert_ne!(signature[0], 0, "typed: a type below 256, {foreign:?}");
            assert!(signature[0] < 0x80 && second < 0x7f, "gob: a length, then a definition, {foreign:?}");
        }
    }
}

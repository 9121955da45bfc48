//! The first bytes that a server sent. They identify the server; another thread can describe them at any
//! time.

use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::stranger::Stranger;
use crate::chat::visible;
use crate::limits::{CLIENT_FIRST_BYTES_MAX, CLIENT_SHOWN_BINARY_BYTES_MAX};
use crate::wire::Dialect;

/// A connection on which nothing was sent yet, and a view of the first bytes that come on it.
#[derive(Debug)]
pub struct Opened {
    /// The connection.
    pub stream: TcpStream,
    /// Its first bytes. A clone shows the same ones.
    pub first_bytes: FirstBytes,
}

impl From<TcpStream> for Opened {
    fn from(stream: TcpStream) -> Self {
        Self { stream, first_bytes: FirstBytes::default() }
    }
}

/// The first bytes that a server sent, at most [`CLIENT_FIRST_BYTES_MAX`], until they prove to be of the
/// expected dialect.
#[derive(Clone, Default, Debug)]
pub struct FirstBytes(Arc<Mutex<Looked>>);

#[derive(Default, Debug)]
struct Looked {
    bytes: Vec<u8>,
    is_expected: bool,
}

impl FirstBytes {
    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds bytes. Returns the server of another kind that they show, and whether more bytes can show one.
    pub(super) fn add(&self, bytes: &[u8], spoken: Dialect) -> (Option<Stranger>, bool) {
        let mut looked = self.looked();
        let wanted = CLIENT_FIRST_BYTES_MAX - looked.bytes.len();
        looked.bytes.extend(bytes.iter().take(wanted));
        let found = Stranger::recognize(&looked.bytes);
        looked.is_expected |= found == Some(Stranger::Dialect(spoken));
        let stranger = found.filter(|found| *found != Stranger::Dialect(spoken));
        (stranger, looked.bytes.len() < CLIENT_FIRST_BYTES_MAX)
    }

    /// The server is the expected one: there is nothing to describe.
    pub(super) fn expected(&self) {
        *self.looked() = Looked { bytes: Vec::new(), is_expected: true };
    }

    /// The bytes in words that a terminal can show; nothing if none came, or if they are of the expected
    /// dialect.
    #[must_use]
    pub fn describe(&self) -> Option<String> {
        let looked = self.looked();
        (!looked.is_expected && !looked.bytes.is_empty()).then(|| described(&looked.bytes))
    }
}

/// A text in quotation marks, or the first bytes in hexadecimal if it is not a text. The last character may
/// be cut.
fn described(bytes: &[u8]) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
        Err(_) => None,
    };
    let is_binary = |text: &&str| text.is_empty() || text.chars().any(is_of_binary);
    if let Some(text) = text.filter(|text| !is_binary(text)) {
        return format!("`{}`", visible(text));
    }
    let shown = &bytes[..bytes.len().min(CLIENT_SHOWN_BINARY_BYTES_MAX)];
    let digits: Vec<_> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    let more = if shown.len() < bytes.len() { " …" } else { "" };
    format!("binary data (hexadecimal {}{more})", digits.join(" "))
}

/// Texts have line ends, tabs and, for colours, ESC.
fn is_of_binary(c: char) -> bool {
    c.is_control() && !matches!(c, '\r' | '\n' | '\t' | '\x1b')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_an_unknown_server_are_described_safely_and_in_short() {
        for (bytes, words) in [
            (&b"hello\r\nthere\r\n"[..], "`hello ⏎ there`"),
            (b"\x1b[2J\xe2\x80\xaex", "`\u{fffd}[2J\u{fffd}x`"),
            ("café".as_bytes(), "`café`"),
            // A character is cut.
            (b"caf\xc3", "`caf`"),
            (b"\xc3", "binary data (hexadecimal c3)"),
            (b"\x4a\0\0", "binary data (hexadecimal 4a 00 00)"),
            (b"a\xff", "binary data (hexadecimal 61 ff)"),
            (&[7; 64], "binary data (hexadecimal 07 07 07 07 07 07 07 07 07 07 07 07 07 07 07 07 …)"),
        ] {
            assert_eq!(described(bytes), words);
        }
    }

    #[test]
    fn only_bytes_that_are_not_of_the_expected_dialect_are_described() {
        let first = FirstBytes::default();
        assert_eq!(first.describe(), None);
        assert_eq!(first.add(b"what", Dialect::Line), (None, true));
        assert_eq!(first.describe().as_deref(), Some("`what`"));
        assert_eq!(first.add(&[b'x'; 100], Dialect::Line), (None, false));
        assert_eq!(first.looked().bytes.len(), CLIENT_FIRST_BYTES_MAX);
        first.expected();
        assert_eq!(first.describe(), None);
        let first = FirstBytes::default();
        assert_eq!(first.add(b"ERR busy\n", Dialect::Line), (None, true));
        assert_eq!(first.describe(), None);
    }
}

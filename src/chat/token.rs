//! The token: what a client got from its handshake, and proves itself with in each datagram.

use std::fmt;
use std::hash::{Hash, Hasher};

use arrayvec::ArrayString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;

const PREFIX: &str = "token_";
const HEX: &[u8; 16] = b"0123456789abcdef";
/// Bytes of a token as a text: `token_` and 32 lower-case hexadecimal digits.
pub const TOKEN_TEXT_BYTES: usize = PREFIX.len() + 32;

/// A token as a text. Not for logs.
pub type TokenText = ArrayString<TOKEN_TEXT_BYTES>;

/// 16 bytes that whoever knows them may speak with. Compared in constant time, and shown by no `Debug`.
#[derive(Clone, Copy, Eq)]
pub struct Token([u8; 16]);

impl Token {
    /// From the operating system's randomness, handed in: nothing here has any.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads the text form. Anything else, upper-case digits included, is no token and belongs to nobody.
    #[inline]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?.as_bytes();
        let digits: &[u8; 32] = digits.try_into().ok()?;
        let mut bytes = [0; 16];
        // Without a branch a digit: what was wrong is looked at once, at the end.
        let mut found = 0;
        for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks().0) {
            let (high, low) = (value(*high), value(*low));
            found |= high | low;
            *byte = high << 4 | low & 0xf;
        }
        (found <= 0xf).then_some(Self(bytes))
    }

    /// The text form, as it goes to the client whom it was issued to, and to nobody else.
    pub fn reveal(&self) -> TokenText {
        let mut text = TokenText::new();
        text.push_str(PREFIX);
        for byte in self.0 {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 0xf)]));
        }
        text
    }
}

/// The value of a lower-case hexadecimal digit, and more than 15 for anything else.
#[inline]
fn value(digit: u8) -> u8 {
    let decimal = digit.wrapping_sub(b'0');
    let letter = digit.wrapping_sub(b'a');
    if decimal < 10 {
        decimal
    } else if letter < 6 {
        letter + 10
    } else {
        0xff
    }
}

impl PartialEq for Token {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// For a table whose hasher has a random key, so that how long a search takes says nothing about the tokens in it.
impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// For what is kept; not for logs.
impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.reveal())
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a token"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

//! The payloads of TCRP frames: who asks, in one of three forms, and the JSON of the two answers.

use std::borrow::Cow;
use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

use super::{Content, FrameError, Refusal, Request};
use crate::chat::{Secret, Token};

/// Who asks. Borrowed from the request, unless the JSON has escapes. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The name; UTF-8, possibly empty, and not checked.
    pub username: Cow<'a, str>,
    pub(super) password: Option<Cow<'a, str>>,
}

impl Credentials<'_> {
    /// The password, if there is one.
    pub fn password(&self) -> Option<Secret<'_>> {
        self.password.as_deref().map(Secret)
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, password: _ } = self;
        f.debug_struct("Credentials").field("username", username).field("password", &self.password()).finish()
    }
}

impl<'a> Request<'a> {
    /// Reads the payload: a JSON string, a JSON object with `username` and optionally `password`, or the bare name.
    ///
    /// What starts with `"` or `{` must be JSON: otherwise an object that lacks a brace would be taken, password and all,
    /// for a name, which everybody sees.
    pub fn credentials(&self) -> Result<Credentials<'a>, FrameError> {
        // A byte order mark, which RFC 8259 lets a parser ignore, and white space may stand in front of the
        // JSON.
        let payload = without_mark(self.payload);
        let start = payload.trim_start_matches([' ', '\t', '\n', '\r']);
        // The library's errors quote what they found, and are dropped for it.
        let credentials = match start.as_bytes().first() {
            Some(b'"') => serde_json::from_str(start)
                .ok()
                .map(|Text(username)| Credentials { username, password: None }),
            Some(b'{') => serde_json::from_str(start).ok().map(|Object { username, password }| Credentials {
                username: username.0,
                password: password.map(|password| password.0),
            }),
            _ => Some(Credentials { username: Cow::Borrowed(payload), password: None }),
        };
        credentials.ok_or(FrameError::PayloadUnreadable)
    }
}

/// A JSON string. (A type of its own, because an `Option<Cow>` is never borrowed.)
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize, Serialize)]
struct Object<'a> {
    #[serde(borrow)]
    username: Text<'a>,
    #[serde(borrow)]
    password: Option<Text<'a>>,
}

/// The payload of a request, in ASCII as the clients in use spell it, because older servers tell names apart by their
/// spelling.
pub(super) fn spell(username: &str, password: Option<Secret<'_>>) -> String {
    let mut json = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut json, Ascii);
    let username = Text(Cow::Borrowed(username));
    match password {
        None => username.serialize(&mut serializer),
        Some(Secret(password)) => {
            let password = Some(Text(Cow::Borrowed(password)));
            Object { username, password }.serialize(&mut serializer)
        }
    }
    .expect("strings always serialize, and a Vec takes everything");
    String::from_utf8(json).expect("the formatter writes ASCII")
}

/// Compact JSON with everything outside printable ASCII as `\uXXXX`.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            if matches!(c, ' '..='~') {
                writer.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Compliance<'a> {
    success: Value,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Complete<'a> {
    #[serde(borrow)]
    token: Text<'a>,
}

/// A payload without the byte order mark, which some programs put in front.
fn without_mark(payload: &str) -> &str {
    payload.trim_start_matches('\u{feff}')
}

/// Reads a compliance. Success is 1 or 0; some servers say true or false.
pub(super) fn compliance(payload: &str) -> Option<Content> {
    let Compliance { success, reason } = serde_json::from_str(without_mark(payload)).ok()?;
    let succeeded = success.as_bool().or_else(|| success.as_u64().map(|number| number != 0))?;
    Some(if succeeded {
        Content::Accepted
    } else {
        Content::Refused(reason.and_then(|Text(word)| Refusal::from_word(&word)))
    })
}

/// Reads a complete.
pub(super) fn complete(payload: &str) -> Option<Content> {
    let Complete { token: Text(token) } = serde_json::from_str(without_mark(payload)).ok()?;
    if token.is_empty() {
        return Some(Content::Complete(None));
    }
    Token::parse(&token).map(|token| Content::Complete(Some(token)))
}

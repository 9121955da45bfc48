//! Passwords, as the pure modules see them: texts to compare with, and work that somebody else does.
//!
//! Hashing takes tens of milliseconds and megabytes by design, so that it is never done where a turn of the loop waits for
//! it: the engine hands out a [`PasswordTask`] and is told the [`PasswordOutcome`].

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::{ConnId, is_disruptive, without_mark};
use crate::limits::{PASSWORD_BYTES_MAX, PASSWORD_HASH_BYTES_MAX};

/// Why a text cannot be a new password. It does not show the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PasswordError {
    /// No bytes.
    #[error("a password cannot be empty")]
    Empty,
    /// More than [`PASSWORD_BYTES_MAX`] bytes.
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// White space at an end, or a byte order mark in front.
    #[error(
        "a password cannot begin or end with white space, or begin with a byte order mark: line and slash cannot \
         send it"
    )]
    Ends,
    /// A character that is [disruptive](is_disruptive).
    #[error(
        "a password cannot contain line ends, other control characters, or bidirectional controls: line and \
         slash cannot send it"
    )]
    Control,
}

/// Checks that a text can be a new password: every dialect that has passwords can send it. It has 1 to
/// [`PASSWORD_BYTES_MAX`] bytes. Line and slash drop white space at both ends of a line and a byte order mark
/// in front of it, and their client replaces [disruptive](is_disruptive) characters.
///
/// All ways to make a password use this rule. A password of an account that exists is compared as it is.
///
/// A blank inside is allowed. Only the commands that change a password, which separate two passwords by a
/// blank, cannot send such a one.
pub fn check_password(password: &str) -> Result<(), PasswordError> {
    if password.is_empty() {
        Err(PasswordError::Empty)
    } else if password.len() > PASSWORD_BYTES_MAX {
        Err(PasswordError::TooLong)
    } else {
        check_sendable(password)
    }
}

/// Checks that the dialects of lines send a password as it is.
pub(crate) fn check_sendable(password: &str) -> Result<(), PasswordError> {
    if without_mark(password).trim_ascii() != password {
        Err(PasswordError::Ends)
    } else if password.chars().any(is_disruptive) {
        Err(PasswordError::Control)
    } else {
        Ok(())
    }
}

/// Why a text is no password hash. It does not show the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PasswordHashError {
    /// More than [`PASSWORD_HASH_BYTES_MAX`] bytes.
    #[error("a password hash has at most {PASSWORD_HASH_BYTES_MAX} bytes")]
    TooLong,
    /// It starts like none of the hashes that are understood.
    #[error("a password hash starts with $argon2id$, $2a$, $2b$ or $2y$")]
    Kind,
    /// White space, a control, or something that is not ASCII.
    #[error("a password hash is printable ASCII without blanks")]
    Character,
}

/// What a hash starts with: argon2id in the PHC string format.
const ARGON2ID: &str = "$argon2id$";
/// And bcrypt, of which these differ only in the programs that wrote them. `$2x$` marks hashes of a program that mangled
/// letters outside ASCII, and is not understood.
const BCRYPT: [&str; 3] = ["$2a$", "$2b$", "$2y$"];

/// A password's hash as a text: argon2id in the PHC string format, or a bcrypt hash (`$2a$`, `$2b$`, `$2y$`) that was
/// imported. Printable ASCII without blanks, at most [`PASSWORD_HASH_BYTES_MAX`] bytes; what follows the prefix is not
/// looked at before a password is compared with it. `Debug` shows none of it.
///
/// Two hashes are the same when their texts are, which two hashes of one password never are: each has its own salt.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// Checks a text before anything is kept of it.
    pub fn new(text: &str) -> Result<Self, PasswordHashError> {
        if text.len() > PASSWORD_HASH_BYTES_MAX {
            return Err(PasswordHashError::TooLong);
        }
        if !text.starts_with(ARGON2ID) && !is_bcrypt(text) {
            return Err(PasswordHashError::Kind);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(PasswordHashError::Character);
        }
        Ok(Self(text.into()))
    }

    /// The hash as a text: to be stored, never to be shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the hash is of a kind that is kept only until its owner's next login: bcrypt. (An argon2id hash with lower
    /// parameters than today's is replaced as well, by whoever compares with it and so has read them.)
    pub fn is_outdated(&self) -> bool {
        is_bcrypt(&self.0)
    }
}

fn is_bcrypt(text: &str) -> bool {
    BCRYPT.iter().any(|prefix| text.starts_with(prefix))
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A text with escapes cannot be borrowed, so that it is copied first. Whoever reads bounds what it reads.
        Self::new(&Box::<str>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Something to be worked out off the loop. `Debug` shows neither password nor hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordTask {
    /// Who waits for the outcome.
    pub conn: ConnId,
    /// Which of the connection's tasks it is: an outcome with another serial came too late.
    pub serial: u32,
    /// What was typed, at most [`PASSWORD_BYTES_MAX`](crate::limits::PASSWORD_BYTES_MAX) bytes.
    pub password: Box<str>,
    /// What to compare it with. None: hash it, for a new account.
    pub against: Option<PasswordHash>,
}

impl fmt::Debug for PasswordTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { conn, serial, password: _, against } = self;
        f.debug_struct("PasswordTask")
            .field("conn", conn)
            .field("serial", serial)
            .field("against", against)
            .finish_non_exhaustive()
    }
}

/// What became of a [`PasswordTask`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PasswordOutcome {
    /// There was nothing to compare with: here is the password's hash.
    Hashed(PasswordHash),
    /// The password is the account's.
    Right {
        /// What to keep instead of the old hash, where that was outdated.
        upgraded: Option<PasswordHash>,
    },
    /// It is not.
    Wrong,
    /// It could not be found out: the stored hash cannot be read, or asks for too much, or the library failed. The log says
    /// which.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGON2ID_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";
    const BCRYPT_HASH: &str = "$2b$12$saltsaltsaltsaltsaltsOhashhashhashhashhashhashhashha";

    #[test]
    fn a_new_password_is_one_that_every_dialect_can_send() {
        let longest = "é".repeat(PASSWORD_BYTES_MAX / 2);
        for password in ["x", "correct horse", "a\tb", "/quit", "“ä” \u{1f980}", "a\u{feff}b", &longest]
        {
            assert_eq!(check_password(password), Ok(()), "{password:?}");
        }
        assert_eq!(check_password(""), Err(PasswordError::Empty));
        assert_eq!(check_password(&(longest + "x")), Err(PasswordError::TooLong));
        for password in [" x", "x ", "\tx", "x\t", "\nx", "x\r\n", " ", "\u{feff}x", "\u{feff}"] {
            assert_eq!(check_password(password), Err(PasswordError::Ends), "{password:?}");
        }
        for password in
            ["a\nb", "a\rb", "a\0b", "\u{1b}[2J", "\u{b}x", "a\u{85}b", "a\u{2028}b", "a\u{202e}b"]
        {
            assert_eq!(check_password(password), Err(PasswordError::Control), "{password:?}");
        }
    }

    #[test]
    fn the_two_kinds_are_told_by_how_they_start() {
        let is_outdated = |text: &str| PasswordHash::new(text).expect(text).is_outdated();
        assert!(!is_outdated(ARGON2ID_HASH));
        for kind in ["$2a$", "$2b$", "$2y$"] {
            assert!(is_outdated(&BCRYPT_HASH.replace("$2b$", kind)));
        }
        assert_eq!(PasswordHash::new(ARGON2ID_HASH).expect("argon2id").as_str(), ARGON2ID_HASH);
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let error = |text: &str| PasswordHash::new(text).expect_err(text);
        for text in ["", "$", "hunter2", "$2x$12$", "$2$12$", "$1$abc", "$argon2i$", "$argon2d$", " $2b$"] {
            assert_eq!(error(text), PasswordHashError::Kind, "{text:?}");
        }
        for text in ["$2b$ ", "$2b$\n", "$2b$\0", "$argon2id$é", "$argon2id$\u{202e}"] {
            assert_eq!(error(text), PasswordHashError::Character, "{text:?}");
        }
        let longest = format!("{ARGON2ID}{}", "x".repeat(PASSWORD_HASH_BYTES_MAX - ARGON2ID.len()));
        assert!(PasswordHash::new(&longest).is_ok());
        assert_eq!(error(&(longest + "x")), PasswordHashError::TooLong);
    }

    #[test]
    fn a_hash_is_stored_as_its_text_and_checked_when_it_is_read() {
        let hash = PasswordHash::new(ARGON2ID_HASH).expect("argon2id");
        let json = serde_json::to_string(&hash).expect("a string");
        assert_eq!(json, format!("\"{ARGON2ID_HASH}\""));
        assert_eq!(serde_json::from_str::<PasswordHash>(&json).expect("the same"), hash);
        assert_eq!(
            serde_json::from_str::<PasswordHash>(&json.replace('$', "\\u0024")).expect("escaped"),
            hash
        );
        let error = serde_json::from_str::<PasswordHash>("\"hunter2\"").expect_err("no hash");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn debug_shows_neither_password_nor_hash() {
        for text in [ARGON2ID_HASH, BCRYPT_HASH] {
            let hash = PasswordHash::new(text).expect(text);
            let task = PasswordTask {
                conn: ConnId { slot: 1, generation: 2 },
                serial: 3,
                password: "hunter2".into(),
                against: Some(hash.clone()),
            };
            let outcomes = [
                PasswordOutcome::Hashed(hash.clone()),
                PasswordOutcome::Right { upgraded: Some(hash.clone()) },
            ];
            let shown = format!("{hash:?} {task:?} {task:#?} {outcomes:?} {outcomes:#?}");
            assert!(!shown.contains("hunter2") && !shown.contains('$') && !shown.contains("hash"), "{shown}");
        }
    }
}

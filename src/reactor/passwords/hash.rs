//! What a password task takes: argon2id, and bcrypt for hashes that were imported.
//!
//! A stored hash says itself what it costs to compare with, so that it is bounded before any of that is spent.

use std::collections::TryReserveError;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as PhcHash, Salt};
use argon2::password_hash::{self, try_generate_salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use bcrypt::{BcryptError, HashParts};
use thiserror::Error;

use crate::chat::{
    PasswordError, PasswordHash, PasswordHashError, PasswordOutcome, PasswordTask, check_password,
};
use crate::limits::{
    PASSWORD_BCRYPT_COST_MAX, PASSWORD_BYTES_MAX, PASSWORD_LANES, PASSWORD_MEMORY_KIB,
    PASSWORD_MEMORY_KIB_MAX, PASSWORD_PASSES, PASSWORD_PASSES_MAX,
};

/// Why there is no answer. It shows neither password nor hash.
#[derive(Debug, Error)]
pub enum HashError {
    /// Nobody should have let it through.
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes, this one {0}")]
    PasswordTooLong(usize),
    /// The text cannot be a new password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// An error in the stored hash.
    #[error("the stored hash has no salt or no output")]
    Incomplete,
    /// Comparing would take too much.
    #[error(
        "the stored hash asks for {memory} KiB and {passes} passes, at most {PASSWORD_MEMORY_KIB_MAX} and \
         {PASSWORD_PASSES_MAX} are taken; the account needs a new password"
    )]
    Argon2Cost {
        /// KiB.
        memory: u32,
        /// Passes over the memory.
        passes: u32,
    },
    /// Comparing would take too long.
    #[error(
        "the stored hash has a cost of {0}, at most {PASSWORD_BCRYPT_COST_MAX} is taken; the account needs a new password"
    )]
    BcryptCost(u32),
    /// An error of the library.
    #[error("argon2: {0}")]
    Argon2(#[from] password_hash::Error),
    /// An error of the library.
    #[error("bcrypt: {0}")]
    Bcrypt(#[from] BcryptError),
    /// The system has none.
    #[error("no memory for a hash: {0}")]
    Memory(#[from] TryReserveError),
    /// A defect.
    #[error("a new hash is none: {0}")]
    Text(#[from] PasswordHashError),
}

/// Does what the task asks for. Takes tens of milliseconds, about a second at most.
pub(super) fn work_out(task: &PasswordTask) -> Result<PasswordOutcome, HashError> {
    let password = &*task.password;
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(HashError::PasswordTooLong(password.len()));
    }
    let Some(stored) = &task.against else {
        return Ok(PasswordOutcome::Hashed(hash(password)?));
    };
    let comparison = if stored.is_outdated() {
        compare_bcrypt(password, stored.as_str())
    } else {
        compare_argon2(password, stored.as_str())
    }?;
    Ok(match comparison {
        Comparison::Wrong => PasswordOutcome::Wrong,
        Comparison::Right => PasswordOutcome::Right { upgraded: None },
        // The password is right, whatever becomes of its new hash: the next login tries again.
        Comparison::RightButOutdated => PasswordOutcome::Right { upgraded: hash(password).ok() },
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    Wrong,
    Right,
    /// The hash should be replaced.
    RightButOutdated,
}

/// Hashes a password for a new account, which takes tens of milliseconds.
///
/// # Errors
///
/// The text cannot be a password ([`check_password`]), or the system has no randomness or memory for it.
pub fn hash_password(password: &str) -> Result<PasswordHash, HashError> {
    check_password(password)?;
    hash(password)
}

/// A hash with today's parameters, and a salt from the operating system.
fn hash(password: &str) -> Result<PasswordHash, HashError> {
    let salt = Salt::new(&try_generate_salt().map_err(password_hash::Error::from)?)
        .map_err(password_hash::Error::from)?;
    let params =
        Params::new(PASSWORD_MEMORY_KIB, PASSWORD_PASSES, PASSWORD_LANES, Some(Params::DEFAULT_OUTPUT_LEN))
            .map_err(password_hash::Error::from)?;
    let hash = PhcHash {
        algorithm: argon2::ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(salt),
        hash: Some(digest(password, &salt, Params::DEFAULT_OUTPUT_LEN, Version::V0x13, params)?),
    };
    Ok(PasswordHash::new(&hash.to_string())?)
}

/// Compares as the stored hash says, if it asks for no more than is taken.
fn compare_argon2(password: &str, stored: &str) -> Result<Comparison, HashError> {
    let stored = PhcHash::new(stored).map_err(password_hash::Error::from)?;
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
        return Err(HashError::Incomplete);
    };
    let params = Params::try_from(&stored)?;
    let (memory, passes) = (params.m_cost(), params.t_cost());
    if memory > PASSWORD_MEMORY_KIB_MAX || passes > PASSWORD_PASSES_MAX {
        return Err(HashError::Argon2Cost { memory, passes });
    }
    // Hashes from before there were versions do not say theirs. (The library's own comparison takes them for new ones.)
    let version =
        stored.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(password_hash::Error::from)?;
    // The type compares in constant time.
    if digest(password, salt, expected.len(), version, params)? != *expected {
        return Ok(Comparison::Wrong);
    }
    // Less memory is weaker, and so is as much with less work; other mixtures are as good as today's.
    let is_outdated = version != Version::V0x13
        || memory < PASSWORD_MEMORY_KIB
        || memory * passes < PASSWORD_MEMORY_KIB * PASSWORD_PASSES;
    Ok(if is_outdated { Comparison::RightButOutdated } else { Comparison::Right })
}

// Products of memory and passes stay in their type.
const _: () = assert!(PASSWORD_MEMORY_KIB_MAX.checked_mul(PASSWORD_PASSES_MAX).is_some());

/// argon2id itself, in memory that goes back to the system at once.
///
/// Address space is taken for the largest hash that is allowed, of which only what this one needs becomes memory. glibc
/// gives blocks of more than 32 MiB back to the kernel when they are freed. Smaller ones it keeps and splits: as little as
/// one small block that is kept between two hashes makes it grow by 19 MiB a hash, without an end.
fn digest(
    password: &str,
    salt: &[u8],
    output_bytes: usize,
    version: Version,
    params: Params,
) -> Result<Output, HashError> {
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(PASSWORD_MEMORY_KIB_MAX as usize)?;
    blocks.resize(params.block_count(), Block::new());
    let mut output = [0; Output::MAX_LENGTH];
    let output = &mut output[..output_bytes];
    Argon2::new(Algorithm::Argon2id, version, params)
        .hash_password_into_with_memory(password.as_bytes(), salt, output, &mut blocks)
        .map_err(password_hash::Error::from)?;
    Ok(Output::new(output).map_err(password_hash::Error::from)?)
}

const _: () = assert!(Block::SIZE == 1 << 10, "a block is a KiB");
const _: () = assert!(PASSWORD_MEMORY_KIB_MAX > 32 << 10, "more than glibc keeps");

/// Bytes of a password that bcrypt looks at, with the zero byte that ends it.
const BCRYPT_BYTES: usize = 72;

/// Compares with an imported hash.
///
/// bcrypt looks at no more than the first 72 bytes of a password, and so did the programs that made such hashes. They took
/// longer ones, so that their users have them: they are compared by their first 72 bytes here as well, which is as good as
/// it ever was. But nothing says that the rest was typed right; a new hash, which counts it, could lock its owner out. Such
/// a password keeps its old hash.
fn compare_bcrypt(password: &str, stored: &str) -> Result<Comparison, HashError> {
    let cost = stored.parse::<HashParts>()?.get_cost();
    if cost > PASSWORD_BCRYPT_COST_MAX {
        return Err(HashError::BcryptCost(cost));
    }
    Ok(if !bcrypt::verify(password, stored)? {
        Comparison::Wrong
    } else if password.len() < BCRYPT_BYTES {
        Comparison::RightButOutdated
    } else {
        Comparison::Right
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ConnId;
    use crate::limits::PASSWORD_HASH_BYTES_MAX;

    fn work_out(password: &str, against: Option<&str>) -> Result<PasswordOutcome, HashError> {
        super::work_out(&PasswordTask {
            conn: ConnId { slot: 1, generation: 2 },
            serial: 3,
            password: password.into(),
            against: against.map(|text| PasswordHash::new(text).expect(text)),
        })
    }

    fn compare(password: &str, against: &str) -> PasswordOutcome {
        work_out(password, Some(against)).expect(against)
    }

    fn hash(password: &str) -> PasswordHash {
        match work_out(password, None).expect("a hash") {
            PasswordOutcome::Hashed(hash) => hash,
            outcome => panic!("{outcome:?}"),
        }
    }

    /// The new hash that the right password led to, which is today's and the password's.
    fn upgraded(password: &str, against: &str) -> PasswordHash {
        match compare(password, against) {
            PasswordOutcome::Right { upgraded: Some(hash) } => {
                assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
                assert_eq!(compare(password, hash.as_str()), RIGHT);
                hash
            }
            outcome => panic!("{against}: {outcome:?}"),
        }
    }

    const RIGHT: PasswordOutcome = PasswordOutcome::Right { upgraded: None };

    #[test]
    fn a_new_hash_is_todays_and_only_its_password_is_right() {
        let longest = "é".repeat(PASSWORD_BYTES_MAX / 2);
        for password in ["", "hunter2", "pass word\0é", &longest] {
            let hash = hash(password);
            assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
            assert!(!hash.is_outdated());
            assert_eq!(compare(password, hash.as_str()), RIGHT);
            assert_eq!(compare("hunter3", hash.as_str()), PasswordOutcome::Wrong);
        }
    }

    #[test]
    fn each_hash_has_a_salt_of_its_own() {
        let hashes = [hash("hunter2"), hash("hunter2")];
        let [one, other] = hashes.each_ref().map(|hash| hash.as_str().split('$').nth(4).expect("a salt"));
        assert_eq!(one.len(), 22, "16 bytes");
        assert_ne!(one, other);
    }

    /// Hashes that the reference implementation's own tests publish (`test.c`, of "password").
    #[test]
    fn published_argon2id_hashes_are_right_and_weak_ones_are_replaced() {
        let strong = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert_eq!(compare("password", strong), RIGHT, "stronger than today's, and kept");
        for weak in [
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        ] {
            assert_eq!(compare("Password", weak), PasswordOutcome::Wrong);
            upgraded("password", weak);
        }
    }

    #[test]
    fn a_hash_is_outdated_when_it_takes_less_than_todays() {
        for (version, memory, passes, is_outdated) in [
            (Version::V0x13, PASSWORD_MEMORY_KIB, PASSWORD_PASSES, false),
            (Version::V0x13, PASSWORD_MEMORY_KIB * 2, PASSWORD_PASSES / 2, false),
            (Version::V0x13, PASSWORD_MEMORY_KIB - 1, PASSWORD_PASSES * 2, true),
            (Version::V0x13, PASSWORD_MEMORY_KIB, PASSWORD_PASSES - 1, true),
            (Version::V0x10, PASSWORD_MEMORY_KIB, PASSWORD_PASSES, true),
        ] {
            let params = Params::new(memory, passes, 1, None).expect("parameters");
            let output = digest("hunter2", b"saltsalt", 32, version, params).expect("an output");
            let version = if version == Version::V0x10 { "" } else { "$v=19" };
            let stored = format!("$argon2id{version}$m={memory},t={passes},p=1$c2FsdHNhbHQ${output}");
            let expected = if is_outdated { Comparison::RightButOutdated } else { Comparison::Right };
            assert_eq!(compare_argon2("hunter2", &stored).expect("readable"), expected, "{stored}");
        }
    }

    #[test]
    fn an_imported_hash_is_right_and_replaced() {
        // Published by jBCrypt, whose vectors others took over; what made the others differs in the prefix only.
        let published = "$2a$08$aTsUwsyowQuzRrDqFflhgekJ8d9/7Z3GV3UcgvzQW3J5zMyrTvlz.";
        upgraded("abcdefghijklmnopqrstuvwxyz", published);
        assert_eq!(compare("abcdefghijklmnopqrstuvwxy", published), PasswordOutcome::Wrong);
        // Made by other libraries, and published with the one in use.
        for (password, stored) in [
            ("password", "$2a$04$UuTkLRZZ6QofpDOlMz32MuuxEHA43WOemOYHPz6.SjsVsyO1tDU96"),
            ("correctbatteryhorsestapler", "$2b$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie"),
            ("hunter2", "$2b$12$......................21jzCB1r6pN6rp5O2Ev0ejjTAboskKm"),
        ] {
            upgraded(password, stored);
            upgraded(password, &format!("$2y${}", &stored[4..]));
            assert_eq!(compare("wrong", stored), PasswordOutcome::Wrong);
        }
        upgraded("", &bcrypt::hash("", 4).expect("a hash"));
    }

    #[test]
    fn bcrypt_looks_at_72_bytes_and_a_password_that_has_more_keeps_its_hash() {
        let password = "x".repeat(100);
        let stored = bcrypt::hash(&password, 4).expect("a hash");
        assert_eq!(compare(&password, &stored), RIGHT);
        assert_eq!(compare(&password[..72], &stored), RIGHT, "nobody can tell");
        assert_eq!(compare(&password[..71], &stored), PasswordOutcome::Wrong);
        let stored = bcrypt::hash(&password[..71], 4).expect("a hash");
        upgraded(&password[..71], &stored);
    }

    #[test]
    fn what_asks_for_too_much_is_refused_before_it_takes_it() {
        let salt_and_output = "c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        for parameters in [
            "m=4294967295,t=1,p=1",
            "m=65537,t=1,p=1",
            "m=4294967295,t=4294967295,p=16777215",
            "m=19456,t=17,p=1",
            "m=8,t=4294967295,p=1",
        ] {
            let stored = format!("$argon2id$v=19${parameters}${salt_and_output}");
            let result = work_out("hunter2", Some(&stored));
            assert!(matches!(result, Err(HashError::Argon2Cost { .. })), "{stored}: {result:?}");
        }
        for cost in 15..32 {
            let stored = format!("$2b${cost}$......................21jzCB1r6pN6rp5O2Ev0ejjTAboskKm");
            let result = work_out("hunter2", Some(&stored));
            assert!(matches!(result, Err(HashError::BcryptCost(_))), "{stored}: {result:?}");
        }
        let too_long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert!(matches!(work_out(&too_long, None), Err(HashError::PasswordTooLong(1025))));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_shows_none_of_it() {
        let long = "A".repeat(PASSWORD_HASH_BYTES_MAX - 80);
        let output = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        for stored in [
            "$argon2id$",
            "$argon2id$v=19",
            "$argon2id$v=19$m=256,t=2,p=1",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAA",
            &format!("$argon2id$v=19$m=256,t=2,p=1$AAAA${output}"),
            &format!("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ${output}${output}"),
            &format!("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ${long}"),
            &format!("$argon2id$v=19$m=256,t=2,p=1${long}${output}"),
            &format!("$argon2id$v=18$m=256,t=2,p=1$c29tZXNhbHQ${output}"),
            &format!("$argon2id$v=19$m=256,t=0,p=1$c29tZXNhbHQ${output}"),
            &format!("$argon2id$v=19$m=256,t=2,p=0$c29tZXNhbHQ${output}"),
            &format!("$argon2id$v=19$m=256,t=2,p=33$c29tZXNhbHQ${output}"),
            &format!("$argon2id$v=19$m=0,t=2,p=1$c29tZXNhbHQ${output}"),
            &format!("$argon2id$v=19$m=4294967296,t=2,p=1$c29tZXNhbHQ${output}"),
            &format!("$argon2id$v=19$m=256,t=2,p=1,x=1$c29tZXNhbHQ${output}"),
            &format!("$argon2id$v=19$,,=,=$c29tZXNhbHQ${output}"),
            "$2b$",
            "$2b$12$",
            "$2b$03$......................21jzCB1r6pN6rp5O2Ev0ejjTAboskKm",
            "$2b$ab$......................21jzCB1r6pN6rp5O2Ev0ejjTAboskKm",
            "$2b$04$......................21jzCB1r6pN6rp5O2Ev0ejjTAboskK",
            "$2b$04$......................21jzCB1r6pN6rp5O2Ev0ejjTAboskKmm",
            "$2b$04$!!!!!!!!!!!!!!!!!!!!!!21jzCB1r6pN6rp5O2Ev0ejjTAboskKm",
            "$2b$04$......................$$jzCB1r6pN6rp5O2Ev0ejjTAboskKm",
        ] {
            let error = work_out("hunter2", Some(stored)).expect_err(stored);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && !shown.contains('$'), "{stored}: {shown}");
        }
    }
}

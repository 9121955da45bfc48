//! Why a configuration was refused, in a sentence that ends with what to do about it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The file that is read when no other is named.
pub(super) const FILE_NAME: &str = "parlance.toml";

/// What our environment variables start with.
pub(super) const VARIABLE_PREFIX: &str = "PARLANCE_";

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// This file.
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
    /// The flag of the setting's own name.
    Flag,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there but cannot be read, or it was asked for and is not there.
    #[error(
        "cannot read the configuration file `{}` ({}): {cause}; {}",
        path.display(),
        file_origin(named_by),
        unreadable_remedy(named_by)
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What named it; [`Origin::Default`] when it was found in the working directory.
        named_by: Origin,
        /// What the system said.
        cause: io::Error,
    },

    /// The file is not TOML.
    #[error("`{}` is not valid TOML: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why, with the line in question.
        message: String,
    },

    /// There is no such setting. The value is left out: what is misspelt may well be a secret.
    #[error("{}: {}", unknown_name(name, origin), unknown_remedy(suggestion.as_deref(), origin))]
    UnknownKey {
        /// The name as it was written.
        name: String,
        /// Where it was written.
        origin: Origin,
        /// The key that was probably meant.
        suggestion: Option<&'static str>,
    },

    /// A setting of which only the file can say what is to be said.
    #[error(
        "`{key}` cannot be set by {}: write it into the configuration file, as [[{key}]] tables",
        setting_origin(key, origin)
    )]
    FileOnly {
        /// The setting.
        key: &'static str,
        /// What set it.
        origin: Origin,
    },

    /// An environment variable of ours is not text.
    #[error("environment variable {variable} is not valid UTF-8: set it to plain text, or unset it")]
    NotText {
        /// Its name.
        variable: String,
    },

    /// The setting cannot have this value.
    #[error("`{key}` cannot be {value} ({}): {remedy}", setting_origin(key, origin))]
    InvalidValue {
        /// The setting.
        key: String,
        /// Its value, quoted.
        value: String,
        /// Where it was set.
        origin: Origin,
        /// What to do.
        remedy: String,
    },

    /// There are more or fewer cores than shards to run on them.
    #[error(
        "{cores} {} for {shards} {} ({}): give one core a shard, or none, or `shards = \"auto\"`",
        if *cores == 1 { "core" } else { "cores" },
        if *shards == 1 { "shard" } else { "shards" },
        names(origins)
    )]
    Pins {
        /// How many cores.
        cores: usize,
        /// How many shards.
        shards: usize,
        /// Both keys, and what set them.
        origins: Vec<(&'static str, Origin)>,
    },

    /// Every dialect is off.
    #[error(
        "{} are all off, so nobody could connect: give one of them a port, such as --line 4000",
        names(origins)
    )]
    NothingListens {
        /// Each dialect's key, and what switched it off.
        origins: Vec<(&'static str, Origin)>,
    },

    /// Of two dialects that are nothing without each other, one is off.
    #[error("{} is on and {} is off, so {consequence}: give both a port, or off", name(on), name(off))]
    HalfOff {
        /// The key of the one that is on, and what set it.
        on: (&'static str, Origin),
        /// The key of the other, and what switched it off.
        off: (&'static str, Origin),
        /// Who could not do what.
        consequence: &'static str,
    },

    /// Two dialects would listen on one address.
    #[error("{} would both listen on {address}: {}", names(&origins[..]), clash_remedy(*address, origins))]
    SameAddress {
        /// The address.
        address: SocketAddr,
        /// Both dialects' keys, and what set each.
        origins: Box<[(&'static str, Origin); 2]>,
    },
}

/// The name of the setting `key` in the environment.
pub(super) fn variable(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.to_ascii_uppercase().replace('-', "_"))
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path) => path.display().fmt(formatter),
            Self::Environment(name) => write!(formatter, "environment variable {name}"),
            Self::Flag => formatter.write_str("flag"),
        }
    }
}

fn setting_origin(key: &str, origin: &Origin) -> String {
    match origin {
        Origin::Flag => format!("flag --{key}"),
        Origin::Default | Origin::File(_) | Origin::Environment(_) => origin.to_string(),
    }
}

fn name((key, origin): &(&'static str, Origin)) -> String {
    format!("`{key}` ({})", setting_origin(key, origin))
}

fn names(origins: &[(&'static str, Origin)]) -> String {
    let names: Vec<_> = origins.iter().map(name).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        Some(_) | None => names.concat(),
    }
}

fn file_origin(named_by: &Origin) -> String {
    match named_by {
        Origin::Default => "found in the working directory".to_owned(),
        Origin::File(_) | Origin::Environment(_) | Origin::Flag => setting_origin("config", named_by),
    }
}

fn unreadable_remedy(named_by: &Origin) -> &'static str {
    match named_by {
        Origin::Default | Origin::File(_) => {
            "make it a readable text file, move it away, or name another file with --config"
        }
        Origin::Environment(_) => "name a TOML file that can be read, or unset the variable",
        Origin::Flag => "name a TOML file that can be read, or leave the flag out",
    }
}

/// Which of the two to move, and how: the one that is there by default, if it is the only one.
fn clash_remedy(address: SocketAddr, origins: &[(&'static str, Origin); 2]) -> String {
    let [(first, first_origin), (second, second_origin)] = origins;
    let is_first_default = *first_origin == Origin::Default && *second_origin != Origin::Default;
    let (moved, origin) = if is_first_default { (first, first_origin) } else { (second, second_origin) };
    let other_port = address.port().checked_add(1).unwrap_or(1024);
    let kept = if moved == first { second } else { first };
    let (port, off) = match origin {
        Origin::File(_) => (format!("`{moved} = {other_port}`"), format!("`{moved} = \"off\"`")),
        Origin::Environment(name) => (format!("{name}={other_port}"), format!("{name}=off")),
        Origin::Default | Origin::Flag => (format!("--{moved} {other_port}"), format!("--{moved} off")),
    };
    format!(
        "give `{moved}` another port, such as {port}, or switch it off, with {off}; or give `{kept}` another port"
    )
}

fn unknown_name(name: &str, origin: &Origin) -> String {
    match origin {
        Origin::Default => format!("unknown setting `{name}`"),
        Origin::File(path) => format!("unknown key `{name}` in {}", path.display()),
        Origin::Environment(variable) => format!("unknown environment variable `{variable}`"),
        Origin::Flag => format!("unknown flag `--{name}`"),
    }
}

fn unknown_remedy(suggestion: Option<&str>, origin: &Origin) -> String {
    let spell = |key: &str| match origin {
        Origin::Default | Origin::File(_) => key.to_owned(),
        Origin::Environment(_) => variable(key),
        Origin::Flag => format!("--{key}"),
    };
    if let Some(key) = suggestion {
        return format!("did you mean `{}`?", spell(key));
    }
    let remove = match origin {
        Origin::Default | Origin::File(_) => "remove it",
        Origin::Environment(_) => "unset it",
        Origin::Flag => "leave it out",
    };
    format!("{remove}; `parlance config` prints every setting, with its value")
}

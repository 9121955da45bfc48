//! Where settings come from, and how they are merged, the later over the earlier.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::error::{FILE_NAME, VARIABLE_PREFIX, variable};
use super::service::is_of_service;
use super::{Config, ConfigError, Origin};
use crate::text_encoding::{UTF_16, is_utf_16, without_mark};

/// The variable that names the configuration file, as `--config` does.
const FILE_VARIABLE: &str = "PARLANCE_CONFIG";

/// Variables that others have made customary, and the setting that each stands for.
const CUSTOMARY: [(&str, &str); 2] = [("RUST_LOG", "log"), ("PORT", "line")];

/// What people write who know the setting by another name; for suggestions only.
const SYNONYMS: [(&str, &str); 23] = [
    ("port", "line"),
    ("host", "bind"),
    ("address", "bind"),
    ("log-level", "log"),
    ("cpu", "pin"),
    ("data-dir", "data"),
    ("database", "store"),
    ("sync", "durability"),
    ("listen", "bind"),
    ("directory", "data"),
    ("loglevel", "log"),
    ("workers", "shards"),
    ("threads", "shards"),
    ("affinity", "pin"),
    ("connections", "max-clients"),
    ("max-connections", "max-clients"),
    ("timeout", "idle-timeout"),
    ("history", "history-keep-messages"),
    ("retention", "history-keep-days"),
    ("rate-limit", "session-messages"),
    ("trusted", "exempt"),
    ("whitelist", "exempt"),
    ("allow", "exempt"),
];

/// Everything that a configuration is made from, besides the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that `--config` names; it must exist.
    pub file: Option<PathBuf>,
    /// The directory in which `parlance.toml` is read when no file is named; empty for the working directory.
    pub directory: PathBuf,
    /// All environment variables. Those that are not ours are ignored, and those that are empty count as unset.
    pub environment: Vec<(OsString, OsString)>,
    /// The flags that were given: a key of [`Config::KEYS`], and the text.
    pub flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// The working directory and environment of this process, with the given file and flags.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Self {
        Self { file, directory: PathBuf::new(), environment: std::env::vars_os().collect(), flags }
    }

    /// The ready file that was asked for, also where other settings cannot be used.
    pub fn ready_file(&self) -> Option<PathBuf> {
        const KEY: &str = "ready-file";
        let flag = self.flags.iter().rfind(|(key, _)| *key == KEY).map(|(_, path)| PathBuf::from(path));
        let variable = || self.variable(&variable(KEY)).map(PathBuf::from);
        // A pipe can be read once, and is read for the settings.
        let is_regular = || std::fs::metadata(self.path()).is_ok_and(|found| found.is_file());
        let in_file = || {
            let layer = if is_regular() { self.file_layer().ok()?? } else { return None };
            layer.settings.get(KEY)?.as_str().map(PathBuf::from)
        };
        flag.or_else(variable).or_else(in_file)
    }

    pub(super) fn layers(&self) -> Result<Layers, ConfigError> {
        let mut layers: Vec<Layer> = self.file_layer()?.into_iter().collect();
        for (name, key) in CUSTOMARY {
            if let Some(value) = self.variable(name) {
                layers.push(Layer::of_variable(name, key, value)?);
            }
        }
        let mut of_services = Vec::new();
        for (name, value) in &self.environment {
            // A name that is not UTF-8 keeps its prefix, so that it is refused as unknown rather than missed.
            let name = name.to_string_lossy();
            let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            if name == FILE_VARIABLE || value.is_empty() {
                continue;
            }
            let key = rest.to_ascii_lowercase().replace('_', "-");
            let text = value.to_str().unwrap_or_default();
            if !is_setting(&key) && is_of_service(&name, text, &self.texts()) {
                of_services.push(name.into_owned());
            } else {
                layers.push(Layer::of_variable(&name, &key, value)?);
            }
        }
        for (key, value) in &self.flags {
            layers.push(Layer::single(Origin::Flag, key, value));
        }

        for layer in &layers {
            layer.check_keys()?;
        }
        of_services.sort_unstable();
        Ok(Layers { layers, of_services })
    }

    /// The variables whose name and value are text.
    fn texts(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.environment.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
    }

    /// The value of an environment variable, unless it is unset or empty.
    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment
            .iter()
            .find(|(candidate, value)| candidate == name && !value.is_empty())
            .map(|(_, value)| value.as_os_str())
    }

    /// The configuration file, which need not be there, and what named it.
    fn named_file(&self) -> (PathBuf, Origin) {
        let named_by_variable = || Some((PathBuf::from(self.variable(FILE_VARIABLE)?), FILE_VARIABLE));
        match (&self.file, named_by_variable()) {
            (Some(path), _) => (path.clone(), Origin::Flag),
            (None, Some((path, name))) => (path, Origin::Environment(name.to_owned())),
            (None, None) => (self.directory.join(FILE_NAME), Origin::Default),
        }
    }

    /// The file that is read, if it is there.
    pub fn path(&self) -> PathBuf {
        self.named_file().0
    }

    /// The file's layer; `None` when there is no file and none was asked for.
    fn file_layer(&self) -> Result<Option<Layer>, ConfigError> {
        let (path, named_by) = self.named_file();
        match std::fs::read(&path) {
            Ok(bytes) => Layer::of_file(&path, &text_of(&path, &bytes)?).map(Some),
            Err(cause) if named_by == Origin::Default && cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(ConfigError::Unreadable { path, named_by, cause }),
        }
    }
}

/// The text of a file, as Windows programs write it, too.
fn text_of(path: &Path, bytes: &[u8]) -> Result<String, ConfigError> {
    let malformed = |message: String| ConfigError::Malformed { path: path.to_owned(), message };
    if is_utf_16(bytes) {
        return Err(malformed(UTF_16.to_owned()));
    }
    let text = std::str::from_utf8(without_mark(bytes));
    let text = text.map_err(|error| malformed(format!("{error}; save it as UTF-8")))?;
    Ok(text.to_owned())
}

/// The settings of one origin: a whole file, one environment variable, or one flag.
#[derive(Debug)]
struct Layer {
    origin: Origin,
    settings: Dict,
}

impl Layer {
    fn of_file(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let settings = toml::from_str(text).map_err(|error| ConfigError::Malformed {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        Ok(Self { origin: Origin::File(path.to_owned()), settings })
    }

    fn of_variable(name: &str, key: &str, value: &OsStr) -> Result<Self, ConfigError> {
        let origin = Origin::Environment(name.to_owned());
        let text = value.to_str().ok_or_else(|| ConfigError::NotText { variable: name.to_owned() })?;
        Ok(Self::single(origin, key, text))
    }

    fn single(origin: Origin, key: &str, text: &str) -> Self {
        let settings = Dict::from([(key.to_owned(), Value::from(text))]);
        Self { origin, settings }
    }

    /// Refuses a key that is no setting, or none for this origin, and a variable that is one but for its letters
    /// (`PARLANCE_Line`).
    fn check_keys(&self) -> Result<(), ConfigError> {
        let of_files = Config::FILE_KEYS.into_iter().find(|key| self.settings.contains_key(*key));
        let is_file = matches!(self.origin, Origin::File(_));
        if let Some(key) = of_files.filter(|_| !is_file) {
            return Err(ConfigError::FileOnly { key, origin: self.origin.clone() });
        }
        let misspelt = |key: &&String| match &self.origin {
            Origin::Environment(name) if name.starts_with(VARIABLE_PREFIX) => *name != variable(key),
            Origin::Default | Origin::File(_) | Origin::Environment(_) | Origin::Flag => false,
        };
        let unknown = |key: &&String| !is_setting(key);
        match self.settings.keys().find(|key| unknown(key) || misspelt(key)) {
            None => Ok(()),
            Some(name) => Err(ConfigError::UnknownKey {
                name: name.clone(),
                origin: self.origin.clone(),
                suggestion: nearest(name),
            }),
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.to_string())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.settings.clone())]))
    }
}

/// Every layer, the earlier below the later.
#[derive(Debug)]
pub(super) struct Layers {
    layers: Vec<Layer>,
    /// Environment variables that begin as ours do, and that say where a service is: they are passed over.
    pub(super) of_services: Vec<String>,
}

impl Layers {
    pub(super) fn merge(&self) -> Result<Config, ConfigError> {
        let merged = self.layers.iter().fold(Figment::new(), |below, layer| below.merge(layer));
        merged.extract().map_err(|error| self.refusal(&error))
    }

    /// What set `key`: the topmost layer that has it.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.topmost(key).map_or(Origin::Default, |layer| layer.origin.clone())
    }

    fn topmost(&self, key: &str) -> Option<&Layer> {
        self.layers.iter().rev().find(|layer| layer.settings.contains_key(key))
    }

    fn refusal(&self, error: &figment::Error) -> ConfigError {
        let key = error.path.first().cloned().unwrap_or_default();
        let value = self.topmost(&key).and_then(|layer| layer.settings.get(&key));
        let origin = self.origin(&key);
        let remedy = match &error.kind {
            // Both hold a remedy that `field` wrote: the second where the value had the wrong type.
            Kind::Message(remedy) | Kind::InvalidType(_, remedy) => remedy.clone(),
            Kind::UnknownField(field, known) => {
                format!("there is no `{field}` in it: use {}", known.join(", "))
            }
            Kind::MissingField(field) => format!("give it `{field}`"),
            other => other.to_string(),
        };
        // A setting that is in tables: which of them, and what in it.
        let (key, value) = match (value, &error.path[..]) {
            (Some(Value::Array(_, tables)), [_, index, rest @ ..]) if key == "history-rooms" => {
                let table = index.parse().ok().and_then(|index: usize| tables.get(index));
                let field = rest.first().filter(|_| !matches!(error.kind, Kind::UnknownField(..)));
                let part = table.and_then(Value::as_dict).zip(field).and_then(|(table, key)| table.get(key));
                let name = field.filter(|_| part.is_some()).map_or_else(String::new, |key| format!(".{key}"));
                (format!("{key}[{index}]{name}"), part.or(table))
            }
            (value, _) => (key, value),
        };
        ConfigError::InvalidValue { value: value.map_or_else(String::new, quoted), origin, remedy, key }
    }
}

/// The value as it was written, in quotes, on one line and not too long to read.
fn quoted(value: &Value) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    let text = match value {
        Value::Dict(..) => return "a table".to_owned(),
        Value::String(_, text) => text.escape_debug().to_string(),
        Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) | Value::Array(..) => {
            toml::Value::try_from(value).map_or_else(|_| String::new(), |value| value.to_string())
        }
    };
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

fn is_setting(key: &str) -> bool {
    Config::KEYS.contains(&key) || Config::FILE_KEYS.contains(&key)
}

/// The key that someone who wrote `name` probably meant.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == name);
    let closest = Config::KEYS
        .into_iter()
        .chain(Config::FILE_KEYS)
        .map(|key| (strsim::damerau_levenshtein(&name, key), key))
        .min()
        .filter(|(distance, key)| *distance <= (key.len() / 3).max(1));
    // A part of a key, such as `keep-days`.
    let ends = |key: &&str| key.strip_suffix(&*name).is_some_and(|start| start.ends_with('-'));
    let part = || Config::KEYS.into_iter().find(ends);
    synonym.map(|(_, key)| *key).or(closest.map(|(_, key)| key)).or_else(part)
}

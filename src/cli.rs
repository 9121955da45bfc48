//! The command line: its grammar, and the words of `--help`.
//!
//! Flags are passed on as text, under the name of their setting: what a value may be is said in one place, the
//! configuration, for all sources. The defaults stated here are checked against it by the tests below.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use parlance::config::Sources;

use crate::terminal::ChatArguments;
use crate::upkeep::UpkeepCommand;

const LONG_ABOUT: &str = "\
Parlance is one self-hosted chat server that speaks many wire dialects into one set of names and rooms. \
People on different dialects meet in the same room.

Without a subcommand it serves, until it is told to stop (Ctrl-C or SIGTERM).";

const AFTER_HELP: &str = "\
Every flag can also be set in a file (parlance.toml in the working directory, or the one that --config names) \
under the flag's name, and in the environment, in capitals: --idle-timeout is PARLANCE_IDLE_TIMEOUT. Flags win \
over the environment, the environment wins over the file. PORT stands for --line, and RUST_LOG for --log, where \
PARLANCE_LINE and PARLANCE_LOG are not set.

Examples:
  parlance                               serve on this machine only: nc 127.0.0.1 4000
  parlance --bind ::                     serve everyone who can reach this machine, with IPv6 and IPv4
  parlance --line 4444 --slash off       one dialect on another port, another one off
  parlance --tcrp off --ucrp off         without datagrams; these two go together
  parlance --slash '[::1]:7000'          an address of its own for one dialect
  parlance --line 4000,exempt=none       behind a proxy on this machine: its clients are held by the limits
  parlance --line 0 --ready-file r.json  any free port; the file says which it became
  parlance config --write                write the configuration down, to edit it
  parlance check-config --config p.toml  say what a file means, without serving
  parlance chat --as bob                 talk to the one that serves
  parlance account add admin             make an account, while no server runs
  parlance history --room lobby          what was said in a room
  parlance import users.json chat.jsonl  take in what other programs left
  parlance backup copy.db                copy what is kept, while it serves
  parlance completions bash > FILE       complete the command line in bash, once FILE is sourced

Exit status:
  0  told to stop, or the command succeeded
  1  could not start, told to stop twice, or the command failed
  2  the arguments or the configuration are wrong";

/// One self-hosted chat server that speaks many wire dialects into one set of rooms
#[derive(Debug, Parser)]
#[command(name = "parlance", version, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Serve (what happens without a subcommand, too)
    Serve,
    /// Say in words what the configuration means, or what is wrong with it
    CheckConfig,
    /// Print the configuration in effect, as a parlance.toml; or write it to the file
    Config {
        /// Write it to the file that is read as configuration, or to FILE. The file is replaced as a whole.
        /// Its old contents are kept as FILE.bak, or as FILE.bak.2 and so on if there is one
        #[arg(long)]
        write: bool,

        /// The file to write; it must not exist, unless it is the one that is read
        #[arg(value_name = "FILE", requires = "write", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Talk in the terminal, in any dialect, with any server
    Chat(Box<ChatArguments>),
    #[command(flatten)]
    Upkeep(UpkeepCommand),
    /// Print a script that completes the command line in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
struct Flags {
    /// Read this file instead of parlance.toml; it must exist
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// Addresses to listen on, with commas or one flag each: 127.0.0.1 for this machine only, :: for
    /// everyone, 0.0.0.0 for everyone with IPv4 [default: 127.0.0.1]
    #[arg(long, global = true, value_name = "IP", help_heading = "Where it listens")]
    bind: Vec<String>,

    /// Where the line dialect listens: a port, an address with port, or off; port 0 is any free one;
    /// options behind it, such as 4000,exempt=none [default: 4000]
    #[arg(
        long,
        global = true,
        visible_alias = "port",
        value_name = "ENDPOINT",
        allow_negative_numbers = true,
        help_heading = "Where it listens"
    )]
    line: Option<String>,

    /// Where the slash dialect listens: a port, an address with port, or off; port 0 is any free one;
    /// options behind it, such as 4000,exempt=none [default: 7000]
    #[arg(
        long,
        global = true,
        value_name = "ENDPOINT",
        allow_negative_numbers = true,
        help_heading = "Where it listens"
    )]
    slash: Option<String>,

    /// Where the TCRP handshake listens: a port, an address with port, or off; port 0 is any free one;
    /// options behind it, such as 4000,exempt=none [default: 9090]
    #[arg(
        long,
        global = true,
        value_name = "ENDPOINT",
        allow_negative_numbers = true,
        help_heading = "Where it listens"
    )]
    tcrp: Option<String>,

    /// Address for the datagrams of UCRP (UDP): a port, an address with port, or off; port 0 is any free one;
    /// options behind it, such as 4000,exempt=none [default: 9091]
    #[arg(
        long,
        global = true,
        value_name = "ENDPOINT",
        allow_negative_numbers = true,
        help_heading = "Where it listens"
    )]
    ucrp: Option<String>,

    /// Where the typed dialect listens: a port, an address with port, or off; port 0 is any free one;
    /// options behind it, such as 4000,exempt=none [default: 5000]
    #[arg(
        long,
        global = true,
        value_name = "ENDPOINT",
        allow_negative_numbers = true,
        help_heading = "Where it listens"
    )]
    typed: Option<String>,

    /// Where the gob dialect listens: a port, an address with port, or off; port 0 is any free one;
    /// options behind it, such as 4000,exempt=none [default: 8080]
    #[arg(
        long,
        global = true,
        value_name = "ENDPOINT",
        allow_negative_numbers = true,
        help_heading = "Where it listens"
    )]
    gob: Option<String>,

    /// Close a line client after this time without a line from it or a message to it; 0 for never [default:
    /// 60]
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    idle_timeout: Option<String>,

    /// Close a slash client after this time without a line from it or a message to it; 0 for never [default:
    /// 3600]
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    slash_idle_timeout: Option<String>,

    /// Give up the seat of somebody who has sent no datagram for this long; 0 for never [default: 86400]
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    ucrp_idle_timeout: Option<String>,

    /// Close a typed client that has sent no request for this long; 0 for never [default: 86400]
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    typed_idle_timeout: Option<String>,

    /// Close a gob client after this time without a message from it or to it; 0 for never [default: 86400]
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    gob_idle_timeout: Option<String>,

    /// Close a connection that has not logged in after this long; 0 for never [default: 60]
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    login_timeout: Option<String>,

    /// Whose datagrams count: those from the IP address of the handshake (same-ip), or any that show its token (any)
    /// [default: same-ip]
    #[arg(long, global = true, value_name = "WHOSE", value_parser = ["same-ip", "any"], hide_possible_values = true,
          help_heading = "What clients may do")]
    ucrp_sender: Option<String>,

    /// Whether UCRP clients may ask for the members (__WHO__) and the last messages (__HISTORY__) of their
    /// room [default: off]
    #[arg(
        long,
        global = true,
        value_name = "WHETHER",
        value_parser = ["on", "off"],
        hide_possible_values = true,
        help_heading = "What clients may do"
    )]
    ucrp_queries: Option<String>,

    /// Names that need an account, besides admin, root and the like, with commas or one flag each [default:
    /// none]
    #[arg(long, global = true, value_name = "NAME", help_heading = "What clients may do")]
    reserved_names: Vec<String>,

    /// The nicknames that a slash client may try before its connection is closed, 1 to 10 [default: 1]
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    slash_nick_tries: Option<String>,

    /// The answer to a TCRP client whose name is not valid, for example because of a blank: the nearest free
    /// name (near), or a refusal (strict) [default: near]
    #[arg(long, global = true, value_name = "HOW", value_parser = ["near", "strict"], hide_possible_values = true,
          help_heading = "What clients may do")]
    tcrp_names: Option<String>,

    /// What a typed client's bare name is worth without a password: nothing (off), or a login, where the same IP
    /// address had that name up to ten minutes ago (same-ip) [default: off]
    #[arg(long, global = true, value_name = "WHEN", value_parser = ["off", "same-ip"], hide_possible_values = true,
          help_heading = "What clients may do")]
    typed_ping_identity: Option<String>,

    /// Pause this long between two messages to a gob client, whose programs lose some that come together; 0 for never
    /// [default: 200]
    #[arg(
        long,
        global = true,
        value_name = "MICROSECONDS",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    gob_gap: Option<String>,

    /// Most clients at once; auto is what the limit on open files allows [default: auto]
    #[arg(
        long,
        global = true,
        value_name = "COUNT|auto",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    max_clients: Option<String>,

    #[arg(
        long,
        global = true,
        value_name = "NETWORKS",
        help_heading = "What clients may do",
        help = "Networks that the limits by address and by session do not hold, with commas or one flag each, or none \
                [default: 127.0.0.0/8,::1/128]"
    )]
    exempt: Vec<String>,

    /// Most connections and seats of one address (of IPv6, a /64) at once; 0 for any [default: 256]
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    address_clients: Option<String>,

    /// Most new connections of one address a second; ten seconds' worth at once; 0 for any [default: 20]
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    address_connects: Option<String>,

    /// Most new accounts of one address a day; half of them at once; 0 for any [default: 10]
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    address_accounts: Option<String>,

    /// Most rooms at once that one address made; 0 for any [default: 64]
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    address_rooms: Option<String>,

    /// Most rooms at once that one person is in or has made; 0 for any [default: 32]
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    session_rooms: Option<String>,

    /// Most messages of one session a second, ten seconds' worth at once; more are refused; 0 for any
    /// [default: 100]
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    session_messages: Option<String>,

    /// Most bytes from one session a second, ten seconds' worth at once; more are read later; 0 for any
    /// [default: 65536]
    #[arg(
        long,
        global = true,
        value_name = "BYTES",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    session_bytes: Option<String>,

    /// Wrong passwords for one name from one address in a minute, after which no more are checked for a
    /// minute [default: 5]
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    password_attempts: Option<String>,

    /// What happens to a member that cannot keep up with its room: skip to the latest message and say how many were
    /// missed, or close; another for some dialects behind it, such as close,slash=skip [default: skip]
    #[arg(long, global = true, value_name = "POLICY", help_heading = "What clients may do")]
    lag: Option<String>,

    /// How much of a room's latest messages is kept for slow members, for each dialect [default: 1048576]
    #[arg(
        long,
        global = true,
        value_name = "BYTES",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    log_bytes: Option<String>,

    /// How much of them all rooms keep together; the room that was least recently read gives way [default: 536870912]
    #[arg(
        long,
        global = true,
        value_name = "BYTES",
        allow_negative_numbers = true,
        help_heading = "What clients may do"
    )]
    log_total_bytes: Option<String>,

    /// The directory in which everything is kept; made if it is not there [default: parlance-data]
    #[arg(long, global = true, value_name = "DIRECTORY", value_hint = ValueHint::DirPath,
          help_heading = "What is kept")]
    data: Option<String>,

    /// Where it is kept: in a database (sqlite:FILE), in a log that people can read (jsonl:DIRECTORY), or not on disk
    /// (memory); a path that does not start with / is below the data directory [default: sqlite:parlance.db]
    #[arg(long, global = true, value_name = "STORE", help_heading = "What is kept")]
    store: Option<String>,

    /// What is true of something when its sender is told that it is kept: it is on disk (full), the operating system has
    /// it (normal), or it is on its way (none) [default: full]
    #[arg(long, global = true, value_name = "WHEN", value_parser = ["full", "normal", "none"],
          hide_possible_values = true, help_heading = "What is kept")]
    durability: Option<String>,

    /// Whether an index of what was said is kept: with one (on), a search does not read everything [default: on]
    #[arg(long, global = true, value_name = "on|off", value_parser = ["on", "off"], hide_possible_values = true,
          help_heading = "What is kept")]
    search: Option<String>,

    /// How many messages of a room are kept, the newest; 0 for none [default: 10000]
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        allow_negative_numbers = true,
        help_heading = "What is kept"
    )]
    history_keep_messages: Option<String>,

    /// For how many days they are kept; 0 for ever [default: 0]
    #[arg(
        long,
        global = true,
        value_name = "DAYS",
        allow_negative_numbers = true,
        help_heading = "What is kept"
    )]
    history_keep_days: Option<String>,

    /// How many of them are shown to whoever joins the room [default: 0]
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        allow_negative_numbers = true,
        help_heading = "What is kept"
    )]
    history_on_join: Option<String>,

    // Known here so that the configuration can say where it belongs.
    #[arg(long, global = true, hide = true, allow_hyphen_values = true)]
    history_rooms: Option<String>,

    /// At shutdown, how long clients have to receive what they are owed [default: 3]
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        help_heading = "How it runs"
    )]
    drain_timeout: Option<String>,

    /// Share the connections out among so many threads; auto for one a core [default: 1]
    #[arg(
        long,
        global = true,
        value_name = "N|auto",
        allow_negative_numbers = true,
        help_heading = "How it runs"
    )]
    shards: Option<String>,

    /// Run on these cores only, one a shard, such as 0 or 0,1 [default: any]
    #[arg(
        long,
        global = true,
        value_name = "CORES",
        allow_negative_numbers = true,
        help_heading = "How it runs"
    )]
    pin: Option<String>,

    /// What to log: off, error, warn, info, debug, trace, or a filter such as info,parlance=debug
    /// [default: info]
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "How it runs")]
    log: Option<String>,

    /// How to log, on standard error: text for people, json for programs [default: text]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = ["text", "json"], hide_possible_values = true,
          help_heading = "How it runs")]
    log_format: Option<String>,

    /// Once everything listens, write the addresses to this open descriptor, as a line of JSON
    #[arg(
        long,
        global = true,
        value_name = "FD",
        allow_negative_numbers = true,
        help_heading = "How it runs"
    )]
    ready_fd: Option<String>,

    /// Once everything listens, write the addresses to this file, as a line of JSON
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "How it runs")]
    ready_file: Option<String>,
}

impl Arguments {
    pub(crate) fn subcommand(&self) -> Command {
        self.command.clone().unwrap_or(Command::Serve)
    }

    /// This process's sources of configuration, with the flags that were given.
    pub(crate) fn sources(self) -> Sources {
        let flags = self.flags.settings();
        Sources::of_process(self.flags.config, flags)
    }
}

impl Flags {
    fn settings(&self) -> Vec<(&'static str, String)> {
        // A list is one value, however many flags it was given in.
        let list = |texts: &[String]| (!texts.is_empty()).then(|| texts.join(","));
        let (bind, exempt) = (list(&self.bind), list(&self.exempt));
        let reserved_names = list(&self.reserved_names);
        let all = [
            ("bind", &bind),
            ("line", &self.line),
            ("slash", &self.slash),
            ("tcrp", &self.tcrp),
            ("ucrp", &self.ucrp),
            ("typed", &self.typed),
            ("gob", &self.gob),
            ("idle-timeout", &self.idle_timeout),
            ("slash-idle-timeout", &self.slash_idle_timeout),
            ("ucrp-idle-timeout", &self.ucrp_idle_timeout),
            ("typed-idle-timeout", &self.typed_idle_timeout),
            ("gob-idle-timeout", &self.gob_idle_timeout),
            ("login-timeout", &self.login_timeout),
            ("ucrp-sender", &self.ucrp_sender),
            ("ucrp-queries", &self.ucrp_queries),
            ("reserved-names", &reserved_names),
            ("slash-nick-tries", &self.slash_nick_tries),
            ("tcrp-names", &self.tcrp_names),
            ("typed-ping-identity", &self.typed_ping_identity),
            ("gob-gap", &self.gob_gap),
            ("max-clients", &self.max_clients),
            ("exempt", &exempt),
            ("address-clients", &self.address_clients),
            ("address-connects", &self.address_connects),
            ("address-accounts", &self.address_accounts),
            ("address-rooms", &self.address_rooms),
            ("session-rooms", &self.session_rooms),
            ("session-messages", &self.session_messages),
            ("session-bytes", &self.session_bytes),
            ("password-attempts", &self.password_attempts),
            ("lag", &self.lag),
            ("log-bytes", &self.log_bytes),
            ("log-total-bytes", &self.log_total_bytes),
            ("data", &self.data),
            ("store", &self.store),
            ("durability", &self.durability),
            ("search", &self.search),
            ("history-keep-messages", &self.history_keep_messages),
            ("history-keep-days", &self.history_keep_days),
            ("history-on-join", &self.history_on_join),
            ("history-rooms", &self.history_rooms),
            ("drain-timeout", &self.drain_timeout),
            ("shards", &self.shards),
            ("pin", &self.pin),
            ("log", &self.log),
            ("log-format", &self.log_format),
            ("ready-fd", &self.ready_fd),
            ("ready-file", &self.ready_file),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}

/// The command line of this process; or, where there is something wrong with it, or help is wanted, how the
/// process ends once that is said.
pub(crate) fn parse() -> Result<Arguments, ExitCode> {
    let parsed = definition().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    parsed.map_err(|error| match error.print() {
        Err(cause) if !error.use_stderr() && cause.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "parlance: cannot write to standard output: {cause}");
            ExitCode::FAILURE
        }
        Ok(()) | Err(_) => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
    })
}

/// The commands that look after a store, and the settings that say which one.
const UPKEEP: [&str; 9] =
    ["history", "search", "store", "account", "compact", "backup", "repair", "import", "export"];
const UPKEEP_SETTINGS: [&str; 3] = ["config", "data", "store"];

/// The grammar, in which the help of `chat` is about chatting, and that of the commands for a store about stores: the
/// settings of a server are hidden there.
fn definition() -> clap::Command {
    let definition = Arguments::command();
    let settings: Vec<Arg> =
        definition.get_arguments().filter(|flag| flag.is_global_set()).cloned().collect();
    let mut definition = definition.mut_subcommand("chat", |chat| without(&settings, &[], chat));
    for name in UPKEEP {
        definition = definition.mut_subcommand(name, |command| {
            let nested: Vec<_> =
                command.get_subcommands().map(|nested| nested.get_name().to_owned()).collect();
            let command = without(&settings, &UPKEEP_SETTINGS, command);
            let hide = |nested| without(&settings, &UPKEEP_SETTINGS, nested);
            nested.into_iter().fold(command, |command, name| command.mut_subcommand(name, hide))
        });
    }
    definition
}

/// A command whose help shows none of the settings but some.
fn without(settings: &[Arg], shown: &[&str], command: clap::Command) -> clap::Command {
    let own: Vec<_> = command.get_arguments().map(|flag| flag.get_id().clone()).collect();
    let others = settings.iter().filter(|flag| !own.contains(flag.get_id()));
    let is_shown = |flag: &Arg| flag.get_long().is_some_and(|name| shown.contains(&name));
    command.args(others.map(|flag| flag.clone().hide(!is_shown(flag))))
}

/// The script that completes the command line in `shell`.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition(), "parlance", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use parlance::config::Config;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Arguments::command().debug_assert();
        definition().debug_assert();
    }

    #[test]
    fn every_setting_is_a_flag_that_says_its_default_and_passes_on_its_value() {
        let defaults = toml::Table::try_from(Config::default()).expect("a table");
        let definition = Arguments::command();
        for key in Config::KEYS {
            let argument = definition
                .get_arguments()
                .find(|argument| argument.get_long() == Some(key))
                .unwrap_or_else(|| panic!("no flag --{key}"));
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let default = match defaults.get(key) {
                None => None,
                Some(toml::Value::String(text)) => Some(text.clone()),
                Some(toml::Value::Array(none)) if none.is_empty() => {
                    Some(if key == "pin" { "any" } else { "none" }.to_owned())
                }
                Some(toml::Value::Array(some)) => {
                    let texts = some.iter().map(|text| text.as_str().expect("networks are texts"));
                    Some(texts.collect::<Vec<_>>().join(","))
                }
                Some(other) => Some(other.to_string()),
            };
            match default {
                Some(default) => {
                    assert!(help.ends_with(&format!("[default: {default}]")), "{key}: {help}");
                }
                None => assert!(!help.contains("[default"), "{key}: {help}"),
            }

            // Only flags with a closed set of values have the parser itself look at the value.
            let values = argument.get_possible_values();
            let value = values.first().map_or("1", |value| value.get_name());
            let arguments = ["parlance", &format!("--{key}"), value];
            let parsed = Arguments::try_parse_from(arguments).expect("parsed");
            assert_eq!(parsed.flags.settings(), [(key, value.to_owned())]);
        }
    }

    #[test]
    fn flags_stand_before_and_after_the_subcommand() {
        for words in [["--line", "5", "config"], ["config", "--line", "5"], ["config", "--port", "5"]] {
            let words = std::iter::once("parlance").chain(words);
            let parsed = Arguments::try_parse_from(words).expect("parsed");
            assert_eq!(parsed.subcommand(), Command::Config { write: false, file: None });
            assert_eq!(parsed.flags.settings(), [("line", "5".to_owned())]);
        }
    }

    #[test]
    fn a_list_may_be_given_in_several_flags() {
        let words = [
            "parlance",
            "--bind",
            "::1",
            "--bind",
            "10.0.0.1,10.0.0.2",
            "--exempt",
            "::1",
            "--exempt",
            "none",
        ];
        let parsed = Arguments::try_parse_from(words).expect("parsed");
        let settings = [("bind", "::1,10.0.0.1,10.0.0.2".to_owned()), ("exempt", "::1,none".to_owned())];
        assert_eq!(parsed.flags.settings(), settings);
    }

    #[test]
    fn a_negative_number_is_a_value_for_the_configuration_to_refuse() {
        let parsed = Arguments::try_parse_from(["parlance", "--pin", "-1"]).expect("parsed");
        assert_eq!(parsed.flags.settings(), [("pin", "-1".to_owned())]);
    }

    #[test]
    fn without_a_subcommand_it_serves() {
        let parsed = Arguments::try_parse_from(["parlance"]).expect("parsed");
        assert_eq!(parsed.subcommand(), Command::Serve);
    }
}

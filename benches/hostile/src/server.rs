//! The server that is attacked.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use parlance::wire::Dialect;
use tempfile::TempDir;

use crate::Args;
use crate::attack::Attack;

/// A server that does not outlive its measurement.
pub(crate) struct Server {
    child: Child,
    _directory: TempDir,
    pub(crate) addresses: Addresses,
}

/// Where each dialect is spoken.
pub(crate) struct Addresses(HashMap<String, SocketAddr>);

impl Addresses {
    pub(crate) fn of(&self, dialect: Dialect) -> SocketAddr {
        self.0[dialect.name()]
    }
}

impl Server {
    pub(crate) fn start(programs: &Path, args: &Args, attack: Attack) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let mut command = Command::new("sh");
        let files = attack.open_files().map_or(String::new(), |files| format!("ulimit -n {files}; "));
        command.args(["-c", &format!("{files}exec \"$0\" \"$@\"")]);
        command.args(["taskset", "-c", &args.server_core.to_string()]).arg(programs.join("parlance"));
        for dialect in Dialect::ALL {
            command.args([format!("--{}", dialect.name()), "0".to_owned()]);
        }
        command.args(["--store", "memory", "--history-keep-messages", "0", "--log", "error"]);
        // More than there can be open files, so that it is those that run out.
        command.args(["--max-clients", "100000", "--shards", &args.shards.to_string()]);
        // Bystanders come from one address a run, and are held to the same limits.
        command.args(["--exempt", if args.unlimited { "127.0.0.0/8" } else { "none" }]);
        command.current_dir(directory.path()).env_remove("PARLANCE_EXEMPT");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("it is piped")?).lines();
        let mut addresses = HashMap::new();
        // The table at the start: a head, and a line a dialect.
        for _ in 0..=Dialect::ALL.len() {
            let line = lines.next().ok_or("the server did not start")??;
            let mut words = line.split_whitespace();
            if let (Some(dialect), Some(address)) = (words.next(), words.next())
                && let Ok(address) = address.parse()
            {
                addresses.insert(dialect.to_owned(), address);
            }
        }
        Ok(Self { child, _directory: directory, addresses: Addresses(addresses) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! The programs that take part: built, installed, and asked for their versions.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::Places;
use crate::server::Server;

/// Builds what is of this repository. In two steps: what the examples need besides must not change the server.
pub(crate) fn build(places: &Places) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for what in [&["-p", "parlance", "-p", "loadgen"][..], &["-p", "compare", "--examples"][..]] {
        let status = Command::new(&cargo)
            .args(["build", "--release"])
            .args(what)
            .current_dir(&places.root)
            .status()
            .map_err(|error| format!("cargo: {error}"))?;
        if !status.success() {
            return Err("what is to be compared does not build".to_owned());
        }
    }
    Ok(())
}

/// Installs the packages of those servers that are not there, as far as that can be done. Whoever is still missing is shown
/// as such.
pub(crate) fn install(places: &Places, servers: &[Server]) {
    let packages: Vec<_> = servers
        .iter()
        .filter(|server| !is_installed(**server))
        .filter_map(|server| server.package())
        .collect();
    if packages.is_empty() {
        return;
    }
    crate::tell(format_args!("installing {}", packages.join(", ")));
    let script = places.root.join("benches/compare/install-peers");
    let status = Command::new("sh").arg(script).args(&packages).stdout(Stdio::null()).status();
    if !status.is_ok_and(|status| status.success()) {
        crate::tell(format_args!(
            "they cannot be installed here; as root, run benches/compare/install-peers {}",
            packages.join(" ")
        ));
    }
}

pub(crate) fn is_installed(server: Server) -> bool {
    let Some([program, _]) = server.version_command() else { return true };
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':').any(|directory| Path::new(directory).join(program).is_file())
}

/// Its version in its own words; nothing for what is of this repository, whose version is its commit.
pub(crate) fn version(server: Server) -> Option<String> {
    let [program, flag] = server.version_command()?;
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = Command::new(program).arg(flag).env("PATH", path).output().ok()?;
    let words = String::from_utf8_lossy(&output.stdout);
    first_version(&words).map(str::to_owned)
}

/// The first word that looks like a version.
fn first_version(words: &str) -> Option<&str> {
    words.split_ascii_whitespace().find_map(|word| {
        let digits = word.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        let (number, _) = digits
            .split_once(|letter: char| letter != '.' && !letter.is_ascii_digit())
            .unwrap_or((digits, ""));
        (number.contains('.') && number.len() >= 3).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_among_words() {
        assert_eq!(
            first_version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0"),
            Some("7.0.15")
        );
        assert_eq!(first_version("nats-server: v2.9.10"), Some("2.9.10"));
        assert_eq!(first_version("InspIRCd-3.15.0 :"), Some("3.15.0"));
        assert_eq!(
            first_version("mosquitto version 2.0.11\n\nmosquitto is an MQTT v5.0/v3.1.1/v3.1 broker."),
            Some("2.0.11")
        );
        assert_eq!(first_version("no such thing"), None);
    }
}

//! What an operator should know of a configuration that can be used.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::summary::listed;
use super::{Config, Listener};

/// Something to know of a configuration. It shows as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Environment variables begin as ours do, and were made for a service or a link of that name.
    OfServices {
        /// Their names.
        variables: Vec<String>,
    },
}

/// Names shown in full. More: the rest is a number.
const NAMES_SHOWN_MAX: usize = 3;

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::OfServices { variables } = self;
        let (shown, rest) = variables.split_at(variables.len().min(NAMES_SHOWN_MAX));
        let plural = if variables.len() == 1 { "" } else { "s" };
        write!(
            out,
            "passed over {} environment variable{plural} of a service or a container link: ",
            variables.len()
        )?;
        // A name may have any character.
        let shown: Vec<_> = shown.iter().map(|name| name.escape_debug().to_string()).collect();
        out.write_str(&shown.join(", "))?;
        if !rest.is_empty() {
            write!(out, " and {} more", rest.len())?;
        }
        out.write_str(
            "; no setting has such a name, and in Kubernetes `enableServiceLinks: false` in the pod's spec, or another \
             name of the service, leaves them out",
        )
    }
}

impl Config {
    /// The exempt networks of each listener, and their meaning behind a proxy; None if the limits hold for
    /// all clients. One line.
    pub fn exemptions(&self) -> Option<String> {
        let of = |listener: &Listener| listener.exempt.clone().unwrap_or_else(|| self.exempt.clone());
        let mut groups: Vec<(Vec<IpNet>, Vec<&'static str>)> = Vec::new();
        for listener in self.listeners() {
            let exempt = of(&listener);
            match groups.iter_mut().find(|(networks, _)| *networks == exempt) {
                Some((_, names)) => names.push(listener.dialect.name()),
                None => groups.push((exempt, vec![listener.dialect.name()])),
            }
        }
        let is_one = groups.len() == 1;
        groups.retain(|(networks, _)| !networks.is_empty());
        let first =
            groups.iter().find(|(networks, _)| networks.iter().any(covers_loopback)).or(groups.first())?;
        let example = first.1.first()?;
        let words = |(exempt, names): &(Vec<IpNet>, Vec<&str>)| {
            let names = if is_one { "every listener".to_owned() } else { names.join(", ") };
            format!("{} on {names}", listed(exempt))
        };
        Some(format!(
            "exempt from the limits by address and by session: {}; behind a proxy on such an address all clients are \
             exempt: give the listener that the proxy connects to exempt=none, as in --{example} PORT,exempt=none",
            groups.iter().map(words).collect::<Vec<_>>().join("; ")
        ))
    }
}

/// Whether this machine, by its loopback addresses, is in a network.
fn covers_loopback(network: &IpNet) -> bool {
    let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    loopback.iter().any(|ip| network.contains(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_exempt_is_said_by_listener_with_the_remedy_for_one_behind_a_proxy() {
        let said = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.exemptions()
        };
        let general = said(|_| {}).expect("this machine is");
        assert!(general.contains(": 127.0.0.0/8 and ::1/128 on every listener; "), "{general}");
        assert!(general.ends_with(" exempt=none, as in --line PORT,exempt=none"), "{general}");
        let some = said(|config| {
            config.exempt.clear();
            config.gob.exempt = Some(vec!["::1/128".parse().expect("a network")]);
        });
        let some = some.expect("one network is");
        assert!(some.contains(": ::1/128 on gob; ") && some.ends_with("--gob PORT,exempt=none"), "{some}");
        let all_but_one = said(|config| config.line.exempt = Some(Vec::new())).expect("others are");
        assert!(all_but_one.contains("on slash, tcrp, ucrp, typed, gob; "), "{all_but_one}");
        assert_eq!(said(|config| config.exempt.clear()), None);
    }
}

//! Environment variables that an orchestrator made for a service whose name begins as ours do.
//!
//! Kubernetes gives every pod, for each service of its namespace, variables that begin with the service's
//! name in capitals ([kubelet's
//! `envvars`](https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables)), and
//! Docker gives a container those of the containers that it is linked to
//! ([links](https://docs.docker.com/engine/network/links/)). A service called `parlance`, or `parlance-line`,
//! makes variables that begin as our settings do. They are recognised by the shape of their names and of
//! their values, so that a misspelt setting is still refused.

use std::net::IpAddr;

use super::error::VARIABLE_PREFIX;

/// Transport protocols, as the names have them.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Whether a variable gives the address of a service, or is a copy by a container link. `others` are all
/// variables. A copy may have any name and value after the link's prefix; the other variables of the link
/// identify it.
pub(super) fn is_of_service<'a>(
    name: &str,
    value: &str,
    others: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
) -> bool {
    if !name.starts_with(VARIABLE_PREFIX) {
        return false;
    }
    let names_link = |link: &str| others.clone().any(|(other, value)| names_a_link(other, link, value));
    names_a_place(name, value) || copied_by(name).any(names_link)
}

/// Whether the variable is one of those that say where something is.
fn names_a_place(name: &str, value: &str) -> bool {
    if !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') {
        return false;
    }
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let is_ip = |text: &str| text.parse::<IpAddr>().is_ok();
    let has = |suffix: &str| name.strip_suffix(suffix).is_some();
    if has("_SERVICE_HOST") {
        return is_ip(value);
    }
    if has("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return is_port(value);
    }
    if has("_NAME") {
        return is_path_of_link(value);
    }
    if has("_PORT") && is_url(value) {
        return true;
    }
    // …_PORT_4000_TCP, and that with _PROTO, _PORT or _ADDR behind it; of a range of ports, with _START or
    // _END too.
    let Some((_, port)) = name.rsplit_once("_PORT_") else { return false };
    let port = port.strip_suffix("_START").or_else(|| port.strip_suffix("_END")).unwrap_or(port);
    // …_PORT_4000_TCP_PORT_START: the last `_PORT_` is not the one in front of the number.
    if matches!(port, "START" | "END") {
        return is_port(value) && ends_in_port(name.rsplit_once("_PORT_").map_or("", |(front, _)| front));
    }
    let mut parts = port.split('_');
    let (number, protocol) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !is_port(number) || !PROTOCOLS.contains(&protocol) {
        return false;
    }
    match (parts.next(), parts.next()) {
        (None, _) => is_url(value),
        (Some("PROTO"), None) => PROTOCOLS.iter().any(|name| name.eq_ignore_ascii_case(value)),
        (Some("PORT"), None) => is_port(value),
        (Some("ADDR"), None) => is_ip(value),
        (Some(_), _) => false,
    }
}

/// Whether a name ends as `…_PORT_4000_TCP` does.
fn ends_in_port(name: &str) -> bool {
    let Some((_, port)) = name.rsplit_once("_PORT_") else { return false };
    let parts = port.split_once('_');
    parts.is_some_and(|(number, protocol)| number.parse::<u16>().is_ok() && PROTOCOLS.contains(&protocol))
}

/// `tcp://10.0.0.1:4000`; older programs wrote an IPv6 address without brackets.
fn is_url(value: &str) -> bool {
    let Some((protocol, place)) = value.split_once("://") else { return false };
    let Some((ip, port)) = place.rsplit_once(':') else { return false };
    let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    PROTOCOLS.iter().any(|name| name.eq_ignore_ascii_case(protocol))
        && ip.parse::<IpAddr>().is_ok()
        && port.parse::<u16>().is_ok()
}

/// `/web/parlance`: the container, and the name by which it knows the other one.
fn is_path_of_link(value: &str) -> bool {
    let mut parts = value.strip_prefix('/').unwrap_or_default().split('/');
    let is_name = |part: Option<&str>| part.is_some_and(|part| !part.is_empty());
    is_name(parts.next()) && is_name(parts.next()) && parts.next().is_none()
}

/// The links that may have copied a variable: what stands in front of each `_ENV_` in its name.
fn copied_by(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices("_ENV_").map(|(at, _)| &name[..at])
}

/// Whether a variable is the one in which `link` names its two containers.
fn names_a_link(name: &str, link: &str, value: &str) -> bool {
    name.strip_prefix(link) == Some("_NAME") && is_path_of_link(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::error::variable;

    /// Those of a linked container.
    const LINK: [(&str, &str); 2] =
        [("PARLANCE_NAME", "/web/parlance"), ("PARLANCE_ENV_PATH", "/bin:/usr/bin")];

    fn is_passed_over(name: &str, value: &str) -> bool {
        is_of_service(name, value, &LINK.into_iter())
    }

    #[test]
    fn every_shape_of_a_service_or_a_link_is_recognised() {
        for (name, value) in [
            ("PARLANCE_SERVICE_HOST", "10.96.0.7"),
            ("PARLANCE_SERVICE_HOST", "fd00::7"),
            ("PARLANCE_SERVICE_PORT", "4000"),
            ("PARLANCE_SERVICE_PORT_LINE", "4000"),
            ("PARLANCE_SERVICE_PORT_MY_PORT", "4000"),
            ("PARLANCE_PORT", "tcp://10.96.0.7:4000"),
            ("PARLANCE_PORT", "udp://[fd00::7]:9091"),
            ("PARLANCE_PORT", "tcp://fd00::7:4000"),
            ("PARLANCE_PORT_4000_TCP", "tcp://10.96.0.7:4000"),
            ("PARLANCE_PORT_9091_UDP_PROTO", "udp"),
            ("PARLANCE_PORT_4000_TCP_PORT", "4000"),
            ("PARLANCE_PORT_4000_TCP_ADDR", "10.96.0.7"),
            ("PARLANCE_PORT_4000_TCP_START", "tcp://10.96.0.7:4000"),
            ("PARLANCE_PORT_4000_TCP_END", "tcp://10.96.0.7:4010"),
            ("PARLANCE_PORT_4000_TCP_PORT_START", "4000"),
            ("PARLANCE_PORT_4000_TCP_PORT_END", "4010"),
            ("PARLANCE_LINE_SERVICE_HOST", "10.96.0.8"),
            ("PARLANCE_LINE_PORT", "tcp://10.96.0.8:4000"),
            ("PARLANCE_IDLE_TIMEOUT_PORT_1_SCTP", "sctp://10.96.0.8:1"),
            ("PARLANCE_NAME", "/web/parlance"),
            ("PARLANCE_ENV_PATH", "/bin:/usr/bin"),
            ("PARLANCE_ENV_A_ENV_B", "anything"),
            ("PARLANCE_ENV_http_proxy", ""),
        ] {
            assert!(is_passed_over(name, value), "{name}={value}");
        }
    }

    #[test]
    fn a_misspelt_setting_is_not_taken_for_one() {
        for (name, value) in [
            ("PARLANCE_PORT", "4000"),
            ("PARLANCE_PORT", "tcp://somewhere:4000"),
            ("PARLANCE_PORT", "http://10.0.0.1:80"),
            ("PARLANCE_port", "tcp://10.0.0.1:80"),
            ("PARLANCE_SERVICE_HOST", "localhost"),
            ("PARLANCE_SERVICE_PORT", "x"),
            ("PARLANCE_HOST", "10.0.0.1"),
            ("PARLANCE_NAME", "parlance"),
            ("PARLANCE_NAME", "/var/lib/parlance"),
            ("PARLANCE_PORT_X_TCP", "tcp://10.0.0.1:80"),
            ("PARLANCE_PORT_1_ICMP", "icmp://10.0.0.1:80"),
            ("PARLANCE_PORT_1_TCP_NAME", "tcp"),
            ("PARLANCE_LINE_ENV_PATH", "the link of that name is not there"),
            ("OTHER_SERVICE_HOST", "10.0.0.1"),
        ] {
            assert!(!is_passed_over(name, value), "{name}={value}");
        }
    }

    /// A setting that ended so would be passed over where a service of that name is about.
    #[test]
    fn no_setting_is_called_as_a_variable_of_a_service_is() {
        let values = ["10.0.0.1", "4000", "tcp://10.0.0.1:80", "/a/b", "tcp"];
        for key in Config::KEYS.into_iter().chain(Config::FILE_KEYS).chain(["config"]) {
            assert!(!values.iter().any(|value| names_a_place(&variable(key), value)), "{key}");
            assert_eq!(copied_by(&variable(key)).count(), 0, "{key}");
        }
    }
}

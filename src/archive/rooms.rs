//! Rooms and tokens in one JSON object, as a program in Python leaves them, and as this one writes them.
//!
//! The keys of that program are known by their meaning only, so that each is looked for under several names.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::material::{Material, Place, Seat};
use crate::chat::{OpId, Token};

const HOST: [&str; 3] = ["host_token", "host", "owner"];
const MEMBERS: [&str; 4] = ["member_tokens", "members", "tokens", "tokens_list"];
const NAME: [&str; 5] = ["username", "user_name", "user", "name", "payload"];
const ROOM: [&str; 2] = ["room_name", "room"];
const IS_HOST: [&str; 2] = ["is_host", "host"];
const ADDRESS: [&str; 4] = ["address", "addr", "ip", "ip_address"];

fn first<'a>(object: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| object.get(*key)).filter(|value| !value.is_null())
}

/// Takes the seats: of each room its host's, then the others in the order of joining, then those of tokens that say that
/// they are of a room which does not list them.
pub(super) fn take(
    material: &mut Material,
    place: Place,
    rooms: Vec<(String, Value)>,
    tokens: &[(String, Value)],
    is_proved: bool,
) {
    let entries: HashMap<&str, &Value> =
        tokens.iter().map(|(token, entry)| (token.as_str(), entry)).collect();
    let mut seen: HashSet<String> = HashSet::new();
    for (room, value) in rooms {
        let Value::Object(object) = value else {
            material.leave("a room that is no object", place, &room);
            continue;
        };
        let members = first(&object, &MEMBERS).and_then(Value::as_array);
        let members = || members.into_iter().flatten().filter_map(Value::as_str);
        // It may be the host's name: then the first member is the host, unless its entry says that it is not.
        let named =
            first(&object, &HOST).and_then(Value::as_str).filter(|token| Token::parse(token).is_some());
        let is_not = |token: &&str| entries.get(token).and_then(|entry| flag(entry)) == Some(false);
        let host = named.or_else(|| members().next().filter(|token| !is_not(token)));
        for token in host.into_iter().chain(members()) {
            if !seen.insert(token.to_owned()) {
                continue;
            }
            let is_host = host == Some(token);
            let is_taken = entries
                .get(token)
                .is_some_and(|entry| take_seat(material, place, &room, token, entry, is_host, is_proved));
            if !entries.contains_key(token) {
                material.leave("a member of a room whose token has no entry", place, &room);
            }
            if is_host && !is_taken {
                material.without_host.insert(room.as_str().into());
            }
        }
    }
    for (token, entry) in tokens {
        if !seen.contains(token) {
            match entry.as_object().and_then(|object| first(object, &ROOM)).and_then(Value::as_str) {
                Some(room) => {
                    take_seat(material, place, room, token, entry, flag(entry) == Some(true), is_proved);
                }
                None => material.leave("a token without a room", place, ""),
            }
        }
    }
}

/// What an entry says of whether it is a host's.
fn flag(entry: &Value) -> Option<bool> {
    first(entry.as_object()?, &IS_HOST)?.as_bool()
}

/// Returns whether it can be used, as far as that is known before anybody looks what is there.
fn take_seat(
    material: &mut Material,
    place: Place,
    room: &str,
    token: &str,
    entry: &Value,
    is_host: bool,
    is_proved: bool,
) -> bool {
    let none = Map::new();
    let object = entry.as_object().unwrap_or(&none);
    let name = first(object, &NAME).and_then(Value::as_str).map(plain_name).unwrap_or_default();
    let own_room = first(object, &ROOM).and_then(Value::as_str);
    let ip = first(object, &ADDRESS).and_then(ip);
    let reason = match (own_room, &ip) {
        _ if !entry.is_object() => "a token whose entry is no object",
        _ if name.is_empty() => "a token without a name",
        (Some(own), _) if own != room => "a token whose entry names another room",
        (_, None) => "a token without an address",
        (_, Some(ip)) => {
            let (room, token) = (room.into(), token.into());
            let (name, ip) = (name.into(), ip.as_str().into());
            let made = object.get("made").and_then(Value::as_str).and_then(OpId::parse);
            let made = made.filter(|id| is_host && id.is_ours());
            let is_gone = false;
            material.seats.push(Seat { place, room, name, token, ip, is_host, made, is_gone, is_proved });
            return true;
        }
    };
    material.leave(reason, place, if name.is_empty() { room } else { &name });
    false
}

/// A name that was kept as it came: a JSON text in a text.
fn plain_name(raw: &str) -> String {
    serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned())
}

/// Of `[ip, port]`, `"ip"` or `"ip:port"`.
fn ip(address: &Value) -> Option<String> {
    match address {
        Value::Array(parts) => parts.first().and_then(ip),
        Value::Object(object) => first(object, &ADDRESS[2..]).or_else(|| object.get("host")).and_then(ip),
        Value::String(text) => {
            let with_port = text.parse::<std::net::SocketAddr>().map(|address| address.ip().to_string());
            Some(with_port.unwrap_or_else(|_| text.split('%').next().unwrap_or_default().to_owned()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

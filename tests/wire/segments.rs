//! A frame cut anywhere decodes as the whole one does.

use parlance::chat::Phase;
use parlance::wire::{Codec, Dialect};

use crate::feed::{LINES, commands, cuts, events, same_in_any_pieces};
use crate::trips::{all_events, sayable_commands};

const LINE_CLIENT: &str =
    "PING\nLOGIN alice secret\r\nMSG hi\n\nDM bob  psst é🦀 \nWHO\nMSG\nNOPE x\n  MSG\ttab \r\n";
const SLASH_CLIENT: &str =
    "alice\r\nhi all\n/nick bob\n/join #games\n/pm carol é🦀\n\n/history 3\n/nope\n/quit\n";
const LINE_SERVER: &str = "OK\nMSG bob hi\nDM bob  é🦀\nUSER a\nUSER b\nERR user-not-found zoe\nINFO bob disconnected\n\
    INFO 3 messages missed\nERR password-required\nPONG\nwhat\nINFO server shutting down\n";
const SLASH_SERVER: &str = "Welcome to the chat server!\nEnter your nickname: Password: Welcome alice! You are in #lobby\n\
    *** alice joined the room\n[12:34:56] bob: é🦀\n[12:34:56] [Private from bob]: hi\n[Private to bob]: hi\n\
    Available commands:\nAvailable rooms:\n  #lobby (2 users)\nUsers in #lobby:\n  alice (you)\n  bob\n\
    ERROR: User not found\nwhat is this\n*** 3 messages missed\nPass\nGoodbye!\n";

#[test]
fn each_command_decodes_alike_in_any_pieces() {
    for dialect in LINES {
        for (phase, command) in sayable_commands(dialect) {
            let mut stream = Vec::new();
            dialect.encode_command(&command, &mut stream).expect("sayable");
            same_in_any_pieces(&stream, |pieces| commands(dialect, phase, pieces));
        }
    }
}

#[test]
fn each_event_decodes_alike_in_any_pieces() {
    for dialect in LINES {
        for (event, _) in all_events(dialect) {
            let mut stream = Vec::new();
            let _ = dialect.encode_event(&Codec::default(), &event, &mut stream);
            same_in_any_pieces(&stream, |pieces| events(dialect, pieces));
        }
    }
}

#[test]
fn a_clients_conversation_decodes_alike_in_any_pieces() {
    for (dialect, conversation, frames) in
        [(Dialect::Line, LINE_CLIENT, 9), (Dialect::Slash, SLASH_CLIENT, 9)]
    {
        let stream = conversation.as_bytes();
        assert_eq!(commands(dialect, Phase::Login, [stream]).len(), frames);
        same_in_any_pieces(stream, |pieces| commands(dialect, Phase::Login, pieces));
    }
}

#[test]
fn a_servers_conversation_decodes_alike_in_any_pieces() {
    for (dialect, conversation, frames) in
        [(Dialect::Line, LINE_SERVER, 12), (Dialect::Slash, SLASH_SERVER, 18)]
    {
        let stream = conversation.as_bytes();
        assert_eq!(events(dialect, [stream]).len(), frames, "{:#?}", events(dialect, [stream]));
        same_in_any_pieces(stream, |pieces| events(dialect, pieces));
    }
}

#[test]
fn a_conversation_decodes_alike_in_three_pieces() {
    let stream = &SLASH_SERVER.as_bytes()[..180];
    let whole = events(Dialect::Slash, [stream]);
    for first in cuts(stream.len()) {
        for second in cuts(stream.len()).filter(|second| *second >= first) {
            let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(events(Dialect::Slash, pieces), whole, "cut at {first} and {second}");
        }
    }
}

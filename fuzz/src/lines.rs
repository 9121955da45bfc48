//! The two dialects of lines: what a stream says on either side does not depend on how it is cut, and what was understood
//! can be said again and is understood as the same.

use parlance::chat::{Command, Event, Phase};
use parlance::limits::{LINE_BYTES_MAX, SERVER_LINE_BYTES_MAX};
use parlance::wire::{Codec, Dialect};

use super::feed::{
    Cuts, commands, commands_in, events, events_in, reencoded_command, reencoded_event, same_however_cut,
    same_telnet_however_cut,
};
use super::input::Input;

/// A codec of lines remembers whether it is skipping one, what may still come of the end of one, and a place
/// in Telnet.
const HELD_BYTES_MAX: usize = 128;

pub fn run(dialect: Dialect, bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let phase = input.pick(&[Phase::Login, Phase::Password, Phase::Chat]);
    let cuts = Cuts::of(&mut input);
    let stream = input.rest();
    same_however_cut(stream, cuts, LINE_BYTES_MAX, || {
        commands(dialect, phase, HELD_BYTES_MAX, |phase, command| say_again(dialect, phase, command))
    });
    same_telnet_however_cut(dialect, phase, stream, cuts);
    same_however_cut(stream, cuts, SERVER_LINE_BYTES_MAX, || {
        events(dialect, HELD_BYTES_MAX, |event| tell_again(dialect, event))
    });
}

/// What a dialect changes in a text, it changes once: from then on it is said and understood as it is. (A character that is
/// replaced takes three bytes, which may make a line too long.)
fn say_again(dialect: Dialect, phase: Phase, command: &Command<'_>) {
    let mut said = Vec::new();
    if dialect.encode_command(command, &mut said).is_err() {
        assert!(said.is_empty(), "what is not said leaves no bytes");
    } else if said.len() <= LINE_BYTES_MAX {
        assert_eq!(commands_in(dialect, phase, &said).len(), 1, "{command:?}");
        let again = reencoded_command(dialect, phase, &said);
        assert_eq!(said.escape_ascii().to_string(), again.escape_ascii().to_string());
    }
}

fn tell_again(dialect: Dialect, event: &Event<'_>) {
    let mut told = Vec::new();
    let _ = dialect.encode_event(&Codec::default(), event, &mut told);
    if told.len() <= SERVER_LINE_BYTES_MAX {
        let has_lines = matches!(
            event,
            Event::Message { .. } | Event::Direct { .. } | Event::DirectSent { .. } | Event::Mail(_)
        );
        let lines = told.split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(events_in(dialect, &told).len(), if has_lines { lines } else { 1 }, "{event:?}");
        let again = reencoded_event(dialect, &told);
        assert_eq!(told.escape_ascii().to_string(), again.escape_ascii().to_string());
    }
}

//! What was said in rooms, as lines: for people, or as JSON.

use std::io::{self, Write};

use parlance::chat::{OpId, Page, RoomMessage, RoomSummary, visible, visible_name};
use parlance::store::Reader;
use serde::Serialize;

use super::UpkeepError;
use super::arguments::{HistoryArguments, SearchArguments};

#[derive(Serialize)]
struct JsonRoom<'a> {
    room: &'a str,
    first: u64,
    last: u64,
}

#[derive(Serialize)]
struct JsonMessage<'a> {
    id: OpId,
    sequence: u64,
    /// Seconds since 1970.
    timestamp: f64,
    room: &'a str,
    sender: &'a str,
    content: &'a str,
}

/// Prints a page of a room's history, or the rooms.
pub(super) fn history(store: &mut dyn Reader, arguments: &HistoryArguments) -> Result<(), UpkeepError> {
    let HistoryArguments { room, before, after, around, limit, json } = arguments;
    let mut out = io::BufWriter::new(io::stdout().lock());
    match room {
        None => rooms(store, *json, &mut out)?,
        Some(room) => {
            let parse = |text: &String| OpId::parse(text).ok_or_else(|| UpkeepError::NoId(text.clone()));
            let page = match (before, after, around) {
                (Some(id), ..) => Page::Before(parse(id)?),
                (_, Some(id), _) => Page::After(parse(id)?),
                (.., Some(id)) => Page::Around(parse(id)?),
                (None, None, None) => Page::Newest,
            };
            for message in store.page(room, page, *limit as usize)? {
                write_message(&mut out, room, &message, *json, false)?;
            }
        }
    }
    Ok(out.flush()?)
}

/// Prints what a search finds.
pub(super) fn search(store: &mut dyn Reader, arguments: &SearchArguments) -> Result<(), UpkeepError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for (room, message) in store.search(&arguments.text, arguments.limit as usize)? {
        write_message(&mut out, &room, &message, arguments.json, true)?;
    }
    Ok(out.flush()?)
}

fn rooms(store: &mut dyn Reader, json: bool, out: &mut dyn Write) -> Result<(), UpkeepError> {
    let mut result = Ok(());
    store.rooms(&mut |RoomSummary { room, first, last }| {
        if result.is_ok() {
            result = if json {
                write_json(out, &JsonRoom { room: &room, first, last })
            } else {
                writeln!(out, "{}: messages {first} to {last}", visible(&room))
            };
        }
    })?;
    Ok(result?)
}

fn write_message(
    out: &mut dyn Write,
    room: &str,
    message: &RoomMessage,
    json: bool,
    with_room: bool,
) -> io::Result<()> {
    let RoomMessage { id, at, sequence, sender, text } = message;
    if json {
        let timestamp = at.0 as f64 / 1000.0;
        let (id, sequence) = (*id, *sequence);
        return write_json(out, &JsonMessage { id, sequence, timestamp, room, sender, content: text });
    }
    let at = crate::terminal::date(*at).replace('T', " ");
    let room = if with_room { format!("[{}] ", visible(room)) } else { String::new() };
    writeln!(out, "{at}  {room}{}: {}", visible_name(sender), visible(text))
}

fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

//! Lines, cut from a stream.
//!
//! A server ends its lines with LF. A client ends them with LF, CR LF, CR NUL (Telnet) or CR alone (a
//! terminal in raw mode); and with CR NUL LF or CR NUL CR LF, when a Telnet client is handed a file whose
//! lines end with CR LF, or with CR CR LF, when a program writes CR LF to a stream that makes CR LF of each
//! LF. One rule covers them all: *to a CR belong a NUL behind it, and then an LF or CR LF.* A CR ends its
//! line at once; what belongs to it is dropped when it comes.
//!
//! A CR directly behind a CR or CR NUL is the one byte that waits: it ends an empty line, unless an LF
//! follows and makes it part of the end before it. Without the wait, CR CR LF would be a line and an empty
//! line, and the empty one would answer the question for a password. The price is small: an empty line is no
//! message and no command, so only an empty password, which no account has, waits for the byte behind it.
//!
//! In front of a client's line U+FEFF, the byte order mark, is dropped: programs in .NET put one in front of
//! all that a writer sends, and some make a writer for each line.

use memchr::{memchr, memchr2};

use super::telnet::{IAC, Piece, Telnet};
use super::{Codec, DecodeError, Decoded, Frame, Memory};
use crate::limits::LINE_BYTES_MAX;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The state of a stream of lines between two calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Lines {
    /// The head of the current line was dropped for its length; so will the rest be.
    is_skipping: bool,
    end: LineEnd,
    telnet: Telnet,
}

/// The part of a line's end that may still come, in front of the current line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum LineEnd {
    /// Nothing.
    #[default]
    Over,
    /// A NUL, and what follows it.
    Return,
    /// An LF or CR LF.
    Null,
}

impl Codec {
    /// Decodes one line of a server, of at most `bytes_max` bytes with its end.
    #[inline]
    pub(super) fn event_line<'a, T: 'a>(
        &mut self,
        bytes_max: usize,
        bytes: &'a [u8],
        parse: impl FnOnce(&'a str) -> Result<T, DecodeError>,
    ) -> Decoded<T> {
        let end = memchr(b'\n', bytes);
        if self.is_skipping() {
            // Refused when its head was dropped; its end brings the next line.
            self.change_lines(|lines| lines.is_skipping = end.is_none());
            let consumed = end.map_or(bytes.len(), |end| end + 1);
            return Decoded { consumed, frame: Frame::Incomplete };
        }
        let Some(end) = end else { return self.unfinished(bytes_max, bytes) };
        let consumed = end + 1;
        if consumed > bytes_max {
            return Decoded { consumed, frame: Frame::Refused(DecodeError::LineTooLong) };
        }
        Decoded { consumed, frame: frame(&bytes[..end], parse) }
    }

    /// Decodes one line of a client, of at most [`LINE_BYTES_MAX`] bytes with its end. A CR and all that
    /// belongs to it count as two bytes.
    #[inline]
    pub(super) fn command_line<'a, T: 'a>(
        &mut self,
        bytes: &'a [u8],
        parse: impl FnOnce(&'a str) -> Result<T, DecodeError>,
    ) -> Decoded<T> {
        if self.0.is_some()
            && let Some(consumed) = self.go_on(bytes)
        {
            return Decoded { consumed, frame: Frame::Incomplete };
        }
        let Some(end) = memchr2(b'\n', b'\r', bytes) else { return self.unfinished(LINE_BYTES_MAX, bytes) };
        let (consumed, line_bytes) = match bytes[end] {
            b'\n' => (end + 1, end + 1),
            // The same limit however the stream is cut.
            _ => (self.end_at_return(bytes, end), end + 2),
        };
        if line_bytes > LINE_BYTES_MAX {
            return Decoded { consumed, frame: Frame::Refused(DecodeError::LineTooLong) };
        }
        let parse = |line: &'a str| match line.as_bytes().first() {
            Some(0xef) => parse(line.trim_start_matches(BYTE_ORDER_MARK).trim_ascii_start()),
            _ => parse(line),
        };
        Decoded { consumed, frame: frame(&bytes[..end], parse) }
    }

    fn unfinished<T>(&mut self, bytes_max: usize, bytes: &[u8]) -> Decoded<T> {
        if bytes.len() < bytes_max {
            return Decoded { consumed: 0, frame: Frame::Incomplete };
        }
        self.change_lines(|lines| lines.is_skipping = true);
        Decoded { consumed: bytes.len(), frame: Frame::Refused(DecodeError::LineTooLong) }
    }

    /// How much of the bytes belongs to what came before, or has to wait for more; nothing, where a line
    /// starts.
    #[cold]
    fn go_on(&mut self, bytes: &[u8]) -> Option<usize> {
        let lines = self.lines();
        if lines.is_skipping {
            let Some(end) = memchr2(b'\n', b'\r', bytes) else { return Some(bytes.len()) };
            self.change_lines(|lines| lines.is_skipping = false);
            return Some(if bytes[end] == b'\n' { end + 1 } else { self.end_at_return(bytes, end) });
        }
        if lines.end == LineEnd::Over {
            return None;
        }
        let (count, end) = lines.end.take(bytes);
        self.change_lines(|lines| lines.end = end);
        (count > 0 || end != LineEnd::Over).then_some(count)
    }

    /// The end of a line that a CR ends. Notes what may still come of it.
    fn end_at_return(&mut self, bytes: &[u8], at: usize) -> usize {
        let (count, end) = LineEnd::Return.take(&bytes[at + 1..]);
        if end != LineEnd::Over {
            self.change_lines(|lines| lines.end = end);
        }
        at + 1 + count
    }

    /// Whether the next byte belongs to a line that is being dropped.
    pub fn is_skipping(&self) -> bool {
        self.lines().is_skipping
    }

    /// Whether a piece of a stream, which the client sent, cannot be taken as the text that it is: there are
    /// Telnet commands in it.
    #[inline]
    pub fn has_telnet(&self, bytes: &[u8]) -> bool {
        memchr(IAC, bytes).is_some() || (self.0.is_some() && !self.lines().telnet.is_in_text())
    }

    /// The text of a piece of a stream in front of its first Telnet command.
    pub fn before_telnet<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        match memchr(IAC, bytes) {
            _ if !self.lines().telnet.is_in_text() => &[],
            Some(end) => &bytes[..end],
            None => bytes,
        }
    }

    /// Takes the Telnet commands out of a piece of a stream of lines. Its text is appended to the text that
    /// waits to be decoded, and the answers to the commands to `answers`. `is_start`: nothing came before the
    /// piece.
    ///
    /// Returns whether there were commands; an error ends the stream.
    pub fn take_telnet(
        &mut self,
        is_start: bool,
        bytes: &[u8],
        text: &mut Vec<u8>,
        answers: &mut Vec<u8>,
    ) -> Result<bool, DecodeError> {
        let Lines { mut telnet, end, .. } = self.lines();
        let mut piece = Piece::new(is_start, end == LineEnd::Return, text, answers);
        let taken = telnet.take(bytes, &mut piece);
        let Piece { has_commands, is_line_dropped, .. } = piece;
        self.change_lines(|lines| {
            lines.telnet = telnet;
            lines.is_skipping &= !is_line_dropped;
        });
        taken.map(|()| has_commands)
    }

    /// Whether the client has said, as Telnet says it, that it sends no more lines.
    pub fn has_ended(&self) -> bool {
        self.lines().telnet.has_ended()
    }

    fn lines(&self) -> Lines {
        match self.0.as_deref() {
            Some(Memory::Lines(lines)) => *lines,
            _ => Lines::default(),
        }
    }

    /// Changes the state. The default one takes no memory.
    fn change_lines(&mut self, change: impl FnOnce(&mut Lines)) {
        let mut lines = self.lines();
        change(&mut lines);
        match self.0.as_deref_mut() {
            _ if lines == Lines::default() => self.0 = None,
            Some(Memory::Lines(kept)) => *kept = lines,
            _ => self.0 = Some(Box::new(Memory::Lines(lines))),
        }
    }
}

impl LineEnd {
    /// The count of bytes that belong to the end, and the part that may follow them.
    fn take(self, bytes: &[u8]) -> (usize, Self) {
        let nul = usize::from(self == Self::Return && bytes.first() == Some(&0));
        match &bytes[nul..] {
            [b'\n', ..] => (nul + 1, Self::Over),
            [b'\r', b'\n', ..] => (nul + 2, Self::Over),
            // A CR belongs to it if an LF follows; otherwise it ends an empty line.
            [] | [b'\r'] => (nul, if nul > 0 { Self::Null } else { self }),
            _ => (nul, Self::Over),
        }
    }
}

#[inline]
fn frame<'a, T>(line: &'a [u8], parse: impl FnOnce(&'a str) -> Result<T, DecodeError>) -> Frame<T> {
    let Ok(line) = std::str::from_utf8(line) else { return Frame::Refused(DecodeError::InvalidUtf8) };
    match parse(line.trim_ascii()) {
        Ok(value) => Frame::Whole(value),
        Err(error) => Frame::Refused(error),
    }
}

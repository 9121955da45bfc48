//! Telnet commands in a stream of text: taken out and answered. RFC 854, 855, 860, 1143.
//!
//! A command starts with IAC (255). UTF-8 never contains that byte, so a stream without it is text, and costs
//! nothing here.
//!
//! The server supports no option, so both sides of every option stay off and no option has a state. A request
//! to enable one is refused each time, and a refusal is never answered: that is the rule of RFC 1143 that
//! keeps two peers from answering each other for ever. A client whose options are refused stays in line mode
//! and echoes by itself, as line and slash need it. The timing mark (RFC 860) is no option but a question,
//! and is answered with yes: after an interrupt, clients discard all output until the answer comes.
//!
//! Owns the parser state; buffers no bytes. The answers to a piece of a stream are no longer than the piece,
//! except for one answer to "are you there".

use memchr::{memchr, memrchr2};

use super::DecodeError;
use crate::limits::{LINE_BYTES_MAX, TELNET_SUBNEGOTIATION_BYTES_MAX};

/// "Interpret as command".
pub(super) const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SUBNEGOTIATION: u8 = 250;
const ERASE_LINE: u8 = 248;
const ERASE_CHARACTER: u8 = 247;
const ARE_YOU_THERE: u8 = 246;
const INTERRUPT: u8 = 244;
const BREAK: u8 = 243;
const DATA_MARK: u8 = 242;
const ABORT: u8 = 238;
const END_OF_FILE: u8 = 236;
/// The lowest command byte.
const FIRST_COMMAND: u8 = END_OF_FILE;

const TIMING_MARK: u8 = 6;
/// The traditional AYT reply.
const HERE: &[u8] = b"[Yes]\r\n";

/// A place in a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Place {
    /// In the text.
    #[default]
    Text,
    /// In front of the byte that follows a command.
    Behind,
    /// Behind an IAC.
    Command {
        /// Another command stands directly in front of the IAC.
        is_behind: bool,
    },
    /// Behind WILL, WONT, DO or DONT.
    Option { verb: u8 },
    /// In a subnegotiation.
    Inside { bytes: u16 },
    /// In a subnegotiation, behind an IAC.
    InsideCommand { bytes: u16 },
}

/// The state of a stream between two reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Telnet {
    place: Place,
    /// The client has said that its input ends.
    has_ended: bool,
}

/// The next piece of a stream, taken apart.
pub(super) struct Piece<'a> {
    /// Nothing of the stream came before the piece.
    pub(super) is_start: bool,
    /// The text that waits to be decoded. The piece's text is appended; commands may edit the last line.
    pub(super) text: &'a mut Vec<u8>,
    /// The answers are appended.
    pub(super) answers: &'a mut Vec<u8>,
    /// A command was completed.
    pub(super) has_commands: bool,
    /// A command dropped the last line, which is all of `text` or began before it.
    pub(super) is_line_dropped: bool,
    /// A NUL in front of the text belongs to the end of the line before it.
    is_behind_return: bool,
    is_asked: bool,
}

impl<'a> Piece<'a> {
    pub(super) fn new(
        is_start: bool,
        is_behind_return: bool,
        text: &'a mut Vec<u8>,
        answers: &'a mut Vec<u8>,
    ) -> Self {
        let (has_commands, is_line_dropped, is_asked) = (false, false, false);
        Self { is_start, text, answers, has_commands, is_line_dropped, is_behind_return, is_asked }
    }

    /// The start of the last line; None if the line is already too long. A stream cut at that point is
    /// refused before its next command. The same must hold for any other cut, so no command may undo the
    /// refusal. This reads no more than the longest line, because a flood of commands may follow a long line.
    fn last_line(&self) -> Option<usize> {
        // With a NUL of the line before, and the end of that line.
        let window = self.text.len().saturating_sub(LINE_BYTES_MAX + 2);
        let start = match memrchr2(b'\n', b'\r', &self.text[window..]) {
            Some(end) => window + end + 1,
            None if window == 0 => 0,
            None => return None,
        };
        let is_behind_return = if start == 0 { self.is_behind_return } else { self.text[start - 1] == b'\r' };
        let end_bytes = usize::from(is_behind_return && self.text.get(start) == Some(&0));
        (self.text.len() - start - end_bytes < LINE_BYTES_MAX).then_some(start)
    }

    fn drop_line(&mut self) {
        match self.last_line() {
            Some(start) => {
                self.text.truncate(start);
                self.is_line_dropped |= start == 0;
            }
            // The line ends here, and is refused.
            None => self.text.push(b'\n'),
        }
    }

    fn drop_character(&mut self) {
        let Some(start) = self.last_line() else { return };
        let is_inside = |byte: u8| byte & 0xc0 == 0x80;
        while self.text.len() > start && self.text.pop().is_some_and(is_inside) {}
    }
}

impl Telnet {
    /// Whether bytes that contain no IAC are text.
    pub(super) fn is_in_text(self) -> bool {
        self.place == Place::Text
    }

    pub(super) fn has_ended(self) -> bool {
        self.has_ended
    }

    /// Takes the bytes of a piece apart. An error: a subnegotiation is too long, and the stream cannot go on.
    pub(super) fn take(&mut self, bytes: &[u8], piece: &mut Piece<'_>) -> Result<(), DecodeError> {
        let mut rest = bytes;
        while let [byte, behind @ ..] = rest {
            rest = behind;
            self.place = match self.place {
                Place::Text if *byte == IAC => Place::Command { is_behind: false },
                Place::Behind if *byte == IAC => Place::Command { is_behind: true },
                // Of the IAC DM behind an interrupt, one byte is urgent, and the stream lacks it. GNU's
                // client sends the first one so, others the second.
                Place::Behind if *byte == DATA_MARK => Place::Behind,
                Place::Text | Place::Behind => {
                    let end = memchr(IAC, behind).unwrap_or(behind.len());
                    piece.text.push(*byte);
                    piece.text.extend_from_slice(&behind[..end]);
                    rest = &behind[end..];
                    Place::Text
                }
                Place::Command { is_behind } => self.command(*byte, is_behind, piece),
                Place::Option { verb } => {
                    piece.answers.extend(answer(verb, *byte).into_iter().flatten());
                    piece.has_commands = true;
                    Place::Behind
                }
                Place::Inside { bytes } if usize::from(bytes) == TELNET_SUBNEGOTIATION_BYTES_MAX => {
                    return Err(DecodeError::SubnegotiationTooLong);
                }
                Place::Inside { bytes } if *byte == IAC => Place::InsideCommand { bytes },
                Place::Inside { bytes } => Place::Inside { bytes: bytes + 1 },
                Place::InsideCommand { bytes } if *byte == IAC => Place::Inside { bytes: bytes + 1 },
                // Its end (SE), or the next command where that is missing.
                Place::InsideCommand { .. } => self.command(*byte, true, piece),
            };
        }
        if std::mem::take(&mut piece.is_asked) {
            piece.answers.extend_from_slice(HERE);
        }
        Ok(())
    }

    /// Carries out the command that an IAC and this byte are. Returns the place behind it.
    fn command(&mut self, byte: u8, is_behind: bool, piece: &mut Piece<'_>) -> Place {
        let is_first = piece.is_start && piece.text.is_empty() && !piece.has_commands && !is_behind;
        match byte {
            // The IAC of an IAC DM whose second byte is urgent.
            IAC if is_behind => return Place::Command { is_behind },
            0..FIRST_COMMAND if is_behind => {
                piece.text.push(byte);
                return Place::Text;
            }
            // The byte order mark of UTF-16: a client has no option to refuse before the server has offered
            // one.
            DONT if is_first => {
                piece.text.extend_from_slice(&[IAC, DONT]);
                return Place::Text;
            }
            IAC => {
                piece.text.push(IAC);
                return Place::Text;
            }
            // No command: text that is not UTF-8, and is refused as that.
            0..FIRST_COMMAND => {
                piece.text.extend_from_slice(&[IAC, byte]);
                return Place::Text;
            }
            WILL | WONT | DO | DONT => return Place::Option { verb: byte },
            SUBNEGOTIATION => return Place::Inside { bytes: 0 },
            INTERRUPT | BREAK | ABORT | ERASE_LINE => piece.drop_line(),
            ERASE_CHARACTER => piece.drop_character(),
            ARE_YOU_THERE => piece.is_asked = true,
            END_OF_FILE => self.has_ended = true,
            // No operation, go ahead, data mark, end of a record, suspend, the end of a subnegotiation. And
            // "abort output": the output that it means is in the network.
            _ => {}
        }
        piece.has_commands = true;
        Place::Behind
    }
}

/// The answer to WILL, WONT, DO or DONT.
fn answer(verb: u8, option: u8) -> Option<[u8; 3]> {
    match (verb, option) {
        (DO, TIMING_MARK) => Some([IAC, WILL, TIMING_MARK]),
        (DO, _) => Some([IAC, WONT, option]),
        (WILL, _) => Some([IAC, DONT, option]),
        // A refusal of what is off.
        _ => None,
    }
}

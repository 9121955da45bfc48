//! The decoder of a connection: gob messages in, [`Message`]s out.

use super::reader::{Reader, Stop};
use super::types::{Indices, Shape, TypeId, Types};
use super::{Decoded, Frame, GobError, Kind, Message, MessageField};
use crate::limits::GOB_DEPTH_MAX;

/// What is remembered between two calls, one a connection and direction: the types that were defined.
///
/// Taken is what Go can make of a message, however it is cut:
/// * any number for its type, any name, its fields by their names, in any order, none of them required but one;
/// * extra fields of any type, also between them: structs, slices, arrays, maps, pointers, interfaces, and what encodes
///   itself;
/// * a type defined once for many values, or again with each of them, alike or changed: the last one counts.
///
/// A field of the right name must have the right kind: `Type` a signed integer, `Sender` and `Content` strings.
///
/// Until a value is whole, the bytes of it are to be kept by the caller: [`GOB_FRAME_BYTES_MAX`] at most. The decoder
/// itself keeps no bytes and, for a client with one type, some 100 bytes of definitions; 4 KiB for the greediest.
///
/// [`GOB_FRAME_BYTES_MAX`]: crate::limits::GOB_FRAME_BYTES_MAX
#[derive(Debug, Default)]
pub struct Decoder {
    types: Types,
    /// Bytes still to come that are dropped: of a gob message that was too long.
    skipped_bytes: u64,
}

/// Nothing behind the end of a stream is looked at. No connection lives to send as much.
const EVERYTHING: u64 = u64::MAX;

impl Decoder {
    /// Whether the peer has defined a type, as a gob stream starts.
    pub fn has_types(&self) -> bool {
        !self.types.is_empty()
    }

    /// Bytes of the definitions that it keeps.
    pub fn held_bytes(&self) -> usize {
        self.types.held_bytes()
    }

    /// Decodes the definitions at the start of `bytes`, and the value behind them.
    ///
    /// After an error that [ends the stream](GobError::ends_stream), all that follows is dropped.
    #[inline]
    pub fn decode<'a>(&mut self, bytes: &'a [u8]) -> Decoded<'a> {
        let mut consumed = self.skip(bytes);
        loop {
            let mut reader = Reader::new(&bytes[consumed..]);
            let step = self.step(&mut reader);
            let read = bytes.len() - reader.bytes_behind();
            let frame = match step {
                Ok(None) => {
                    consumed = read;
                    continue;
                }
                Ok(Some(message)) => Frame::Whole(message),
                Err(Stop::Incomplete) => return Decoded { consumed, frame: Frame::Incomplete },
                Err(Stop::Refused(error)) => {
                    self.skipped_bytes = match error {
                        GobError::MessageTooLong => reader.announced(),
                        error if error.ends_stream() => EVERYTHING,
                        _ => 0,
                    };
                    let consumed = read + self.skip(&bytes[read..]);
                    return Decoded { consumed, frame: Frame::Refused(error) };
                }
            };
            return Decoded { consumed: read, frame };
        }
    }

    /// How many of the bytes are to be dropped.
    #[inline]
    fn skip(&mut self, bytes: &[u8]) -> usize {
        let skipped = self.skipped_bytes.min(bytes.len() as u64);
        self.skipped_bytes -= skipped;
        skipped as usize
    }

    /// A definition, or a value.
    #[inline]
    fn step<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Message<'a>>, Stop> {
        reader.next_message()?;
        let number = reader.int()?;
        let message = if number < 0 {
            self.types.define(defined(number), reader)?;
            None
        } else {
            Some(self.message(number, reader)?)
        };
        if reader.is_empty() { Ok(message) } else { Err(GobError::TrailingBytes.into()) }
    }

    /// A value of the type with a number, if it is a message.
    #[inline]
    fn message<'a>(&mut self, number: i64, reader: &mut Reader<'a>) -> Result<Message<'a>, Stop> {
        let of = TypeId::new(number).ok_or(GobError::UnknownType)?;
        let type_index = self.types.index_of_message(of)?;
        let mut message = Message::default();
        let mut indices = Indices::default();
        while let Some(index) = indices.next(reader)? {
            let field = self.types.field(type_index, index)?;
            match field.role {
                Some(MessageField::Type) => message.kind = Kind::from_number(reader.int()?),
                Some(MessageField::Sender) => message.sender = reader.text()?,
                Some(MessageField::Content) => message.content = reader.text()?,
                None => self.skip_value(field.of, reader, GOB_DEPTH_MAX)?,
            }
        }
        Ok(message)
    }

    /// Skips a value inside of another. Each takes at least a byte, so that no count makes more work than there are
    /// bytes.
    fn skip_value(&mut self, of: TypeId, reader: &mut Reader<'_>, depth_left: u8) -> Result<(), Stop> {
        let depth_left = depth_left.checked_sub(1).ok_or(GobError::TooDeep)?;
        match of {
            TypeId::BOOL | TypeId::INT | TypeId::UINT | TypeId::FLOAT => drop(reader.uint()?),
            TypeId::BYTES | TypeId::STRING => drop(reader.bytes()?),
            TypeId::COMPLEX => {
                reader.uint()?;
                reader.uint()?;
            }
            TypeId::INTERFACE => self.skip_interface(reader, depth_left)?,
            _ => {
                let index = self.types.index(of)?;
                self.skip_defined(index, reader, depth_left)?;
            }
        }
        Ok(())
    }

    fn skip_defined(&mut self, index: usize, reader: &mut Reader<'_>, depth_left: u8) -> Result<(), Stop> {
        match self.types.shape(index) {
            Shape::Struct => {
                let mut indices = Indices::default();
                while let Some(field_index) = indices.next(reader)? {
                    // Looked up each time: what is inside an interface may define the type anew.
                    let field = self.types.field(index, field_index)?;
                    self.skip_value(field.of, reader, depth_left)?;
                }
            }
            Shape::Elements(of) => {
                for _ in 0..reader.uint()? {
                    self.skip_value(of, reader, depth_left)?;
                }
            }
            Shape::Pairs(key, of) => {
                for _ in 0..reader.uint()? {
                    self.skip_value(key, reader, depth_left)?;
                    self.skip_value(of, reader, depth_left)?;
                }
            }
            Shape::Opaque => drop(reader.bytes()?),
        }
        Ok(())
    }

    /// Skips an interface: the name of a concrete type, its definitions if they are new, its number, and a value with its
    /// length in front.
    ///
    /// A definition ends the gob message, in which the value has begun, wherever that is: the next one goes on with
    /// further definitions, and at last with the value. In an interface inside of an interface, these gob messages stand
    /// inside the outer one, where only their lengths are seen. (Go itself skips by the outer length, and so loses its
    /// place; as does the nil in a slice of interfaces, which is an empty name and nothing else.)
    fn skip_interface(&mut self, reader: &mut Reader<'_>, depth_left: u8) -> Result<(), Stop> {
        if reader.bytes()?.is_empty() {
            return Ok(());
        }
        let number = loop {
            if reader.is_empty() {
                reader.next_message()?;
            }
            let number = reader.int()?;
            if number >= 0 {
                break number;
            }
            self.types.define_inside(defined(number), reader)?;
            if !reader.is_empty() {
                reader.length()?;
            }
        };
        let of = TypeId::new(number).ok_or(GobError::UnknownType)?;
        reader.length()?;
        if !self.types.is_struct(of) {
            // A value that stands alone has a zero where a struct has the index of its first field.
            if reader.uint()? != 0 {
                return Err(GobError::UnknownField.into());
            }
        }
        self.skip_value(of, reader, depth_left)
    }
}

/// The type that a definition is for, in front of which the negative of its number stands.
#[inline]
fn defined(number: i64) -> Option<TypeId> {
    number.checked_neg().and_then(TypeId::new)
}

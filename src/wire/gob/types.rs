//! The types that a connection has defined: what is needed to find a message's fields, and to skip all others.
//!
//! Names are compared as they come and not kept. A definition for a number that has one replaces it, as a fresh encoder
//! on the same stream means it; one that says the same again, as it mostly does, costs no allocation.

use arrayvec::ArrayVec;

use super::reader::Reader;
use super::{GobError, MessageField};
use crate::limits::{GOB_FIELDS_MAX, GOB_FIELDS_TOTAL_MAX, GOB_TYPES_MAX};

/// The number of a type on a connection. What is not built in has to be defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TypeId(u32);

impl TypeId {
    pub(super) const BOOL: Self = Self(1);
    pub(super) const INT: Self = Self(2);
    pub(super) const UINT: Self = Self(3);
    pub(super) const FLOAT: Self = Self(4);
    pub(super) const BYTES: Self = Self(5);
    pub(super) const STRING: Self = Self(6);
    pub(super) const COMPLEX: Self = Self(7);
    pub(super) const INTERFACE: Self = Self(8);
    /// The first that is not gob's own.
    const FIRST_DEFINED: u32 = 64;
    /// Go keeps them in 32 bits with a sign.
    const LAST_DEFINED: u32 = i32::MAX as u32;

    /// The type with a number, if it can be one.
    #[inline]
    pub(super) fn new(number: i64) -> Option<Self> {
        u32::try_from(number).ok().filter(|number| (1..=Self::LAST_DEFINED).contains(number)).map(Self)
    }

    #[inline]
    fn can_be_defined(self) -> bool {
        self.0 >= Self::FIRST_DEFINED
    }
}

/// A field of a struct.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Field {
    pub(super) of: TypeId,
    /// What it is to a message; `None`: nothing, and skipped.
    pub(super) role: Option<MessageField>,
}

/// How the values of a type are written. Where it has other types, their definitions may still be to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// Fields, as `Types::field` has them.
    Struct,
    /// A count, and as many elements.
    Elements(TypeId),
    /// A count, and as many pairs.
    Pairs(TypeId, TypeId),
    /// Bytes behind their length: of types that encode themselves.
    Opaque,
}

#[derive(Debug)]
struct Type {
    id: TypeId,
    shape: Shape,
    /// Of a struct; else none.
    fields: Box<[Field]>,
    /// Whether its values are messages, and if not, why.
    message: Result<(), GobError>,
}

/// The types of a connection: at most [`GOB_TYPES_MAX`], with at most [`GOB_FIELDS_TOTAL_MAX`] fields.
#[derive(Debug, Default)]
pub(super) struct Types {
    types: Vec<Type>,
}

impl Types {
    pub(super) fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    pub(super) fn held_bytes(&self) -> usize {
        let fields: usize = self.types.iter().map(|known| size_of_val(&*known.fields)).sum();
        self.types.capacity() * size_of::<Type>() + fields
    }

    /// Where a type stands. It stays there, whatever is defined after it.
    #[inline]
    pub(super) fn index(&self, of: TypeId) -> Result<usize, GobError> {
        self.types.iter().position(|known| known.id == of).ok_or(GobError::UnknownType)
    }

    /// Where a type stands whose values are messages.
    #[inline]
    pub(super) fn index_of_message(&self, of: TypeId) -> Result<usize, GobError> {
        if !of.can_be_defined() {
            return Err(GobError::NotAMessage);
        }
        let index = self.index(of)?;
        self.types[index].message.map(|()| index)
    }

    /// How the values of the type at an index are written.
    #[inline]
    pub(super) fn shape(&self, index: usize) -> Shape {
        self.types[index].shape
    }

    /// A field of the struct at an index.
    #[inline]
    pub(super) fn field(&self, index: usize, field_index: usize) -> Result<Field, GobError> {
        self.types[index].fields.get(field_index).copied().ok_or(GobError::UnknownField)
    }

    /// Whether a type is a struct. What is not known is none.
    #[inline]
    pub(super) fn is_struct(&self, of: TypeId) -> bool {
        self.index(of).is_ok_and(|index| self.types[index].shape == Shape::Struct)
    }

    /// Reads the definition of a type, which takes the place of one that is there.
    #[inline]
    pub(super) fn define(&mut self, id: Option<TypeId>, reader: &mut Reader<'_>) -> Result<(), GobError> {
        self.define_with(id, reader, Ok(()))
    }

    /// Reads the definition of a type in the middle of a value. It may not change one that is there: a value whose end
    /// is still to come is read from its start again, and must then mean the same.
    pub(super) fn define_inside(
        &mut self,
        id: Option<TypeId>,
        reader: &mut Reader<'_>,
    ) -> Result<(), GobError> {
        self.define_with(id, reader, Err(GobError::TypeInUse))
    }

    #[inline]
    fn define_with(
        &mut self,
        id: Option<TypeId>,
        reader: &mut Reader<'_>,
        replacing: Result<(), GobError>,
    ) -> Result<(), GobError> {
        let id = id.filter(|id| id.can_be_defined()).ok_or(GobError::TypeReserved)?;
        let (shape, fields) = definition(reader)?;
        match self.index(id) {
            Ok(index) if self.types[index].is(shape, &fields) => Ok(()),
            Ok(index) => replacing.and_then(|()| self.replace(index, id, shape, &fields)),
            Err(_) => self.add(id, shape, &fields),
        }
    }

    fn replace(&mut self, index: usize, id: TypeId, shape: Shape, fields: &[Field]) -> Result<(), GobError> {
        self.check_field_count(fields.len(), self.types[index].fields.len())?;
        self.types[index] = Type::new(id, shape, fields);
        Ok(())
    }

    fn add(&mut self, id: TypeId, shape: Shape, fields: &[Field]) -> Result<(), GobError> {
        if self.types.len() == GOB_TYPES_MAX {
            return Err(GobError::TooManyTypes);
        }
        self.check_field_count(fields.len(), 0)?;
        // Nearly all connections define one type.
        self.types.reserve_exact(1);
        self.types.push(Type::new(id, shape, fields));
        Ok(())
    }

    fn check_field_count(&self, added: usize, removed: usize) -> Result<(), GobError> {
        let total: usize = self.types.iter().map(|known| known.fields.len()).sum();
        if total - removed + added > GOB_FIELDS_TOTAL_MAX { Err(GobError::TooManyFields) } else { Ok(()) }
    }
}

impl Type {
    fn new(id: TypeId, shape: Shape, fields: &[Field]) -> Self {
        Self { id, shape, fields: fields.into(), message: check_message(shape, fields) }
    }

    fn is(&self, shape: Shape, fields: &[Field]) -> bool {
        self.shape == shape && *self.fields == *fields
    }
}

/// Whether the values of a type are messages.
fn check_message(shape: Shape, fields: &[Field]) -> Result<(), GobError> {
    let mut found = Err(GobError::NotAMessage);
    if shape != Shape::Struct {
        return found;
    }
    for field in fields {
        let Some(role) = field.role else { continue };
        let of = match role {
            MessageField::Type => TypeId::INT,
            MessageField::Sender | MessageField::Content => TypeId::STRING,
        };
        if field.of != of {
            return Err(GobError::WrongKind(role));
        }
        found = Ok(());
    }
    found
}

/// What the field with a name is to a message.
#[inline]
fn role(name: &[u8]) -> Option<MessageField> {
    match name {
        b"Type" => Some(MessageField::Type),
        b"Sender" => Some(MessageField::Sender),
        b"Content" => Some(MessageField::Content),
        _ => None,
    }
}

type Fields = ArrayVec<Field, GOB_FIELDS_MAX>;

/// A type as it is written: a struct with a field for each way to define one, of which exactly one is set.
#[inline]
fn definition(reader: &mut Reader<'_>) -> Result<(Shape, Fields), GobError> {
    let mut fields = Fields::new();
    let shape = match reader.uint()? {
        // ArrayT: its length stands in front of each value, too.
        1 => {
            let [element, _] = parts(reader)?;
            Shape::Elements(part(element)?)
        }
        // SliceT.
        2 => {
            let [element] = parts(reader)?;
            Shape::Elements(part(element)?)
        }
        // StructT.
        3 => {
            structure(reader, &mut fields)?;
            Shape::Struct
        }
        // MapT.
        4 => {
            let [key, element] = parts(reader)?;
            Shape::Pairs(part(key)?, part(element)?)
        }
        // GobEncoderT, BinaryMarshalerT, TextMarshalerT.
        5..=7 => {
            let [] = parts(reader)?;
            Shape::Opaque
        }
        _ => return Err(GobError::DefinitionMalformed),
    };
    // The end of the struct; a second way to define the type is none.
    if reader.uint()? == 0 { Ok((shape, fields)) } else { Err(GobError::DefinitionMalformed) }
}

/// A struct of the name and number that all types have, and of integers.
fn parts<const COUNT: usize>(reader: &mut Reader<'_>) -> Result<[i64; COUNT], GobError> {
    let mut parts = [0; COUNT];
    let mut indices = Indices::default();
    while let Some(index) = indices.next(reader)? {
        match index.checked_sub(1) {
            None => common(reader)?,
            Some(part) => *parts.get_mut(part).ok_or(GobError::DefinitionMalformed)? = reader.int()?,
        }
    }
    Ok(parts)
}

fn part(number: i64) -> Result<TypeId, GobError> {
    TypeId::new(number).ok_or(GobError::DefinitionMalformed)
}

/// The name and number that all types have. Neither counts: the number in front of the definition does.
#[inline]
fn common(reader: &mut Reader<'_>) -> Result<(), GobError> {
    named_number(reader).map(drop)
}

/// A struct of the name and number that all types have, and of a slice of fields.
#[inline]
fn structure(reader: &mut Reader<'_>, fields: &mut Fields) -> Result<(), GobError> {
    let mut indices = Indices::default();
    while let Some(index) = indices.next(reader)? {
        match index {
            0 => common(reader)?,
            1 => {
                for _ in 0..reader.length()? {
                    let (name, number) = named_number(reader)?;
                    let field = Field { of: part(number)?, role: role(name) };
                    fields.try_push(field).map_err(|_| GobError::TooManyFields)?;
                }
            }
            _ => return Err(GobError::DefinitionMalformed),
        }
    }
    Ok(())
}

/// A struct of a name and a number, as types and fields have.
#[inline]
fn named_number<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], i64), GobError> {
    let (mut name, mut number) = (&[][..], 0);
    let mut indices = Indices::default();
    while let Some(index) = indices.next(reader)? {
        match index {
            0 => name = reader.bytes()?,
            1 => number = reader.int()?,
            _ => return Err(GobError::DefinitionMalformed),
        }
    }
    Ok((name, number))
}

/// The indices of the fields that a struct's value has. Zero fields are left out: each index is written as the
/// difference to the one before, and a difference of zero ends the struct.
#[derive(Default)]
pub(super) struct Indices {
    /// The least that the next one can be.
    next: usize,
}

impl Indices {
    /// The index of the field whose value the reader stands before, or none at the end.
    #[inline]
    pub(super) fn next(&mut self, reader: &mut Reader<'_>) -> Result<Option<usize>, GobError> {
        let Some(omitted) = reader.uint()?.checked_sub(1) else { return Ok(None) };
        // No struct has as many fields as do not fit.
        let omitted = usize::try_from(omitted).map_err(|_| GobError::UnknownField)?;
        let index = self.next.checked_add(omitted).ok_or(GobError::UnknownField)?;
        self.next = index.saturating_add(1);
        Ok(Some(index))
    }
}

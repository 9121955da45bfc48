//! Identifiers: small, copyable, and typed, so that a slot is never taken for a room.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::UnixMillis;
use crate::limits::SHARDS_MAX;

/// Bytes of the id of an op as a text.
pub const OP_ID_BYTES: usize = uuid::fmt::Hyphenated::LENGTH;

/// The id of a durable change, and of the message that it sent: a UUID of version 7 (RFC 9562, section 5.7), so that ids
/// sort as things happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OpId(Uuid);

/// The order of their bytes, compared as one number: a mailbox of many messages compares dozens for each that comes.
impl Ord for OpId {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_u128().cmp(&other.0.as_u128())
    }
}

impl PartialOrd for OpId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl OpId {
    /// The id for a moment: of several in one millisecond, `sequence` (12 bits) gives the order, as method 1 of section
    /// 6.2 has it; `random` (62 bits) keeps others from guessing it.
    pub fn new(at: UnixMillis, sequence: u16, random: u64) -> Self {
        let [s1, s0] = sequence.to_be_bytes();
        let [r7, r6, r5, r4, r3, r2, r1, r0] = random.to_be_bytes();
        let bytes = [s1, s0, r7, r6, r5, r4, r3, r2, r1, r0];
        Self(uuid::Builder::from_unix_timestamp_millis(at.0, &bytes).into_uuid())
    }

    /// Reads any of the spellings of a UUID; anything else is nobody's id.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// Spells it, in lower case with hyphens.
    pub fn text(self, buffer: &mut [u8; OP_ID_BYTES]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }

    /// Whether it is of the kind that [`OpId::new`] makes; [`OpId::parse`] reads others, too.
    pub fn is_ours(self) -> bool {
        self.0.get_version_num() == 7 && self.0.get_variant() == uuid::Variant::RFC4122
    }

    /// Its 16 bytes, which sort as it does.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The inverse of [`OpId::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The time in it: when it was made, or later than that where the clock had gone back.
    pub fn at(self) -> UnixMillis {
        UnixMillis((self.0.as_u128() >> 80) as u64)
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A connection: a slot of a shard, and which of the slot's successive holders is meant. Connections with a socket have
/// slots that the shard gives out, seats have others, which the engine gives out.
///
/// A stale id (its generation is not the slot's) names nobody; the engine counts it and goes on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnId {
    /// Whether it is a seat, the shard, and the index: see [`ConnId::is_seat`], [`ConnId::shard`] and [`ConnId::index`].
    pub slot: u32,
    /// Counts the shard's connections, or all seats, wrapping.
    pub generation: u32,
}

/// Low bits of a slot that are the index: 16 million connections a shard, and 128 shards.
const INDEX_BITS: u32 = 24;
/// Set in the slots of seats.
const SEAT: u32 = 1 << 31;

const _: () = assert!(SHARDS_MAX <= (SEAT >> INDEX_BITS) as usize);

impl ConnId {
    /// The connection with a socket at an index, which is below 2^24, of a shard.
    pub fn new(shard: u8, index: u32, generation: u32) -> Self {
        debug_assert!(index >> INDEX_BITS == 0, "limits::CLIENTS_MAX and SEATS_MAX keep it below");
        Self { slot: u32::from(shard) << INDEX_BITS | index, generation }
    }

    /// The seat at an index, which is below 2^24, of a shard.
    pub fn new_seat(shard: u8, index: u32, generation: u32) -> Self {
        let Self { slot, generation } = Self::new(shard, index, generation);
        Self { slot: slot | SEAT, generation }
    }

    /// The connection at an index of a [table](ConnId::table).
    pub fn in_table(table: usize, index: u32, generation: u32) -> Self {
        debug_assert!(index >> INDEX_BITS == 0 && table < 1 << (32 - INDEX_BITS));
        Self { slot: (table as u32) << INDEX_BITS | index, generation }
    }

    /// Whether it is one without a socket of its own.
    #[inline]
    pub fn is_seat(self) -> bool {
        self.slot & SEAT != 0
    }

    /// Whose socket it is, or which shard sends its datagrams.
    #[inline]
    pub fn shard(self) -> u8 {
        ((self.slot & !SEAT) >> INDEX_BITS) as u8
    }

    /// Which table of slots it is in: each shard has one for connections with a socket, below 128, and one for seats.
    #[inline]
    pub fn table(self) -> usize {
        (self.slot >> INDEX_BITS) as usize
    }

    /// Its index into its table.
    #[inline]
    pub fn index(self) -> usize {
        (self.slot & ((1 << INDEX_BITS) - 1)) as usize
    }

    /// Packs the id into one word, for the kernel to hand back with a readiness event.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// The inverse of [`ConnId::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self { slot: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// A listener: its position in the configuration. Limits may differ between listeners.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ListenerId(pub u8);

/// A room: a slot of the engine's slab of rooms. Valid as long as the room has a member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RoomId(pub u32);

impl RoomId {
    /// Everybody's first room, which always exists.
    pub const LOBBY: Self = Self(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_kernel() {
        for id in [ConnId { slot: 0, generation: 0 }, ConnId { slot: u32::MAX, generation: 7 }] {
            assert_eq!(ConnId::from_bits(id.to_bits()), id);
        }
    }

    #[test]
    fn ids_sort_by_time_and_survive_being_spelled() {
        let at = UnixMillis(1_700_000_000_000);
        let ids = [(at, 0, u64::MAX), (at, 1, 0), (at, 0xfff, 7), (UnixMillis(at.0 + 1), 0, 0)]
            .map(|(at, sequence, random)| OpId::new(at, sequence, random));
        assert!(ids.is_sorted());
        assert_eq!(ids[0].at(), at);
        for id in ids {
            let mut buffer = [0; OP_ID_BYTES];
            assert_eq!(OpId::parse(id.text(&mut buffer)), Some(id));
        }
        assert_eq!(OpId::parse("nonsense"), None);
        let of_version_4 = OpId::parse("f47ac10b-58cc-4372-a567-0e02b2c3d479").expect("a UUID");
        assert!(ids[0].is_ours() && !of_version_4.is_ours());
    }
}

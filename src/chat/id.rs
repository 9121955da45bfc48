//! Identifiers: small, copyable, and typed, so that a slot is never taken for a room.

/// A connection: a slot of the shard's slab, and which of the slot's successive holders is meant.
///
/// A stale id (its generation is not the slot's) names nobody; the engine counts it and goes on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnId {
    /// Index into the slab.
    pub slot: u32,
    /// Counts the holders of the slot, wrapping.
    pub generation: u32,
}

impl ConnId {
    /// Packs the id into one word, for the kernel to hand back with a readiness event.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// The inverse of [`ConnId::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self { slot: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// A room: a slot of the engine's slab of rooms. Valid as long as the room has a member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RoomId(pub u32);

impl RoomId {
    /// Everybody's first room, which always exists.
    pub const LOBBY: Self = Self(0);
}

#[cfg(test)]
mod tests {
    use super::ConnId;

    #[test]
    fn an_id_survives_the_kernel() {
        for id in [ConnId { slot: 0, generation: 0 }, ConnId { slot: u32::MAX, generation: 7 }] {
            assert_eq!(ConnId::from_bits(id.to_bits()), id);
        }
    }
}

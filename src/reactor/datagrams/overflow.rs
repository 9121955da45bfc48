//! The overflow: datagrams that the kernel dropped because those before them had not been read.

/// Counts them. The kernel tells, with a datagram, how many the socket has dropped before it, since it was made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overflow {
    /// The highest count that was told, as it goes round.
    told: u32,
    /// Dropped, and not taken yet.
    untaken: u64,
}

impl Overflow {
    /// The kernel tells a count.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nobody tells"))]
    pub(super) fn told(&mut self, count: u32) {
        let more = count.wrapping_sub(self.told);
        // Datagrams from several cores may overtake each other, and bring an older count. So does the same one, mostly.
        if more <= u32::MAX / 2 {
            self.told = count;
            self.untaken += u64::from(more);
        }
    }

    /// How many have been dropped since this was last asked.
    pub(super) fn take(&mut self) -> u64 {
        std::mem::take(&mut self.untaken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(counts: &[u32]) -> u64 {
        let mut overflow = Overflow::default();
        for &count in counts {
            overflow.told(count);
        }
        let taken = overflow.take();
        assert_eq!(overflow.take(), 0);
        taken
    }

    #[test]
    fn what_is_told_twice_counts_once() {
        assert_eq!(taken(&[]), 0);
        assert_eq!(taken(&[3, 3, 7, 7, 7]), 7);
    }

    #[test]
    fn an_older_count_says_nothing() {
        assert_eq!(taken(&[5, 4, 6, 5, 6]), 6);
    }

    #[test]
    fn the_count_goes_round() {
        let half = u32::MAX / 2;
        assert_eq!(taken(&[half, 2 * half, 2, 1, 3]), u64::from(u32::MAX) + 4);
    }
}

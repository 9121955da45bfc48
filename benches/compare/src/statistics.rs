//! Medians, and ratios within a round.

/// The middle one; of an even number of them, the mean of the two in the middle. Nothing of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let above = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(above);
    }
    Some(f64::midpoint(sorted[middle - 1], above))
}

/// The least and the most of them.
pub(crate) fn spread(values: &[f64]) -> Option<(f64, f64)> {
    let least = values.iter().copied().reduce(f64::min)?;
    let most = values.iter().copied().reduce(f64::max)?;
    Some((least, most))
}

/// The median of the ratios of pairs, each of one round: what both had to cope with in the same minute is the same. Rounds in
/// which one of them has no figure do not count, nor does a ratio to nothing.
pub(crate) fn ratio(pairs: impl IntoIterator<Item = (Option<f64>, Option<f64>)>) -> Option<f64> {
    let ratios: Vec<f64> = pairs
        .into_iter()
        .filter_map(|(of, to)| of.zip(to))
        .filter(|(_, to)| *to > 0.0)
        .map(|(of, to)| of / to)
        .collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some((1.0, 9.0)));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn a_ratio_is_of_the_same_round() {
        // A slow minute hits both: the ratio of the medians would be 3.
        let pairs = [(1.0, 2.0), (30.0, 60.0), (60.0, 10.0)];
        let pairs = pairs.map(|(of, to)| (Some(of), Some(to)));
        assert_eq!(ratio(pairs), Some(0.5));
    }

    #[test]
    fn a_round_without_both_does_not_count() {
        let pairs = [(Some(1.0), None), (None, Some(1.0)), (Some(8.0), Some(2.0)), (Some(1.0), Some(0.0))];
        assert_eq!(ratio(pairs), Some(4.0));
        assert_eq!(ratio([(None, Some(1.0))]), None);
    }
}

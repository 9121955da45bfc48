//! The text form of HDR histograms, as its plotters read it: `Value Percentile TotalCount 1/(1-Percentile)`, and a footer.

use std::io::{self, Write};

use hdrhistogram::Histogram;

/// Lines for each halving of the distance to 100 %.
const TICKS_PER_HALF_DISTANCE: u32 = 5;
/// Nanoseconds in the unit of the values, a millisecond.
const UNIT: f64 = 1e6;

/// Writes a histogram of nanoseconds, in milliseconds.
pub(crate) fn write(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    // The format's own writer (`AbstractHistogram.outputPercentileDistribution`, in Java) has as many
    // decimals as the histogram has significant digits. With more, a value can fill its column, and a plotter
    // that looks for the blank in front of it (hdr-plot) leaves the row out.
    let digits = usize::from(histogram.sigfig());
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        total += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64 / UNIT;
        let quantile = step.quantile_iterated_to();
        write!(out, "{value:12.digits$} {quantile:2.12} {total:10}")?;
        if quantile < 1.0 {
            writeln!(out, " {:14.2}", 1.0 / (1.0 - quantile))?;
        } else {
            writeln!(out)?;
        }
    }
    let (mean, deviation) = (histogram.mean() / UNIT, histogram.stdev() / UNIT);
    writeln!(out, "#[Mean    = {mean:12.digits$}, StdDeviation   = {deviation:12.digits$}]")?;
    let (max, count) = (histogram.max() as f64 / UNIT, histogram.len());
    writeln!(out, "#[Max     = {max:12.digits$}, Total count    = {count:12}]")?;
    let buckets = histogram.buckets();
    let sub_buckets = (2 * 10_u64.pow(u32::from(histogram.sigfig()))).next_power_of_two();
    writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::histogram;

    /// Of a run with an hour's stall, the rows stand under each other as those of a short one do.
    #[test]
    fn the_longest_latency_stays_in_its_column() {
        let mut latencies = histogram().expect("the bounds are sensible");
        for seconds in [9, 10, 99, 100, 3600] {
            latencies.record(seconds * 1_000_000_000).expect("within bounds");
        }
        let mut out = Vec::new();
        write(&latencies, &mut out).expect("a vector takes it");
        let text = String::from_utf8(out).expect("text");
        let rows: Vec<&str> = text.lines().skip(2).take_while(|line| !line.starts_with('#')).collect();
        assert!(rows.len() > 5);
        for row in rows {
            assert!(row.starts_with(' ') && row.find('.') == Some(8), "{row:?}");
        }
    }

    #[test]
    fn the_form_is_what_plotters_read() {
        let mut latencies = histogram().expect("the bounds are sensible");
        for millisecond in 1..=1000 {
            latencies.record(millisecond * 1_000_000).expect("within bounds");
        }
        let mut out = Vec::new();
        write(&latencies, &mut out).expect("a vector takes it");
        let text = String::from_utf8(out).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[1], "");
        let rows: Vec<Vec<f64>> = lines[2..]
            .iter()
            .take_while(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|word| word.parse().expect(word)).collect())
            .collect();
        assert!(rows.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][2] <= pair[1][2]));
        let half = rows.iter().find(|row| row[1] >= 0.5).expect("half of them");
        assert!((half[0] - 500.0).abs() < 1.0 && (half[3] - 2.0).abs() < 0.01, "{half:?}");
        for line in lines[2..].iter().take_while(|line| !line.starts_with('#')) {
            assert!(
                line.starts_with(' ') && line.find('.') == Some(8),
                "a blank in front of each value: {line:?}"
            );
        }
        let last = rows.last().expect("all of them");
        assert_eq!((last.len(), last[1], last[2]), (3, 1.0, 1000.0));
        assert!(lines[lines.len() - 2].ends_with("Total count    =         1000]"));
    }
}

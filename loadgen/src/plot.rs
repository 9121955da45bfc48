//! Two charts: latency by percentile, and deliveries over time.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use plotters::prelude::*;

use crate::measure::BUCKET;

const SIZE: (u32, u32) = (900, 1000);
const FONT: &str = "sans-serif";
/// Points for each halving of the distance to 100 %.
const TICKS_PER_HALF_DISTANCE: u32 = 20;

/// What is drawn.
pub(crate) struct Plot<'a> {
    pub(crate) title: String,
    pub(crate) delivery: &'a Histogram<u64>,
    pub(crate) last_recipient: &'a Histogram<u64>,
    /// Deliveries in each [`BUCKET`], from the start of the warm-up.
    pub(crate) series: &'a [u64],
    /// Where in the series measuring begins.
    pub(crate) warmup: Duration,
}

impl Plot<'_> {
    /// Draws it as SVG.
    pub(crate) fn draw(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let root = SVGBackend::new(path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let root = root.titled(&self.title, (FONT, 20))?;
        let (upper, lower) = root.split_vertically(SIZE.1 / 2);
        draw_latency(&upper, self.delivery, self.last_recipient)?;
        draw_series(&lower, self.series, self.warmup)?;
        root.present()?;
        Ok(())
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// The x axis is 1/(1-p), so that each further nine has the same width.
fn draw_latency(
    area: &Area<'_>,
    delivery: &Histogram<u64>,
    last_recipient: &Histogram<u64>,
) -> Result<(), Box<dyn Error>> {
    let curves = [("delivery", delivery, BLUE), ("last recipient", last_recipient, RED)]
        .map(|(name, histogram, color)| (name, percentiles(histogram), color));
    let points = || curves.iter().flat_map(|(_, points, _)| points);
    let right = points().map(|(x, _)| *x).fold(10.0, f64::max);
    let top = points().map(|(_, y)| *y).fold(0.001, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption("Latency by percentile, since a message should have been sent", (FONT, 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d((1.0..right).log_scale(), 0.0..top * 1.05)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("percentile")
        .y_desc("milliseconds")
        .x_label_formatter(&|x| percentile_label(*x))
        .draw()?;
    for (name, points, color) in &curves {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
            .label(*name)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(())
}

/// 10 is `90%`, 1000 is `99.9%`.
fn percentile_label(x: f64) -> String {
    let percent = 100.0 * (1.0 - 1.0 / x);
    let text = format!("{percent:.6}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Points of 1/(1-p) and milliseconds, as far as there are samples to tell percentiles apart.
fn percentiles(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let furthest = histogram.len().max(1) as f64;
    histogram
        .iter_quantiles(TICKS_PER_HALF_DISTANCE)
        .map(|step| {
            let x = 1.0 / (1.0 - step.quantile_iterated_to()).max(1.0 / furthest);
            (x, step.value_iterated_to() as f64 / 1e6)
        })
        .collect()
}

fn draw_series(area: &Area<'_>, series: &[u64], warmup: Duration) -> Result<(), Box<dyn Error>> {
    let width = BUCKET.as_secs_f64();
    let rates: Vec<(f64, f64)> = (0_u32..)
        .zip(series)
        .map(|(bucket, count)| ((f64::from(bucket) + 0.5) * width, *count as f64 / width))
        .collect();
    let end = (series.len() as f64 * width).max(width);
    let top = rates.iter().map(|(_, rate)| *rate).fold(1.0, f64::max) * 1.05;
    let mut chart = ChartBuilder::on(area)
        .caption("Deliveries over time; measured from the grey line on", (FONT, 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("seconds")
        .y_desc("deliveries/s")
        .y_label_formatter(&|rate| rate_label(*rate))
        .draw()?;
    let start = warmup.as_secs_f64();
    chart.draw_series(LineSeries::new([(start, 0.0), (start, top)], BLACK.mix(0.4)))?;
    chart.draw_series(LineSeries::new(rates, BLUE.stroke_width(2)))?;
    Ok(())
}

fn rate_label(rate: f64) -> String {
    if rate >= 1e6 {
        format!("{:.1} M", rate / 1e6)
    } else if rate >= 1e4 {
        format!("{:.0} k", rate / 1e3)
    } else {
        format!("{rate:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_people_write() {
        assert_eq!(percentile_label(1.0), "0%");
        assert_eq!(percentile_label(10.0), "90%");
        assert_eq!(percentile_label(10_000.0), "99.99%");
        assert_eq!([5.0, 45_000.0, 8_100_000.0].map(rate_label), ["5", "45 k", "8.1 M"]);
    }
}

//! Two charts: the server's resident memory, and its open descriptors, over time.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::Report;

const SIZE: (u32, u32) = (900, 700);
const FONT: &str = "sans-serif";
const MEGABYTE: f64 = 1e6;

/// Draws it as SVG. The times that are compared have a grey background, and their means are lines.
pub(super) fn draw(report: &Report, path: &Path) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(&report.title(), (FONT, 20))?;
    let (upper, lower) = root.split_vertically(SIZE.1 / 2);
    let minutes = |seconds: f64| seconds / 60.0;
    let usages = || {
        let samples = report.samples.iter();
        samples.filter_map(|sample| Some((minutes(sample.seconds), sample.usage?)))
    };
    let memory = usages().map(|(at, usage)| (at, usage.resident_bytes as f64 / MEGABYTE)).collect();
    let descriptors = usages().map(|(at, usage)| (at, usage.descriptors as f64)).collect();
    let times = report
        .compared()
        .map(|(from, to, mean)| (minutes(from), minutes(to), mean.map_or(0.0, |mean| mean / MEGABYTE)));
    draw_chart(
        &upper,
        "Resident memory, and its means in the two times that are compared",
        "MB",
        memory,
        &times,
    )?;
    draw_chart(&lower, "Open descriptors", "descriptors", descriptors, &[])?;
    root.present()?;
    Ok(())
}

fn draw_chart(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    caption: &str,
    unit: &str,
    points: Vec<(f64, f64)>,
    times: &[(f64, f64, f64)],
) -> Result<(), Box<dyn Error>> {
    let right = points.last().map_or(1.0, |(at, _)| *at).max(0.01);
    let top = points.iter().map(|(_, value)| *value).fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    let grey = BLACK.mix(0.08).filled();
    chart.draw_series(times.iter().map(|&(from, to, _)| Rectangle::new([(from, 0.0), (to, top)], grey)))?;
    chart.configure_mesh().light_line_style(WHITE).x_desc("minutes").y_desc(unit).draw()?;
    chart.draw_series(LineSeries::new(points, BLUE.stroke_width(1)))?;
    for &(from, to, mean) in times {
        chart.draw_series(LineSeries::new([(from, mean), (to, mean)], RED.stroke_width(2)))?;
    }
    Ok(())
}

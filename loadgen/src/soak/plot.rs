//! Two charts: the server's resident memory, and its open descriptors, over time.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::Report;
use super::watch::{Sample, Usage};

const SIZE: (u32, u32) = (900, 700);
const FONT: &str = "sans-serif";
const LIGHT_BLUE: RGBColor = RGBColor(0xb0, 0xc8, 0xf0);
const MEGABYTE: f64 = 1e6;

/// One line of a chart.
struct Line {
    color: RGBColor,
    width: u32,
    points: Vec<(f64, f64)>,
}

/// Draws it as SVG. The times that are compared have a grey background.
pub(super) fn draw(report: &Report, path: &Path) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(&report.title(), (FONT, 20))?;
    let (upper, lower) = root.split_vertically(SIZE.1 / 2);
    let minutes = |seconds: f64| seconds / 60.0;
    let line = |color, width, of: fn(&Sample, Usage) -> f64| {
        let point = |sample: &Sample| Some((minutes(sample.seconds), of(sample, sample.usage?)));
        Line { color, width, points: report.samples.iter().filter_map(point).collect() }
    };
    let mut memory = vec![
        line(LIGHT_BLUE, 1, |sample, _| sample.resident_mean_bytes / MEGABYTE),
        line(BLUE, 1, |_, usage| usage.resident_bytes as f64 / MEGABYTE),
    ];
    let compared = report.compared().map(|(from, to, mean)| (minutes(from), minutes(to), mean));
    for (from, to, mean) in compared {
        let points = mean.map_or(Vec::new(), |mean| vec![(from, mean / MEGABYTE), (to, mean / MEGABYTE)]);
        memory.push(Line { color: RED, width: 2, points });
    }
    let descriptors = [line(BLUE, 1, |_, usage| usage.descriptors as f64)];
    let times = compared.map(|(from, to, _)| (from, to));
    draw_chart(
        &upper,
        "Resident memory: of each second the least (blue) and the mean (light); what is held in the two times (red)",
        "MB",
        &memory,
        &times,
    )?;
    draw_chart(&lower, "Open descriptors", "descriptors", &descriptors, &times)?;
    root.present()?;
    Ok(())
}

fn draw_chart(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    caption: &str,
    unit: &str,
    lines: &[Line],
    times: &[(f64, f64)],
) -> Result<(), Box<dyn Error>> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let right = points().map(|(at, _)| *at).fold(0.01, f64::max);
    let top = points().map(|(_, value)| *value).fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, 13))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .x_desc("minutes")
        .y_desc(unit)
        .x_label_formatter(&|minutes| format!("{minutes}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    let grey = BLACK.mix(0.08).filled();
    chart.draw_series(times.iter().map(|&(from, to)| Rectangle::new([(from, 0.0), (to, top)], grey)))?;
    for Line { color, width, points } in lines {
        chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(*width)))?;
    }
    Ok(())
}

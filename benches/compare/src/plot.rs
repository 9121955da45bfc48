//! Charts: a panel for each scenario, in it a row for each server, with a dot and a line from one value to another. The
//! scale is logarithmic, since the servers are far apart.

use std::error::Error;
use std::path::Path;

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, TextStyle, WHITE};

use crate::figures::Figure;
use crate::results::{Measured, Results};
use crate::scenario::{SCENARIOS, Scenario, Traffic, Transport};
use crate::server::Server;
use crate::statistics::{median, spread};
use crate::table::verdict;

/// A chart's file, beside the document, and what it shows.
pub(crate) const CHARTS: [(&str, &str); 3] = [
    (
        "compare-cost.svg",
        "What a delivery, a client that comes, and one that is there cost the server: medians, least to most of all rounds",
    ),
    ("compare-speed.svg", "Deliveries a second with a closed window: medians, least to most of all rounds"),
    (
        "compare-latency.svg",
        "Latency of a delivery at a fixed rate: p99, from p50 to p99.9, medians of all rounds",
    ),
];

/// A scenario's servers.
struct Panel {
    title: String,
    figure: Figure,
    rows: Vec<Row>,
}

impl Panel {
    /// Of its rows, in pixels.
    fn height(&self) -> i32 {
        // A row for each server.
        ROW_HEIGHT * i32::try_from(self.rows.len()).unwrap_or(i32::MAX / ROW_HEIGHT)
    }
}

struct Row {
    server: Server,
    /// From, dot, to; or why there is none.
    values: Result<[f64; 3], &'static str>,
}

/// Draws all that there is something for; says in which files.
pub(crate) fn draw(
    results: &Results,
    directory: &Path,
) -> Result<Vec<(&'static str, &'static str)>, Box<dyn Error>> {
    let [cost, speed, latency] = CHARTS;
    let charts = [
        (cost, panels(results, |scenario| scenario.compared().first().copied(), of_rounds)),
        (speed, panels(results, |scenario| closed(scenario).then_some(Figure::Deliveries), of_rounds)),
        (latency, panels(results, |scenario| paced(scenario).then_some(Figure::P99), of_percentiles)),
    ];
    let mut drawn = Vec::new();
    for ((file, title), panels) in charts {
        if !panels.is_empty() {
            draw_chart(&directory.join(file), title, &panels)?;
            drawn.push((file, title));
        }
    }
    Ok(drawn)
}

fn closed(scenario: &Scenario) -> bool {
    matches!(scenario.traffic, Traffic::Window(_))
}

fn paced(scenario: &Scenario) -> bool {
    // The loop of `sendto` has no latency to compare with.
    matches!((scenario.transport, scenario.traffic), (Transport::Stream, Traffic::Rate(_)))
}

fn panels(
    results: &Results,
    figure: impl Fn(&Scenario) -> Option<Figure>,
    values: impl Fn(&Measured, Server, Figure) -> Option<[f64; 3]>,
) -> Vec<Panel> {
    let mut panels = Vec::new();
    for scenario in SCENARIOS {
        let (Some(measured), Some(figure)) = (results.get(scenario.name), figure(scenario)) else { continue };
        let rows = measured.servers.keys().map(|server| Row {
            server: *server,
            values: values(measured, *server, figure).ok_or_else(|| verdict(measured, *server)),
        });
        panels.push(Panel {
            title: format!("{}: {}", scenario.title, figure.title()),
            figure,
            rows: rows.collect(),
        });
    }
    panels
}

fn of_rounds(measured: &Measured, server: Server, figure: Figure) -> Option<[f64; 3]> {
    let values = measured.values(server, figure);
    let (least, most) = spread(&values)?;
    Some([least, median(&values)?, most])
}

fn of_percentiles(measured: &Measured, server: Server, _: Figure) -> Option<[f64; 3]> {
    let of = |figure| median(&measured.values(server, figure));
    Some([of(Figure::P50)?, of(Figure::P99)?, of(Figure::P999)?])
}

const FONT: &str = "sans-serif";
const GREY: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const OURS: RGBColor = RGBColor(0x1f, 0x5f, 0xbf);
const FLOOR: RGBColor = RGBColor(0x2e, 0x8b, 0x57);
const OTHERS: RGBColor = RGBColor(0x99, 0x55, 0x33);

/// Panels beside each other.
const COLUMNS: usize = 2;
const PANEL_WIDTH: i32 = 560;
const ROW_HEIGHT: i32 = 20;
const CAPTION_HEIGHT: i32 = 34;
/// Above and below a panel's rows.
const HEAD_HEIGHT: i32 = 30;
const FOOT_HEIGHT: i32 = 34;
/// For the servers' names on the left and the dots' values on the right.
const NAMES_WIDTH: i32 = 160;
const VALUES_WIDTH: i32 = 90;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw_chart(path: &Path, title: &str, panels: &[Panel]) -> Result<(), Box<dyn Error>> {
    let height = |panel: &Panel| HEAD_HEIGHT + panel.height() + FOOT_HEIGHT;
    let lines = panels.chunks(COLUMNS).map(|line| line.iter().map(height).max().unwrap_or(0));
    let total = CAPTION_HEIGHT + lines.clone().sum::<i32>();
    let columns = if panels.len() < COLUMNS { 1 } else { 2 };
    let size = (u32::try_from(PANEL_WIDTH * columns)?, u32::try_from(total)?);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(title, (10, CAPTION_HEIGHT / 2), style(16, &INK, HPos::Left)))?;
    let mut top = CAPTION_HEIGHT;
    for (line, height) in panels.chunks(COLUMNS).zip(lines) {
        for (panel, left) in line.iter().zip((0..).step_by(PANEL_WIDTH as usize)) {
            draw_panel(&root, panel, (left, top))?;
        }
        top += height;
    }
    root.present()?;
    Ok(())
}

fn style(size: i32, color: &RGBColor, anchor: HPos) -> TextStyle<'_> {
    TextStyle::from((FONT, size).into_font()).color(color).pos(Pos::new(anchor, VPos::Center))
}

fn draw_panel(area: &Area<'_>, panel: &Panel, (left, top): (i32, i32)) -> Result<(), Box<dyn Error>> {
    area.draw(&Text::new(
        panel.title.as_str(),
        (left + 10, top + HEAD_HEIGHT / 2),
        style(14, &INK, HPos::Left),
    ))?;
    let scale = Scale::of(panel);
    let (from, to) = (left + NAMES_WIDTH, left + PANEL_WIDTH - VALUES_WIDTH);
    #[expect(clippy::cast_possible_truncation, reason = "pixels")]
    let x = |value: f64| from + (scale.share(value) * f64::from(to - from)).round() as i32;
    let bottom = top + HEAD_HEIGHT + panel.height();
    for mark in scale.marks() {
        area.draw(&PathElement::new([(x(mark), top + HEAD_HEIGHT), (x(mark), bottom)], GREY))?;
        area.draw(&Text::new(
            panel.figure.words(mark),
            (x(mark), bottom + 10),
            style(11, &INK, HPos::Center),
        ))?;
    }
    for (row, y) in panel.rows.iter().zip((top + HEAD_HEIGHT + ROW_HEIGHT / 2..).step_by(ROW_HEIGHT as usize))
    {
        let color = match row.server {
            Server::Parlance | Server::ParlanceKept => OURS,
            Server::Floor | Server::Sendto => FLOOR,
            Server::Redis | Server::Nats | Server::Inspircd | Server::Mosquitto | Server::Tokio => OTHERS,
        };
        let name = row.server.title().replace('`', "");
        area.draw(&Text::new(name, (from - 10, y), style(12, &color, HPos::Right)))?;
        match row.values {
            Ok([least, middle, most]) => {
                area.draw(&PathElement::new([(x(least), y), (x(most), y)], color.stroke_width(2)))?;
                area.draw(&Circle::new((x(middle), y), 4, color.filled()))?;
                area.draw(&Text::new(
                    panel.figure.words(middle),
                    (to + 10, y),
                    style(12, &color, HPos::Left),
                ))?;
            }
            Err(verdict) => {
                area.draw(&Text::new(verdict, (to + 10, y), style(12, &color, HPos::Left)))?;
            }
        }
    }
    Ok(())
}

/// A logarithmic scale.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    /// What the rows of a panel fit on, and a little more.
    fn of(panel: &Panel) -> Self {
        let values =
            || panel.rows.iter().filter_map(|row| row.values.ok()).flatten().filter(|value| *value > 0.0);
        let least = values().reduce(f64::min).unwrap_or(1.0);
        let most = values().reduce(f64::max).unwrap_or(1.0);
        Self { least: least / 1.2, most: most * 1.2 }
    }

    /// 0 at the left end, 1 at the right one.
    fn share(&self, value: f64) -> f64 {
        ((value.max(self.least) / self.least).ln() / (self.most / self.least).ln()).clamp(0.0, 1.0)
    }

    /// Round numbers, as few as tell the scale: powers of ten, or those with 2 and 5 of each, or all digits of each.
    fn marks(&self) -> Vec<f64> {
        const STEPS: [&[f64]; 3] = [&[1.0], &[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]];
        let of = |steps: &[f64]| -> Vec<f64> {
            let marks = (-6..13).flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
            marks.filter(|mark| (self.least..self.most).contains(mark)).collect()
        };
        let [few, some, many] = STEPS.map(of);
        if few.len() > 2 {
            few
        } else if some.len() > 2 {
            some
        } else {
            many
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::measured;

    #[test]
    fn a_scale_has_its_ends_and_round_marks() {
        let scale = Scale { least: 8.0, most: 120.0 };
        let near = |value, share: f64| (scale.share(value) - share).abs() < 1e-9;
        assert!(near(0.0, 0.0) && near(8.0, 0.0) && near(120.0, 1.0) && near((8.0_f64 * 120.0).sqrt(), 0.5));
        assert_eq!(scale.marks(), [10.0, 20.0, 50.0, 100.0]);
        assert_eq!(Scale { least: 2.5, most: 4.5 }.marks(), [3.0, 4.0]);
        assert_eq!(Scale { least: 8.0, most: 12_000.0 }.marks(), [10.0, 100.0, 1000.0, 10_000.0]);
    }

    #[test]
    fn charts_are_drawn_of_what_there_is() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let mut results = Results::default();
        assert_eq!(draw(&results, directory.path()).expect("nothing is drawn"), []);
        results.insert("size-64", measured());
        let drawn = draw(&results, directory.path()).expect("it can be drawn");
        assert_eq!(drawn, [CHARTS[0], CHARTS[1]]);
        let chart = std::fs::read_to_string(directory.path().join(CHARTS[0].0)).expect("it is there");
        assert!(chart.contains("<svg") && chart.contains("Redis pub/sub") && chart.contains("46.0 ns"));
    }
}

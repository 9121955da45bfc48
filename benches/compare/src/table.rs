//! What was found, as tables for people.

use clap::ValueEnum;

use crate::figures::{Figure, Outcome, digits};
use crate::results::{Measured, Results, Started};
use crate::scenario::{SCENARIOS, Scenario};
use crate::server::Server;
use crate::statistics::{median, spread};

const NONE: &str = "–";
/// Fewer have no median worth the name.
const ROUNDS_MIN: usize = 3;
/// Of why something failed. All of it is in the results.
const REASON_CHARS_MAX: usize = 200;

/// The part of the document that is generated.
pub(crate) fn section(results: &Results, plots: &[(&str, &str)]) -> String {
    let mut parts = Vec::new();
    if known(results).any(|(_, measured)| measured.rounds.len() < ROUNDS_MIN) {
        parts.push("**A try, not a measurement**: some of it is of one round or two.".to_owned());
    }
    parts.push(overview(results));
    parts.extend(plots.iter().map(|(file, title)| format!("![{title}]({file})")));
    for (scenario, measured) in known(results) {
        parts.push(format!("### {}", scenario.title));
        parts.push(table(scenario, measured));
    }
    parts.push("### The commands".to_owned());
    parts.push(commands(results));
    parts.join("\n\n")
}

/// What there are results of, in the order of the scenarios' table.
fn known(results: &Results) -> impl Iterator<Item = (&'static Scenario, &Measured)> {
    SCENARIOS.iter().filter_map(|scenario| Some((scenario, results.get(scenario.name)?)))
}

/// How much Parlance takes of what each of the others takes, in what matters most in each scenario.
fn overview(results: &Results) -> String {
    let others = || Server::value_variants().iter().copied().filter(|server| *server != Server::Parlance);
    let mut lines = heads(["Parlance ÷ the other", "of"].into_iter().chain(others().map(Server::title)));
    for (scenario, measured) in known(results) {
        let Some(figure) = scenario.compared().first() else { continue };
        let ratios = others().map(|server| match measured.ratio(Server::Parlance, server, *figure) {
            Some(ratio) => digits(ratio),
            None if !measured.servers.contains_key(&server) => String::new(),
            None => verdict(measured, server).to_owned(),
        });
        let words = [scenario.title, figure.title()].map(str::to_owned);
        lines.push(row(words.into_iter().chain(ratios)));
    }
    lines.join("\n")
}

/// The command behind each figure.
pub(crate) fn commands(results: &Results) -> String {
    let mut generators = heads(["scenario", "generator", "on"]);
    for (scenario, Measured { machine, generator, .. }) in known(results) {
        let on = format!(
            "{}: {}, {} cores, Linux {}, commit {}",
            machine.day, machine.processor, machine.cores, machine.kernel, machine.commit
        );
        generators.push(row([scenario.name.to_owned(), format!("`{generator}`"), on]));
    }
    let mut servers = heads(["server", "version", "dialect", "command"]);
    for server in Server::value_variants() {
        let mut seen = Vec::new();
        for started in known(results).filter_map(|(_, measured)| measured.servers.get(server)) {
            if !seen.contains(&started) {
                seen.push(started);
            }
        }
        servers.extend(seen.into_iter().map(|Started { command, dialect, version }| {
            let version = version.as_deref().unwrap_or("of this commit");
            let dialect = if dialect.is_empty() { NONE } else { dialect };
            row([server.title(), version, dialect, &format!("`{command}`")])
        }));
    }
    format!(
        "From the root of the repository; `DIALECT`, `PORT` and `PID` are the server's, `DIR` is an empty directory.\n\n{}\n\n{}",
        generators.join("\n"),
        servers.join("\n")
    )
}

/// A line of a table.
fn row<T: AsRef<str>>(cells: impl IntoIterator<Item = T>) -> String {
    let cells: String = cells.into_iter().map(|cell| format!(" {} |", cell.as_ref())).collect();
    format!("|{cells}")
}

/// The first two lines of a table.
fn heads<T: AsRef<str>>(titles: impl IntoIterator<Item = T>) -> Vec<String> {
    let titles: Vec<T> = titles.into_iter().collect();
    let rule = format!("|{}", "---|".repeat(titles.len()));
    vec![row(titles), rule]
}

/// A scenario's table: a row for each server, also for those that failed.
pub(crate) fn table(scenario: &Scenario, measured: &Measured) -> String {
    let unit = Server::unit(scenario);
    let compared = scenario.compared();
    let mut titles = vec![String::new()];
    titles.extend(scenario.columns().iter().map(|figure| figure.title().to_owned()));
    if let Some(figure) = compared.first() {
        titles.push(format!("its {} ÷ {}’s", figure.title(), unit.title()));
    }
    titles.extend(compared.iter().map(|figure| format!("Parlance ÷ it, {}", figure.title())));
    titles.push("runs".to_owned());

    let mut lines = heads(titles);
    for server in measured.servers.keys().copied() {
        let mut cells = vec![server.title().to_owned()];
        cells.extend(scenario.columns().iter().map(|figure| cell(measured, server, *figure, compared)));
        let ratio = |of, to, figure| {
            let ratio = if of == to { None } else { measured.ratio(of, to, figure) };
            ratio.map_or(NONE.to_owned(), digits)
        };
        cells.extend(compared.first().map(|figure| ratio(server, unit, *figure)));
        cells.extend(compared.iter().map(|figure| ratio(Server::Parlance, server, *figure)));
        cells.push(runs(measured, server));
        lines.push(row(cells));
    }
    lines.join("\n")
}

/// A median, and what it is the middle of where it is what matters.
fn cell(measured: &Measured, server: Server, figure: Figure, compared: &[Figure]) -> String {
    let values = measured.values(server, figure);
    let (Some(middle), Some((least, most))) = (median(&values), spread(&values)) else {
        return NONE.to_owned();
    };
    if compared.contains(&figure) && values.len() > 1 {
        figure.words_with_spread(middle, least, most)
    } else {
        figure.words(middle)
    }
}

/// How many runs went well, and what was wrong with the first that did not.
fn runs(measured: &Measured, server: Server) -> String {
    let outcomes = || measured.rounds.iter().filter_map(|round| round.get(&server));
    let well = outcomes().filter(|outcome| matches!(outcome, Outcome::Measured(_))).count();
    let reason = outcomes().find_map(|outcome| match outcome {
        Outcome::Measured(_) => None,
        Outcome::Failed(reason) => Some(format!("**failed**: {reason}")),
        Outcome::Cannot(reason) => Some(format!("cannot: {reason}")),
    });
    let count = outcomes().count();
    match reason {
        None => count.to_string(),
        Some(reason) if well == 0 => plain(&reason),
        Some(reason) => format!("{well} of {count}, {}", plain(&reason)),
    }
}

/// Why there is no figure, in a word.
pub(crate) fn verdict(measured: &Measured, server: Server) -> &'static str {
    let mut outcomes = measured.rounds.iter().filter_map(|round| round.get(&server));
    match outcomes.next() {
        Some(Outcome::Cannot(_)) => "cannot",
        Some(Outcome::Failed(_)) => "failed",
        Some(Outcome::Measured(_)) | None => NONE,
    }
}

/// What fits a cell of a table, and does not end it.
fn plain(text: &str) -> String {
    let plain = text.replace('|', "/").split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    match plain.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::measured;

    fn scenario() -> &'static Scenario {
        Scenario::named("size-64").expect("it is in the table")
    }

    #[test]
    fn a_table_has_a_row_for_each_server_with_medians_and_ratios() {
        let table = table(scenario(), &measured());
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines,
            [
                "|  | deliveries/s | CPU a delivery | memory a client | all logged in | its CPU a delivery ÷ floor’s | \
                 Parlance ÷ it, CPU a delivery | Parlance ÷ it, deliveries/s | runs |",
                "|---|---|---|---|---|---|---|---|---|",
                "| floor | 1.00 M (1.00 to 1.00) | 10.0 ns (10.0 to 20.0) | – | – | – | 1.20 | 1.00 | 3 |",
                "| Parlance | 1.00 M (1.00 to 1.00) | 12.0 ns (11.0 to 26.0) | – | – | 1.20 | – | – | 3 |",
                "| Redis pub/sub | 1.00 M (1.00 to 1.00) | 46.0 ns (40.0 to 52.0) | – | – | 3.30 | 0.40 | 1.00 | \
                 2 of 3, **failed**: 3 deliveries lost |",
            ]
        );
    }

    #[test]
    fn who_fails_in_all_rounds_or_cannot_do_it_is_shown() {
        let mut measured = measured();
        for round in &mut measured.rounds {
            round.insert(Server::Redis, Outcome::Cannot("no | more than\n9 bytes".to_owned()));
            round.insert(Server::Floor, Outcome::Failed("1 delivery lost".to_owned()));
        }
        let table = table(scenario(), &measured);
        assert!(
            table.contains("| Redis pub/sub | – | – | – | – | – | – | – | cannot: no / more than 9 bytes |"),
            "{table}"
        );
        assert!(
            table.contains("| floor | – | – | – | – | – | – | – | **failed**: 1 delivery lost |"),
            "{table}"
        );
        assert_eq!(verdict(&measured, Server::Floor), "failed");
    }

    #[test]
    fn a_try_is_called_one() {
        let (mut results, mut measured) = (Results::default(), measured());
        measured.rounds.truncate(2);
        results.insert("size-64", measured);
        assert!(section(&results, &[]).starts_with("**A try, not a measurement**"));
    }

    #[test]
    fn the_section_has_the_command_of_every_figure() {
        let mut results = Results::default();
        results.insert("size-64", measured());
        let section = section(&results, &[("compare-cost.svg", "What it costs")]);
        assert!(section.contains("| size-64 | `loadgen --dialect DIALECT --clients 3` |"), "{section}");
        assert!(section.contains("| Redis pub/sub | of this commit | line | `serve line` |"), "{section}");
        assert!(section.contains("| CPU a delivery | 1.20 |  | 0.40 |"), "{section}");
        assert!(section.contains("![What it costs](compare-cost.svg)"), "{section}");
        assert!(!section.contains("A try"), "{section}");
    }
}

//! Progress on a terminal; nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::clock::{Clock, Moment};
use crate::load::Load;
use crate::plan::Plan;

/// Between two updates.
const INTERVAL: Duration = Duration::from_millis(100);

/// A bar on standard error, if that is a terminal: first the clients that have logged in, then the time.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    clients: u64,
    /// Warm-up and duration, in milliseconds.
    length: u64,
    publishing_since: Option<Moment>,
    next: Moment,
    delivered: u64,
}

impl Progress {
    pub(crate) fn new(plan: &Plan) -> Self {
        let clients = plan.clients as u64;
        let bar = ProgressBar::new(clients);
        let template = "{msg} [{bar:40}] {pos}/{len}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message("logging in");
        let length = u64::try_from((plan.warmup + plan.duration).as_millis()).unwrap_or(u64::MAX);
        Self {
            bar: (!bar.is_hidden()).then_some(bar),
            clients,
            length,
            publishing_since: None,
            next: Moment(0),
            delivered: 0,
        }
    }

    /// When it wants to be updated.
    pub(crate) fn next_update(&self) -> Moment {
        if self.bar.is_some() { self.next } else { Moment::NEVER }
    }

    pub(crate) fn update(&mut self, load: &Load) {
        let Some(bar) = &self.bar else { return };
        let clock: Clock = load.clock;
        let now = clock.now();
        if now < self.next {
            return;
        }
        self.next = now.after(INTERVAL);
        let ready = load.counts.ready as u64;
        if ready < self.clients && self.publishing_since.is_none() {
            bar.set_position(ready);
            return;
        }
        let since = *self.publishing_since.get_or_insert_with(|| {
            bar.set_length(self.length);
            now
        });
        let delivered = load.intake.tally.delivered;
        let rate = (delivered - self.delivered) as f64 / INTERVAL.as_secs_f64() / 1e6;
        self.delivered = delivered;
        bar.set_message(format!("{ready} clients, {rate:6.2} M deliveries/s, ms"));
        bar.set_position(u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX).min(self.length));
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

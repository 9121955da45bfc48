//! What happened, for people: written only while somebody wants to read it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// From now on it is written.
pub(crate) fn begin() {
    LINES.set(Some(Vec::new()));
}

/// What was written.
pub(crate) fn take() -> Vec<String> {
    LINES.take().unwrap_or_default()
}

pub(crate) fn is_on() -> bool {
    LINES.with_borrow(Option::is_some)
}

pub(crate) fn set_time(now: Duration) {
    NOW.set(now);
}

pub(crate) fn push(line: &str) {
    let line = format!("{:>14.6} {line}", NOW.get().as_secs_f64());
    LINES.with_borrow_mut(|lines| lines.iter_mut().for_each(|lines| lines.push(line.clone())));
}

/// Writes a line, as `format!` does.
#[macro_export]
macro_rules! trace {
    ($($arguments:tt)*) => {
        if $crate::trace::is_on() {
            $crate::trace::push(&format!($($arguments)*));
        }
    };
}

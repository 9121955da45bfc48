//! How many connections the limit on open files leaves room for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The program's own: standard streams, epoll, timer, signals, and what is read of the server's process.
const OTHER_FILES_MAX: u64 = 32;

/// Raises the soft limit to the hard one. Says why not, when so many connections do not fit.
pub(crate) fn make_room(connections: usize) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    // A limit that cannot be raised is found too low just below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let Some(files) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    let room = files.saturating_sub(OTHER_FILES_MAX);
    if connections as u64 > room {
        return Err(format!(
            "--clients {connections} does not fit: the limit of {files} open files leaves room for {room} connections; \
             raise the hard limit (ulimit -Hn) or connect fewer"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers() {
        assert_eq!(make_room(10), Ok(()));
        let limit = getrlimit(Resource::Nofile).current.expect("tests run within a limit");
        let problem = make_room(limit as usize).expect_err("no room for the program's own");
        assert!(problem.contains(&limit.to_string()), "{problem}");
    }
}

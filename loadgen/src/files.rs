//! How many connections the limit on open files leaves room for.

// Not rustix's `getrlimit`, which panics where a sandbox refuses the call.
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The program's own: standard streams, epoll, timer, signals, and what is read of the server's process.
const OTHER_FILES_MAX: u64 = 32;

/// Raises the soft limit to the hard one. Returns the reason if the connections do not fit. Where the system
/// does not tell the limit, a connection that exceeds it fails with its own error.
pub(crate) fn make_room(connections: usize) -> Result<(), String> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let files = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard);
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
        let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        let problem = make_room(limit as usize).expect_err("no room for the program's own");
        assert!(problem.contains(&limit.to_string()), "{problem}");
    }

    /// The filter of a sandbox is of the thread that sets it.
    #[test]
    fn a_limit_that_a_sandbox_hides_refuses_no_connections() {
        let sandboxed = std::thread::spawn(|| {
            let refused = seccompiler::SeccompAction::Errno(nix::libc::EPERM as u32);
            let filter = seccompiler::SeccompFilter::new(
                [(nix::libc::SYS_prlimit64, Vec::new()), (nix::libc::SYS_getrlimit, Vec::new())].into(),
                seccompiler::SeccompAction::Allow,
                refused,
                std::env::consts::ARCH.try_into().expect("a machine with filters"),
            );
            let program: seccompiler::BpfProgram =
                filter.expect("a filter").try_into().expect("a small filter");
            seccompiler::apply_filter(&program).expect("the kernel has filters");
            assert!(getrlimit(Resource::RLIMIT_NOFILE).is_err());
            make_room(usize::MAX)
        });
        assert_eq!(sandboxed.join().expect("no panic"), Ok(()));
    }
}

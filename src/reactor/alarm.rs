//! Waking a shard from another thread: only when it sleeps.
//!
//! Whoever has something for a shard puts it where the shard looks, and then rings. A shard that is about to sleep says so,
//! and looks once more. Both fences make sure that one of them sees the other: either the shard finds what is there, or
//! whoever put it there finds the shard asleep.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use mio::{Registry, Token};

/// One shard's. It is made before the shard has descriptors of its own, so that it has the same number in all tables.
#[derive(Debug)]
pub(super) struct Alarm {
    sleeps: AtomicBool,
    bell: bell::Bell,
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { sleeps: AtomicBool::new(false), bell: bell::Bell::new()? })
    }

    /// Has a poll hear it.
    pub(super) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        self.bell.register(registry, token)
    }

    /// The shard is about to sleep: what it looks at after this, it does not miss.
    pub(super) fn will_sleep(&self) {
        self.sleeps.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The shard is awake.
    pub(super) fn is_awake(&self) {
        self.sleeps.store(false, Ordering::Relaxed);
    }

    /// Wakes the shard if it sleeps. Call it behind whatever it is to find.
    pub(super) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.sleeps.load(Ordering::Relaxed)
            && self.sleeps.swap(false, Ordering::Relaxed)
            && let Err(error) = self.bell.ring()
        {
            tracing::error!(%error, "cannot wake a shard");
        }
    }

    /// The descriptor that rings.
    #[cfg(target_os = "linux")]
    pub(super) fn descriptor(&self) -> std::os::fd::RawFd {
        self.bell.descriptor()
    }
}

#[cfg(target_os = "linux")]
mod bell {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd, RawFd};

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::io::Errno;

    #[derive(Debug)]
    pub(super) struct Bell(OwnedFd);

    impl Bell {
        pub(super) fn new() -> io::Result<Self> {
            let refused = |error: Errno| {
                let error = io::Error::from(error);
                io::Error::new(error.kind(), format!("eventfd, which wakes threads, is refused: {error}"))
            };
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Self).map_err(refused)
        }

        pub(super) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
            registry.register(&mut SourceFd(&self.0.as_raw_fd()), token, Interest::READABLE)
        }

        /// Each addition is an edge of its own; nobody reads the sum until it is full.
        pub(super) fn ring(&self) -> io::Result<()> {
            loop {
                match rustix::io::write(&self.0, &1_u64.to_ne_bytes()) {
                    Err(Errno::AGAIN) => {
                        let _ = rustix::io::read(&self.0, &mut [0; 8]);
                    }
                    Err(Errno::INTR) => {}
                    result => return result.map(drop).map_err(io::Error::from),
                }
            }
        }

        pub(super) fn descriptor(&self) -> RawFd {
            self.0.as_raw_fd()
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod bell {
    use std::io;
    use std::sync::OnceLock;

    use mio::{Registry, Token, Waker};

    #[derive(Debug)]
    pub(super) struct Bell(OnceLock<Waker>);

    impl Bell {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self(OnceLock::new()))
        }

        pub(super) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
            let _ = self.0.set(Waker::new(registry, token)?);
            Ok(())
        }

        pub(super) fn ring(&self) -> io::Result<()> {
            // Who does not listen yet does not sleep.
            self.0.get().map_or(Ok(()), Waker::wake)
        }
    }
}

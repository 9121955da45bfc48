//! What a store asks of a disk, so that a test can be one.
//!
//! Files are read and written at offsets. What was written may be lost with the power until the file is synced; that a file
//! has its name, until its directory is.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::named;
pub use super::named::FileId;

/// Length and modification time of a file, which differ after a write of another program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Bytes of the file.
    pub bytes: u64,
    /// Seconds and nanoseconds of the last write.
    pub modified: (i64, i64),
}

impl Stamp {
    /// The stamp in some metadata.
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { bytes: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

/// A file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Bytes that it has.
    fn length(&self) -> io::Result<u64>;

    /// Reads what there is at an offset, up to the length of the buffer; 0 means that the file ends there.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of it. When that fails, some of it may be written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts off what is behind so many bytes.
    fn cut(&self, length: u64) -> io::Result<()>;

    /// What was written outlives the power, and how long the file has become by it.
    fn sync_data(&self) -> io::Result<()>;

    /// All that was done to it does.
    fn sync_all(&self) -> io::Result<()>;

    /// The length, and the time of the last write.
    fn stamp(&self) -> io::Result<Stamp>;

    /// Which file it is.
    fn id(&self) -> io::Result<FileId>;

    /// Locks the file exclusively until this handle closes. Returns false if another handle holds the lock.
    fn lock(&self) -> io::Result<bool>;
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// As it is. It must be there.
    Existing,
    /// As it is; an empty one, for its owner alone, if it is not there.
    MadeIfMissing,
    /// Emptied, or made.
    Emptied,
}

/// Names of files, and the files.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a file to be read and written.
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, which another file may have had.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file, if it is there.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Which file has a name now.
    fn id_at(&self, path: &Path) -> io::Result<FileId>;

    /// The name of the file itself, where a name is a link to it.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf>;

    /// The names in the directory of a file outlive the power.
    fn sync_directory_of(&self, path: &Path) -> io::Result<()>;
}

/// The operating system's.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemDisk;

impl DiskFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }

    fn stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp::of(&self.metadata()?))
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(FileId::of(&self.metadata()?))
    }

    fn lock(&self) -> io::Result<bool> {
        match self.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(cause)) => Err(cause),
        }
    }
}

impl Disk for SystemDisk {
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = owned_file();
        match opening {
            Opening::Existing => {}
            Opening::MadeIfMissing => _ = options.create(true),
            Opening::Emptied => _ = options.create(true).truncate(true),
        }
        Ok(Arc::new(open_regular(&mut options, path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        FileId::at(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        named::resolve(path)
    }

    fn sync_directory_of(&self, path: &Path) -> io::Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Opens a file that is to be a regular one. The open of a FIFO waits for another program, as each read of it
/// does, and a device keeps nothing.
pub(super) fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    ensure_regular(path)?;
    let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    // The name may have changed since.
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// Refuses a name of a FIFO, a socket, a device or a directory. There may be no file.
pub(super) fn ensure_regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(not_regular()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn not_regular() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "a store is a regular file, and this is a FIFO, a socket, a device or a directory; \
         move it away, or name another store",
    )
}

/// For files that are their owner's alone.
pub(super) fn owned_file() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).mode(0o600);
    options
}

//! The names of a store's files, while it is open.
//!
//! An open file stays writable when its name is removed or given to another file (a cleaner of temporary
//! files, a restore without a stop), and data written to it then is gone with the process. So a store
//! looks, with each group of ops, whether its files still have their names; while they have not, nothing is
//! said to be kept. A file that has its name again is as good as before. A store whose directory was renamed
//! is not where the next start looks for it: it counts as gone.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::StoreError;

/// Which file it is, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The file in it.
    pub inode: u64,
}

impl FileId {
    /// The file that some metadata is of.
    pub(crate) fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// The file that has a name, behind symbolic links.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::of(&metadata))
    }
}

/// A file that is to keep its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Named {
    pub(super) path: PathBuf,
    pub(super) id: FileId,
}

impl Named {
    /// The file that has a name now.
    pub(super) fn now(path: PathBuf) -> Result<Self, StoreError> {
        match FileId::at(&path) {
            Ok(id) => Ok(Self { path, id }),
            Err(cause) => Err(StoreError::Io { path, cause }),
        }
    }

    /// Whether it still has it.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        check(&self.path, self.id, FileId::at(&self.path))
    }
}

/// Whether the file that was found under a name is the one that should be there.
pub(super) fn check(path: &Path, wanted: FileId, found: io::Result<FileId>) -> Result<(), StoreError> {
    let is_replaced = match found {
        Ok(found) if found == wanted => return Ok(()),
        Ok(_) => true,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => false,
        Err(cause) => return Err(StoreError::Io { path: path.into(), cause }),
    };
    Err(StoreError::Moved { path: path.into(), is_replaced })
}

/// Makes a directory for its owner alone, where it is missing.
pub(super) fn make_directory(path: &Path) -> Result<(), StoreError> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(StoreError::Io { path: path.into(), cause: io::ErrorKind::NotADirectory.into() })
        }
        made => made.map_err(StoreError::io(path)),
    }
}

/// The name of the file itself, where a name is a symbolic link to it; also of one that is not there yet.
///
/// # Errors
///
/// If a link cannot be read, or links form a loop.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    /// As the kernel has it.
    const LINKS_MAX: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = fs::read_link(&path)?;
                path = path.parent().unwrap_or(Path::new("")).join(target);
            }
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_name_or_that_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, "one").expect("written");
        let named = Named::now(path.clone()).expect("it is there");
        named.check().expect("it has its name");
        let away = directory.path().join("away");
        fs::rename(&path, &away).expect("renamed");
        assert!(named.check().expect_err("gone").to_string().contains("is gone"));
        fs::write(&path, "two").expect("written");
        assert!(named.check().expect_err("another").to_string().contains("another file"));
        fs::rename(&away, &path).expect("renamed");
        named.check().expect("it has its name again");
    }

    #[test]
    fn links_are_followed_to_the_file_also_where_there_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        std::os::unix::fs::symlink("two", at("one")).expect("a link");
        std::os::unix::fs::symlink(at("three"), at("two")).expect("a link");
        assert_eq!(resolve(&at("one")).expect("resolved"), at("three"));
        assert_eq!(resolve(&at("three")).expect("resolved"), at("three"));
        std::os::unix::fs::symlink("loop", at("loop")).expect("a link");
        assert!(resolve(&at("loop")).is_err());
    }
}

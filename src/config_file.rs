//! `parlance config --write`: the configuration, written to a file that is replaced as a whole.

use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::Builder;

use crate::output::of_the_system;

/// Why the file was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigFileError {
    #[error(
        "`{}` exists and is not the configuration file; pass it with --config too to keep its settings, \
         or move it away",
        .0.display()
    )]
    NotRead(PathBuf),
    #[error("cannot write `{}`: it is not a regular file; name a file", .0.display())]
    NotRegular(PathBuf),
    #[error("cannot write `{}`: {cause}", path.display())]
    Unwritable { path: PathBuf, cause: io::Error },
}

/// What was done with the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The file already has this content.
    Same,
    /// There was no file, or an empty one.
    New,
    /// The old content of `path` is in `kept_as` now. Both have their symbolic links resolved.
    Replaced { path: PathBuf, kept_as: PathBuf },
}

/// Mode of a new file: there are no secrets in it.
const MODE: u32 = 0o644;

/// Refuses a device, a FIFO, a socket or a directory. The rename would put a file in its place, and a read of a
/// FIFO waits for a writer.
pub(crate) fn ensure_regular(to: &Path) -> Result<(), ConfigFileError> {
    match fs::metadata(to) {
        Ok(metadata) if !metadata.is_file() => Err(ConfigFileError::NotRegular(to.into())),
        // The write reports an error better.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Writes a configuration to a file, unless another one is there than `read`. A symbolic link stays one; mode
/// and owner of the file stay.
pub(crate) fn write(toml: &str, to: &Path, read: &Path) -> Result<Written, ConfigFileError> {
    let unwritable = |cause| ConfigFileError::Unwritable { path: to.into(), cause };
    ensure_regular(to)?;
    match fs::canonicalize(to) {
        Ok(target) => {
            if fs::canonicalize(read).ok().as_ref() != Some(&target) {
                return Err(ConfigFileError::NotRead(to.into()));
            }
            replace(toml, &target).map_err(unwritable)
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            put(toml, to, None).map_err(unwritable)?;
            Ok(Written::New)
        }
        Err(cause) => Err(unwritable(cause)),
    }
}

fn replace(toml: &str, path: &Path) -> io::Result<Written> {
    let before = fs::read(path)?;
    if before == toml.as_bytes() {
        return Ok(Written::Same);
    }
    let metadata = fs::metadata(path)?;
    if before.trim_ascii().is_empty() {
        // An earlier file that was kept is worth more.
        put(toml, path, Some(&metadata))?;
        return Ok(Written::New);
    }
    let mut kept_as = path.as_os_str().to_owned();
    kept_as.push(".bak");
    let kept_as = PathBuf::from(kept_as);
    put_bytes(&before, &kept_as, Some(&metadata))?;
    put(toml, path, Some(&metadata))?;
    Ok(Written::Replaced { path: path.into(), kept_as })
}

fn put(toml: &str, path: &Path, like: Option<&Metadata>) -> io::Result<()> {
    put_bytes(toml.as_bytes(), path, like)
}

/// Writes a file beside a path, and gives it that name once it is on disk. Without `like`, nothing may have
/// the name.
fn put_bytes(bytes: &[u8], path: &Path, like: Option<&Metadata>) -> io::Result<()> {
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let mode = like.map_or(MODE, |like| like.mode() & 0o7777);
    let mut builder = Builder::new();
    let created = builder.permissions(fs::Permissions::from_mode(mode)).tempfile_in(directory);
    let mut file = created.map_err(|error| of_the_system(&error))?;
    file.write_all(bytes).map_err(|error| of_the_system(&error))?;
    if let Some(like) = like {
        // Only root may give a file away; for other users the new file is their own.
        let _ = fchown(file.as_file(), Some(like.uid()), Some(like.gid()));
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    }
    file.as_file().sync_all()?;
    match like {
        Some(_) => file.persist(path)?,
        None => file.persist_noclobber(path)?,
    };
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_keeps_its_mode_and_its_link() {
        let directory = tempfile::tempdir().expect("a directory");
        let [real, link] = ["real.toml", "parlance.toml"].map(|name| directory.path().join(name));
        fs::write(&real, "# mine\nline = 4001\n").expect("written");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("set");
        std::os::unix::fs::symlink("real.toml", &link).expect("a link");
        let path = real.canonicalize().expect("there");
        let kept_as = path.with_extension("toml.bak");
        assert_eq!(
            write("line = 4001\n", &link, &link).expect("written"),
            Written::Replaced { path, kept_as: kept_as.clone() }
        );
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).expect("read"), "line = 4001\n");
        assert_eq!(fs::read_to_string(&kept_as).expect("read"), "# mine\nline = 4001\n");
        for path in [&real, &kept_as] {
            assert_eq!(fs::metadata(path).expect("there").mode() & 0o7777, 0o640);
        }
        assert_eq!(write("line = 4001\n", &link, &link).expect("the same"), Written::Same);
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 3);
    }

    #[test]
    fn a_file_that_was_not_read_stays_as_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let [read, other] = ["parlance.toml", "other.toml"].map(|name| directory.path().join(name));
        fs::write(&other, "precious").expect("written");
        assert!(matches!(write("x = 1\n", &other, &read), Err(ConfigFileError::NotRead(_))));
        assert_eq!(fs::read_to_string(&other).expect("read"), "precious");
        assert_eq!(write("x = 1\n", &read, &read).expect("written"), Written::New);
        assert!(write("x = 1\n", &directory.path().join("no/such/file"), &read).is_err());
        assert!(write("x = 1\n", directory.path(), &read).is_err());
    }
}

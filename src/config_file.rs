//! `parlance config --write`: the configuration, written to a file that is replaced as a whole.

use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use parlance::limits::CONFIG_COPIES_MAX;
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

/// Refuses a device, a FIFO, a socket or a directory. The rename would put a file in its place, and a read of
/// a FIFO waits for a writer.
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
            put(toml.as_bytes(), to, Name::Free, None).map_err(unwritable)?;
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
        // Nothing is worth a copy.
        put(toml.as_bytes(), path, Name::Taken, Some(&metadata))?;
        return Ok(Written::New);
    }
    let kept_as = keep(&before, path, &metadata)?;
    if let Err(cause) = put(toml.as_bytes(), path, Name::Taken, Some(&metadata)) {
        // The file still has its contents, so the copy is not needed.
        let _ = fs::remove_file(&kept_as);
        return Err(cause);
    }
    Ok(Written::Replaced { path: path.into(), kept_as })
}

/// Copies the contents of the file at `path` to the first free name next to it, and returns that name.
/// Earlier copies stay.
fn keep(contents: &[u8], path: &Path, like: &Metadata) -> io::Result<PathBuf> {
    for number in 1..=CONFIG_COPIES_MAX {
        let mut name = path.as_os_str().to_owned();
        name.push(".bak");
        if number > 1 {
            name.push(format!(".{number}"));
        }
        let name = PathBuf::from(name);
        if fs::symlink_metadata(&name).is_ok() {
            continue;
        }
        match put(contents, &name, Name::Free, Some(like)) {
            Ok(()) => return Ok(name),
            // Another program has just taken the name.
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(cause),
        }
    }
    let what =
        format!("it has {CONFIG_COPIES_MAX} old copies, up to `.bak.{CONFIG_COPIES_MAX}`; remove some");
    Err(io::Error::new(io::ErrorKind::AlreadyExists, what))
}

/// Whether a file may already have the name of a new one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// A file at the path is an error.
    Free,
    /// The new file replaces it.
    Taken,
}

/// Writes a temporary file next to a path, with the mode and owner of `like`, and renames it once it is on
/// disk.
fn put(bytes: &[u8], path: &Path, name: Name, like: Option<&Metadata>) -> io::Result<()> {
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let mode = like.map_or(MODE, |like| like.mode() & 0o7777);
    let mut builder = Builder::new();
    let created = builder.permissions(fs::Permissions::from_mode(mode)).tempfile_in(directory);
    let mut file = created.map_err(|error| of_the_system(&error))?;
    // Not through `file`, whose errors name the temporary file.
    file.as_file_mut().write_all(bytes)?;
    if let Some(like) = like {
        // Only root may give a file away; for other users the new file is their own.
        let _ = fchown(file.as_file(), Some(like.uid()), Some(like.gid()));
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    }
    file.as_file().sync_all()?;
    match name {
        Name::Taken => file.persist(path)?,
        Name::Free => file.persist_noclobber(path)?,
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
    fn no_earlier_copy_is_lost() {
        let directory = tempfile::tempdir().expect("a directory");
        let directory = directory.path().canonicalize().expect("there");
        let path = directory.join("parlance.toml");
        let old = |number: u16| format!("# {number}\n");
        for number in 1..=CONFIG_COPIES_MAX {
            fs::write(&path, old(number)).expect("written");
            write("x = 1\n", &path, &path).expect("a free name");
        }
        let copy = |number: u16| match number {
            1 => directory.join("parlance.toml.bak"),
            _ => directory.join(format!("parlance.toml.bak.{number}")),
        };
        for number in 1..=CONFIG_COPIES_MAX {
            assert_eq!(fs::read_to_string(copy(number)).expect("read"), old(number));
        }
        fs::write(&path, "# one more\n").expect("written");
        let error = write("x = 1\n", &path, &path).expect_err("no name is free").to_string();
        assert!(error.contains("/parlance.toml`: ") && error.ends_with("; remove some"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("read"), "# one more\n");
        // A name that nothing has is used, a link that leads nowhere is not.
        fs::remove_file(copy(1)).expect("removed");
        fs::remove_file(copy(2)).expect("removed");
        std::os::unix::fs::symlink("nowhere", copy(1)).expect("a link");
        let written = write("x = 1\n", &path, &path).expect("a free name");
        assert_eq!(written, Written::Replaced { path, kept_as: copy(2) });
        assert!(copy(1).is_symlink());
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

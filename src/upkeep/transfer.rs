//! Import and export, as commands.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use parlance::archive::{self, ExportError, Material, Plan, Report};
use parlance::config::Config;
use parlance::store::memory::MemoryStore;
use parlance::store::{self, Reader, StoreSpec};

use super::arguments::{ExportArguments, ExportFormat, ImportArguments};
use super::{UpkeepError, is_there, new_file, now};
use crate::output::ensure_not_of_store;

/// What stands for standard input, or standard output, in the place of a file.
const STANDARD: &str = "-";

/// Imports files, all or nothing.
pub(super) fn import(
    spec: &StoreSpec,
    config: &Config,
    arguments: &ImportArguments,
) -> Result<(), UpkeepError> {
    let ImportArguments { files, format, dry_run } = arguments;
    let mut material = Material::new();
    let mut said = String::new();
    for path in files {
        let (name, file) = open(path)?;
        let taken_for = material.read(&name, file, (*format).into())?;
        said.extend([&*super::visible(&name), ": ", &*taken_for.to_string(), "\n"]);
    }
    let report = if *dry_run {
        let mut empty = MemoryStore::new();
        let mut reader = is_there(spec)?.then(|| store::open_reader(spec)).transpose()?;
        let reader: &mut dyn Reader = match &mut reader {
            Some(reader) => &mut **reader,
            None => &mut empty,
        };
        material.plan(reader, now(), &mut random)?.report
    } else {
        // From here on the lock is held: what the plan is made from stays as it is until it is committed.
        let mut store = store::open(spec, &config.store_options())?;
        let Plan { ops, report } = material.plan(&mut *store, now(), &mut random)?;
        store.commit(&ops)?;
        report
    };
    let told = if *dry_run {
        let text = format!("{said}a dry run: nothing is written\n{report}");
        super::print(&text).map_err(UpkeepError::Output)
    } else {
        // Last, so that a closed output does not stop the import.
        super::report(&format!("{said}{report}"))
    };
    match told {
        Err(error) if !error.is_enough() => Err(error),
        // A closed pipe hides the report, not the exit status.
        _ if report.has_left() => Err(UpkeepError::Left { count: report.left_count() }),
        _ if report == Report::default() => Err(UpkeepError::Nothing),
        told => told,
    }
}

/// A file to be read, and what it is called.
fn open(path: &Path) -> Result<(String, Box<dyn BufRead>), UpkeepError> {
    if path == Path::new(STANDARD) {
        return Ok(("standard input".to_owned(), Box::new(io::stdin().lock())));
    }
    let file = File::open(path).map_err(|cause| UpkeepError::Unreadable { path: path.into(), cause })?;
    Ok((path.to_string_lossy().into_owned(), Box::new(BufReader::new(file))))
}

/// For ids that nobody needs to guess wrong: whoever can see them can see what they are of.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// Exports everything.
pub(super) fn export(
    spec: &StoreSpec,
    store: &mut dyn Reader,
    arguments: &ExportArguments,
) -> Result<(), UpkeepError> {
    let ExportArguments { format, out } = arguments;
    let Some(path) = out.as_deref().filter(|path| *path != Path::new(STANDARD)) else {
        let mut out = BufWriter::new(io::stdout().lock());
        return Ok(write_export(store, *format, &mut out)?);
    };
    ensure_not_of_store(path, spec)?;
    new_file::make(path, |unfinished| {
        let unwritable = |cause| UpkeepError::Unwritable { path: unfinished.into(), cause };
        // Hashes of passwords and tokens are in it.
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(unfinished).map_err(unwritable)?;
        let mut out = BufWriter::new(&file);
        write_export(store, *format, &mut out).map_err(|error| match error {
            ExportError::Output(cause) => unwritable(cause),
            ExportError::Store(error) => error.into(),
        })?;
        file.sync_all().map_err(unwritable)
    })
}

/// Copies the store into a file.
pub(super) fn backup(spec: &StoreSpec, store: &mut dyn Reader, file: &Path) -> Result<(), UpkeepError> {
    if file == Path::new(STANDARD) {
        return Err(UpkeepError::NoStream);
    }
    ensure_not_of_store(file, spec)?;
    new_file::make(file, |unfinished| Ok(store.backup(unfinished)?))
}

fn write_export(
    store: &mut dyn Reader,
    format: ExportFormat,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    match format {
        ExportFormat::Jsonl => archive::export_jsonl(store, out),
        ExportFormat::Json => archive::export_json(store, now(), out),
    }
}

//! Import and export, as commands.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use parlance::archive::{self, ExportError, Material, Plan};
use parlance::config::Config;
use parlance::store::memory::MemoryStore;
use parlance::store::{self, Reader, StoreSpec};

use super::arguments::{ExportArguments, ExportFormat, ImportArguments};
use super::{UpkeepError, now, place};

/// Imports files, all or nothing.
pub(super) fn import(
    spec: &StoreSpec,
    config: &Config,
    arguments: &ImportArguments,
) -> Result<(), UpkeepError> {
    let ImportArguments { files, format, dry_run } = arguments;
    let mut material = Material::new();
    for path in files {
        let file = File::open(path).map_err(|cause| UpkeepError::Unreadable { path: path.clone(), cause })?;
        let name = path.to_string_lossy();
        let taken_for = material.read(&name, BufReader::new(file), (*format).into())?;
        writeln!(io::stdout(), "{}: {taken_for}", super::visible(&name))?;
    }
    let report = if *dry_run {
        let mut empty = MemoryStore::new();
        let is_there = place(spec).is_some_and(Path::exists);
        let mut reader = is_there.then(|| store::open_reader(spec)).transpose()?;
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
    let would = if *dry_run { "a dry run: nothing is written\n" } else { "" };
    Ok(write!(io::stdout(), "{would}{report}")?)
}

/// For ids that nobody needs to guess wrong: whoever can see them can see what they are of.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// Exports everything.
pub(super) fn export(store: &mut dyn Reader, arguments: &ExportArguments) -> Result<(), UpkeepError> {
    let ExportArguments { format, out } = arguments;
    let Some(path) = out else {
        let mut out = BufWriter::new(io::stdout().lock());
        return Ok(write_export(store, *format, &mut out)?);
    };
    let unwritable = |cause| UpkeepError::Unwritable { path: path.clone(), cause };
    // Hashes of passwords and tokens are in it.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(unwritable)?;
    let mut out = BufWriter::new(&file);
    let written = write_export(store, *format, &mut out).map_err(|error| match error {
        ExportError::Output(cause) => unwritable(cause),
        ExportError::Store(error) => error.into(),
    });
    let synced = written.and_then(|()| file.sync_all().map_err(unwritable));
    if synced.is_err() {
        // Half an export is none. That it cannot be taken away changes nothing about the error.
        let _ = std::fs::remove_file(path);
    }
    synced
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

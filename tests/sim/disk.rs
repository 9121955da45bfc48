//! A disk in memory that forgets what was not synced when the power goes, and fails or dawdles when it is told to.
//!
//! A file is what a sync made durable, and behind it the writes and cuts since. The power takes some of those: mostly all
//! from one on, of which a part may be left; at times any, page by page, as a kernel writes pages back in an order of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use parlance::store::disk::{Disk, DiskFile, FileId, Opening, Stamp};

use crate::dice::Dice;

/// Bytes that the kernel writes back at once or not at all.
const PAGE_BYTES: usize = 4096;

/// A change to a file that was not synced yet.
#[derive(Clone, Debug)]
enum Unsynced {
    Write { offset: u64, bytes: Vec<u8> },
    Cut(u64),
}

#[derive(Clone, Debug, Default)]
struct File {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

/// A change to the directory that was not synced yet.
#[derive(Clone, Debug)]
enum Renaming {
    Named(PathBuf, usize),
    Removed(PathBuf),
}

/// What fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failing {
    /// There is no space: a part of a write is made.
    Full,
    /// Syncs fail, and what was to be synced is forgotten as if it had been.
    Sync,
    /// Nothing works.
    All,
}

#[derive(Clone, Debug)]
struct State {
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    renamings: Vec<Renaming>,
    failing: Option<Failing>,
    dice: u64,
    /// Syncs since somebody looked.
    syncs: u32,
    /// Changes until the power goes.
    until_power_goes: Option<u32>,
}

/// The disk. Clones are the same one.
#[derive(Clone)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
    /// What the power found when it went in the middle of something.
    found: Arc<Mutex<Option<State>>>,
}

#[derive(Debug)]
struct Handle {
    disk: SimDisk,
    file: usize,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

fn apply(content: &mut Vec<u8>, change: &Unsynced) {
    match change {
        Unsynced::Write { offset, bytes } => {
            let end = *offset as usize + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*offset as usize..end].copy_from_slice(bytes);
        }
        Unsynced::Cut(length) => content.truncate(*length as usize),
    }
}

impl File {
    fn change(&mut self, change: Unsynced) {
        apply(&mut self.current, &change);
        self.unsynced.push(change);
    }

    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    /// What is left of it when the power goes.
    fn survive(&mut self, dice: &mut Dice) {
        let unsynced = std::mem::take(&mut self.unsynced);
        if dice.below(4) > 0 {
            let whole = dice.below(unsynced.len() + 1);
            for change in &unsynced[..whole] {
                apply(&mut self.durable, change);
            }
            if let Some(Unsynced::Write { offset, bytes }) = unsynced.get(whole) {
                let torn = bytes[..dice.below(bytes.len() + 1)].to_vec();
                apply(&mut self.durable, &Unsynced::Write { offset: *offset, bytes: torn });
            }
        } else {
            for change in unsynced {
                match change {
                    Unsynced::Write { offset, bytes } => self.survive_by_page(offset, &bytes, dice),
                    Unsynced::Cut(length) if dice.below(2) == 0 => self.durable.truncate(length as usize),
                    Unsynced::Cut(_) => {}
                }
            }
        }
        self.current.clone_from(&self.durable);
    }

    fn survive_by_page(&mut self, offset: u64, bytes: &[u8], dice: &mut Dice) {
        let mut at = offset as usize;
        let end = at + bytes.len();
        while at < end {
            let page_end = (at / PAGE_BYTES + 1) * PAGE_BYTES;
            let to = page_end.min(end);
            if dice.below(2) == 0 {
                let page = bytes[at - offset as usize..to - offset as usize].to_vec();
                apply(&mut self.durable, &Unsynced::Write { offset: at as u64, bytes: page });
            }
            at = to;
        }
    }
}

impl SimDisk {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            renamings: Vec::new(),
            failing: None,
            dice: seed,
            syncs: 0,
            until_power_goes: None,
        };
        Self { state: Arc::new(Mutex::new(state)), found: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked with it")
    }

    /// From now on this fails.
    pub(crate) fn fails(&self, failing: Option<Failing>) {
        self.state().failing = failing;
    }

    /// Syncs since this was last asked.
    pub(crate) fn take_syncs(&self) -> u32 {
        std::mem::take(&mut self.state().syncs)
    }

    /// The power is going to go when so many changes more were made, in the middle of something.
    pub(crate) fn will_lose_power(&self, changes: u32) {
        self.state().until_power_goes = Some(changes);
    }

    /// The power does not go after all.
    pub(crate) fn does_not_lose_power(&self) {
        self.state().until_power_goes = None;
    }

    /// Whether it went so. What was done since never happened.
    pub(crate) fn has_lost_power(&self) -> bool {
        self.found.lock().expect("as above").is_some()
    }

    /// A change is about to be made.
    fn step(&self, state: &mut State) {
        match &mut state.until_power_goes {
            Some(0) => {
                state.until_power_goes = None;
                *self.found.lock().expect("as above") = Some(state.clone());
            }
            Some(changes) => *changes -= 1,
            None => {}
        }
    }

    /// The power is gone, and comes back.
    pub(crate) fn loses_power(&self) {
        let mut state = self.state();
        if let Some(found) = self.found.lock().expect("as above").take() {
            *state = found;
        }
        let mut dice = Dice(state.dice);
        for file in &mut state.files {
            file.survive(&mut dice);
        }
        let renamings = std::mem::take(&mut state.renamings);
        let survived = dice.below(renamings.len() + 1);
        for renaming in renamings.into_iter().take(survived) {
            match renaming {
                Renaming::Named(path, file) => {
                    state.durable_names.retain(|_, other| *other != file);
                    _ = state.durable_names.insert(path, file);
                }
                Renaming::Removed(path) => _ = state.durable_names.remove(&path),
            }
        }
        state.names = state.durable_names.clone();
        state.dice = dice.next();
        (state.failing, state.until_power_goes) = (None, None);
    }
}

impl State {
    fn fail(&self, which: &[Failing]) -> io::Result<()> {
        match self.failing {
            Some(failing) if failing == Failing::All || which.contains(&failing) => {
                Err(io::Error::other("the disk fails"))
            }
            _ => Ok(()),
        }
    }
}

impl DiskFile for Handle {
    fn length(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.fail(&[])?;
        Ok(state.files[self.file].current.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        state.fail(&[])?;
        let content = &state.files[self.file].current;
        let rest = content.get(offset as usize..).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        self.disk.step(&mut state);
        if state.fail(&[Failing::Full]).is_err() {
            let mut dice = Dice(state.dice);
            let part = bytes[..dice.below(bytes.len() + 1)].to_vec();
            state.dice = dice.next();
            state.files[self.file].change(Unsynced::Write { offset, bytes: part });
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.files[self.file].change(Unsynced::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.fail(&[])?;
        self.disk.step(&mut state);
        state.files[self.file].change(Unsynced::Cut(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn stamp(&self) -> io::Result<Stamp> {
        // Only the store writes here.
        Ok(Stamp { bytes: self.length()?, modified: (0, 0) })
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(FileId { device: 0, inode: self.file as u64 })
    }

    fn lock(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        self.disk.step(&mut state);
        state.syncs += 1;
        if state.fail(&[Failing::Sync]).is_err() {
            // The kernel says so once, and takes the pages for clean.
            state.files[self.file].unsynced.clear();
            return Err(io::Error::other("the sync fails"));
        }
        state.files[self.file].sync();
        Ok(())
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.fail(&[])?;
        let found = state.names.get(path).copied();
        let file = match (found, opening) {
            (None, Opening::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (Some(file), Opening::Existing | Opening::MadeIfMissing) => file,
            (Some(file), Opening::Emptied) => {
                state.files[file].change(Unsynced::Cut(0));
                file
            }
            (None, Opening::MadeIfMissing | Opening::Emptied) => {
                state.files.push(File::default());
                let file = state.files.len() - 1;
                _ = state.names.insert(path.into(), file);
                state.renamings.push(Renaming::Named(path.into(), file));
                file
            }
        };
        Ok(Arc::new(Handle { disk: self.clone(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.fail(&[])?;
        self.step(&mut state);
        let Some(file) = state.names.remove(from) else { return Err(io::ErrorKind::NotFound.into()) };
        _ = state.names.insert(to.into(), file);
        state.renamings.push(Renaming::Named(to.into(), file));
        Ok(())
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        let state = self.state();
        state.fail(&[])?;
        let file = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(FileId { device: 0, inode: *file as u64 })
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.into())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.fail(&[])?;
        if state.names.remove(path).is_some() {
            state.renamings.push(Renaming::Removed(path.into()));
        }
        Ok(())
    }

    fn sync_directory_of(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state();
        self.step(&mut state);
        state.fail(&[Failing::Sync])?;
        state.durable_names = state.names.clone();
        state.renamings.clear();
        Ok(())
    }
}

//! A place where a store of some kind can be: opened, closed, copied, looked at.

use std::path::{Path, PathBuf};

use parlance::store::{self, Durability, Options, Reader, Store, StoreError, StoreSpec};
use tempfile::TempDir;

/// See the module's documentation.
pub(crate) struct Shelf {
    pub(crate) spec: StoreSpec,
    pub(crate) options: Options,
    directory: TempDir,
}

impl Shelf {
    fn new(spec: StoreSpec, durability: Durability, search: bool) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self { spec: spec.below(directory.path()), options: Options { durability, search }, directory }
    }

    pub(crate) fn memory() -> Self {
        Self::new(StoreSpec::Memory, Durability::Full, true)
    }

    pub(crate) fn sqlite_full() -> Self {
        Self::new(StoreSpec::Sqlite("chat.db".into()), Durability::Full, true)
    }

    pub(crate) fn sqlite_normal_without_search() -> Self {
        Self::new(StoreSpec::Sqlite("below/chat.db".into()), Durability::Normal, false)
    }

    pub(crate) fn jsonl_full() -> Self {
        Self::new(StoreSpec::Jsonl("log".into()), Durability::Full, true)
    }

    pub(crate) fn jsonl_none() -> Self {
        Self::new(StoreSpec::Jsonl("a/log".into()), Durability::None, true)
    }

    /// Whether it outlives its being closed.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.spec != StoreSpec::Memory
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn try_open(&self) -> Result<Box<dyn Store>, StoreError> {
        store::open(&self.spec, &self.options)
    }

    #[track_caller]
    pub(crate) fn open(&self) -> Box<dyn Store> {
        self.try_open().expect("a store")
    }

    #[track_caller]
    pub(crate) fn reader(&self) -> Box<dyn Reader> {
        store::open_reader(&self.spec).expect("it is there")
    }

    /// A name for a copy that is not there yet.
    pub(crate) fn copy_path(&self) -> PathBuf {
        let directory = tempfile::tempdir_in(self.directory()).expect("a directory").keep();
        match self.spec {
            StoreSpec::Jsonl(_) => directory.join("log.jsonl"),
            StoreSpec::Sqlite(_) | StoreSpec::Memory => directory.join("copy.db"),
        }
    }

    /// The copy, as a store of the same kind.
    pub(crate) fn copy_spec(&self, path: &Path) -> StoreSpec {
        match self.spec {
            StoreSpec::Jsonl(_) => StoreSpec::Jsonl(path.parent().expect("it has one").into()),
            StoreSpec::Sqlite(_) => StoreSpec::Sqlite(path.into()),
            StoreSpec::Memory => StoreSpec::Memory,
        }
    }
}

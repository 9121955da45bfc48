//! A store in a log that people can read.

use std::path::Path;

use super::{Options, Reader, Store, StoreError};

pub(super) fn open(path: &Path, options: &Options) -> Result<Box<dyn Store>, StoreError> {
    let _ = (path, options);
    Err(StoreError::Unsupported("not there yet"))
}

pub(super) fn open_reader(path: &Path) -> Result<Box<dyn Reader>, StoreError> {
    let _ = path;
    Err(StoreError::Unsupported("not there yet"))
}

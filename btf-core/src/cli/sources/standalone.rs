//! Files of which none needs another one, so that none must be kept while the others are read.

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::reader::{Btf, Memory};
use crate::wire::ByteOrder;

use super::files;

/// Files that each hold one BTF, which stands alone; they can be read when they are needed, and again.
#[derive(Debug)]
pub struct Standalone {
    paths: Vec<PathBuf>,
    /// What each was when it was read first.
    known: Vec<OnceLock<(files::Stamp, Facts)>>,
}

/// What is known of a file that has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its byte order.
    pub order: ByteOrder,
    /// The number of types, `void` not counted.
    pub types: u32,
    /// The length of the blob in bytes.
    pub blob_len: u64,
}

impl Standalone {
    /// Finds the files, as [`open`](super::open) does; `None` if that fails.
    #[must_use]
    pub fn find(paths: &[PathBuf]) -> Option<Self> {
        let paths = super::find(paths).ok()?;
        let known = paths.iter().map(|_| OnceLock::new()).collect();
        Some(Self { paths, known })
    }

    /// The number of files.
    #[must_use]
    pub fn count(&self) -> usize {
        self.paths.len()
    }

    /// Reads a file; `None` if it does not hold one BTF that stands alone, or is no longer what it was.
    pub fn read(&self, index: usize, memory: &mut Memory) -> Option<Btf> {
        let (path, known) = (self.paths.get(index)?, self.known.get(index)?);
        let (stamp, btf) = files::read_again(path, memory)?;
        let facts = Facts {
            order: btf.byte_order(),
            types: btf.end_id() - btf.first_id(),
            blob_len: btf.blob_len(),
        };
        let known = known.get_or_init(|| (stamp, facts));
        (*known == (stamp, facts)).then_some(btf)
    }

    /// What is known of the files that have been read.
    pub fn facts(&self) -> impl Iterator<Item = Facts> {
        let known = self.known.iter().filter_map(OnceLock::get);
        known.map(|&(_, facts)| facts)
    }
}

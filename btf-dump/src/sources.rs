//! Finds BTF and reads it: from raw files, ELF files, `/sys/kernel/btf` and standard input, each with its base.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use btf_core::ext::BtfExt;
use btf_core::reader::Btf;
use btf_core::{ErrorKind, elf};

/// The BTF of the running kernel, which is read if no file is named.
pub const RUNNING_KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// BTF, and where it comes from.
#[derive(Debug)]
pub struct Source {
    /// The file as it was named; `-` is standard input.
    pub path: PathBuf,
    /// The types.
    pub btf: Arc<Btf>,
    /// What belongs to instructions, in object files for BPF.
    pub ext: Option<BtfExt>,
    /// The size of a pointer in bytes, if the file is ELF.
    pub pointer_size: Option<u8>,
}

/// A file that cannot be read, and why.
#[derive(Debug)]
pub struct Error {
    path: PathBuf,
    source: btf_core::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Reads all files, in their order; without any, the running kernel's. `base` is what split BTF continues.
///
/// # Errors
/// The first file that cannot be read, with the reason.
pub fn open(paths: &[PathBuf], base: Option<&Path>) -> Result<Vec<Source>, Error> {
    let base = base.map(|path| open_file(path, None)).transpose()?;
    let base = base.map(|source| source.btf);
    if paths.is_empty() {
        return Ok(vec![open_file(Path::new(RUNNING_KERNEL), None)?]);
    }
    let sources = paths.iter().map(|path| open_file(path, base.clone()));
    sources.collect()
}

fn open_file(path: &Path, base: Option<Arc<Btf>>) -> Result<Source, Error> {
    let at_path = |source| Error {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::read(path).map_err(|error| {
        at_path(btf_core::Error::new(ErrorKind::Io("read the file")).caused_by(error))
    })?;
    let loaded = elf::load(&bytes, base).map_err(at_path)?;
    Ok(Source {
        path: path.to_owned(),
        btf: Arc::new(loaded.btf),
        ext: loaded.ext,
        pointer_size: loaded.pointer_size,
    })
}

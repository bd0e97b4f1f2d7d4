//! Reads BTF from files: raw, or the `.BTF` section of ELF.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use btf_core::reader::Btf;
use object::{Object as _, ObjectSection as _};

/// Reads the BTF in a file; `base` is what it continues.
///
/// # Errors
/// If the file cannot be read, is ELF without `.BTF`, or holds no BTF; the message names the file.
pub fn read_btf(path: &Path, base: Option<Arc<Btf>>) -> Result<Arc<Btf>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    parse_btf(&bytes, base).with_context(|| path.display().to_string())
}

/// Reads BTF from the bytes of a file.
///
/// # Errors
/// As [`read_btf`].
pub fn parse_btf(bytes: &[u8], base: Option<Arc<Btf>>) -> Result<Arc<Btf>> {
    let btf = if bytes.starts_with(b"\x7fELF") {
        let elf = object::File::parse(bytes)?;
        let section = elf.section_by_name(".BTF").context("no .BTF section")?;
        Btf::parse(section.data()?, base)?
    } else {
        Btf::parse(bytes, base)?
    };
    Ok(Arc::new(btf))
}

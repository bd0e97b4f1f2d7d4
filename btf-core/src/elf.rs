//! The BTF sections of ELF files: found, read, added and replaced.
//!
//! Files of both classes and byte orders are taken, with any number of sections. Nothing here opens or writes a file: what
//! comes in is bytes, mapped or not, and what goes out is a [`Plan`] for whoever writes it.
//!
//! Spec: gABI chapter 4, "Sections"; Documentation/bpf/btf.rst, 4 "ELF File Format Interface".

mod draft;
mod headers;
mod layout;
mod plan;
mod read;
mod release;
mod write;

pub use plan::Plan;
pub(crate) use read::as_words;
pub use read::{Loaded, Places, Sections, Tables, load, open_static, places, sections, tables};
#[cfg(feature = "cli")]
pub(crate) use read::{as_bytes_mut, out_of_file};
pub use release::{kernel_release, module_release};
pub use write::{NewSection, put_sections};

use crate::error::{Error, ErrorKind};

/// Whether `bytes` start as an ELF file does.
#[must_use]
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

fn elf_error(text: String) -> Error {
    ErrorKind::Elf(text).into()
}

/// The error for an ELF file of `len` bytes, if that is known, that does not have what is expected at `offset`, in bytes of the file.
#[must_use]
pub fn damaged(expected: &str, offset: u64, len: Result<u64, ()>) -> Error {
    let len = len.map_or_else(|()| String::new(), |len| format!(" of {len} bytes"));
    elf_error(format!(
        "damaged ELF file{len}: expected {expected} at {offset:#x}"
    ))
}

/// Of the byte behind the magic number, which says how wide words are.
fn unknown_class(class: Option<u8>) -> Error {
    elf_error(class.map_or_else(
        || "the file ends before the ELF class".to_owned(),
        |class| format!("unknown ELF class: {class}"),
    ))
}

#[cfg(test)]
mod tests;

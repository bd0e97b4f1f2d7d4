//! What programs notice that were made for the old kernel: BPF programs that relocate their accesses (CO-RE), and modules from
//! outside of the kernel's tree.
//!
//! That is what is gone, what has another size, members that are gone, lie elsewhere, have another type or another name, enumerators
//! that are gone or have another value, and, of functions and variables that others can use, another prototype or
//! type. What has been added is not, nor what is behind another change that is told itself.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use btf_core::{Error, ErrorKind, Result};
use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, SHT_SYMTAB};
use object::read::elf::{FileHeader, Sym as _};
use object::read::{FileKind, ReadCache, ReadRef};

use super::{Change, Detail, Diff, Sort, What};

/// How the symbol of an exported function or variable starts.
const PREFIX: &[u8] = b"__ksymtab_";

/// As much of a symbol's name is looked at, in bytes: what kernels accept (`KSYM_NAME_LEN`), and the prefix.
const MAX_NAME: usize = 522;

/// The functions and variables that modules can use.
#[derive(Debug, Default)]
pub struct Exports(HashSet<Vec<u8>>);

impl Exports {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the names of a kernel image or module; none if the file is no such, or has no symbols.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::Elf`] for a file that is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |error| Error::new(ErrorKind::Io("open the file")).caused_by(error);
        let file = File::open(path).map_err(failed)?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(Self::default());
        }
        let cache = ReadCache::new(file);
        let found = match FileKind::parse(&cache) {
            Ok(FileKind::Elf32) => exports::<FileHeader32<Endianness>, _>(&cache),
            Ok(FileKind::Elf64) => exports::<FileHeader64<Endianness>, _>(&cache),
            _ => return Ok(Self::default()),
        };
        found.map(Self).map_err(|error| {
            let text = "cannot read the symbols".to_owned();
            Error::new(ErrorKind::Elf(text)).caused_by(error)
        })
    }
}

fn exports<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(
    file: R,
) -> object::read::Result<HashSet<Vec<u8>>> {
    let header = Elf::parse(file)?;
    let endian = header.endian()?;
    let symbols = header
        .sections(endian, file)?
        .symbols(endian, file, SHT_SYMTAB)?;
    let mut names = HashSet::new();
    for symbol in symbols.iter() {
        let Ok(name) = symbol.name(endian, symbols.strings()) else {
            continue;
        };
        if let Some(name) = name.strip_prefix(PREFIX)
            && name.len() <= MAX_NAME
        {
            names.insert(name.to_vec());
        }
    }
    Ok(names)
}

/// Whether programs notice a change. Without `exports` others are taken to use every function and variable.
#[must_use]
pub fn is_breaking(diff: &Diff<'_>, change: &Change, exports: Option<&Exports>) -> bool {
    let name = diff.name(change);
    let is_used = || {
        let is_exported = |exports: &Exports| exports.0.contains(name);
        change.is_kfunc || exports.is_none_or(is_exported)
    };
    match &change.what {
        What::Added(_) | What::Through(..) => false,
        What::Removed(_) => match change.sort {
            Sort::Struct | Sort::Union | Sort::Enum | Sort::Typedef | Sort::Number => {
                // What has no name is known to its own file only.
                !name.is_empty()
            }
            Sort::Func | Sort::Var => is_used(),
            Sort::Forward => false,
        },
        What::Changed(_, _, detail) => match change.sort {
            Sort::Func | Sort::Var => breaks_users(detail) && is_used(),
            Sort::Struct
            | Sort::Union
            | Sort::Enum
            | Sort::Typedef
            | Sort::Number
            | Sort::Forward => breaks_accesses(detail),
        },
    }
}

/// Whether a function or variable is to be used in another way.
fn breaks_users(detail: &Detail) -> bool {
    let mut params = detail.params.iter();
    let is_no_kfunc = |words: &super::WordChange| words.what == "kfunc" && words.new == b"no";
    detail.result.is_some()
        || detail.ty.is_some()
        || params.any(|param| param.is_retyped || param.old.is_none() || param.new.is_none())
        || detail.words.iter().any(is_no_kfunc)
        || breaks_accesses(detail)
}

/// Whether what was at one place is not there any more, or has another meaning.
fn breaks_accesses(detail: &Detail) -> bool {
    detail.size.is_some_and(|(old, new)| old != new)
        || detail.ty.is_some()
        || detail
            .members
            .iter()
            .any(|member| member.old.is_some() && member.is_own())
        || detail.enumerators.iter().any(|value| value.old.is_some())
        || detail.words.iter().any(|words| words.what == "encoding")
}

//! What programs notice that were made for the old kernel: BPF programs that relocate their accesses (CO-RE), and modules from
//! outside of the kernel's tree.
//!
//! That is what is gone, what has another size, members that are gone, lie elsewhere, have another type or another name, enumerators
//! that are gone or have another value, and, of functions and variables that others can use, another prototype or
//! type, or that others can use them no more. What has been added is not, nor what is behind another change that is told itself.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use btf_core::{Error, ErrorKind, Result};
use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, SHT_SYMTAB};
use object::read::elf::{FileHeader, SectionHeader as _, Sym as _};
use object::read::{FileKind, ReadCache, ReadRef};

use super::{Change, Detail, Diff, Leaf, Leaves, MemberChange, Sort, What};

/// How the symbol of an exported function or variable starts.
const PREFIX: &[u8] = b"__ksymtab_";

/// A symbol that every module has.
const MODULE: &[u8] = b"__this_module\0";

/// As long a name is looked at, in bytes: what kernels accept (`KSYM_NAME_LEN`).
const MAX_NAME: usize = 512;

/// The functions and variables that modules can use.
#[derive(Debug, Default)]
pub struct Exports(HashSet<Vec<u8>>);

impl Exports {
    /// Whether a function or variable of this name is among them.
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        self.0.contains(name)
    }

    /// Reads the names of a kernel image or module; `None` if the file does not tell: it is no such, or has no symbols.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::Elf`] for a file that is damaged.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let failed = |error| Error::new(ErrorKind::Io("open the file")).caused_by(error);
        let file = File::open(path).map_err(failed)?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(None);
        }
        let cache = ReadCache::new(file);
        let found = match FileKind::parse(&cache) {
            Ok(FileKind::Elf32) => exports::<FileHeader32<Endianness>, _>(&cache),
            Ok(FileKind::Elf64) => exports::<FileHeader64<Endianness>, _>(&cache),
            _ => return Ok(None),
        };
        found.map(|names| names.map(Self)).map_err(|error| {
            let text = "cannot read the symbols".to_owned();
            Error::new(ErrorKind::Elf(text)).caused_by(error)
        })
    }
}

fn exports<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(
    file: R,
) -> object::read::Result<Option<HashSet<Vec<u8>>>> {
    let header = Elf::parse(file)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, file)?;
    let symbols = sections.symbols(endian, file, SHT_SYMTAB)?;
    if symbols.is_empty() {
        return Ok(None);
    }
    // All at once: there are hundreds of thousands.
    let strings = sections.section(symbols.string_section())?;
    let strings = strings.data(endian, file)?;
    let mut names = HashSet::new();
    let mut is_module = false;
    for symbol in symbols.iter() {
        let start = usize::try_from(symbol.st_name(endian)).unwrap_or(usize::MAX);
        let tail = strings.get(start..).unwrap_or_default();
        if let Some(name) = tail.strip_prefix(PREFIX) {
            let name = name.get(..=MAX_NAME).unwrap_or(name);
            let len = name.iter().position(|&byte| byte == 0);
            names.extend(len.and_then(|len| name.get(..len)).map(<[u8]>::to_vec));
        }
        is_module |= tail.starts_with(MODULE);
    }
    // Most modules export nothing; a kernel image without such symbols has been stripped of them.
    Ok((is_module || !names.is_empty()).then_some(names))
}

/// Whether programs notice a change. Where the old blob does not know what it exports, others are taken to use every function and
/// variable.
#[must_use]
pub fn is_breaking(diff: &Diff<'_>, change: &Change) -> bool {
    let is_used = |id| change.is_kfunc || diff.old.is_exported(id) != Some(false);
    match &change.what {
        What::Added(_) | What::Through(..) => false,
        What::Removed(id) => match change.sort {
            Sort::Struct | Sort::Union | Sort::Typedef | Sort::Number => {
                // What has no name is known to its own file only.
                !diff.name(change).is_empty()
            }
            // Enumerators have names of their own.
            Sort::Enum => true,
            Sort::Func | Sort::Var => is_used(*id),
            Sort::Forward => false,
        },
        What::Changed(id, _, detail) => match change.sort {
            Sort::Func | Sort::Var => breaks_users(diff, detail) && is_used(*id),
            Sort::Struct
            | Sort::Union
            | Sort::Enum
            | Sort::Typedef
            | Sort::Number
            | Sort::Forward => breaks_accesses(diff, detail),
        },
    }
}

/// Whether a function or variable is to be used in another way.
fn breaks_users(diff: &Diff<'_>, detail: &Detail) -> bool {
    let mut params = detail.params.iter();
    let is_no_more = |words: &super::WordChange| {
        matches!(words.what, "kfunc" | "exported") && words.new == b"no"
    };
    detail.result.is_some()
        || detail.ty.is_some()
        || params.any(|param| param.is_retyped || param.old.is_none() || param.new.is_none())
        || detail.words.iter().any(is_no_more)
        || breaks_accesses(diff, detail)
}

/// Whether what was at one place is not there any more, or has another meaning.
fn breaks_accesses(diff: &Diff<'_>, detail: &Detail) -> bool {
    // Of an array of structures without a name all but the first have moved.
    let is_strided = |member: &MemberChange| {
        let leaf = member.old;
        let is_array = |leaf: &Leaf| Leaves::has_elements(diff.old, leaf.ty);
        member.has_own_size && leaf.as_ref().is_some_and(is_array)
    };
    // What has been added is nobody's loss.
    let is_lost = |member: &MemberChange| {
        member.is_lost() || member.old.is_some() && member.is_moved || is_strided(member)
    };
    detail.size.is_some_and(|(old, new)| old != new)
        || detail.ty.is_some()
        || detail.members.iter().any(is_lost)
        || detail.enumerators.iter().any(|value| value.old.is_some())
        || detail.words.iter().any(|words| words.what == "encoding")
}

//! The sets of kfuncs in `.BTF_ids`: who may call a function, and under which conditions.
//!
//! A set is a symbol `__BTF_ID__set8__NAME` in the section: two words, the number of entries and flags, then per entry the id
//! of a FUNC, which `resolve_btfids` has put there, and the function's `KF_*` flags. `/sys/kernel/btf` does not have this
//! section; kernel images and modules do.
//!
//! Since Linux 6.9 the set's flags say whether its functions are kfuncs, and the kernel registers no others as such. Before,
//! these flags are 0. So where no set of a file has that flag, all are taken for sets of kfuncs but those that, by their
//! names, tell which functions programs may replace the result of (`fmod_ret`): the only other use that kernels have for such
//! sets.
//!
//! Spec: include/linux/btf.h (`KF_*`), `include/linux/btf_ids.h` (`BTF_SET8_START`, `BTF_SET8_KFUNCS`) of Linux 6.1 and 7.2;
//! `register_btf_kfunc_id_set` and `register_btf_fmodret_id_set` in kernel/bpf/btf.c.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use btf_core::strings::string_at;
use btf_core::{ByteOrder, Error, ErrorKind, Result, TypeId};
use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, SHT_SYMTAB};
use object::read::elf::{FileHeader, SectionHeader as _, Sym as _};
use object::read::{FileKind, ReadCache, ReadRef};

/// The section's name.
const SECTION: &str = ".BTF_ids";

/// How the symbol of any id or set starts.
const PREFIX: &[u8] = b"__BTF_ID__";

/// How the symbol of a set with flags goes on.
const SET: &[u8] = b"set8__";

/// As much of a symbol's name is looked at, in bytes: what kernels accept (`KSYM_NAME_LEN`).
const MAX_NAME: usize = 512;

/// The set's flag that says that its functions are kfuncs.
const KFUNCS: u32 = 1;

/// What the names of sets have in them whose functions are no kfuncs, but may be attached to by `fmod_ret` programs.
const MODIFY_RETURN: [&str; 2] = ["fmodret", "modify_return"];

/// The names of the `KF_*` flags by bit, without that prefix. Linux has used each bit for one thing only.
const FLAGS: [&str; 17] = [
    "ACQUIRE",
    "RELEASE",
    "RET_NULL",
    "KPTR_GET",
    "TRUSTED_ARGS",
    "SLEEPABLE",
    "DESTRUCTIVE",
    "RCU",
    "ITER_NEW",
    "ITER_NEXT",
    "ITER_DESTROY",
    "RCU_PROTECTED",
    "FASTCALL",
    "ARENA_RET",
    "ARENA_ARG1",
    "ARENA_ARG2",
    "IMPLICIT_ARGS",
];

/// `KF_FASTCALL`.
const FASTCALL: u32 = 1 << 12;

/// What the sets say about a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The `KF_*` flags of all sets together.
    pub flags: u32,
    /// The names of the sets, in the order of the section.
    pub sets: Vec<String>,
}

impl Entry {
    /// Whether `KF_FASTCALL` is among the flags.
    #[must_use]
    pub fn is_fastcall(&self) -> bool {
        self.flags & FASTCALL != 0
    }

    /// The names of the flags, without `KF_`; a bit without a name is a number.
    pub fn flag_names(&self) -> impl Iterator<Item = String> {
        let flags = self.flags;
        let set = (0..u32::BITS).filter(move |bit| flags >> bit & 1 != 0);
        set.map(|bit| match FLAGS.get(bit as usize) {
            Some(name) => (*name).to_owned(),
            None => format!("{:#x}", 1u32 << bit),
        })
    }
}

/// What the sets of a file say about each FUNC.
pub type Sets = BTreeMap<TypeId, Entry>;

/// Reads the sets of an ELF file; `None` if it does not tell: it is none, has no such section, or its symbols are gone.
///
/// # Errors
/// [`ErrorKind::Io`]; [`ErrorKind::Elf`] for a file that is damaged; [`ErrorKind::Malformed`] for a set that reaches out of
/// the section or into another one.
pub fn read(path: &Path) -> Result<Option<Sets>> {
    let failed = |error| Error::new(ErrorKind::Io("open the file")).caused_by(error);
    let file = File::open(path).map_err(failed)?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok(None);
    }
    let cache = ReadCache::new(file);
    let damaged = |error| {
        let text = format!("cannot read the functions in `{SECTION}`");
        Error::new(ErrorKind::Elf(text)).caused_by(error)
    };
    let found = match FileKind::parse(&cache) {
        Ok(FileKind::Elf32) => find::<FileHeader32<Endianness>, _>(&cache),
        Ok(FileKind::Elf64) => find::<FileHeader64<Endianness>, _>(&cache),
        _ => return Ok(None),
    };
    match found.map_err(damaged)? {
        None => Ok(None),
        Some(Found {
            data,
            order,
            starts,
        }) => sets(data, order, starts).map(Some),
    }
}

/// The section with the offsets and names of its sets.
struct Found<'a> {
    data: &'a [u8],
    order: ByteOrder,
    starts: Vec<(u64, String)>,
}

/// Finds the section and the symbols of sets in it.
fn find<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(
    file: R,
) -> object::read::Result<Option<Found<'a>>> {
    let header = Elf::parse(file)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, file)?;
    let Some((index, section)) = sections.section_by_name(endian, SECTION.as_bytes()) else {
        return Ok(None);
    };
    let data = section.data(endian, file)?;
    let is_symbols = |section: &&Elf::SectionHeader| section.sh_type(endian) == SHT_SYMTAB;
    let Some(table) = sections.iter().find(is_symbols) else {
        return Ok(None);
    };
    let symbols: &[Elf::Sym] = table.data_as_array(endian, file)?;
    // In one piece, as names may overlap.
    let strings = sections.section(table.link(endian))?.data(endian, file)?;
    let mut starts = Vec::new();
    let mut has_symbols = false;
    for symbol in symbols {
        if symbol.st_shndx(endian).index().map(usize::from) != Some(index.0) {
            continue;
        }
        let name = strings.get(symbol.st_name(endian) as usize..);
        let name = name.unwrap_or_default();
        let name = name.get(..MAX_NAME).unwrap_or(name);
        let name = string_at(name, 0).unwrap_or(name);
        let Some(name) = name.strip_prefix(PREFIX) else {
            continue;
        };
        has_symbols = true;
        if let Some(name) = name.strip_prefix(SET) {
            // In a relocatable file the section's address is 0.
            let (symbol, section) = (symbol.st_value(endian).into(), section.sh_addr(endian));
            let offset = u64::wrapping_sub(symbol, section.into());
            starts.push((offset, String::from_utf8_lossy(name).into_owned()));
        }
    }
    if !has_symbols {
        return Ok(None);
    }
    starts.sort_unstable();
    let order = if header.is_little_endian() {
        ByteOrder::Little
    } else {
        ByteOrder::Big
    };
    Ok(Some(Found {
        data,
        order,
        starts,
    }))
}

/// Reads the sets that start at these offsets, which ascend.
fn sets(data: &[u8], order: ByteOrder, starts: Vec<(u64, String)>) -> Result<Sets> {
    let mut end = 0;
    let word = |bytes| order.u32(bytes);
    let mut found = Vec::with_capacity(starts.len());
    for (offset, name) in starts {
        let malformed =
            || Error::new(ErrorKind::Malformed("a set of functions")).at(SECTION, offset);
        if offset < end {
            return Err(malformed());
        }
        let start = usize::try_from(offset).map_err(|_| malformed())?;
        let pairs = data.get(start..).unwrap_or_default().as_chunks::<4>().0;
        let pairs = pairs.as_chunks::<2>().0;
        let Some((&[count, flags], entries)) = pairs.split_first() else {
            return Err(malformed());
        };
        let count = word(count) as usize;
        let entries = entries.get(..count).ok_or_else(malformed)?;
        end = offset + 8 * (count as u64 + 1);
        found.push((name, word(flags) & KFUNCS != 0, entries));
    }
    let has_flags = found.iter().any(|&(_, is_marked, _)| is_marked);
    let mut sets = Sets::new();
    for (name, is_marked, entries) in found {
        let is_other = |word: &&str| name.contains(*word);
        if !is_marked && (has_flags || MODIFY_RETURN.iter().any(is_other)) {
            continue;
        }
        for &[id, flags] in entries {
            let entry = sets.entry(TypeId(word(id))).or_default();
            entry.flags |= word(flags);
            entry.sets.push(name.clone());
        }
    }
    // What has not been resolved is no function.
    sets.remove(&TypeId::VOID);
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn start(offset: u64, name: &str) -> (u64, String) {
        (offset, name.to_owned())
    }

    #[test]
    fn sets_of_kfuncs_are_read_and_their_flags_joined() {
        let words = [2, 1, 7, 0x1000, 0, 3, 1, 0, 8, 1, 1, 1, 7, 1 << 20 | 5];
        let starts = vec![start(0, "a"), start(24, "no"), start(40, "b")];
        let sets = sets(&data(&words), ByteOrder::Big, starts).unwrap();
        assert_eq!(sets.len(), 1);
        let entry = &sets[&TypeId(7)];
        assert_eq!(entry.sets, ["a", "b"]);
        let names: Vec<_> = entry.flag_names().collect();
        assert_eq!(names, ["ACQUIRE", "RET_NULL", "FASTCALL", "0x100000"]);
    }

    #[test]
    fn sets_of_old_kernels_are_told_by_their_names() {
        let words = [1, 0, 7, 2, 1, 0, 8, 0, 1, 0, 9, 0];
        let starts = vec![
            start(0, "check_kfunc_ids"),
            start(16, "bpf_mptcp_fmodret_ids"),
            start(32, "bpf_test_modify_return_ids"),
        ];
        let found = sets(&data(&words), ByteOrder::Big, starts.clone()).unwrap();
        let ids: Vec<_> = found.keys().map(|id| id.0).collect();
        assert_eq!(ids, [7]);
        assert_eq!(found[&TypeId(7)].flags, 2);
        // Where sets are marked, those without the mark are none.
        let words = [1, 0, 7, 2, 1, 1, 8, 0, 1, 0, 9, 0];
        let found = sets(&data(&words), ByteOrder::Big, starts).unwrap();
        let ids: Vec<_> = found.keys().map(|id| id.0).collect();
        assert_eq!(ids, [8]);
    }

    #[test]
    fn sets_outside_and_inside_of_others_are_refused() {
        let words = data(&[2, 1, 7, 0, 8, 0]);
        let read = |starts| sets(&words, ByteOrder::Big, starts);
        assert!(read(vec![start(0, "a")]).is_ok());
        for starts in [
            vec![start(8, "a")],
            vec![start(24, "a")],
            vec![start(u64::MAX, "a")],
            vec![start(0, "a"), start(16, "b")],
        ] {
            let error = read(starts).unwrap_err().to_string();
            assert!(error.contains("expected a set of functions"), "{error}");
        }
    }
}

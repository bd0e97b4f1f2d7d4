//! The ids in `.BTF_ids` of a module: words that `resolve_btfids` has set, and that go on with the BTF when it moves.
//!
//! Nothing in the section says which words are ids; the symbols `__BTF_ID__KIND__NAME` do, as long as they are not stripped. Where
//! KIND is a set, the number of its entries stands there, then they follow, ordered by id, as the kernel searches them.
//!
//! Spec: `include/linux/btf_ids.h` and `tools/bpf/resolve_btfids` of Linux 7.2.

use btf_core::strings::string_at;
use btf_core::{ByteOrder, Error, ErrorKind, Result, TypeId};
use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, SHT_NOBITS, SHT_SYMTAB};
use object::read::elf::{FileHeader, SectionHeader as _, Sym as _};

/// The section's name.
pub const SECTION: &str = ".BTF_ids";

/// How the symbols start.
const PREFIX: &[u8] = b"__BTF_ID__";

/// As much of a symbol's name is looked at, in bytes.
const MAX_NAME: usize = 64;

/// The section of one file.
#[derive(Clone, Debug)]
pub struct BtfIds {
    order: ByteOrder,
    words: Vec<u32>,
    /// The indices of words that are ids, in ascending order.
    ids: Vec<usize>,
    sets: Vec<Set>,
}

/// Entries that are ordered by id.
#[derive(Clone, Copy, Debug)]
struct Set {
    /// The index of the first word.
    first: usize,
    /// The number of entries.
    count: usize,
    /// The words of an entry: an id, and flags if there are two.
    stride: usize,
}

impl BtfIds {
    /// Reads the section of an ELF file; `None` if the file has none, or one without contents.
    ///
    /// # Errors
    /// [`ErrorKind::Elf`] for a file that is damaged, and for one without the symbols; [`ErrorKind::Malformed`] for a set that
    /// reaches out of the section.
    pub fn read(file: &[u8]) -> Result<Option<Self>> {
        let found = match file.get(4) {
            Some(1) => find::<FileHeader32<Endianness>>(file),
            _ => find::<FileHeader64<Endianness>>(file),
        };
        let found = found.map_err(|error| {
            let text = format!("cannot read `{SECTION}` and its symbols");
            Error::new(ErrorKind::Elf(text)).caused_by(error)
        })?;
        let Some((data, order, symbols)) = found else {
            return Ok(None);
        };
        if symbols.is_empty() {
            let text = format!("the symbols of `{SECTION}` are stripped, so nobody knows its ids");
            return Err(ErrorKind::Elf(text).into());
        }
        Self::new(data, order, &symbols).map(Some)
    }

    fn new(data: &[u8], order: ByteOrder, symbols: &[(u64, Vec<u8>)]) -> Result<Self> {
        let mut found = Self {
            order,
            words: order.words(data),
            ids: Vec::new(),
            sets: Vec::new(),
        };
        for (offset, name) in symbols {
            let outside = || Error::new(ErrorKind::Malformed("a set of ids")).at(SECTION, *offset);
            let at = usize::try_from(*offset).ok().filter(|at| at % 4 == 0);
            let at = at.ok_or_else(outside)? / 4;
            let count = found.words.get(at).copied().ok_or_else(outside)? as usize;
            let kind = name.split(|&byte| byte == b'_').next().unwrap_or_default();
            let (first, stride) = match kind {
                b"set" => (at + 1, 1),
                b"set8" => (at + 2, 2),
                _ => {
                    found.ids.push(at);
                    continue;
                }
            };
            let end = count
                .checked_mul(stride)
                .and_then(|len| len.checked_add(first));
            // Sets do not lie in each other: those of hostile files would grow without end.
            let before = found.sets.last();
            let start = before.map_or(0, |set| set.first + set.count * set.stride);
            if end.is_none_or(|end| end > found.words.len()) || at < start {
                return Err(outside());
            }
            found.ids.extend((first..).step_by(stride).take(count));
            found.sets.push(Set {
                first,
                count,
                stride,
            });
        }
        found.ids.sort_unstable();
        found.ids.dedup();
        Ok(found)
    }

    /// The types that are named, in the order of the section, each as often as it is.
    pub fn types(&self) -> impl Iterator<Item = TypeId> {
        let ids = self.ids.iter().map(|&at| TypeId(self.words[at]));
        ids.filter(|id| !id.is_void())
    }

    /// The section with other ids. What has none becomes 0, as what `resolve_btfids` does not find; the second value is how many
    /// those are.
    #[must_use]
    pub fn translate(&self, new_id: impl Fn(TypeId) -> Option<TypeId>) -> (Vec<u8>, usize) {
        let mut words = self.words.clone();
        let mut lost = 0;
        for &at in &self.ids {
            let old = TypeId(words[at]);
            let new = new_id(old).unwrap_or_default();
            lost += usize::from(new.is_void() && !old.is_void());
            words[at] = new.0;
        }
        for set in &self.sets {
            let entries = &mut words[set.first..set.first + set.count * set.stride];
            let mut sorted: Vec<Vec<u32>> =
                entries.chunks(set.stride).map(<[u32]>::to_vec).collect();
            sorted.sort_by_key(|entry| entry.first().copied());
            for (slot, word) in entries.iter_mut().zip(sorted.into_iter().flatten()) {
                *slot = word;
            }
        }
        let mut bytes = Vec::with_capacity(words.len() * 4);
        self.order.put_words(&words, &mut bytes);
        (bytes, lost)
    }
}

type Found<'a> = (&'a [u8], ByteOrder, Vec<(u64, Vec<u8>)>);

/// Finds the section, and its symbols without their prefix.
fn find<Elf: FileHeader<Endian = Endianness>>(
    file: &[u8],
) -> object::read::Result<Option<Found<'_>>> {
    let header = Elf::parse(file)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, file)?;
    let Some((index, section)) = sections.section_by_name(endian, SECTION.as_bytes()) else {
        return Ok(None);
    };
    let data = section.data(endian, file)?;
    if section.sh_type(endian) == SHT_NOBITS || data.is_empty() {
        return Ok(None);
    }
    let order = if header.is_little_endian() {
        ByteOrder::Little
    } else {
        ByteOrder::Big
    };
    let is_symbols = |section: &&Elf::SectionHeader| section.sh_type(endian) == SHT_SYMTAB;
    let Some(table) = sections.iter().find(is_symbols) else {
        return Ok(Some((data, order, Vec::new())));
    };
    let symbols: &[Elf::Sym] = table.data_as_array(endian, file)?;
    // In one piece, as names may overlap.
    let strings = sections.section(table.link(endian))?.data(endian, file)?;
    let mut found = Vec::new();
    for symbol in symbols {
        if symbol.st_shndx(endian).index().map(usize::from) != Some(index.0) {
            continue;
        }
        let name = strings.get(symbol.st_name(endian) as usize..);
        let name = name.unwrap_or_default();
        let name = name.get(..MAX_NAME).unwrap_or(name);
        let name = string_at(name, 0).unwrap_or(name);
        if let Some(name) = name.strip_prefix(PREFIX) {
            // In a relocatable file the section's address is 0.
            let (symbol, section) = (symbol.st_value(endian).into(), section.sh_addr(endian));
            found.push((u64::wrapping_sub(symbol, section.into()), name.to_vec()));
        }
    }
    found.sort_unstable();
    Ok(Some((data, order, found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn symbol(offset: u64, name: &str) -> (u64, Vec<u8>) {
        (offset, name.as_bytes().to_vec())
    }

    #[test]
    fn ids_are_translated_and_sets_stay_ordered() {
        let words = [7, 2, 1, 8, 0x10, 9, 0x20, 2, 5, 6, 99];
        let symbols = [
            symbol(0, "struct__nf_conn__1"),
            symbol(4, "set8__kfuncs"),
            symbol(12, "func__a__2"),
            symbol(20, "func__b__3"),
            symbol(28, "set__hooks"),
        ];
        let ids = BtfIds::new(&data(&words), ByteOrder::Big, &symbols).unwrap();
        let types: Vec<_> = ids.types().map(|id| id.0).collect();
        assert_eq!(types, [7, 8, 9, 5, 6]);
        let new = |id: TypeId| (id.0 != 7).then_some(TypeId(100 - id.0));
        let (bytes, lost) = ids.translate(new);
        let expect = [0, 2, 1, 91, 0x20, 92, 0x10, 2, 94, 95, 99];
        assert_eq!((bytes, lost), (data(&expect), 1));
    }

    #[test]
    fn sets_in_each_other_are_refused() {
        let symbols = [symbol(0, "set__a"), symbol(4, "set__b")];
        let read = BtfIds::new(&data(&[2, 1, 5]), ByteOrder::Big, &symbols);
        let error = read.unwrap_err().to_string();
        assert!(error.contains("expected a set of ids"), "{error}");
    }

    #[test]
    fn what_reaches_out_is_refused() {
        let words = data(&[3, 1, 2]);
        for (offset, name) in [
            (0, "set__a"),
            (0, "set8__a"),
            (12, "struct__a"),
            (2, "func__a"),
        ] {
            let read = BtfIds::new(&words, ByteOrder::Big, &[symbol(offset, name)]);
            let error = read.unwrap_err().to_string();
            assert!(error.contains("expected a set of ids"), "{error}");
        }
    }
}

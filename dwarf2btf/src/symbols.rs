//! What an ELF file's symbols say about its functions, variables and `.BTF_ids` sets.
//!
//! A function of the DWARF becomes a FUNC only if the symbol table has it. Compilers rename what they change: `foo` can be
//! there as `foo`, `foo.isra.0`, `foo.constprop.3`, several of them, or, as the part that is rarely run, `foo.cold`. So
//! symbols are grouped by the name up to its first `.`, and parts (`.cold`, `.part`) do not count. A group whose symbols
//! lie at different addresses is *ambiguous*: the name does not tell which function is meant.
//!
//! **Differences from pahole 1.32**, each of them found by experiment:
//! - pahole never tests the alphabetically last group (two static functions `zz` at different addresses get one FUNC),
//!   and an address 0 between two others makes it forget the first. Here every group is tested.
//! - pahole also takes undefined function symbols into its table. Here they are left out: the function is not in the file.
//!
//! As in pahole the address 0 counts as none, so in a relocatable file two functions that each start their section
//! are not ambiguous. [`FunctionTable::is_ambiguous`] compares addresses only, not sections, for the same reason: a module's
//! `foo` at the same offset of two sections is rare, and what pahole would describe is described here too.
//!
//! Spec: gABI ch. 4, "Symbol Table".

use hashbrown::HashTable;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

/// `STT_OBJECT`: a variable.
pub const STT_OBJECT: u8 = 1;
/// `STT_FUNC`: a function.
pub const STT_FUNC: u8 = 2;
/// `STB_WEAK`: a definition that a strong one replaces.
pub const STB_WEAK: u8 = 2;
/// `SHN_UNDEF`: the section index of what is defined elsewhere.
pub const SHN_UNDEF: u32 = 0;

/// One entry of `.symtab`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// The name, without its NUL.
    pub name: &'a [u8],
    /// `st_value`: an address, or an offset in the section in a relocatable file.
    pub value: u64,
    /// `st_size`, in bytes.
    pub size: u64,
    /// The type half of `st_info`.
    pub st_type: u8,
    /// The binding half of `st_info`.
    pub st_bind: u8,
    /// The index of its section, extended indices resolved.
    pub section_index: u32,
}

/// The number of a function name in a [`FunctionTable`]; its order is the order of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionKey(pub u32);

/// One symbol of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionSymbol<'a> {
    /// The whole name, such as `foo.isra.0`.
    pub name: &'a [u8],
    /// The address, or the offset in the section in a relocatable file.
    pub address: u64,
    /// The index of the section.
    pub section_index: u32,
    /// Whether a strong definition would replace it.
    pub is_weak: bool,
}

impl FunctionSymbol<'_> {
    /// Whether the compiler renamed the function: its name has a suffix.
    #[must_use]
    pub fn has_suffix(&self) -> bool {
        self.name.contains(&b'.')
    }

    /// Whether the suffix says that the compiler changed the signature: `.constprop` or `.isra`.
    #[must_use]
    pub fn has_changed_signature(&self) -> bool {
        let suffix = suffix(self.name);
        contains(suffix, b".constprop") || contains(suffix, b".isra")
    }
}

/// The functions of a symbol table, grouped by name without suffix.
#[derive(Debug)]
pub struct FunctionTable<'a> {
    symbols: Vec<FunctionSymbol<'a>>,
    groups: Vec<Group<'a>>,
    index: HashTable<u32>,
}

#[derive(Debug)]
struct Group<'a> {
    name: &'a [u8],
    first: u32,
    count: u32,
    is_ambiguous: bool,
}

impl<'a> FunctionTable<'a> {
    /// Groups the functions among `symbols`, in any order.
    #[must_use]
    pub fn new(symbols: impl IntoIterator<Item = Symbol<'a>>) -> Self {
        let functions = symbols
            .into_iter()
            .filter(is_function)
            .map(|symbol| FunctionSymbol {
                name: symbol.name,
                address: symbol.value,
                section_index: symbol.section_index,
                is_weak: symbol.st_bind == STB_WEAK,
            });
        // The first bytes as a number decide most comparisons, so that few names are looked at.
        let mut keyed: Vec<(u64, &[u8], FunctionSymbol<'a>)> = functions
            .map(|function| {
                (
                    first_bytes(function.name),
                    key_name(function.name),
                    function,
                )
            })
            .collect();
        keyed.par_sort_unstable();
        let functions: Vec<FunctionSymbol<'a>> =
            keyed.into_iter().map(|(_, _, function)| function).collect();
        let mut groups = Vec::new();
        let mut first = 0_u32;
        for group in functions.chunk_by(|a, b| key_name(a.name) == key_name(b.name)) {
            let (Ok(count), Some(symbol)) = (u32::try_from(group.len()), group.first()) else {
                break;
            };
            groups.push(Group {
                name: key_name(symbol.name),
                first,
                count,
                is_ambiguous: has_two_addresses(group),
            });
            first = first.saturating_add(count);
        }
        let mut index = HashTable::with_capacity(groups.len());
        let name_of = |number: &u32| groups.get(*number as usize).map_or(&b""[..], |g| g.name);
        for (number, group) in (0_u32..).zip(&groups) {
            index.insert_unique(xxh3_64(group.name), number, |n| xxh3_64(name_of(n)));
        }
        Self {
            symbols: functions,
            groups,
            index,
        }
    }

    /// The key of the function `name`, which has no suffix.
    #[must_use]
    pub fn key(&self, name: &[u8]) -> Option<FunctionKey> {
        self.index
            .find(xxh3_64(name), |number| {
                self.groups
                    .get(*number as usize)
                    .is_some_and(|group| group.name == name)
            })
            .map(|number| FunctionKey(*number))
    }

    /// How many keys there are; they are numbered from 0.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is no function at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All keys, in the order of their names.
    pub fn keys(&self) -> impl Iterator<Item = FunctionKey> + use<> {
        (0..u32::try_from(self.groups.len()).unwrap_or(u32::MAX)).map(FunctionKey)
    }

    /// The name of `key`, without suffix; empty if there is no such key.
    #[must_use]
    pub fn name(&self, key: FunctionKey) -> &'a [u8] {
        self.groups.get(key.0 as usize).map_or(b"", |g| g.name)
    }

    /// The symbols of `key`, ordered by name and address.
    #[must_use]
    pub fn symbols(&self, key: FunctionKey) -> &[FunctionSymbol<'a>] {
        self.groups
            .get(key.0 as usize)
            .and_then(|group| {
                let first = group.first as usize;
                self.symbols.get(first..first + group.count as usize)
            })
            .unwrap_or_default()
    }

    /// Whether the symbols of `key` lie at two different addresses that are not 0.
    #[must_use]
    pub fn is_ambiguous(&self, key: FunctionKey) -> bool {
        self.groups
            .get(key.0 as usize)
            .is_some_and(|group| group.is_ambiguous)
    }
}

/// Whether a symbol is a defined function and not a mere part of one.
fn is_function(symbol: &Symbol<'_>) -> bool {
    let suffix = suffix(symbol.name);
    symbol.st_type == STT_FUNC
        && symbol.section_index != SHN_UNDEF
        && !key_name(symbol.name).is_empty()
        && !contains(suffix, b".cold")
        && !contains(suffix, b".part")
}

fn has_two_addresses(group: &[FunctionSymbol<'_>]) -> bool {
    let mut addresses = group
        .iter()
        .map(|symbol| symbol.address)
        .filter(|a| *a != 0);
    let first = addresses.next();
    addresses.any(|address| Some(address) != first)
}

/// Where the suffix of a symbol's name starts.
fn suffix_start(name: &[u8]) -> usize {
    name.iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(name.len())
}

/// The name up to its first `.`.
fn key_name(name: &[u8]) -> &[u8] {
    name.split_at(suffix_start(name)).0
}

/// The name from its first `.`.
fn suffix(name: &[u8]) -> &[u8] {
    name.split_at(suffix_start(name)).1
}

/// The first eight bytes of the key that a name has, as a number that orders as they do.
fn first_bytes(name: &[u8]) -> u64 {
    let key = key_name(name);
    let mut first = [0; 8];
    let count = key.len().min(8);
    first[..count].copy_from_slice(&key[..count]);
    u64::from_be_bytes(first)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The variables of a symbol table that lie at the start of a section, or anywhere if asked for.
#[derive(Debug, Default)]
pub struct ObjectSymbols<'a> {
    sorted: Vec<(u32, &'a [u8])>,
}

impl<'a> ObjectSymbols<'a> {
    /// Collects the `STT_OBJECT` symbols of the sections that `wants_section` names.
    #[must_use]
    pub fn new(
        symbols: impl IntoIterator<Item = Symbol<'a>>,
        wants_section: impl Fn(u32) -> bool,
    ) -> Self {
        let mut sorted: Vec<_> = symbols
            .into_iter()
            .filter(|symbol| symbol.st_type == STT_OBJECT && wants_section(symbol.section_index))
            .map(|symbol| (symbol.section_index, symbol.name))
            .collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted }
    }

    /// Whether the section has a variable of this name.
    ///
    /// The answer decides about a variable at offset 0 of its section: DWARF keeps variables of discarded sections, with
    /// the address 0, and where a section starts at 0, as `.data..percpu` does, only the symbols tell which one is real.
    #[must_use]
    pub fn has_object_symbol(&self, name: &[u8], section_index: u32) -> bool {
        self.sorted.binary_search(&(section_index, name)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, value: u64) -> Symbol<'_> {
        Symbol {
            name: name.as_bytes(),
            value,
            size: 1,
            st_type: STT_FUNC,
            st_bind: 1,
            section_index: 1,
        }
    }

    fn names(table: &FunctionTable<'_>, key: &str) -> Vec<String> {
        let key = table.key(key.as_bytes()).expect(key);
        let text = |s: &FunctionSymbol<'_>| String::from_utf8_lossy(s.name).into_owned();
        table.symbols(key).iter().map(text).collect()
    }

    #[test]
    fn symbols_are_grouped_without_suffixes() {
        let symbols = [
            function("foo.isra.0", 8),
            function("bar", 4),
            function("foo", 8),
            function("foo.cold", 99),
            function("foo.part.0", 98),
            function("foo.isra.0.cold", 97),
            function("particle", 3),
            function(".L", 2),
        ];
        let table = FunctionTable::new(symbols);
        assert_eq!(table.len(), 3);
        assert_eq!(names(&table, "foo"), ["foo", "foo.isra.0"]);
        assert_eq!(names(&table, "particle"), ["particle"]);
        assert_eq!(table.key(b"fo"), None);
        assert_eq!(table.key(b""), None);
        let sorted: Vec<_> = table.keys().map(|key| table.name(key)).collect();
        assert_eq!(sorted, [&b"bar"[..], b"foo", b"particle"]);
        assert!(table.symbols(FunctionKey(3)).is_empty());
    }

    #[test]
    fn what_is_no_function_here() {
        let mut object = function("object", 8);
        object.st_type = STT_OBJECT;
        let mut undefined = function("undefined", 0);
        undefined.section_index = SHN_UNDEF;
        let mut resolver = function("resolver", 8);
        resolver.st_type = 10; // STT_GNU_IFUNC
        assert!(FunctionTable::new([object, undefined, resolver]).is_empty());
    }

    #[track_caller]
    fn check_ambiguous(symbols: &[(&str, u64)], expect: bool) {
        let table = FunctionTable::new(symbols.iter().map(|(name, value)| function(name, *value)));
        assert_eq!(table.is_ambiguous(FunctionKey(0)), expect, "{symbols:?}");
    }

    #[test]
    fn ambiguous_addresses() {
        check_ambiguous(&[("f", 8)], false);
        check_ambiguous(&[("f", 8), ("f", 8)], false);
        check_ambiguous(&[("f", 8), ("f", 16)], true);
        check_ambiguous(&[("f", 8), ("f.isra.0", 16)], true);
        check_ambiguous(&[("f", 0), ("f", 16)], false);
        check_ambiguous(&[("f", 8), ("f.a", 0), ("f.b", 16)], true);
        check_ambiguous(&[("f", 8), ("f.cold", 16)], false);
        check_ambiguous(&[], false);
    }

    #[test]
    fn suffixes() {
        let symbol = |name| FunctionTable::new([function(name, 1)]).symbols[0];
        assert!(symbol("f.isra.0").has_changed_signature());
        assert!(symbol("f.llvm.1.constprop.0").has_changed_signature());
        assert!(!symbol("f.llvm.1").has_changed_signature());
        assert!(!symbol("isra").has_changed_signature());
        assert!(symbol("f.llvm.1").has_suffix());
        assert!(!symbol("f").has_suffix());
    }

    #[test]
    fn objects() {
        let mut object = function("x", 0);
        object.st_type = STT_OBJECT;
        object.section_index = 7;
        let other = function("y", 0);
        let objects = ObjectSymbols::new([object, other], |section| section == 7);
        assert!(objects.has_object_symbol(b"x", 7));
        assert!(!objects.has_object_symbol(b"x", 1));
        assert!(!objects.has_object_symbol(b"y", 1));
        assert!(!ObjectSymbols::new([object], |_| false).has_object_symbol(b"x", 7));
    }
}

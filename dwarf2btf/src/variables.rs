//! Which variables become VAR, and how they make up DATASEC.
//!
//! A variable is described if it lies in a section that was asked for: `.data..percpu`, which BPF programs use, or with
//! `global_var` every section with contents. The kernel refuses BTF in which the entries of a DATASEC are not ascending or
//! overlap; compilers write such (clang merges globals, units repeat a definition), so of variables that overlap
//! only the first is kept and each other one is a finding.
//!
//! **Offset 0.** DWARF keeps the variables of sections that the linker discarded, with the address 0. Where a wanted section
//! starts at that address they look as if they lay at its start. So a variable at offset 0 only counts if the
//! symbol table has it in that section.
//!
//! **Differences from pahole 1.32**: sections that are not loaded (`.comment`, `.debug_*`, which all "start" at the
//! address 0) and thread-local ones never hold a variable; overlaps are resolved; more than `max_count` variables of one
//! section are a finding and not a wrong count. On Debian's 7.2 cloud kernel the 423 per-CPU variables are the same; of all
//! sections 190 more are described, mostly arrays whose `extern` declaration has no bound: pahole takes the type from the
//! declaration, the caller of [`VariableSections::place`] should prefer the definition's own. As there, a DATASEC's size is where its last variable ends.
//!
//! Spec: Documentation/bpf/btf.rst, "`BTF_KIND_VAR`", "`BTF_KIND_DATASEC`"; kernel/bpf/btf.c (`btf_datasec_check_meta`).

use crate::symbols::ObjectSymbols;

/// The section of per-CPU variables.
pub const PERCPU: &[u8] = b".data..percpu";

/// Prefixes of names that kernels give to variables nobody means to look at.
const HIDDEN_PREFIXES: [&[u8]; 5] = [
    b"__UNIQUE_ID",
    b"__tpstrtab_",
    b"__exitcall_",
    b"__gendwarfksyms_ptr_",
    b"__func_stack_frame_non_standard_",
];

/// How long a name may be, in bytes: kernels before 6.1 refuse 128 (`KSYM_NAME_LEN`).
const MAX_NAME_BYTES: usize = 127;

/// A section of the file, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its index in the file.
    pub index: u32,
    /// Its name.
    pub name: &'a [u8],
    /// `sh_addr`; 0 in a relocatable file.
    pub address: u64,
    /// `sh_size`, in bytes.
    pub size: u64,
    /// Whether it is loaded and is of type `SHT_PROGBITS` or `SHT_NOBITS`, and not thread-local.
    pub holds_variables: bool,
}

/// A variable with a fixed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable<'a, T> {
    /// Its name; empty if it has none.
    pub name: &'a [u8],
    /// Its address; in a relocatable file the offset in `section`.
    pub address: u64,
    /// In a relocatable file the index of its section.
    pub section: Option<u32>,
    /// The size of its type, in bytes.
    pub size: u64,
    /// Its type; `None` for `void`.
    pub ty: Option<T>,
    /// Whether it has `DW_AT_external`.
    pub is_external: bool,
    /// The unit, in input order.
    pub unit: u32,
    /// The offset of its DIE in `.debug_info`, in bytes.
    pub die_offset: u64,
}

/// Which variables are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Those of `.data..percpu` (`var`).
    pub percpu: bool,
    /// Those of all sections, `.data..percpu` included (`global_var`).
    pub global: bool,
}

/// Why a variable is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VariableReason {
    /// It has no name.
    NoName,
    /// Its name starts as those that a kernel generates.
    HiddenName,
    /// It lies in no section, or in one that was not asked for.
    OtherSection,
    /// It would start its section, but the symbol table does not have it there: its own section was discarded.
    Discarded,
    /// Its type has no size.
    NoSize,
    /// It does not end within its section, or not within 4 GiB of its start.
    TooLarge,
    /// Kernels refuse its name. An error, unless it is forced.
    InvalidName,
    /// Its type is `void`. An error, unless it is forced.
    VoidType,
    /// It overlaps this earlier variable, an index into what [`assemble`] was given.
    Overlaps(usize),
    /// Its section has more variables than a DATASEC can hold.
    TooMany,
}

impl VariableReason {
    /// Whether it ends the conversion unless `encode_force` is on.
    #[must_use]
    pub const fn is_error(self) -> bool {
        matches!(self, Self::InvalidName | Self::VoidType)
    }
}

/// Where a variable lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The index of its section in the file.
    pub section: u32,
    /// Its offset in that section, in bytes.
    pub offset: u32,
    /// Its size, in bytes.
    pub size: u32,
}

/// The sections that variables may lie in.
#[derive(Debug)]
pub struct VariableSections<'a> {
    by_index: Vec<Section<'a>>,
    /// Positions in `by_index`, ordered by address.
    by_address: Vec<usize>,
}

impl<'a> VariableSections<'a> {
    /// Takes the sections that are asked for, in any order.
    #[must_use]
    pub fn new(sections: impl IntoIterator<Item = Section<'a>>, selection: Selection) -> Self {
        let mut by_index: Vec<_> = sections
            .into_iter()
            .filter(|section| {
                let is_wanted = selection.global || selection.percpu && section.name == PERCPU;
                // A DATASEC is called as its section.
                let is_sayable = !section.name.is_empty() && section.size > 0;
                is_wanted && section.holds_variables && is_sayable
            })
            .collect();
        by_index.sort_unstable_by_key(|section| section.index);
        let mut by_address: Vec<_> = (0..by_index.len()).collect();
        by_address.sort_by_key(|at| by_index.get(*at).map(|section| section.address));
        Self {
            by_index,
            by_address,
        }
    }

    /// Whether no section is asked for or there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_index.is_empty()
    }

    /// Whether variables may lie in the section `index`; what to collect [`ObjectSymbols`] for.
    #[must_use]
    pub fn has(&self, index: u32) -> bool {
        self.by_number(index).is_some()
    }

    /// Where a variable lies, or why it is left out. The cheapest tests come first.
    ///
    /// # Errors
    /// The reason to leave it out; see [`VariableReason::is_error`].
    pub fn place<T>(
        &self,
        variable: &Variable<'_, T>,
        objects: &ObjectSymbols<'_>,
    ) -> Result<Place, VariableReason> {
        let section = match variable.section {
            Some(index) => self.by_number(index),
            None => self.at_address(variable.address),
        }
        .ok_or(VariableReason::OtherSection)?;
        let offset = match variable.section {
            Some(_) => variable.address,
            None => variable.address.saturating_sub(section.address),
        };
        let name = variable.name;
        if name.is_empty() {
            return Err(VariableReason::NoName);
        }
        if HIDDEN_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            return Err(VariableReason::HiddenName);
        }
        if offset == 0 && !objects.has_object_symbol(name, section.index) {
            return Err(VariableReason::Discarded);
        }
        if !is_valid_name(name) {
            return Err(VariableReason::InvalidName);
        }
        if variable.ty.is_none() {
            return Err(VariableReason::VoidType);
        }
        if variable.size == 0 {
            return Err(VariableReason::NoSize);
        }
        let end = offset.checked_add(variable.size);
        let limit = section.size.min(u64::from(u32::MAX));
        match (u32::try_from(offset), u32::try_from(variable.size)) {
            (Ok(offset), Ok(size)) if end.is_some_and(|end| end <= limit) => Ok(Place {
                section: section.index,
                offset,
                size,
            }),
            _ => Err(VariableReason::TooLarge),
        }
    }

    /// The section with this index.
    fn by_number(&self, index: u32) -> Option<&Section<'a>> {
        let at = self
            .by_index
            .binary_search_by_key(&index, |section| section.index);
        self.by_index.get(at.ok()?)
    }

    /// The section that holds this address: the last one that starts at or before it and is long enough.
    fn at_address(&self, address: u64) -> Option<&Section<'a>> {
        let starts_before = |at: &usize| {
            self.by_index
                .get(*at)
                .is_some_and(|section| section.address <= address)
        };
        let count = self.by_address.partition_point(starts_before);
        let candidates = self.by_address.get(..count)?;
        let section = self.by_index.get(*candidates.last()?)?;
        (address - section.address < section.size).then_some(section)
    }
}

/// Whether kernels accept a variable's name: letters, digits, `_` and `.`, no digit in front, at most 127 bytes.
#[must_use]
pub fn is_valid_name(name: &[u8]) -> bool {
    let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'.';
    name.len() <= MAX_NAME_BYTES
        && name.first().is_some_and(|byte| is_start(*byte))
        && name
            .iter()
            .all(|byte| is_start(*byte) || byte.is_ascii_digit())
}

/// One entry of a [`Datasec`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The variable, an index into what [`assemble`] was given.
    pub variable: usize,
    /// Its offset in the section, in bytes.
    pub offset: u32,
    /// Its size, in bytes.
    pub size: u32,
}

/// The variables of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datasec {
    /// The index of the section in the file.
    pub section: u32,
    /// Where the last variable ends, in bytes.
    pub size: u32,
    /// The variables, ascending and without overlaps.
    pub entries: Vec<Entry>,
}

/// Makes up one DATASEC per section, in the order of the sections' indices.
///
/// `places` holds the variables in input order; of those that overlap the one that starts first is kept, of those that
/// start together the first in input order. Also gives the indices of those that are left out, with the reason; they
/// must not become VARs, since a VAR in no DATASEC means nothing to a loader.
#[must_use]
pub fn assemble(
    places: &[Place],
    max_count: usize,
) -> (Vec<Datasec>, Vec<(usize, VariableReason)>) {
    let mut sorted: Vec<(usize, &Place)> = places.iter().enumerate().collect();
    sorted.sort_by_key(|(_, place)| (place.section, place.offset));
    let mut left_out = Vec::new();
    let mut sections: Vec<Datasec> = Vec::new();
    for (variable, place) in sorted {
        let entry = Entry {
            variable,
            offset: place.offset,
            size: place.size,
        };
        let end = place.offset.saturating_add(place.size);
        match sections
            .last_mut()
            .filter(|last| last.section == place.section)
        {
            None => sections.push(Datasec {
                section: place.section,
                size: end,
                entries: vec![entry],
            }),
            Some(last) if place.offset < last.size => {
                let earlier = last.entries.last().map_or(variable, |entry| entry.variable);
                left_out.push((variable, VariableReason::Overlaps(earlier)));
            }
            Some(last) if last.entries.len() >= max_count => {
                left_out.push((variable, VariableReason::TooMany));
            }
            Some(last) => {
                last.size = end;
                last.entries.push(entry);
            }
        }
    }
    left_out.sort_unstable_by_key(|(variable, _)| *variable);
    (sections, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::{STT_OBJECT, Symbol};

    const SECTIONS: [Section<'static>; 4] = [
        section(7, b".bss", 0x5000, 0x100),
        section(3, PERCPU, 0, 0x40),
        section(5, b".data", 0x4000, 0x1000),
        Section {
            holds_variables: false,
            ..section(9, b".debug_info", 0, 0xffff_ffff)
        },
    ];

    const fn section(index: u32, name: &[u8], address: u64, size: u64) -> Section<'_> {
        Section {
            index,
            name,
            address,
            size,
            holds_variables: true,
        }
    }

    fn variable(name: &str, address: u64, size: u64) -> Variable<'_, u32> {
        Variable {
            name: name.as_bytes(),
            address,
            section: None,
            size,
            ty: Some(1),
            is_external: true,
            unit: 0,
            die_offset: 0,
        }
    }

    fn objects() -> ObjectSymbols<'static> {
        let symbol = |name, section_index| Symbol {
            name,
            value: 0,
            size: 4,
            st_type: STT_OBJECT,
            st_bind: 1,
            section_index,
        };
        ObjectSymbols::new([symbol(&b"first"[..], 3), symbol(b"start", 5)], |_| true)
    }

    #[track_caller]
    fn check(variable: Variable<'_, u32>, expect: Result<(u32, u32), VariableReason>) {
        let all = Selection {
            percpu: false,
            global: true,
        };
        let place = VariableSections::new(SECTIONS, all).place(&variable, &objects());
        assert_eq!(place.map(|place| (place.section, place.offset)), expect);
    }

    #[test]
    fn places() {
        check(variable("a", 0x10, 4), Ok((3, 0x10)));
        check(variable("a", 0x4010, 4), Ok((5, 0x10)));
        check(variable("a", 0x4fff, 1), Ok((5, 0xfff)));
        check(variable("a", 0x50ff, 1), Ok((7, 0xff)));
        check(variable("a", 0x5100, 1), Err(VariableReason::OtherSection));
        check(variable("a", 0x40, 1), Err(VariableReason::OtherSection));
        check(variable("a", 0x50fd, 4), Err(VariableReason::TooLarge));
        check(variable("a", 0x10, u64::MAX), Err(VariableReason::TooLarge));
        let mut relocatable = variable("a", 0x10, 4);
        relocatable.section = Some(7);
        check(relocatable, Ok((7, 0x10)));
        relocatable.section = Some(8);
        check(relocatable, Err(VariableReason::OtherSection));
    }

    #[test]
    fn a_section_without_a_name_has_no_variables() {
        let selection = Selection {
            percpu: true,
            global: true,
        };
        let of_name = |name| VariableSections::new([section(1, name, 0, 8)], selection);
        assert!(of_name(b"").is_empty());
        assert!(!of_name(b".data").is_empty());
    }

    #[test]
    fn the_start_of_a_section_needs_a_symbol() {
        check(variable("first", 0, 4), Ok((3, 0)));
        check(variable("start", 0, 4), Err(VariableReason::Discarded));
        check(variable("start", 0x4000, 4), Ok((5, 0)));
        check(variable("first", 0x4000, 4), Err(VariableReason::Discarded));
    }

    #[test]
    fn names_types_and_sizes() {
        check(variable("", 0x10, 4), Err(VariableReason::NoName));
        for prefix in [
            "__UNIQUE_ID_x",
            "__tpstrtab_",
            "__exitcall_f",
            "__gendwarfksyms_ptr_f",
        ] {
            check(variable(prefix, 0x10, 4), Err(VariableReason::HiddenName));
        }
        check(variable("a b", 0x10, 4), Err(VariableReason::InvalidName));
        check(variable("a", 0x10, 0), Err(VariableReason::NoSize));
        let mut void = variable("a", 0x10, 4);
        void.ty = None;
        check(void, Err(VariableReason::VoidType));
        assert!(VariableReason::VoidType.is_error() && VariableReason::InvalidName.is_error());
        assert!(!VariableReason::NoSize.is_error());
    }

    #[test]
    fn valid_names() {
        for (name, expect) in [
            ("a", true),
            ("_a.1", true),
            (".a", true),
            ("1a", false),
            ("a-b", false),
            ("é", false),
            ("", false),
        ] {
            assert_eq!(is_valid_name(name.as_bytes()), expect, "{name}");
        }
        assert!(is_valid_name(&[b'a'; 127]));
        assert!(!is_valid_name(&[b'a'; 128]));
    }

    #[test]
    fn selections() {
        let sections =
            |percpu, global| VariableSections::new(SECTIONS, Selection { percpu, global });
        assert!(sections(false, false).is_empty());
        let percpu = sections(true, false);
        assert!(percpu.has(3) && !percpu.has(5));
        let global = sections(false, true);
        assert!(global.has(3) && global.has(5) && global.has(7) && !global.has(9));
    }

    fn place(section: u32, offset: u32, size: u32) -> Place {
        Place {
            section,
            offset,
            size,
        }
    }

    #[track_caller]
    fn check_assembly(
        places: &[Place],
        expect: &[(u32, u32, &[usize])],
        out: &[(usize, VariableReason)],
    ) {
        let (sections, left_out) = assemble(places, 3);
        assert_eq!(sections.len(), expect.len());
        for (section, (index, size, variables)) in sections.iter().zip(expect) {
            assert_eq!((section.section, section.size), (*index, *size));
            let found: Vec<_> = section.entries.iter().map(|entry| entry.variable).collect();
            assert_eq!(found, *variables);
            let mut end = 0;
            for entry in &section.entries {
                assert!(entry.offset >= end);
                end = entry.offset.saturating_add(entry.size);
            }
        }
        assert_eq!(left_out, out);
    }

    #[test]
    fn assembly() {
        check_assembly(&[], &[], &[]);
        check_assembly(
            &[place(5, 8, 4), place(3, 4, 4), place(5, 0, 8)],
            &[(3, 8, &[1]), (5, 12, &[2, 0])],
            &[],
        );
        // The same variable twice, one inside of another, and one that starts inside and ends outside.
        check_assembly(
            &[
                place(3, 0, 8),
                place(3, 0, 8),
                place(3, 4, 1),
                place(3, 7, 4),
                place(3, 8, 1),
            ],
            &[(3, 9, &[0, 4])],
            &[
                (1, VariableReason::Overlaps(0)),
                (2, VariableReason::Overlaps(0)),
                (3, VariableReason::Overlaps(0)),
            ],
        );
        check_assembly(
            &[
                place(3, 0, 1),
                place(3, 1, 1),
                place(3, 2, 1),
                place(3, 3, 1),
            ],
            &[(3, 3, &[0, 1, 2])],
            &[(3, VariableReason::TooMany)],
        );
        check_assembly(&[place(3, u32::MAX, 9)], &[(3, u32::MAX, &[0])], &[]);
    }
}

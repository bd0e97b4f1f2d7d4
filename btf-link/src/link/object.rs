//! An object file for BPF, taken apart: sections, symbols, relocations and BTF as plain lists.
//!
//! What the linker never needs is left out here: debugging information, string tables, what only compilers read. From here on
//! nothing knows how ELF lays out its tables, nor whether an addend stood in the relocation or in the field.
#![deny(clippy::indexing_slicing)]

mod read;

use btf_core::ext::BtfExt;
use btf_core::types::Datasec;
use btf_core::{Btf, ByteOrder, Info, Kind, Type, TypeId};
use object::elf::{SHF_EXECINSTR, STT_FILE, STT_FUNC, STT_OBJECT, STT_SECTION};

use super::SharedSymbol;
use super::names::ByName;

pub(crate) use read::is_never_read;

/// The longest name, in bytes, of a symbol, function or variable. Names are looked up once for each place where they stand, so
/// endless ones would take endless time.
const MAX_NAME: usize = 4096;

/// An object file.
#[derive(Debug)]
pub(crate) struct Object<'d> {
    /// What messages call it: a path, or an archive's path with the member's name.
    pub(crate) name: String,
    pub(crate) order: ByteOrder,
    /// The flags of its header: for GCC's objects the version of the instruction set.
    pub(crate) flags: u32,
    /// By the numbers of the file; those that are not linked are [`Section::default`].
    pub(crate) sections: Vec<Section<'d>>,
    /// By the numbers of the file.
    pub(crate) symbols: Vec<Symbol<'d>>,
    pub(crate) btf: Option<Btf>,
    pub(crate) declarations: Declarations,
    pub(crate) ext: Option<BtfExt>,
    /// The signatures of its groups, of which one is kept, with the sections of each.
    pub(crate) groups: Vec<(&'d [u8], Vec<usize>)>,
    /// The number of the first linked section of each name.
    by_name: ByName<'d, usize>,
}

/// The records of an object's BTF that are no types, in the order of their ids: few among many.
#[derive(Debug, Default)]
pub(crate) struct Declarations {
    /// FUNCs and VARs.
    pub(crate) entities: Vec<TypeId>,
    pub(crate) datasecs: Vec<TypeId>,
    pub(crate) tags: Vec<TypeId>,
}

impl Declarations {
    fn of(btf: &Btf) -> Self {
        let mut found = Self::default();
        for (id, record) in btf.records() {
            let kind = record.get(1).and_then(|&info| Info(info).kind());
            if matches!(kind, Some(Kind::Func | Kind::Var)) {
                found.entities.push(id);
            } else if kind == Some(Kind::Datasec) {
                found.datasecs.push(id);
            } else if kind == Some(Kind::DeclTag) {
                found.tags.push(id);
            }
        }
        found
    }

    fn all(&self) -> impl Iterator<Item = TypeId> + '_ {
        let lists = [&self.entities, &self.datasecs, &self.tags];
        lists.into_iter().flatten().copied()
    }
}

/// A section that is linked.
#[derive(Debug, Default)]
pub(crate) struct Section<'d> {
    pub(crate) name: &'d [u8],
    /// `SHT_PROGBITS`, `SHT_NOBITS` or `SHT_NOTE`; 0 for one that is not linked.
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    /// A power of two.
    pub(crate) align: u64,
    pub(crate) entry_size: u64,
    /// In bytes.
    pub(crate) size: u64,
    /// Nothing for `SHT_NOBITS`.
    pub(crate) bytes: &'d [u8],
    pub(crate) relocations: Vec<Relocation>,
}

/// A relocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relocation {
    /// Where it applies, in bytes from the start of its section.
    pub(crate) offset: u64,
    /// The number of the symbol.
    pub(crate) symbol: usize,
    /// One of [`super::relocations`]' kinds.
    pub(crate) kind: u32,
    /// The addend in bytes, if it does not stand in the field.
    pub(crate) addend: Option<i64>,
}

/// A symbol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbol<'d> {
    pub(crate) name: &'d [u8],
    pub(crate) place: Place,
    /// The offset in its section, in bytes.
    pub(crate) value: u64,
    /// In bytes; 0 if it is not known.
    pub(crate) size: u64,
    pub(crate) binding: Binding,
    /// An `STT_*`.
    pub(crate) kind: u8,
    /// An `STV_*`.
    pub(crate) visibility: u8,
}

/// Where a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Undefined,
    Absolute,
    Section(usize),
    /// In a section that is not linked.
    Nowhere,
}

/// How a symbol of one name is told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Local,
    Global,
    Weak,
}

impl Section<'_> {
    /// Whether it is linked.
    pub(crate) fn is_linked(&self) -> bool {
        self.kind != 0
    }

    /// Whether it holds instructions.
    pub(crate) fn is_code(&self) -> bool {
        self.flags & SHF_EXECINSTR.0 != 0
    }
}

impl Symbol<'_> {
    /// Whether it stands for a section.
    pub(crate) fn is_section(&self) -> bool {
        self.kind == STT_SECTION.0
    }

    /// Whether it names the source file.
    pub(crate) fn is_file(&self) -> bool {
        self.kind == STT_FILE.0
    }

    /// Whether it names a function or a variable, and not just a place.
    pub(crate) fn is_item(&self) -> bool {
        self.kind == STT_FUNC.0 || self.kind == STT_OBJECT.0
    }
}
impl<'d> Object<'d> {
    /// The names that the object defines for others.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = &'d [u8]> + '_ {
        let is_definition = |symbol: &&Symbol<'_>| {
            symbol.binding != Binding::Local && symbol.place != Place::Undefined
        };
        self.symbols
            .iter()
            .filter(is_definition)
            .map(|symbol| symbol.name)
    }

    /// The names that it needs from others.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &'d [u8]> + '_ {
        let is_needed = |symbol: &&Symbol<'_>| {
            symbol.binding == Binding::Global && symbol.place == Place::Undefined
        };
        self.symbols
            .iter()
            .filter(is_needed)
            .map(|symbol| symbol.name)
    }

    /// What another linker has to know.
    pub(crate) fn shared(&self) -> impl Iterator<Item = SharedSymbol> + '_ {
        let is_shared = |symbol: &&Symbol<'_>| {
            let section = match symbol.place {
                Place::Section(section) => self.sections.get(section).map(|section| section.name),
                Place::Undefined | Place::Absolute => None,
                Place::Nowhere => return false,
            };
            symbol.binding != Binding::Local
                && !matches!(section, Some(b"license" | b"version" | b".jumptables"))
        };
        let shared = self.symbols.iter().filter(is_shared);
        shared.map(|symbol| SharedSymbol {
            name: symbol.name.to_vec(),
            is_defined: symbol.place != Place::Undefined,
            is_weak: symbol.binding == Binding::Weak,
            visibility: symbol.visibility,
        })
    }

    /// The functions and variables in its BTF, decoded.
    pub(crate) fn entities(&self) -> impl Iterator<Item = (&Btf, TypeId, Type<'_>)> {
        self.decoded(&self.declarations.entities)
    }

    /// The DATASECs in its BTF.
    pub(crate) fn datasecs(&self) -> impl Iterator<Item = (&Btf, Datasec<'_>)> {
        let decoded = self.decoded(&self.declarations.datasecs);
        decoded.filter_map(|(btf, _, ty)| {
            if let Type::Datasec(datasec) = ty {
                return Some((btf, datasec));
            }
            None
        })
    }

    /// The tags on declarations in its BTF, decoded.
    pub(crate) fn tags(&self) -> impl Iterator<Item = (&Btf, TypeId, Type<'_>)> {
        self.decoded(&self.declarations.tags)
    }

    fn decoded<'o>(
        &'o self,
        ids: &'o [TypeId],
    ) -> impl Iterator<Item = (&'o Btf, TypeId, Type<'o>)> {
        let btf = self.btf.as_ref();
        ids.iter()
            .filter_map(move |&id| Some((btf?, id, btf?.ty(id).ok()?)))
    }

    /// The number of the first linked section of this name.
    pub(crate) fn section(&self, name: &[u8]) -> Option<usize> {
        (name.len() <= MAX_NAME)
            .then(|| self.by_name.get(name).copied())
            .flatten()
    }
}

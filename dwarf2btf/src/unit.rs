//! One unit: the walk over its DIEs that makes a fragment of types, and lists its functions and variables.
//!
//! The walk goes once through the DIEs in the order of the file, with a stack of open scopes instead of recursion.
//! Record by record the types go into a [`Fragment`]; members wait in one shared stack until their type's end is seen.
//! References are links until the walk is over ([`crate::references`]). What becomes of which DIE is in [`crate::lower`].
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit, and the lengths of lists made from it, fit 30 bits: `units` refuses longer units"
)]

mod items;
mod values;

use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use btf_core::dedup::{Fragment, Name};
use btf_core::{Error, ErrorKind, Result};
use gimli::constants as dw;

use crate::abbrev::{Action, Plan, Slot, Table};
use crate::base::Base;
use crate::die::{self, Attributes, Bytes, Malformed};
use crate::features::{Feature, FeatureSet};
use crate::finding::{Finding, FindingKind};
use crate::functions::Compiler;
use crate::input::{Image, RelocationCursor};
use crate::languages::{LanguageFilter, UnitLanguage};
use crate::names::{FastMap, Names};
use crate::references::{ForeignDie, Link, References};
use crate::units::{Unit, Units};

pub(crate) use items::{
    DeclTag, OldBitfield, Parameter, Pending, RawLocation, Scope, ScopeKind, Subprogram, TagOwner,
    Variable,
};

/// What all workers read.
pub(crate) struct Context<'c, 'a> {
    pub(crate) image: &'a Image<'a>,
    pub(crate) units: &'c Units<'a>,
    pub(crate) names: &'c Names<'a>,
    pub(crate) languages: &'c LanguageFilter,
    pub(crate) lowering: Lowering,
}

/// How types are written: the features that bear on that.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a feature of its own, named as pahole names it"
)]
pub(crate) struct Lowering {
    pub(crate) float: bool,
    pub(crate) decl_tag: bool,
    pub(crate) type_tag: bool,
    pub(crate) enum64: bool,
    pub(crate) variables: bool,
    /// Whether an array of several dimensions becomes one of all their elements.
    pub(crate) flat_arrays: bool,
}

impl Lowering {
    /// What `features` ask for, in the way in which the base has it.
    ///
    /// # Errors
    /// [`btf_core::ErrorKind::UnusableBase`] if its types cannot be read.
    pub(crate) fn new(features: FeatureSet, base: Option<&Base>) -> Result<Self> {
        let flat_arrays = base.map(Base::has_flat_arrays).transpose()?;
        Ok(Self {
            float: features.has(Feature::Float),
            decl_tag: features.has(Feature::DeclTag),
            type_tag: features.has(Feature::TypeTag),
            enum64: features.has(Feature::Enum64),
            variables: features.has(Feature::Var) || features.has(Feature::GlobalVar),
            flat_arrays: flat_arrays.unwrap_or_default(),
        })
    }
}

/// A unit that is being read.
#[derive(Debug)]
pub(crate) struct UnitState<'a> {
    pub(crate) index: u32,
    pub(crate) unit: &'a Unit,
    /// The unit's bytes, header included.
    pub(crate) data: &'a [u8],
    pub(crate) table: Arc<Table>,
    relocations: RelocationCursor<'a>,
    /// Whether values in the unit may be relocated.
    is_relocated: bool,
    pub(crate) language: UnitLanguage,
    pub(crate) compiler: Compiler,
    pub(crate) name: Name,
    /// The file that the unit's DWARF is in, if it is not this one.
    pub(crate) dwo_name: Name,
    /// Whether the unit describes functions without types and parameters (gcc's `-g1`).
    pub(crate) is_terse: bool,
    str_offsets_base: u64,
    addr_base: u64,
    pub(crate) loclists_base: u64,
}

/// Reads units one after the other, keeping its memory.
pub(crate) struct UnitReader<'c, 'a> {
    pub(crate) context: &'c Context<'c, 'a>,
    pub(crate) fragment: Fragment,
    pub(crate) references: References,
    pub(crate) scopes: Vec<Scope>,
    /// What waits for the end of its type, innermost last.
    pub(crate) pending: Vec<Pending>,
    pub(crate) subprograms: Vec<Subprogram>,
    /// The index of each function that was fetched from another unit.
    pub(crate) foreign_subprograms: FastMap<ForeignDie, u32>,
    pub(crate) parameters: Vec<Parameter>,
    /// Those of this unit, in the order of their DIEs, and behind them those that were fetched.
    pub(crate) variables: Vec<Variable>,
    /// The index of each variable that was fetched from another unit.
    pub(crate) foreign_variables: FastMap<ForeignDie, u32>,
    /// The other units that were read from, so that each one's root is read once.
    pub(crate) entered: FastMap<u32, UnitState<'c>>,
    /// The local id of each forward declaration that stands for a type of another unit, in order, and that type.
    pub(crate) foreign_forwards: Vec<(u32, ForeignDie)>,
    pub(crate) decl_tags: Vec<DeclTag>,
    /// GNU annotations: their links, text, whether it is a type tag, next.
    pub(crate) gnu_annotations: Vec<(u32, Name, Option<bool>, u32)>,
    /// What has GNU annotations: what it is, and the first.
    pub(crate) gnu_annotated: Vec<(ScopeKind, Option<TagOwner>, u32)>,
    pub(crate) old_bitfields: Vec<OldBitfield>,
    /// Enumerations of 8 bytes, with their underlying types.
    pub(crate) wide_enums: Vec<(u32, Link)>,
    /// For members with another index than the order of their DIEs gives them, by that order: their DIE's parent as a
    /// link, and the index, if the member is there at all.
    pub(crate) moved_members: FastMap<(u32, i32), Option<i32>>,
    /// Words of members and elements that lead to `void`.
    pub(crate) void_words: Vec<usize>,
    /// Whether the unit has arrays.
    pub(crate) has_array: bool,
    pub(crate) findings: Vec<Finding>,
    /// The number of functions that are open.
    pub(crate) function_depth: usize,
    /// The unit that DIEs are fetched from, if it is not the one that is read.
    pub(crate) fetching: bool,
    /// The number of DIEs of other units looked at.
    pub(crate) fetched_die_count: u64,
    /// The DIE that is being read, for findings about its attributes; not that of leaves.
    pub(crate) die: u32,
    /// The tables used last, by their index among those of all units.
    tables: Vec<(u32, Arc<Table>)>,
    attributes: Attributes,
    /// The number of DIEs looked at, for the summary.
    pub(crate) die_count: u64,
}

/// Whether a compiler was told to describe no types and no parameters: the last option of gcc's about that is `-g1`.
///
/// Its functions look as if they had no parameters; pahole 1.32 describes them so.
fn is_terse(producer: &[u8]) -> bool {
    let options = producer.split(|byte| *byte == b' ');
    let mut levels = options.filter(|option| {
        let level = option.strip_prefix(b"-ggdb").or(option.strip_prefix(b"-g"));
        level.is_some_and(|level| level.len() < 2 && level.iter().all(u8::is_ascii_digit))
    });
    levels.next_back().is_some_and(|last| last.ends_with(b"1"))
}

/// Whether leaves are read in the short way, as always but in a test.
#[inline]
fn reads_leaves() -> bool {
    #[cfg(test)]
    return READS_LEAVES.load(Ordering::Relaxed);
    #[cfg(not(test))]
    true
}

/// Off while a test reads leaves in the long way, for comparison.
#[cfg(test)]
pub(crate) static READS_LEAVES: AtomicBool = AtomicBool::new(true);
/// How many leaves tests have read in the short way.
#[cfg(test)]
pub(crate) static LEAVES_READ: AtomicU64 = AtomicU64::new(0);

/// How deep DIEs may be nested. Compilers limit their sources to some hundreds.
const MAX_NESTING: usize = 1 << 16;

/// What [`UnitReader::locate`] tells the cause of.
pub(crate) const RELOCATION: &str = "known relocation";

/// The number of abbreviation tables that a thread keeps.
const TABLES_KEPT: usize = 16;

impl<'c, 'a> UnitReader<'c, 'a> {
    pub(crate) fn new(context: &'c Context<'c, 'a>) -> Self {
        Self {
            context,
            fragment: Fragment::default(),
            references: References::default(),
            scopes: Vec::new(),
            pending: Vec::new(),
            subprograms: Vec::new(),
            foreign_subprograms: FastMap::default(),
            parameters: Vec::new(),
            variables: Vec::new(),
            foreign_variables: FastMap::default(),
            entered: FastMap::default(),
            foreign_forwards: Vec::new(),
            decl_tags: Vec::new(),
            gnu_annotations: Vec::new(),
            gnu_annotated: Vec::new(),
            old_bitfields: Vec::new(),
            wide_enums: Vec::new(),
            moved_members: FastMap::default(),
            void_words: Vec::new(),
            has_array: false,
            findings: Vec::new(),
            function_depth: 0,
            fetching: false,
            fetched_die_count: 0,
            die: 0,
            tables: Vec::new(),
            attributes: Attributes::default(),
            die_count: 0,
        }
    }

    /// Reads unit `index`; `None` if its language is left out.
    ///
    /// # Errors
    /// Malformed DWARF, with its place.
    pub(crate) fn read(&mut self, index: u32) -> Result<Option<UnitState<'c>>> {
        let die_count = self.die_count;
        let mut walked = self.walk_unit(index, reads_leaves());
        if walked.is_err() {
            // The short way to read leaves does not see whether what is malformed matters, nor where exactly it is.
            self.die_count = die_count;
            walked = self.walk_unit(index, false);
        }
        let Some(mut state) = walked? else {
            return Ok(None);
        };
        self.finish_types(&mut state)?;
        Ok(Some(state))
    }

    /// Walks over unit `index`, having forgotten what was read before; `None` if its language is left out.
    fn walk_unit(&mut self, index: u32, reads_leaves: bool) -> Result<Option<UnitState<'c>>> {
        self.fragment.clear();
        self.scopes.clear();
        self.pending.clear();
        self.subprograms.clear();
        self.foreign_subprograms.clear();
        self.parameters.clear();
        self.variables.clear();
        self.foreign_variables.clear();
        self.entered.clear();
        self.foreign_forwards.clear();
        self.decl_tags.clear();
        self.gnu_annotations.clear();
        self.gnu_annotated.clear();
        self.old_bitfields.clear();
        self.wide_enums.clear();
        self.moved_members.clear();
        self.has_array = false;
        self.findings.clear();
        self.function_depth = 0;
        let mut state = self.enter(index)?;
        self.references.reset(state.data.len());
        if !self.context.languages.keeps(state.language) {
            return Ok(None);
        }
        let at = state.unit.root;
        self.walk(&mut state, at, reads_leaves)
            .map_err(|malformed| self.locate(index, malformed))?;
        Ok(Some(state))
    }

    /// The error for users.
    #[cold]
    pub(crate) fn locate(&self, index: u32, malformed: Malformed) -> Error {
        let unit = &self.context.units.all[index as usize];
        let section = self.context.units.sections[unit.section as usize].0;
        let error = malformed.located(section.name, unit.range.start);
        if malformed.expected != RELOCATION {
            return error;
        }
        // What is wrong with it did not fit the hot path's error.
        let place = (unit.range.start + malformed.offset) as u64;
        match section.relocations.value(place, 0) {
            Err(cause) => error.caused_by(cause),
            Ok(_) => error,
        }
    }

    /// Reads a unit's root DIE.
    pub(crate) fn enter(&mut self, index: u32) -> Result<UnitState<'c>> {
        let unit: &'c Unit = &self.context.units.all[index as usize];
        let section = self.context.units.sections[unit.section as usize].0;
        let data: &'c [u8] = section.data.get(unit.range.clone()).unwrap_or_default();
        let table = self.table(unit)?;
        let mut state = UnitState {
            index,
            unit,
            data,
            table,
            relocations: section.relocations.cursor(unit.range.start as u64),
            is_relocated: !section.relocations.is_empty(),
            language: UnitLanguage::default(),
            compiler: Compiler::Gcc,
            name: Name(0),
            dwo_name: Name(0),
            is_terse: false,
            str_offsets_base: default_base(unit),
            addr_base: default_base(unit),
            loclists_base: default_base(unit),
        };
        let mut bytes = Bytes::new(data, unit.root, self.context.image.order);
        self.read_root(&mut state, &mut bytes)
            .map_err(|malformed| self.locate(index, malformed))?;
        state.relocations = section.relocations.cursor(unit.range.start as u64);
        Ok(state)
    }

    fn read_root(
        &mut self,
        state: &mut UnitState<'c>,
        bytes: &mut Bytes<'c>,
    ) -> Result<(), Malformed> {
        let at = bytes.position();
        let code = bytes.uleb()?;
        if code == 0 {
            return Ok(());
        }
        let table = Arc::clone(&state.table);
        let plan = table
            .plan(code)
            .ok_or(Malformed::new(at, "code of an abbreviation"))?;
        let mut attributes = Attributes::default();
        die::read(bytes, &table, plan.read, state.unit.sizes, &mut attributes)?;
        if plan.tag == dw::DW_TAG_skeleton_unit || attributes.has(Slot::DwoName) {
            self.note_finding(state, at as u32, FindingKind::SkeletonUnit);
        }
        let code = |slot| {
            attributes
                .raw(slot)
                .and_then(|code| u16::try_from(code).ok())
                .unwrap_or(0)
        };
        state.language = UnitLanguage {
            code: code(Slot::Language),
            language: code(Slot::LanguageName),
            version: attributes
                .raw(Slot::LanguageVersion)
                .and_then(|version| u32::try_from(version).ok())
                .unwrap_or(0),
        };
        for (slot, base) in [
            (Slot::StrOffsetsBase, &mut state.str_offsets_base),
            (Slot::AddrBase, &mut state.addr_base),
            (Slot::LoclistsBase, &mut state.loclists_base),
        ] {
            if let Some(value) = attributes.raw(slot) {
                let place = (state.unit.range.start + attributes.place(slot)) as u64;
                let section = self.context.units.sections[state.unit.section as usize].0;
                let relocated = section.relocations.value(place, value);
                let unknown = |_| Malformed::new(attributes.place(slot), RELOCATION);
                *base = relocated.map_err(unknown)?.value;
            }
        }
        // Names may need the bases, so they come last.
        state.name = self.name(state, &attributes, Slot::Name)?;
        let producer = self.name(state, &attributes, Slot::Producer)?;
        state.dwo_name = self.name(state, &attributes, Slot::DwoName)?;
        let names = self.context.names;
        (state.compiler, state.is_terse) =
            names.with(producer, |text| (Compiler::of(text), is_terse(text)));
        if state.is_terse {
            self.note_finding(state, at as u32, FindingKind::TerseUnit);
        }
        Ok(())
    }

    /// The compiled abbreviations of a unit.
    fn table(&mut self, unit: &Unit) -> Result<Arc<Table>> {
        if let Some((_, table)) = self.tables.iter().find(|(known, _)| *known == unit.table) {
            return Ok(Arc::clone(table));
        }
        let Context { image, units, .. } = self.context;
        if unit.abbrev_offset >= image.debug_abbrev.data.len() as u64 {
            let section = units.sections[unit.section as usize].0.name;
            let kind = ErrorKind::Malformed("offset of an abbreviation table in .debug_abbrev");
            return Err(Error::new(kind).at(section, unit.range.start as u64));
        }
        let table = units.tables[unit.table as usize]
            .table(&image.debug_abbrev.data, image.order)
            .map_err(|malformed| malformed.located(".debug_abbrev", 0))?;
        if self.tables.len() == TABLES_KEPT {
            self.tables.remove(0);
        }
        self.tables.push((unit.table, Arc::clone(&table)));
        Ok(table)
    }

    /// Walks over the DIE at offset `at` of the unit and all below it. Leaves may be read in the short way if no DIE is being
    /// fetched.
    pub(crate) fn walk(
        &mut self,
        state: &mut UnitState<'c>,
        at: usize,
        reads_leaves: bool,
    ) -> Result<(), Malformed> {
        let mut bytes = Bytes::new(state.data, at, self.context.image.order);
        let table = Arc::clone(&state.table);
        let sizes = state.unit.sizes;
        let depth = self.scopes.len();
        // Taken out so that `self` is free while it is read.
        let mut attributes = std::mem::take(&mut self.attributes);
        loop {
            let die = bytes.position();
            if bytes.is_at_end() {
                bytes.check_inside()?;
                break;
            }
            let code = bytes.uleb()?;
            if code == 0 {
                if self.scopes.len() > depth {
                    self.close_top(state);
                }
                if self.scopes.len() <= depth {
                    break;
                }
                continue;
            }
            self.die_count += 1;
            let plan = table.plan(code).ok_or(Malformed {
                offset: die,
                expected: "code of an abbreviation",
            })?;
            if let Some(leaf) = &plan.leaf
                && reads_leaves
            {
                self.add_leaf(state, &table, plan, leaf, die as u32, &mut bytes)?;
            } else if self.fetching
                && self.scopes.len() > depth
                && self.references.has_fetched((state.index, die as u32))
            {
                // A type within the one that is fetched, which is there already.
                die::pass(&mut bytes, &table, plan, sizes)?;
                if plan.has_children {
                    self.skip_children(&mut bytes, &table, state, &Attributes::default())?;
                }
            } else if plan.action == Action::SkipTree || plan.action == Action::VariantPart {
                die::read(&mut bytes, &table, plan.read, sizes, &mut attributes)?;
                if plan.action == Action::VariantPart {
                    self.note_finding(state, die as u32, FindingKind::VariantPart);
                }
                if plan.has_children {
                    self.skip_children(&mut bytes, &table, state, &attributes)?;
                }
            } else if plan.action == Action::Variable && !self.wants_variable() {
                die::pass(&mut bytes, &table, plan, sizes)?;
                if plan.has_children {
                    self.scopes.push(Scope::new(ScopeKind::Other, die as u32));
                    check_nesting(self.scopes.len(), die)?;
                }
            } else {
                self.die = die as u32;
                die::read(&mut bytes, &table, plan.read, sizes, &mut attributes)?;
                self.open(state, plan, die as u32, &attributes)?;
                check_nesting(self.scopes.len(), die)?;
            }
            if self.scopes.len() <= depth {
                break;
            }
        }
        // A unit may end without the null entries that close its scopes.
        while self.scopes.len() > depth {
            self.close_top(state);
        }
        self.attributes = attributes;
        Ok(())
    }

    fn close_top(&mut self, state: &mut UnitState<'c>) {
        if let Some(scope) = self.scopes.pop() {
            self.close(state, scope);
        }
    }

    /// Variables matter outside functions and structures only.
    #[inline]
    fn wants_variable(&self) -> bool {
        self.context.lowering.variables
            && self.function_depth == 0
            && !self.fetching
            && self
                .scopes
                .last()
                .is_some_and(|scope| scope.kind == ScopeKind::Other)
    }

    /// Moves behind the children of the DIE that was just read.
    fn skip_children(
        &mut self,
        bytes: &mut Bytes<'c>,
        table: &Table,
        state: &UnitState<'c>,
        attributes: &Attributes,
    ) -> Result<(), Malformed> {
        let here = bytes.position();
        if let Some(sibling) = attributes.raw(Slot::Sibling)
            && attributes.form(Slot::Sibling) != dw::DW_FORM_ref_addr
        {
            let sibling = usize::try_from(sibling).unwrap_or(usize::MAX);
            if sibling < here || sibling > state.data.len() {
                return Err(Malformed::new(
                    attributes.place(Slot::Sibling),
                    "sibling behind its DIE, in the unit",
                ));
            }
            bytes.seek(sibling);
            return Ok(());
        }
        let mut depth = 1_u64;
        while depth > 0 && !bytes.is_at_end() {
            let at = bytes.position();
            let code = bytes.uleb()?;
            if code == 0 {
                depth -= 1;
                continue;
            }
            self.die_count += 1;
            let plan: &Plan = table
                .plan(code)
                .ok_or(Malformed::new(at, "code of an abbreviation"))?;
            die::pass(bytes, table, plan, state.unit.sizes)?;
            depth += u64::from(plan.has_children);
        }
        Ok(())
    }

    /// Notes something doubtful. Units tell of their own DIEs, not those that fetch them.
    #[cold]
    pub(crate) fn note_finding(&mut self, state: &UnitState<'c>, die: u32, kind: FindingKind) {
        if self.fetching && self.context.languages.keeps(state.language) {
            return;
        }
        let die_offset = state.unit.range.start as u64 + u64::from(die);
        self.findings.push(Finding {
            unit: state.index,
            die_offset,
            kind,
        });
    }
}

/// Refuses DIEs that are nested deeper than [`MAX_NESTING`].
#[inline]
fn check_nesting(depth: usize, die: usize) -> Result<(), Malformed> {
    if depth <= MAX_NESTING {
        return Ok(());
    }
    Err(Malformed::new(
        die,
        "DIE that is nested less than 65,536 deep",
    ))
}

/// Where the first entry of an index section is if the unit does not say: behind a header in DWARF 5.
fn default_base(unit: &Unit) -> u64 {
    match (unit.sizes.version, unit.sizes.offset) {
        (5.., 8) => 16,
        (5.., _) => 8,
        _ => 0,
    }
}

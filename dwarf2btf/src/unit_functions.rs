//! Functions of a unit: which are candidates for a FUNC, with prototypes and what is doubtful about their parameters.
//!
//! Most functions that a unit describes have no symbol: they were inlined everywhere, or are declarations. Only those
//! whose name the symbol table has, and what these come from, are looked at further; the locations of all other
//! parameters are never read.
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit, and the lengths of lists made from it, fit 30 bits: `units` refuses longer units"
)]

use btf_core::dedup::Name;
use btf_core::wire::MAX_VLEN_16;
use btf_core::{ByteOrder, Info, Kind, TypeId};
use gimli::RunTimeEndian;
use rayon::prelude::*;

use crate::abi::Abi;
use crate::explain::place_text;
use crate::functions::{self, Fate, Flags, looks_packed, member_param_name, walk_unit};
use crate::locations::{LocationSections, ParamLocation, from_expression};
use crate::names::FastMap;
use crate::references::{Link, type_size};
use crate::symbols::{FunctionKey, FunctionTable};
use crate::unit::{Parameter, RawLocation, Subprogram, TagOwner, UnitReader, UnitState};

/// What is needed to find candidates; shared by all workers.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    pub(crate) abi: Abi,
    pub(crate) sections: LocationSections<'a>,
    /// The functions of the symbol table by name.
    pub(crate) keys: FastMap<Name, FunctionKey>,
    pub(crate) true_signature: bool,
}

/// A function of a unit that may become a FUNC.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) key: FunctionKey,
    /// The offset of its DIE in its section.
    pub(crate) die_offset: u64,
    pub(crate) low_pc: u64,
    pub(crate) section: Option<u32>,
    pub(crate) flags: Flags,
    /// The local id of its prototype.
    pub(crate) proto: TypeId,
    /// The local id of its prototype as the compiler changed it.
    pub(crate) true_proto: Option<TypeId>,
    /// Its index among the functions of its unit that were looked at.
    index: usize,
}

/// A `btf_decl_tag` on a candidate or its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FunctionTag {
    pub(crate) unit: u32,
    pub(crate) die_offset: u64,
    /// The parameter's index, or -1.
    pub(crate) component: i32,
    /// Its position among the tags of its unit.
    pub(crate) order: u32,
    pub(crate) text: Name,
}

/// A unit's functions as the rules want them, kept from unit to unit.
#[derive(Debug, Default)]
pub(crate) struct UnitFunctions {
    /// The index in the reader's list of each function here.
    sources: Vec<u32>,
    /// The key of each function here, if it is a candidate.
    keys: Vec<Option<FunctionKey>>,
    functions: Vec<functions::Subprogram>,
    pub(crate) parameters: Vec<functions::Parameter>,
    /// For each function of the reader its index here plus 1.
    index_of: Vec<u32>,
}

impl<'c> Candidates<'c> {
    /// Prepares for the functions of a symbol table.
    pub(crate) fn new(
        image: &'c crate::input::Image<'_>,
        table: &FunctionTable<'_>,
        names: &crate::names::Names<'_>,
        true_signature: bool,
    ) -> Self {
        let order = endian(image.order);
        let all: Vec<FunctionKey> = table.keys().collect();
        let keys = all
            .into_par_iter()
            .map(|key| (names.of_new(table.name(key)), key))
            .collect::<Vec<_>>();
        let keys = keys.into_iter().collect();
        Self {
            abi: Abi::of(image.machine, if image.is_64 { 8 } else { 4 }),
            sections: LocationSections {
                debug_loc: &image.debug_loc.data,
                debug_loclists: &image.debug_loclists.data,
                order,
            },
            keys,
            true_signature,
        }
    }
}

impl UnitFunctions {
    /// Finds the candidates of the unit that `reader` has just read and adds their prototypes to its fragment, as weak types.
    pub(crate) fn list_candidates(
        &mut self,
        shared: &Candidates<'_>,
        reader: &mut UnitReader<'_, '_>,
        state: &UnitState<'_>,
        found: &mut Vec<Candidate>,
    ) {
        found.clear();
        self.select(shared, reader, state);
        if self.sources.is_empty() {
            return;
        }
        self.fill(shared, reader, state);
        walk_unit(
            &shared.abi,
            state.compiler,
            &mut self.functions,
            &mut self.parameters,
        );
        reader
            .fragment
            .first_weak
            .get_or_insert(reader.fragment.starts.len() as u32 + 1);
        for index in 0..self.functions.len() {
            if let Some(key) = self.keys[index] {
                found.extend(self.candidate(shared, reader, state, index, key));
            }
        }
    }

    /// The names of the parameters of the candidate with this prototype, and where they lie if it has code.
    pub(crate) fn locations(
        &self,
        candidate: &Candidate,
        reader: &UnitReader<'_, '_>,
    ) -> Vec<(Vec<u8>, Option<String>)> {
        let function = &self.functions[candidate.index];
        let machine = reader.context.image.machine;
        let range =
            function.first_param as usize..(function.first_param + function.param_count) as usize;
        let text = |parameter: &functions::Parameter| {
            (
                reader.context.names.bytes(parameter.name),
                (!function.is_inlined).then(|| place_text(parameter.location.place, machine)),
            )
        };
        self.parameters[range].iter().map(text).collect()
    }

    /// The tags of candidates among those that the reader has found.
    pub(crate) fn tags(
        &self,
        reader: &UnitReader<'_, '_>,
        state: &UnitState<'_>,
    ) -> Vec<FunctionTag> {
        // Which function has which parameters: those of one stand side by side.
        let mut owners: Vec<(u32, u32)> = reader
            .subprograms
            .iter()
            .zip(0..)
            .filter(|(subprogram, _)| subprogram.parameters.1 > 0)
            .map(|(subprogram, source)| (subprogram.parameters.0, source))
            .collect();
        owners.sort_unstable();
        let tags = reader.decl_tags.iter().zip(0..).filter_map(|(tag, order)| {
            let (source, component) = match tag.owner {
                TagOwner::Subprogram(source) => (source, -1),
                TagOwner::Parameter(parameter) => {
                    let before = owners.partition_point(|&(first, _)| first <= parameter);
                    let (first, source) = owners[before.checked_sub(1)?];
                    let index = parameter - first;
                    if index >= reader.subprograms[source as usize].parameters.1 {
                        return None;
                    }
                    (source, index.cast_signed())
                }
                TagOwner::Type(..) | TagOwner::Variable(_) => return None,
            };
            let index = self.index_of.get(source as usize)?.checked_sub(1)?;
            self.keys[index as usize]?;
            let die_offset =
                state.unit.range.start as u64 + u64::from(reader.subprograms[source as usize].die);
            Some(FunctionTag {
                unit: state.index,
                die_offset,
                component,
                order,
                text: tag.text,
            })
        });
        tags.collect()
    }

    /// Chooses the functions whose name the symbol table has, and those that they come from.
    fn select(
        &mut self,
        shared: &Candidates<'_>,
        reader: &UnitReader<'_, '_>,
        state: &UnitState<'_>,
    ) {
        self.sources.clear();
        self.keys.clear();
        self.index_of.clear();
        self.index_of.resize(reader.subprograms.len(), 0);
        if state.is_terse {
            return;
        }
        for (index, subprogram) in reader.subprograms.iter().enumerate() {
            let is_elsewhere = subprogram.foreign_unit.is_some();
            // A unit of gcc's LTO mentions functions of other units that it calls, without parameters or code.
            let is_mention =
                subprogram.low_pc.is_none() && Link(subprogram.origin).foreign_number().is_some();
            if subprogram.is_declaration || is_elsewhere || is_mention {
                continue;
            }
            let Some(&key) = shared.keys.get(&full_name(reader, subprogram)) else {
                continue;
            };
            if let Some(origin) = origin(reader, subprogram) {
                self.include(origin, None);
            }
            self.include(index, Some(key));
        }
    }

    /// Takes a function in; `key` if it is a candidate.
    fn include(&mut self, source: usize, key: Option<FunctionKey>) {
        if self.index_of[source] == 0 {
            self.sources.push(source as u32);
            self.keys.push(key);
            self.index_of[source] = self.sources.len() as u32;
        } else if key.is_some() {
            self.keys[self.index_of[source] as usize - 1] = key;
        }
    }

    /// Fills in the records that the rules work on.
    fn fill(
        &mut self,
        shared: &Candidates<'_>,
        reader: &UnitReader<'_, '_>,
        state: &UnitState<'_>,
    ) {
        self.functions.clear();
        self.parameters.clear();
        for &source in &self.sources {
            let subprogram = &reader.subprograms[source as usize];
            let origin = origin(reader, subprogram).map(|origin| self.index_of[origin]);
            self.functions.push(functions::Subprogram {
                origin: origin.and_then(|index| index.checked_sub(1)),
                first_param: self.parameters.len() as u32,
                param_count: subprogram.parameters.1,
                is_nocall: subprogram.is_nocall,
                is_inlined: subprogram.low_pc.is_none(),
                flags: Flags::NONE,
            });
            let (first, count) = subprogram.parameters;
            for parameter in &reader.parameters[first as usize..(first + count) as usize] {
                self.parameters
                    .push(filled(shared, reader, state, parameter, count));
            }
        }
        // Origins may stand behind their instances, so parameters are linked when all are there.
        for (index, &source) in self.sources.iter().enumerate() {
            let Some(origin) = self.functions[index].origin else {
                continue;
            };
            let (first, count) = reader.subprograms[source as usize].parameters;
            let origin_source = self.sources[origin as usize];
            let origin = self.functions[origin as usize];
            let (origin_first, _) = reader.subprograms[origin_source as usize].parameters;
            // In the order of their DIEs, as all that is read.
            let candidates =
                &reader.parameters[origin_first as usize..][..origin.param_count as usize];
            for position in 0..count {
                let link = Link(reader.parameters[(first + position) as usize].origin);
                let Some(die) = die_of(reader, link) else {
                    continue;
                };
                let found = candidates.binary_search_by_key(&die, |candidate| candidate.die);
                self.parameters[(self.functions[index].first_param + position) as usize].origin =
                    found.ok().map(|at| origin.first_param + at as u32);
            }
        }
    }

    /// The candidate that function `index` is, with its prototypes; `None` if a parameter has no name.
    fn candidate(
        &self,
        shared: &Candidates<'_>,
        reader: &mut UnitReader<'_, '_>,
        state: &UnitState<'_>,
        index: usize,
        key: FunctionKey,
    ) -> Option<Candidate> {
        let function = &self.functions[index];
        let parameters = &self.parameters
            [function.first_param as usize..(function.first_param + function.param_count) as usize];
        // More parameters than a prototype can have, `...` included, are no function that anybody calls.
        if parameters.iter().any(|parameter| parameter.name.0 == 0)
            || parameters.len() >= MAX_VLEN_16 as usize
        {
            return None;
        }
        let subprogram = reader.subprograms[self.sources[index] as usize];
        let origin = origin(reader, &subprogram).map(|origin| reader.subprograms[origin]);
        let returns = if subprogram.has_return {
            subprogram
        } else {
            origin.unwrap_or(subprogram)
        };
        let result = reader.type_id(returns.return_link);
        let is_variadic = subprogram.is_variadic || origin.is_some_and(|origin| origin.is_variadic);
        let mut words: Vec<u32> = parameters
            .iter()
            .flat_map(|parameter| [parameter.name.0, parameter.ty.0])
            .collect();
        let proto = push_proto(reader, result, &words, is_variadic);
        let is_changed = function
            .flags
            .has_any(Flags::REORDERED.with(Flags::CHANGED));
        let true_proto = (shared.true_signature && is_changed).then(|| {
            words.clear();
            words.extend(
                parameters
                    .iter()
                    .filter_map(|parameter| true_parameter(reader, parameter))
                    .flatten(),
            );
            push_proto(reader, result, &words, is_variadic)
        });
        let (low_pc, section) = subprogram.low_pc.unwrap_or_default();
        let die_offset = state.unit.range.start as u64 + u64::from(subprogram.die);
        Some(Candidate {
            key,
            die_offset,
            low_pc,
            section,
            flags: function.flags,
            proto,
            true_proto,
            index,
        })
    }
}

/// The byte order as gimli has it.
pub(crate) fn endian(order: ByteOrder) -> RunTimeEndian {
    match order {
        ByteOrder::Little => RunTimeEndian::Little,
        ByteOrder::Big => RunTimeEndian::Big,
    }
}

/// Writes a prototype.
fn push_proto(
    reader: &mut UnitReader<'_, '_>,
    result: u32,
    parameters: &[u32],
    is_variadic: bool,
) -> TypeId {
    let count = parameters.len() / 2 + usize::from(is_variadic);
    let info = Info::new(Kind::FuncProto, count as u32, false).0;
    let mut record = vec![0, info, result];
    record.extend_from_slice(parameters);
    if is_variadic {
        record.extend([0, 0]);
    }
    reader.fragment.push(&record)
}

/// The name and type by which a parameter is passed in a changed signature, if it is.
fn true_parameter(
    reader: &UnitReader<'_, '_>,
    parameter: &functions::Parameter,
) -> Option<[u32; 2]> {
    match parameter.fate {
        Fate::Dropped => None,
        Fate::Kept => Some([parameter.name.0, parameter.ty.0]),
        Fate::Member {
            offset_bytes,
            size_bytes,
        } => {
            let (name, ty) = member_at(reader, parameter.ty, offset_bytes, size_bytes)?;
            let names = reader.context.names;
            let name = member_param_name(&names.bytes(parameter.name), &names.bytes(name));
            Some([names.of_new(&name).0, ty.0])
        }
    }
}

/// The member of a structure that starts at this offset and has this size.
fn member_at(
    reader: &UnitReader<'_, '_>,
    ty: TypeId,
    offset: u32,
    size: u32,
) -> Option<(Name, TypeId)> {
    let (kind, record) = stripped(reader, ty)?;
    if kind != Kind::Struct {
        return None;
    }
    let address_size = if reader.context.image.is_64 { 8 } else { 4 };
    record[3..].chunks_exact(3).find_map(|member| {
        let is_it = u64::from(member[2]) == u64::from(offset) * 8
            && type_size(&reader.fragment, member[1], address_size) == Some(u64::from(size));
        is_it.then_some((Name(member[0]), TypeId(member[1])))
    })
}

/// A parameter as the rules want it. `count` is the number of parameters of its function.
fn filled(
    shared: &Candidates<'_>,
    reader: &UnitReader<'_, '_>,
    state: &UnitState<'_>,
    parameter: &Parameter,
    count: u32,
) -> functions::Parameter {
    let ty = TypeId(reader.type_id(parameter.link));
    let is_struct = stripped(reader, ty).is_some_and(|(kind, _)| kind == Kind::Struct);
    functions::Parameter {
        name: parameter.name,
        ty,
        size_bytes: type_size(&reader.fragment, ty.0, state.unit.sizes.address).unwrap_or(0),
        is_struct,
        is_packed_struct: is_struct
            && count >= u32::from(shared.abi.register_count)
            && is_packed(reader, ty),
        origin: None,
        location: location(shared, state, parameter),
        has_const_value: parameter.has_const_value,
        fate: Fate::default(),
    }
}

/// Where a parameter lies.
pub(crate) fn location(
    shared: &Candidates<'_>,
    state: &UnitState<'_>,
    parameter: &Parameter,
) -> ParamLocation {
    let encoding = state.unit.encoding();
    match parameter.location {
        RawLocation::None => ParamLocation::default(),
        RawLocation::Expression(start, len) => {
            let bytes = state
                .data
                .get(start as usize..start as usize + len as usize)
                .unwrap_or_default();
            from_expression(bytes, encoding, shared.sections.order)
        }
        RawLocation::List(offset) => shared.sections.from_list_offset(offset, encoding),
        RawLocation::ListIndex(index) => {
            shared
                .sections
                .from_list_index(index, state.loclists_base, encoding)
        }
    }
}

/// The function that another one completes, by its index.
fn origin(reader: &UnitReader<'_, '_>, subprogram: &Subprogram) -> Option<usize> {
    let link = Link(subprogram.origin);
    if let Some(die) = link.die_offset() {
        // Functions of the unit stand in the order of their DIEs, before any that were fetched.
        let own = reader
            .subprograms
            .partition_point(|other| other.foreign_unit.is_none() && other.die < die);
        let other = reader.subprograms.get(own)?;
        return (other.die == die && other.foreign_unit.is_none()).then_some(own);
    }
    let die = reader.references.foreign_dies.get(link.foreign_number()?)?;
    reader
        .foreign_subprograms
        .get(die)
        .map(|index| *index as usize)
}

/// A function's name: its own, or that of what it completes, or of what that completes.
pub(crate) fn full_name(reader: &UnitReader<'_, '_>, subprogram: &Subprogram) -> Name {
    if subprogram.name.0 != 0 {
        return subprogram.name;
    }
    let Some(first) = origin(reader, subprogram).map(|index| &reader.subprograms[index]) else {
        return Name(0);
    };
    if first.name.0 != 0 {
        return first.name;
    }
    origin(reader, first).map_or(Name(0), |index| reader.subprograms[index].name)
}

/// The offset of the DIE that a link leads to, in whichever unit it is.
fn die_of(reader: &UnitReader<'_, '_>, link: Link) -> Option<u32> {
    link.die_offset().or_else(|| {
        Some(
            reader
                .references
                .foreign_dies
                .get(link.foreign_number()?)?
                .1,
        )
    })
}

/// A type without typedefs and qualifiers.
fn stripped<'r>(reader: &'r UnitReader<'_, '_>, ty: TypeId) -> Option<(Kind, &'r [u32])> {
    let mut id = ty;
    for _ in 0..64 {
        let record = reader.fragment.record(id)?;
        let kind = Info(record[1]).kind()?;
        if !kind.is_modifier() {
            return Some((kind, record));
        }
        id = TypeId(record[2]);
    }
    None
}

/// Whether the type is a named structure itself, with a layout that is not the natural one.
fn is_packed(reader: &UnitReader<'_, '_>, ty: TypeId) -> bool {
    let Some(record) = reader.fragment.record(ty) else {
        return false;
    };
    let info = Info(record[1]);
    if info.kind() != Some(Kind::Struct) || record[0] == 0 {
        return false;
    }
    let mut budget = ALIGNMENT_STEPS;
    let members = record[3..].chunks_exact(3).filter_map(|member| {
        let is_bitfield = info.kind_flag() && member[2] >> 24 != 0;
        let offset = if info.kind_flag() {
            member[2] & 0x00ff_ffff
        } else {
            member[2]
        };
        let alignment = alignment(reader, TypeId(member[1]), &mut budget)?;
        (!is_bitfield).then_some((u64::from(offset / 8), alignment))
    });
    looks_packed(u64::from(record[2]), members)
}

/// How many types are looked at to find out whether one structure is packed.
const ALIGNMENT_STEPS: u32 = 4096;

/// The alignment in bytes that a type has by itself: the largest of what it is made of; `None` if it has none.
fn alignment(reader: &UnitReader<'_, '_>, ty: TypeId, budget: &mut u32) -> Option<u64> {
    let address_size = if reader.context.image.is_64 { 8 } else { 4 };
    let mut largest = None;
    let mut stack = vec![ty];
    while let Some(ty) = stack.pop() {
        *budget = budget.checked_sub(1)?;
        let Some((kind, record)) = stripped(reader, ty) else {
            continue;
        };
        let own = match kind {
            Kind::Ptr => address_size,
            Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Float => {
                u64::from(record[2]).clamp(1, 16)
            }
            Kind::Array => {
                stack.push(TypeId(record[3]));
                continue;
            }
            Kind::Struct | Kind::Union => {
                *budget = budget.checked_sub(Info(record[1]).vlen())?;
                stack.extend(record[3..].chunks_exact(3).map(|member| TypeId(member[1])));
                1
            }
            Kind::Fwd
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::Func
            | Kind::FuncProto
            | Kind::Var
            | Kind::Datasec
            | Kind::DeclTag
            | Kind::TypeTag => continue,
        };
        largest = largest.max(Some(own));
    }
    largest
}

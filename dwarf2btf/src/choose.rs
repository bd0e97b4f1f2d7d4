//! The choice: which functions and variables are described, once all types are merged.

use btf_core::Result;
use btf_core::dedup::{Merged, Name, Output};
use btf_core::wire::MAX_VLEN_16;
use btf_core::{Error, ErrorKind};

use crate::abi::machine;
use rayon::prelude::*;

use crate::emit::ChosenFunction;
use crate::features::{Feature, FeatureSet};
use crate::functions::states::groups;
use crate::functions::{self, Outcome, PrototypeComparison, Reason, State, Verdict, decide};
use crate::input::Image;
use crate::kfuncs::{BtfIds, Kfuncs};
use crate::names::Names;
use crate::options::Options;
use crate::reasons::Why;
use crate::report::LeftOut;
use crate::symbols::{FunctionKey, FunctionTable, ObjectSymbols, SHN_UNDEF, STT_FUNC, Symbol};
use crate::unit_functions::{FunctionTag, endian};
use crate::unit_variables::Placing;
use crate::variables::{Datasec, Section, Selection, VariableReason, VariableSections, assemble};
use crate::workers::Harvest;

/// A prototype after the merge.
pub(crate) type MergedState = State<Option<Output>>;

/// What is described, and what is not and why.
#[derive(Debug)]
pub(crate) struct Choice<'a> {
    /// The functions that are described, by name.
    pub(crate) functions: Vec<ChosenFunction<'a>>,
    /// The verdict on each name of the symbol table that was seen, by name.
    pub(crate) verdicts: Vec<(FunctionKey, Verdict)>,
    pub(crate) datasecs: Vec<Datasec>,
    /// The type of each variable of the harvest.
    pub(crate) variable_types: Vec<Option<Output>>,
    /// What is left out, one entry for each reason.
    pub(crate) left_out: Vec<LeftOut>,
    /// Of the variables of the harvest those that are left out, with the reason.
    pub(crate) overlapping: Vec<(usize, VariableReason)>,
}

impl<'a> Choice<'a> {
    pub(crate) fn new(
        image: &Image<'_>,
        options: &Options,
        table: &FunctionTable<'a>,
        merged: &Merged,
        names: &Names<'_>,
        harvest: &mut Harvest,
    ) -> Result<Self> {
        let mut choice = Self {
            functions: Vec::new(),
            verdicts: Vec::new(),
            datasecs: Vec::new(),
            variable_types: Vec::new(),
            left_out: Vec::new(),
            overlapping: Vec::new(),
        };
        choice.choose_functions(image, options.features, table, merged, harvest);
        choice.choose_variables(options.features, merged, names, harvest)?;
        Ok(choice)
    }

    /// The prototypes and types that functions and variables need.
    pub(crate) fn needed(&self, merged: &Merged, features: FeatureSet) -> Vec<Output> {
        let has_attributes = features.has(Feature::Attributes);
        let functions = self.functions.iter();
        functions
            .flat_map(|function| function.needed(merged, has_attributes))
            .chain(self.variable_types.iter().copied().flatten())
            .collect()
    }

    fn choose_functions(
        &mut self,
        image: &Image<'_>,
        features: FeatureSet,
        table: &FunctionTable<'a>,
        merged: &Merged,
        harvest: &mut Harvest,
    ) {
        let has_kfuncs = features.has(Feature::DeclTagKfuncs) && features.has(Feature::DeclTag);
        let kfuncs = if has_kfuncs {
            kfuncs(image, table)
        } else {
            Kfuncs::default()
        };
        let rules = functions::Features {
            consistent_func: features.has(Feature::ConsistentFunc),
            true_signature: features.has(Feature::TrueSignature),
        };
        let states = std::mem::take(&mut harvest.states)
            .map(|unit, proto| merged.output(unit, proto.id))
            .finish();
        let comparison = OptionalPrototypes(PrototypeComparison(merged));
        let mut counts = [0_u64; Reason::ALL.len()];
        let groups: Vec<&[MergedState]> = groups(&states).collect();
        let decide = |group: &&[MergedState]| decide(group, table, rules, &comparison);
        let verdicts: Vec<Verdict> = groups.par_iter().map(decide).collect();
        for (group, verdict) in groups.into_iter().zip(verdicts) {
            let key = group[0].key;
            if let Some(Some(proto)) = verdict.chosen(group) {
                let name = chosen_name(table, key, &verdict);
                let is_renamed = matches!(verdict.outcome, Outcome::Renamed { .. });
                let tags = tags_of(&harvest.function_tags, group, &verdict);
                let kfunc = kfuncs.get(key).filter(|_| !is_renamed);
                self.functions.push(ChosenFunction {
                    name,
                    proto,
                    tags,
                    kfunc,
                });
            } else if let Some(reason) = verdict.reasons.last() {
                counts[reason as usize] += 1;
            }
            self.verdicts.push((key, verdict));
        }
        for (reason, count) in Reason::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
        {
            self.left_out.push(LeftOut {
                what: "functions",
                reason: reason.into(),
                count,
            });
        }
    }

    /// # Errors
    /// A variable that kernels refuse, unless `encode_force` leaves it out.
    fn choose_variables(
        &mut self,
        features: FeatureSet,
        merged: &Merged,
        names: &Names<'_>,
        harvest: &Harvest,
    ) -> Result<()> {
        let places: Vec<_> = harvest
            .variables
            .iter()
            .map(|variable| variable.place)
            .collect();
        let (datasecs, overlapping) = assemble(&places, MAX_VLEN_16 as usize);
        self.datasecs = datasecs;
        let types = harvest
            .variables
            .iter()
            .map(|variable| merged.output(variable.unit, variable.ty));
        self.variable_types = types.collect();
        let mut counts: Vec<(Why, u64)> = Vec::new();
        let reasons = harvest
            .left_out_variables
            .iter()
            .map(|variable| variable.reason);
        for reason in reasons.chain(overlapping.iter().map(|(_, reason)| *reason)) {
            let why = Why::from(reason);
            match counts.iter_mut().find(|(known, _)| *known == why) {
                Some((_, count)) => *count += 1,
                None => counts.push((why, 1)),
            }
        }
        counts.sort_unstable();
        let left_out = counts.into_iter().map(|(reason, count)| LeftOut {
            what: "variables",
            reason,
            count,
        });
        self.left_out.extend(left_out);
        self.overlapping = overlapping;
        let fatal = harvest
            .left_out_variables
            .iter()
            .find(|variable| variable.reason.is_error());
        match fatal.filter(|_| !features.has(Feature::EncodeForce)) {
            None => Ok(()),
            Some(variable) => {
                let name = String::from_utf8_lossy(&names.bytes(variable.name)).into_owned();
                let text = format!(
                    "a variable with {}: `{name}`",
                    Why::from(variable.reason).text
                );
                Err(Error::new(ErrorKind::Unsupported(text)).at(".debug_info", variable.die_offset))
            }
        }
    }
}

/// Compares prototypes that may be missing, which none is.
struct OptionalPrototypes<'m>(PrototypeComparison<'m, Merged>);

impl functions::Prototypes<Option<Output>> for OptionalPrototypes<'_> {
    fn compare(
        &self,
        first: Option<Output>,
        other: Option<Output>,
    ) -> Result<(), functions::Mismatch> {
        match (first, other) {
            (Some(first), Some(other)) => self.0.compare(first, other),
            _ => Ok(()),
        }
    }
}

/// The name under which a function is described.
fn chosen_name<'a>(table: &FunctionTable<'a>, key: FunctionKey, verdict: &Verdict) -> &'a [u8] {
    match verdict.outcome {
        Outcome::Renamed { symbol, .. } => table.symbols(key)[symbol].name,
        Outcome::Kept { .. } | Outcome::Dropped => table.name(key),
    }
}

/// The tags of the state that was chosen.
fn tags_of(all: &[FunctionTag], group: &[MergedState], verdict: &Verdict) -> Vec<(i32, Name)> {
    let (Outcome::Kept { state, .. } | Outcome::Renamed { state, .. }) = verdict.outcome else {
        return Vec::new();
    };
    let place = group[state].position();
    let first = all.partition_point(|tag| (tag.unit, tag.die_offset) < place);
    let own = all[first..]
        .iter()
        .take_while(|tag| (tag.unit, tag.die_offset) == place);
    let mut own: Vec<&FunctionTag> = own.collect();
    own.sort_unstable_by_key(|tag| tag.order);
    own.into_iter()
        .map(|tag| (tag.component, tag.text))
        .collect()
}

/// The kfuncs that `.BTF_ids` lists.
fn kfuncs(image: &Image<'_>, table: &FunctionTable<'_>) -> Kfuncs {
    let Some(section) = image.section_by_name(".BTF_ids") else {
        return Kfuncs::default();
    };
    let Ok(data) = image.section_data(section) else {
        return Kfuncs::default();
    };
    let ids = BtfIds {
        data,
        address: section.address,
        section_index: section.index,
        order: endian(image.order),
    };
    Kfuncs::new(&ids, symbols(image), table).0
}

/// The section index of an absolute or common symbol.
const SHN_ABS: u32 = 0xfff1;

/// The symbols as the rules want them.
pub(crate) fn symbols<'a>(image: &'a Image<'_>) -> impl Iterator<Item = Symbol<'a>> {
    // Bit 0 of a function of Arm says that it is Thumb code ("ELF for the Arm Architecture" 5.5.3); DWARF has the address.
    let is_arm = image.machine == machine::ARM;
    let flag = move |symbol_type| u64::from(is_arm && symbol_type == STT_FUNC);
    image.symbols.iter().map(move |symbol| Symbol {
        name: symbol.name,
        value: symbol.value & !flag(symbol.symbol_type),
        size: symbol.size,
        st_type: symbol.symbol_type,
        st_bind: symbol.binding,
        section_index: symbol.section.unwrap_or(if symbol.is_defined {
            SHN_ABS
        } else {
            SHN_UNDEF
        }),
    })
}

/// The name of a section.
pub(crate) fn section_name(image: &Image<'_>, index: u32) -> Vec<u8> {
    image
        .sections
        .get(index as usize)
        .map_or_else(Vec::new, |section| section.name.to_vec())
}

impl<'a> Placing<'a> {
    /// Prepares for the variables that `features` ask for.
    pub(crate) fn new(image: &'a Image<'_>, features: FeatureSet) -> Self {
        const SHT_PROGBITS: u32 = 1;
        const SHT_NOBITS: u32 = 8;
        const SHF_ALLOC: u64 = 2;
        const SHF_TLS: u64 = 0x400;
        let selection = Selection {
            percpu: features.has(Feature::Var),
            global: features.has(Feature::GlobalVar),
        };
        let sections = image.sections.iter().map(|section| Section {
            index: section.index,
            name: section.name,
            address: section.address,
            size: section.size,
            holds_variables: matches!(section.section_type, SHT_PROGBITS | SHT_NOBITS)
                && section.flags & (SHF_ALLOC | SHF_TLS) == SHF_ALLOC,
        });
        let sections = VariableSections::new(sections, selection);
        let objects = ObjectSymbols::new(symbols(image), |index| sections.has(index));
        Self { sections, objects }
    }
}

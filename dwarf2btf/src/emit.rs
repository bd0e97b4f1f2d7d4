//! Emission: what was merged and chosen, as BTF: types, then functions by name, then variables and their sections.

use std::borrow::Cow;
use std::sync::Arc;

use btf_core::builder::{Builder, WriteOptions};
use btf_core::dedup::{Merged, Name, Numbering, Output};
use btf_core::kind::Word;
use btf_core::types::VarSecinfo;
use btf_core::wire::linkage;
use btf_core::{Error, ErrorKind, Info, Kind, Result, StrOffset, TypeId};

use crate::base::{Base, Made};
use crate::choose::{Choice, section_name};
use crate::features::Feature;
use crate::input::Image;
use crate::kfuncs::KfuncFlags;
use crate::names::{FastMap, Names};
use crate::options::Options;
use crate::unit_variables::PlacedVariable;
use crate::variables::Datasec;

/// A function that is described.
#[derive(Clone, Debug)]
pub(crate) struct ChosenFunction<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) proto: Output,
    /// The parameter's index, or -1, and the text of each tag in the source.
    pub(crate) tags: Vec<(i32, Name)>,
    pub(crate) kfunc: Option<KfuncFlags>,
}

impl ChosenFunction<'_> {
    /// The types that it needs. Without the prototype, if one with arena pointers takes its place; `has_attributes` tells
    /// whether there are such.
    pub(crate) fn needed(&self, merged: &Merged, has_attributes: bool) -> Vec<Output> {
        let Some(kfunc) = self.kfunc.filter(|_| has_attributes) else {
            return vec![self.proto];
        };
        let mut targets = Vec::new();
        merged.targets(self.proto, |target| targets.push(target));
        let is_arena = |(index, target): (usize, &Option<Output>)| {
            target.is_some_and(|target| is_arena(kfunc, index, target, merged))
        };
        if targets.iter().enumerate().any(is_arena) {
            targets.into_iter().flatten().collect()
        } else {
            vec![self.proto]
        }
    }
}

/// Whether a type of a kfunc's prototype, the returned one first, is a pointer into an arena.
fn is_arena(kfunc: KfuncFlags, index: usize, target: Output, merged: &Merged) -> bool {
    let is_asked_for = match index.checked_sub(1) {
        None => kfunc.has_arena_return(),
        Some(parameter) => kfunc.has_arena_param(parameter),
    };
    is_asked_for && merged.record(target).0 == Kind::Ptr
}

/// The text of the attribute that an arena pointer's target gets.
const ARENA: &[u8] = b"address_space(1)";

/// How many bytes of strings are written for each byte that strings of the input can be in. Strings that are the ends of
/// others, which linkers merge, need little more than one; those that overlap on purpose could add up to the square of the input.
const MAX_STRINGS_PER_BYTE: usize = 4;

/// The limit of the string section in bytes for small inputs: tags and the like are not of the input.
const MIN_STRING_LIMIT: usize = 1 << 16;

/// How many types were written, and functions and variables among them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) types: u64,
    pub(crate) functions: u64,
    pub(crate) variables: u64,
}

/// Writes all that was merged and chosen, but for what the base has.
///
/// # Errors
/// More types or strings than BTF can have; a type that contains itself by value.
pub(crate) fn emit(
    image: &Image<'_>,
    options: &Options,
    names: &Names<'_>,
    choice: &Choice<'_>,
    variables: &[PlacedVariable],
    merged: &Merged,
    numbering: &Numbering<'_>,
) -> Result<(Vec<u8>, Counts)> {
    if let Some((kind, name)) = numbering.contains_itself() {
        let text = match &*names.bytes(name) {
            b"" => format!("{kind} without a name"),
            name => format!("{kind} `{}`", String::from_utf8_lossy(name)),
        };
        return Err(ErrorKind::ContainsItself(text).into());
    }
    let features = options.features;
    let mut emitter = Emitter::new(names)?;
    let function_names = choice.functions.iter().map(|function| function.name);
    let mut kfuncs = choice
        .functions
        .iter()
        .filter_map(|function| function.kfunc);
    let has_arenas = features.has(Feature::Attributes) && kfuncs.any(KfuncFlags::has_arena);
    let base = names.base();
    let made = base.map(|base| base.made(merged, function_names, has_arenas));
    emitter.of_base = made.transpose()?;
    emitter.max_string_bytes = MAX_STRINGS_PER_BYTE
        .saturating_mul(image.string_bytes())
        .max(MIN_STRING_LIMIT);
    // Most types and functions have a name, of 16 bytes in the mean.
    let strings = numbering.len() + choice.functions.len();
    emitter.reserve(strings, 16 * strings);
    emitter.types(numbering)?;
    let mut functions = 0;
    for function in &choice.functions {
        functions += emitter.function(
            function,
            merged,
            numbering,
            features.has(Feature::Attributes),
        )?;
    }
    let section_name = |index| section_name(image, index);
    let variables = emitter.variables(
        variables,
        &choice.variable_types,
        numbering,
        &choice.datasecs,
        section_name,
    )?;
    let types = u64::from(emitter.builder.next_id().0 - numbering.first_id().0);
    let write = WriteOptions {
        layout: features.has(Feature::Layout),
        ..WriteOptions::default()
    };
    let btf = emitter
        .builder
        .write(options.order.unwrap_or(image.order), write)?;
    let counts = Counts {
        types,
        functions,
        variables,
    };
    Ok((btf, counts))
}

/// Builds the output.
#[derive(Debug)]
pub(crate) struct Emitter<'e, 'a> {
    pub(crate) builder: Builder,
    names: &'e Names<'a>,
    /// The types of the base among which those that are made are looked up.
    of_base: Option<Cow<'a, Made>>,
    strings: FastMap<Name, StrOffset>,
    /// The largest string section, in bytes.
    max_string_bytes: usize,
    /// Types made for arena pointers and prototypes: their words, and the id.
    made: FastMap<Vec<u32>, TypeId>,
}

impl<'e, 'a> Emitter<'e, 'a> {
    pub(crate) fn new(names: &'e Names<'a>) -> Result<Self> {
        let base = names.base().map(Base::btf).transpose()?;
        Ok(Self {
            builder: base.map_or_else(Builder::new, |base| Builder::with_base(Arc::clone(base))),
            names,
            of_base: None,
            strings: FastMap::default(),
            max_string_bytes: usize::MAX,
            made: FastMap::default(),
        })
    }

    /// Makes room for so many strings, of about `bytes` in all.
    fn reserve(&mut self, strings: usize, bytes: usize) {
        self.builder.reserve_strings(strings, bytes);
        self.strings.reserve(strings);
    }

    /// Writes all types.
    ///
    /// # Errors
    /// More types or strings than BTF can have.
    pub(crate) fn types(&mut self, numbering: &Numbering<'_>) -> Result<()> {
        let mut failed: Option<Error> = None;
        numbering.for_each_record(|kind, record| {
            if failed.is_none() {
                failed = self.record(kind, record).err();
            }
        });
        failed.map_or(Ok(()), Err)
    }

    fn record(&mut self, kind: Kind, record: &mut [u32]) -> Result<()> {
        record[0] = self.string(Name(record[0]))?.0;
        let info = kind.info();
        if info.element.first() == Some(&Word::Name) {
            for element in record[3 + info.trailer.len()..].chunks_exact_mut(info.element.len()) {
                element[0] = self.string(Name(element[0]))?.0;
            }
        }
        self.builder.push_record(record).map(|_| ())
    }

    fn string(&mut self, name: Name) -> Result<StrOffset> {
        if let Some(offset) = self.names.base_offset(name) {
            return Ok(offset);
        }
        if let Some(&offset) = self.strings.get(&name) {
            return Ok(offset);
        }
        let offset = self
            .names
            .with(name, |bytes| self.builder.add_string(bytes))?;
        self.strings.insert(name, offset);
        self.check_strings()?;
        Ok(offset)
    }

    /// Refuses strings that add up to more than an input's do.
    fn check_strings(&self) -> Result<()> {
        let len = self.builder.strings().bytes().len();
        if len <= self.max_string_bytes {
            return Ok(());
        }
        let (value, limit) = (len as u64, self.max_string_bytes as u64);
        let what = "string section in bytes, for strings that overlap in the input,";
        Err(ErrorKind::TooLarge { what, value, limit }.into())
    }

    /// Writes a function and its tags, but for what the base has; gives the number of functions written.
    ///
    /// All functions have static linkage, as pahole's have: kernels and tools expect it.
    pub(crate) fn function(
        &mut self,
        function: &ChosenFunction<'_>,
        merged: &Merged,
        numbering: &Numbering<'_>,
        has_attributes: bool,
    ) -> Result<u64> {
        let mut proto = numbering.id(function.proto);
        if let Some(kfunc) = function.kfunc.filter(|_| has_attributes) {
            proto = self.arena_proto(function.proto, kfunc, merged, numbering)?;
        }
        let name = self.builder.add_string(function.name)?;
        self.check_strings()?;
        let info = Info::new(Kind::Func, linkage::STATIC, false);
        let (id, is_new) = self.made_once(&[name.0, info.0, proto.0])?;
        for &(component, text) in &function.tags {
            let text = self.names.bytes(text);
            self.decl_tag(&text, id, component)?;
        }
        let has_tag = |text: &str| {
            let is_it = |&(component, name): &(i32, Name)| {
                component == -1 && self.names.bytes(name) == text.as_bytes()
            };
            function.tags.iter().any(is_it)
        };
        let tags: Vec<&str> = function
            .kfunc
            .into_iter()
            .flat_map(KfuncFlags::tags)
            .filter(|tag| !has_tag(tag))
            .collect();
        for tag in tags {
            self.decl_tag(tag.as_bytes(), id, -1)?;
        }
        Ok(u64::from(is_new))
    }

    /// Writes a tag, unless the base has it.
    fn decl_tag(&mut self, text: &[u8], target: TypeId, component: i32) -> Result<()> {
        let text = self.builder.add_string(text)?;
        let info = Info::new(Kind::DeclTag, 0, false);
        self.made_once(&[text.0, info.0, target.0, component.cast_unsigned()])?;
        Ok(())
    }

    /// The type with these words: the base's, or a new one; whether it is new.
    fn made_once(&mut self, words: &[u32]) -> Result<(TypeId, bool)> {
        match self.of_base.as_ref().and_then(|made| made.find(words)) {
            Some(id) => Ok((id, false)),
            None => Ok((self.builder.push_record(words)?, true)),
        }
    }

    /// The prototype of a kfunc whose pointers lead into an arena; its plain one if none does.
    fn arena_proto(
        &mut self,
        proto: Output,
        kfunc: KfuncFlags,
        merged: &Merged,
        numbering: &Numbering<'_>,
    ) -> Result<TypeId> {
        let (_, record) = merged.record(proto);
        let mut words = record.to_vec();
        let mut targets = Vec::new();
        merged.targets(proto, |target| targets.push(target));
        let mut is_changed = false;
        for (index, target) in targets.into_iter().enumerate() {
            let mut id = target.map_or(TypeId::VOID, |target| numbering.id(target));
            if let Some(pointer) = target.filter(|&target| is_arena(kfunc, index, target, merged)) {
                id = self.arena_pointer(pointer, merged, numbering)?;
                is_changed = true;
            }
            words[if index == 0 { 2 } else { 2 + 2 * index }] = id.0;
        }
        if !is_changed {
            return Ok(numbering.id(proto));
        }
        for parameter in words[3..].chunks_exact_mut(2) {
            parameter[0] = self.string(Name(parameter[0]))?.0;
        }
        self.made(words)
    }

    /// A pointer to an arena with the same target.
    fn arena_pointer(
        &mut self,
        pointer: Output,
        merged: &Merged,
        numbering: &Numbering<'_>,
    ) -> Result<TypeId> {
        let mut target = TypeId::VOID;
        merged.targets(pointer, |output| {
            target = output.map_or(TypeId::VOID, |output| numbering.id(output));
        });
        let text = self.builder.add_string(ARENA)?;
        let tag = self.made(vec![text.0, Info::new(Kind::TypeTag, 0, true).0, target.0])?;
        self.made(vec![0, Info::new(Kind::Ptr, 0, false).0, tag.0])
    }

    /// A type with these words, written once.
    fn made(&mut self, words: Vec<u32>) -> Result<TypeId> {
        if let Some(&id) = self.made.get(&words) {
            return Ok(id);
        }
        let (id, _) = self.made_once(&words)?;
        self.made.insert(words, id);
        Ok(id)
    }

    /// Writes the variables that are in one of `datasecs`, in input order, and then those.
    ///
    /// `types` holds each variable's type, `section_name` tells a section's name.
    pub(crate) fn variables(
        &mut self,
        variables: &[PlacedVariable],
        types: &[Option<Output>],
        numbering: &Numbering<'_>,
        datasecs: &[Datasec],
        section_name: impl Fn(u32) -> Vec<u8>,
    ) -> Result<u64> {
        let mut ids = vec![TypeId::VOID; variables.len()];
        let mut is_used = vec![false; variables.len()];
        datasecs
            .iter()
            .flat_map(|datasec| &datasec.entries)
            .for_each(|entry| is_used[entry.variable] = true);
        let mut count = 0;
        for (index, variable) in variables
            .iter()
            .enumerate()
            .filter(|(index, _)| is_used[*index])
        {
            let ty = types[index].map_or(TypeId::VOID, |ty| numbering.id(ty));
            let linkage = if variable.is_external {
                linkage::GLOBAL
            } else {
                linkage::STATIC
            };
            let name = self.names.bytes(variable.name);
            ids[index] = self.builder.var(&name, ty, linkage)?;
            self.check_strings()?;
            count += 1;
            for &tag in &variable.tags {
                let text = self.names.bytes(tag);
                self.decl_tag(&text, ids[index], -1)?;
            }
        }
        for datasec in datasecs {
            let entries: Vec<VarSecinfo> = datasec
                .entries
                .iter()
                .map(|entry| VarSecinfo {
                    ty: ids[entry.variable],
                    offset: entry.offset,
                    size: entry.size,
                })
                .collect();
            self.builder
                .datasec(&section_name(datasec.section), datasec.size, &entries)?;
        }
        Ok(count)
    }
}

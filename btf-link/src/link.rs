//! A static linker for BPF objects: their sections, symbols and BTF become those of one object.
//!
//! ```text
//! files → objects → symbols → pieces → layout → functions and variables → types → output
//! ```
//!
//! 1. `input`, `object`: which objects take part, taken apart into plain lists.
//! 2. `symbols`: what each name means.
//! 3. `pieces`, `live`: what goes: the bodies of weak definitions that have lost, and what nothing reaches if that is wanted.
//! 4. `layout`: where everything else goes.
//! 5. `declared`, `matching`: functions and variables, and whether objects agree about them.
//! 6. `types`, `datasec`, `ext`: one BTF, by the engine that merges all BTF; [`crate::shrink`] prunes it if that is wanted.
//! 7. `contents`, `jump_tables`, `output`: bytes.
//!
//! Whatever keeps the objects from being linked is a [`Problem`]; all of a run are told. The output depends on the inputs and their
//! order only. Linked once more by itself, it stays the same, byte by byte.

mod contents;
mod datasec;
mod declared;
mod ext;
mod input;
mod jump_tables;
mod layout;
mod live;
mod matching;
mod names;
mod object;
mod output;
mod pieces;
mod problem;
mod read;
mod relocations;
mod symbols;
mod types;

use btf_core::builder::WriteOptions;
use btf_core::cli::pattern::Pattern;
use btf_core::{Builder, Error, ErrorKind};

pub use input::File;
pub use problem::{Place, Problem};

use ext::Joined;
use layout::Layout;
use live::Roots;
use object::Object;
use output::Parts;
use symbols::Symbols;
use types::Types;

use crate::shrink::{Level, shrink};

/// What is wanted of the linker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Keep only what programs reach, and symbols that these match; `None` keeps everything.
    pub gc: Option<&'a [Pattern]>,
    /// How much of the BTF goes that nobody looks at.
    pub prune: Option<Level>,
}

/// Why nothing was linked.
#[derive(Debug)]
pub enum Failure {
    /// Files that cannot be read: what messages call each, and why.
    Unreadable(Vec<(String, Error)>),
    /// The objects do not fit together.
    Problems(Vec<Problem>),
    /// The result is not possible.
    Impossible(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Impossible(error)
    }
}

/// A symbol that an object shares with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSymbol {
    /// Its name.
    pub name: Vec<u8>,
    /// Whether the object defines it, or needs it.
    pub is_defined: bool,
    /// Whether it gives way to another definition, or may stay undefined.
    pub is_weak: bool,
    /// Its `STV_*`.
    pub visibility: u8,
}

/// The symbols of an object that another linker has to know. Those in sections that all objects may have are not among them.
///
/// # Errors
/// What is wrong with the object.
pub fn shared_symbols(file: &File) -> btf_core::Result<Vec<SharedSymbol>> {
    let object = Object::parse(file.name.clone(), &file.bytes)?;
    Ok(object.shared().collect())
}

/// Links objects, and what they need of archives, into one object.
///
/// # Errors
/// [`Failure`], with everything that is wrong.
pub fn link(files: &[File], options: &Options<'_>) -> Result<Vec<u8>, Failure> {
    let objects = input::objects(files).map_err(Failure::Unreadable)?;
    if objects.is_empty() {
        let text = "no object to link".to_owned();
        return Err(Error::new(ErrorKind::Elf(text)).into());
    }
    let mut problems = Vec::new();
    check_objects(&objects, &mut problems);
    let symbols = Symbols::resolve(&objects, &mut problems);
    let declared = declared::declared(&objects);
    declared::check(&objects, &symbols, &declared, &mut problems);
    let cuts = pieces::cut(&objects, &symbols, options.gc.is_some());
    let roots = options
        .gc
        .map_or(Roots::All, |keep| Roots::Programs { keep });
    let live = live::find(&objects, &symbols, &cuts, &roots, &mut problems);
    let layout = Layout::plan(&objects, &symbols, &cuts, &live, &mut problems);
    // What is wrong up to here would be told again below, in other words.
    stop_at(&mut problems)?;

    let is_kept = |global: usize| {
        let is = |list: &[bool]| list.get(global).copied().unwrap_or(false);
        is(&live.is_used) || options.gc.is_none() && !is(&live.is_mentioned)
    };
    let order = objects
        .first()
        .map_or(btf_core::ByteOrder::NATIVE, |object| object.order);
    let (mut btf, mut joined) = (None, Joined::default());
    if objects.iter().any(|object| object.btf.is_some()) {
        let entities = declared::entities(&objects, &symbols, &declared, &layout, &is_kept);
        let gathered = types::gather(&objects, &entities, &mut problems);
        stop_at(&mut problems)?;
        let merged = gathered.merge();
        let mut types = Types::new(&gathered, &merged, &entities)?;
        datasec::write(
            &objects,
            &symbols,
            &layout,
            &entities,
            &mut types,
            &mut problems,
        )?;
        joined = ext::join(&objects, &layout, &entities, &mut types, &mut problems)?;
        let write = WriteOptions {
            wide_vlen: true,
            ..WriteOptions::default()
        };
        let builder = prune(types.builder, &mut joined, options.prune)?;
        btf = Some(builder.write(order, write)?);
    }
    let mut contents = contents::fill(
        &objects,
        &symbols,
        &layout,
        &joined.immediates,
        &mut problems,
    );
    jump_tables::move_tables(&objects, &layout, &mut contents, &mut problems);
    stop_at(&mut problems)?;
    let ext = &joined.ext;
    let has_ext =
        !ext.func_info.is_empty() || !ext.line_info.is_empty() || !ext.core_relo.is_empty();
    let parts = Parts {
        order,
        objects: &objects,
        symbols: &symbols,
        layout: &layout,
        contents: &contents,
        is_kept: &is_kept,
        btf,
        ext: has_ext.then(|| ext.write(order)).transpose()?,
    };
    Ok(output::write(&parts)?)
}

/// Prunes the BTF if that is wanted, and moves what refers to it.
fn prune(builder: Builder, joined: &mut Joined, level: Option<Level>) -> btf_core::Result<Builder> {
    let Some(level) = level else {
        return Ok(builder);
    };
    let pruned = shrink(&builder.finish()?, &joined.ext, level)?;
    for immediate in &mut joined.immediates {
        let new = pruned.ids.get(immediate.new as usize);
        immediate.new = new.map_or(0, |id| id.0);
    }
    joined.ext = pruned.ext;
    Ok(Builder::from_btf(&pruned.btf))
}

/// Checks that objects can be linked with each other at all.
fn check_objects(objects: &[Object<'_>], problems: &mut Vec<Problem>) {
    check_orders(objects, problems);
    check_btf(objects, problems);
}

/// Checks that all objects have one byte order.
fn check_orders(objects: &[Object<'_>], problems: &mut Vec<Problem>) {
    let Some(first) = objects.first() else { return };
    for (index, object) in objects.iter().enumerate() {
        if object.order != first.order {
            let text = "objects of different byte orders".to_owned();
            problems.push(Problem::of_symbols(text, objects, [(0, 0), (index, 0)]));
        }
    }
}

/// Checks that code has BTF if other objects have some. The kernel takes none without if it is given any, and of a function that
/// other objects only declare they know no names of parameters, which BTF needs.
fn check_btf(objects: &[Object<'_>], problems: &mut Vec<Problem>) {
    if objects.iter().all(|object| object.btf.is_none()) {
        return;
    }
    for object in objects.iter().filter(|object| object.btf.is_none()) {
        let has_code = |section: &object::Section<'_>| section.is_code() && section.size > 0;
        if object.sections.iter().any(has_code) {
            let text = "code without BTF, which other objects have; compile it with `-g`, or gcc's `-gbtf`";
            problems.push(Problem::of(object, text.to_owned()));
        }
    }
}

/// Ends the run if there are problems.
fn stop_at(problems: &mut Vec<Problem>) -> Result<(), Failure> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::Problems(std::mem::take(problems)))
}

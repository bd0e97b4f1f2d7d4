//! C headers: all types of a kernel, or a module's, as a compiler wants them.
//!
//! What bpftool's `btf dump file … format c` is used for, with its frame, its macros and its `___2` for homonyms, and without
//! its gaps: no enumeration is lost, enumerations have their size, members of tagged structures without a name need no
//! dialect, unions have their alignment, and the names do not depend on the order of types.
//!
//! The way of a header:
//!
//! ```text
//! tables → items → names → order → text, and for each type on the way: shape
//! ```
//!
//! 0. `tables`: what each type is, so that no later step takes a record apart for that.
//! 1. `items`: what can stand at the top level, in the order of choice.
//! 2. `names`: which of several types of one name gets which number.
//! 3. `order`: each item behind what it needs; what that is says `walk`.
//! 4. `shape`: the attributes and the padding with which a compiler comes to the layout that the BTF describes.
//! 5. `print`: the declarations, with `texts` for the types that come again, and `asserts`, `frame` around them.
//!
//! `merge` makes one BTF of a kernel and its modules before.
//!
//! Everything is linear in the input, but for sorting; only the text itself can be longer than the input by more than a
//! factor, because types without a name are written out wherever they are used, and it has a limit. Nothing is recursive.

mod asserts;
mod enumeration;
pub(crate) mod frame;
mod identifier;
mod items;
pub(crate) mod merge;
mod names;
mod number;
mod order;
mod print;
mod refine;
mod shape;
mod space;
mod tables;
mod tags;
mod text;
mod view;
mod walk;

use std::io::Write;
use std::sync::atomic::AtomicUsize;

use btf_core::{Btf, Error, ErrorKind, Result, StrOffset, TypeId};
use rayon::prelude::*;

use asserts::Asserter;
use items::Items;
pub use merge::{Merged, merge};
use names::Names;
use order::{Scheduler, Step};
use print::{Printer, Shared};
use shape::Shapes;
use tables::Tables;
use tags::Tags;
use view::View;
use walk::Needs;

use crate::kfuncs::{self, Kfunc};

/// Which types a header has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope<'o> {
    /// All of them, the base's too.
    #[default]
    All,
    /// A module's own, behind an `#include` of the kernel's.
    Module {
        /// What the module is called, which names the include guard.
        name: &'o str,
        /// The header with the types of the base, which must be one of this library, for the numbers of homonyms.
        kernel_header: &'o str,
    },
    /// These, and what they need; only declared where a pointer leads to it.
    Roots(&'o [TypeId]),
}

/// What a header is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'o> {
    /// Which types it has.
    pub scope: Scope<'o>,
    /// Whether the size of each type and the offset of each member are asserted.
    pub assertions: bool,
    /// Whether declarations get their `DECL_TAG`s as attributes.
    pub decl_tags: bool,
    /// Whether kfuncs are declared at the end, those of a base not included.
    pub kfuncs: bool,
    /// The size of a pointer in bytes, if it is known: 4 or 8. Otherwise the BTF's type `long` tells.
    pub pointer_size: Option<u8>,
    /// The first type of modules in merged BTF ([`Merged::first_of_modules`]). What comes before is named first, as if it were
    /// alone, and written first.
    pub first_of_modules: Option<TypeId>,
}

/// How much a header has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The types that it defines.
    pub definitions: u64,
    /// The assertions about them.
    pub assertions: u64,
}

/// Writes a header.
///
/// It depends on the types and options only, and not on the ids of types but where nothing else tells two of them apart.
///
/// # Errors
/// An id or a name that does not exist, and a structure that contains itself ([`ErrorKind::Cycle`]); more nesting than a
/// compiler makes, and a text out of all proportion to the BTF ([`ErrorKind::TooLarge`]); a reference to what is no type in
/// C ([`ErrorKind::Invalid`]); and what `out` returns. Before the last one nothing is written.
pub fn header(btf: &Btf, options: &Options<'_>, out: &mut dyn Write) -> Result<Summary> {
    let find_kfuncs = || options.kfuncs.then(|| kfuncs::find(btf, None));
    let (tables, kfuncs) = rayon::join(|| Tables::new(btf, options.pointer_size), find_kfuncs);
    let (tables, kfuncs) = (tables?, kfuncs.unwrap_or_default());
    let view = View::new(btf, &tables);
    let limit = print::limit(btf.chain().map(Btf::blob_len).sum());
    let is_module = matches!(options.scope, Scope::Module { .. });
    let first_own = TypeId(if is_module { btf.first_id() } else { 1 });
    let first_later = options.first_of_modules.unwrap_or(first_own);
    let is_merged = options.first_of_modules.is_some();
    let (needs, items) = rayon::join(
        || Needs::new(view, limit as u64),
        || Items::new(view, first_later, is_merged),
    );
    let (mut needs, items) = (needs?, items?);
    let name_and_order = || -> Result<_> {
        let mut functions = Vec::with_capacity(kfuncs.len());
        for kfunc in &kfuncs {
            functions.push(view.node(kfunc.id)?.name);
        }
        let names = Names::new(view, &items, &needs, first_later, functions)?;
        // From here on every type has its name.
        let scheduler = Scheduler::new(view, &names, &items, &mut needs, first_own);
        let schedule = scheduler.run(options.scope, &items, &kfuncs)?;
        Ok((names, schedule))
    };
    let (named, shapes) = rayon::join(name_and_order, || Shapes::new(view));
    let ((names, schedule), shapes) = (named?, shapes?);
    // From here on it is known what is written, in which order and under which names.
    let tags = if options.decl_tags {
        Tags::of_all(view)?
    } else {
        Tags::default()
    };
    let written = AtomicUsize::new(0);
    let shared = Shared {
        names: &names,
        shapes: &shapes,
        tags: &tags,
        writers: &schedule.writers,
        written: &written,
    };
    let printer = || Printer::new(view, &shared, limit);
    let mut start = Vec::new();
    frame::open(options, &mut start);
    let mut parts = vec![start];
    for part in print_all(&schedule.steps, &printer) {
        parts.push(part?);
    }
    let mut text = Vec::new();
    if !kfuncs.is_empty() {
        declare_kfuncs(btf, &kfuncs, &mut printer(), &mut text)?;
    }
    let is_definition = |step: &&Step| matches!(step, Step::Define(_));
    let mut summary = Summary {
        definitions: schedule.steps.iter().filter(is_definition).count() as u64,
        assertions: 0,
    };
    if options.assertions {
        let mut asserter = Asserter::new(view, &names, &shapes, limit);
        asserter.steps(&schedule.steps, &mut text)?;
        summary.assertions = asserter.count;
    }
    frame::close(options, &mut text);
    parts.push(text);
    for part in parts {
        let written = out.write_all(&part);
        written.map_err(|error| Error::new(ErrorKind::Io("write the header")).caused_by(error))?;
    }
    Ok(summary)
}

/// How many steps a thread writes before it takes the next ones: a kernel has some ten thousand.
const STEPS_AT_ONCE: usize = 512;

/// The room for their text in bytes, which is enough for most.
const TEXT_LEN: usize = 96 << 10;

/// Writes steps side by side, as no text depends on another; in parts, in their order.
fn print_all<'p, 'a>(
    steps: &[Step],
    printer: &(impl Fn() -> Printer<'p, 'a> + Sync),
) -> Vec<Result<Vec<u8>>>
where
    'a: 'p,
{
    let parts = steps.par_chunks(STEPS_AT_ONCE);
    let parts = parts.map_init(printer, |printer, steps| {
        printer.out = Vec::with_capacity(TEXT_LEN);
        printer.steps(steps)?;
        Ok(std::mem::take(&mut printer.out))
    });
    parts.collect()
}

/// Writes the block of kfuncs.
fn declare_kfuncs(
    btf: &Btf,
    kfuncs: &[Kfunc<'_>],
    printer: &mut Printer<'_, '_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    printer.put(frame::KFUNCS);
    for kfunc in kfuncs {
        printer.put("extern ");
        if kfunc.is_fastcall() {
            printer.put("__bpf_fastcall ");
        }
        printer.function(btf.ty(kfunc.id)?.name(), kfunc.proto)?;
        printer.put(" __weak __ksym;\n");
    }
    printer.put(frame::END_KFUNCS);
    out.extend_from_slice(&printer.out);
    Ok(())
}

/// Declarations of functions.
#[derive(Debug, Default)]
pub struct Functions {
    /// The types that they need and no other header has.
    pub types: Vec<u8>,
    /// Each function without what ends its declaration.
    pub functions: Vec<Vec<u8>>,
}

/// Declares functions, each by its name and `FUNC_PROTO`, behind a header that has all types below `first_own`.
///
/// # Errors
/// As [`header`].
pub fn functions(
    btf: &Btf,
    pointer_size: Option<u8>,
    first_own: TypeId,
    functions: &[(StrOffset, TypeId)],
) -> Result<Functions> {
    let tables = Tables::new(btf, pointer_size)?;
    let view = View::new(btf, &tables);
    let limit = print::limit(btf.chain().map(Btf::blob_len).sum());
    let mut needs = Needs::new(view, limit as u64)?;
    let items = Items::new(view, first_own, false)?;
    let taken = functions.iter().map(|&(name, _)| name);
    let names = Names::new(view, &items, &needs, first_own, taken)?;
    let shapes = Shapes::new(view)?;
    let mut scheduler = Scheduler::new(view, &names, &items, &mut needs, first_own);
    for &(_, proto) in functions {
        scheduler.root(proto)?;
    }
    let schedule = scheduler.finish();
    let tags = Tags::default();
    let shared = Shared {
        names: &names,
        shapes: &shapes,
        tags: &tags,
        writers: &schedule.writers,
        written: &AtomicUsize::new(0),
    };
    let mut printer = Printer::new(view, &shared, limit);
    printer.steps(&schedule.steps)?;
    let mut declared = Functions {
        types: std::mem::take(&mut printer.out),
        functions: Vec::with_capacity(functions.len()),
    };
    for &(name, proto) in functions {
        printer.function(name, proto)?;
        declared.functions.push(std::mem::take(&mut printer.out));
    }
    Ok(declared)
}

#[cfg(test)]
mod tests;

//! `btf-link relocate`: a module's BTF onto another kernel's.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use btf_core::cli::sources::{Base, Source, open_one};
use btf_core::cli::{ExitStatus, Printer, output, plural};
use btf_core::distill::{Distilled, Request, is_distilled};
use btf_core::elf::NewSection;
use btf_core::relocate::{Relocated, mismatches, relocate};
use btf_core::{Btf, TypeId};
use btf_link::ids::{self, BtfIds};

use super::TOOL;
use super::target::{Subject, TargetArgs, bytes_of};

const EXAMPLES: &str = "\
Examples:
  btf-link relocate module.ko --to new/vmlinux --in-place
  btf-link relocate module.btf --base vmlinux --to new/vmlinux -o moved.btf
";

/// Move the BTF of a module onto another kernel
///
/// Types are found by name, kind and size. Where the module has a `.BTF.base`, that says what it needs; otherwise the kernel that it
/// was made for does, which is found or named with `--base`. If a type has no match, all of them are listed, nothing is written, and
/// the exit status is 1.
///
/// Split BTF without a `.BTF.base` stays as it is if it continues that kernel already. Moved to another build, it takes along what has
/// no match by name, as pointers, functions and typedefs have none: these types of the old kernel become its own, also where the new
/// kernel has equal ones. `merge --base` leaves those out.
///
/// An ELF file gets another `.BTF` and the ids in `.BTF_ids`; if it had a `.BTF.base`, it gets that of the new kernel.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RelocateArgs {
    /// A module, or its split BTF
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The kernel to move to
    #[arg(long, value_name = "VMLINUX")]
    to: PathBuf,

    /// What FILE continues now, if it has no `.BTF.base`
    #[arg(short = 'B', long, value_name = "FILE")]
    base: Option<PathBuf>,

    #[command(flatten)]
    target: TargetArgs,

    /// Write only the BTF, of an ELF file, too
    #[arg(long)]
    raw: bool,
}

/// The steps of a move; none if there is nothing to do.
#[derive(Default)]
struct Moved {
    /// From the old base to a distilled one, unless there was one.
    distilled: Option<Distilled>,
    /// From there onto the new base, unless it is the old one.
    relocated: Option<Relocated>,
}

impl Moved {
    fn new_id(&self, id: TypeId) -> Option<TypeId> {
        let id = match &self.distilled {
            Some(distilled) => distilled.new_id(id)?,
            None => id,
        };
        match &self.relocated {
            Some(relocated) => relocated.new_id(id),
            None => Some(id),
        }
    }

    /// The BTF of `subject` where it is now.
    fn btf<'a>(&'a self, subject: &'a Subject) -> &'a Btf {
        let relocated = self.relocated.as_ref();
        relocated.map_or(&*subject.source.btf, |relocated| &relocated.btf)
    }
}

/// Whether two blobs that continue nothing have the same types and strings at the same places.
fn is_same(a: &Btf, b: &Btf) -> bool {
    let has_base = a.base().is_some() || b.base().is_some();
    !has_base && a.words() == b.words() && a.string_bytes() == b.string_bytes()
}

/// Relocates.
pub(crate) fn run(args: &RelocateArgs, printer: &Printer) -> Result<ExitStatus> {
    let subject = match Subject::open(&args.file, args.base.as_deref()) {
        // What continues nothing that was found may be on that kernel already.
        Err(error) if args.base.is_none() => {
            Subject::open(&args.file, Some(&args.to)).map_err(|_| error)
        }
        opened => opened,
    }?;
    let (btf, title) = (&subject.source.btf, subject.source.title());
    let Some(old_base) = btf.base() else {
        bail!("{title}: this is no split BTF, so that there is nothing to move");
    };
    let to = open_one(&args.to, None)?;
    if to.btf.byte_order() != subject.order() {
        let orders = (subject.order(), to.btf.byte_order());
        bail!(
            "{title}: its byte order is {}, that of {} is {}",
            orders.0,
            to.title(),
            orders.1
        );
    }
    if to.btf.base().is_some() {
        bail!("{}: this is split BTF, not that of a kernel", to.title());
    }

    let moved = if is_same(old_base, &to.btf) {
        Some(Moved::default())
    } else {
        find_moved(&subject, &to, printer)?
    };
    let Some(moved) = moved else {
        return Ok(ExitStatus::No);
    };
    write(args, &subject, &moved, printer)?;
    let new = moved.btf(&subject);
    let count = new.end_id() - new.first_id();
    let continues = if count == 1 { "continues" } else { "continue" };
    let types = plural(count.into(), "type");
    printer.say(&format!("{types} {continues} {}", to.title()));
    Ok(ExitStatus::Done)
}

/// Moves the BTF onto another kernel; `None` if types have no match, which is told.
fn find_moved(subject: &Subject, to: &Source, printer: &Printer) -> Result<Option<Moved>> {
    let (btf, title) = (&subject.source.btf, subject.source.title());
    let is_ready =
        subject.source.base == Base::Own || btf.base().is_some_and(|base| is_distilled(base));
    let distilled = if is_ready {
        None
    } else {
        let needed = subject.ids.iter().flat_map(BtfIds::types).collect();
        let request = Request {
            needed,
            for_kernels: false,
        };
        Some(Distilled::new(btf, &request).with_context(|| title.clone())?)
    };
    let split = distilled
        .as_ref()
        .map_or(&**btf, |distilled| &distilled.btf);
    let missing = mismatches(split, &to.btf).with_context(|| title.clone())?;
    if !missing.is_empty() {
        for mismatch in &missing {
            printer.failure(TOOL, &format!("{title}: {mismatch}"));
        }
        return Ok(None);
    }
    let relocated = relocate(split, Arc::clone(&to.btf)).with_context(|| title.clone())?;
    Ok(Some(Moved {
        distilled,
        relocated: Some(relocated),
    }))
}

fn write(args: &RelocateArgs, subject: &Subject, moved: &Moved, printer: &Printer) -> Result<()> {
    let inputs = subject.source.files().chain([&*args.to]);
    let (target, order) = (args.target.path(&args.file, inputs)?, subject.order());
    let new = moved.btf(subject);
    if subject.elf.is_none() || args.raw {
        if args.raw && subject.elf.is_some() && target == args.file {
            bail!("raw BTF in place of an ELF file: name an output with `-o`");
        }
        let bytes = bytes_of(new, order)?;
        return output::write(target, &bytes).with_context(|| target.display().to_string());
    }
    let again = if subject.source.base == Base::Own {
        let ids = subject.ids.iter().flat_map(BtfIds::types);
        let needed = ids.filter_map(|id| moved.new_id(id)).collect();
        let request = Request {
            needed,
            for_kernels: true,
        };
        Some(Distilled::new(new, &request).with_context(|| subject.source.title())?)
    } else {
        None
    };
    let new_id = |id| {
        let id = moved.new_id(id)?;
        again.as_ref().map_or(Some(id), |again| again.new_id(id))
    };
    let written: &Btf = again.as_ref().map_or(new, |again| &again.btf);
    let btf = bytes_of(written, order)?;
    let base = again.as_ref().and_then(|again| again.btf.base());
    let base = base.map(|base| bytes_of(base, order)).transpose()?;
    let new_ids = subject.new_ids(printer, new_id);
    let mut sections = vec![NewSection {
        name: ".BTF",
        bytes: &btf,
    }];
    sections.extend(base.as_deref().map(|bytes| NewSection {
        name: ".BTF.base",
        bytes,
    }));
    sections.extend(new_ids.as_deref().map(|bytes| NewSection {
        name: ids::SECTION,
        bytes,
    }));
    subject.write_elf(target, &sections, printer)
}

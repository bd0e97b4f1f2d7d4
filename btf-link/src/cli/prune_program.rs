//! `btf-link prune` without names: a BPF object with no more BTF than is looked at.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use btf_core::cli::sources::{Error, warn_of_packed};
use btf_core::cli::{ExitStatus, Printer, ThreadArgs, output, plural, size};
use btf_core::elf;
use btf_link::core_check::Checked;
use btf_link::kernels::{KernelFiles, KernelList};
use btf_link::link::Options;
use btf_link::program::Program;
use btf_link::shrink::Level;
use rayon::prelude::*;

use super::TOOL;
use super::core_check::place_of;
use super::inputs::{Output, without_output};
use super::link::{LevelArg, link_bytes};

/// What `prune` does to BPF objects.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct ProgramArgs {
    /// How much goes; each level includes those before
    ///
    /// By default, all of them.
    #[arg(long, value_name = "LEVEL", conflicts_with = "keep")]
    level: Option<LevelArg>,

    /// Resolve all CO-RE relocations before and after in these kernels, and write nothing if one differs
    ///
    /// Of a folder all files are taken but OUT. Kernels of another byte order prove nothing and are left out.
    #[arg(long, value_name = "KERNEL", num_args = 1.., conflicts_with = "keep")]
    pub(super) prove: Vec<PathBuf>,

    #[command(flatten)]
    threads: ThreadArgs,
}

/// Prunes.
pub(super) fn run(
    path: &Path,
    target: &Path,
    args: &ProgramArgs,
    printer: &Printer,
) -> Result<ExitStatus> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(args.threads.count().get());
    threads.build_global().context("cannot start threads")?;
    let options = Options {
        gc: None,
        prune: Some(args.level.map_or(Level::Members, Level::from)),
    };
    let bytes = match link_bytes(&[path.to_owned()], &options, printer)? {
        Ok(bytes) => bytes,
        Err(status) => return Ok(status),
    };
    let title = || path.display().to_string();
    let old = std::fs::read(path).with_context(title)?;
    // Read before anything is written: an object may have no BTF.
    let (old_size, new_size) = (
        sizes(&old).with_context(title)?,
        sizes(&bytes).with_context(title)?,
    );
    if !args.prove.is_empty() && !prove(args, target, &old, &bytes, printer)? {
        return Ok(ExitStatus::No);
    }
    output::write(target, &bytes).with_context(|| target.display().to_string())?;
    printer.say(&format!(
        "{}: {}, {} -> {}, {}",
        target.display(),
        plural(old_size.0.into(), "type"),
        size(old_size.1),
        plural(new_size.0.into(), "type"),
        size(new_size.1)
    ));
    Ok(ExitStatus::Done)
}

/// The number of types of an object, and the size of its `.BTF` in bytes.
fn sizes(bytes: &[u8]) -> Result<(u32, u64)> {
    let btf = elf::load(bytes, None)?.btf;
    Ok((btf.end_id() - btf.first_id(), btf.blob_len()))
}

/// Fails if there is a file that cannot be read: nothing is proved without it.
fn all_read(unreadable: Vec<Error>) -> Result<()> {
    match unreadable.into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Shows that all relocations give the same before and after; tells which do not.
fn prove(
    args: &ProgramArgs,
    target: &Path,
    old: &[u8],
    new: &[u8],
    printer: &Printer,
) -> Result<bool> {
    let (old, new) = (
        Checked::new(Program::parse(old)?),
        Checked::new(Program::parse(new)?),
    );
    let list = KernelList::find(&without_output(
        &args.prove,
        Output::BpfObject,
        Some(target),
        printer,
    )?)?;
    warn_of_packed(TOOL, printer, &args.prove);
    all_read(list.unreadable)?;
    // `None` if the kernel has another byte order: it would not take the program at all.
    let compare = |files: &KernelFiles| -> Result<Option<Vec<usize>>> {
        let mut kernel = files.open()?;
        if old.other_order(&kernel).is_some() {
            return Ok(None);
        }
        if old.needs_modules(&kernel) {
            all_read(files.open_modules(&mut kernel))?;
        }
        Ok(Some(old.differences(&new, &kernel)))
    };
    let results: Vec<_> = list.kernels.par_iter().map(compare).collect();
    let (mut is_same, mut proofs) = (true, 0);
    for (files, result) in list.kernels.iter().zip(results) {
        let Some(differing) = result? else {
            let text = format!(
                "{}: left out, as its byte order is not the program's",
                files.path.display()
            );
            printer.warning(TOOL, &text);
            continue;
        };
        proofs += 1;
        for number in differing {
            is_same = false;
            let place = place_of(&old, number).unwrap_or_default();
            let text = format!(
                "{}: {place}: another answer after pruning",
                files.path.display()
            );
            printer.failure(TOOL, &text);
        }
    }
    if proofs == 0 {
        bail!(
            "nothing that `--prove` names is a kernel of the program's byte order: nothing is proved"
        );
    }
    if is_same {
        printer.say(&format!(
            "{} give the same in {}",
            plural(old.requests().len() as u64, "relocation"),
            plural(proofs, "kernel")
        ));
    }
    Ok(is_same)
}

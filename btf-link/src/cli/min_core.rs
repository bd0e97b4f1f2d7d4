//! `btf-link min-core`: the part of a kernel's BTF that the CO-RE relocations of programs need.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use btf_core::builder::WriteOptions;
use btf_core::cli::sources::{Error, warn_of_packed};
use btf_core::cli::{ExitStatus, Printer, output, plural, size};
use btf_core::core_relo::Kernel;
use btf_core::{Builder, ByteOrder};
use btf_link::core_check::Checked;
use btf_link::kernels::KernelList;
use btf_link::min_core::{differences, min_core};

use super::TOOL;
use super::core_check::{Programs, open_programs, place_of};
use super::inputs::{Output, without_output};

const EXAMPLES: &str = "\
Examples:
  btf-link min-core vmlinux prog.bpf.o -o min.btf
  btf-link min-core vmlinux a.bpf.o b.bpf.o -m modules/ -o min.btf   with what they need of modules
";

/// Write the part of a kernel's BTF that the CO-RE relocations of programs need
///
/// For kernels without BTF, whose programs bring it along: a loader that gets it in place of the kernel's (`btf_custom_path` of
/// libbpf) finds the same answers, which is checked before anything is written. Of a folder all files are taken but OUT. Takes the place
/// of `bpftool gen min_core_btf`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MinCoreArgs {
    /// The kernel: raw BTF or ELF, or a folder with its modules
    #[arg(value_name = "KERNEL")]
    kernel: PathBuf,

    /// BPF objects
    #[arg(value_name = "PROGRAM", required = true)]
    programs: Vec<PathBuf>,

    /// Modules of the kernel, or folders of them
    #[arg(short, long, value_name = "FILE")]
    modules: Vec<PathBuf>,

    /// Where to write the BTF; `-` is standard output
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// Also keep the functions, tracepoints and variables of the kernel that the programs attach to or refer to
    #[arg(long)]
    functions: bool,
}

impl MinCoreArgs {
    fn inputs(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.kernel].into_iter();
        let files = files.chain(&self.modules).chain(&self.programs);
        files.map(PathBuf::as_path)
    }
}

/// Writes minimal BTF.
pub(crate) fn run(args: &MinCoreArgs, printer: &Printer) -> Result<ExitStatus> {
    output::check_target(&args.output, args.inputs())?;
    let programs = open_programs(&args.programs, printer);
    let Programs { list, has_failed } = programs;
    let programs: Vec<_> = list.into_iter().map(|(_, program)| program).collect();
    let kernel = open_kernel(args, &programs, printer)?;
    let Some(kernel) = kernel.filter(|_| !has_failed) else {
        return Ok(ExitStatus::Failed);
    };
    let orders = programs.iter().map(|program| program.other_order(&kernel));
    for (path, orders) in args.programs.iter().zip(orders) {
        if let Some(orders) = orders {
            bail!("{}: {orders}", path.display());
        }
    }
    let min = min_core(&kernel, &programs, args.functions)?;
    let place = |program: usize, number: usize| {
        let path = args.programs.get(program).map(|path| path.display());
        let place = programs
            .get(program)
            .and_then(|program| place_of(program, number));
        path.zip(place)
            .map(|(path, place)| format!("{path}: {place}"))
            .unwrap_or_default()
    };
    for (program, number, fault) in &min.refused {
        printer.warning(TOOL, &format!("{}: {fault}", place(*program, *number)));
    }
    for unmatched in &min.unmatched {
        let place = place(unmatched.program, unmatched.number);
        let text = format!("{place}: nothing in the kernel matches");
        if unmatched.is_answered {
            // That is an answer, and usually one that the program waits for.
            if printer.verbosity() > 0 {
                printer.say(&text);
            }
        } else {
            printer.warning(TOOL, &text);
        }
    }
    let btf = Arc::new(min.btf);
    if let Some((program, number)) = differences(&kernel, &programs, &btf).first() {
        let place = place(*program, *number);
        bail!(
            "{place}: a type of a module has the name of one of the kernel's, so this would get another answer"
        );
    }
    let order = kernel
        .btf(0)
        .map_or(ByteOrder::NATIVE, |btf| btf.byte_order());
    let types = btf.end_id() - 1;
    let bytes = Builder::from_btf(&btf).write(order, WriteOptions::default())?;
    output::write(&args.output, &bytes).with_context(|| args.output.display().to_string())?;
    printer.say(&format!(
        "{}: {}, {}",
        args.output.display(),
        plural(types.into(), "type"),
        size(bytes.len() as u64)
    ));
    Ok(ExitStatus::Done)
}

/// Reads the kernel, with its modules if they are needed. `None` if a file of it cannot be read, which is told: what the programs
/// need may be there.
fn open_kernel(
    args: &MinCoreArgs,
    programs: &[Checked],
    printer: &Printer,
) -> Result<Option<Kernel>> {
    let paths: Vec<_> = [&args.kernel]
        .into_iter()
        .chain(&args.modules)
        .cloned()
        .collect();
    let target = Some(&*args.output);
    let list = KernelList::find(&without_output(&paths, Output::WholeBtf, target, printer)?)?;
    // Raw modules may bring a base.
    let bases = list.kernels.iter().flat_map(|files| &files.modules);
    let bases: Vec<_> = bases.map(|module| output::base_path(module)).collect();
    output::check_target(&args.output, bases.iter().map(PathBuf::as_path))?;
    warn_of_packed(TOOL, printer, &paths);
    let tell = |unreadable: &[Error]| {
        for error in unreadable {
            printer.error(TOOL, error);
        }
        !unreadable.is_empty()
    };
    if tell(&list.unreadable) {
        return Ok(None);
    }
    if list.orphans.contains(&args.kernel) {
        bail!(
            "{}: this is split BTF, not that of a kernel",
            args.kernel.display()
        );
    }
    if let Some(module) = list.orphans.first() {
        bail!(
            "{}: the kernel of this module is not there",
            module.display()
        );
    }
    let [files] = &*list.kernels else {
        bail!(
            "{}: expected one kernel, found {}",
            args.kernel.display(),
            list.kernels.len()
        );
    };
    let mut kernel = files.open()?;
    let mut needs = programs.iter();
    let is_whole = !(args.functions || needs.any(|program| program.needs_modules(&kernel)))
        || !tell(&files.open_modules(&mut kernel));
    Ok(is_whole.then_some(kernel))
}

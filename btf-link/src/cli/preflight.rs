//! `btf-link preflight`: which kernels take which modules.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use btf_core::cli::sources::{Blob, blobs, open_one, warn_of_packed};
use btf_core::cli::{ExitStatus, JsonObject, Printer, escape_name, escape_text, json_line};
use btf_core::elf::kernel_release;
use btf_core::validate::KernelVersion;
use btf_core::{Btf, ErrorKind};
use btf_link::preflight::{Answer, Kernel, ModuleBtf, Obstacle, preflight};
use object::read::ReadCache;

use super::TOOL;

const EXAMPLES: &str = "\
Examples:
  btf-link preflight modules/ --against vmlinux other/vmlinux
  btf-link preflight module.ko --against vmlinux.btf --kernel-version 6.12
";

/// Tell which kernels take the BTF of which modules, and if not, why
///
/// The rules are those of each kernel's version, with the mistakes that it makes. A kernel's version stands in its image; of raw BTF
/// it must be told, or is taken for the newest that is known. Exit status 1 if a kernel refuses a module, or misreads it; 2 if one cannot be
/// read, which does not stop the others.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "btf-link preflight [OPTIONS] <MODULE>... --against <VMLINUX>..."
)]
pub(crate) struct PreflightArgs {
    /// Modules, or folders of them
    #[arg(value_name = "MODULE", required = true)]
    modules: Vec<PathBuf>,

    /// A kernel; may be repeated
    #[arg(long, value_name = "VMLINUX", required = true, num_args = 1..)]
    against: Vec<PathBuf>,

    /// The version of kernels that do not tell it themselves
    #[arg(long, value_name = "VERSION", default_value_t = KernelVersion::NEWEST)]
    kernel_version: KernelVersion,

    /// Print a line of JSON for each module and kernel
    #[arg(long)]
    json: bool,
}

impl PreflightArgs {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }
}

/// A kernel and the name under which it is shown.
struct Named {
    title: String,
    kernel: Kernel,
    /// Whether it told its version.
    tells_version: bool,
}

/// Checks each module against each kernel.
pub(crate) fn run(args: &PreflightArgs, printer: &Printer) -> Result<ExitStatus> {
    let kernels = args
        .against
        .iter()
        .map(|path| open_kernel(path, args.kernel_version, printer));
    let kernels = kernels.collect::<Result<Vec<_>>>()?;
    let mut modules = Vec::new();
    let mut has_failed = false;
    for module in blobs(&args.modules)? {
        match module {
            Ok(module) if !is_cut(&module, printer) => modules.push(module),
            Ok(_) => has_failed = true,
            Err(error) => {
                printer.error(TOOL, &error);
                has_failed = true;
            }
        }
    }
    warn_of_packed(TOOL, printer, &args.modules);
    let bar = printer.progress("preflight");
    let total = (modules.len() * kernels.len()) as u64;
    let mut answers = Vec::new();
    for (index, module) in modules.iter().enumerate() {
        for kernel in &kernels {
            bar.set("checking", answers.len() as u64, total);
            let btf = ModuleBtf {
                btf: &module.btf,
                base: module.base.as_deref(),
            };
            answers.push((index, preflight(&btf, &kernel.kernel)));
        }
    }
    bar.finish();
    let is_bad = answers.iter().any(|(_, answer)| !answer.verdict.is_good());
    let text = if args.json {
        to_json(&modules, &kernels, &answers)
    } else {
        to_table(&modules, &kernels, &answers)
    };
    let written = printer.answer(&text);
    written.context("cannot write to standard output")?;
    Ok(if has_failed {
        ExitStatus::Failed
    } else {
        ExitStatus::no_if(is_bad)
    })
}

/// Whether a blob is none, or less than it says itself, which is told: that is a broken file, and no answer of a kernel.
fn is_cut(module: &Blob, printer: &Printer) -> bool {
    let parsed = Btf::parse(&module.btf, None);
    let is_broken = |error: &btf_core::Error| {
        matches!(
            error.kind(),
            ErrorKind::Magic(_) | ErrorKind::Truncated { .. }
        )
    };
    let Err(error) = parsed.map(drop) else {
        return false;
    };
    let is_cut = is_broken(&error);
    if is_cut {
        let error = anyhow::Error::from(error).context(title_of(module));
        printer.error(TOOL, &*error);
    }
    is_cut
}

fn open_kernel(path: &Path, default: KernelVersion, printer: &Printer) -> Result<Named> {
    let source = open_one(path, None)?;
    let title = source.title();
    if source.btf.base().is_some() {
        bail!("{title}: this is split BTF, not that of a kernel");
    }
    if source.is_program() {
        bail!("{title}: this is a BPF object, not a kernel");
    }
    let version = version_of(path).with_context(|| title.clone())?;
    if version.is_none() && printer.verbosity() > 0 {
        printer.warning(TOOL, &format!("{title}: taken for Linux {default}"));
    }
    Ok(Named {
        title,
        kernel: Kernel {
            btf: source.btf,
            version: version.unwrap_or(default),
        },
        tells_version: version.is_some(),
    })
}

/// The version that a kernel's image or the running kernel tells.
fn version_of(path: &Path) -> Result<Option<KernelVersion>> {
    if path.starts_with("/sys/kernel/btf") {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
        return Ok(release.ok().and_then(|release| release.parse().ok()));
    }
    let cache = ReadCache::new(File::open(path).context("cannot open the file")?);
    let release = kernel_release(&cache)?;
    Ok(release.and_then(|release| release.parse().ok()))
}

fn title_of(module: &Blob) -> String {
    let path = module.path.display();
    match module.part {
        None => path.to_string(),
        Some(part) => format!("{path}: blob {}", part.number),
    }
}

/// A row for each module, a column for each kernel, and then what is in the way.
fn to_table(modules: &[Blob], kernels: &[Named], answers: &[(usize, Answer)]) -> String {
    let mut out = String::new();
    for (kernel, number) in kernels.iter().zip(1..) {
        let title = escape_text(&kernel.title).into_owned();
        let taken = if kernel.tells_version {
            ""
        } else {
            "taken for "
        };
        let version = kernel.kernel.version;
        let _ = writeln!(out, "[{number}] {taken}Linux {version}, {title}");
    }
    let titles: Vec<_> = modules.iter().map(title_of).collect();
    let width = titles
        .iter()
        .map(|title| title.chars().count())
        .max()
        .unwrap_or(0);
    let heads = (1..=kernels.len()).map(|number| format!(" {:<8}", format!("[{number}]")));
    let head = format!("{:width$} {}", "", heads.collect::<String>());
    out.push_str(head.trim_end());
    out.push('\n');
    for (row, title) in answers.chunks(kernels.len()).zip(&titles) {
        let cells = row
            .iter()
            .map(|(_, answer)| format!(" {:<8}", answer.verdict.word()));
        let line = format!(
            "{:width$} {}",
            escape_text(title),
            cells.collect::<String>()
        );
        out.push_str(line.trim_end());
        out.push('\n');
    }
    for (at, (module, answer)) in answers.iter().enumerate() {
        if answer.obstacles.is_empty() {
            continue;
        }
        let number = at % kernels.len() + 1;
        let title = &titles[*module];
        let _ = writeln!(
            out,
            "\n{} [{number}]: {}",
            escape_text(title),
            answer.verdict.word()
        );
        for obstacle in &answer.obstacles {
            push_obstacle(&mut out, obstacle);
        }
    }
    out
}

fn push_obstacle(out: &mut String, obstacle: &Obstacle) {
    let name = obstacle
        .name
        .as_deref()
        .map(|name| format!("`{}`: ", escape_name(name)));
    let _ = writeln!(out, "  {}{}", name.unwrap_or_default(), obstacle.text);
    if let Some(wanted) = &obstacle.wanted {
        let _ = writeln!(out, "    wanted: {wanted}");
    }
    for found in &obstacle.found {
        let _ = writeln!(out, "    found:  {found}");
    }
}

/// A line for each module and kernel.
fn to_json(modules: &[Blob], kernels: &[Named], answers: &[(usize, Answer)]) -> String {
    let mut out = String::new();
    for (at, (module, answer)) in answers.iter().enumerate() {
        let kernel = &kernels[at % kernels.len()];
        out.push_str(&json_line("preflight", |object| {
            object
                .text("module", &modules[*module].path.to_string_lossy())
                .text("kernel", &kernel.title)
                .text("version", &kernel.kernel.version.to_string())
                .text("verdict", answer.verdict.word())
                .array("obstacles", |array| {
                    for obstacle in &answer.obstacles {
                        array.object(|object| obstacle_to_json(object, obstacle));
                    }
                });
        }));
    }
    out
}

fn obstacle_to_json(object: &mut JsonObject<'_>, obstacle: &Obstacle) {
    if let Some(name) = &obstacle.name {
        object.name("name", name);
    }
    object.text("text", &obstacle.text);
    if let Some(wanted) = &obstacle.wanted {
        object.text("wanted", wanted);
    }
    if !obstacle.found.is_empty() {
        object.array("found", |array| {
            for found in &obstacle.found {
                array.text(found);
            }
        });
    }
}

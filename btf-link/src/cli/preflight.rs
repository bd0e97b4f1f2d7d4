//! `btf-link preflight`: which kernels take which modules.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use btf_core::cli::sources::{Blob, STDIN, blobs, is_split, list, open_one, warn_of_packed};
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
  btf-link preflight module.ko --against kernels/
  btf-link preflight module.ko --against vmlinux.btf --kernel-version 6.12
";

/// Tell which kernels take the BTF of which modules, and if not, why
///
/// The rules are those of each kernel's version, with the mistakes that it makes. A kernel's version stands in its image; of raw BTF
/// it must be told, or is taken for the newest that is known. Exit status 1 if a kernel refuses a module, or misreads it; 2 if a module or
/// a kernel cannot be read, which does not stop the others.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "btf-link preflight [OPTIONS] <MODULE>... --against <VMLINUX>..."
)]
pub(crate) struct PreflightArgs {
    /// Modules, or folders of them
    #[arg(value_name = "MODULE", required = true)]
    modules: Vec<PathBuf>,

    /// A kernel, or a folder of kernels, in which other modules are left out; may be repeated
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

/// What a kernel, which need not be kept for that, says to each module.
struct Column {
    title: String,
    version: KernelVersion,
    tells_version: bool,
    answers: Vec<Answer>,
}

/// Checks each module against each kernel.
pub(crate) fn run(args: &PreflightArgs, printer: &Printer) -> Result<ExitStatus> {
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
    warn_of_packed(TOOL, printer, args.modules.iter().chain(&args.against));
    let paths = kernel_paths(&args.against, printer, &mut has_failed)?;
    let bar = printer.progress("preflight");
    let total = (modules.len() * paths.len()) as u64;
    let mut columns = Vec::with_capacity(paths.len());
    for (index, path) in paths.iter().enumerate() {
        let named = match open_kernel(path, args.kernel_version, printer) {
            Ok(named) => named,
            Err(error) => {
                printer.error(TOOL, &*error);
                has_failed = true;
                continue;
            }
        };
        let check = |(number, module): (usize, &Blob)| {
            bar.set("checking", (index * modules.len() + number) as u64, total);
            let btf = ModuleBtf {
                btf: &module.btf,
                base: module.base.as_deref(),
            };
            preflight(&btf, &named.kernel)
        };
        columns.push(Column {
            answers: modules.iter().enumerate().map(check).collect(),
            version: named.kernel.version,
            title: named.title,
            tells_version: named.tells_version,
        });
    }
    bar.finish();
    if columns.is_empty() || modules.is_empty() {
        return Ok(ExitStatus::Failed);
    }
    let mut answers = columns.iter().flat_map(|column| &column.answers);
    let is_bad = answers.any(|answer| !answer.verdict.is_good());
    let text = if args.json {
        to_json(&modules, &columns)
    } else {
        to_table(&modules, &columns)
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

/// The kernels that are named, and those in folders, in their order; one that cannot be read is told.
fn kernel_paths(
    named: &[PathBuf],
    printer: &Printer,
    has_failed: &mut bool,
) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for path in named {
        if !path.is_dir() {
            paths.push(path.clone());
            continue;
        }
        let (before, failed_before) = (paths.len(), *has_failed);
        for file in list(path)? {
            match is_split(&file) {
                Ok(false) => paths.push(file),
                Ok(true) => {}
                Err(error) => {
                    printer.error(TOOL, &error);
                    *has_failed = true;
                }
            }
        }
        if paths.len() == before && *has_failed == failed_before {
            bail!("{}: no kernel in this folder, only modules", path.display());
        }
    }
    Ok(paths)
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
    if path == Path::new(STDIN) {
        return Ok(None);
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
fn to_table(modules: &[Blob], columns: &[Column]) -> String {
    let mut out = String::new();
    for (column, number) in columns.iter().zip(1..) {
        let title = escape_text(&column.title).into_owned();
        let taken = if column.tells_version {
            ""
        } else {
            "taken for "
        };
        let version = column.version;
        let _ = writeln!(out, "[{number}] {taken}Linux {version}, {title}");
    }
    let titles: Vec<_> = modules.iter().map(title_of).collect();
    let width = titles
        .iter()
        .map(|title| title.chars().count())
        .max()
        .unwrap_or(0);
    let heads = (1..=columns.len()).map(|number| format!(" {:<8}", format!("[{number}]")));
    let head = format!("{:width$} {}", "", heads.collect::<String>());
    out.push_str(head.trim_end());
    out.push('\n');
    for (index, title) in titles.iter().enumerate() {
        let cells = row(columns, index).map(|(_, answer)| format!(" {:<8}", answer.verdict.word()));
        let line = format!(
            "{:width$} {}",
            escape_text(title),
            cells.collect::<String>()
        );
        out.push_str(line.trim_end());
        out.push('\n');
    }
    for (index, title) in titles.iter().enumerate() {
        for ((_, answer), number) in row(columns, index).zip(1..) {
            if answer.obstacles.is_empty() {
                continue;
            }
            let word = answer.verdict.word();
            let _ = writeln!(out, "\n{} [{number}]: {word}", escape_text(title));
            for obstacle in &answer.obstacles {
                push_obstacle(&mut out, obstacle);
            }
        }
    }
    out
}

/// What each kernel says to a module.
fn row(columns: &[Column], module: usize) -> impl Iterator<Item = (&Column, &Answer)> {
    let answers = columns.iter();
    answers.filter_map(move |column| Some((column, column.answers.get(module)?)))
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
fn to_json(modules: &[Blob], columns: &[Column]) -> String {
    let mut out = String::new();
    for (index, module) in modules.iter().enumerate() {
        for (column, answer) in row(columns, index) {
            out.push_str(&json_line("preflight", |object| {
                object
                    .text("module", &module.path.to_string_lossy())
                    .text("kernel", &column.title)
                    .text("version", &column.version.to_string())
                    .text("verdict", answer.verdict.word())
                    .array("obstacles", |array| {
                        for obstacle in &answer.obstacles {
                            array.object(|object| obstacle_to_json(object, obstacle));
                        }
                    });
            }));
        }
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

//! `btf-dump check`: would the kernel take it?

use anyhow::{Context as _, Result};
use btf_core::cli::{ExitStatus, Printer, count, plural};
use btf_core::validate::{KernelVersion, Profile, Severity};
use btf_dump::check::{Report, examine};
use clap::ValueEnum;

use super::{SourceArgs, TOOL};

const PROFILE_HELP: &str = "\
For whom the BTF must do [default: as it looks]

Without this option, split BTF is a module's; BTF with the structure `bpf_ctx_convert`, which every kernel has, a kernel's; and all \
else a user's. The kernel reads users' BTF most strictly, and of its own and its modules' little more than the records. With `module`, \
everything is taken for split BTF and needs a base.";

const EXAMPLES: &str = "\
Examples:
  btf-dump check prog.bpf.o --kernel 6.6
  btf-dump check vmlinux modules/           a kernel's own, and its modules'
  btf-dump check --profile user out.btf --live
  btf-dump check *.bpf.o --json
";

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    sources: SourceArgs,

    #[arg(short, long, value_name = "PROFILE", help = "For whom the BTF must do [default: as it looks]", long_help = PROFILE_HELP)]
    profile: Option<Role>,

    /// The kernel's version, such as 6.12 [default: 7.2, or, with --live, the running kernel's]
    ///
    /// The rules of 6.1 to 7.2 are known; newer kernels are taken for 7.2.
    #[arg(short, long, value_name = "VERSION")]
    kernel: Option<KernelVersion>,

    /// Ask the running kernel, too, and say where it disagrees
    ///
    /// Loads users' BTF into the kernel and releases it at once; this takes the right to load BPF programs. Its answer is held against
    /// the rules of its own version, whatever `--kernel` says.
    #[arg(long)]
    live: bool,

    /// Let warnings count as faults do: exit with 1
    #[arg(long)]
    strict: bool,

    /// Write JSON Lines: an object for each finding, and one for each file
    #[arg(long)]
    json: bool,
}

/// For whom BTF must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Loaded by a program, such as the BTF of BPF programs
    User,
    /// The kernel's own
    Vmlinux,
    /// That of a kernel module
    Module,
}

impl From<Role> for Profile {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::Vmlinux => Self::Vmlinux,
            Role::Module => Self::Module,
        }
    }
}

impl CheckArgs {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The version by whose rules everything is checked, and with `--live` the running kernel's.
    fn kernels(&self) -> Result<(KernelVersion, Option<KernelVersion>)> {
        let running = self.live.then(|| running_kernel(self.kernel)).transpose()?;
        let kernel = self.kernel.or(running).unwrap_or(KernelVersion::NEWEST);
        Ok((kernel, running))
    }
}

/// The version of the running kernel; of one that is older than all known rules, the one it is `taken_for`.
fn running_kernel(taken_for: Option<KernelVersion>) -> Result<KernelVersion> {
    let path = "/proc/sys/kernel/osrelease";
    let release = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
    let release = release.trim();
    let version = release.parse().or_else(|error| taken_for.ok_or(error));
    version.with_context(|| {
        format!("the running kernel is `{release}`; name a version with `--kernel`")
    })
}

/// What the reports come to.
#[derive(Default)]
struct Totals {
    accepted: u64,
    refused: u64,
    faults: u64,
    warnings: u64,
    contradicted: u64,
}

impl Totals {
    fn add(&mut self, report: &Report) {
        if report.is_accepted() {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
        self.faults += report.count(Severity::Fault) as u64;
        self.warnings += report.count(Severity::Warning) as u64;
        self.contradicted += u64::from(report.is_contradicted());
    }
}

/// Checks all files.
pub(crate) fn run(args: &CheckArgs, printer: &Printer) -> Result<ExitStatus> {
    let (kernel, running) = args.kernels()?;
    let profile = args.profile.map(Profile::from);
    let all_split = profile == Some(Profile::Module);
    let sources = args.sources.open_raw(all_split, printer)?;
    let is_one = sources.len() == 1;
    let mut totals = Totals::default();
    let mut has_failed = false;
    let mut has_module = false;
    for source in sources {
        let examined = source.and_then(|source| {
            let reports = examine(&source, profile, kernel)?;
            Ok((source, reports))
        });
        let (source, reports) = match examined {
            Ok(examined) => examined,
            Err(error) => {
                printer.error(TOOL, &error);
                has_failed = true;
                continue;
            }
        };
        for mut report in reports {
            let is_main = report.title == source.title();
            if let (Some(running), true) = (running, is_main) {
                let asked = report.ask(&source.blob, running);
                asked.context("cannot ask the running kernel")?;
            }
            has_module |= report.target.profile == Profile::Module;
            totals.add(&report);
            let text = if args.json {
                report.json(&source)
            } else if is_one || !report.findings.is_empty() || args.live || printer.verbosity() > 0
            {
                report.text(printer, printer.verbosity() > 0)
            } else {
                String::new()
            };
            print(printer, &text)?;
        }
    }
    if !args.json && !is_one {
        print(printer, &(summary(&totals) + "\n"))?;
    }
    if has_failed {
        return Ok(ExitStatus::Failed);
    }
    if let (Some(base), false) = (args.sources.base(), has_module) {
        let base = base.display();
        let text = format!(
            "the base {base} is not used, as nothing here looks like split BTF; `--profile module` takes it for that"
        );
        printer.warning(TOOL, &text);
    }
    let counts = totals.refused + totals.contradicted;
    Ok(ExitStatus::no_if(
        counts > 0 || args.strict && totals.warnings > 0,
    ))
}

fn print(printer: &Printer, text: &str) -> Result<()> {
    let written = printer.answer(text);
    written.context("cannot write to standard output")
}

/// The line behind all reports.
fn summary(totals: &Totals) -> String {
    let mut line = format!(
        "{} accepted, {} refused; {}, {}",
        count(totals.accepted),
        count(totals.refused),
        plural(totals.faults, "fault"),
        plural(totals.warnings, "warning")
    );
    if totals.contradicted > 0 {
        let number = count(totals.contradicted);
        line += "; the running kernel disagrees about ";
        line += &number;
    }
    line
}

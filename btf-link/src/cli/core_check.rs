//! `btf-link core-check`: whether programs find in kernels what their CO-RE relocations ask for.
//!
//! With `--json` there is a line of type `check` for each program and kernel: `program`, `kernel`, `relocations`, `guarded`,
//! `fails`, and `problems`, an array of objects with `number`, `section`, `insn`, `function`, `kind`, `access`, `verdict` (`refused`
//! or `reached`), `optional`, `why`, and, where the object says it, `file`, `line`, `column`. With `--answers` there is also
//! `answers`, an array of objects with `number` to `access` as above, and `old` and `new`, or `poison`, or `refused`. A kernel
//! that cannot be read has `error` instead. `why` tells that the kernel has another byte order, so that no relocation was looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail};
use btf_core::cli::sources::{Error, warn_of_packed};
use btf_core::cli::{
    ExitStatus, JsonObject, Printer, Stream, Style, ThreadArgs, count, escape_name, json_line,
};
use btf_core::core_relo::{insn, spell};
use btf_link::core_check::{Answer, Checked, Problem, Report, Verdict};
use btf_link::kernels::{KernelFiles, KernelList};
use btf_link::program::{Line, Program, Relocation};
use rayon::prelude::*;

use super::TOOL;

const EXAMPLES: &str = "\
Examples:
  btf-link core-check prog.bpf.o --against kernels/
  btf-link core-check prog.bpf.o --against vmlinux --answers         every relocation
  btf-link core-check *.bpf.o --against kernels/ --json > report.jsonl
";

/// Tell whether BPF programs find in kernels what their CO-RE relocations ask for
///
/// Resolves every relocation as libbpf would, without loading anything: a line for each program and kernel, then what fails, with the
/// source line. A relocation without an answer fails only if the program can get to it: questions such as
/// `bpf_core_field_exists` are taken into account as far as constants tell. In a kernel of another byte order every program fails.
/// Exit status 1 means that a program fails; 2 that a file cannot be read, which does not stop the others.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "btf-link core-check [OPTIONS] <PROGRAM>... --against <KERNEL>..."
)]
pub(crate) struct CoreCheckArgs {
    /// BPF objects
    #[arg(value_name = "PROGRAM", required = true)]
    programs: Vec<PathBuf>,

    /// Kernels: raw BTF or ELF, or folders of these
    ///
    /// Modules among these belong to the kernel among these that is in their folder or in the nearest one above, or to the only one that is
    /// named. Others are not looked for.
    #[arg(long, value_name = "KERNEL", required = true, num_args = 1..)]
    against: Vec<PathBuf>,

    /// Show every relocation and what becomes of it
    #[arg(long)]
    answers: bool,

    #[command(flatten)]
    threads: ThreadArgs,

    /// Write JSON Lines: for each program and kernel an object with the problems
    #[arg(long)]
    json: bool,
}

impl CoreCheckArgs {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }
}

/// What a kernel makes of each program; an error if it cannot be read.
type Column = Result<Vec<Report>, String>;

/// What is told of each program, or why a file cannot be read, to the end of the run.
pub(super) struct Programs<'a> {
    /// The programs that could be read, with their paths.
    pub(super) list: Vec<(&'a Path, Checked)>,
    /// Whether one could not be read, which has been told.
    pub(super) has_failed: bool,
}

/// Checks.
pub(crate) fn run(args: &CoreCheckArgs, printer: &Printer) -> Result<ExitStatus> {
    let programs = open_programs(&args.programs, printer);
    let list = KernelList::find(&args.against)?;
    for error in &list.unreadable {
        printer.error(TOOL, error);
    }
    warn_of_packed(TOOL, printer, &args.against);
    for module in &list.orphans {
        let text = format!(
            "{}: the kernel of this module is not there",
            module.display()
        );
        printer.warning(TOOL, &text);
    }
    let has_failed = programs.has_failed || !list.unreadable.is_empty();
    let programs = programs.list;
    if has_failed && (list.kernels.is_empty() || programs.is_empty()) {
        return Ok(ExitStatus::Failed);
    }
    if list.kernels.is_empty() {
        bail!("nothing that `--against` names is a kernel: there is nothing to check with");
    }
    let threads = rayon::ThreadPoolBuilder::new().num_threads(args.threads.count().get());
    threads.build_global().context("cannot start threads")?;
    let bar = printer.progress("checking");
    let done = AtomicU64::new(0);
    let total = list.kernels.len() as u64;
    let checked: Vec<(Column, Vec<Error>)> = list
        .kernels
        .par_iter()
        .map(|files| {
            let column = check(files, &programs);
            bar.set("kernels", done.fetch_add(1, Ordering::Relaxed) + 1, total);
            column
        })
        .collect();
    bar.finish();
    let (columns, unreadable): (Vec<_>, Vec<_>) = checked.into_iter().unzip();

    let table = Table {
        args,
        programs: &programs,
        kernels: &list.kernels,
        columns: &columns,
    };
    let text = if args.json {
        table.json()
    } else {
        table.text(printer)
    };
    let written = printer.answer(&text);
    written.context("cannot write to standard output")?;
    for error in columns.iter().filter_map(|column| column.as_ref().err()) {
        printer.failure(TOOL, error);
    }
    for error in unreadable.iter().flatten() {
        printer.error(TOOL, error);
    }
    let is_whole = unreadable.iter().all(Vec::is_empty) && columns.iter().all(Result::is_ok);
    if has_failed || !is_whole {
        return Ok(ExitStatus::Failed);
    }
    let mut reports = columns.iter().flatten().flatten();
    Ok(ExitStatus::no_if(reports.any(Report::fails)))
}

/// Reads programs and understands their relocations; tells which cannot be read.
pub(super) fn open_programs<'a>(paths: &'a [PathBuf], printer: &Printer) -> Programs<'a> {
    let mut programs = Programs {
        list: Vec::with_capacity(paths.len()),
        has_failed: false,
    };
    for path in paths {
        match Program::open(path).with_context(|| path.display().to_string()) {
            Ok(program) => programs.list.push((path, Checked::new(program))),
            Err(error) => {
                printer.error(TOOL, &*error);
                programs.has_failed = true;
            }
        }
    }
    programs
}

/// Checks all programs with one kernel, which is then dropped; also tells which of its modules cannot be read.
fn check(files: &KernelFiles, programs: &[(&Path, Checked)]) -> (Column, Vec<Error>) {
    let mut kernel = match files.open() {
        Ok(kernel) => kernel,
        Err(error) => {
            let error = anyhow::Error::from(error);
            return (Err(format!("{error:#}")), Vec::new());
        }
    };
    let mut unreadable = Vec::new();
    if programs
        .iter()
        .any(|(_, program)| program.needs_modules(&kernel))
    {
        unreadable = files.open_modules(&mut kernel);
    }
    let reports = programs.iter().map(|(_, program)| program.check(&kernel));
    (Ok(reports.collect()), unreadable)
}

/// Everything that was found.
struct Table<'a> {
    args: &'a CoreCheckArgs,
    programs: &'a [(&'a Path, Checked)],
    kernels: &'a [KernelFiles],
    columns: &'a [Column],
}

impl Table<'_> {
    /// The reports of a program, with the kernels' paths.
    fn row(&self, program: usize) -> impl Iterator<Item = (String, Result<&Report, &String>)> {
        let columns = self.kernels.iter().zip(self.columns);
        columns.filter_map(move |(kernel, column)| {
            let report = match column {
                Ok(reports) => Ok(reports.get(program)?),
                Err(error) => Err(error),
            };
            Some((kernel.path.display().to_string(), report))
        })
    }

    fn rows(&self) -> impl Iterator<Item = (usize, String, &Checked)> {
        let programs = self.programs.iter().enumerate();
        programs.map(|(index, (path, program))| (index, path.display().to_string(), program))
    }

    /// A line for each program and kernel, then each problem with the kernels that have it.
    fn text(&self, printer: &Printer) -> String {
        let mut lines = Vec::new();
        for (index, path, program) in self.rows() {
            for (kernel, report) in self.row(index) {
                let verdict = match report {
                    Ok(report) if report.fails() => {
                        printer.paint(Stream::Out, Style::Error, "fails")
                    }
                    Ok(_) => "ok".to_owned(),
                    Err(_) => "not read".to_owned(),
                };
                let details = report.map(details).unwrap_or_default();
                let (path, kernel) = (escape(path.as_bytes()), escape(kernel.as_bytes()));
                lines.push(format!("{path}: {kernel}: {verdict}{details}"));
                if self.args.answers {
                    let answers = report.iter().flat_map(|report| &report.answers);
                    let answers = answers.enumerate();
                    lines.extend(answers.filter_map(|(n, answer)| answer_line(program, n, answer)));
                }
            }
        }
        for (index, path, program) in self.rows() {
            let mut problems: BTreeMap<_, (_, Vec<String>)> = BTreeMap::new();
            for (kernel, report) in self.row(index) {
                for problem in report.iter().flat_map(|report| &report.problems) {
                    let key = (problem.number, &*problem.why);
                    let (_, kernels) = problems.entry(key).or_insert((problem, Vec::new()));
                    kernels.push(kernel.clone());
                }
            }
            for (problem, kernels) in problems.values() {
                lines.push(String::new());
                lines.extend(describe(&path, program, problem, kernels));
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn json(&self) -> String {
        let mut out = String::new();
        for (index, path, program) in self.rows() {
            for (kernel, report) in self.row(index) {
                out.push_str(&json_line("check", |line| {
                    line.text("program", &path).text("kernel", &kernel);
                    match report {
                        Ok(report) => {
                            put_report(line, program, report);
                            if self.args.answers {
                                put_answers(line, program, report);
                            }
                        }
                        Err(error) => {
                            line.text("error", error);
                        }
                    }
                }));
            }
        }
        out
    }
}

/// The numbers of a report, in parentheses.
fn details(report: &Report) -> String {
    if let Some(orders) = report.other_order {
        return format!(" ({orders}: the loader refuses the object)");
    }
    let refused = |problem: &&Problem| problem.verdict == Verdict::Refused;
    let refused = report.problems.iter().filter(refused).count();
    let reached = report.problems.len() - refused;
    let parts = [
        (report.count, "relocations"),
        (report.guarded, "without an answer, but guarded"),
        (reached, "without an answer"),
        (refused, "refused"),
    ];
    let parts = parts.iter().enumerate();
    let parts = parts.filter(|(index, (number, _))| *index == 0 || *number > 0);
    let parts: Vec<_> = parts
        .map(|(_, (number, what))| format!("{} {what}", count(*number as u64)))
        .collect();
    format!(" ({})", parts.join(", "))
}

fn escape(name: &[u8]) -> String {
    escape_name(name).into_owned()
}

/// A relocation and what becomes of it.
fn answer_line(program: &Checked, number: usize, answer: &Answer) -> Option<String> {
    let place = Place::of(program, number)?;
    let becomes = match answer {
        Answer::Value { old, new } => format!("{old} -> {new}"),
        Answer::Poison => "no answer".to_owned(),
        Answer::Refused => "refused".to_owned(),
    };
    Some(format!("    #{number} {place}: {becomes}"))
}

/// A problem in lines for people.
fn describe(path: &str, program: &Checked, problem: &Problem, kernels: &[String]) -> Vec<String> {
    let Some(place) = Place::of(program, problem.number) else {
        return Vec::new();
    };
    let line = place.line(program);
    let source = line.map_or(String::new(), |line| {
        format!("{}:{}:{}: ", escape(line.file), line.line, line.column)
    });
    let optional = if problem.is_optional {
        "; not loaded unless asked for"
    } else {
        ""
    };
    let mut lines = vec![format!("{path}: {source}{place}{optional}")];
    if let Some(line) = line.filter(|line| !line.text.is_empty()) {
        lines.push(format!("    | {}", escape(line.text.trim_ascii())));
    }
    let consequence = match problem.verdict {
        Verdict::Refused => "the loader refuses the object",
        Verdict::Reached => "the verifier refuses the program if it can get there",
    };
    let kernels: Vec<_> = kernels
        .iter()
        .map(|kernel| escape(kernel.as_bytes()))
        .collect();
    lines.push(format!("    {}: {consequence}", escape(&problem.why)));
    lines.push(format!("    in {}", kernels.join(", ")));
    lines
}

/// A relocation in words: where it is, and what it asks.
pub(super) fn place_of(program: &Checked, number: usize) -> Option<String> {
    Place::of(program, number).map(|place| place.to_string())
}

/// Where a relocation is, and what it asks.
struct Place<'a> {
    number: usize,
    relocation: &'a Relocation,
    section_name: &'a [u8],
    function: &'a [u8],
    /// The number of the instruction in its section.
    insn: u64,
    kind: String,
    access: Vec<u8>,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (function, section) = (escape(self.function), escape(self.section_name));
        let Self { insn, kind, .. } = self;
        let access = escape(&self.access);
        write!(
            f,
            "`{function}`, instruction {insn} of `{section}`: {kind} of `{access}`"
        )
    }
}

impl<'a> Place<'a> {
    fn of(checked: &'a Checked, number: usize) -> Option<Self> {
        let program = &checked.program;
        let relocation = program.relocations.get(number)?;
        let relo = &relocation.relo;
        let function = relocation
            .section
            .and_then(|section| program.function(section, relo.insn_off));
        let request = checked.requests().get(number)?;
        let kind = match request {
            Ok(request) => request.kind.name().to_owned(),
            Err(_) => format!("relocation of kind {}", relo.kind),
        };
        let access = match request {
            Ok(request) => spell::access(&program.btf, &request.spec),
            Err(_) => spell::type_name(&program.btf, relo.type_id),
        };
        let section_name = program.btf.string(relocation.section_name);
        Some(Self {
            number,
            relocation,
            section_name: section_name.unwrap_or_default(),
            function: function.unwrap_or_default(),
            insn: u64::from(relo.insn_off) / insn::LEN as u64,
            kind,
            access,
        })
    }

    fn put(&self, object: &mut JsonObject<'_>) {
        object
            .number("number", self.number as u64)
            .name("section", self.section_name)
            .number("insn", self.insn)
            .name("function", self.function)
            .text("kind", &self.kind)
            .name("access", &self.access);
    }

    fn line<'p>(&self, checked: &'p Checked) -> Option<Line<'p>> {
        let section = self.relocation.section?;
        let offset = self.relocation.relo.insn_off;
        checked.program.line(section, offset)
    }
}

fn put_report(line: &mut JsonObject<'_>, program: &Checked, report: &Report) {
    line.number("relocations", report.count as u64)
        .number("guarded", report.guarded as u64)
        .flag("fails", report.fails());
    if let Some(orders) = report.other_order {
        line.text("why", &orders.to_string());
    }
    line.array("problems", |array| {
        for problem in &report.problems {
            let Some(place) = Place::of(program, problem.number) else {
                continue;
            };
            array.object(|object| {
                place.put(object);
                object
                    .text("verdict", problem.verdict.name())
                    .flag("optional", problem.is_optional)
                    .name("why", &problem.why);
                if let Some(source) = place.line(program) {
                    object
                        .name("file", source.file)
                        .number("line", source.line.into())
                        .number("column", source.column.into());
                }
            });
        }
    });
}

fn put_answers(line: &mut JsonObject<'_>, program: &Checked, report: &Report) {
    line.array("answers", |array| {
        for (number, answer) in report.answers.iter().enumerate() {
            let Some(place) = Place::of(program, number) else {
                continue;
            };
            array.object(|object| {
                place.put(object);
                match *answer {
                    Answer::Value { old, new } => object.hex("old", old).hex("new", new),
                    Answer::Poison => object.flag("poison", true),
                    Answer::Refused => object.flag("refused", true),
                };
            });
        }
    });
}

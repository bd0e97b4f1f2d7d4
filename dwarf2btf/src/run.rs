//! One run: map, encode, write, and say what came of it.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use btf_core::cli::{ExitStatus, Printer, ProgressBar};
use dwarf2btf::base::Base;
use dwarf2btf::input::Input;
use dwarf2btf::report::{Encoded, Progress, finding_to_json, finding_to_text, phase_tree};
use dwarf2btf::{Observer, encode, output};

use crate::batch;
use crate::cli::{Args, Job, TOOL};

/// Does what the command line asks for. `start` is when the process started.
pub(crate) fn run(args: &Args, printer: &Printer, start: Instant) -> Result<ExitStatus> {
    if args.generate()? {
        return Ok(ExitStatus::Done);
    }
    if let Some(job) = args.modules_job()? {
        return batch::run(&job, printer, start);
    }
    let job = args.job()?;
    let mut encoded = encode_input(&job, printer, start)?;
    // From here on the input is not needed any more, and the output is complete.

    let is_refused = job.is_strict && !encoded.findings.is_empty();
    let writing = Instant::now();
    if let Some(target) = job.output.as_ref().filter(|_| !is_refused) {
        output::to_file(target, &encoded).with_context(|| target.display().to_string())?;
        encoded.timings.push(("write", writing.elapsed()));
    }
    print_reports(args, printer, &encoded)?;
    if is_refused || printer.verbosity() > 0 {
        for finding in &encoded.findings {
            printer.say(&finding_to_text(finding, encoded.unit_name(finding.unit)));
        }
    }
    let elapsed = start.elapsed();
    if is_refused {
        printer.warning(
            TOOL,
            "nothing is written, because of the findings above and `--strict`",
        );
    } else if job.output.is_some() {
        let summary = encoded.summary.to_text(encoded.findings.len(), elapsed);
        printer.say(summary.trim_end());
    }
    if args.has_time() {
        printer.always(phase_tree(&encoded.timings, elapsed).trim_end());
    }
    let is_unknown = names_unknown(&job, printer, &encoded);
    Ok(ExitStatus::no_if(is_refused || is_unknown))
}

fn encode_input(job: &Job, printer: &Printer, start: Instant) -> Result<Encoded> {
    start_threads(job.threads)?;
    let in_input = || job.input.display().to_string();

    let input = Input::open(&job.input).with_context(in_input)?;
    let image = input.image().with_context(in_input)?;
    let opened = start.elapsed();
    let reading = Instant::now();
    let base = job.base.as_deref().map(read_base).transpose()?;
    let before = base.is_some().then(|| ("base", reading.elapsed()));
    let bar = printer.progress(TOOL);
    let encoded = encode(
        &image,
        base.as_ref(),
        &job.options,
        &Watch {
            bar: Some(&bar),
            input: Some(&input),
        },
    );
    bar.finish();
    let mut encoded = encoded.with_context(in_input)?;
    input.check_unchanged().with_context(in_input)?;
    let before = [("open", opened)].into_iter().chain(before);
    encoded.timings.splice(0..0, before);
    Ok(encoded)
}

/// Starts the threads of this process.
pub(crate) fn start_threads(count: NonZeroUsize) -> Result<()> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(count.get());
    threads.build_global().context("cannot start threads")
}

/// Reads what the output continues.
pub(crate) fn read_base(path: &Path) -> Result<Base> {
    let read = || {
        let input = Input::open(path)?;
        let base = Base::parse(input.bytes())?;
        input.check_unchanged()?;
        Ok::<_, btf_core::Error>(base)
    };
    read().with_context(|| path.display().to_string())
}

/// Draws progress, and gives memory back.
pub(crate) struct Watch<'w> {
    pub(crate) bar: Option<&'w ProgressBar>,
    pub(crate) input: Option<&'w Input>,
}

impl Observer for Watch<'_> {
    fn progress(&self, at: Progress) {
        if let Some(bar) = self.bar {
            bar.set(at.phase, at.done, at.total);
        }
    }

    fn done_with(&self, file_range: std::ops::Range<u64>) {
        if let Some(input) = self.input {
            input.release(file_range);
        }
    }
}

/// Prints what was asked for by `--explain` and `--report`: to standard output, unless the BTF goes there.
fn print_reports(args: &Args, printer: &Printer, encoded: &Encoded) -> Result<()> {
    let mut text = String::new();
    for function in &encoded.functions {
        text += &if args.is_json() {
            function.to_json()
        } else {
            function.to_text()
        };
    }
    if args.is_json() {
        for finding in &encoded.findings {
            text += &finding_to_json(finding, encoded.unit_name(finding.unit));
        }
        text += &encoded.summary.to_json(&encoded.timings);
    }
    if args.writes_to_stdout() {
        if !text.is_empty() {
            printer.always(text.trim_end());
        }
        return Ok(());
    }
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.context("cannot write to standard output")
}

/// Whether a function for `--explain` is nowhere, which is then said.
fn names_unknown(job: &Job, printer: &Printer, encoded: &Encoded) -> bool {
    let mut is_unknown = false;
    for name in &job.options.explain {
        let mut reports = encoded.functions.iter();
        let is_known = reports.any(|report| {
            report.name == name.as_bytes()
                && !(report.states.is_empty() && report.symbols.is_empty())
        });
        if !is_known {
            printer.warning(TOOL, &format!("no function in the input: `{name}`"));
            is_unknown = true;
        }
    }
    is_unknown
}

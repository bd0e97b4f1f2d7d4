//! One run: map, encode, write, and say what came of it.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use btf_core::ErrorKind;
use btf_core::cli::output::check_target;
use btf_core::cli::{
    ExitStatus, Printer, ProgressBar, ignore_broken_pipe, is_broken_pipe, phase_tree,
};
use dwarf2btf::base::Base;
use dwarf2btf::input::{Image, Input, exit_if_cut_off};
use dwarf2btf::options::Options;
use dwarf2btf::report::{Encoded, Progress, finding_to_json, finding_to_text};
use dwarf2btf::{Observer, encode, output};

use crate::batch;
use crate::cli::{Args, Job, TOOL};

/// Stands before the name of a file that is cut off while it is read.
const CUT_OFF: &str = "dwarf2btf: error: ";

/// Does what the command line asks for. `start` is when the process started.
pub(crate) fn run(args: &Args, printer: &Printer, start: Instant) -> Result<ExitStatus> {
    if args.generate()? {
        return Ok(ExitStatus::Done);
    }
    exit_if_cut_off(CUT_OFF, ExitStatus::Failed.code().into())?;
    if let Some(job) = args.modules_job()? {
        return batch::run(&job, printer, start);
    }
    let job = args.job()?;
    let mut encoded = encode_input(&job, printer, start)?;
    // From here on the input is not needed any more, and the output is complete.

    let is_refused = job.is_strict && !encoded.findings.is_empty();
    let writing = Instant::now();
    if let Some(target) = job.output.as_ref().filter(|_| !is_refused) {
        write(target, &encoded)?;
        encoded.timings.push(("write", writing.elapsed()));
        encoded.summary.output = Some(target.clone());
    }
    print_reports(args, printer, &encoded)?;
    if is_refused || printer.verbosity() > 0 {
        for finding in &encoded.findings {
            let text = finding_to_text(finding, encoded.unit_name(finding.unit));
            if is_refused {
                printer.always(&text);
            } else {
                printer.say(&text);
            }
        }
    }
    if printer.verbosity() > 1 {
        say_left_out(args, printer, &encoded);
    }
    let elapsed = start.elapsed();
    if is_refused {
        let text = "nothing is written, because of the findings above and `--strict`";
        printer.failure(TOOL, text);
    } else if job.output.is_some() && !printer.is_quiet() {
        let summary = encoded.summary.to_text(encoded.findings.len(), elapsed);
        printer.say(summary.trim_end());
    }
    if args.has_time() {
        printer.always(phase_tree(&encoded.timings, elapsed).trim_end());
    }
    for (name, near) in &encoded.unknown {
        let hint = match near {
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        printer.failure(
            TOOL,
            &format!("no such function in the input: `{name}`{hint}"),
        );
    }
    let is_unknown = !encoded.unknown.is_empty();
    Ok(ExitStatus::no_if(is_refused || is_unknown))
}

/// Writes the BTF. Half of it is of no use, so that a reader who goes away early is an error.
fn write(target: &Path, encoded: &Encoded) -> Result<()> {
    let name = match target.to_str() {
        Some("-") => "standard output".to_owned(),
        _ => target.display().to_string(),
    };
    match output::to_file(target, encoded) {
        Err(error) if is_broken_pipe(&error) => {
            bail!("{name}: closed before all of the BTF was written")
        }
        written => written.with_context(|| name),
    }
}

/// Says, a line for each, which functions and variables are left out.
fn say_left_out(args: &Args, printer: &Printer, encoded: &Encoded) {
    for function in &encoded.functions {
        // Those that were asked for are told of at length.
        let is_explained = args
            .explain
            .iter()
            .any(|name| function.answers(name.as_bytes()));
        if function.is_left_out() && !is_explained {
            printer.say(&function.headline());
        }
    }
    for variable in &encoded.variables {
        printer.say(&variable.to_text(encoded.unit_name(variable.unit)));
    }
}

fn encode_input(job: &Job, printer: &Printer, start: Instant) -> Result<Encoded> {
    start_threads(job.threads)?;
    let in_input = || job.input.display().to_string();

    if let Some(output) = &job.output {
        let inputs = [&job.input].into_iter().chain(&job.base);
        check_target(output, inputs.map(PathBuf::as_path))?;
    }
    let input = Input::open(&job.input).with_context(in_input)?;
    let (image, base) = image_and_base(&input, job.base.as_deref());
    let image = image.map_err(|error| explained(error, &input, None))?;
    let base = base?;
    let opened = start.elapsed();
    let bar = printer.progress(TOOL);
    let watch = Watch {
        bar: Some(&bar),
        input: Some(&input),
    };
    let encoded = encode_opened(&image, &input, base.as_ref(), &job.options, &watch);
    bar.finish();
    let mut encoded = encoded?;
    encoded.timings.insert(0, ("open", opened));
    Ok(encoded)
}

/// Encodes what is in `input`, unless somebody writes to it or to its base meanwhile.
fn encode_opened(
    image: &Image<'_>,
    input: &Input,
    base: Option<&MappedBase>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Encoded> {
    let encoded = encode(image, base.map(|base| &base.base), options, observer);
    let encoded = encoded.map_err(|error| explained(error, input, base))?;
    check_unchanged(input, base)?;
    Ok(encoded)
}

/// The error for users: with the path of the file that is at fault. If somebody has written to one of them, that is the fault,
/// whatever came of it.
pub(crate) fn explained(
    error: btf_core::Error,
    input: &Input,
    base: Option<&MappedBase>,
) -> anyhow::Error {
    if let Err(changed) = check_unchanged(input, base) {
        return changed;
    }
    let is_of_base = *error.kind() == ErrorKind::UnusableBase;
    let at_fault = base.filter(|_| is_of_base).map_or(input, |base| base.input);
    anyhow::Error::new(error).context(at_fault.path().display().to_string())
}

/// Checks that nobody has written to the files since they were opened.
pub(crate) fn check_unchanged(input: &Input, base: Option<&MappedBase>) -> Result<()> {
    for input in [Some(input), base.map(|base| base.input)]
        .into_iter()
        .flatten()
    {
        let in_input = || input.path().display().to_string();
        input.check_unchanged().with_context(in_input)?;
    }
    Ok(())
}

/// Starts the threads of this process; the calling one is among them.
pub(crate) fn start_threads(count: NonZeroUsize) -> Result<()> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(count.get());
    let threads = threads.use_current_thread();
    threads.build_global().context("cannot start threads")
}

/// Finds what is in the input, and meanwhile reads what the output continues, if anything.
pub(crate) fn image_and_base<'i>(
    input: &'i Input,
    base: Option<&Path>,
) -> (btf_core::Result<Image<'i>>, Result<Option<MappedBase>>) {
    let map_base = || base.map(MappedBase::open).transpose();
    rayon::join(|| input.image(), map_base)
}

/// What the output continues, where it stands in its file: the one module of a run reads little of it.
pub(crate) struct MappedBase {
    pub(crate) base: Base,
    /// Mapped until the process ends, as long as the base is needed.
    input: &'static Input,
}

impl MappedBase {
    fn open(path: &Path) -> Result<Self> {
        let input = Input::open(path).with_context(|| path.display().to_string())?;
        let input: &'static Input = Box::leak(Box::new(input));
        let base = Base::open_static(input.bytes());
        let base = base.map_err(|error| explained(error, input, None))?;
        Ok(Self { base, input })
    }
}

/// Reads and indexes what the output of many modules continues.
pub(crate) fn read_base(path: &Path) -> Result<Base> {
    let input = Input::open(path).with_context(|| path.display().to_string())?;
    let base = Base::parse(input.bytes()).and_then(Base::indexed);
    let base = base.map_err(|error| explained(error, &input, None))?;
    check_unchanged(&input, None)?;
    Ok(base)
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
        if args.is_json() {
            text += &function.to_json();
        } else if args
            .explain
            .iter()
            .any(|name| function.answers(name.as_bytes()))
        {
            text += &function.to_text();
        }
    }
    if args.is_json() {
        for variable in &encoded.variables {
            text += &variable.to_json(encoded.unit_name(variable.unit));
        }
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
    ignore_broken_pipe(written).context("cannot write to standard output")
}

#[cfg(test)]
mod tests;

//! Does what was asked for under the name `pahole`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use btf_core::cli::output::check_target;
use btf_core::cli::{
    CommonArgs, Environment, ExitStatus, Printer, escape_name, escape_text, finish,
};
use btf_core::{Error, ErrorKind};
use dwarf2btf::input::{Input, exit_if_cut_off};
use dwarf2btf::reasons::Why;
use dwarf2btf::report::{Encoded, FunctionReport, FunctionVerdict, finding_to_text};
use dwarf2btf::{encode, output};

use crate::run::{Watch, check_unchanged, explained, image_and_base, start_threads};

use super::request::{Job, Request, Surroundings, request};

/// What stands before our messages: the name that was called, and who answered.
const TOOL: &str = "pahole (dwarf2btf)";
/// Stands before the name of a file that is cut off while it is read.
const CUT_OFF: &str = "pahole (dwarf2btf): error: ";

/// The whole program. `words` are the command line without the name of the program.
pub(crate) fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let surroundings = Surroundings {
        cores: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        lang_exclude: std::env::var_os("PAHOLE_LANG_EXCLUDE"),
    };
    let request = request(words, &surroundings);
    let common = match &request {
        Ok(Request::Encode(job)) => job.common.clone(),
        Ok(Request::Print(_)) | Err(_) => CommonArgs::default(),
    };
    // Builds run it side by side: no progress bar.
    let printer = Printer::new(&common, Environment::of_process(), true);
    let result = request.and_then(|request| match request {
        Request::Print(text) => print(&text),
        Request::Encode(job) => write_btf(&job, &printer),
    });
    finish(
        TOOL,
        &printer,
        result.as_ref().copied().map_err(|error| &**error as _),
    )
}

/// Prints to standard output.
fn print(text: &str) -> Result<ExitStatus> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.context("cannot write to standard output")?;
    Ok(ExitStatus::Done)
}

/// Writes the BTF of a file into it or beside it.
fn write_btf(job: &Job, printer: &Printer) -> Result<ExitStatus> {
    exit_if_cut_off(CUT_OFF, ExitStatus::Failed.code().into())?;
    if printer.verbosity() > 0 {
        for unknown in &job.unknown_features {
            let name = escape_text(&unknown.0);
            printer.say(&format!("Ignoring unsupported feature '{name}'"));
        }
    }
    start_threads(job.threads)?;
    let in_input = || job.input.display().to_string();
    let (target, input) = match &job.detached {
        Some(target) => (target, Some(&job.input)),
        None => (&job.input, None),
    };
    let inputs = input.into_iter().chain(&job.base);
    check_target(target, inputs.map(PathBuf::as_path))?;
    let input = Input::open(&job.input).with_context(in_input)?;
    let (image, base) = image_and_base(&input, job.base.as_deref());
    let base = base?;
    let watch = Watch {
        bar: None,
        input: Some(&input),
    };
    let btf = base.as_ref().map(|base| &base.base);
    let encoded = image.and_then(|image| encode(&image, btf, &job.options, &watch));
    check_unchanged(&input, base.as_ref())?;
    let encoded = match encoded {
        Err(error) if matches!(error.kind(), ErrorKind::NoDebugInfo | ErrorKind::NoTypes(_)) => {
            return Ok(nothing_to_write(&job.input, &error, printer));
        }
        encoded => encoded.map_err(|error| explained(error, &input, base.as_ref()))?,
    };
    if printer.verbosity() > 0 {
        tell_what_is_left_out(&encoded, printer)?;
    }
    if let Some(target) = &job.detached {
        output::to_file(target, &encoded).with_context(|| target.display().to_string())?;
    } else {
        let drops_signature = output::into_input(&input, &encoded).with_context(in_input)?;
        if drops_signature {
            let text = format!("{}: signature dropped: it is void now", in_input());
            printer.warning(TOOL, &text);
        }
    }
    Ok(ExitStatus::Done)
}

/// Says that a file has nothing to make BTF of, which is no error: a kernel's build goes on.
fn nothing_to_write(input: &Path, why: &Error, printer: &Printer) -> ExitStatus {
    let name = escape_name(input.as_os_str().as_bytes());
    printer.say(&format!("{TOOL}: note: {name}: {why}; no BTF is written"));
    ExitStatus::Done
}

/// Prints the functions that are left out in pahole's words, which scripts look for, and what BTF cannot say.
///
/// pahole prints beside these each type and each variable.
fn tell_what_is_left_out(encoded: &Encoded, printer: &Printer) -> Result<()> {
    let lines: String = encoded.functions.iter().map(skip_messages).collect();
    print(&lines)?;
    for finding in &encoded.findings {
        printer.say(&finding_to_text(finding, encoded.unit_name(finding.unit)));
    }
    Ok(())
}

/// A reason as pahole 1.32 spells it.
fn in_pahole_words(why: Why) -> &'static str {
    match why.key {
        "unexpected-register" => "unexpected register usage for parameter",
        "inconsistent-prototype" => "inconsistet prototype",
        "uncertain-location" => "uncertain parameter location",
        _ => why.text,
    }
}

/// What pahole says about a function that is left out: how prototypes differ, then the reason that outranks the others.
fn skip_messages(function: &FunctionReport) -> String {
    let name = escape_name(&function.name);
    let FunctionVerdict::Dropped { reasons, detail } = &function.verdict else {
        return String::new();
    };
    let last = reasons.last().map(|why| in_pahole_words(*why));
    let words = detail.as_deref().into_iter().chain(last);
    words.fold(String::new(), |mut lines, reason| {
        let _ = writeln!(
            lines,
            "{name} : skipping BTF encoding of function due to {reason}"
        );
        lines
    })
}

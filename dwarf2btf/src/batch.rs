//! The command `modules`: one base, many modules, one report.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use btf_core::ErrorKind;
use btf_core::cli::output::check_target;
use btf_core::cli::{ExitStatus, Printer, count, ignore_broken_pipe, phase_tree};
use dwarf2btf::base::Base;
use dwarf2btf::input::Input;
use dwarf2btf::modules::{Found, ModuleFile, ModuleResult, ModulesSummary, find, for_each};
use dwarf2btf::{encode, output};

use crate::cli::{ModulesJob, TOOL};
use crate::run::{Watch, read_base, start_threads};

/// Encodes all modules. One that fails does not stop the others.
pub(crate) fn run(job: &ModulesJob, printer: &Printer, start: Instant) -> Result<ExitStatus> {
    let Found { files, packed } = find(&job.paths)
        .map_err(|(path, error)| anyhow::Error::new(error).context(path.display().to_string()))?;
    if files.is_empty() {
        bail!("no modules: nothing there is called `*.ko` or `*.ko.debug`");
    }
    if files.len() < job.threads.get() {
        start_threads(job.threads)?;
    }
    let targets = targets(job, &files)?;
    let mut timings = vec![("find", start.elapsed())];
    let mut begin = Instant::now();
    let mut end = |phase| {
        timings.push((phase, begin.elapsed()));
        begin = Instant::now();
    };
    let base = read_base(&job.base)?;
    end("base");

    let bar = printer.progress(TOOL);
    let watch = Watch {
        bar: Some(&bar),
        input: None,
    };
    let work = |file: &ModuleFile, target: Option<&PathBuf>| convert(job, &base, file, target);
    let results = for_each(&files, job.threads, &watch, |index, file| {
        match work(file, targets.get(index)) {
            Ok(result) => result,
            Err(error) => ModuleResult::Failed(format!("{error:#}")),
        }
    });
    bar.finish();
    let results = results?;
    end("modules");

    let summary = ModulesSummary::new(results.iter(), packed);
    for (file, result) in files.iter().zip(&results) {
        if let ModuleResult::Failed(why) = result {
            printer.error(
                TOOL,
                anyhow::anyhow!("{}: {why}", file.path.display()).as_ref(),
            );
        }
    }
    say_if_none(&summary, printer);
    if job.is_json {
        let mut text: String = files
            .iter()
            .zip(&results)
            .map(|(file, result)| result.to_json(&file.path))
            .collect();
        text += &summary.to_json(&timings);
        let mut stdout = std::io::stdout().lock();
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
        ignore_broken_pipe(written).context("cannot write to standard output")?;
    }
    let elapsed = start.elapsed();
    printer.say(summary.to_text(elapsed).trim_end());
    if job.has_time {
        printer.always(phase_tree(&timings, elapsed).trim_end());
    }
    Ok(if summary.failed > 0 || summary.written == 0 {
        ExitStatus::Failed
    } else {
        ExitStatus::Done
    })
}

/// Says so if nothing was written and nothing has failed either.
fn say_if_none(summary: &ModulesSummary, printer: &Printer) {
    if summary.failed > 0 || summary.written > 0 {
        return;
    }
    let text = match summary.skipped {
        1 => "the module has no DWARF: it may be in a file of its own".to_owned(),
        all => format!(
            "none of the {} modules has DWARF: it may be in files of their own",
            count(all)
        ),
    };
    printer.failure(TOOL, &text);
}

/// Where the BTF of each module goes; nowhere but into the modules if there is no folder for it.
fn targets(job: &ModulesJob, files: &[ModuleFile]) -> Result<Vec<PathBuf>> {
    let Some(folder) = &job.out_dir else {
        return Ok(Vec::new());
    };
    let target = |file: &ModuleFile| {
        let mut path = folder.join(&file.name).into_os_string();
        path.push(".btf");
        PathBuf::from(path)
    };
    let targets: Vec<PathBuf> = files.iter().map(target).collect();
    let mut sorted: Vec<&PathBuf> = targets.iter().collect();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("two modules would be written to `{}`", twice[0].display());
    }
    for target in &targets {
        check_target(target, [&*job.base])?;
    }
    Ok(targets)
}

/// Encodes one module and writes its BTF to `target`, or into itself.
fn convert(
    job: &ModulesJob,
    base: &Base,
    file: &ModuleFile,
    target: Option<&PathBuf>,
) -> Result<ModuleResult> {
    if target.is_none() {
        check_target(&file.path, [&*job.base])?;
    }
    let input = Input::open(&file.path)?;
    let watch = Watch {
        bar: None,
        input: Some(&input),
    };
    let image = input.image();
    let encoded = image.and_then(|image| encode(&image, Some(base), &job.options, &watch));
    if encoded.is_err() {
        // If somebody has written to the module, that is the fault.
        input.check_unchanged()?;
    }
    let encoded = match encoded {
        Err(error) if *error.kind() == ErrorKind::NoDebugInfo => return Ok(ModuleResult::Skipped),
        encoded => encoded?,
    };
    let is_unsigned = if let Some(target) = target {
        input.check_unchanged()?;
        let in_target = || target.display().to_string();
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).with_context(in_target)?;
        }
        output::to_file(target, &encoded).with_context(in_target)?;
        false
    } else {
        output::into_input(&input, &encoded)?
    };
    Ok(ModuleResult::Written {
        is_unsigned,
        findings: encoded.findings.len() as u64,
        summary: encoded.summary,
    })
}

//! `btf-link merge`: BTF of many origins into one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use btf_core::builder::WriteOptions;
use btf_core::cli::pattern::Pattern;
use btf_core::cli::sources::{Source, Standalone, open_one, open_with, warn_of_packed};
use btf_core::cli::{
    ExitStatus, JsonObject, Printer, ProgressBar, ThreadArgs, escape_text, json_line, output,
    peak_memory_bytes, phase_tree, plural, seconds, size,
};
use btf_core::overlap::BoundedStrings;
use btf_core::reader::Memory;
use btf_core::types::Type;
use btf_core::{Btf, Builder, ByteOrder, Info, Kind};
use btf_link::merge::explain::{self, Definition};
use btf_link::merge::{Failure, MergedBtf, Options, merge};

use super::TOOL;

use super::inputs::{InputArgs, Output, without_output};
use super::target::has_wide_vlen;

const EXAMPLES: &str = "\
Examples:
  btf-link merge a.btf b.ko c.bpf.o -o all.btf
  btf-link merge --base vmlinux modules/ -o modules.btf   what continues a kernel's
  btf-link merge vmlinux modules/ -o all.btf              a kernel's and its modules' as one
  btf-link merge --files-from list --sort -o all.btf      in the order of names
  btf-link merge a.btf b.btf --explain inode              where two definitions differ
";

/// Make one BTF of many, in which each type is there once
///
/// Takes raw BTF, ELF files of all kinds (kernels, modules, objects of BPF programs and of `-gbtf`), folders of them, and sections
/// into which an unaware linker has pasted several blobs. Split BTF needs what it continues, which is found as `btf-dump` finds
/// it; of that only what is needed is written, unless it is an input itself. Of a folder all files are taken but OUT.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MergeArgs {
    #[command(flatten)]
    inputs: InputArgs,

    /// Where to write the BTF; `-` is standard output
    #[arg(short, long, value_name = "OUT", required_unless_present = "explain")]
    output: Option<PathBuf>,

    /// What the output continues: types of this BTF are not written again
    #[arg(short = 'B', long, value_name = "FILE")]
    base: Option<PathBuf>,

    /// Unify what gcc and clang spell differently: names of integers, indices of arrays, qualified arrays
    ///
    /// Integers get the names that gcc gives them, indices the type that clang and pahole give them, and a qualified array becomes an
    /// array of what is qualified.
    #[arg(long, conflicts_with = "base")]
    canonical: bool,

    /// Tell why a name has several definitions: where they differ first, and which inputs have which; may be repeated
    ///
    /// `*`, `?`, `[…]`, `{…}` or `/regular expression/` ask for all such names that have several definitions. Without `-o` nothing else
    /// is written. Exit status 1 if nothing is called so, as of `grep`; that no name has several definitions is no failure.
    #[arg(long, value_name = "PATTERN", value_parser = Pattern::parse)]
    explain: Vec<Pattern>,

    /// Order the types by name, as kernels since 7.0 need it of vmlinux
    #[arg(long)]
    sort: bool,

    /// Write a layout section, which tells the length of each kind (Linux 7.1 and later)
    #[arg(long)]
    layout: bool,

    #[command(flatten)]
    threads: ThreadArgs,

    /// Write a summary as a line of JSON to standard output
    #[arg(long)]
    json: bool,

    /// Print how long each phase took
    #[arg(long)]
    time: bool,
}

impl MergeArgs {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }
}

/// Merges.
pub(crate) fn run(args: &MergeArgs, printer: &Printer) -> Result<ExitStatus> {
    let start = Instant::now();
    super::refuse_shared_stdout(
        args.output.as_deref(),
        args.json || !args.explain.is_empty(),
    )?;
    let mut timings = Timings::default();
    let threads = rayon::ThreadPoolBuilder::new().num_threads(args.threads.count().get());
    threads.build_global().context("cannot start threads")?;
    let bar = printer.progress("merge");

    let (base, output) = (args.base.as_deref(), args.output.as_deref());
    let named = args.inputs.paths(base, output)?;
    let written = match base {
        Some(_) => Output::SplitBtf,
        None => Output::WholeBtf,
    };
    let paths = without_output(&named, written, output, printer)?;
    let result = match merge_unkept(args, &paths, &bar) {
        Some(result) => result,
        None => merge_kept(args, &paths, &bar)?,
    };
    timings.end("merge");
    warn_of_packed(TOOL, printer, &named);

    let is_unknown = explain(args, &result.merged, &result.sources, printer)?;
    let target = args.output.as_deref();
    let btf = result.merged.btf;
    let types_out = own_types(&btf);
    let size_bytes = target.map(|target| write(args, btf, result.order, target, &mut timings));
    let size_bytes = size_bytes.transpose()?;
    bar.finish();

    let summary = Summary {
        types_out,
        bytes_out: size_bytes,
        ..result.summary
    };
    let elapsed = start.elapsed();
    if args.json {
        let line = json_line("summary", |object| {
            if let Some(target) = &args.output {
                object.text("output", &target.to_string_lossy());
            }
            summary.to_json(object, &timings.0);
        });
        super::print(&line)?;
    } else {
        printer.say(&summary.to_text(elapsed));
    }
    if args.time {
        printer.always(phase_tree(&timings.0, elapsed).trim_end());
    }
    Ok(ExitStatus::no_if(is_unknown))
}

/// What came of the merge, before it is written.
struct Outcome {
    merged: MergedBtf,
    order: ByteOrder,
    /// The inputs, if they were kept.
    sources: Vec<Source>,
    /// What is known of the inputs.
    summary: Summary,
}

/// Merges files that each hold one BTF, which stands alone, and keeps none of them; `None` if that is not what there is, or if the
/// merge fails.
fn merge_unkept(args: &MergeArgs, paths: &[PathBuf], bar: &ProgressBar) -> Option<Outcome> {
    if args.base.is_some() || !args.explain.is_empty() {
        return None;
    }
    let files = Standalone::find(paths)?;
    let total = files.count() as u64;
    let progress = |done: usize| bar.set("merging", done as u64, total);
    let read = |index: usize, memory: &mut Memory| files.read(index, memory);
    let btf = btf_link::merge::merge_unkept(files.count(), &read, args.canonical, &progress)?;
    let order = files.facts().next()?.order;
    if files.facts().any(|facts| facts.order != order) {
        return None;
    }
    let ids = Vec::new();
    Some(Outcome {
        merged: MergedBtf { btf, ids },
        order,
        sources: Vec::new(),
        summary: Summary {
            inputs: files.count(),
            types_in: files.facts().map(|facts| u64::from(facts.types)).sum(),
            bytes_in: files.facts().map(|facts| facts.blob_len).sum(),
            ..Summary::default()
        },
    })
}

/// Merges whatever there is.
fn merge_kept(args: &MergeArgs, paths: &[PathBuf], bar: &ProgressBar) -> Result<Outcome> {
    let sources = open_with(paths, args.base.as_deref(), args.threads.count())?;
    if let Some(output) = &args.output {
        output::check_target(output, sources.iter().flat_map(Source::files))?;
    }
    let base = args.base.as_ref().map(|path| open_base(path, &sources));
    let base = base.transpose()?;
    let order = byte_order(&sources, base.as_ref())?;
    let inputs: Vec<_> = sources
        .iter()
        .map(|source| Arc::clone(&source.btf))
        .collect();
    let options = Options {
        base,
        is_canonical: args.canonical,
        has_ids: !args.explain.is_empty(),
    };
    let total = inputs.len() as u64;
    let progress = |done: usize| bar.set("merging", done as u64, total);
    let merged =
        merge(&inputs, &options, &progress).map_err(|failure| in_input(failure, &sources))?;
    Ok(Outcome {
        merged,
        order,
        summary: Summary {
            inputs: sources.len(),
            types_in: inputs.iter().map(|btf| own_types(btf)).sum(),
            bytes_in: inputs.iter().map(|btf| btf.blob_len()).sum(),
            ..Summary::default()
        },
        sources,
    })
}

/// Writes the result; its size in bytes.
fn write(
    args: &MergeArgs,
    merged: Btf,
    order: ByteOrder,
    target: &Path,
    timings: &mut Timings,
) -> Result<u64> {
    let options = WriteOptions {
        layout: args.layout,
        wide_vlen: has_wide_vlen(&merged),
    };
    let builder = if args.sort {
        let sorted = btf_core::sort::sort_by_name(&merged);
        timings.end("sort");
        sorted.context("cannot sort the result")?.builder
    } else {
        Builder::from_owned(merged)
    };
    let blob = builder.blob(order, options).context("the result")?;
    output::write_blob(target, &blob).with_context(|| target.display().to_string())?;
    timings.end("write");
    Ok(blob.len())
}

/// How many inputs are listed that have a definition.
const SHOWN_INPUTS: usize = 3;

/// Tells why names have several definitions; whether one of the names is nowhere.
fn explain(
    args: &MergeArgs,
    merged: &MergedBtf,
    sources: &[Source],
    printer: &Printer,
) -> Result<bool> {
    let mut is_unknown = false;
    for pattern in &args.explain {
        let names = match pattern.name() {
            Some(name) => vec![name],
            None => explain::ambiguous(&merged.btf, |name| pattern.matches(name)),
        };
        let mut is_found = false;
        let all = explain::definitions(&merged.btf, &merged.ids, &names);
        for (name, found) in names.into_iter().zip(all) {
            if found.is_empty() {
                continue;
            }
            is_found = true;
            let name = &*String::from_utf8_lossy(name);
            let text = if args.json {
                let lines = found
                    .iter()
                    .map(|one| definition_to_json(name, one, &found, merged, sources));
                lines.collect()
            } else {
                definitions_to_text(name, &found, merged, sources)
            };
            super::print(&text)?;
        }
        if is_found {
            continue;
        }
        let text = escape_text(pattern.text());
        if pattern.name().is_none() && has_name(&merged.btf, pattern) {
            printer.say(&format!(
                "no name that matches `{text}` has several definitions"
            ));
        } else {
            printer.failure(TOOL, &format!("nothing is called `{text}`"));
            is_unknown = true;
        }
    }
    Ok(is_unknown)
}

/// Whether a type is called by a name that matches.
fn has_name(btf: &Btf, pattern: &Pattern) -> bool {
    let mut strings = BoundedStrings::new(btf);
    btf.types().any(|(_, ty)| {
        let is_text = matches!(ty, Type::DeclTag { .. } | Type::TypeTag { .. });
        let name = strings.get(ty.name()).ok().filter(|_| !is_text);
        name.is_some_and(|name| !name.is_empty() && pattern.matches(name))
    })
}

fn definitions_to_text(
    name: &str,
    found: &[Definition],
    merged: &MergedBtf,
    sources: &[Source],
) -> String {
    let number = plural(found.len() as u64, "definition");
    let mut out = format!("`{}`: {number}\n", escape_text(name));
    for definition in found {
        let kind = merged.btf.info(definition.id).and_then(Info::kind);
        let kind = kind.map_or("UNKNOWN", Kind::name);
        let _ = write!(out, "{} {kind}, in ", definition.id);
        let shown = definition.inputs.iter().take(SHOWN_INPUTS);
        let titles: Vec<_> = shown
            .filter_map(|&input| Some(sources.get(input)?.title()))
            .collect();
        out.push_str(&escape_text(&titles.join(", ")));
        let more = definition.inputs.len().saturating_sub(SHOWN_INPUTS);
        if more > 0 {
            let _ = write!(out, " and {more} more");
        }
        out.push('\n');
        if definition.id != found[0].id {
            let difference = explain::difference(&merged.btf, found[0].id, definition.id);
            let path = difference.path.iter().map(|step| format!("{step}, "));
            match difference.sides {
                None => out.push_str("  no difference found\n"),
                Some([left, right]) => {
                    let path = path.collect::<String>();
                    let _ = writeln!(out, "  {path}{} has {left}", found[0].id);
                    let _ = writeln!(out, "  {path}{} has {right}", definition.id);
                }
            }
        }
    }
    out
}

fn definition_to_json(
    name: &str,
    definition: &Definition,
    found: &[Definition],
    merged: &MergedBtf,
    sources: &[Source],
) -> String {
    json_line("definition", |object| {
        let kind = merged.btf.info(definition.id).and_then(Info::kind);
        object
            .text("name", name)
            .number("id", definition.id.0.into())
            .text("kind", kind.map_or("UNKNOWN", Kind::name))
            .array("inputs", |array| {
                for source in definition
                    .inputs
                    .iter()
                    .filter_map(|&input| sources.get(input))
                {
                    array.text(&source.title());
                }
            });
        if definition.id == found[0].id {
            return;
        }
        let difference = explain::difference(&merged.btf, found[0].id, definition.id);
        object.number("differs_from", found[0].id.0.into());
        object.array("path", |path| {
            for step in &difference.path {
                path.text(step);
            }
        });
        object.array("sides", |sides| {
            for side in difference.sides.iter().flatten() {
                sides.text(side);
            }
        });
    })
}

fn own_types(btf: &Btf) -> u64 {
    u64::from(btf.end_id() - btf.first_id())
}

/// The base that is named: that of an input, if one continues it, so that it is there once.
fn open_base(path: &Path, sources: &[Source]) -> Result<Arc<Btf>> {
    let is_it =
        |source: &&Source| source.base == btf_core::cli::sources::Base::File(path.to_owned());
    let of_input = sources
        .iter()
        .find(is_it)
        .and_then(|source| source.btf.base());
    if let Some(base) = of_input {
        return Ok(Arc::clone(base));
    }
    Ok(open_one(path, None)?.btf)
}

/// The byte order of all inputs, which must be the same.
fn byte_order(sources: &[Source], base: Option<&Arc<Btf>>) -> Result<ByteOrder> {
    let Some(first) = sources.first() else {
        return Ok(ByteOrder::NATIVE);
    };
    let order = first.btf.byte_order();
    if let Some(other) = sources
        .iter()
        .find(|source| source.btf.byte_order() != order)
    {
        bail!(
            "{}: its byte order is {}, that of {} is {order}",
            other.title(),
            other.btf.byte_order(),
            first.title()
        );
    }
    if let Some(base) = base.filter(|base| base.byte_order() != order) {
        bail!(
            "{}: its byte order is {order}, the base's is {}",
            first.title(),
            base.byte_order()
        );
    }
    Ok(order)
}

fn in_input(failure: Failure, sources: &[Source]) -> anyhow::Error {
    let title = failure.input.and_then(|input| sources.get(input));
    let title = title.map_or_else(|| "the result".to_owned(), Source::title);
    anyhow::Error::new(failure.error).context(title)
}

/// How long each phase took.
#[derive(Debug)]
struct Timings(Vec<(&'static str, Duration)>, Instant);

impl Default for Timings {
    fn default() -> Self {
        Self(Vec::new(), Instant::now())
    }
}

impl Timings {
    /// Ends a phase, and begins the next.
    fn end(&mut self, phase: &'static str) {
        let now = Instant::now();
        self.0.push((phase, now - self.1));
        self.1 = now;
    }
}

/// What came of it.
#[derive(Debug, Default)]
struct Summary {
    inputs: usize,
    types_in: u64,
    types_out: u64,
    bytes_in: u64,
    bytes_out: Option<u64>,
}

impl Summary {
    fn to_text(&self, elapsed: Duration) -> String {
        let written = self.bytes_out.map(|bytes| format!(", {}", size(bytes)));
        format!(
            "{}, {}, {} -> {}{} in {}",
            plural(self.inputs as u64, "input"),
            plural(self.types_in, "type"),
            size(self.bytes_in),
            plural(self.types_out, "type"),
            written.unwrap_or_default(),
            seconds(elapsed)
        )
    }

    fn to_json(&self, object: &mut JsonObject<'_>, timings: &[(&'static str, Duration)]) {
        object
            .number("inputs", self.inputs as u64)
            .number("types_in", self.types_in)
            .number("types", self.types_out)
            .number("input_size_bytes", self.bytes_in);
        if let Some(bytes) = self.bytes_out {
            object.number("size_bytes", bytes);
        }
        object.array("phases", |phases| {
            for &(name, time) in timings {
                phases.object(|phase| {
                    phase.text("name", name).seconds("seconds", time);
                });
            }
        });
        if let Some(bytes) = peak_memory_bytes() {
            object.number("peak_memory_bytes", bytes);
        }
    }
}

//! `btf-link merge`: BTF of many origins into one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use btf_core::builder::WriteOptions;
use btf_core::cli::sources::{Source, open_one};
use btf_core::cli::{
    ExitStatus, JsonObject, Printer, ThreadArgs, count, json_line, output, peak_memory_bytes,
    phase_tree, seconds, size,
};
use btf_core::{Btf, Builder, ByteOrder};
use btf_link::merge::{Failure, Options, merge};

use super::inputs::InputArgs;
use super::target::has_wide_vlen;

/// Make one BTF of many, in which each type is there once
///
/// Takes raw BTF, ELF files of all kinds (kernels, modules, objects of BPF programs and of `-gbtf`), folders of them, and sections
/// into which an unaware linker has pasted several blobs. Split BTF needs what it continues, which is found as `btf-dump` finds
/// it; of that only what is needed is written, unless it is an input itself.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
#[derive(Debug, clap::Args)]
pub(crate) struct MergeArgs {
    #[command(flatten)]
    inputs: InputArgs,

    /// Where to write the BTF; `-` is standard output
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// What the output continues: types of this BTF are not written again
    #[arg(short = 'B', long, value_name = "FILE")]
    base: Option<PathBuf>,

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
    if args.json && args.output.as_os_str() == "-" {
        bail!("both the BTF and the summary would go to standard output: name a file with `-o`");
    }
    let mut timings = Timings::default();
    let threads = rayon::ThreadPoolBuilder::new().num_threads(args.threads.count().get());
    threads.build_global().context("cannot start threads")?;
    let bar = printer.progress("merge");

    let sources = args
        .inputs
        .open(args.base.as_deref(), args.threads.count())?;
    let base = args.base.as_ref().map(|path| open_base(path, &sources));
    let base = base.transpose()?;
    let order = byte_order(&sources, base.as_ref())?;
    timings.end("read");

    let inputs: Vec<_> = sources
        .iter()
        .map(|source| Arc::clone(&source.btf))
        .collect();
    let options = Options { base };
    let total = inputs.len() as u64;
    let progress = |done: usize| bar.set("merging", done as u64, total);
    let merged =
        merge(&inputs, &options, &progress).map_err(|failure| in_input(failure, &sources))?;
    timings.end("merge");

    let mut builder = merged.builder;
    if args.sort {
        builder = sort(builder).context("cannot sort the result")?;
        timings.end("sort");
    }
    let write_options = WriteOptions {
        layout: args.layout,
        wide_vlen: inputs.iter().any(|input| has_wide_vlen(input)),
    };
    let bytes = builder.write(order, write_options).context("the result")?;
    let name = || args.output.display().to_string();
    output::write(&args.output, &bytes).with_context(name)?;
    timings.end("write");
    bar.finish();

    let summary = Summary {
        inputs: sources.len(),
        types_in: inputs.iter().map(|btf| own_types(btf)).sum(),
        types_out: u64::from(builder.next_id().0) - first_id(&options),
        bytes_in: inputs.iter().map(|btf| btf.blob_len()).sum(),
        bytes_out: bytes.len() as u64,
    };
    let elapsed = start.elapsed();
    if args.json {
        let line = json_line("summary", |object| {
            object.text("output", &args.output.to_string_lossy());
            summary.to_json(object, &timings.0);
        });
        super::print(&line)?;
    } else {
        printer.say(&summary.to_text(elapsed));
    }
    if args.time {
        printer.always(phase_tree(&timings.0, elapsed).trim_end());
    }
    Ok(ExitStatus::Done)
}

fn own_types(btf: &Btf) -> u64 {
    u64::from(btf.end_id() - btf.first_id())
}

fn first_id(options: &Options) -> u64 {
    options.base.as_ref().map_or(1, |base| base.end_id()).into()
}

/// The base that is named: that of an input, if one continues it, so that it is there once.
fn open_base(path: &std::path::Path, sources: &[Source]) -> Result<Arc<Btf>> {
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
            "{}: its byte order is {:?}, that of {} is {order:?}",
            other.title(),
            other.btf.byte_order(),
            first.title()
        );
    }
    if let Some(base) = base.filter(|base| base.byte_order() != order) {
        bail!(
            "{}: its byte order is {order:?}, the base's is {:?}",
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

fn sort(builder: Builder) -> btf_core::Result<Builder> {
    Ok(btf_core::sort::sort_by_name(&builder.finish()?)?.builder)
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
#[derive(Debug)]
struct Summary {
    inputs: usize,
    types_in: u64,
    types_out: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Summary {
    fn to_text(&self, elapsed: Duration) -> String {
        let s = if self.inputs == 1 { "" } else { "s" };
        format!(
            "{} input{s}, {} types, {} -> {} types, {} in {}",
            count(self.inputs as u64),
            count(self.types_in),
            size(self.bytes_in),
            count(self.types_out),
            size(self.bytes_out),
            seconds(elapsed)
        )
    }

    fn to_json(&self, object: &mut JsonObject<'_>, timings: &[(&'static str, Duration)]) {
        object
            .number("inputs", self.inputs as u64)
            .number("types_in", self.types_in)
            .number("types", self.types_out)
            .number("input_size_bytes", self.bytes_in)
            .number("size_bytes", self.bytes_out)
            .array("phases", |phases| {
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

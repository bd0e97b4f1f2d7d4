//! `btf-link prune`: of BTF only what some names need, of a BPF object only what is looked at ([`super::prune_program`]).

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use btf_core::cli::pattern::Pattern;
use btf_core::cli::sources::{Source, open_one_onto};
use btf_core::cli::{
    ExitStatus, JsonObject, Printer, count, escape_name, json_line, output, plural, size,
};
use btf_core::dedup::FastMap;
use btf_core::overlap::BoundedStrings;
use btf_core::types::Type;
use btf_core::{Btf, StrOffset, TypeId, elf};
use btf_link::prune::{Cost, Kept};

use super::TOOL;
use super::prune_program::{self, ProgramArgs};
use super::target::{bytes_of, options_of};

/// How many types of one name are blamed: each takes a walk over all that is kept. Kernels have a handful at most.
const MAX_BLAMED: usize = 64;

/// How much of a name is shown in a chain, in bytes: what kernels accept (`KSYM_NAME_LEN`). A chain may have all types of a file.
const MAX_SHOWN_LEN: usize = 512;

const EXAMPLES: &str = "\
Examples:
  btf-link prune prog.bpf.o -o small.bpf.o --prove kernels/
  btf-link prune vmlinux --keep 'tcp_*' -o tcp.btf               only what these names need
  btf-link prune vmlinux --keep tcp_sock --blame task_struct     why that is in it, and what it costs
";

/// Keep of BTF only what some names need, or of a BPF object's only what is looked at
///
/// Without `--keep`, FILE is a BPF object: its functions, variables and maps stay, what CO-RE relocations need, and what the kernel
/// looks for; lines of the source, too. A program over a whole vmlinux.h gets many times smaller. The object is linked on the
/// way, so it loses its DWARF.
///
/// With `--keep`, kept are the types, functions and variables of these names, all that they lead to, and the tags and sections that belong to
/// that. Split BTF stays split. Exit status 1, and no output, if nothing has one of the names.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PruneArgs {
    /// Raw BTF or ELF
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// A name to keep; may be repeated
    ///
    /// `*`, `?`, `[a-z]` and `{a,b}` have their usual meaning, and the whole name must match; `/…/` is a regular expression, which
    /// may match anywhere.
    #[arg(short, long, value_name = "PATTERN", num_args = 1.., value_parser = Pattern::parse)]
    keep: Vec<Pattern>,

    /// Where to write the BTF; `-` is standard output
    #[arg(short, long, value_name = "OUT", required_unless_present = "blame")]
    output: Option<PathBuf>,

    /// Show the shortest chain from a kept name to this type, and how many bytes would be gone without it; may be repeated
    ///
    /// Of several types of one name the first 64 are shown.
    #[arg(long, value_name = "TYPE", requires = "keep")]
    blame: Vec<String>,

    /// What FILE continues, if it is split BTF; one with a distilled base is moved onto it
    ///
    /// Without it, OUT continues that distilled base, which is written to `OUT.base`.
    #[arg(short = 'B', long, value_name = "FILE", requires = "keep")]
    base: Option<PathBuf>,

    /// Write the summary and what is blamed as lines of JSON to standard output
    #[arg(long, requires = "keep")]
    json: bool,

    #[command(flatten)]
    program: ProgramArgs,
}

impl PruneArgs {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }
}

/// Prunes.
pub(crate) fn run(args: &PruneArgs, printer: &Printer) -> Result<ExitStatus> {
    if let Some(output) = &args.output {
        super::refuse_shared_stdout(Some(output), args.json || !args.blame.is_empty())?;
        let inputs = [&args.file].into_iter().chain(&args.base);
        let inputs = inputs.chain(&args.program.prove);
        output::check_target(output, inputs.map(PathBuf::as_path))?;
    }
    if args.keep.is_empty() {
        let output = args.output.as_deref().context("name a file with `-o`")?;
        if !may_be_elf(&args.file) {
            bail!(
                "{}: not an ELF file; of other BTF, say with `--keep` what stays",
                args.file.display()
            );
        }
        return prune_program::run(&args.file, output, &args.program, printer);
    }
    let source = open_one_onto(&args.file, args.base.as_deref())?;
    if let Some(output) = &args.output {
        output::check_target(output, source.files())?;
    }
    let (btf, title) = (&*source.btf, source.title());
    let own_base = own_base(args, &source)?;
    let roots = find_roots(btf, &args.keep, printer).with_context(|| title.clone())?;
    let Some(roots) = roots else {
        return Ok(ExitStatus::No);
    };
    let kept = Kept::new(btf, &roots).with_context(|| title.clone())?;
    let mut is_missing = false;
    for wanted in &args.blame {
        is_missing |= !blame(args, btf, &kept, &roots, wanted, printer)?;
    }
    let before = btf.blob_len();
    if let Some(target) = &args.output {
        let (builder, ids) = kept.build().with_context(|| title.clone())?;
        let order = btf.byte_order();
        let bytes = builder
            .write(order, options_of(btf))
            .with_context(|| title.clone())?;
        let base = own_base.map(|base| bytes_of(base, order)).transpose()?;
        output::write_with_base(target, &bytes, base.as_deref())
            .with_context(|| target.display().to_string())?;
        let types = ids.iter().filter(|id| !id.is_void()).count() as u64;
        if args.json {
            let line = json_line("summary", |object| {
                object
                    .text("output", &target.to_string_lossy())
                    .number("types_in", ids.len() as u64)
                    .number("types", types)
                    .number("input_size_bytes", before)
                    .number("size_bytes", bytes.len() as u64);
            });
            super::print(&line)?;
        } else {
            printer.say(&format!(
                "{} of {} types, {} of {}",
                count(types),
                count(ids.len() as u64),
                size(bytes.len() as u64),
                size(before)
            ));
        }
    }
    Ok(ExitStatus::no_if(is_missing))
}

/// The distilled base that goes along, as nobody else has it.
fn own_base<'s>(args: &PruneArgs, source: &'s Source) -> Result<Option<&'s Btf>> {
    let Some(base) = source.btf.base().filter(|_| source.has_own_base()) else {
        return Ok(None);
    };
    if let Some(output) = &args.output {
        if output::is_stdout(output) {
            bail!(
                "{}: its distilled base goes along, so it is two files: name the first with `-o`",
                source.title()
            );
        }
        output::check_target(&output::base_path(output), source.files())?;
    }
    Ok(Some(base))
}

/// Whether a file is ELF, or no regular file that can be read, which somebody else tells.
fn may_be_elf(path: &Path) -> bool {
    // What a pipe says can be read once only.
    if !path.is_file() {
        return true;
    }
    let mut start = Vec::new();
    let file = File::open(path).and_then(|file| file.take(4).read_to_end(&mut start));
    file.is_err() || elf::is_elf(&start)
}

/// The own types of the names to keep; `None` if nothing has one of them.
///
/// Each name is looked at once, however many types have it: it may be long.
fn find_roots(btf: &Btf, patterns: &[Pattern], printer: &Printer) -> Result<Option<Vec<TypeId>>> {
    let mut roots = Vec::new();
    let mut is_found = vec![false; patterns.len()];
    let mut strings = BoundedStrings::new(btf);
    let mut is_wanted: FastMap<StrOffset, bool> = FastMap::default();
    for (id, ty) in btf.types() {
        // The text of a tag is no name of a type, and what does not exist none either.
        let is_text = matches!(ty, Type::DeclTag { .. } | Type::TypeTag { .. });
        if is_text || btf.start_of_string(ty.name(), 1).is_empty() {
            continue;
        }
        if let Some(&is_root) = is_wanted.get(&ty.name()) {
            roots.extend(is_root.then_some(id));
            continue;
        }
        let name = strings.get(ty.name()).map_err(|error| error.in_type(id))?;
        let mut is_root = false;
        for (pattern, is_found) in patterns.iter().zip(&mut is_found) {
            let matches = pattern.matches(name);
            *is_found |= matches;
            is_root |= matches;
        }
        is_wanted.insert(ty.name(), is_root);
        roots.extend(is_root.then_some(id));
    }
    for (pattern, _) in patterns
        .iter()
        .zip(&is_found)
        .filter(|(_, is_found)| !**is_found)
    {
        printer.failure(TOOL, &format!("nothing is called `{}`", pattern.text()));
    }
    let is_complete = is_found.iter().all(|&is_found| is_found);
    Ok(is_complete.then_some(roots))
}

/// Tells why the types of a name are kept, the first [`MAX_BLAMED`] of them; whether one is.
fn blame(
    args: &PruneArgs,
    btf: &Btf,
    kept: &Kept<'_>,
    roots: &[TypeId],
    wanted: &str,
    printer: &Printer,
) -> Result<bool> {
    let of_name = btf.find_by_name(wanted.as_bytes());
    let all: Vec<_> = of_name.filter(|&id| kept.has_own(id)).collect();
    for &id in all.iter().take(MAX_BLAMED) {
        let Some(cost) = kept.cost(roots, id)? else {
            continue;
        };
        let text = if args.json {
            json_line("blame", |object| to_json(object, btf, wanted, &cost))
        } else {
            let chain: Vec<_> = cost.chain.iter().map(|&id| describe(btf, id)).collect();
            let (types, bytes) = (plural(cost.types as u64, "type"), size(cost.bytes));
            format!(
                "{}\n  without it {types} and {bytes} less\n",
                chain.join("\n  -> ")
            )
        };
        super::print(&text)?;
    }
    let more = all.len().saturating_sub(MAX_BLAMED) as u64;
    if more > 0 {
        let text = format!("{} more types called `{wanted}` are kept", count(more));
        printer.warning(TOOL, &text);
    }
    if all.is_empty() {
        let text = format!("no type called `{wanted}` is kept");
        printer.failure(TOOL, &text);
    }
    Ok(!all.is_empty())
}

/// What is shown of the name of a type, or of its first bytes if it is longer than kernels accept.
fn shown_name(btf: &Btf, id: TypeId) -> &[u8] {
    let name = btf.record(id).and_then(<[u32]>::first);
    name.map_or(&[], |&name| {
        btf.start_of_string(StrOffset(name), MAX_SHOWN_LEN)
    })
}

/// A type in a few words.
fn describe(btf: &Btf, id: TypeId) -> String {
    let kind = btf.ty(id).ok().and_then(|ty| ty.kind());
    let kind = kind.map_or("type", btf_core::Kind::name);
    let name = shown_name(btf, id);
    if name.is_empty() {
        format!("{id} {kind}")
    } else {
        format!("{id} {kind} `{}`", escape_name(name))
    }
}

fn to_json(object: &mut JsonObject<'_>, btf: &Btf, wanted: &str, cost: &Cost) {
    object
        .name("name", wanted.as_bytes())
        .number("id", cost.chain.last().map_or(0, |id| id.0).into())
        .number("types", cost.types as u64)
        .number("size_bytes", cost.bytes)
        .array("chain", |chain| {
            for &id in &cost.chain {
                chain.object(|link| {
                    let kind = btf.ty(id).ok().and_then(|ty| ty.kind());
                    link.number("id", id.0.into())
                        .text("kind", kind.map_or("UNKNOWN", btf_core::Kind::name))
                        .name("name", shown_name(btf, id));
                });
            }
        });
}

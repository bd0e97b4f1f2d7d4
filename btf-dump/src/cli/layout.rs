//! `btf-dump layout`: where the members of structures lie.

mod terminal;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use btf_core::TypeId;
use btf_core::cli::pattern::Pattern;
use btf_core::cli::sources::{Source, open_onto, warn_of_packed};
use btf_core::cli::{ExitStatus, Printer, ignore_broken_pipe};
use btf_dump::layout::reorganize::reorganize;
use btf_dump::layout::search::{Relation, search};
use btf_dump::layout::select::{Filter, by_name, known_names, own_composites};
use btf_dump::layout::table::{self, Order};
use btf_dump::layout::{CACHELINE, Layout, Layouts, Machine, json, text};
use btf_dump::pointer;
use clap::ValueEnum;

use super::{TOOL, missing};

/// What has a layout.
const WHAT: &str = "structure, union, enumeration or typedef";

const EXAMPLES: &str = "\
Examples:
  btf-dump layout task_struct              as pahole prints it
  btf-dump layout -E mutex                 with what is inside
  btf-dump layout --packable               what another order would save
  btf-dump layout --reorganize page_pool   that order
  btf-dump layout --contains spinlock_t    who embeds a lock
  btf-dump layout -f vmlinux 'tcp_*' --sizes --sort size
";

/// The options that are about structures, and not about members one by one.
const WHOLE: [&str; 8] = [
    "expand",
    "hex",
    "sizes",
    "sort",
    "holes",
    "padding",
    "packable",
    "reorganize",
];

/// The arguments of `layout`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct LayoutArgs {
    /// Structures, unions, enumerations and typedefs of this name [default: all structures and unions]
    ///
    /// `*`, `?`, `[a-z]` and `{a,b}` have their usual meaning, and the whole name must match; `/…/` is a regular expression, which
    /// may match anywhere.
    #[arg(value_name = "TYPE", value_parser = Pattern::parse)]
    types: Vec<Pattern>,

    /// As TYPE, for those who are used to `pahole -C`
    #[arg(
        short = 'C',
        value_name = "TYPE",
        value_parser = Pattern::parse,
        value_delimiter = ',',
        hide = true
    )]
    class: Vec<Pattern>,

    /// Raw BTF, ELF, a folder of these, or `-` for standard input; may be repeated [default: /sys/kernel/btf/vmlinux]
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,

    /// The BTF that split BTF continues, such as the vmlinux of a module
    #[arg(short = 'B', long, value_name = "FILE")]
    base: Option<PathBuf>,

    /// Show the members of members, and what typedefs stand for
    #[arg(short = 'E', long)]
    expand: bool,

    /// Write offsets and sizes of members in hexadecimal
    #[arg(long)]
    hex: bool,

    /// The size of a cache line in bytes
    #[arg(short, long, value_name = "BYTES", default_value_t = CACHELINE, value_parser = parse_cacheline)]
    cacheline: u32,

    /// The size of a pointer in bytes [default: what the file, or its type `long`, says; else 8]
    #[arg(long, value_name = "BYTES", value_parser = parse_pointer_size)]
    pointer_size: Option<u8>,

    /// Show a line for each: name, size in bytes, number of holes
    #[arg(short, long, conflicts_with_all = ["reorganize", "packable"])]
    sizes: bool,

    /// Sort by this [default: the order of the BTF]
    #[arg(long, value_name = "KEY")]
    sort: Option<Key>,

    /// Only structures with at least N holes
    #[arg(
        short = 'H',
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    holes: u32,

    /// Only structures with at least N bytes of padding at their end
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    padding: u32,

    /// Show a line for each structure that another order of members makes smaller: name, size, new size, difference
    #[arg(short = 'P', long)]
    packable: bool,

    /// Show structures in a better order of members, and what that saves
    ///
    /// Members that are aligned, and those without a size, stay where they are, and no member passes them.
    #[arg(short = 'R', long)]
    reorganize: bool,

    /// List the members of this type, as `structure: member`
    #[arg(short = 'i', long, value_name = "TYPE", value_parser = Pattern::parse, conflicts_with = "pointers_to", conflicts_with_all = WHOLE)]
    contains: Option<Pattern>,

    /// List the members that point to this type, as `structure: member`
    #[arg(short = 'p', long, value_name = "TYPE", value_parser = Pattern::parse, conflicts_with_all = WHOLE)]
    pointers_to: Option<Pattern>,

    /// Write JSON Lines: for each structure an object with its members; with `-E` also theirs
    #[arg(long, conflicts_with_all = ["hex", "sizes"])]
    json: bool,
}

/// What to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Key {
    /// The name
    Name,
    /// The size, the largest first
    Size,
    /// The number of holes, the largest first
    Holes,
}

impl LayoutArgs {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    fn filter(&self) -> Filter {
        Filter {
            holes: self.holes,
            padding: self.padding,
            is_packable: self.packable,
        }
    }

    /// The relation that is asked for, and to what.
    fn question(&self) -> Option<(&Pattern, Relation)> {
        let contains = self.contains.as_ref();
        let contains = contains.map(|pattern| (pattern, Relation::Contains));
        let points_to = self.pointers_to.as_ref();
        contains.or_else(|| points_to.map(|pattern| (pattern, Relation::PointsTo)))
    }

    /// The types that are named.
    fn named(&self) -> impl Iterator<Item = &Pattern> {
        self.types.iter().chain(&self.class)
    }

    /// All patterns, those to look for first.
    fn patterns(&self) -> Vec<Pattern> {
        let question = self.question().map(|(pattern, _)| pattern);
        question.into_iter().chain(self.named()).cloned().collect()
    }
}

fn parse_cacheline(text: &str) -> Result<u32, String> {
    let size: Result<u32, _> = text.parse();
    let size = size.ok().filter(|size| size.is_power_of_two());
    size.ok_or_else(|| "not a power of 2".to_owned())
}

fn parse_pointer_size(text: &str) -> Result<u8, String> {
    match text {
        "4" => Ok(4),
        "8" => Ok(8),
        _ => Err("neither 4 nor 8".to_owned()),
    }
}

/// Shows layouts.
pub(crate) fn run(args: &LayoutArgs, printer: &Printer) -> Result<ExitStatus> {
    let patterns = args.patterns();
    let mut names = patterns.iter().map(Pattern::text);
    let is_path = |name: &&str| name.contains('/') && Path::new(name).is_file();
    if let Some(file) = names.find(is_path).filter(|_| args.file.is_empty()) {
        // Not a layout of the running kernel, which nobody has asked for.
        bail!(file_hint(file));
    }
    let sources = open_onto(&args.file, args.base.as_deref())?;
    warn_of_packed(TOOL, printer, &args.file);
    let mut report = Report {
        args,
        printer,
        is_one: sources.len() == 1,
        is_missing: vec![true; patterns.len()],
        known: Vec::new(),
        is_empty: true,
    };
    let mut stdout = io::stdout().lock();
    for source in &sources {
        let text = report.source(source, &patterns);
        let text = if printer.stdout_is_terminal() && !args.json {
            args.for_terminal(&text, printer)
        } else {
            text
        };
        let written = stdout.write_all(&text).and_then(|()| stdout.flush());
        ignore_broken_pipe(written).context("cannot write to standard output")?;
    }
    let missing = report.is_missing.iter().zip(&patterns);
    let missing = missing.filter(|(is_missing, _)| **is_missing);
    let missing: Vec<_> = missing.map(|(_, pattern)| pattern.clone()).collect();
    let names: Vec<_> = report.known.iter().map(Vec::as_slice).collect();
    missing::warn(printer, WHAT, &missing, &names);
    let mut files = missing.iter().map(Pattern::text);
    if let Some(file) = files.find(|name| Path::new(name).is_file()) {
        printer.warning(TOOL, &file_hint(file));
    }
    Ok(ExitStatus::no_if(report.is_empty || !missing.is_empty()))
}

/// What to say of a name that is a file's.
fn file_hint(file: &str) -> String {
    format!("`{file}` is a file: `--file {file}` shows the types in it")
}

/// What is collected over all files.
struct Report<'a> {
    args: &'a LayoutArgs,
    printer: &'a Printer,
    is_one: bool,
    /// Which patterns nothing has matched so far.
    is_missing: Vec<bool>,
    /// The names that there are, if something is missing.
    known: Vec<Vec<u8>>,
    /// Whether nothing has been printed.
    is_empty: bool,
}

impl Report<'_> {
    /// What there is to say about one file.
    fn source(&mut self, source: &Source, patterns: &[Pattern]) -> Vec<u8> {
        let args = self.args;
        let machine = Machine {
            pointer_size: pointer::size(&source.btf, args.pointer_size.or(source.pointer_size)),
            cacheline: args.cacheline,
        };
        let layouts = Layouts::new(&source.btf, machine);
        let selected = by_name(&layouts, patterns);
        self.note_missing(&layouts, &selected.missing);
        let file = (!self.is_one).then(|| source.title());
        let mut out = Vec::new();
        if let Some((_, relation)) = args.question() {
            self.put_found(&layouts, patterns, relation, file.as_deref(), &mut out);
        } else {
            let is_all = patterns.is_empty();
            let ids = if is_all {
                own_composites(&layouts)
            } else {
                selected.ids
            };
            let ids = self.filtered(&layouts, ids);
            self.put_types(&layouts, &ids, file.as_deref(), &mut out);
        }
        if let Some(file) = file.filter(|_| !args.json && !out.is_empty()) {
            out.splice(0..0, format!("/* {file} */\n").into_bytes());
        }
        self.is_empty &= out.is_empty();
        out
    }

    fn note_missing(&mut self, layouts: &Layouts<'_>, missing: &[usize]) {
        for (index, is_missing) in self.is_missing.iter_mut().enumerate() {
            *is_missing &= missing.contains(&index);
        }
        if self.is_missing.contains(&true) {
            let names = known_names(layouts).into_iter();
            self.known.extend(names.map(<[u8]>::to_vec));
        }
    }

    /// The types that the conditions hold for, in the order that is asked for.
    fn filtered(&self, layouts: &Layouts<'_>, ids: Vec<TypeId>) -> Vec<TypeId> {
        let filter = self.args.filter();
        let mut ids = ids;
        if !filter.is_everything() {
            ids.retain(|&id| {
                let layout = layouts.get(id);
                layout.is_some_and(|layout| filter.accepts(layouts, layout))
            });
        }
        if let Some(key) = self.args.sort {
            let order = match key {
                Key::Name => Order::Name,
                Key::Size => Order::Size,
                Key::Holes => Order::Holes,
            };
            table::sort(layouts, &mut ids, order);
        }
        ids
    }

    /// Appends the members of the type, or pointers to it, that are asked for.
    fn put_found(
        &self,
        layouts: &Layouts<'_>,
        patterns: &[Pattern],
        relation: Relation,
        file: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        let (question, holders) = patterns.split_at(1.min(patterns.len()));
        let targets = table_of(layouts, &by_name(layouts, question).ids);
        let holders = if holders.is_empty() {
            own_composites(layouts)
        } else {
            by_name(layouts, holders).ids
        };
        let holders = table_of(layouts, &holders);
        let mut json = json::Writer::new(layouts, file);
        let mut lines = table::Writer::new(layouts);
        for found in search(layouts, &targets, relation) {
            if holders.get(found.holder.0 as usize) != Some(&true) {
                continue;
            }
            if self.args.json {
                out.extend_from_slice(json.found(&found).as_bytes());
            } else {
                lines.put_found(out, &found);
            }
        }
    }

    /// Appends types in the form that is asked for.
    fn put_types(
        &self,
        layouts: &Layouts<'_>,
        ids: &[TypeId],
        file: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        let args = self.args;
        let options = text::Options {
            hex: args.hex,
            expand: args.expand,
        };
        let mut text = text::Writer::new(layouts, options);
        let mut json = json::Writer::new(layouts, file);
        if args.expand {
            json = json.expanding();
        }
        let mut lines = table::Writer::new(layouts);
        for &id in ids {
            let layout = layouts.get(id);
            if args.is_in_text(layout) {
                match layout.filter(|_| args.reorganize) {
                    Some(layout) => put_reorganized(&mut text, out, layouts, layout),
                    None => text.put(out, id),
                }
                // As pahole does: types that are named one by one are set apart.
                if args.named().next().is_some() {
                    out.push(b'\n');
                }
            } else if let Some(layout) = layout {
                let is_reordered = args.reorganize || args.packable;
                let new = is_reordered
                    .then(|| reorganize(layouts, layout).ok())
                    .flatten();
                match &new {
                    _ if args.json => {
                        out.extend_from_slice(json.layout(layout, new.as_ref()).as_bytes());
                    }
                    Some(new) => lines.put_packable(out, new),
                    None => lines.put_size(out, layout),
                }
            }
        }
        if text.is_cut() {
            let hint = "nested structures are left out: the text would be out of all proportion";
            self.printer.warning(TOOL, hint);
        }
    }
}

impl LayoutArgs {
    /// Whether a type is shown as C. The other forms have lines for structures and unions only.
    fn is_in_text(&self, layout: Option<&Layout>) -> bool {
        let has_lines = self.sizes || self.json || (self.packable && !self.reorganize);
        !has_lines && (layout.is_some() || !self.reorganize)
    }

    /// The text as a person sees it.
    fn for_terminal(&self, text: &[u8], printer: &Printer) -> Vec<u8> {
        if self.sizes {
            terminal::table(text, &["NAME", "SIZE", "HOLES"], printer)
        } else if self.packable && !self.reorganize {
            terminal::table(text, &["NAME", "SIZE", "NEW", "SAVED"], printer)
        } else {
            terminal::text(text, printer)
        }
    }
}

/// Appends a structure in a better order, and what that saves.
fn put_reorganized(
    text: &mut text::Writer<'_, '_>,
    out: &mut Vec<u8>,
    layouts: &Layouts<'_>,
    layout: &Layout,
) {
    match reorganize(layouts, layout) {
        Ok(new) => {
            text.put_layout(out, &new.layout, &new.members);
            out.push(b';');
            out.extend_from_slice(new.note(layouts.machine().cacheline).as_bytes());
        }
        Err(reason) => {
            text.put_layout(out, layout, layouts.members(layout));
            out.extend_from_slice(format!(";   /* not reorganized: {reason} */").as_bytes());
        }
    }
    out.push(b'\n');
}

/// A table of types by id.
fn table_of(layouts: &Layouts<'_>, ids: &[TypeId]) -> Vec<bool> {
    let mut table = vec![false; layouts.btf().end_id() as usize];
    for id in ids {
        if let Some(slot) = table.get_mut(id.0 as usize) {
            *slot = true;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_line_is_a_power_of_two() {
        assert_eq!(parse_cacheline("128"), Ok(128));
        for bad in ["0", "48", "-1", "", "x", "4294967296"] {
            assert!(parse_cacheline(bad).is_err(), "{bad}");
        }
    }
}

//! `btf-dump diff`: what has changed between two blobs, or between all blobs of two folders.

mod files;
mod shared;

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use btf_core::cli::pattern::Pattern;
use btf_core::cli::sources::{Source, warn_of_packed};
use btf_core::cli::{ExitStatus, Printer, Stream, Style, escape_text, ignore_broken_pipe, output};
use btf_dump::diff::breaking::is_breaking;
use btf_dump::diff::html::Page;
use btf_dump::diff::{Change, Counts, Diff, Sort, What, is_consequence, json, text};
use clap::ValueEnum;
use rayon::prelude::*;

use super::{OutputArgs, TOOL, missing};
use files::{Opened, Pair, Sides};
use shared::Shared;

const EXAMPLES: &str = "\
Examples:
  btf-dump diff vmlinux-6.1 vmlinux-6.12
  btf-dump diff old new task_struct           one structure
  btf-dump diff old new --kind kfunc
  btf-dump diff old new --summary             how much of what
  btf-dump diff old new --breaking            what programs notice that were made for the old one
  btf-dump diff old new --html -o diff.html   a page to search
  btf-dump diff old/ new/                     kernels with their modules

What does not count: the order of members at one place and of enumerators, what is behind
pointers, the place of variables in their sections, tags (but see --tags), and the sign of values
of up to four bytes if one side tells no signs at all.
";

/// The arguments of `diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct DiffArgs {
    /// The old BTF: raw, ELF, a folder of these, or `-` for standard input
    #[arg(value_name = "OLD")]
    old: PathBuf,

    /// The new BTF
    #[arg(value_name = "NEW")]
    new: PathBuf,

    /// Only what is called so; `*`, `?`, `[…]`, `{…}` or `/regular expression/`
    #[arg(value_name = "NAME", value_parser = Pattern::parse)]
    names: Vec<Pattern>,

    /// The BTF that OLD continues, if it is split
    #[arg(long, value_name = "FILE")]
    old_base: Option<PathBuf>,

    /// The BTF that NEW continues, if it is split
    #[arg(long, value_name = "FILE")]
    new_base: Option<PathBuf>,

    /// Only these kinds; may be repeated
    #[arg(short, long, value_name = "KIND")]
    kind: Vec<Kind>,

    /// Leave out what has changed only because something that it holds has
    ///
    /// That is what says the same as before, and structures in which members have become larger or smaller by their types, and others
    /// have moved by that.
    #[arg(long)]
    direct: bool,

    /// Only what programs notice that were made for OLD: BPF programs (CO-RE) and modules from outside of the tree
    ///
    /// Types, members and enumerators that are gone, members that lie elsewhere or have another type or width, changed sizes and values,
    /// prototypes of kfuncs and of exported functions, and what is exported no longer. What is exported the files must tell by their
    /// symbols; otherwise every function counts.
    #[arg(long)]
    breaking: bool,

    /// Let the tags of declarations and types count, such as `__user`
    #[arg(long)]
    tags: bool,

    /// Show only how much of which kind has changed
    #[arg(long)]
    summary: bool,

    /// Write JSON Lines: an object for each difference, then how much of which kind has changed
    ///
    /// What several files have in common has an object for each of them, and counts once.
    #[arg(long)]
    json: bool,

    /// Write a page for a browser: a list to search, and the layouts of both sides beside each other
    #[arg(long, conflicts_with_all = ["json", "summary"])]
    html: bool,

    #[command(flatten)]
    to: OutputArgs,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Structures
    Struct,
    /// Unions
    Union,
    /// Enumerations
    Enum,
    /// Typedefs
    Typedef,
    /// Integers and floating-point numbers
    Number,
    /// Functions that BPF programs may call
    Kfunc,
    /// Functions, kfuncs not included
    Func,
    /// Variables
    Var,
    /// Structures and unions that are only declared
    Forward,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Struct => "struct",
            Self::Union => "union",
            Self::Enum => "enum",
            Self::Typedef => "typedef",
            Self::Number => "number",
            Self::Kfunc => "kfunc",
            Self::Func => "func",
            Self::Var => "var",
            Self::Forward => "forward",
        }
    }
}

impl DiffArgs {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a change is shown.
    fn wants(&self, diff: &Diff<'_>, change: &Change) -> bool {
        let of_kind = || self.kind.iter().any(|kind| kind.word() == change.word());
        let has_name = || {
            let name = diff.name(change);
            self.names.iter().any(|pattern| pattern.matches(name))
        };
        let is_indirect =
            || matches!(change.what, What::Through(..)) || is_consequence(diff, change);
        !(self.direct && is_indirect())
            && (self.kind.is_empty() || of_kind())
            && (self.names.is_empty() || has_name())
    }
}

/// Tells the differences.
pub(crate) fn run(args: &DiffArgs, printer: &Printer) -> Result<ExitStatus> {
    let Opened {
        old,
        new,
        unreadable,
    } = files::open(args)?;
    for (_, error) in &unreadable {
        printer.error(TOOL, error);
    }
    let inputs = old.iter().chain(&new).flat_map(Source::files);
    output::check_target(&args.to.output, inputs)?;
    warn_of_packed(TOOL, printer, [&args.old, &args.new]);
    // Hundreds of thousands of pieces, which the end of the process gives back at once.
    let sides = ManuallyDrop::new(Sides::new(args, &old, &new)?);
    let pairs = sides.pairs();
    let diffs = ManuallyDrop::new(sides.diffs(&pairs));
    let mut report = Report {
        args,
        printer,
        is_one: pairs.len() == 1,
        out: Vec::new(),
        shared: Shared::default(),
        page: Page::new(),
        total: Vec::new(),
        is_empty: true,
        warned: Vec::new(),
    };
    for (number, (pair, diff)) in pairs.iter().zip(&*diffs).enumerate() {
        match diff {
            Some(diff) => report.put_pair((number, pair), diff),
            None if sides.may_belong(pair, &unreadable) => {}
            None => report.put_lonely(pair),
        }
    }
    report.finish(&pairs);
    if unreadable.is_empty() && diffs.iter().all(Option::is_none) {
        printer.warning(
            TOOL,
            "no file of one folder has the name of one of the other: nothing was compared",
        );
    }
    let parts = report.out.iter().map(Vec::as_slice);
    let written = if printer.prints_answers() || args.to.output != Path::new("-") {
        ignore_broken_pipe(output::write_parts(&args.to.output, parts))
    } else {
        Ok(())
    };
    written.with_context(|| args.to.output.display().to_string())?;
    let is_missing = warn_of_missing(&args.names, &old, &new, printer);
    if !unreadable.is_empty() {
        return Ok(ExitStatus::Failed);
    }
    Ok(ExitStatus::no_if(!report.is_empty || is_missing))
}

/// Warns of the patterns that match no name of either side; whether there is one.
fn warn_of_missing(
    patterns: &[Pattern],
    old: &[Source],
    new: &[Source],
    printer: &Printer,
) -> bool {
    if patterns.is_empty() {
        return false;
    }
    let names = [missing::type_names(old), missing::type_names(new)].concat();
    let is_missing = |pattern: &&Pattern| !names.iter().any(|name| pattern.matches(name));
    let missing: Vec<_> = patterns.iter().filter(is_missing).cloned().collect();
    missing::warn(printer, "type, function or variable", &missing, &names);
    !missing.is_empty()
}

/// What is written about all files.
struct Report<'a> {
    args: &'a DiffArgs,
    printer: &'a Printer,
    is_one: bool,
    /// What is written, in parts that follow each other.
    out: Vec<Vec<u8>>,
    /// What has changed in several files, for people.
    shared: Shared<'a>,
    page: Page,
    total: Vec<(&'static str, Counts)>,
    is_empty: bool,
    /// The warnings that have been given, each of which is given once.
    warned: Vec<&'static str>,
}

impl<'a> Report<'a> {
    /// Writes what has changed in a file.
    fn put_pair(&mut self, (number, pair): (usize, &Pair), diff: &'a Diff<'_>) {
        let args = self.args;
        let is_function = |change: &Change| change.sort == Sort::Func && args.wants(diff, change);
        if args.breaking && diff.changes().any(is_function) {
            self.warn_of_exports(diff);
        }
        let is_breaking = |change: &Change| is_breaking(diff, change);
        let wanted = diff
            .changes()
            .filter(|change| args.wants(diff, change) && (!args.breaking || is_breaking(change)));
        let changes: Vec<&'a Change> = wanted.collect();
        if changes.is_empty() {
            return;
        }
        self.warn_of_cut(&changes);
        self.is_empty = false;
        if args.html {
            return self.page.add(&pair.name, diff, &changes);
        }
        if args.json {
            self.put_json(pair);
            if !args.summary {
                self.out.extend(json::write(diff, &changes));
            }
        }
        if self.is_one {
            self.total = Counts::of(changes.iter().copied());
        } else {
            let texts = text::write_each(diff, &changes, self.text_options());
            for (change, text) in changes.iter().zip(texts) {
                self.shared.add(number, change, text);
            }
        }
        if self.is_one && !args.summary && !args.json {
            self.out
                .extend(text::write(diff, &changes, self.text_options()));
        }
    }

    /// Warns if it is not known what is exported.
    fn warn_of_exports(&mut self, diff: &Diff<'_>) {
        let text = match (diff.old.knows_exports(), diff.new.knows_exports()) {
            (true, true) => return,
            (false, _) => {
                "the symbols of the old file do not tell what is exported; every function counts"
            }
            (true, false) => {
                "the symbols of the new file do not tell what is exported; what is no longer is not found"
            }
        };
        self.warn_once(text);
    }

    /// Warns if not all members are told one by one.
    fn warn_of_cut(&mut self, changes: &[&Change]) {
        let is_cut = |change: &&Change| match &change.what {
            What::Changed(_, _, detail) => detail.is_cut,
            What::Added(_) | What::Removed(_) | What::Through(..) => false,
        };
        if changes.par_iter().any(is_cut) {
            self.warn_once(
                "structures hold too many unnamed ones to tell what has changed in each",
            );
        }
    }

    fn warn_once(&mut self, text: &'static str) {
        if !self.warned.contains(&text) {
            self.warned.push(text);
            self.printer.warning(TOOL, text);
        }
    }

    fn text_options(&self) -> text::Options {
        text::Options {
            colors: self.printer.has_colors(Stream::Out),
            lists_all: self.printer.verbosity() > 0,
        }
    }

    /// Writes that only one folder has a file.
    fn put_lonely(&mut self, pair: &Pair) {
        if !self.args.names.is_empty() || !self.args.kind.is_empty() {
            // Who asks for some types does not ask for files.
            return;
        }
        if self.args.breaking && pair.old.is_none() {
            return;
        }
        self.is_empty = false;
        if self.args.html {
            return self.page.add_lonely(&pair.name, pair.new.is_some());
        }
        if self.args.json {
            return self.put_json(pair);
        }
        let (sign, style) = if pair.new.is_some() {
            ("+", Style::Added)
        } else {
            ("-", Style::Removed)
        };
        let line = format!("{sign} file {}", escape_text(&pair.name));
        self.put_line(style, &line);
    }

    fn put_json(&mut self, pair: &Pair) {
        let (old, new) = (pair.old_title.as_deref(), pair.new_title.as_deref());
        self.out.push(json::file(&pair.name, old, new).into());
    }

    fn put_line(&mut self, style: Style, line: &str) {
        let line = self.printer.paint(Stream::Out, style, line);
        self.out.push(format!("{line}\n").into());
    }

    /// Writes what the files have in common, and how much has changed, if that is asked for.
    fn finish(&mut self, pairs: &[Pair]) {
        let shared = std::mem::take(&mut self.shared);
        if !self.is_one {
            // What files have in common counts once, as it is told once.
            self.total = Counts::of(shared.changes());
        }
        if !self.args.summary && !self.args.json {
            for group in shared.groups() {
                let title = group.title(|file| escape_text(&pairs[file].name).into_owned());
                self.put_line(Style::Heading, &format!("@@ {title} @@"));
                self.out.extend(group.texts);
            }
        }
        if self.args.html {
            let page = std::mem::take(&mut self.page);
            let titles = [&self.args.old, &self.args.new].map(|path| path.display().to_string());
            let page = page.finish(&escape_text(&titles[0]), &escape_text(&titles[1]));
            self.out.push(page.into());
        } else if self.args.json {
            self.out.push(json::summary(&self.total).into());
        } else if self.args.summary && !self.is_empty {
            self.out.push(text::summary(&self.total).into());
        }
    }
}

//! What happens without a command: the listing.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::RangeInclusive;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use btf_core::TypeId;
use btf_core::cli::pattern::{self, Pattern};
use btf_core::cli::sources::Source;
use btf_core::cli::{ExitStatus, Printer, Stream, escape_text, nearest};
use btf_core::kind::Kind;
use btf_dump::listing::{Options, Parts, Place, Request, write_json, write_text};
use btf_dump::select::{Root, Selection};
use clap::ValueEnum;

use super::{SourceArgs, TOOL, missing};

const PATTERN_HELP: &str = "\
Only types of this name; may be repeated

`*`, `?`, `[a-z]` and `{a,b}` have their usual meaning, and the whole name must match; `/…/` is a regular expression, which may \
match anywhere.";

/// The arguments of the listing.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    sources: SourceArgs,

    /// Write JSON: for each blob an object on a line
    ///
    /// `{"types":[…]}`, as `bpftool -j` writes it; with a key for each other part of `--show`, and before them `file`, and
    /// `blob`, `blobs` and `offset`, if there are several.
    #[arg(long)]
    json: bool,

    /// Show every bit, and what each id stands for
    ///
    /// Without it the lines are those of bpftool, which leaves out the `kind_flag` of tags and what should be 0.
    #[arg(short, long)]
    long: bool,

    /// What to show of each file [default: types]
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    show: Vec<Part>,

    /// Only types of these ids, such as `7,100-199`
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = parse_range)]
    id: Vec<RangeInclusive<u32>>,

    #[arg(short, long, value_name = "PATTERN", value_parser = Pattern::parse, help = "Only types of this name", long_help = PATTERN_HELP)]
    name: Vec<Pattern>,

    /// Only types of these kinds, such as `struct,union`
    #[arg(short, long, value_name = "KIND", value_delimiter = ',', value_parser = parse_kind)]
    kind: Vec<Kind>,

    /// Only this type, by id or name, and all that it needs; may be repeated
    ///
    /// Tags on the types come with them; of split BTF the base's types, too. Names as for `--name`.
    #[arg(short, long, value_name = "ID|PATTERN", value_parser = parse_root)]
    root: Vec<Root>,
}

/// What can be shown of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The header
    Header,
    /// The types
    Types,
    /// The strings with their offsets
    Strings,
    /// The layout section: how long the records of each kind are
    Layout,
    /// The records of `.BTF.ext`
    Ext,
    /// All of these
    All,
}

impl ListArgs {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    fn parts(&self) -> Parts {
        let has = |part| self.show.contains(&part) || self.show.contains(&Part::All);
        Parts {
            header: has(Part::Header),
            types: has(Part::Types) || self.show.is_empty(),
            strings: has(Part::Strings),
            layout: has(Part::Layout),
            ext: has(Part::Ext),
        }
    }

    fn selection(&self) -> Selection {
        Selection {
            ids: self.id.clone(),
            names: self.name.clone(),
            kinds: self.kind.clone(),
            roots: self.root.clone(),
        }
    }
}

/// Lists what is asked for.
pub(crate) fn run(args: &ListArgs, printer: &Printer) -> Result<ExitStatus> {
    let sources = args.sources.open(printer)?;
    let selection = args.selection();
    let mut out = stdout().context("cannot write to standard output")?;
    let mut is_empty = !selection.is_everything();
    for (index, source) in sources.iter().enumerate() {
        let ids = (!selection.is_everything()).then(|| selection.of(&source.btf));
        is_empty &= ids.as_ref().is_none_or(Vec::is_empty);
        let is_one_of_many = sources.len() > 1;
        if is_one_of_many && !args.json {
            let space = if index > 0 { "\n" } else { "" };
            let title = source.title();
            let title = escape_text(&title);
            writeln!(out, "{space}{title}:").context("cannot write to standard output")?;
        }
        let place = is_one_of_many.then_some(Place {
            path: &source.path,
            part: source.part,
        });
        list(args, printer, source, ids.as_deref(), place, &mut out)?;
    }
    out.flush().context("cannot write to standard output")?;
    if is_empty {
        warn_of_nothing(args, &sources, printer);
    }
    Ok(ExitStatus::no_if(is_empty))
}

/// Standard output without the buffer of the standard library, which looks for the ends of lines in all that passes.
fn stdout() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// Lists one blob.
fn list(
    args: &ListArgs,
    printer: &Printer,
    source: &Source,
    ids: Option<&[TypeId]>,
    place: Option<Place<'_>>,
    out: &mut dyn io::Write,
) -> Result<()> {
    let parts = args.parts();
    let ext = if parts.ext { source.ext()? } else { None };
    let request = Request {
        btf: &source.btf,
        ids,
        ext: ext.as_ref(),
        parts,
        options: Options {
            is_long: args.long,
            has_colors: printer.has_colors(Stream::Out),
            is_escaped: printer.stdout_is_terminal(),
        },
    };
    let written = if args.json {
        write_json(&request, place.as_ref(), out)
    } else {
        write_text(&request, out)
    };
    written.context("cannot write to standard output")
}

/// Says that nothing was found, with a name that may have been meant.
fn warn_of_nothing(args: &ListArgs, sources: &[Source], printer: &Printer) {
    let roots = args.root.iter().filter_map(|root| match root {
        Root::Name(pattern) => Some(pattern),
        Root::Id(_) => None,
    });
    let patterns: Vec<_> = args.name.iter().chain(roots).cloned().collect();
    if patterns.is_empty() || !args.id.is_empty() || !args.kind.is_empty() {
        printer.warning(TOOL, "no type is like that");
    } else {
        missing::warn(printer, "type", &patterns, &missing::type_names(sources));
    }
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    let word = text.to_uppercase().replace('-', "_");
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == word);
    kind.ok_or_else(|| match nearest(&word, Kind::ALL.map(Kind::name)) {
        Some(name) => format!("no such kind; did you mean `{}`?", name.to_lowercase()),
        None => "no such kind".to_owned(),
    })
}

fn parse_range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let number = |text: &str| text.parse::<u32>();
    let range = match text.split_once('-') {
        Some((first, "")) => number(first).map(|first| first..=u32::MAX),
        Some((first, last)) => number(first).and_then(|first| Ok(first..=number(last)?)),
        None => number(text).map(|id| id..=id),
    };
    let range = range.map_err(|error| error.to_string())?;
    if range.is_empty() {
        return Err("the first id is above the last one".to_owned());
    }
    Ok(range)
}

fn parse_root(text: &str) -> Result<Root, pattern::Error> {
    match text.parse() {
        Ok(id) => Ok(Root::Id(TypeId(id))),
        Err(_) => Pattern::parse(text).map(Root::Name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_kinds_and_roots_are_read() {
        assert_eq!(parse_range("7"), Ok(7..=7));
        assert_eq!(parse_range("7-9"), Ok(7..=9));
        assert_eq!(parse_range("7-"), Ok(7..=u32::MAX));
        for bad in ["", "-", "-7", "9-7", "a", "1-b", "4294967296"] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_kind("func-proto"), Ok(Kind::FuncProto));
        assert_eq!(parse_kind("Struct"), Ok(Kind::Struct));
        assert!(parse_kind("stuct").unwrap_err().contains("`struct`"));
        assert!(matches!(parse_root("12"), Ok(Root::Id(TypeId(12)))));
        assert!(matches!(parse_root("12a"), Ok(Root::Name(_))));
    }
}

//! The command line: what may be typed, and what it means.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use btf_core::ByteOrder;
use btf_core::cli::{CommonArgs, ManSection, ThreadArgs, color_of_usage};
use clap::builder::NonEmptyStringValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgGroup, CommandFactory, FromArgMatches, Parser, ValueEnum};
use dwarf2btf::features::{self, Feature, FeatureSet};
use dwarf2btf::languages::LanguageFilter;
use dwarf2btf::options::Options;

/// The name of the program.
pub(crate) const TOOL: &str = "dwarf2btf";

const EXAMPLES: &str = "\
Examples:
  dwarf2btf vmlinux                         write vmlinux.btf
  dwarf2btf vmlinux -o - | bpftool btf dump file /dev/stdin
  dwarf2btf vmlinux --features +global_var,layout -o out.btf
  dwarf2btf vmlinux --explain vfs_read      tell why a function is in or not, write nothing
  dwarf2btf module.ko --base vmlinux -o module.btf
  dwarf2btf modules --base vmlinux --in-place /lib/modules/6.1.0
  dwarf2btf module.ko --report json -o module.btf > report.jsonl
";

const MODULES_EXAMPLES: &str = "\
Examples:
  dwarf2btf modules --base vmlinux --in-place /usr/lib/debug/lib/modules/6.1.0
  dwarf2btf modules --base vmlinux --out-dir btf -j8 --report json drivers/ extra.ko
";

const MAN_SECTIONS: &[ManSection] = &[
    ManSection {
        title: "OUTPUT",
        text: "\
The output is the same, byte for byte, for every number of threads and every run: types are numbered by where they first \
occur in the order of the compile units.

It is written beside its target and takes its name when it is complete: a run that fails leaves the target as it was. \
An output that is the input or the base, by whatever name, is refused.

With `--explain` or `--report` nothing but the report is written, unless `-o` names an output.",
    },
    ManSection {
        title: "JSON LINES",
        text: "\
`--report json` prints one object a line. Its `type` says what it is; keys without a value are missing. Offsets and sizes are \
numbers in bytes, addresses texts such as `0xffffffff81000000`. A name that is no UTF-8 is base64 under its key with `_base64` \
behind. The words under `reason` and `kind` stay the same in later versions; `text` is for people.

  function  one that is left out, or named by --explain: name, verdict (kept, dropped), rule, reasons[] of
            reason and text, detail, states[] of unit, unit_name, die_offset, address, section, prototype,
            parameters[] of name and location; symbols[] of name, address, section; without a symbol
            sightings: units_with_code, units_without_code, units_declaring, unit, unit_name, die_offset
  variable  one that is left out: name, unit, unit_name, die_offset, reason, text
  finding   what BTF cannot say: unit, unit_name, die_offset, kind, text
  summary   output, units, units_excluded, dies, types, functions, variables, size_bytes,
            left_out[] of what, reason, text, count; phases[] of name, seconds; peak_memory_bytes",
    },
    ManSection {
        title: "TERMS",
        text: "\
A function has a symbol if the symbol table names it, which its FUNC in BTF needs. Units that describe one name with different \
prototypes make it inconsistent; a name with several addresses is ambiguous. Compilers rename what they optimize: the symbol \
`f.isra.0` belongs to the function `f`.",
    },
    ManSection {
        title: "MODULES",
        text: "\
  dwarf2btf modules --base BASE --in-place | --out-dir DIR [OPTIONS] PATH...

Encodes many modules in one process, each as `dwarf2btf --base BASE` would. PATH is a module, or a folder in which all files \
called `*.ko` and `*.ko.debug` are modules; packed ones (`*.ko.xz` and the like) are not read. The BTF goes into the section \
`.BTF` of each module, or into the folder DIR as `NAME.ko.btf`, below the same folders in which the module was found.

The base is read once, and each thread takes one module at a time. A module without DWARF is skipped; one that cannot be read \
or written does not stop the others. Every file is replaced as a whole, so that an interrupted run leaves none damaged.",
    },
    ManSection {
        title: "EXIT STATUS",
        text: "
  0    done; also if the reader of a report has gone away
  1    ran, and the answer is no: findings with --strict, a function for --explain that is nowhere
  2    could not run: usage, bad input, output that could not be written, to a closed pipe either;
       modules: for one of them, or none has DWARF

A signal ends it as it ends any program.",
    },
    ManSection::ENVIRONMENT,
    ManSection {
        title: "EXAMPLES",
        text: "
  dwarf2btf vmlinux
  dwarf2btf vmlinux -o - | bpftool btf dump file /dev/stdin
  dwarf2btf vmlinux --features +global_var,layout -o out.btf
  dwarf2btf vmlinux --explain vfs_read
  dwarf2btf module.ko --base vmlinux -o module.btf
  dwarf2btf modules --base vmlinux --in-place /lib/modules/6.1.0
  dwarf2btf module.ko --report json -o module.btf > report.jsonl",
    },
];

/// Turn the DWARF of an ELF file into BTF
///
/// Reads the debugging information of a kernel, a module or any other ELF file and writes the BTF that describes its types,
/// functions and variables, as a file of its own.
#[derive(Debug, Parser)]
#[command(
    name = TOOL,
    version,
    after_help = EXAMPLES,
    max_term_width = 100,
    override_usage = "dwarf2btf [OPTIONS] <FILE>\n       dwarf2btf modules [OPTIONS] --base <FILE> <PATH>...",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    mut_arg("verbose", |arg| arg.help("Print findings; twice, also what is left out"))
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// ELF file with DWARF
    #[arg(required_unless_present_any = ["generate", "man_dir"])]
    file: Option<PathBuf>,

    /// Where to write the BTF; `-` is standard output [default: FILE.btf]
    ///
    /// An existing file keeps its permissions, and a link stays a link. Without this option `--explain` and `--report` write
    /// nothing but the report.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// What the BTF continues: an ELF file with BTF, such as the kernel of a module, or that BTF itself
    ///
    /// What the base has is not written again. The output, split BTF, means something together with this base only.
    #[arg(short = 'B', long, value_name = "FILE")]
    base: Option<PathBuf>,

    /// Tell where a function was seen and why it is in the output or not
    ///
    /// Lists every unit that has it, with address, prototype and where its parameters are, and the ELF symbols. A symbol with
    /// a suffix, such as `f.isra.0`, stands for its function. May be repeated.
    #[arg(long, value_name = "FUNC")]
    pub(crate) explain: Vec<String>,

    /// Byte order of the output
    #[arg(long, value_name = "ORDER", default_value = "input")]
    byte_order: Order,

    /// Fail with status 1, writing nothing, if there is something that BTF cannot say
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    encoding: EncodingArgs,

    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Modules(ModulesArgs),
}

/// Turn the DWARF of many modules into split BTF, in one process
///
/// The base is read once. One module that cannot be read does not stop the others; the status is then 2.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("where").required(true), after_help = MODULES_EXAMPLES)]
struct ModulesArgs {
    /// Modules, or folders to search for `*.ko` and `*.ko.debug`
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// The kernel that the modules belong to: an ELF file with BTF, or that BTF itself
    #[arg(short = 'B', long, value_name = "FILE")]
    base: PathBuf,

    /// Write the BTF into the modules, as their section `.BTF`
    #[arg(long, group = "where")]
    in_place: bool,

    /// Write the BTF of each module as `NAME.ko.btf` into this folder, and into its like of the folders that are searched
    #[arg(long, value_name = "DIR", group = "where")]
    out_dir: Option<PathBuf>,

    #[command(flatten)]
    encoding: EncodingArgs,
}

/// What all ways to encode have in common.
#[derive(Debug, clap::Args)]
struct EncodingArgs {
    #[command(flatten)]
    threads: ThreadArgs,

    /// What to write, by pahole's names [default: `default`]
    #[arg(long, value_name = "LIST", value_parser = FeatureSet::parse, long_help = features::help())]
    features: Vec<FeatureSet>,

    /// Read only units of these languages
    ///
    /// Names separated by commas: `c11`, `c23`, `c++17`, `rust`, `asm`, … A name means that edition only, and `c` what the
    /// compiler calls C without a year; `c*` means every edition of C, `c++*` every edition of C++.
    #[arg(long, value_name = "LIST", value_parser = NonEmptyStringValueParser::new())]
    language: Vec<String>,

    /// Leave out units of these languages
    ///
    /// Names as for `--language`.
    #[arg(long, value_name = "LIST", value_parser = NonEmptyStringValueParser::new())]
    exclude_language: Vec<String>,

    /// Cut every name that begins with PREFIX down to PREFIX
    ///
    /// Distributions rename what they add to a stable kernel; so it does not change its BTF.
    #[arg(long, value_name = "PREFIX")]
    kabi_prefix: Option<String>,

    /// Report all that was left out, on standard output
    ///
    /// JSON Lines: functions, variables, findings and a summary, or what came of each module, one object a line; the manual
    /// (`--generate man`) tells their keys. Without `-o` nothing else is written.
    #[arg(long, value_name = "FORMAT")]
    report: Option<Report>,

    /// Read the output again and check it before it is written
    #[arg(long)]
    verify: bool,

    /// Print how long each phase took
    #[arg(long)]
    time: bool,
}

impl EncodingArgs {
    fn options(&self) -> Result<Options> {
        Ok(Options {
            features: FeatureSet::union(&self.features),
            languages: LanguageFilter::new(&self.language, &self.exclude_language)?,
            kabi_prefix: self.kabi_prefix.clone().unwrap_or_default().into_bytes(),
            verify: self.verify || cfg!(debug_assertions),
            ..Options::default()
        })
    }

    fn is_json(&self) -> bool {
        self.report == Some(Report::Json)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Report {
    /// JSON Lines
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Order {
    /// That of the input
    Input,
    /// Least significant byte first
    Little,
    /// Most significant byte first
    Big,
}

/// What to do, decided.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    pub(crate) base: Option<PathBuf>,
    /// None if nothing is to be written.
    pub(crate) output: Option<PathBuf>,
    pub(crate) options: Options,
    pub(crate) threads: NonZeroUsize,
    pub(crate) is_strict: bool,
}

/// What to do with many modules, decided.
#[derive(Debug)]
pub(crate) struct ModulesJob {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) base: PathBuf,
    /// None if the BTF goes into the modules.
    pub(crate) out_dir: Option<PathBuf>,
    pub(crate) options: Options,
    pub(crate) threads: NonZeroUsize,
    pub(crate) is_json: bool,
    pub(crate) has_time: bool,
}

impl Args {
    /// What this process was called with; ends it if that is wrong.
    pub(crate) fn of_process() -> Self {
        let command = Self::command().color(color_of_usage(std::env::args_os()));
        let matches = command
            .try_get_matches()
            .unwrap_or_else(|error| explained(error).exit());
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Prints what `--generate` asks for; whether it was there.
    pub(crate) fn generate(&self) -> Result<bool> {
        Ok(self.common.print_generated(Self::command(), MAN_SECTIONS)?)
    }

    /// The options of what is to be done.
    fn encoding(&self) -> &EncodingArgs {
        match &self.command {
            Some(Command::Modules(args)) => &args.encoding,
            None => &self.encoding,
        }
    }

    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.encoding().is_json()
    }

    /// Whether the time of each phase is printed.
    pub(crate) fn has_time(&self) -> bool {
        self.encoding().time
    }

    /// What to do with many modules, if that was asked for.
    pub(crate) fn modules_job(&self) -> Result<Option<ModulesJob>> {
        let Some(Command::Modules(args)) = &self.command else {
            return Ok(None);
        };
        Ok(Some(ModulesJob {
            paths: args.paths.clone(),
            base: args.base.clone(),
            out_dir: args.out_dir.clone(),
            options: args.encoding.options()?,
            threads: args.encoding.threads.count(),
            is_json: args.encoding.is_json(),
            has_time: args.encoding.time,
        }))
    }

    /// Whether the BTF itself goes to standard output.
    pub(crate) fn writes_to_stdout(&self) -> bool {
        self.output.as_deref() == Some(Path::new("-"))
    }

    /// Decides what was meant.
    pub(crate) fn job(&self) -> Result<Job> {
        let input = self.file.clone().context("no input file")?;
        if input == Path::new("-") {
            bail!("standard input cannot be read, since the input is mapped; name a file");
        }
        if self.is_json() && self.writes_to_stdout() {
            bail!("`--report` and `-o -` both need standard output; name a file for one of them");
        }
        let encoding = self.encoding.options()?;
        if self.base.is_none() && encoding.features.names(Feature::DistilledBase) {
            bail!("the feature `distilled_base` needs a base: name it with `--base`");
        }
        let distils = self.base.is_some() && encoding.features.has(Feature::DistilledBase);
        if distils && self.writes_to_stdout() {
            bail!("`distilled_base` writes two files: name one of them with `-o`");
        }
        let output = match &self.output {
            Some(output) => Some(output.clone()),
            None if !self.explain.is_empty() || self.is_json() => None,
            None => {
                let mut name = input.clone().into_os_string();
                name.push(".btf");
                Some(name.into())
            }
        };
        let options = Options {
            order: match self.byte_order {
                Order::Input => None,
                Order::Little => Some(ByteOrder::Little),
                Order::Big => Some(ByteOrder::Big),
            },
            explain: self.explain.clone(),
            report: self.encoding.report.is_some() || self.common.verbose > 1,
            ..encoding
        };
        Ok(Job {
            input,
            output,
            options,
            base: self.base.clone(),
            threads: self.encoding.threads.count(),
            is_strict: self.strict,
        })
    }
}

/// Says what is wrong with a second input, which the parser takes for the name of a command.
fn explained(error: clap::Error) -> clap::Error {
    match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(second))
            if error.kind() == ErrorKind::ArgumentConflict && second != "modules" =>
        {
            let text = format!(
                "there is one input, and `{second}` is a second one; `dwarf2btf modules` takes many"
            );
            Args::command().error(ErrorKind::TooManyValues, text)
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use btf_core::cli::{Generate, generate};

    use super::*;
    use dwarf2btf::features::FEATURES;

    fn parse(line: &str) -> Args {
        let words = std::iter::once("dwarf2btf").chain(line.split_whitespace());
        Args::try_parse_from(words).unwrap()
    }

    #[track_caller]
    fn check_error(line: &str, expect: &str) {
        let words = std::iter::once("dwarf2btf").chain(line.split_whitespace());
        let error = match Args::try_parse_from(words) {
            Err(error) => {
                assert_eq!(error.exit_code(), 2);
                error.to_string()
            }
            Ok(args) => args.job().unwrap_err().to_string(),
        };
        assert!(error.contains(expect), "{error}");
    }

    #[test]
    fn the_definition_is_sound_and_names_every_feature() {
        Args::command().debug_assert();
        let help = Args::command().render_long_help().to_string();
        for row in FEATURES {
            assert!(help.contains(row.name), "{}", row.name);
        }
    }

    #[test]
    fn the_output_has_a_name_of_its_own() {
        let output = |line: &str| parse(line).job().unwrap().output;
        assert_eq!(output("dir/vmlinux"), Some("dir/vmlinux.btf".into()));
        assert_eq!(output("vmlinux -o x"), Some("x".into()));
        assert_eq!(output("vmlinux -o -"), Some("-".into()));
        assert_eq!(output("vmlinux --explain f"), None);
        assert_eq!(output("vmlinux --explain f -o x"), Some("x".into()));
        assert_eq!(output("vmlinux --report json"), None);
        assert_eq!(output("vmlinux --report json -o x"), Some("x".into()));
    }

    #[test]
    fn many_modules_are_a_command() {
        assert!(parse("./modules").modules_job().unwrap().is_none());
        let line = "modules --base vmlinux --out-dir out -j2 --features var a b.ko -q";
        let args = parse(line);
        assert!(args.common.quiet);
        let job = args.modules_job().unwrap().unwrap();
        assert_eq!(job.paths, ["a", "b.ko"].map(PathBuf::from));
        assert_eq!((job.base, job.threads.get()), ("vmlinux".into(), 2));
        assert_eq!(job.out_dir, Some("out".into()));
        assert!(!job.options.features.has(Feature::Float));
        let in_place = parse("modules --base b --in-place a");
        assert_eq!(in_place.modules_job().unwrap().unwrap().out_dir, None);
        check_error("modules --base b a", "--in-place");
        check_error("modules --in-place a", "--base");
        check_error(
            "modules --base b --in-place --out-dir c a",
            "cannot be used with",
        );
        check_error("modules --base b --in-place", "PATH");
        check_error("f modules --base b --in-place", "modules");
    }

    #[test]
    fn lists_become_options() {
        let line =
            "f --features var --features +layout --exclude-language rust,c++* -j3 --kabi-prefix __";
        let job = parse(line).job().unwrap();
        let options = job.options;
        assert!(options.features.has(Feature::Layout) && options.features.has(Feature::Enum64));
        assert!(!options.languages.keeps_all());
        assert_eq!(job.threads.get(), 3);
        assert_eq!(options.kabi_prefix, b"__");
        let many = parse("f -j99999").job().unwrap().threads;
        assert!(many < NonZeroUsize::new(99999).unwrap());
        assert_eq!(options.order, None);
    }

    #[test]
    fn slips_are_usage_errors() {
        check_error("", "required");
        check_error("-", "name a file");
        check_error("f --features vra", "did you mean `var`?");
        check_error("f --language rsut", "did you mean `rust`?");
        check_error("f -j0", "expected a number from 1");
        check_error("f -jx", "expected a number from 1");
        check_error("f --features +distilled_base", "--base");
        assert!(parse("f --features all").job().is_ok());
        check_error("f --features=", "empty list");
        check_error("f --language=", "a value is required");
        check_error("f --report json -o -", "standard output");
        check_error("f --base b --features all -o -", "two files");
        check_error("f -q -v", "cannot be used with");
        check_error("f --report xml", "json");
    }

    #[test]
    fn a_second_input_is_called_one() {
        let message = |line: &str| {
            let words = std::iter::once("dwarf2btf").chain(line.split_whitespace());
            explained(Args::try_parse_from(words).unwrap_err()).to_string()
        };
        let text = message("a b");
        assert!(
            text.contains("`b` is a second one") && text.contains("dwarf2btf modules"),
            "{text}"
        );
        assert!(message("a modules --base b --in-place c").contains("'modules'"));
    }

    #[test]
    fn the_man_page_tells_the_exit_status() {
        let mut out = Vec::new();
        generate(Args::command(), Generate::Man, MAN_SECTIONS, &mut out).unwrap();
        let man = String::from_utf8(out).unwrap();
        for part in [
            ".SH \"EXIT STATUS\"",
            ".SH OUTPUT",
            "same, byte for byte",
            "exclude\\-language",
        ] {
            assert!(
                man.contains(part) || man.contains(&part.replace('"', "")),
                "{part}"
            );
        }
        assert!(parse("--generate man").common.generate.is_some());
    }
}

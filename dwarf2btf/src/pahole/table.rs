//! The options of pahole 1.32, each with what it means here: one table.
//!
//! Every option is in it, also those that are refused, because GNU argp takes any beginning of a long option that fits
//! only one: without `--lang_exclude` in the table, `--lan` would be `--lang`. A test compares the table with pahole's own `--help`.
//!
//! To add an option, add a row; if it means something new, a variant of [`Meaning`], and the compiler shows where.

use std::fmt::Write as _;

use dwarf2btf::features::Feature;

use Argument::{Needed, No, Optional};
use Meaning::{
    AllFeatures, Base, Detached, DevelVersion, Disable, Enable, Encode, ExcludedLanguages,
    Features, Format, Help, Jobs, KabiPrefix, Languages, Nothing, NumericVersion, Quiet, Refused,
    StrictFeatures, SupportedFeatures, Usage, Verbose, Version, View,
};

/// An option.
#[derive(Debug)]
pub(super) struct Row {
    /// The letter after one dash; most have none.
    pub(super) short: Option<char>,
    /// The word after two dashes.
    pub(super) long: &'static str,
    /// Whether a value belongs to it.
    pub(super) argument: Argument,
    /// What it is for.
    pub(super) meaning: Meaning,
    /// What `--help` says about it.
    pub(super) help: &'static str,
}

/// Whether a value belongs to an option, and what `--help` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// It stands alone.
    No,
    /// A value may follow in the same word: `-j4`, `--jobs=4`.
    Optional(&'static str),
    /// A value follows in the same word or is the next one.
    Needed(&'static str),
}

impl Argument {
    /// What stands behind a long option.
    fn as_typed(self) -> String {
        match self {
            No => String::new(),
            Optional(value) => format!("[={value}]"),
            Needed(value) => format!("={value}"),
        }
    }
}

/// What an option is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Print the options.
    Help,
    /// Print them in brief.
    Usage,
    /// Print `v1.32`.
    Version,
    /// Print `132`.
    NumericVersion,
    /// Print which program this really is.
    DevelVersion,
    /// Print the names of the features.
    SupportedFeatures,
    /// Write BTF.
    Encode,
    /// Write BTF, and to this file.
    Detached,
    /// The base that the BTF extends.
    Base,
    /// How many threads.
    Jobs,
    /// A list of features; unknown ones do not count.
    Features,
    /// A list of features; unknown ones are errors.
    StrictFeatures,
    /// All features.
    AllFeatures,
    /// One feature.
    Enable(Feature),
    /// Not this feature.
    Disable(Feature),
    /// Only these languages.
    Languages,
    /// Not these languages.
    ExcludedLanguages,
    /// Cut names that begin so down to this.
    KabiPrefix,
    /// Where types are read from.
    Format,
    /// Say more.
    Verbose,
    /// Say less.
    Quiet,
    /// What it asks for is so anyway, or does not matter when BTF is written.
    Nothing,
    /// It shows types, and writes nothing.
    View,
    /// It would change what is written, and we cannot do that; why.
    Refused(&'static str),
}

const fn row(
    short: char,
    long: &'static str,
    argument: Argument,
    meaning: Meaning,
    help: &'static str,
) -> Row {
    Row {
        short: if short == ' ' { None } else { Some(short) },
        long,
        argument,
        meaning,
        help,
    }
}

/// An option that shows types.
const fn view(short: char, long: &'static str, argument: Argument) -> Row {
    row(short, long, argument, View, "")
}

/// All options, those that write BTF first.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    row('J', "btf_encode",          No,                 Encode,            "add the BTF to FILE, as its section .BTF"),
    row(' ', "btf_encode_detached", Needed("FILENAME"), Detached,          "write the BTF to FILENAME and leave FILE alone; implies -J"),
    row(' ', "btf_base",            Needed("PATH"),     Base,              "leave out what PATH has: the vmlinux that a module belongs to, or its BTF"),
    row('j', "jobs",                Optional("NR_JOBS"), Jobs,             "read with NR_JOBS threads, without a number one for each processor"),

    row(' ', "btf_features",        Needed("LIST"),     Features,          "write what LIST names; names that are not known do not count"),
    row(' ', "features",            Needed("LIST"),     Features,          "the same"),
    row(' ', "btf_features_strict", Needed("LIST"),     StrictFeatures,    "the same, but a name that is not known is an error"),
    row(' ', "supported_btf_features", No,              SupportedFeatures, "print the names that LIST may have"),
    row(' ', "btf_gen_all",         No,                 AllFeatures,       "as --btf_features=all"),
    row(' ', "btf_gen_floats",      No,                 Enable(Feature::Float), "write floating-point types as FLOAT"),
    row(' ', "btf_gen_optimized",   No,                 Enable(Feature::OptimizedFunc), "always so"),
    row(' ', "btf_attributes",      No,                 Enable(Feature::Attributes), "write type attributes"),
    row(' ', "btf_encode_force",    No,                 Enable(Feature::EncodeForce), "leave out invalid variables instead of failing"),
    row(' ', "reproducible_build",  No,                 Enable(Feature::ReproducibleBuild), "always so"),
    row(' ', "skip_encoding_btf_inconsistent_proto", No, Enable(Feature::ConsistentFunc), "leave out functions whose prototypes differ"),
    row(' ', "skip_encoding_btf_vars", No,              Disable(Feature::Var), "leave out per-CPU variables"),
    row(' ', "skip_encoding_btf_decl_tag", No,          Disable(Feature::DeclTag), "leave out declaration tags"),
    row(' ', "skip_encoding_btf_type_tag", No,          Disable(Feature::TypeTag), "leave out type tags"),
    row(' ', "skip_encoding_btf_enum64", No,            Disable(Feature::Enum64), "cut enumerations of more than 32 bits"),

    row(' ', "lang",                Needed("LANGUAGES"), Languages,        "read only units in these languages"),
    row(' ', "lang_exclude",        Needed("LANGUAGES"), ExcludedLanguages, "leave out units in these languages"),
    row(' ', "kabi_prefix",         Needed("STRING"),   KabiPrefix,        "cut every name that begins with STRING down to STRING"),
    row('F', "format_path",         Needed("LIST"),     Format,            "must contain `dwarf`, from which BTF is made"),

    row('V', "verbose",             No,                 Verbose,           "tell what is left out, and why"),
    row('q', "quiet",               No,                 Quiet,             "print nothing but errors"),
    row('?', "help",                No,                 Help,              "print this"),
    row(' ', "usage",               No,                 Usage,             "print the options in brief"),
    row(' ', "version",             No,                 Version,           "print the version of pahole that this stands for"),
    row(' ', "numeric_version",     No,                 NumericVersion,    "print it as a number"),
    row(' ', "devel_version",       No,                 DevelVersion,      "print which program this is"),

    row(' ', "hashbits",            Needed("BITS"),     Nothing,           ""),
    row(' ', "ptr_table_stats",     No,                 Nothing,           ""),
    row(' ', "skip_missing",        No,                 Nothing,           ""),
    row(' ', "fixup_silly_bitfields", No,               Nothing,           ""),

    row('X', "cu_exclude",          Needed("PREFIX"),   Refused("units cannot be left out by name, only by language, with `--lang_exclude`"), ""),
    row(' ', "first_obj_only",      No,                 Refused("an object is read whole"), ""),
    row(' ', "running_kernel_vmlinux", No,              Refused("name the kernel's vmlinux"), ""),
    row('w', "word_size",           Needed("SIZE"),     Refused("the word size is the file's"), ""),
    row('Z', "ctf_encode",          No,                 Refused("CTF is another format, which pahole does not write any more either"), ""),

    view('a', "anon_include", No),                      view('A', "nested_anon_include", No),
    view('B', "bit_holes", Needed("NR_HOLES")),         view('c', "cacheline_size", Needed("SIZE")),
    view('C', "class_name", Needed("CLASS_NAME")),      view(' ', "classes_as_structs", No),
    view(' ', "compile", No),                           view('i', "contains", Needed("CLASS_NAME")),
    view(' ', "contains_enumerator", Needed("ENUMERATOR")), view(' ', "count", Needed("COUNT")),
    view('D', "decl_exclude", Needed("PREFIX")),        view('u', "defined_in", No),
    view('x', "exclude", Needed("PREFIX")),             view('p', "expand_pointers", No),
    view('E', "expand_types", No),                      view('f', "find_pointers_to", Needed("CLASS_NAME")),
    view(' ', "flat_arrays", No),                       view(' ', "header_type", Needed("TYPE")),
    view(' ', "hex", No),                               view('z', "hole_size_ge", Needed("HOLE_SIZE")),
    view('H', "holes", Needed("NR_HOLES")),             view('N', "class_name_len", No),
    view('T', "nr_definitions", No),                    view('n', "nr_members", No),
    view('m', "nr_methods", No),                        view('P', "packable", No),
    view(' ', "packed", No),                            view(' ', "padding_ge", Needed("SIZE_PADDING")),
    view('y', "prefix_filter", Needed("PREFIX")),       view(' ', "prettify", Needed("PATH")),
    view(' ', "range", Needed("STRUCT")),               view('d', "recursive", No),
    view('r', "rel_offset", No),                        view('R', "reorganize", No),
    view(' ', "seek_bytes", Needed("BYTES")),           view('t', "separator", Needed("SEP")),
    view('I', "show_decl_info", No),                    view('l', "show_first_biggest_size_base_type_member", No),
    view('M', "show_only_data_members", No),            view(' ', "show_private_classes", No),
    view('S', "show_reorg_steps", No),                  view(' ', "size_bytes", Needed("BYTES")),
    view('s', "sizes", No),                             view(' ', "skip", Needed("COUNT")),
    view(' ', "skip_emitting_atomic_typedefs", No),     view(' ', "sort", No),
    view(' ', "structs", No),                           view(' ', "suppress_aligned_attribute", No),
    view(' ', "suppress_force_paddings", No),           view(' ', "suppress_packed", No),
    view(' ', "unions", No),                            view(' ', "with_embedded_flexible_array", No),
    view(' ', "with_flexible_array", No),
];

/// What `--help` prints: the options that write BTF.
pub(super) fn help() -> String {
    let mut out = String::from(
        "Usage: pahole -J [OPTION...] FILE\n\
         Write the BTF of an ELF file with DWARF, as kernel builds ask pahole for it.\n\n",
    );
    for row in TABLE.iter().filter(|row| !row.help.is_empty()) {
        let short = row
            .short
            .map_or("    ".to_owned(), |short| format!("-{short}, "));
        let Row { long, help, .. } = row;
        let _ = writeln!(
            out,
            "  {short}--{long}{}\n          {help}",
            row.argument.as_typed()
        );
    }
    out + "\nThis is dwarf2btf under the name of pahole; `dwarf2btf --help` tells what else it does. \
           Types are shown by `btf-dump`.\n"
}

/// What `--usage` prints: the same options in one line.
pub(super) fn usage() -> String {
    let rows = TABLE.iter().filter(|row| !row.help.is_empty());
    let options = rows.fold(String::new(), |mut out, row| {
        let _ = write!(out, " [--{}{}]", row.long, row.argument.as_typed());
        out
    });
    format!("Usage: pahole{options} FILE\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice() {
        for (index, row) in TABLE.iter().enumerate() {
            for other in &TABLE[index + 1..] {
                assert_ne!(row.long, other.long);
                assert!(row.short.is_none() || row.short != other.short, "{row:?}");
            }
        }
    }

    #[test]
    fn help_and_usage_show_what_writes_btf() {
        for text in [help(), usage()] {
            assert!(
                text.contains("--jobs[=NR_JOBS]") && text.contains("--btf_base=PATH"),
                "{text}"
            );
            assert!(!text.contains("class_name"), "{text}");
        }
        assert!(help().contains("\n  -j, --jobs"));
    }
}

//! Tests of what a command line means: the facts about pahole 1.32 were observed, those about kernels are in their scripts.

use super::*;

const DEFAULT: &str = "encode_force,var,float,decl_tag,type_tag,enum64,optimized_func,consistent_func,decl_tag_kfuncs";

fn ask(line: &str) -> Result<Request> {
    ask_within(line, None)
}

fn ask_within(line: &str, lang_exclude: Option<&str>) -> Result<Request> {
    let surroundings = Surroundings {
        cores: NonZeroUsize::new(8).unwrap(),
        lang_exclude: lang_exclude.map(OsString::from),
    };
    request(line.split_whitespace().map(OsString::from), &surroundings)
}

#[track_caller]
fn job(line: &str) -> Job {
    match ask(line).unwrap() {
        Request::Encode(job) => *job,
        Request::Print(text) => panic!("{text}"),
    }
}

#[track_caller]
fn check_text(line: &str, expect: &str) {
    match ask(line).unwrap() {
        Request::Print(text) => assert_eq!(text, expect, "{line}"),
        Request::Encode(job) => panic!("{job:?}"),
    }
}

#[track_caller]
fn check_error(line: &str, expect: &str) {
    assert_eq!(ask(line).unwrap_err().to_string(), expect, "{line}");
}

/// Checks the features that a line leads to.
#[track_caller]
fn check_features(line: &str, expect: &str) {
    let features = job(&format!("-J vmlinux {line}")).options.features;
    let names: Vec<_> = features.iter().map(|row| row.name).collect();
    assert_eq!(names.join(","), expect, "{line}");
}

#[test]
fn versions_are_what_kconfig_reads() {
    check_text("--version", "v1.32\n");
    check_text("--numeric_version", "132\n");
    check_text("--numeric_version vmlinux -J", "132\n");
    let ours = concat!("v1.32-dwarf2btf-", env!("CARGO_PKG_VERSION"), "\n");
    check_text("--devel_version", ours);
    check_text(
        "--supported_btf_features",
        &format!(
            "{DEFAULT},reproducible_build,distilled_base,global_var,attributes,true_signature,force_cu_merging,layout\n"
        ),
    );
}

#[test]
fn what_is_printed_at_once_hides_later_slips() {
    for first in [
        "--version",
        "--supported_btf_features",
        "--help",
        "--usage",
        "-J?",
    ] {
        assert!(
            matches!(ask(&format!("{first} --bogus")), Ok(Request::Print(_))),
            "{first}"
        );
        assert!(ask(&format!("--bogus {first}")).is_err(), "{first}");
    }
    check_error("--numeric_version --bogus", "unknown option: `--bogus`");
}

#[test]
fn without_lists_the_old_ways_hold() {
    check_features("", "var,decl_tag,type_tag,enum64");
    check_features("--btf_gen_floats", "var,float,decl_tag,type_tag,enum64");
    check_features(
        "--skip_encoding_btf_vars --skip_encoding_btf_decl_tag --skip_encoding_btf_type_tag --skip_encoding_btf_enum64",
        "",
    );
    check_features(
        "--skip_encoding_btf_inconsistent_proto --btf_gen_optimized --btf_encode_force --btf_attributes --reproducible_build",
        "encode_force,var,decl_tag,type_tag,enum64,optimized_func,consistent_func,reproducible_build,attributes",
    );
}

#[test]
fn lists_start_from_nothing_and_add_up() {
    check_features("--btf_features=default", DEFAULT);
    check_features("--btf_features=", "");
    check_features("--btf_features=+", DEFAULT);
    check_features(
        "--btf_features=+attributes",
        &format!("{DEFAULT},attributes"),
    );
    check_features(
        "--btf_features=attributes,default",
        &format!("{DEFAULT},attributes"),
    );
    check_features("--btf_features float --btf_features=enum64", "float,enum64");
    check_features(
        "--btf_features=float --btf_features_strict=enum64",
        "float,enum64",
    );
    check_features(
        "--btf_features=float --btf_features=+global_var",
        &format!("{DEFAULT},global_var"),
    );
    check_features("--features=float,,var", "var,float");
    check_features("--btf_features=FLOAT", "");
    check_features("--btf_features=float,+attributes", "float");
}

#[test]
fn all_means_all_that_makes_sense() {
    let all = format!(
        "{DEFAULT},reproducible_build,global_var,attributes,true_signature,force_cu_merging,layout"
    );
    check_features("--btf_features=all", &all);
    check_features("--btf_gen_all", &all);
    check_features("--btf_features=float --btf_features=all", &all);
    check_features("--btf_features=distilled_base", "");
    check_features(
        "--btf_features=distilled_base,layout --btf_base vmlinux",
        "distilled_base",
    );
}

#[test]
fn single_options_and_lists_act_in_their_order() {
    check_features("--btf_gen_floats --btf_features=var", "var");
    check_features("--btf_features=var --btf_gen_floats", "var,float");
    check_features("--btf_features=float,var --skip_encoding_btf_vars", "float");
    check_features(
        "--skip_encoding_btf_vars --btf_features=float,var",
        "var,float",
    );
}

#[test]
fn unknown_features_are_kept_for_the_verbose() {
    let job = job("-J x --btf_features=var,inline --btf_features=inline.extra");
    let unknown: Vec<_> = job
        .unknown_features
        .iter()
        .map(|unknown| unknown.0.as_str())
        .collect();
    assert_eq!(unknown, ["inline", "inline.extra"]);
    assert_eq!(job.options.features, FeatureSet::NONE.with(Feature::Var));
    let error = ask("-J x --btf_features_strict=var,bogus_one,two")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("unknown feature: `bogus_one`; known are encode_force,var,"),
        "{error}"
    );
}

#[test]
fn threads_are_bounded_by_processors() {
    let threads = |line: &str| job(line).threads.get();
    assert_eq!(threads("-J x"), 1);
    assert_eq!(threads("-J x -j"), 8);
    assert_eq!(threads("-J x -j4"), 4);
    assert_eq!(threads("-J x -j0"), 1);
    assert_eq!(threads("-J x --jobs=64"), 8);
    assert_eq!(threads("-J x --jobs="), 8);
    assert_eq!(threads("-J x -j -j2"), 2);
    check_error("-J x -jx", "`--jobs`: not a number: `x`");
    check_error("-J x -j-3", "`--jobs`: not a number: `-3`");
}

#[test]
fn the_result_goes_into_the_file_or_beside() {
    assert_eq!(job("-J x").detached, None);
    let job = job("--btf_encode_detached=a --btf_encode_detached b --btf_base=vmlinux -JV x -q");
    assert_eq!(job.detached, Some("b".into()));
    assert_eq!((job.input, job.base), ("x".into(), Some("vmlinux".into())));
    assert!(job.common.verbose == 1 && job.common.quiet && job.options.report);
}

#[test]
fn languages_filter() {
    let filter = |line: &str, lang_exclude| match ask_within(line, lang_exclude).unwrap() {
        Request::Encode(job) => job.options.languages,
        Request::Print(text) => panic!("{text}"),
    };
    let new = |only: &[&str], not: &[&str]| LanguageFilter::new(only, not).unwrap().by_code();
    assert_eq!(
        filter("-J x --lang_exclude=rust", None),
        new(&[], &["rust"])
    );
    assert_eq!(
        filter("-J x --lang=c11 --lang_exclude rust,asm", None),
        new(&["c11"], &["rust,asm"])
    );
    assert_eq!(filter("-J x --lang=c --lang=c11", None), new(&["c11"], &[]));
    assert_eq!(filter("-J x", Some("Rust")), new(&[], &["rust"]));
    assert_eq!(filter("-J x --lang=c11", Some("rust")), new(&["c11"], &[]));
    assert_eq!(
        filter("-J x --lang_exclude=asm", Some("rust")),
        new(&[], &["asm"])
    );
    assert!(filter("-J x", Some("")).keeps_all());
    check_error("-J x --lang=", "`--lang`: no language");
    check_error(
        "-J x --lang_exclude=rsut",
        "unknown language: `rsut`; did you mean `rust`?",
    );
    assert!(ask_within("-J x", Some("rsut")).is_err());
}

#[test]
fn names_can_be_cut() {
    assert_eq!(
        job("-J x --kabi_prefix=__kABI_").options.kabi_prefix,
        b"__kABI_"
    );
    assert_eq!(
        job("-J x --kabi=__a --kabi_prefix=").options.kabi_prefix,
        b""
    );
}

#[test]
fn what_does_not_matter_is_accepted() {
    let job = job(
        "-J -F btf,dwarf --hashbits 15 --fixup_silly_bitfields --skip_missing --ptr_table_stats x",
    );
    assert_eq!(job.input, PathBuf::from("x"));
}

#[test]
fn what_shows_types_names_our_command() {
    check_error(
        "-C task_struct vmlinux -E",
        "`--class_name` shows types, which is not done under this name: use `btf-dump layout task_struct vmlinux`",
    );
    check_error(
        "--sizes",
        "`--sizes` shows types, which is not done under this name: use `btf-dump layout TYPE FILE`",
    );
    check_error(
        "vmlinux",
        "showing types is not done under this name: use `btf-dump layout TYPE vmlinux`; to write BTF, add `-J`",
    );
    assert!(ask("-J x -s").is_err());
    assert!(ask("").is_err());
}

#[test]
fn what_cannot_be_done_is_refused() {
    check_error("-J", "no input file");
    check_error(
        "-J a b c",
        "one file at a time: `b` is one too many; `dwarf2btf modules` takes many",
    );
    check_error(
        "-J -F btf x",
        "`--format_path`: BTF is made of `dwarf` only, not of `btf`",
    );
    check_error(
        "-J -Xdrivers/ x",
        "`--cu_exclude` is not supported: units cannot be left out by name, only by language, with `--lang_exclude`",
    );
}

//! What is answered to slips, and to what pahole does and we do not.

use btf_tests::corpus;
use btf_tests::program::{pahole, run};

use crate::{OBJECTS, Place, object};

/// Command lines on which pahole or we give up, or which only print: the line, pahole's status, ours, and what we say.
const SLIPS: &[(&str, i32, i32, &str)] = &[
    ("--version", 0, 0, "v1.32\n"),
    ("--vers", 0, 0, "v1.32\n"),
    ("--version --bogus", 0, 0, "v1.32\n"),
    ("--numeric_version", 0, 0, "132\n"),
    ("--numeric FILE", 0, 0, "132\n"),
    ("--devel_version", 0, 0, "v1.32-dwarf2btf-"),
    ("--supported_btf_features", 0, 0, "encode_force,var,float,"),
    ("-?", 0, 0, "Usage: pahole "),
    ("--help --bogus", 0, 0, "Usage: pahole "),
    ("--usage", 0, 0, "Usage: pahole "),
    ("--bogus", 64, 2, "unknown option: `--bogus`"),
    ("--bogus --version", 64, 2, "unknown option: `--bogus`"),
    (
        "--numeric_version --bogus",
        64,
        2,
        "unknown option: `--bogus`",
    ),
    ("--btf-base x", 64, 2, "did you mean `--btf_base`?"),
    (
        "--btf_f=default",
        64,
        2,
        "several: `--btf_f`: `--btf_features`, `--btf_features_strict`",
    ),
    (
        "--btf_enc FILE",
        64,
        2,
        "`--btf_encode`, `--btf_encode_detached`, `--btf_encode_force`",
    ),
    ("--lan rust", 64, 2, "`--lang`, `--lang_exclude`"),
    ("--skip_encoding", 64, 2, "several: `--skip_encoding`"),
    ("--btf_features", 64, 2, "needs a value: `--btf_features`"),
    (
        "--btf_encode_d",
        64,
        2,
        "needs a value: `--btf_encode_detached`",
    ),
    ("-B", 64, 2, "needs a value: `--bit_holes`"),
    (
        "--btf_encode=yes FILE",
        64,
        2,
        "takes no value: `--btf_encode`",
    ),
    ("-Q", 64, 2, "unknown option: `-Q`"),
    ("-JQ FILE", 64, 2, "unknown option: `-Q`"),
    ("-btf_base x FILE", 64, 2, "unknown option: `-b`"),
    ("-O FILE", 64, 2, "unknown option: `-O`"),
    ("-Z FILE", 64, 2, "CTF"),
    (
        "-J --btf_features_strict=bogus FILE",
        1,
        2,
        "unknown feature: `bogus`",
    ),
    (
        "-J --btf_features_strict=+bogus FILE",
        1,
        2,
        "unknown feature: `bogus`",
    ),
    ("-J --lang=bogus FILE", 1, 2, "unknown language: `bogus`"),
    ("-J --lang= FILE", 1, 2, "no language"),
    ("-J --lang_exclude= FILE", 1, 2, "no language"),
    (
        "-J --btf_base=MISSING FILE",
        1,
        2,
        "/missing: cannot open the file",
    ),
    ("-J --btf_base= FILE", 1, 2, "`--btf_base` needs the name"),
    (
        "-J --btf_base=OTHER --btf_encode_detached=OUT FILE",
        1,
        2,
        "no section `.BTF`",
    ),
    (
        "--btf_encode_detached=NOWHERE FILE",
        1,
        2,
        "cannot create a file",
    ),
    (
        "--btf_encode_detached= FILE",
        1,
        2,
        "`--btf_encode_detached` needs the name",
    ),
    // From here on pahole ends with 0 and does nothing, which a build would not notice.
    ("-J", 0, 2, "no input file"),
    ("-J MISSING", 0, 2, "/missing: cannot open the file"),
    (
        "-J --numeric_versio --btf_encode_detached=OUT -- FILE -J",
        0,
        0,
        "132\n",
    ),
    ("-J -- --verbose", 0, 2, "--verbose: cannot open the file"),
    ("-J -j 4 FILE", 0, 2, "one file at a time"),
    ("-J FOLDER", 0, 2, "not a regular file"),
    ("-J TEXT", 0, 2, "not an ELF file"),
    ("-J CUT", 0, 2, "/cut.o: "),
    ("-J -F btf FILE", 0, 2, "`dwarf` only"),
    ("-J -F bogus FILE", 0, 2, "`dwarf` only"),
    // From here on pahole does something, and we do not.
    (
        "-J FILE OTHER --btf_encode_detached=OUT",
        0,
        2,
        "one file at a time",
    ),
    (
        "-J -jx --btf_encode_detached=OUT FILE",
        0,
        2,
        "not a number: `x`",
    ),
    (
        "-J -X enums --btf_encode_detached=OUT FILE",
        0,
        2,
        "`--cu_exclude` is not supported",
    ),
    (
        "-J -s --btf_encode_detached=OUT FILE",
        0,
        2,
        "use `btf-dump layout TYPE ",
    ),
    ("FILE", 0, 2, "use `btf-dump layout TYPE "),
    ("-C plain FILE", 0, 2, "use `btf-dump layout plain "),
    // From here on both do nothing, and that is right.
    ("-J NO_DWARF", 0, 0, "no debug information"),
    (
        "-J --btf_encode_detached=OUT NO_DWARF",
        0,
        0,
        "no BTF is written",
    ),
    ("-J --lang=rust FILE", 0, 0, "no BTF is written"),
];

#[test]
fn every_slip_is_answered() {
    for &(line, _, status, says) in SLIPS {
        let place = slippery();
        let outcome = place.run(line);
        assert_eq!(outcome.status, Some(status), "{line}\n{outcome}");
        let text = if says.ends_with('\n') || status == 0 && outcome.stderr.is_empty() {
            &outcome.stdout
        } else {
            &outcome.stderr
        };
        assert!(text.contains(says), "{line}\n{outcome}");
        assert!(
            status == 0 || outcome.stderr.lines().count() == 1,
            "{line}\n{outcome}"
        );
        for name in OBJECTS {
            assert_eq!(
                place.bytes(name),
                std::fs::read(object(name)).unwrap(),
                "{line}: {name} stays"
            );
        }
        assert!(!place.dir.names().contains(&"out.btf".to_owned()), "{line}");
    }
}

#[test]
fn pahole_ends_as_the_table_of_slips_says() {
    let Some(pahole) = pahole() else { return };
    for &(line, status, _, _) in SLIPS {
        let place = slippery();
        let outcome = run(&pahole, place.words(line));
        assert_eq!(outcome.status, Some(status), "{line}\n{outcome}");
    }
}

/// A place with what [`SLIPS`] names.
fn slippery() -> Place {
    let place = Place::new();
    place.dir.write("text", b"no ELF\n");
    place
        .dir
        .write("cut.o", &std::fs::read(object("enums.o")).unwrap()[..3000]);
    place.dir.write(
        "no_dwarf",
        &std::fs::read(corpus::root().join("bad/elf-no-debug-info")).unwrap(),
    );
    place
}

/// Which options there are, and whether they take values, is seen in how each is refused.
#[test]
fn our_options_are_those_of_pahole() {
    let Some(pahole) = pahole() else { return };
    let place = Place::new();
    let help = run(&pahole, ["--help"]).success().stdout;
    let mut count = 0;
    for line in help.lines() {
        // `  -j, --jobs[=NR_JOBS]   run N jobs…`; the second line of a help text may start with an option, too.
        let Some(line) = line.strip_prefix("  ") else {
            continue;
        };
        let (letter, rest) = match line.strip_prefix('-').map(|rest| rest.split_at(1)) {
            Some((letter, rest)) if letter != "-" => (Some(letter), rest.trim_start_matches(',')),
            _ => (None, line),
        };
        let Some(option) = rest
            .trim_start()
            .strip_prefix("--")
            .filter(|rest| !rest.ends_with("]."))
        else {
            continue;
        };
        let end =
            option.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
        let (name, behind) = option.split_at(end.unwrap_or(option.len()));
        count += 1;
        let says = |args: &[&str], text: &str| run(&place.pahole, args).stderr.contains(text);
        let long = format!("--{name}");
        let needs_value = behind.starts_with('=');
        assert_eq!(
            says(&[&long], "option needs a value"),
            needs_value,
            "{long}"
        );
        let takes_none = !behind.starts_with(['=', '[']);
        assert_eq!(
            says(&[&format!("{long}=x")], "option takes no value"),
            takes_none,
            "{long}"
        );
        assert!(!says(&[&format!("{long}=x")], "unknown option"), "{long}");
        if let Some(letter) = letter {
            let short = format!("-{letter}");
            assert_eq!(
                says(&[&short], "option needs a value"),
                needs_value,
                "{short}"
            );
            assert!(!says(&[&short, "x"], "unknown option"), "{short}");
        }
    }
    assert!(count >= 90, "{count}:\n{help}");
}

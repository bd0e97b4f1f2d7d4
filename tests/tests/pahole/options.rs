//! What single options do, and the name, and the environment.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use btf_tests::program::{ours, pahole, run};

use crate::{LIST, Place, difference, object};

#[test]
fn names_with_a_version_are_pahole_too() {
    let place = Place::new();
    for (name, is_pahole) in [
        ("pahole-1.32", true),
        ("pahole.real", true),
        ("mypahole", false),
    ] {
        let link = place.dir.path(name);
        symlink(ours("dwarf2btf"), &link).unwrap();
        let outcome = run(&link, ["--version"]).success();
        assert_eq!(outcome.stdout == "v1.32\n", is_pahole, "{name}: {outcome}");
    }
}

#[test]
fn a_file_keeps_its_mode_and_all_that_it_had() {
    use object::{Object as _, ObjectSection as _};
    let place = Place::new();
    let name = "with $(touch gone) and 'quotes'.ko";
    let file = place
        .dir
        .write(name, &std::fs::read(object("image.relocatable.o")).unwrap());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let encode = || {
        run(
            &place.pahole,
            ["-J".as_ref(), file.as_os_str(), "-j".as_ref()],
        )
        .success()
    };
    let _ = encode();
    let once = place.bytes(name);
    let _ = encode();
    assert_eq!(place.bytes(name), once, "again is the same");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let before = std::fs::read(object("image.relocatable.o")).unwrap();
    let before = object::File::parse(&*before).unwrap();
    for section in before
        .sections()
        .filter(|section| section.name() != Ok(".shstrtab"))
    {
        let after = place.section(name, section.name().unwrap());
        assert_eq!(
            after.as_deref(),
            section.data().ok(),
            "{:?}",
            section.name()
        );
    }
}

#[test]
fn skipped_functions_are_told_in_pahole_s_words() {
    let place = Place::new();
    let line = format!(
        "-JV {LIST},bogus --btf_encode_detached=OUT {}",
        object("image.elf").display()
    );
    let outcome = place.run(&line).success();
    assert!(
        outcome
            .stderr
            .starts_with("Ignoring unsupported feature 'bogus'\n"),
        "{outcome}"
    );
    let ours = skip_messages(&outcome.stdout);
    assert!(
        ours.contains(
            &"two_addresses : skipping BTF encoding of function due to ambiguous address"
                .to_owned()
        ),
        "{outcome}"
    );
    let Some(pahole) = pahole() else { return };
    let theirs = run(&pahole, place.words(&line)).success().stdout;
    assert_eq!(ours, skip_messages(&theirs));
}

fn skip_messages(text: &str) -> Vec<String> {
    let is_it = |line: &&str| line.contains(" : skipping BTF encoding of function due to ");
    let mut lines: Vec<_> = text.lines().filter(is_it).map(ToOwned::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_environment_excludes_languages_where_no_option_does() {
    let place = Place::new();
    // `enums.o` is C11.
    for (variable, flags, is_written) in [
        ("PAHOLE_LANG_EXCLUDE=c11", "", false),
        ("PAHOLE_LANG_EXCLUDE=c11", "--lang_exclude=rust", true),
        ("PAHOLE_LANG_EXCLUDE=c11", "--lang=c11", true),
        ("PAHOLE_LANG_EXCLUDE=rust", "", true),
        ("PAHOLE_LANG_EXCLUDE=", "", true),
    ] {
        let words = place.words(&format!("-J {flags} --btf_encode_detached=OUT FILE"));
        let program = place.pahole.display().to_string();
        let _ = run(
            Path::new("env"),
            [variable.to_owned(), program].into_iter().chain(words),
        )
        .success();
        let is_there = std::fs::remove_file(place.dir.path("out.btf")).is_ok();
        assert_eq!(is_there, is_written, "{variable} {flags}");
    }
}

#[test]
fn names_are_cut_to_the_kabi_prefix() {
    let (place, line) = (
        Place::new(),
        "-J --kabi_prefix=PLAIN_ --btf_encode_detached=OUT FILE",
    );
    let _ = place.run(line).success();
    let ours = place.take_output(None);
    assert!(ours.find_string(b"PLAIN_").is_some() && ours.find_string(b"PLAIN_ZERO").is_none());
    let Some(pahole) = pahole() else { return };
    let _ = run(&pahole, place.words(line)).success();
    assert_eq!(difference(&ours, &place.take_output(None)), None);
}

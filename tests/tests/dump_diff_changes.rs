//! Goal: each sort of change is told as what it is, and `--breaking`, `--direct` and `--tags` show what they say.
//! Method: pairs of small blobs that differ in one thing; files that look like kernel modules for what is exported; hostile blobs
//! within a limit of memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use btf_core::builder::{Builder, MemberSpec, WriteOptions};
use btf_core::wire::{ByteOrder, int, linkage};
use btf_core::{Kind, TypeId};
use btf_tests::bad::image::module;
use btf_tests::program::{Outcome, TestDir, ours, run, run_within};
use serde_json::Value;

/// The options with which a program of this test is made take some memory themselves.
const MEMORY_KIB: u32 = 1 << 20;

fn bytes(builder: &Builder) -> Vec<u8> {
    let written = builder.write(ByteOrder::Little, WriteOptions::default());
    written.unwrap()
}

fn words<'w>(args: &[&'w str], old: &'w Path, new: &'w Path) -> Vec<&'w str> {
    let files = ["diff", old.to_str().unwrap(), new.to_str().unwrap()];
    [&files, args].concat()
}

fn diff(args: &[&str], old: &Path, new: &Path) -> Outcome {
    run(&ours("btf-dump"), words(args, old, new))
}

/// Two blobs that `make` makes: the old one and the new one.
struct Pair {
    dir: TestDir,
    old: PathBuf,
    new: PathBuf,
}

impl Pair {
    fn new(make: impl Fn(&mut Builder, bool)) -> Self {
        Self::of_files(|builder, is_new| {
            make(builder, is_new);
            bytes(builder)
        })
    }

    fn of_files(make: impl Fn(&mut Builder, bool) -> Vec<u8>) -> Self {
        let dir = TestDir::new();
        let [old, new] = [false, true].map(|is_new| {
            let name = if is_new { "new" } else { "old" };
            dir.write(name, &make(&mut Builder::new(), is_new))
        });
        Self { dir, old, new }
    }

    fn diff(&self, args: &[&str]) -> Outcome {
        let outcome = diff(args, &self.old, &self.new);
        assert!(matches!(outcome.status, Some(0 | 1)), "{outcome}");
        outcome
    }

    fn text(&self, args: &[&str]) -> String {
        self.diff(args).stdout
    }

    /// The line of JSON about the item of this name.
    #[track_caller]
    fn json(&self, name: &str) -> Value {
        let text = self.text(&["--json"]);
        let mut lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .find(|line: &Value| line["name"] == name && line["type"] != "file")
            .unwrap_or_else(|| panic!("{name}: {text}"))
    }
}

fn number(builder: &mut Builder) -> TypeId {
    builder.int(b"int", 4, int::SIGNED).unwrap()
}

fn member(name: &str, ty: TypeId, bit_offset: u32) -> MemberSpec<'_> {
    MemberSpec {
        name: name.as_bytes(),
        ty,
        bit_offset,
        bitfield_size: 0,
    }
}

fn structure(builder: &mut Builder, name: &str, size: u32, members: &[MemberSpec<'_>]) -> TypeId {
    let made = builder.composite(Kind::Struct, name.as_bytes(), size, members);
    made.unwrap()
}

fn named_int(name: &str) -> Vec<u8> {
    let mut builder = Builder::new();
    builder.int(name.as_bytes(), 4, 0).unwrap();
    bytes(&builder)
}

#[test]
fn files_of_one_name_belong_together_by_their_place() {
    let dir = TestDir::new();
    for folder in ["a", "b"] {
        for inner in ["net", "fs"] {
            std::fs::create_dir_all(dir.path(&format!("{folder}/{inner}"))).unwrap();
            let name = format!("{folder}/{inner}/x.ko");
            dir.write(&name, &named_int(inner));
        }
    }
    let (a, b) = (dir.path("a"), dir.path("b"));
    assert_eq!(diff(&[], &a, &b).success().stdout, "");
    // One more in front of them all.
    std::fs::create_dir(dir.path("b/drivers")).unwrap();
    dir.write("b/drivers/x.ko", &named_int("drivers"));
    assert_eq!(diff(&[], &a, &b).stdout, "+ file drivers/x.ko\n");
    assert_eq!(diff(&[], &b, &a).stdout, "- file drivers/x.ko\n");
    // In another folder, but the only ones that are left.
    std::fs::rename(dir.path("b/fs"), dir.path("b/filesystems")).unwrap();
    std::fs::remove_dir_all(dir.path("b/drivers")).unwrap();
    assert_eq!(diff(&[], &a, &b).success().stdout, "");
}

#[test]
fn blobs_behind_each_other_are_paired_by_their_turn() {
    let pair = Pair::of_files(|_, is_new| {
        let second = if is_new { "long" } else { "int" };
        [named_int("char"), named_int(second)].concat()
    });
    let text = pair.text(&[]);
    assert!(!text.contains(" file "), "{text}");
    assert!(
        text.contains("- number int") && text.contains("+ number long"),
        "{text}"
    );
}

/// A function `keep` that gets another parameter, and `gone` that is there no more, of a module with these symbols.
fn functions(symbols: [&[&str]; 2]) -> Pair {
    Pair::of_files(|builder, is_new| {
        let number = number(builder);
        let params: [(&[u8], TypeId); 2] = [(b"a", number), (b"b", number)];
        for (name, count) in [("keep", 1 + usize::from(is_new)), ("same", 1), ("gone", 1)] {
            if is_new && name == "gone" {
                continue;
            }
            let proto = builder.func_proto(number, &params[..count]).unwrap();
            let global = linkage::GLOBAL;
            builder.func(name.as_bytes(), proto, global).unwrap();
        }
        module(&bytes(builder), symbols[usize::from(is_new)])
    })
}

#[test]
fn only_what_is_exported_breaks_others() {
    const MODULE: &str = "__this_module";
    let names = |pair: &Pair| {
        let outcome = pair.diff(&["--breaking", "--json"]);
        let lines = outcome.stdout.lines();
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines = lines.filter(|line| line["kind"] == "func" && line["type"] != "summary");
        let names: Vec<_> = lines
            .map(|line| line["name"].as_str().unwrap().to_owned())
            .collect();
        (names, outcome.stderr)
    };
    // A module that exports nothing.
    let (told, warning) = names(&functions([&[MODULE], &[MODULE]]));
    assert!(told.is_empty() && warning.is_empty(), "{told:?} {warning}");
    let all = [MODULE, "__ksymtab_keep", "__ksymtab_same", "__ksymtab_gone"];
    let (told, warning) = names(&functions([&all, &all]));
    assert_eq!(
        (told, warning.as_str()),
        (vec!["gone".into(), "keep".into()], "")
    );
    // What is exported no more, though it is there as it was.
    let pair = functions([&all, &all[..2]]);
    assert_eq!(names(&pair).0, ["gone", "keep", "same"]);
    let text = pair.text(&["--breaking", "same"]);
    assert_eq!(text, "~ func same\n  ~ exported: yes -> no\n");
    assert_eq!(pair.json("same")["breaking"], true);
    // What is exported now breaks nobody.
    assert!(names(&functions([&[MODULE], &all])).0.is_empty());
    // Files without symbols do not tell.
    let (told, warning) = names(&functions([&[], &[]]));
    assert_eq!(told, ["gone", "keep"]);
    assert!(warning.contains("old file"), "{warning}");
    let (_, warning) = names(&functions([&all, &[]]));
    assert!(warning.contains("new file"), "{warning}");
}

#[test]
fn what_is_added_breaks_nobody() {
    let dir = TestDir::new();
    for (folder, files) in [("a", &["x.ko"][..]), ("b", &["x.ko", "y.ko"])] {
        std::fs::create_dir(dir.path(folder)).unwrap();
        for file in files {
            dir.write(&format!("{folder}/{file}"), &named_int("int"));
        }
    }
    let (a, b) = (dir.path("a"), dir.path("b"));
    assert_eq!(diff(&["--breaking"], &a, &b).success().stdout, "");
    assert_eq!(diff(&["--breaking"], &b, &a).stdout, "- file y\n");
    // An enumerator of an enumeration with a name, of one behind a typedef, and of a member's.
    let pair = Pair::new(|builder, is_new| {
        let values: [(&[u8], u64); 2] = [(b"A", 0), (b"B", 1)];
        let values = &values[..=usize::from(is_new)];
        builder.enumeration(b"named", 4, false, values).unwrap();
        let nameless = builder.enumeration(b"", 4, false, values).unwrap();
        builder.typedef(b"alias", nameless).unwrap();
        structure(builder, "holder", 4, &[member("kind", nameless, 0)]);
    });
    assert_eq!(
        pair.text(&[])
            .lines()
            .filter(|line| line.starts_with('~'))
            .count(),
        3
    );
    assert_eq!(pair.diff(&["--breaking"]).success().stdout, "");
    let back = diff(&["--breaking"], &pair.new, &pair.old).stdout;
    assert_eq!(back.lines().filter(|line| line.starts_with('~')).count(), 3);
}

#[test]
fn enumerations_without_a_name_break_others() {
    for is_gone in [false, true] {
        let pair = Pair::new(|builder, is_new| {
            let values: [(&[u8], u64); 2] = [(b"A", 0), (b"B", 1 + u64::from(is_new))];
            if !(is_new && is_gone) {
                builder.enumeration(b"", 4, false, &values).unwrap();
            }
        });
        let outcome = pair.diff(&["--breaking"]);
        assert_eq!(outcome.status, Some(1), "{outcome}");
    }
}

#[test]
fn elements_that_have_moved_break_others() {
    let pair = Pair::new(|builder, is_new| {
        let number = number(builder);
        let all = [
            member("a", number, 0),
            member("b", number, 32),
            member("c", number, 64),
        ];
        let count = 2 + usize::from(is_new);
        let size = if is_new { 12 } else { 8 };
        let element = structure(builder, "", size, &all[..count]);
        let list = builder.array(element, number, 0).unwrap();
        let members = [member("n", number, 0), member("e", list, 32)];
        structure(builder, "flex", 4, &members);
    });
    let expect = "~ struct flex\n  ~       4       4  struct {…} e[0];  elements 8 -> 12 bytes\n  +              12  int e[].c;\n";
    assert_eq!(pair.text(&["--breaking", "flex"]), expect);
    let changed = &pair.json("flex")["members"][0];
    assert_eq!(changed["change"], "resized");
    assert_eq!(changed["old"]["element_size"], 8);
    assert_eq!(changed["new"]["element_size"], 12);
}

#[test]
fn a_qualifier_is_written_once() {
    let pair = Pair::new(|builder, is_new| {
        let number = number(builder);
        let element = builder.qualifier(Kind::Const, number).unwrap();
        let size = if is_new { 4 } else { 2 };
        let array = builder.array(element, number, size).unwrap();
        let array = builder.qualifier(Kind::Const, array).unwrap();
        let members = [member("name", array, 0)];
        structure(builder, "s", 4 * size, &members);
    });
    let change = pair.json("s");
    assert_eq!(
        change["members"][0]["new"]["type"], "const int [4]",
        "{change}"
    );
}

#[test]
fn another_width_is_another_size() {
    let pair = Pair::new(|builder, is_new| {
        let number = builder.int(b"int", 4, 0).unwrap();
        let bits = |name, bit_offset, bitfield_size| MemberSpec {
            bitfield_size,
            ..member(name, number, bit_offset)
        };
        let width = 3 + u8::from(is_new);
        let members = [bits("a", 0, width), bits("b", width.into(), 5)];
        structure(builder, "s", 4, &members);
    });
    let expect = "~ struct s\n  -     0:0          int a:3;\n  +             0:0  int a:4;\n  ~     0:3     0:4  int b:5;  moved by +1 bits\n";
    assert_eq!(pair.text(&[]), expect);
    let members = &pair.json("s")["members"];
    assert_eq!(
        (&members[0]["change"], &members[1]["change"]),
        (&"resized".into(), &"moved".into())
    );
    assert_eq!(pair.diff(&["--breaking"]).status, Some(1));
}

#[test]
fn consequences_can_be_hidden() {
    // Of two structures that hold one which grows, one gets another alignment, too.
    let pair = Pair::new(|builder, is_new| {
        let number = number(builder);
        let grown = u32::from(is_new) * 32;
        let inner = [member("a", number, 0), member("b", number, 32)];
        let inner = structure(
            builder,
            "inner",
            4 + grown / 8,
            &inner[..=usize::from(is_new)],
        );
        let long = builder.int(b"long", 8, int::SIGNED).unwrap();
        let holder = [
            member("head", number, 0),
            member("in", inner, 32),
            member("z", number, 64 + grown),
            // Aligned, so that it moves further or not at all.
            member("l", long, 128),
            member("tail", number, 192),
        ];
        structure(builder, "holder", 32, &holder);
        let moved = member("z", number, 64 + 4 * grown);
        let aligned = [holder[0], holder[1], moved];
        structure(builder, "aligned", 12 + 4 * grown / 8, &aligned);
        let outer = [holder[1], member("z", number, 64 + grown)];
        structure(builder, "grown", 12 + grown / 8, &outer);
    });
    let names = |args: &[&str]| {
        let text = pair.text(args);
        let titles = text
            .lines()
            .filter_map(|line| line.strip_prefix("~ struct "));
        let names = titles.map(|title| title.split(':').next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["aligned", "grown", "holder", "inner"]);
    assert_eq!(names(&["--direct"]), ["aligned", "inner"]);
}

#[test]
fn enumerations_are_told_enumerator_by_enumerator() {
    let pair = Pair::new(|builder, is_new| {
        let values: [(&[u8], u64); 3] = [(b"A", 0), (b"B", 1 + u64::from(is_new)), (b"C", 9)];
        let values = &values[..2 + usize::from(is_new)];
        let nameless = builder.enumeration(b"", 4, false, values).unwrap();
        builder.typedef(b"alias", nameless).unwrap();
        let number = number(builder);
        let members = [member("kind", nameless, 0), member("n", number, 32)];
        structure(builder, "holder", 8, &members);
        builder.var(b"mode", nameless, linkage::GLOBAL).unwrap();
    });
    insta::assert_snapshot!(pair.text(&[]), @r"
    ~ struct holder
      ~       0       0  enum {…} kind;
        - B = 1
        + B = 2
        + C = 9
    ~ typedef alias
      - B = 1
      + B = 2
      + C = 9
    ~ var mode
      - B = 1
      + B = 2
      + C = 9
    ");
    let told = |values: &Value| {
        let values = values.as_array().unwrap().iter();
        let words: Vec<_> = values
            .map(|value| value["change"].as_str().unwrap())
            .collect();
        assert_eq!(words, ["revalued", "added"]);
    };
    told(&pair.json("alias")["enumerators"]);
    let holder = pair.json("holder");
    assert_eq!(holder["members"][0]["change"], "revalued");
    told(&holder["members"][0]["enumerators"]);
}

#[test]
fn tags_of_types_count_if_they_shall() {
    let pair = Pair::new(|builder, is_new| {
        let number = number(builder);
        let target = if is_new {
            number
        } else {
            builder.type_tag(b"user", number, false).unwrap()
        };
        let pointer = builder.ptr(target).unwrap();
        structure(builder, "s", 8, &[member("p", pointer, 0)]);
        let proto = builder.func_proto(number, &[(b"p", pointer)]).unwrap();
        builder.func(b"f", proto, linkage::GLOBAL).unwrap();
    });
    assert_eq!(pair.diff(&[]).success().stdout, "");
    insta::assert_snapshot!(pair.text(&["--tags"]), @r#"
    ~ struct s
      -       0          __attribute__((btf_type_tag("user"))) int *p;
      +               0  int *p;
    ~ func f
      - int f(__attribute__((btf_type_tag("user"))) int *p)
      + int f(int *p)
    "#);
}

#[test]
fn a_sign_counts_where_both_sides_tell_it() {
    let pair = |tells: bool| {
        Pair::new(move |builder, is_new| {
            let value = if is_new { 0xffff_ffff } else { u64::MAX };
            let values: [(&[u8], u64); 1] = [(b"M", value)];
            builder.enumeration(b"e", 4, !is_new, &values).unwrap();
            if tells {
                let values: [(&[u8], u64); 1] = [(b"L", 1 << 32)];
                builder.enum64(b"large", 8, false, &values).unwrap();
            }
        })
    };
    assert_eq!(
        pair(true).text(&[]),
        "~ enum e\n  - M = -1\n  + M = 4294967295\n"
    );
    // Older encoders wrote all values alike.
    assert_eq!(pair(false).diff(&[]).success().stdout, "");
}

/// Structures of a few bytes each, which hold a tower of unnamed ones that doubles on each floor.
fn towers(size: u32) -> Vec<u8> {
    let mut builder = Builder::new();
    let number = number(&mut builder);
    let mut floor = structure(&mut builder, "", 4, &[member("x", number, 0)]);
    for _ in 0..12 {
        let members = [member("l", floor, 0), member("r", floor, 0)];
        floor = structure(&mut builder, "", 4, &members);
    }
    for index in 0..2000 {
        let name = format!("s{index}");
        structure(&mut builder, &name, size, &[member("m", floor, 0)]);
    }
    bytes(&builder)
}

#[test]
fn unnamed_structures_have_a_budget() {
    let dir = TestDir::new();
    let (old, new) = (
        dir.write("old.btf", &towers(4)),
        dir.write("new.btf", &towers(8)),
    );
    let empty = dir.write("empty.btf", &bytes(&Builder::new()));
    for (old, new) in [(&old, &new), (&empty, &new)] {
        for args in [&[][..], &["--summary"], &["--json"], &["--html"]] {
            let outcome = run_within(MEMORY_KIB / 2, &ours("btf-dump"), words(args, old, new));
            assert_eq!(outcome.status, Some(1), "{outcome}");
        }
    }
    let outcome = diff(&["s7"], &old, &new);
    assert!(outcome.stderr.contains("too many unnamed"), "{outcome}");
    assert!(outcome.stdout.contains("too many unnamed"), "{outcome}");
}

#[test]
fn definitions_of_one_name_take_no_longer_than_those_of_many() {
    let pair = Pair::new(|builder, is_new| {
        for index in 0..100_000 {
            let size = index + (u32::from(is_new) << 24);
            structure(builder, "a", size, &[]);
        }
    });
    let outcome = pair.diff(&["--summary"]);
    assert!(outcome.stdout.contains("100000"), "{outcome}");
    // Seconds; quadratic, minutes.
    assert!(outcome.elapsed.as_secs() < 20, "{outcome}");
    drop(pair.dir);
}

#[test]
fn nothing_in_many_unnamed_structures_takes_no_time() {
    let pair = Pair::new(|builder, is_new| {
        let number = number(builder);
        let mut floor = structure(builder, "", 0, &[]);
        for _ in 0..30 {
            floor = structure(
                builder,
                "",
                0,
                &[member("", floor, 0), member("", floor, 0)],
            );
        }
        let name = if is_new { "new" } else { "old" };
        let members = [member(name, number, 0), member("", floor, 32)];
        structure(builder, "s", 4, &members);
    });
    for args in [
        &[][..],
        &["--json"],
        &["--html"],
        &["--breaking"],
        &["--direct"],
    ] {
        assert_eq!(pair.diff(args).status, Some(1));
    }
}

//! Goal: `btf-link merge` makes one BTF of many, with each type once and nothing lost, whatever the order of files and the number
//! of threads.
//! Method: small BTF that is built here, so that the result is known; the corpus, merged with itself; bpftool as a second reader.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use btf_core::builder::{MemberSpec, WriteOptions};
use btf_core::wire::int;
use btf_core::{Btf, Builder, ByteOrder, Kind, TypeId};
use btf_tests::program::{Outcome, TestDir, ours, peer, run};

fn link<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Outcome {
    run(&ours("btf-link"), args)
}

fn write(dir: &TestDir, name: &str, builder: &Builder) -> PathBuf {
    let bytes = builder.write(ByteOrder::Little, WriteOptions::default());
    dir.write(name, &bytes.unwrap())
}

fn read(path: &std::path::Path, base: Option<Arc<Btf>>) -> Btf {
    Btf::parse(&std::fs::read(path).unwrap(), base).unwrap()
}

fn member(name: &[u8], ty: TypeId) -> MemberSpec<'_> {
    MemberSpec {
        name,
        ty,
        ..MemberSpec::default()
    }
}

/// `struct list { TYPE value; struct list *next; }` and a pointer to `struct other`, which is only declared.
fn list(value: &[u8]) -> Builder {
    let mut builder = Builder::new();
    let int = builder.int(value, 4, int::SIGNED).unwrap();
    let list = TypeId(builder.next_id().0 + 1);
    let ptr = builder.ptr(list).unwrap();
    let mut next = member(b"next", ptr);
    next.bit_offset = 64;
    builder
        .composite(Kind::Struct, b"list", 16, &[member(b"value", int), next])
        .unwrap();
    let other = builder.fwd(b"other", false).unwrap();
    builder.ptr(other).unwrap();
    builder
}

#[test]
fn equal_types_are_one_and_declarations_are_completed() {
    let dir = TestDir::new();
    let mut second = list(b"int");
    second.composite(Kind::Struct, b"other", 8, &[]).unwrap();
    let files = [
        write(&dir, "a", &list(b"int")),
        write(&dir, "b", &second),
        dir.path("out"),
    ];
    let outcome = link([
        "merge".as_ref(),
        files[0].as_os_str(),
        files[1].as_os_str(),
        "-o".as_ref(),
        files[2].as_os_str(),
    ])
    .success();
    assert!(
        outcome.stderr.starts_with("2 inputs, 11 types"),
        "{}",
        outcome.stderr
    );
    let merged = read(&files[2], None);
    // int, struct list and the pointer to it, struct other and the pointer to it.
    assert_eq!(merged.end_id(), 6);
    assert_eq!(merged.find_by_name(b"other").count(), 1);
    if let Some(bpftool) = peer("bpftool") {
        let dump = run(
            &bpftool,
            ["btf", "dump", "file", files[2].to_str().unwrap()],
        )
        .success();
        assert!(!dump.stdout.contains("FWD"), "{dump}");
    }
}

#[test]
fn different_types_of_one_name_stay() {
    let dir = TestDir::new();
    let files = [
        write(&dir, "a", &list(b"int")),
        write(&dir, "b", &list(b"__s32")),
    ];
    let mut outputs = Vec::new();
    for (name, order, threads) in [("1", [0, 1], "1"), ("2", [0, 1], "3"), ("3", [1, 0], "2")] {
        let out = dir.path(name);
        let args = [files[order[0]].as_os_str(), files[order[1]].as_os_str()];
        let args = ["merge", "-q", "-j", threads, "--sort", "-o"]
            .map(std::ffi::OsStr::new)
            .into_iter()
            .chain([out.as_os_str()])
            .chain(args);
        let _ = link(args).success();
        outputs.push(read(&out, None));
    }
    for merged in &outputs {
        assert!(merged.is_sorted());
        assert_eq!(merged.find_by_name(b"list").count(), 2);
        assert_eq!(merged.end_id(), 9);
    }
    assert_eq!(outputs[0].words(), outputs[1].words());
}

#[test]
fn of_a_base_only_what_is_needed_is_written() {
    let dir = TestDir::new();
    let mut base = list(b"int");
    let page = base.composite(Kind::Struct, b"page", 64, &[]).unwrap();
    base.decl_tag(b"tagged", page, -1, false).unwrap();
    base.typedef(b"unused_t", page).unwrap();
    let base_path = write(&dir, "vmlinux", &base);
    let base = Arc::new(base.finish().unwrap());
    let module = |name: &[u8]| {
        let mut split = Builder::with_base(Arc::clone(&base));
        split
            .composite(Kind::Struct, name, 64, &[member(b"page", page)])
            .unwrap();
        split.typedef(b"common_t", page).unwrap();
        split
    };
    let modules = [
        write(&dir, "a.ko", &module(b"a")),
        write(&dir, "b.ko", &module(b"b")),
    ];
    let merge = |more: &[&str]| {
        let out = dir.path("out");
        let args = ["merge", "-q", "-o", out.to_str().unwrap()];
        let files = modules.iter().map(|path| path.to_str().unwrap());
        let _ = link(args.into_iter().chain(files).chain(more.iter().copied())).success();
        out
    };

    // Alone: page, a, b, common_t and the tag. The base is found in the folder.
    let alone = read(&merge(&[]), None);
    assert_eq!(alone.end_id(), 6);
    assert_eq!(alone.find_by_name(b"tagged").count(), 1);
    assert_eq!(alone.find_by_name(b"unused_t").count(), 0);

    // With the base: all of it.
    let all = read(&merge(&[base_path.to_str().unwrap()]), None);
    assert_eq!(all.end_id(), 12);

    // On top of it: a, b and common_t.
    let split = read(
        &merge(&["--base", base_path.to_str().unwrap()]),
        Some(Arc::clone(&base)),
    );
    assert_eq!(split.end_id() - split.first_id(), 3);
}

#[test]
fn which_module_comes_first_says_nothing_about_a_declaration() {
    let dir = TestDir::new();
    let mut base = Builder::new();
    let int = base.int(b"int", 4, int::SIGNED).unwrap();
    let base_path = write(&dir, "vmlinux", &base);
    let base = Arc::new(base.finish().unwrap());
    // Each module has its own `struct slot`, and so its own `struct bus { struct slot *slot; }`; the third only knows its name.
    let module = |slot_size: Option<u32>| {
        let mut split = Builder::with_base(Arc::clone(&base));
        let bus = if let Some(size) = slot_size {
            let members = [member(b"first", int)];
            let slot = split
                .composite(Kind::Struct, b"slot", size, &members)
                .unwrap();
            let slot = member(b"slot", split.ptr(slot).unwrap());
            split.composite(Kind::Struct, b"bus", 8, &[slot]).unwrap()
        } else {
            split.fwd(b"bus", false).unwrap()
        };
        let bus = member(b"bus", split.ptr(bus).unwrap());
        split.composite(Kind::Struct, b"user", 8, &[bus]).unwrap();
        split
    };
    let files = [
        base_path,
        write(&dir, "a.ko", &module(Some(4))),
        write(&dir, "b.ko", &module(Some(8))),
        write(&dir, "c.ko", &module(None)),
    ];
    for order in [[0, 1, 2, 3], [0, 2, 1, 3], [3, 2, 1, 0]] {
        let out = dir.path("out");
        let args = ["merge", "-q", "-o", out.to_str().unwrap()];
        let files = order.iter().map(|&index| files[index].to_str().unwrap());
        let _ = link(args.into_iter().chain(files)).success();
        let merged = read(&out, None);
        let declared = merged.find_by_name(b"bus");
        let kinds = declared.map(|id| merged.ty(id).unwrap().kind().unwrap());
        assert_eq!(kinds.filter(|&kind| kind == Kind::Fwd).count(), 1);
        assert_eq!(merged.find_by_name(b"user").count(), 3);
        assert_eq!(merged.end_id(), 1 + 1 + 2 * 5 + 3);
    }
}

#[test]
fn many_files_come_from_lists_and_folders() {
    let dir = TestDir::new();
    let files: Vec<_> = (0..40)
        .map(|n| {
            write(
                &dir,
                &format!("{n}.btf"),
                &list(format!("int{}", n % 4).as_bytes()),
            )
        })
        .collect();
    let names: Vec<_> = files.iter().map(|path| path.to_str().unwrap()).collect();
    let list = dir.write("list.txt", names.join("\n").as_bytes());
    let out = dir.path("out.json-summary");
    let at_list = format!("@{}", list.display());
    let outcome = link([
        "merge",
        "--json",
        "-o",
        out.to_str().unwrap(),
        "--files-from",
        list.to_str().unwrap(),
        &at_list,
    ])
    .success();
    let summary: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(summary["inputs"], 80);
    assert_eq!(summary["types_in"], 400);
    // Four lists, and the declaration with the pointer to it.
    assert_eq!(summary["types"], 14);
}

#[test]
fn what_cannot_be_merged_is_refused_and_nothing_written() {
    let dir = TestDir::new();
    let good = write(&dir, "good", &list(b"int"));
    let big = list(b"int").write(ByteOrder::Big, WriteOptions::default());
    let big = dir.write("big", &big.unwrap());
    let mut dangling = Builder::new();
    dangling.ptr(TypeId(7)).unwrap();
    let dangling = write(&dir, "dangling", &dangling);
    let cut = std::fs::read(&good).unwrap();
    let cut = dir.write("cut", &cut[..40]);
    let out = dir.write("out", b"old");
    for (bad, expect) in [
        (&big, "byte order is big"),
        (&dangling, "no such type id: 7"),
        (&cut, "truncated"),
        (&dir.path("missing"), "missing"),
    ] {
        let paths = [&good, bad, &out].map(|path| path.to_str().unwrap());
        let outcome = link(["merge", paths[0], paths[1], "-o", paths[2]]);
        assert_eq!(outcome.status, Some(2), "{outcome}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
        assert!(outcome.stderr.contains(expect), "{outcome}");
        assert_eq!(std::fs::read(&out).unwrap(), b"old");
    }
}

#[test]
fn what_two_compilers_spell_differently_becomes_one() {
    let dir = TestDir::new();
    let object = |name: &str| {
        let path = btf_tests::corpus::root().join("bpf/unify");
        path.join(format!("{name}.o"))
    };
    let merge = |names: &[&str], canonical: bool| {
        let out = dir.path("out");
        let objects: Vec<_> = names.iter().map(|name| object(name)).collect();
        let mut args = vec![
            "merge".as_ref(),
            "-q".as_ref(),
            "-o".as_ref(),
            out.as_os_str(),
        ];
        args.extend(objects.iter().map(|path| path.as_os_str()));
        args.extend(canonical.then_some("--canonical".as_ref() as &std::ffi::OsStr));
        let _ = link(args).success();
        read(&out, None)
    };
    let pairs = [
        ["gcc-a", "gcc-b"],
        ["clang-a", "clang-b"],
        ["gcc-a", "clang-b"],
        ["clang-a", "gcc-b"],
    ];
    let counts = pairs.map(|pair| merge(&pair, true).end_id());
    assert_eq!(counts, [counts[0]; 4]);
    let plain = pairs.map(|pair| merge(&pair, false).end_id());
    assert!(
        plain[2] > counts[0] + 20 && plain[3] > counts[0] + 20,
        "{plain:?}"
    );
    let all = merge(&["gcc-a", "clang-a", "gcc-b", "clang-b"], true);
    assert_eq!(all.end_id(), counts[0]);
    assert_eq!(all.find_by_name(b"__ARRAY_SIZE_TYPE__").count(), 1);
    assert!(btf_core::validate::validate(&all, btf_core::validate::Profile::Structural).is_empty());
}

#[test]
fn why_a_name_has_several_definitions_is_told() {
    let dir = TestDir::new();
    let files = [
        write(&dir, "a", &list(b"int")),
        write(&dir, "b", &list(b"int")),
        write(&dir, "c", &list(b"__s32")),
    ];
    let mut args = vec!["merge", "-q", "--explain", "list"];
    args.extend(files.iter().map(|path| path.to_str().unwrap()));
    let outcome = link(&args).success();
    let text = outcome.stdout.replace(dir.path("").to_str().unwrap(), "");
    let expect = "\
`list`: 2 definitions
[3] STRUCT, in a, b
[8] STRUCT, in c
  member `value`, [3] has INT `int`, 4 bytes
  member `value`, [8] has INT `__s32`, 4 bytes
";
    assert_eq!(text, expect);
    args.push("--json");
    let outcome = link(&args).success();
    let line = outcome.stdout.lines().nth(1).unwrap();
    let second: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(second["path"], serde_json::json!(["member `value`"]));
    assert_eq!(second["inputs"].as_array().unwrap().len(), 1);
    args[3] = "l?s*";
    let by_pattern = link(&args).success().stdout;
    assert!(
        by_pattern
            .lines()
            .take(2)
            .eq(outcome.stdout.lines().take(2))
    );
    args.pop();
    args[3] = "/int/";
    // `int` and its like have one definition each: that is an answer, and a good one.
    let none = link(&args);
    assert_eq!((none.status, &*none.stdout), (Some(0), ""), "{none}");
    args.remove(1);
    let none = link(&args);
    assert!(
        none.stderr
            .starts_with("no name that matches `/int/` has several definitions\n"),
        "{none}"
    );
    for nothing in ["nowhere", "nowhere*"] {
        args[2] = nothing;
        let outcome = link(&args);
        assert_eq!(outcome.status, Some(1), "{outcome}");
        let expect = format!("nothing is called `{nothing}`\n");
        assert!(outcome.stderr.contains(&expect), "{outcome}");
    }
}

#[test]
fn what_is_only_named_is_its_definition() {
    let dir = TestDir::new();
    let unit = |linkage: u32, name: &[u8], listed: bool| {
        let mut builder = Builder::new();
        let int = builder.int(b"int", 4, int::SIGNED).unwrap();
        let proto = builder.func_proto(int, &[(name, int)]).unwrap();
        let func = builder.func(b"f", proto, linkage).unwrap();
        builder.decl_tag(b"tag", func, -1, false).unwrap();
        builder.var(b"v", int, linkage).unwrap();
        if listed {
            let entry = btf_core::types::VarSecinfo {
                ty: func,
                offset: 0,
                size: 0,
            };
            builder.datasec(b".ksyms", 4, &[entry]).unwrap();
        }
        builder
    };
    let defined = write(&dir, "defined", &unit(1, b"x", false));
    for (listed, expect) in [(false, 6), (true, 9)] {
        let named = write(&dir, "named", &unit(2, b"", listed));
        let out = dir.path("out");
        let paths = [&named, &defined, &out].map(|path| path.to_str().unwrap());
        let _ = link(["merge", "-q", paths[0], paths[1], "-o", paths[2]]).success();
        let merged = read(&out, None);
        // int, the prototype, f, v and the tag; and those of what a section lists, but for the variable.
        assert_eq!(merged.end_id(), expect + u32::from(listed), "{listed}");
        assert_eq!(merged.find_by_name(b"v").count(), 1);
    }
}

#[test]
fn what_is_read_is_not_replaced() {
    let dir = TestDir::new();
    std::fs::create_dir(dir.path("in")).unwrap();
    write(&dir, "in/a", &list(b"int"));
    let object = btf_tests::corpus::root().join("bpf/clang/user.o");
    std::fs::copy(object, dir.path("in/user.o")).unwrap();
    let numbers = {
        let mut builder = Builder::new();
        builder.int(b"int", 4, int::SIGNED).unwrap();
        builder
    };
    write(&dir, "split.base", &numbers);
    let base = read(&dir.path("split.base"), None);
    let mut split = Builder::with_base(Arc::new(base));
    split.typedef(b"number", TypeId(1)).unwrap();
    let split = write(&dir, "split", &split);
    std::fs::copy(&split, dir.path("in/split")).unwrap();
    let text = format!("{}\n{}\n", dir.path("in/a").display(), split.display());
    let names = dir.write("names", text.as_bytes());
    let at_names = format!("@{}", names.display());
    let [folder, a] = ["in", "in/a"].map(|name| dir.path(name));
    // An object in a folder is no output of an earlier run, nor is what needs a base; the base is found, not named.
    let cases: [(&[&std::ffi::OsStr], &str); 6] = [
        (&["merge".as_ref(), folder.as_ref()], "in/user.o"),
        (&["merge".as_ref(), folder.as_ref()], "in/split"),
        (&["merge".as_ref(), split.as_ref()], "split.base"),
        (
            &[
                "prune".as_ref(),
                split.as_ref(),
                "--keep".as_ref(),
                "number".as_ref(),
            ],
            "split.base",
        ),
        (
            &[
                "merge".as_ref(),
                a.as_ref(),
                "--files-from".as_ref(),
                names.as_ref(),
            ],
            "names",
        ),
        (&["merge".as_ref(), at_names.as_ref()], "names"),
    ];
    for (args, name) in cases {
        let out = dir.path(name);
        let before = std::fs::read(&out).unwrap();
        let refused = link(args.iter().copied().chain(["-o".as_ref(), out.as_ref()]));
        assert_eq!(refused.status, Some(2), "{args:?}: {refused}");
        assert!(
            refused.stderr.contains("would replace")
                || refused.stderr.contains("would be replaced"),
            "{refused}"
        );
        assert!(std::fs::read(&out).unwrap() == before, "{args:?}");
    }
}

#[test]
fn what_an_earlier_run_wrote_into_a_folder_is_no_input() {
    let dir = TestDir::new();
    let folder = dir.path("in");
    std::fs::create_dir(&folder).unwrap();
    write(&dir, "in/a", &list(b"int"));
    write(&dir, "in/b", &list(b"__s32"));
    let out = dir.path("in/out");
    let merge = |options: &[&str]| {
        let words = ["merge".as_ref(), folder.as_os_str()].into_iter();
        let words = words.chain(["-o".as_ref(), out.as_os_str()]);
        link(words.chain(options.iter().map(std::ffi::OsStr::new)))
    };
    let first = merge(&[]).success();
    let bytes = std::fs::read(&out).unwrap();
    assert!(first.stderr.starts_with("2 inputs, "), "{first}");
    let again = merge(&[]).success();
    let note = format!(
        "{}: left out, as it is the output\n2 inputs, ",
        out.display()
    );
    assert!(again.stderr.contains(&note), "{again}");
    assert_eq!(merge(&["-q"]).success().stderr, "");
    assert!(std::fs::read(&out).unwrap() == bytes);
    // Who names it wants it, which nobody can have.
    let args = [
        "merge".as_ref(),
        folder.as_os_str(),
        out.as_os_str(),
        "-o".as_ref(),
        out.as_os_str(),
    ];
    let named = link(args);
    assert_eq!(named.status, Some(2), "{named}");
    assert!(
        named.stderr.contains("the input is also the output"),
        "{named}"
    );
    // By another name it is the same file.
    std::os::unix::fs::symlink(&out, dir.path("in/link")).unwrap();
    let linked = merge(&[]).success();
    assert!(linked.stderr.contains("\n2 inputs, "), "{linked}");
    for name in ["in/a", "in/b", "in/link"] {
        std::fs::remove_file(dir.path(name)).unwrap();
    }
    let alone = merge(&[]);
    assert_eq!(alone.status, Some(2), "{alone}");
    assert!(
        alone
            .stderr
            .contains("no file with BTF in this folder but the output"),
        "{alone}"
    );
}

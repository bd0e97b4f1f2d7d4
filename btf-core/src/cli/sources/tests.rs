use super::blobs::{end_of_btf, end_of_ext, split};
use super::*;
use crate::builder::{Builder, WriteOptions};
use crate::ext::{Block, FuncInfo};
use crate::wire::int;
use crate::{ByteOrder, StrOffset, TypeId};

/// Standalone BTF with as many integers, whose names start with `prefix`.
fn whole(prefix: &str, count: usize, order: ByteOrder) -> Vec<u8> {
    let mut builder = Builder::new();
    for number in 0..count {
        let name = format!("{prefix}{number}");
        builder.int(name.as_bytes(), 4, int::SIGNED).unwrap();
    }
    builder.write(order, WriteOptions::default()).unwrap()
}

#[test]
fn simple_btf_of_either_order_is_read_to_where_it_stays() {
    // More words than are read at once.
    let count = 10_000;
    let read = [ByteOrder::Little, ByteOrder::Big].map(|order| {
        let folder = folder(&[("btf", &whole("number", count, order))]);
        let path = folder.path().join("btf");
        let mut memory = crate::reader::Memory::default();
        let (_, again) = files::read_again(&path, &mut memory).unwrap();
        assert!(memory.bytes.is_empty(), "it is not so simple");
        let plain = files::read_plain(&path).unwrap();
        assert_eq!(plain.words(), again.words());
        assert_eq!(again.byte_order(), order);
        again.words().to_vec()
    });
    assert_eq!(read[0], read[1]);
    assert_eq!(read[0].len(), 4 * count);
}

#[test]
fn beside_raw_btf_only_a_distilled_base_is_its_own() {
    let numbers = whole("number", 3, ByteOrder::Little);
    let kernel = {
        let mut builder = Builder::from_owned(Btf::parse(&numbers, None).unwrap());
        builder.ptr(TypeId(1)).unwrap();
        let options = WriteOptions::default();
        builder.write(ByteOrder::Little, options).unwrap()
    };
    for (base, is_own) in [(&numbers, true), (&kernel, false)] {
        let split = continuation(base);
        let folder = folder(&[("split", &split), ("split.base", base), ("kernel", base)]);
        let [split, kernel] = ["split", "kernel"].map(|name| folder.path().join(name));
        let found = open(std::slice::from_ref(&split), Some(&kernel)).unwrap();
        assert_eq!(found[0].has_own_base(), is_own);
        if !is_own {
            assert_eq!(found[0].base, Base::File(kernel));
        }
    }
}

/// BTF that continues `base`: typedefs of its last integer.
fn continuation(base: &[u8]) -> Vec<u8> {
    let base = Arc::new(Btf::parse(base, None).unwrap());
    let last = TypeId(base.end_id() - 1);
    let mut builder = Builder::with_base(base);
    for name in [b"first_alias", b"other_alias"] {
        builder.typedef(name, last).unwrap();
    }
    let options = WriteOptions::default();
    builder.write(ByteOrder::Little, options).unwrap()
}

/// A folder with these files, and the paths of those whose names are asked for.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

/// The titles of what is found, without the folder, each with the number of types and the base.
fn found(folder: &Path, names: &[&str], base: Option<&str>) -> Vec<String> {
    let paths: Vec<_> = names.iter().map(|name| folder.join(name)).collect();
    let base = base.map(|base| folder.join(base));
    let prefix = format!("{}/", folder.display());
    let sources = match open(&paths, base.as_deref()) {
        Ok(sources) => sources,
        Err(error) => return vec![chain(&error).replace(&prefix, "")],
    };
    let describe = |source: &Source| {
        let count = source.btf.records().len();
        let text = format!("{} {count} {:?}", source.title(), source.base);
        text.replace(&prefix, "")
    };
    sources.iter().map(describe).collect()
}

/// The error with its causes, as the program prints it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

#[test]
fn pasted_blobs_are_told_apart() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let (one, two) = (whole("a", 3, order), whole("b", 5, order));
        for padding in [0, 1, 7, 64] {
            let bytes = [&one[..], &vec![0; padding], &two, &[0, 0, 0]].concat();
            let offsets: Vec<_> = split(&bytes, end_of_btf)
                .iter()
                .map(|(offset, blob)| (*offset, blob.len()))
                .collect();
            let second = one.len() + padding;
            assert_eq!(offsets, [(0, second), (second as u64, two.len() + 3)]);
        }
        let none: &[u8] = &[];
        assert_eq!(split(&[], end_of_btf), [(0, none)]);
        // What follows is no BTF.
        let bytes = [&one[..], b"\x9f\xea"].concat();
        assert_eq!(split(&bytes, end_of_btf).len(), 1);
    }
}

#[test]
fn pasted_ext_sections_are_told_apart() {
    let ext = BtfExt {
        func_info: vec![Block {
            section: StrOffset(0),
            records: vec![FuncInfo::default()],
        }],
        ..BtfExt::default()
    };
    let bytes = ext.write(ByteOrder::Big).unwrap();
    let offsets: Vec<_> = split(&bytes.repeat(3), end_of_ext)
        .iter()
        .map(|(offset, blob)| (*offset, blob.len()))
        .collect();
    let len = bytes.len() as u64;
    assert_eq!(offsets, [0, len, 2 * len].map(|at| (at, bytes.len())));
}

#[test]
fn each_blob_is_a_source() {
    let one = whole("a", 3, ByteOrder::Little);
    let folder = folder(&[("two", &[&one[..], &one].concat())]);
    let expect = [
        "two: blob 1 of 2, at 0x0 3 None",
        &format!("two: blob 2 of 2, at {:#x} 3 None", one.len()),
    ];
    assert_eq!(found(folder.path(), &["two"], None), expect);
}

#[test]
fn the_base_is_named_given_or_above() {
    let base = whole("base", 40, ByteOrder::Little);
    let other = whole("otherwise", 50, ByteOrder::Little);
    let module = continuation(&base);
    let folder = folder(&[
        ("kernel/vmlinux", &base),
        ("kernel/net/a.btf", &module),
        ("lost/b.btf", &module),
        ("lost/vmlinux", &other),
        ("named", &base),
    ]);
    let at = |file: &str| folder.path().join(file).display().to_string();
    let above = format!("kernel/net/a.btf 2 File({:?})", at("kernel/vmlinux"));
    let prefix = format!("{}/", folder.path().display());
    let above = above.replace(&prefix, "");
    assert_eq!(
        found(folder.path(), &["kernel/net/a.btf"], None),
        [above.as_str()]
    );
    let found_lost = |names: &[&str], base| found(folder.path(), names, base);
    assert_eq!(
        found_lost(&["lost/b.btf"], Some("named")),
        ["lost/b.btf 2 File(\"named\")"]
    );
    assert_eq!(
        found_lost(&["lost/b.btf", "named"], None),
        ["lost/b.btf 2 File(\"named\")", "named 40 None"]
    );
    let [error] = &found_lost(&["lost/b.btf"], None)[..] else {
        panic!("one error");
    };
    assert!(
        error.starts_with("lost/b.btf: this is split BTF") && error.contains("`--base FILE`"),
        "{error}"
    );
    assert!(error.contains("does not continue lost/vmlinux"), "{error}");
    let [error] = &found_lost(&["lost/b.btf"], Some("lost/vmlinux"))[..] else {
        panic!("one error");
    };
    assert!(
        error.starts_with("lost/b.btf: does not continue lost/vmlinux, ")
            && error.contains("another build: malformed"),
        "{error}"
    );
}

#[test]
fn a_base_is_not_forced_on_what_stands_alone() {
    let base = whole("base", 40, ByteOrder::Little);
    let folder = folder(&[("vmlinux", &base), ("b", &whole("b", 2, ByteOrder::Big))]);
    assert_eq!(
        found(folder.path(), &["b", "vmlinux"], Some("vmlinux")),
        ["b 2 None", "vmlinux 40 None"]
    );
}

#[test]
fn folders_are_searched_for_btf() {
    let base = whole("base", 40, ByteOrder::Little);
    let module = continuation(&base);
    let folder = folder(&[
        ("btf/vmlinux", &base),
        ("btf/sub/m", &module),
        ("btf/README", b"read me"),
        ("none/README", b"read me"),
    ]);
    std::os::unix::fs::symlink("..", folder.path().join("btf/sub/up")).unwrap();
    let found_in = |name| found(folder.path(), &[name], None);
    assert_eq!(
        found_in("btf"),
        ["btf/sub/m 2 File(\"btf/vmlinux\")", "btf/vmlinux 40 None"]
    );
    assert_eq!(found_in("none"), ["none: no file with BTF in this folder"]);
}

#[test]
fn packed_files_are_counted() {
    let xz = b"\xfd7zXZ\0....";
    let folder = folder(&[
        ("some/vmlinux", &whole("base", 2, ByteOrder::Little)),
        ("some/a.ko.xz", xz),
        ("some/sub/b.ko.xz", xz),
        ("some/text.xz", b"not packed"),
        ("one/c.ko.zst", b"\x28\xb5\x2f\xfd...."),
        ("none/README", b"read me"),
    ]);
    let hint = |name: &str| packed::Packed::find([&*folder.path().join(name)]).hint();
    assert_eq!(
        hint("some").unwrap(),
        "2 files are packed and not looked into; unpack them first, with `unxz --keep FILE`"
    );
    assert_eq!(hint("none"), None);
    assert_eq!(hint("some/a.ko.xz"), None);
    assert_eq!(found(folder.path(), &["some"], None).len(), 1);
    assert_eq!(
        found(folder.path(), &["one"], None),
        [
            "one: no file with BTF in this folder, but 1 file is packed and not looked into; \
             unpack it first, with `unzstd FILE`"
        ]
    );
}

#[test]
fn standard_input_is_read_once() {
    let twice = [STDIN, "file", STDIN].map(PathBuf::from);
    let expect = "`-` is named twice, but standard input can be read once only";
    let error = |result: Result<(), Error>| chain(&result.unwrap_err());
    assert_eq!(error(open(&twice, None).map(drop)), expect);
    assert_eq!(error(open_raw(&twice, None, false).map(drop)), expect);
    assert_eq!(error(blobs(&twice).map(drop)), expect);
    let base = Some(Path::new(STDIN));
    assert_eq!(error(open(&twice[..1], base).map(drop)), expect);
    assert_eq!(error(open_raw(&twice[..1], base, true).map(drop)), expect);
    assert!(check_stdin(&twice[1..]).is_ok());
}

#[test]
fn all_may_be_taken_for_split_btf() {
    let base = whole("base", 40, ByteOrder::Little);
    let other = whole("otherwise", 2, ByteOrder::Little);
    let folder = folder(&[
        ("base", &base),
        ("module", &continuation(&base)),
        ("other", &other),
    ]);
    let at = |name: &str| folder.path().join(name);
    let base_of = |name: &str, base: Option<&str>, all_split| {
        let sources = open_raw(&[at(name)], base.map(at).as_deref(), all_split);
        let [Ok(source)] = &sources.unwrap()[..] else {
            panic!("one source");
        };
        (source.is_split, source.base_btf.is_some())
    };
    assert_eq!(base_of("other", Some("base"), false), (false, false));
    assert_eq!(base_of("other", Some("base"), true), (true, true));
    assert_eq!(base_of("other", None, true), (true, false));
    assert_eq!(base_of("module", Some("base"), false), (true, true));
    let sources = open_raw(&[at("module"), at("other")], None, false).unwrap();
    let error = chain(&sources[0].as_ref().unwrap().no_base());
    assert!(
        error.contains("name it with `--base FILE` (it does not continue "),
        "{error}"
    );
    assert!(error.contains("other"), "{error}");
}

#[test]
fn what_is_no_btf_is_refused() {
    let folder = folder(&[
        ("empty", b""),
        ("text", b"some text"),
        ("xz", b"\xfd7zXZ\0...."),
        ("elf", b"\x7fELF\x02\x01"),
    ]);
    let found = |name| found(folder.path(), &[name], None).remove(0);
    assert_eq!(
        found("empty"),
        "empty: .BTF+0x0: truncated: 24 bytes needed, 0 there"
    );
    assert_eq!(
        found("text"),
        "text: not BTF: magic is 0x6f73, expected 0xeb9f in either byte order"
    );
    assert_eq!(
        found("xz"),
        "xz: not supported: a file that xz has packed; unpack it first"
    );
    assert!(
        found("elf")
            .starts_with("elf: damaged ELF file of 6 bytes: expected an ELF header at 0x0: ")
    );
    assert!(found("missing").starts_with("missing: cannot open the file: "));
}

//! Goal: sections put into ELF files are what other programs read, and nothing else about the files changes.
//! Method: sections are added to and replaced in every object and image of the corpus, in programs that are then run, in a file
//! with more sections than its header can count, and in kernels. Judges: readelf, eu-elflint, objcopy, bpftool, the linker
//! and the loader.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use btf_core::builder::{Builder, WriteOptions};
use btf_core::cli::output;
use btf_core::elf::{NewSection, put_sections};
use btf_core::wire::ByteOrder;
use btf_tests::corpus;
use btf_tests::program::{TestDir, kernels, peer, run};
use dwarf2btf::input::Input;
use object::{Object as _, ObjectSection as _, Section, SectionFlags};

/// BTF with so many pointers.
fn blob(pointers: u32, order: ByteOrder) -> Vec<u8> {
    let mut builder = Builder::new();
    let mut last = builder.int(b"int", 4, 1).unwrap();
    for _ in 0..pointers {
        last = builder.ptr(last).unwrap();
    }
    builder.write(order, WriteOptions::default()).unwrap()
}

/// The file's sections but for those whose contents may change: index and name, header fields, a hash of the contents.
fn others(bytes: &[u8]) -> Vec<String> {
    let file = object::File::parse(bytes).unwrap();
    let changing = [".BTF", ".BTF.base", ".BTF.test", ".shstrtab", ".strtab"];
    let all = file.sections().filter_map(|section| {
        let (index, name) = (section.index().0, section.name().unwrap());
        let (address, align) = (section.address(), section.align());
        let SectionFlags::Elf { sh_type, sh_flags } = section.flags() else {
            panic!("not ELF");
        };
        let place = section.file_range();
        let hash = hash_of(&section);
        let all =
            format!("{index} {name}: {sh_type} {sh_flags} {address:#x} {align} {place:?} {hash:x}");
        (!changing.contains(&name)).then_some(all)
    });
    all.collect()
}

fn hash_of(section: &Section<'_, '_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    section.data().unwrap().hash(&mut hasher);
    hasher.finish()
}

/// Puts the sections into the file at `path` as programs do it.
fn put(path: &Path, sections: &[NewSection<'_>]) {
    let before = fs::read(path).unwrap();
    let input = Input::open(path).unwrap();
    let plan = put_sections(&before, sections).unwrap();
    output::write_with(path, |out| {
        plan.write_to(out, |range| input.release(range))?;
        input.check_unchanged()
    })
    .unwrap();
    let after = fs::read(path).unwrap();
    assert_eq!(others(&before), others(&after), "{}", path.display());
}

/// What a program says about a file on both streams, the file's name left out.
fn words(program: &Path, args: &[&str], path: &Path) -> Vec<String> {
    let args = args.iter().map(std::ffi::OsStr::new);
    let said = run(program, args.chain([path.as_os_str()]));
    let text = format!("{}{}", said.stdout, said.stderr);
    let name = path.display().to_string();
    text.lines()
        .map(|line| line.replace(&name, "FILE"))
        .collect()
}

/// A file's section as objcopy takes it out.
fn taken_out(objcopy: &Path, path: &Path, section: &str, dir: &TestDir) -> Vec<u8> {
    let out = dir.path("taken-out");
    let argument = format!("{section}={}", out.display());
    let args = ["--dump-section", &argument].map(std::ffi::OsStr::new);
    // The copy goes nowhere, as the file is not to be touched.
    let _ = run(
        objcopy,
        args.into_iter()
            .chain([path.as_os_str(), "/dev/null".as_ref()]),
    )
    .success();
    fs::read(out).unwrap()
}

/// Copies of every third file of the corpus, and the byte order of each.
fn copies(dir: &TestDir) -> Vec<(PathBuf, ByteOrder)> {
    let objects = corpus::objects().into_iter().enumerate().step_by(3);
    objects
        .map(|(index, object)| {
            let bytes = fs::read(&object).unwrap();
            let order = if bytes[5] == 1 {
                ByteOrder::Little
            } else {
                ByteOrder::Big
            };
            let name = format!("{index}-{}", corpus::name(&object));
            (dir.write(&name, &bytes), order)
        })
        .collect()
}

#[test]
fn readers_agree_about_every_file() {
    let (Some(readelf), Some(objcopy)) = (peer("llvm-readelf"), peer("llvm-objcopy")) else {
        return;
    };
    let dir = TestDir::new();
    for (path, order) in copies(&dir) {
        let (btf, base) = (blob(3, order), blob(1, order));
        let (shorter, longer) = (blob(2, order), blob(40, order));
        let before = warnings(&words(&readelf, &["-aW"], &path));
        for contents in [&btf, &shorter, &longer, &btf] {
            let sections = [(".BTF", contents), (".BTF.base", &base)];
            put(
                &path,
                &sections.map(|(name, bytes)| NewSection { name, bytes }),
            );
            assert_eq!(&taken_out(&objcopy, &path, ".BTF", &dir), contents);
        }
        assert_eq!(&taken_out(&objcopy, &path, ".BTF.base", &dir), &base);
        let said = words(&readelf, &["-aW"], &path);
        assert_eq!(warnings(&said), before, "{}", path.display());
        let section = said.iter().find(|line| line.contains(" .BTF ")).unwrap();
        assert!(section.contains(" PROGBITS "), "{section}");
        assert!(section.ends_with(" 0   0  8"), "{section}");
    }
}

/// The lines that complain.
fn warnings(lines: &[String]) -> Vec<String> {
    let complains = |line: &&String| {
        let line = line.to_lowercase();
        line.contains("warning") || line.contains("error:")
    };
    lines.iter().filter(complains).cloned().collect()
}

#[test]
fn the_linter_of_elfutils_finds_nothing_new() {
    let Some(lint) = peer("eu-elflint") else {
        return;
    };
    let dir = TestDir::new();
    for (path, order) in copies(&dir) {
        let before = words(&lint, &["--gnu-ld"], &path);
        let btf = blob(3, order);
        put(
            &path,
            &[NewSection {
                name: ".BTF",
                bytes: &btf,
            }],
        );
        let after = words(&lint, &["--gnu-ld"], &path);
        assert_eq!(after, before, "{}", path.display());
    }
}

#[test]
fn the_sections_are_those_that_objcopy_makes() {
    let Some(objcopy) = peer("llvm-objcopy") else {
        return;
    };
    let dir = TestDir::new();
    for (path, order) in copies(&dir) {
        let btf = blob(3, order);
        let (section, theirs) = (dir.write("section", &btf), dir.path("theirs"));
        let argument = format!("--add-section=.BTF={}", section.display());
        let _ = run(
            &objcopy,
            [argument.as_ref(), path.as_os_str(), theirs.as_os_str()],
        )
        .success();
        put(
            &path,
            &[NewSection {
                name: ".BTF",
                bytes: &btf,
            }],
        );
        let contents = |path: &Path| {
            let bytes = fs::read(path).unwrap();
            let file = object::File::parse(&*bytes).unwrap();
            // llvm-objcopy makes symbols, what refers to them, and names anew.
            let stays =
                |name: &str| !name.contains("tab") && !name.starts_with(".rel") && name != ".group";
            let sections = file.sections();
            let contents =
                sections.map(|section| (section.name().unwrap().to_owned(), hash_of(&section)));
            let mut contents: Vec<_> = contents.filter(|(name, _)| stays(name)).collect();
            contents.sort();
            contents
        };
        assert_eq!(contents(&path), contents(&theirs), "{}", path.display());
    }
}

#[test]
fn bpftool_reads_the_types() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    let dir = TestDir::new();
    for (path, order) in copies(&dir).into_iter().take(20) {
        let btf = blob(3, order);
        let raw = dir.write("raw", &btf);
        put(
            &path,
            &[NewSection {
                name: ".BTF",
                bytes: &btf,
            }],
        );
        let dump = ["btf", "dump", "file"];
        assert_eq!(words(&bpftool, &dump, &path), words(&bpftool, &dump, &raw));
    }
}

#[test]
fn programs_still_run_and_link() {
    let Some(cc) = peer("cc") else {
        return;
    };
    let dir = TestDir::new();
    let source = b"#include <stdio.h>\nint main(void) { puts(\"works\"); return 0; }\n";
    let source = dir.write("main.c", source);
    let program = dir.path("main");
    let btf = blob(9, ByteOrder::NATIVE);
    let sections = [NewSection {
        name: ".BTF",
        bytes: &btf,
    }];
    for kind in ["-pie", "-no-pie", "-static"] {
        let args = [
            kind.as_ref(),
            "-g".as_ref(),
            "-o".as_ref(),
            program.as_os_str(),
        ];
        let _ = run(&cc, args.into_iter().chain([source.as_os_str()])).success();
        fs::set_permissions(&program, Permissions::from_mode(0o750)).unwrap();
        put(&program, &sections);
        assert_eq!(run(&program, [""; 0]).success().stdout, "works\n", "{kind}");
        let mode = fs::metadata(&program).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o750);
    }
    let object = dir.path("main.o");
    let args = [
        "-c".as_ref(),
        "-o".as_ref(),
        object.as_os_str(),
        source.as_os_str(),
    ];
    let _ = run(&cc, args).success();
    put(&object, &sections);
    let args = ["-o".as_ref(), program.as_os_str(), object.as_os_str()];
    let _ = run(&cc, args).success();
    assert_eq!(run(&program, [""; 0]).success().stdout, "works\n");
    let linked = fs::read(&program).unwrap();
    let linked = object::File::parse(&*linked).unwrap();
    let section = linked.section_by_name(".BTF").unwrap();
    assert_eq!(section.data().unwrap(), btf);
}

#[test]
fn more_sections_than_the_header_can_count() {
    let (Some(cc), Some(readelf)) = (peer("cc"), peer("llvm-readelf")) else {
        return;
    };
    let dir = TestDir::new();
    let mut source = String::from(".globl last\n");
    for number in 0..66_000 {
        writeln!(source, ".section .s{number},\"a\"\n.byte 7").unwrap();
    }
    source += "last: .byte 1\n";
    let (source, object) = (dir.write("many.s", source.as_bytes()), dir.path("many.o"));
    let args = [
        "-c".as_ref(),
        "-o".as_ref(),
        object.as_os_str(),
        source.as_os_str(),
    ];
    let _ = run(&cc, args).success();
    let symbols = words(&readelf, &["-sW"], &object);
    let btf = blob(9, ByteOrder::NATIVE);
    put(
        &object,
        &[NewSection {
            name: ".BTF",
            bytes: &btf,
        }],
    );
    // The symbols' section indices are in a section of their own.
    assert_eq!(words(&readelf, &["-sW"], &object), symbols);
    let headers = words(&readelf, &["-hSW"], &object);
    assert_eq!(warnings(&headers), [""; 0]);
    assert!(headers.iter().any(|line| line.contains(" .BTF ")));
}

#[test]
fn kernels_keep_all_else() {
    let Some(objcopy) = peer("llvm-objcopy") else {
        return;
    };
    let dir = TestDir::new();
    for kernel in kernels() {
        let path = dir.path("vmlinux");
        fs::copy(&kernel, &path).unwrap();
        let btf = blob(1_000_000, ByteOrder::Little);
        put(
            &path,
            &[NewSection {
                name: ".BTF.test",
                bytes: &btf,
            }],
        );
        assert!(taken_out(&objcopy, &path, ".BTF.test", &dir) == btf);
        let (before, after) = (fs::metadata(&kernel).unwrap(), fs::metadata(&path).unwrap());
        let names_and_padding = 1 << 20;
        assert!(after.len() <= before.len() + btf.len() as u64 + names_and_padding);
    }
}

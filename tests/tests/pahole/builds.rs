//! What kernel builds ask for, release by release.
//!
//! Sources of the command lines, with pahole 1.32: `scripts/pahole-flags.sh` of 5.15 (with and without what its stable
//! releases added), `scripts/Makefile.btf` of mainline 6.9, 6.12 and 7.2 and of the list for what comes next, both scripts as
//! Debian has them (6.1.192, 6.12.117, 7.2.13), `scripts/link-vmlinux.sh`, `scripts/Makefile.modfinal`, `scripts/gen-btf.sh`.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use btf_core::reader::Btf;
use btf_core::{Info, Kind};
use btf_tests::input;
use btf_tests::program::{pahole, run};

use crate::{OBJECTS, Place, difference, object};

/// Flags of kernel builds: where from, the flags, and which features show in the output.
const BUILDS: &[(&str, &str, &str)] = &[
    (
        "5.15",
        "--btf_gen_floats",
        "float enum64 decl_tag type_tag var",
    ),
    (
        "5.15 of Ubuntu",
        "--btf_gen_floats --skip_encoding_btf_enum64",
        "float decl_tag type_tag var",
    ),
    (
        "5.15.y",
        "--btf_gen_floats -j --skip_encoding_btf_enum64",
        "float decl_tag type_tag var",
    ),
    (
        "5.15.y",
        "--btf_gen_floats -j --skip_encoding_btf_enum64 --skip_encoding_btf_inconsistent_proto --btf_gen_optimized",
        "float decl_tag type_tag var",
    ),
    (
        "6.1.y, 6.6.y, and 6.12 for pahole 1.25",
        "--btf_gen_floats -j --lang_exclude=rust --skip_encoding_btf_inconsistent_proto --btf_gen_optimized",
        "float enum64 decl_tag type_tag var",
    ),
    (
        "6.9",
        "-j --btf_features=encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,consistent_func --lang_exclude=rust",
        "float enum64 decl_tag type_tag var",
    ),
    ("6.12", "-j LIST --lang_exclude=rust", DEFAULT),
    ("6.12 of Debian", "-j LIST -j --lang_exclude=rust", DEFAULT),
    (
        "6.12 of Debian, for a reproducible build",
        "-j LIST -j --btf_features=+reproducible_build --lang_exclude=rust",
        DEFAULT,
    ),
    (
        "6.18",
        "-j2 LIST --btf_features=attributes --lang_exclude=rust",
        DEFAULT,
    ),
    (
        "6.18 without jobs",
        "-j LIST --btf_features=attributes",
        DEFAULT,
    ),
    (
        "7.2",
        "-j2 LIST --btf_features=attributes --btf_features=layout --lang_exclude=rust",
        WITH_LAYOUT,
    ),
    (
        "7.2 of Debian, for a reproducible build",
        "-j LIST --btf_features=attributes --btf_features=layout -j --btf_features=+reproducible_build --lang_exclude=rust",
        WITH_LAYOUT,
    ),
    (
        "next",
        "-j --btf_features=encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,consistent_func \
         --btf_features=layout --lang_exclude=rust --btf_features=inline",
        "float enum64 decl_tag type_tag var layout",
    ),
];

const DEFAULT: &str = "float enum64 decl_tag type_tag var decl_tag_kfuncs";
const WITH_LAYOUT: &str = "float enum64 decl_tag type_tag var decl_tag_kfuncs layout";

/// Whether there is an ENUM64, or what came with it: the sign of an ENUM, which older kernels refuse.
fn has_enum64(btfs: &[Arc<Btf>]) -> bool {
    let mut records = btfs.iter().flat_map(|btf| btf.records());
    records.any(|(id, record)| {
        let info = Info(record[1]);
        let is_signed = info.kind() == Some(Kind::Enum) && info.kind_flag();
        assert_ne!(info.kind(), None, "{id}");
        is_signed || info.kind() == Some(Kind::Enum64)
    })
}

/// The features that show in these, in the order of [`BUILDS`].
fn features(btfs: &[Arc<Btf>]) -> String {
    let has_kind = |kind| {
        let infos = btfs.iter().flat_map(|btf| btf.types());
        infos.into_iter().any(|(_, ty)| ty.kind() == Some(kind))
    };
    let has_name = |name: &[u8]| {
        btfs.iter()
            .any(|btf| btf.find_by_name(name).next().is_some())
    };
    [
        ("float", has_kind(Kind::Float)),
        ("enum64", has_enum64(btfs)),
        ("decl_tag", has_kind(Kind::DeclTag)),
        ("type_tag", has_kind(Kind::TypeTag)),
        ("var", has_name(b".data..percpu")),
        ("global_var", has_name(b".bss")),
        ("decl_tag_kfuncs", has_name(b"bpf_kfunc")),
        ("layout", btfs.iter().any(|btf| btf.layout().is_some())),
    ]
    .into_iter()
    .filter_map(|(name, shows)| shows.then_some(name))
    .collect::<Vec<_>>()
    .join(" ")
}

#[test]
fn kconfig_reads_the_version_as_a_number() {
    let place = Place::new();
    let script = "\"$0\" --version | sed -E 's/v([0-9]+)\\.([0-9]+)/\\1\\2/'";
    let outcome = run(
        Path::new("sh"),
        ["-c".as_ref(), script.as_ref(), place.pahole.as_os_str()],
    )
    .success();
    assert_eq!(outcome.stdout, "132\n");
}

#[test]
fn vmlinux_of_every_kernel_gets_its_features_in_place() {
    for (kernel, flags, expect) in BUILDS {
        let place = Place::new();
        let mut btfs = Vec::new();
        for name in OBJECTS {
            // scripts/link-vmlinux.sh up to 6.19.
            let file = place.dir.path(name);
            let outcome = place
                .run(&format!("-J {flags} {}", file.display()))
                .success();
            assert_eq!((&*outcome.stdout, &*outcome.stderr), ("", ""), "{kernel}");
            btfs.push(place.btf(name, None));
        }
        assert_eq!(features(&btfs), *expect, "{kernel}");
        let mut names: Vec<_> = OBJECTS.into_iter().chain(["pahole"]).collect();
        names.sort_unstable();
        assert_eq!(place.dir.names(), names, "{kernel}");
    }
}

#[test]
fn vmlinux_of_every_kernel_gets_its_features_beside_it() {
    for (kernel, flags, expect) in BUILDS {
        let place = Place::new();
        let mut btfs = Vec::new();
        for name in OBJECTS {
            // scripts/gen-btf.sh since 7.0.
            let file = place.dir.path(name).display().to_string();
            let line = format!("-J {flags} --btf_encode_detached={file}.BTF.1 {file}");
            let outcome = place.run(&line).success();
            assert_eq!((&*outcome.stdout, &*outcome.stderr), ("", ""), "{kernel}");
            assert_eq!(
                place.bytes(name),
                std::fs::read(object(name)).unwrap(),
                "the input stays"
            );
            btfs.push(place.btf(&format!("{name}.BTF.1"), None));
        }
        assert_eq!(features(&btfs), *expect, "{kernel}");
    }
}

#[test]
fn modules_of_every_kernel_continue_vmlinux() {
    for (kernel, flags, _) in BUILDS {
        let place = Place::new();
        let _ = place
            .run(&format!(
                "-J {flags} {}",
                place.dir.path("image.elf").display()
            ))
            .success();
        let vmlinux = place.btf("image.elf", None);
        // scripts/Makefile.modfinal up to 6.19, then scripts/gen-btf.sh.
        for target in ["", "--btf_encode_detached=OUT"] {
            let base = place.dir.path("image.elf").display().to_string();
            let line = format!("-J {flags} --btf_base {base} {target} FILE");
            let outcome = place.run(&line).success();
            assert_eq!((&*outcome.stdout, &*outcome.stderr), ("", ""), "{kernel}");
            let file = if target.is_empty() {
                "enums.o"
            } else {
                "out.btf"
            };
            let btf = place.btf(file, Some(&vmlinux));
            let mut own = btf.find_by_name(b"int").map(|id| id.0);
            let own = own.find(|&id| id >= btf.first_id());
            assert_eq!(own, None, "{kernel}: what the base has is not repeated");
            assert!(btf.find_by_name(b"uses_enums").next().is_some(), "{kernel}");
            assert_eq!(
                btf.layout(),
                None,
                "{kernel}: kernels look for it in the base only"
            );
        }
    }
}

#[test]
fn every_build_means_what_pahole_writes() {
    let Some(pahole) = pahole() else { return };
    let mut wrong = String::new();
    for (kernel, flags, _) in BUILDS {
        let (ours, theirs) = (Place::new(), Place::new());
        for name in OBJECTS {
            let line = |place: &Place| {
                let file = place.dir.path(name).display().to_string();
                place.words(&format!("-J {flags} --btf_encode_detached=OUT {file}"))
            };
            let _ = run(&ours.pahole, line(&ours)).success();
            let _ = run(&pahole, line(&theirs)).success();
            // `tags.o` has variables with tags, which pahole does not read: see `EXCEPTIONS` of the differential test.
            if name == "tags.o" {
                continue;
            }
            if let Some(text) = difference(&ours.take_output(None), &theirs.take_output(None)) {
                let _ = writeln!(wrong, "=== {kernel}: {name} (A is ours)\n{text}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Both continue what ours wrote into `image.elf`.
#[test]
fn every_module_means_what_pahole_writes() {
    let Some(pahole) = pahole() else { return };
    let mut wrong = String::new();
    for (kernel, flags, _) in BUILDS {
        let place = Place::new();
        let base = place.dir.path("image.elf").display().to_string();
        let _ = place.run(&format!("-J {flags} {base}")).success();
        let vmlinux = place.btf("image.elf", None);
        for name in ["enums.o", "numbers.o"] {
            let file = place.dir.path(name).display().to_string();
            let line = format!("-J {flags} --btf_base {base} --btf_encode_detached=OUT {file}");
            let words = place.words(&line);
            let _ = run(&place.pahole, &words).success();
            let ours = place.take_output(Some(&vmlinux));
            let _ = run(&pahole, &words).success();
            let theirs = place.take_output(Some(&vmlinux));
            if let Some(text) = difference(&ours, &theirs) {
                let _ = writeln!(wrong, "=== {kernel}: {name} (A is ours)\n{text}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Builds of modules outside of the kernel's tree: where from, and the flags before `--btf_base`.
const EXTERNAL_MODULES: &[(&str, &str)] = &[
    (
        "6.12",
        "-j LIST --lang_exclude=rust --btf_features=distilled_base",
    ),
    (
        "6.18",
        "-j2 LIST --btf_features=attributes --lang_exclude=rust --btf_features=distilled_base",
    ),
];

/// `.BTF.base` of a module, and its `.BTF`, which continues it.
fn distilled(place: &Place, file: &str) -> (Arc<Btf>, Arc<Btf>) {
    let section = |name| place.section(file, name).unwrap();
    let base = input::parse_btf(&section(".BTF.base"), None).unwrap();
    let btf = input::parse_btf(&section(".BTF"), Some(Arc::clone(&base))).unwrap();
    (base, btf)
}

#[test]
fn external_modules_get_a_base_of_their_own() {
    for (kernel, flags) in EXTERNAL_MODULES {
        let place = Place::new();
        let vmlinux = place.dir.path("image.elf").display().to_string();
        let _ = place.run(&format!("-J LIST {vmlinux}")).success();
        let line = format!("-J {flags} --btf_base {vmlinux} OTHER");
        let outcome = place.run(&line).success();
        assert_eq!((&*outcome.stdout, &*outcome.stderr), ("", ""), "{kernel}");
        let (base, btf) = distilled(&place, "numbers.o");
        assert!(base.find_by_name(b"int").next().is_some(), "{kernel}");
        assert!(btf.end_id() > btf.first_id(), "{kernel}");

        // Beside the file the base is beside the BTF, which pahole forgets.
        let _ = place
            .run(&format!("{line} --btf_encode_detached=OUT"))
            .success();
        for (file, section) in [("out.btf", ".BTF"), ("out.btf.base", ".BTF.base")] {
            let in_place = place.section("numbers.o", section);
            assert_eq!(in_place, Some(place.bytes(file)), "{kernel}");
        }

        // Without a base of its own the new BTF would continue the wrong one.
        let before = place.bytes("numbers.o");
        let outcome = place.run(&format!("-J --btf_base {vmlinux} OTHER"));
        assert_eq!(outcome.status, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(".BTF.base"), "{outcome}");
        assert_eq!(place.bytes("numbers.o"), before);
    }
}

#[test]
fn external_modules_mean_what_pahole_writes() {
    let Some(pahole) = pahole() else { return };
    for (kernel, flags) in EXTERNAL_MODULES {
        for name in ["enums.o", "numbers.o"] {
            let (ours, theirs) = (Place::new(), Place::new());
            let vmlinux = ours.dir.path("image.elf").display().to_string();
            let _ = ours.run(&format!("-J LIST {vmlinux}")).success();
            let line = |place: &Place| {
                let file = place.dir.path(name).display().to_string();
                place.words(&format!("-J {flags} --btf_base {vmlinux} {file}"))
            };
            let _ = run(&ours.pahole, line(&ours)).success();
            let _ = run(&pahole, line(&theirs)).success();
            let (base, btf) = distilled(&ours, name);
            let (their_base, their_btf) = distilled(&theirs, name);
            let differs = difference(&base, &their_base).or_else(|| difference(&btf, &their_btf));
            assert_eq!(differs, None, "{kernel}: {name} (A is ours)");
        }
    }
}

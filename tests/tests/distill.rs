//! Goal: a distilled base, and split BTF that is moved back, are what pahole and libbpf make of them.
//! Method: modules of two kernels. pahole makes the split BTF and, in a copy of the module, the distilled base; bpftool moves
//! that onto the kernel's BTF, or refuses. Ours are compared with both, type by type.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use btf_core::builder::{Builder, WriteOptions};
use btf_core::distill::distill;
use btf_core::elf::sections;
use btf_core::reader::Btf;
use btf_core::relocate::{mismatches, relocate};
use btf_core::types::{name_refs, type_refs};
use btf_tests::input::read_btf;
use btf_tests::program::{Outcome, TestDir, kernels, pahole, peer, run};

/// What kernel builds ask for.
const FEATURES: &str = "encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,consistent_func,decl_tag_kfuncs";

/// A module with what pahole made of it.
struct Module {
    kernel: PathBuf,
    base: Arc<Btf>,
    split: Btf,
    /// The copy that pahole put `.BTF` and `.BTF.base` into.
    distilled_file: PathBuf,
    distilled: Btf,
}

/// The smaller modules of both kernels.
fn modules(dir: &TestDir) -> Vec<Module> {
    let (Some(pahole), Some(_)) = (pahole(), peer("llvm-objcopy")) else {
        return Vec::new();
    };
    let mut modules = Vec::new();
    for kernel in kernels() {
        let base = read_btf(&kernel, None).unwrap();
        for name in ["dummy.ko", "nf_tables.ko"] {
            let module = kernel.with_file_name("modules").join(name);
            if module.is_file() {
                modules.push(make(&pahole, dir, &kernel, &base, &module));
            }
        }
    }
    assert!(!modules.is_empty() || kernels().is_empty());
    modules
}

fn make(pahole: &Path, dir: &TestDir, kernel: &Path, base: &Arc<Btf>, module: &Path) -> Module {
    let raw = dir.path("split.btf");
    let base_argument = format!("--btf_base={}", kernel.display());
    let detached = format!("--btf_encode_detached={}", raw.display());
    let features = format!("--btf_features={FEATURES}");
    let run_pahole = |options: &[&str], file: &Path| {
        let options = options.iter().copied().chain(["-J", &base_argument]);
        let options = options.map(std::ffi::OsStr::new);
        let _ = run(pahole, options.chain([file.as_os_str()])).success();
    };
    run_pahole(&[&features, &detached], module);
    let kernel_name = kernel
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap();
    let module_name = module.file_name().unwrap().to_str().unwrap();
    let copy = dir.path(&format!("{kernel_name}-{module_name}"));
    fs::copy(module, &copy).unwrap();
    run_pahole(&[&format!("{features},distilled_base")], &copy);

    let bytes = fs::read(&copy).unwrap();
    let found = sections(&*bytes).unwrap();
    let own_base = Arc::new(Btf::parse(found.base.unwrap(), None).unwrap());
    Module {
        kernel: kernel.to_owned(),
        base: Arc::clone(base),
        split: Btf::parse(&fs::read(&raw).unwrap(), Some(Arc::clone(base))).unwrap(),
        distilled: Btf::parse(found.btf.unwrap(), Some(own_base)).unwrap(),
        distilled_file: copy,
    }
}

/// Every type in words, with names instead of their offsets.
fn listing(btf: &Btf) -> Vec<String> {
    btf.records()
        .map(|(id, record)| {
            let names: Vec<_> = name_refs(record)
                .map(|(_, name)| String::from_utf8_lossy(btf.string(name).unwrap()))
                .collect();
            let ids: Vec<_> = type_refs(record).map(|(_, id)| id.0).collect();
            let mut values = record.to_vec();
            for (index, _) in name_refs(record) {
                values[index] = 0;
            }
            format!("{id} {names:?} {ids:?} {values:x?}")
        })
        .collect()
}

/// Fails with the first difference; the lists are long.
#[track_caller]
fn assert_same<T: PartialEq + std::fmt::Debug>(ours: &[T], theirs: &[T]) {
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

fn dump(bpftool: &Path, base: &Path, file: &Path) -> Outcome {
    let words = [
        "btf".as_ref(),
        "dump".as_ref(),
        "file".as_ref(),
        file.as_os_str(),
    ];
    run(
        bpftool,
        ["-B".as_ref(), base.as_os_str()].into_iter().chain(words),
    )
}

#[test]
fn the_distilled_base_is_that_of_pahole() {
    let dir = TestDir::new();
    for module in modules(&dir) {
        let ours = distill(&module.split).unwrap();
        let (our_base, their_base) = (ours.base().unwrap(), module.distilled.base().unwrap());
        assert_same(&listing(our_base), &listing(their_base));
        assert_same(&listing(&ours), &listing(&module.distilled));
        // Each string is stored once, and where its types are.
        assert!(our_base.string_bytes().len() <= their_base.string_bytes().len());
        assert!(ours.string_bytes().len() <= module.distilled.string_bytes().len());
    }
}

#[test]
fn moved_back_it_is_what_libbpf_makes_of_it() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    let dir = TestDir::new();
    let modules = modules(&dir);
    let mut counts = (0, 0);
    for module in &modules {
        // Onto the kernel that it was made for, and onto the other one.
        let is_other = |target: &&Module| target.kernel != module.kernel;
        for target in [module].into_iter().chain(modules.iter().find(is_other)) {
            let theirs = dump(&bpftool, &target.kernel, &module.distilled_file);
            match relocate(&module.distilled, Arc::clone(&target.base)) {
                Ok(relocated) => {
                    let builder = Builder::from_btf(&relocated.btf);
                    let order = module.distilled.byte_order();
                    let bytes = builder.write(order, WriteOptions::default()).unwrap();
                    let ours = dump(&bpftool, &target.kernel, &dir.write("ours", &bytes)).success();
                    let lines = |outcome: Outcome| {
                        let lines = outcome.stdout.lines().map(str::to_owned);
                        lines.collect::<Vec<_>>()
                    };
                    assert_same(&lines(ours), &lines(theirs.success()));
                    counts.0 += 1;
                }
                Err(error) => {
                    assert_ne!(theirs.status, Some(0), "{error}");
                    let all = mismatches(&module.distilled, &target.base).unwrap();
                    assert!(!all.is_empty());
                    counts.1 += 1;
                }
            }
        }
    }
    // Both outcomes are seen.
    assert!(
        modules.is_empty() || counts.0 > 0 && counts.1 > 0,
        "{counts:?}"
    );
}

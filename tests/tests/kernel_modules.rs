//! Goal: the modules of kernels become what pahole makes of them, by meaning, but for what a [`Rule`] says; and nothing that the
//! kernel's own BTF has is written again.
//! Method: the modules beside the kernels of `BTF_TESTS_KERNELS`, or, if `BTF_TESTS_MODULES` names folders with a `vmlinux`, all
//! modules below these, are encoded by both programs against the same BTF of their kernel. Where the results differ, `ld` gives
//! the module addresses, and pahole is asked again.
//! Kernels also hold the BTF that their distribution's pahole wrote, up to 1.31 with flat arrays. On that, modules have the data types
//! that those of the distribution have.
//! `BTF_TESTS_MODULES_CACHE` names a folder that keeps pahole's answers, since all of a kernel's take it minutes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use btf_core::reader::Btf;
use btf_core::{Info, Kind, TypeId};
use btf_tests::compare::split::Base;
use btf_tests::input::read_btf;
use btf_tests::program::{
    TestDir, files_below, kernels, kernels_with_modules, modules_beside, ours, pahole, peer, run,
};
use object::{Object as _, ObjectSymbol as _};
use rayon::prelude::*;

/// What kernels ask pahole for since 6.10.
const FEATURES: &str = "encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,consistent_func,decl_tag_kfuncs";

/// The section of per-CPU variables is one of its own, as in a kernel; `ld` by itself would put it into `.data`.
const LINKER_SCRIPT: &[u8] =
    b"SECTIONS { .data..percpu : { *(.data..percpu) } } INSERT AFTER .bss;\n";

/// Why ours and pahole's differ, and why ours is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    /// The kernel announces a type that the module defines. Ours takes the kernel's types that lead to it as they are; pahole
    /// writes some of them again. Checked: nothing differs if what refers to the type refers to its name.
    /// Example: `kvm_x86_ops` in `kvm.ko`, which leads to `struct x86_exception`.
    Announced,
    /// In a relocatable file pahole compares addresses of symbols, which count from the start of their section, with those
    /// that libdw gave to sections. So it keeps functions that lost a parameter (`kvm_write_wall_clock` in `kvm.ko`, whose symbol
    /// is `kvm_write_wall_clock.constprop.0`, and whose `sec_hi_ofs` is in no place), takes the prototype of a weak definition
    /// that was dropped (`kvm_arch_set_irq_inatomic`), and, where sections that are not loaded come before `.data..percpu`, looks
    /// for its variables there (`nft_pcpu_tun_ctx` of 7.2). Checked: of the module with addresses pahole says what ours says.
    Addresses,
    /// A union of more than 16 bytes is passed in memory and takes no register (System V ABI for AMD64, 3.2.3), and DWARF has the
    /// parameter behind it in the next register; pahole counts registers for it, and expects that parameter elsewhere.
    /// Checked: only ours has the function, and a union of that size is one of its parameters but not the last.
    /// Example: `mlx4_devlink_max_macs_validate` of 6.1, whose `extack` is in `rdx`.
    UnionInMemory,
    /// A name of two functions is left out, but pahole does not look at the last of all names. Checked: only pahole has it, no
    /// other function of pahole's has a later name, and the symbol table has it, or copies of it, at several addresses.
    /// Example: `words_show` in `soundwire-bus.ko`.
    LastName,
}

/// The functions and variables of split BTF that differ, each with its own type.
type Named = BTreeMap<Vec<u8>, TypeId>;

/// A kernel, and how to encode its modules.
struct Kernel<'a> {
    pahole: &'a Path,
    ld: &'a Path,
    dir: &'a TestDir,
    /// The BTF of the kernel, as a file.
    path: PathBuf,
    base: Base,
    /// What the kernel only announces.
    announced: BTreeSet<Vec<u8>>,
    /// Where pahole's answers stay.
    answers: PathBuf,
}

/// Both programs' BTF of a module.
struct Module<'a> {
    kernel: &'a Kernel<'a>,
    file: &'a Path,
    name: String,
    ours: Arc<Btf>,
    theirs: Arc<Btf>,
}

impl Kernel<'_> {
    /// What pahole makes of a file; the name is that of the answer.
    fn theirs(&self, file: &Path, name: &str) -> Arc<Btf> {
        let answer = self.answers.join(format!("{name}.btf"));
        if !answer.is_file() {
            let made = self.answers.join(format!("{name}.new"));
            let option = |name: &str, path: &Path| {
                let mut option = OsString::from(name);
                option.push(path);
                option
            };
            let args = [
                "-J".into(),
                "--lang_exclude=rust".into(),
                format!("--btf_features={FEATURES}").into(),
                option("--btf_base=", &self.path),
                option("--btf_encode_detached=", &made),
                file.into(),
            ];
            let _ = run(self.pahole, args).success();
            std::fs::rename(made, &answer).unwrap();
        }
        read_btf(&answer, Some(Arc::clone(self.base.btf()))).unwrap()
    }
}

impl Module<'_> {
    /// The rules that explain all differences; otherwise what none explains.
    fn judge(&self) -> Result<BTreeSet<Rule>, String> {
        let repeated = self.kernel.base.repeated(&self.ours).unwrap();
        let is_type = |id: &TypeId| !matches!(kind(&self.ours, *id), Kind::Var | Kind::Datasec);
        if let Some(id) = repeated.into_iter().find(is_type) {
            let name = String::from_utf8_lossy(self.ours.name(id).unwrap());
            return Err(format!("the kernel has {id} `{name}`, too"));
        }
        let mut rules = BTreeSet::new();
        let difference = self.kernel.base.compare(&self.ours, &self.theirs).unwrap();
        if difference.only_a.is_empty() && difference.only_b.is_empty() {
            return Ok(rules);
        }
        let by_name = by_name(self.kernel.base.btf(), &self.kernel.announced, &self.ours);
        let tagged = by_name.compare(&self.ours, &self.theirs).unwrap();
        if tagged != difference {
            rules.insert(Rule::Announced);
        }
        let only_ours = named(&self.ours, &tagged.only_a)?;
        let only_theirs = named(&self.theirs, &tagged.only_b)?;
        if only_ours.is_empty() && only_theirs.is_empty() {
            return Ok(rules);
        }
        let linked = self.linked();
        let with_addresses = by_name.compare(&self.ours, &linked).unwrap();
        let still_ours = named(&self.ours, &with_addresses.only_a)?;
        let still_theirs = named(&linked, &with_addresses.only_b)?;
        let names: BTreeSet<_> = only_ours.keys().chain(only_theirs.keys()).collect();
        let mut wrong = String::new();
        for name in names {
            let rule = match (still_ours.get(name), still_theirs.get(name)) {
                (None, None) => Rule::Addresses,
                (Some(&function), None) if has_large_union(&self.ours, function) => {
                    Rule::UnionInMemory
                }
                (None, Some(_)) if self.is_last_of_several(name) => Rule::LastName,
                (ours, theirs) => {
                    let name = String::from_utf8_lossy(name);
                    let _ = writeln!(wrong, "  `{name}`: ours {ours:?}, pahole's {theirs:?}");
                    continue;
                }
            };
            rules.insert(rule);
        }
        if wrong.is_empty() {
            Ok(rules)
        } else {
            Err(wrong)
        }
    }

    /// What pahole makes of the module when it has addresses.
    fn linked(&self) -> Arc<Btf> {
        let image = self.kernel.dir.path(&format!("{}.elf", self.name));
        let script = self
            .kernel
            .dir
            .write(&format!("{}.lds", self.name), LINKER_SCRIPT);
        let options = [
            "--unresolved-symbols=ignore-all",
            "--noinhibit-exec",
            "-e",
            "0",
            "-o",
        ];
        let files = [&image, Path::new("-T"), &script, self.file];
        let args = options.map(OsString::from).into_iter();
        let _ = run(self.kernel.ld, args.chain(files.map(OsString::from))).success();
        let linked = self.kernel.theirs(&image, &format!("{}.linked", self.name));
        let _ = std::fs::remove_file(image);
        linked
    }

    /// Whether a name is the last one of pahole's functions, and its symbols, with suffixes or without, have several addresses.
    fn is_last_of_several(&self, name: &[u8]) -> bool {
        let own = self.theirs.records().map(|(id, _)| id);
        let functions = own.filter(|&id| kind(&self.theirs, id) == Kind::Func);
        let last = functions.map(|id| self.theirs.name(id).unwrap()).max();
        let bytes = std::fs::read(self.file).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let is_of_name = |symbol: &[u8]| {
            let rest = symbol.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
        };
        let addresses: BTreeSet<_> = file
            .symbols()
            .filter(|symbol| symbol.is_definition() && is_of_name(symbol.name_bytes().unwrap()))
            .map(|symbol| {
                (
                    symbol.section_index().map(|index| index.0),
                    symbol.address(),
                )
            })
            .collect();
        last == Some(name) && addresses.len() > 1
    }
}

fn kind(btf: &Btf, id: TypeId) -> Kind {
    btf.info(id).and_then(Info::kind).unwrap()
}

/// Whether a type is one that C can announce.
fn is_tagged(btf: &Btf, id: TypeId) -> bool {
    let kinds = [Kind::Struct, Kind::Union, Kind::Enum, Kind::Enum64];
    kinds.contains(&kind(btf, id)) && !btf.name(id).unwrap().is_empty()
}

/// The names of what is announced in `btf` and not defined there: forward declarations, and enumerations of nothing.
fn announced(btf: &Btf) -> BTreeSet<Vec<u8>> {
    let ids = btf.records().map(|(id, _)| id);
    let announced = ids.filter(|&id| {
        let is_empty = btf.info(id).is_some_and(|info| info.vlen() == 0);
        kind(btf, id) == Kind::Fwd || matches!(kind(btf, id), Kind::Enum | Kind::Enum64) && is_empty
    });
    announced.map(|id| btf.name(id).unwrap().to_vec()).collect()
}

/// The kernel's types, of which those that it has `announced` and this module defines count by their names.
fn by_name(kernel: &Arc<Btf>, announced: &BTreeSet<Vec<u8>>, module: &Btf) -> Base {
    let own = module.records().map(|(id, _)| id);
    let defined = own.filter(|&id| is_tagged(module, id));
    let names = defined.map(|id| module.name(id).unwrap().to_vec());
    let announced = names.filter(|name| announced.contains(name));
    Base::with_tags(Arc::clone(kernel), announced.collect()).unwrap()
}

/// Of types that one file has alone the functions, variables and sections, by name. All others must be what these need:
/// types without a name of their own.
fn named(btf: &Btf, ids: &[TypeId]) -> Result<Named, String> {
    let mut named = Named::new();
    for &id in ids {
        let name = btf.name(id).unwrap();
        let kind = kind(btf, id);
        if matches!(kind, Kind::Func | Kind::Var | Kind::Datasec) {
            named.insert(name.to_vec(), id);
        } else if !matches!(kind, Kind::FuncProto | Kind::Ptr | Kind::Const) {
            let name = String::from_utf8_lossy(name);
            return Err(format!("  {} `{name}` {id}\n", kind.name()));
        }
    }
    Ok(named)
}

/// Whether a union of more than 16 bytes is a parameter of a function, and not its last.
fn has_large_union(btf: &Btf, function: TypeId) -> bool {
    if kind(btf, function) != Kind::Func {
        return false;
    }
    let record = |id| btf.record(id).unwrap();
    let proto = record(TypeId(record(function)[2]));
    // Behind name, info and return type: a name and a type for each parameter.
    let mut params = proto[3..].chunks_exact(2).rev().skip(1);
    params.any(|param| {
        let mut ty = TypeId(param[1]);
        while ty.0 > 0 && matches!(kind(btf, ty), Kind::Typedef | Kind::Const | Kind::Volatile) {
            ty = TypeId(record(ty)[2]);
        }
        ty.0 > 0 && kind(btf, ty) == Kind::Union && record(ty)[2] > 16
    })
}

/// Runs our program with what is asked of pahole, too.
fn dwarf2btf(args: &[&Path]) {
    let features = format!("--features={FEATURES}");
    let common = ["-q", "--exclude-language=rust", &features].map(Path::new);
    let _ = run(&ours("dwarf2btf"), args.iter().copied().chain(common)).success();
}

/// Encodes all modules of a kernel and judges each: which rules it takes, or what no rule explains.
fn judge_all(
    kernel: &Kernel<'_>,
    modules: &Path,
    made: &Path,
) -> Vec<(String, Result<BTreeSet<Rule>, String>)> {
    let batch = ["modules", "--base"].map(Path::new);
    let output = [&*kernel.path, Path::new("--out-dir"), made, modules];
    dwarf2btf(&[&batch[..], &output].concat());
    let stem = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name[..name.find(".ko").unwrap()].to_owned()
    };
    let own: BTreeMap<_, _> = files_below(made, &[".btf"])
        .into_iter()
        .map(|path| (stem(&path), path))
        .collect();
    let modules = files_below(modules, &[".ko", ".ko.debug"]);
    let judged = modules.par_iter().map(|file| {
        let name = stem(file);
        let base = Some(Arc::clone(kernel.base.btf()));
        let module = Module {
            kernel,
            file,
            ours: read_btf(&own[&name], base).unwrap(),
            theirs: kernel.theirs(file, &name),
            name: name.clone(),
        };
        (name, module.judge())
    });
    judged.collect()
}

#[test]
fn modules_of_kernels_are_what_pahole_makes_of_them_but_for_stated_rules() {
    let (Some(pahole), Some(ld)) = (pahole(), peer("ld")) else {
        return;
    };
    let (mut wrong, mut needed) = (String::new(), BTreeSet::new());
    let folders = kernels_with_modules();
    for (vmlinux, modules) in &folders {
        let dir = TestDir::new();
        let path = dir.path("vmlinux.btf");
        dwarf2btf(&[vmlinux, Path::new("-o"), &path]);
        let btf = read_btf(&path, None).unwrap();
        let cache = std::env::var_os("BTF_TESTS_MODULES_CACHE").map(PathBuf::from);
        // Folders of one kernel each: the release is what the folder of its modules is called.
        let release = vmlinux.parent().unwrap().file_name().unwrap();
        let answers = cache.map_or_else(|| dir.path("theirs"), |cache| cache.join(release));
        std::fs::create_dir_all(&answers).unwrap();
        let kernel = Kernel {
            pahole: &pahole,
            ld: &ld,
            dir: &dir,
            path,
            announced: announced(&btf),
            base: Base::new(btf).unwrap(),
            answers,
        };
        let judged = judge_all(&kernel, modules, &dir.path("ours"));
        assert!(!judged.is_empty(), "{}", modules.display());
        let mut counts = BTreeMap::<_, usize>::new();
        for (name, verdict) in judged {
            match verdict {
                Ok(rules) => {
                    *counts.entry(rules.clone()).or_default() += 1;
                    needed.extend(rules);
                }
                Err(why) => {
                    let _ = writeln!(wrong, "{}: {name}:\n{why}", vmlinux.display());
                }
            }
        }
        eprintln!("{}: {counts:?}", vmlinux.display());
    }
    assert!(wrong.is_empty(), "{wrong}");
    let always = [Rule::Announced, Rule::Addresses];
    let are_needed = always.iter().all(|rule| needed.contains(rule));
    assert!(
        folders.is_empty() || are_needed,
        "only {needed:?} are needed"
    );
}

#[test]
fn on_the_kernels_own_btf_modules_have_the_data_types_of_their_own_btf() {
    for vmlinux in kernels() {
        let dir = TestDir::new();
        let kernel = read_btf(&vmlinux, None).unwrap();
        let announced = announced(&kernel);
        for module in modules_beside(&vmlinux) {
            let path = dir.path("module.btf");
            dwarf2btf(&[
                &module,
                Path::new("--base"),
                &vmlinux,
                Path::new("-o"),
                &path,
            ]);
            let ours = read_btf(&path, Some(Arc::clone(&kernel))).unwrap();
            let theirs = read_btf(&module, Some(Arc::clone(&kernel))).unwrap();
            let by_name = by_name(&kernel, &announced, &ours);
            let difference = by_name.compare(&ours, &theirs).unwrap();
            for (btf, only) in [(&ours, &difference.only_a), (&theirs, &difference.only_b)] {
                if let Err(wrong) = named(btf, only) {
                    panic!("{}:{wrong}", module.display());
                }
            }
        }
    }
}

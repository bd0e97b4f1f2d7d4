//! Goal: `btf-dump diff` tells every difference between two blobs, and nothing that is none.
//! Method: differences are applied to a description of the old blob, which must then describe the new one, for whole kernels and for
//! blobs at random; a blob beside itself in another order, byte order and encoding; every single word of a blob changed;
//! differences made by hand in snapshots; hostile blobs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use btf_core::builder::{Builder, MemberSpec, WriteOptions};
use btf_core::graph::reachable;
use btf_core::types::{VarSecinfo, rewrite_refs};
use btf_core::validate::{Profile, validate};
use btf_core::wire::{ByteOrder, int, linkage};
use btf_core::{Btf, Kind, TypeId};
use btf_tests::program::{Outcome, TestDir, kernels, ours, run, unheard};
use btf_tests::random::Random;
use serde_json::Value;

fn diff(args: &[&str], old: &Path, new: &Path) -> Outcome {
    let words = [
        &["diff", old.to_str().unwrap(), new.to_str().unwrap()],
        args,
    ]
    .concat();
    run(&ours("btf-dump"), words)
}

/// The lines of `--json`.
#[track_caller]
fn lines(old: &Path, new: &Path) -> Vec<Value> {
    let outcome = diff(&["--json"], old, new);
    assert!(matches!(outcome.status, Some(0 | 1)), "{outcome}");
    let lines = outcome.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What is said of an item: each key with its text, each member and the like with its own keys.
type Description = BTreeMap<String, Value>;

/// The keys of an item that describe it.
const KEYS: [&str; 8] = [
    "size",
    "target",
    "result",
    "linkage",
    "section",
    "encoding",
    "members",
    "enumerators",
];

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// The kind of item; which functions are kfuncs is not in every blob.
fn kind(line: &Value) -> String {
    text(line, "kind").replace("kfunc", "func")
}

/// A description of an item that only one blob has.
fn description(line: &Value) -> Description {
    let mut out = Description::new();
    for key in KEYS.into_iter().chain(["params"]) {
        if let Some(value) = line.get(key) {
            out.insert(key.to_owned(), value.clone());
        }
    }
    out.insert("kind".to_owned(), kind(line).into());
    out.insert("name".to_owned(), line["name"].clone());
    for value in out.values_mut().filter_map(Value::as_array_mut).flatten() {
        plain(value);
    }
    out
}

/// Leaves out what is another type's matter: how large the type of a member is.
fn plain(value: &mut Value) {
    let object = value.as_object_mut().unwrap();
    object.remove("size");
    object.remove("element_size");
}

/// All items of a blob by id: what is added to a blob without types.
fn describe(dir: &TestDir, file: &Path) -> BTreeMap<u64, Description> {
    let empty = dir.write(
        "empty.btf",
        &Builder::new()
            .write(ByteOrder::Little, WriteOptions::default())
            .unwrap(),
    );
    let lines = lines(&empty, file);
    let added = lines.iter().filter(|line| text(line, "type") == "added");
    added
        .map(|line| (line["new_id"].as_u64().unwrap(), description(line)))
        .collect()
}

/// Changes a list of members or enumerators as an array of changes says.
#[track_caller]
fn apply_list(list: &mut Vec<Value>, changes: &Value) {
    for change in changes.as_array().unwrap() {
        let (mut old, mut new) = (change.get("old").cloned(), change.get("new").cloned());
        old.iter_mut().chain(&mut new).for_each(plain);
        if let Some(old) = old {
            let at = list.iter().position(|value| *value == old);
            list.remove(at.unwrap_or_else(|| panic!("{old} is not there: {list:?}")));
        }
        list.extend(new);
    }
}

/// Changes a list of parameters.
fn apply_params(list: &mut Vec<Value>, changes: &Value) {
    let changes = changes.as_array().unwrap();
    let at = |value: &Value| usize::try_from(value["index"].as_u64().unwrap()).unwrap();
    let is_old = |value: &&Value| {
        !changes
            .iter()
            .any(|change| change.get("old") == Some(*value))
    };
    let mut rest: Vec<Value> = list.iter().filter(is_old).cloned().collect();
    rest.reverse();
    let new: BTreeMap<usize, Value> = changes
        .iter()
        .filter_map(|change| change.get("new"))
        .map(|value| (at(value), value.clone()))
        .collect();
    let count = rest.len() + new.len();
    *list = (0..count)
        .map(|index| {
            let mut value = new
                .get(&index)
                .cloned()
                .unwrap_or_else(|| rest.pop().unwrap());
            value["index"] = index.into();
            value
        })
        .collect();
}

/// Applies a change.
#[track_caller]
fn apply(item: &mut Description, line: &Value) {
    let is_replaced = line.get("new_target").is_some();
    if is_replaced {
        item.remove("size");
        item.remove("members");
        item.remove("enumerators");
    }
    for key in KEYS {
        if let Some(new) = line.get(format!("new_{key}")) {
            let old = item.insert(key.to_owned(), new.clone());
            let told = line.get(format!("old_{key}"));
            assert!(
                is_replaced || old.as_ref().or(Some(&"".into())) == told,
                "{line}"
            );
        }
    }
    if let (true, Some(members)) = (is_replaced, item.get_mut("members")) {
        members.as_array_mut().unwrap().iter_mut().for_each(plain);
    }
    for key in ["members", "enumerators"] {
        if let Some(changes) = line.get(key) {
            apply_list(item.get_mut(key).unwrap().as_array_mut().unwrap(), changes);
        }
    }
    if let Some(changes) = line.get("params") {
        apply_params(
            item.get_mut("params").unwrap().as_array_mut().unwrap(),
            changes,
        );
    }
}

/// The description with lists in one order, and values without their encoding.
fn sorted(mut item: Description) -> String {
    let size = item.get("size").and_then(Value::as_u64).unwrap_or(0);
    for (key, list) in &mut item {
        let Some(list) = list.as_array_mut() else {
            continue;
        };
        for value in list
            .iter_mut()
            .filter(|_| key == "enumerators" && size <= 4)
        {
            let number: i128 = text(value, "value").parse().unwrap();
            value["value"] = (number & 0xffff_ffff).to_string().into();
        }
        if key != "params" {
            list.sort_by_key(Value::to_string);
        }
    }
    serde_json::to_string(&item).unwrap()
}

/// Checks that the differences of two blobs make the new one of the old one; returns how many there are.
#[track_caller]
fn check_complete(dir: &TestDir, old: &Path, new: &Path) -> usize {
    let mut items = describe(dir, old);
    let mut made = Vec::new();
    let lines = lines(old, new);
    for line in &lines {
        let id = |key: &str| line[key].as_u64().unwrap();
        match text(line, "type") {
            "added" => made.push(description(line)),
            "removed" => assert_eq!(items.remove(&id("old_id")), Some(description(line))),
            "changed" => apply(items.get_mut(&id("old_id")).unwrap(), line),
            "through" => assert!(items.contains_key(&id("old_id")), "{line}"),
            _ => {}
        }
    }
    let all = |items: Vec<Description>| {
        let mut all: Vec<_> = items.into_iter().map(sorted).collect();
        all.sort();
        all
    };
    let made = all(items.into_values().chain(made).collect());
    let expect = all(describe(dir, new).into_values().collect());
    let missing = expect
        .iter()
        .filter(|item| made.binary_search(item).is_err());
    let wrong = made
        .iter()
        .filter(|item| expect.binary_search(item).is_err());
    let shown: Vec<_> = missing.take(5).zip(wrong.take(5)).collect();
    assert!(
        made == expect,
        "{} items, {} expected: {shown:#?}",
        made.len(),
        expect.len()
    );
    lines.len()
}

/// Writes a blob.
fn write(dir: &TestDir, name: &str, btf: &Btf, order: ByteOrder) -> PathBuf {
    let bytes = Builder::from_btf(btf)
        .write(order, WriteOptions::default())
        .unwrap();
    dir.write(name, &bytes)
}

/// The same types in another order.
fn shuffled(btf: &Btf, random: &mut Random) -> Btf {
    let mut order: Vec<u32> = (1..btf.end_id()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last + 1));
    }
    let mut new_id = vec![TypeId::VOID; btf.end_id() as usize];
    for (new, &old) in (1..).zip(&order) {
        new_id[old as usize] = TypeId(new);
    }
    let mut builder = Builder::new();
    for old in order {
        let mut record = btf.record(TypeId(old)).unwrap().to_vec();
        let name = |offset| builder.add_string(btf.string(offset)?);
        rewrite_refs(&mut record, name, |id| Ok(new_id[id.0 as usize])).unwrap();
        builder.push_record(&record).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn whole_kernels_are_told_apart_completely() {
    let dir = TestDir::new();
    for pair in kernels().windows(2) {
        let count = check_complete(&dir, &pair[0], &pair[1]);
        assert!(count > 5000, "{count}");
    }
}

#[test]
fn a_kernel_in_another_order_is_no_difference() {
    let dir = TestDir::new();
    for kernel in kernels().iter().take(1) {
        let btf = btf_tests::input::read_btf(kernel, None).unwrap();
        let whole = write(&dir, "whole.btf", &btf, ByteOrder::Little);
        let other = shuffled(&btf, &mut Random::new(5));
        let other = write(&dir, "other.btf", &other, ByteOrder::Big);
        for (old, new) in [(&whole, &whole), (&whole, &other), (&other, &whole)] {
            let outcome = diff(&[], old, new).success();
            assert_eq!(outcome.stdout, "");
        }
    }
}

/// Types of every kind, of which `seed` decides the particulars.
#[expect(clippy::too_many_lines, reason = "one kind after the other")]
fn sample(seed: u64) -> Btf {
    let mut random = Random::new(seed);
    let mut pick = move |end: usize| u32::try_from(random.below(end)).unwrap();
    let mut builder = Builder::new();
    let number = builder.int(b"int", 4, int::SIGNED).unwrap();
    let long = builder
        .int(b"long", 8, if pick(9) == 0 { 0 } else { int::SIGNED })
        .unwrap();
    builder.float(b"double", 8).unwrap();
    let declared = builder.fwd(b"declared", pick(8) == 0).unwrap();
    let mut types = vec![number, long, builder.ptr(declared).unwrap()];
    for index in 0..12_u32 {
        let target = types[pick(types.len()) as usize];
        let made = match pick(5) {
            0 => builder.ptr(target),
            1 => builder.array(target, number, pick(4)),
            2 => builder.qualifier(Kind::Const, target),
            3 => builder.qualifier(Kind::Volatile, target),
            _ => builder.typedef(format!("t{index}").as_bytes(), target),
        };
        types.push(made.unwrap());
    }
    for index in 0..12_u32 {
        let kind = if pick(3) == 0 {
            Kind::Union
        } else {
            Kind::Struct
        };
        let names: Vec<_> = (0..pick(5)).map(|_| format!("m{}", pick(8))).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let mut offset = 0;
        let members = names.iter().map(|name| {
            offset += 8 * pick(3);
            MemberSpec {
                name: if pick(9) == 0 { b"" } else { name.as_bytes() },
                ty: types[pick(types.len()) as usize],
                bit_offset: if kind == Kind::Union { 0 } else { offset },
                bitfield_size: 0,
            }
        });
        let members: Vec<_> = members.collect();
        // Some have no name, and some share one.
        let name = if pick(4) == 0 {
            String::new()
        } else {
            format!("s{}", index / 2)
        };
        let size = 64 + pick(2);
        types.push(
            builder
                .composite(kind, name.as_bytes(), size, &members)
                .unwrap(),
        );
        let values: Vec<_> = (0..pick(4))
            .map(|value| format!("V{index}_{value}"))
            .collect();
        let values: Vec<(&[u8], u64)> = values
            .iter()
            .map(|name| (name.as_bytes(), u64::from(pick(3)).wrapping_sub(1)))
            .collect();
        let name = if pick(3) == 0 {
            String::new()
        } else {
            format!("e{index}")
        };
        types.push(
            builder
                .enumeration(name.as_bytes(), 4, true, &values)
                .unwrap(),
        );
    }
    for index in 0..8_u32 {
        let params: Vec<_> = (0..pick(4))
            .map(|_| (format!("p{}", pick(4)), pick(types.len())))
            .collect();
        let params: Vec<(&[u8], TypeId)> = params
            .iter()
            .map(|(name, ty)| (name.as_bytes(), types[*ty as usize]))
            .collect();
        let proto = builder
            .func_proto(types[pick(types.len()) as usize], &params)
            .unwrap();
        types.push(builder.ptr(proto).unwrap());
        let linkage = if pick(6) == 0 {
            linkage::STATIC
        } else {
            linkage::GLOBAL
        };
        builder
            .func(format!("f{index}").as_bytes(), proto, linkage)
            .unwrap();
        let ty = types[pick(types.len()) as usize];
        let var = builder
            .var(format!("v{index}").as_bytes(), ty, linkage)
            .unwrap();
        if pick(2) == 0 {
            let (offset, size) = (0, 8);
            let entry = VarSecinfo {
                ty: var,
                offset,
                size,
            };
            builder.datasec(b".data", 8, &[entry]).unwrap();
        }
    }
    builder.finish().unwrap()
}

#[test]
fn random_types_are_told_apart_completely() {
    let dir = TestDir::new();
    for seed in 0..30 {
        let (old, new) = (sample(seed), sample(seed + 1000));
        let other = shuffled(&old, &mut Random::new(seed));
        let old = write(&dir, "old.btf", &old, ByteOrder::Little);
        let new = write(&dir, "new.btf", &new, ByteOrder::Little);
        let other = write(&dir, "other.btf", &other, ByteOrder::Big);
        assert!(check_complete(&dir, &old, &new) > 10, "{seed}");
        assert_eq!(diff(&[], &old, &other).success().stdout, "", "{seed}");
    }
}

/// What differs in one word is told, and nothing else, as `btf_tests::compare` judges.
#[test]
fn no_changed_word_is_missed() {
    let dir = TestDir::new();
    let btf = sample(3);
    let old = write(&dir, "old.btf", &btf, ByteOrder::Little);
    let mut told = 0;
    let words = btf.words().len();
    let named = (1..btf.end_id()).map(TypeId);
    let named = named.filter(|&id| !btf.name(id).unwrap().is_empty());
    // What has no name, and nothing with a name leads to, is nobody's.
    let is_needed = reachable(&btf, named);
    for at in 0..words {
        let mut builder = Builder::new();
        let mut is_broken = true;
        for (index, (_, record)) in btf.records().enumerate() {
            let mut record = record.to_vec();
            let start = btf.starts()[index] as usize;
            let name = |offset| builder.add_string(btf.string(offset)?);
            rewrite_refs(&mut record, name, Ok).unwrap();
            if let Some(word) = at.checked_sub(start).and_then(|at| record.get_mut(at)) {
                *word ^= 1;
                is_broken = false;
            }
            if builder.push_record(&record).is_err() {
                is_broken = true;
                break;
            }
        }
        let Some(new) = (!is_broken).then(|| builder.finish().ok()).flatten() else {
            continue;
        };
        if new.end_id() != btf.end_id() || !validate(&new, Profile::Structural).is_empty() {
            continue;
        }
        let new_file = write(&dir, "new.btf", &new, ByteOrder::Little);
        let outcome = diff(&[], &old, &new_file);
        let is_told = outcome.status == Some(1);
        let same = btf_tests::compare::Comparison::new(&btf, &new, btf_tests::compare::Scope::All);
        let same = same.unwrap().is_equal(true);
        assert!(!(is_told && same), "word {at}: {outcome}");
        told += usize::from(is_told);
        let is_nothing = || {
            let record = btf.starts().partition_point(|&start| start as usize <= at);
            let id = TypeId(u32::try_from(record).unwrap());
            let index = at - btf.starts()[record - 1] as usize;
            match btf.info(id).and_then(btf_core::Info::kind) {
                // Where variables lie in their section is the linker's matter.
                Some(Kind::Datasec) => true,
                // The type of an index.
                Some(Kind::Array) if index == 4 => true,
                _ => !is_needed[id.0 as usize],
            }
        };
        assert!(is_told || same || is_nothing(), "word {at}: {outcome}");
    }
    assert!(told > 150, "{told}");
}

/// The old and the new kernel of the examples.
fn example(is_new: bool) -> Btf {
    let mut builder = Builder::new();
    let number = builder.int(b"int", 4, int::SIGNED).unwrap();
    let long = builder.int(b"long", 8, int::SIGNED).unwrap();
    let member = |name: &'static str, ty, byte: u32, bits| MemberSpec {
        name: name.as_bytes(),
        ty,
        bit_offset: byte * 8,
        bitfield_size: bits,
    };
    let moved = u32::from(is_new) * 8;
    let mut members = vec![member("state", long, 0, 0)];
    members.extend(is_new.then(|| member("on_cpu", number, 8, 0)));
    members.push(member("flags", number, 8 + moved, 0));
    members.push(member("prio", number, 12 + moved, 0));
    members.push(member("policy", number, 16 + moved, 0));
    members.push(member(
        if is_new { "exit_signal" } else { "signal" },
        number,
        40,
        0,
    ));
    members.push(member(
        "in_iowait",
        if is_new { long } else { number },
        44,
        1,
    ));
    let task = builder
        .composite(Kind::Struct, b"task", 48 + moved, &members)
        .unwrap();
    let holder = [member("task", task, 0, 0)];
    builder
        .composite(Kind::Struct, b"holder", 64, &holder)
        .unwrap();
    let pointer = builder.ptr(task).unwrap();
    let behind = [member("task", pointer, 0, 0)];
    builder
        .composite(Kind::Struct, b"behind", 8, &behind)
        .unwrap();
    let values: [(&[u8], u64); 3] = [(b"RUN", 0), (b"STOP", 1 + u64::from(is_new)), (b"DEAD", 4)];
    builder
        .enumeration(b"state", 4, true, &values[..2 + usize::from(is_new)])
        .unwrap();
    builder
        .typedef(b"pid_t", if is_new { long } else { number })
        .unwrap();
    let params: [(&[u8], TypeId); 2] = [(b"p", pointer), (b"prio", number)];
    let proto = builder
        .func_proto(number, &params[..=usize::from(is_new)])
        .unwrap();
    builder.func(b"wake", proto, linkage::GLOBAL).unwrap();
    let name: &[u8] = if is_new { b"start" } else { b"stop" };
    builder.func(name, proto, linkage::GLOBAL).unwrap();
    let kfunc = builder.func(b"bpf_wake", proto, linkage::GLOBAL).unwrap();
    builder.decl_tag(b"bpf_kfunc", kfunc, -1, false).unwrap();
    builder.finish().unwrap()
}

#[test]
fn differences_read_well() {
    let dir = TestDir::new();
    let old = write(&dir, "old.btf", &example(false), ByteOrder::Little);
    let new = write(&dir, "new.btf", &example(true), ByteOrder::Big);
    let text = diff(&[], &old, &new);
    assert_eq!(text.status, Some(1));
    insta::assert_snapshot!(text.stdout);
    insta::assert_snapshot!(
        diff(&["--json"], &old, &new)
            .stdout
            .replace(&dir.path("").display().to_string(), "")
    );
    insta::assert_snapshot!(diff(&["--summary"], &old, &new).stdout);
    insta::assert_snapshot!(diff(&["--breaking", "--kind", "struct"], &old, &new).stdout);
    assert_eq!(diff(&["wake"], &old, &new).stdout.lines().count(), 3);
    let direct = diff(&["--direct", "holder"], &old, &new);
    assert_eq!((direct.status, direct.stdout.as_str()), (Some(0), ""));
    assert_eq!(diff(&["/^beh/"], &old, &new).status, Some(0));
}

#[test]
fn the_answer_is_the_status_whoever_listens() {
    let dir = TestDir::new();
    let old = write(&dir, "old.btf", &example(false), ByteOrder::Little);
    let new = write(&dir, "new.btf", &example(true), ByteOrder::Little);
    for (new, status) in [(&old, 0), (&new, 1)] {
        let quiet = diff(&["-q"], &old, new);
        assert_eq!(quiet.status, Some(status), "{quiet}");
        assert_eq!(quiet.stdout + &quiet.stderr, "");
        let json = diff(&["-q", "--json"], &old, new);
        assert_eq!(json.stdout, diff(&["--json"], &old, new).stdout);
        let words = [Path::new("diff"), &old, new];
        assert_eq!(unheard(&ours("btf-dump"), words), Some(status));
    }
    // What is asked for by its place is written.
    let out = dir.path("out");
    assert_eq!(
        diff(&["-q", "-o", out.to_str().unwrap()], &old, &new).status,
        Some(1)
    );
    let written = std::fs::read_to_string(out).unwrap();
    assert_eq!(written, diff(&[], &old, &new).stdout);
}

#[test]
fn a_missing_base_is_asked_for_by_the_option_of_its_side() {
    let (dir, apart) = (TestDir::new(), TestDir::new());
    let whole = sample(1);
    let mut split = Builder::with_base(Arc::new(sample(1)));
    split.typedef(b"name_of_its_own", TypeId(1)).unwrap();
    let whole = write(&dir, "whole", &whole, ByteOrder::Little);
    let split = write(&apart, "split", &split.finish().unwrap(), ByteOrder::Little);
    for (old, new, option) in [
        (&split, &whole, "--old-base"),
        (&whole, &split, "--new-base"),
    ] {
        let outcome = diff(&[], old, new);
        assert_eq!(outcome.status, Some(2), "{outcome}");
        let option = format!("`{option} FILE`");
        assert!(outcome.stderr.contains(&option), "{outcome}");
    }
}

#[test]
fn folders_are_compared_file_by_file() {
    let dir = TestDir::new();
    for (folder, is_new, files) in [
        ("a", false, ["vmlinux", "x-y.ko", "gone.ko"]),
        ("b", true, ["vmlinux", "x_y.ko.debug", "new.ko"]),
    ] {
        std::fs::create_dir(dir.path(folder)).unwrap();
        for file in files {
            write(
                &dir,
                &format!("{folder}/{file}"),
                &example(is_new),
                ByteOrder::Little,
            );
        }
    }
    let (a, b) = (dir.path("a"), dir.path("b"));
    let outcome = diff(&[], &a, &b);
    assert_eq!(outcome.status, Some(1), "{outcome}");
    let marks = outcome
        .stdout
        .lines()
        .filter(|line| line.starts_with("@@") || line.contains(" file "));
    let marks: Vec<_> = marks.collect();
    assert_eq!(
        marks,
        ["- file gone", "+ file new", "@@ 2 files: vmlinux, x_y @@"]
    );
    assert!(!diff(&["state"], &a, &b).stdout.contains(" file "));
    assert_eq!(diff(&[], &a, &a).success().stdout, "");
    assert_eq!(diff(&[], &a, &dir.path("missing")).status, Some(2));
}

/// What several modules say is told once, and a type that only moves between a module and its kernel is no difference of the module.
#[test]
fn modules_share_what_has_changed() {
    let dir = TestDir::new();
    let put = |builder: &mut Builder, structs: &[(&str, u32)]| {
        for (name, size) in structs {
            builder
                .composite(Kind::Struct, name.as_bytes(), *size, &[])
                .unwrap();
        }
    };
    for (folder, kernel, x, y) in [
        (
            "a",
            [("to_x", 8), ("changed_to_x", 8)].as_slice(),
            [("alone", 4), ("shared", 8), ("to_kernel", 4)].as_slice(),
            [("shared", 8)].as_slice(),
        ),
        (
            "b",
            &[("to_kernel", 4)],
            &[
                ("alone", 12),
                ("shared", 16),
                ("to_x", 8),
                ("changed_to_x", 9),
            ],
            &[("shared", 16)],
        ),
    ] {
        std::fs::create_dir(dir.path(folder)).unwrap();
        let mut builder = Builder::new();
        put(&mut builder, kernel);
        let base = Arc::new(builder.finish().unwrap());
        let little = ByteOrder::Little;
        write(&dir, &format!("{folder}/vmlinux"), &base, little);
        for (name, structs) in [("x.ko", x), ("y.ko", y)] {
            let mut builder = Builder::with_base(base.clone());
            put(&mut builder, structs);
            let module = builder.finish().unwrap();
            write(&dir, &format!("{folder}/{name}"), &module, little);
        }
    }
    let (a, b) = (dir.path("a"), dir.path("b"));
    assert_eq!(
        diff(&[], &a, &b).stdout,
        "\
@@ vmlinux @@
- struct changed_to_x: 8 bytes
+ struct to_kernel: 4 bytes
- struct to_x: 8 bytes
@@ x @@
~ struct alone: 4 -> 12 bytes
~ struct changed_to_x: 8 -> 9 bytes
@@ 2 files: x, y @@
~ struct shared: 8 -> 16 bytes
"
    );
    let summary = diff(&["--summary"], &a, &b).stdout;
    assert!(
        summary.contains("struct            1        2        3        0"),
        "{summary}"
    );
    // For programs each file stands for itself.
    let json = diff(&["--json", "shared"], &a, &b).stdout;
    assert_eq!(json.matches("\"name\":\"shared\"").count(), 2, "{json}");
}

#[test]
fn what_holds_a_change_need_not_come_behind_it() {
    let dir = TestDir::new();
    let kernel = |size| {
        let mut builder = Builder::new();
        let member = |ty| MemberSpec {
            name: b"first",
            ty,
            bit_offset: 0,
            bitfield_size: 0,
        };
        let holder = [member(TypeId(2))];
        builder
            .composite(Kind::Struct, b"holder", 64, &holder)
            .unwrap();
        builder.typedef(b"t", TypeId(3)).unwrap();
        builder
            .composite(Kind::Struct, b"inner", size, &[])
            .unwrap();
        builder.finish().unwrap()
    };
    let [old, new] = [("old", 8), ("new", 16)]
        .map(|(name, size)| write(&dir, name, &kernel(size), ByteOrder::Little));
    assert_eq!(
        diff(&[], &old, &new).stdout,
        "\
= struct holder: through struct inner
~ struct inner: 8 -> 16 bytes
= typedef t: through struct inner
"
    );
}

#[test]
fn a_page_stands_alone_and_keeps_names_harmless() {
    let dir = TestDir::new();
    let named = |name: &[u8]| {
        let mut builder = Builder::new();
        builder.int(name, 4, 0).unwrap();
        builder.finish().unwrap()
    };
    let old = write(
        &dir,
        "old.btf",
        &named(b"</script><script>alert(1)</script>"),
        ByteOrder::Little,
    );
    let new = write(
        &dir,
        "new.btf",
        &named(b"@JS@\"\xff<!--"),
        ByteOrder::Little,
    );
    let page = diff(&["--html"], &old, &new);
    assert_eq!(page.status, Some(1));
    assert_eq!(page.stdout.matches("<script").count(), 2);
    assert_eq!(page.stdout.matches("</script>").count(), 2);
    assert!(!page.stdout.contains("http://") && !page.stdout.contains("https://"));
    let (_, data) = page
        .stdout
        .split_once("type=\"application/json\">")
        .unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(data["items"].as_array().unwrap().len(), 2);
}

/// Damaged blobs are compared, or refused with one line.
#[test]
fn damaged_blobs_have_an_answer() {
    let dir = TestDir::new();
    let bytes = Builder::from_btf(&sample(1))
        .write(ByteOrder::Little, WriteOptions::default())
        .unwrap();
    let whole = dir.write("whole.btf", &bytes);
    let mut random = Random::new(9);
    for _ in 0..60 {
        let mut damaged = bytes.clone();
        (0..=random.below(6)).for_each(|_| random.spoil(&mut damaged[24..]));
        let damaged = dir.write("damaged.btf", &damaged);
        for args in [&["--json"][..], &["--html"]] {
            let outcome = diff(args, &damaged, &whole);
            let is_refused = outcome.status == Some(2) && outcome.stderr.lines().count() == 1;
            assert!(
                is_refused || matches!(outcome.status, Some(0 | 1)),
                "{outcome}"
            );
            assert!(outcome.elapsed.as_secs() < 10, "{outcome}");
        }
    }
}

/// Two folders with the same two files, of which each has changed in the second one.
fn folders_of_two(dir: &TestDir) -> [PathBuf; 2] {
    [("a", false), ("b", true)].map(|(folder, is_new)| {
        std::fs::create_dir(dir.path(folder)).unwrap();
        for file in ["x.ko", "y.ko"] {
            let name = format!("{folder}/{file}");
            write(dir, &name, &example(is_new), ByteOrder::Little);
        }
        dir.path(folder)
    })
}

#[test]
fn one_broken_file_of_a_folder_is_told_beside_the_rest() {
    let dir = TestDir::new();
    let [a, b] = folders_of_two(&dir);
    let whole = diff(&[], &a.join("x.ko"), &b.join("x.ko")).stdout;
    dir.write("a/y.ko", &std::fs::read(a.join("y.ko")).unwrap()[..40]);
    let outcome = diff(&[], &a, &b);
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("a/y.ko: "), "{outcome}");
    assert_eq!(outcome.stdout, format!("@@ x @@\n{whole}"));
    assert_eq!(diff(&[], &a.join("y.ko"), &b.join("y.ko")).stdout, "");
}

#[test]
fn folders_without_a_common_file_are_warned_of() {
    let dir = TestDir::new();
    for (folder, files) in [("a", ["p.ko", "q.ko"]), ("b", ["r.ko", "s.ko"])] {
        std::fs::create_dir(dir.path(folder)).unwrap();
        for file in files {
            let name = format!("{folder}/{file}");
            write(&dir, &name, &example(false), ByteOrder::Little);
        }
    }
    let outcome = diff(&["state"], &dir.path("a"), &dir.path("b"));
    assert!(outcome.stderr.contains("nothing was compared"), "{outcome}");
    assert!(
        !diff(&[], &dir.path("a"), &dir.path("a"))
            .stderr
            .contains("compared")
    );
}

/// What several files have in common counts once, however it is shown.
#[test]
fn counts_are_the_same_as_text_and_json() {
    let dir = TestDir::new();
    let [a, b] = folders_of_two(&dir);
    let table = |old: &Path, new: &Path| {
        let text = diff(&["--summary"], old, new).stdout;
        let json = diff(&["--summary", "--json"], old, new).stdout;
        let json = json.lines().map(|line| serde_json::from_str(line).unwrap());
        let rows = json
            .filter(|line: &Value| line["type"] == "summary")
            .map(|line| {
                let numbers = ["added", "removed", "changed", "through"];
                let numbers = numbers.map(|key| format!("{:>9}", line[key].as_u64().unwrap()));
                format!("{:<10}{}", line["kind"].as_str().unwrap(), numbers.concat())
            });
        let rows: Vec<_> = rows.collect();
        let lines = text.lines().skip(1);
        let lines: Vec<_> = lines.filter(|line| !line.starts_with("total")).collect();
        assert_eq!(lines, rows);
        text
    };
    assert_eq!(table(&a, &b), table(&a.join("x.ko"), &b.join("x.ko")));
}

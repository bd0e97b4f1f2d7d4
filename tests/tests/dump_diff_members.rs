//! Goal: `btf-dump diff` tells which members of two kernels' structures are elsewhere, every one and no other.
//! Method: bpftool lists both kernels. Of each structure or union that has one definition in either, the members that stand at
//! another place, or in one of the two only, must be what is told of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use btf_tests::program::{kernels, ours, peer, run};
use serde_json::Value;

/// A member's name, empty for one without, and its offset in bits.
type Place = (String, u64);

/// A structure or union, as bpftool lists it.
#[derive(Debug)]
struct Composite {
    size: u64,
    members: BTreeSet<Place>,
}

/// Keyword and name of a structure or union.
type Key = (String, String);

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn is_composite(item: &Value) -> bool {
    item["kind"] == "STRUCT" || item["kind"] == "UNION"
}

fn is_nameless(item: &Value) -> bool {
    item["name"] == "(anon)"
}

/// Adds the members of a composite type, with those of members that have neither a name nor a tag in their place.
fn add_members(types: &[Value], composite: &Value, offset: u64, members: &mut BTreeSet<Place>) {
    for member in composite["members"].as_array().unwrap() {
        let offset = offset + member["bits_offset"].as_u64().unwrap();
        if !is_nameless(member) {
            members.insert((text(member, "name"), offset));
            continue;
        }
        let of_id = |id: &Value| {
            let index = id.as_u64().and_then(|id| usize::try_from(id).ok());
            // The listing begins with type 1.
            index.and_then(|index| types.get(index.checked_sub(1)?))
        };
        let mut held = of_id(&member["type_id"]);
        while let Some(ty) = held.filter(|ty| ty["kind"] == "CONST" || ty["kind"] == "VOLATILE") {
            held = of_id(&ty["type_id"]);
        }
        match held {
            Some(ty) if is_composite(ty) && is_nameless(ty) => {
                add_members(types, ty, offset, members);
            }
            // A bitfield that only pads, or a structure with a tag (`-fms-extensions`).
            _ => {
                members.insert((String::new(), offset));
            }
        }
    }
}

/// What bpftool lists of the structures and unions of a kernel that have one definition.
fn composites(bpftool: &Path, kernel: &Path) -> BTreeMap<Key, Composite> {
    let args = ["-j", "btf", "dump", "file", kernel.to_str().unwrap()];
    let listing: Value = serde_json::from_str(&run(bpftool, args).success().stdout).unwrap();
    let types = listing["types"].as_array().unwrap();
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for ty in types
        .iter()
        .filter(|ty| is_composite(ty) && !is_nameless(ty))
    {
        let key = (text(ty, "kind").to_lowercase(), text(ty, "name"));
        let mut members = BTreeSet::new();
        add_members(types, ty, 0, &mut members);
        let size = ty["size"].as_u64().unwrap();
        found
            .entry(key)
            .or_default()
            .push(Composite { size, members });
    }
    let single = |(key, mut definitions): (Key, Vec<Composite>)| {
        let first = definitions.pop()?;
        definitions.is_empty().then_some((key, first))
    };
    found.into_iter().filter_map(single).collect()
}

/// What is told of the members of a structure that changed.
#[derive(Debug, Default)]
struct Told {
    /// What stood somewhere, and what stands somewhere now.
    sides: [BTreeSet<Place>; 2],
    /// What is told to stand elsewhere, or no more, or only now.
    elsewhere: [BTreeSet<Place>; 2],
}

fn told(old: &Path, new: &Path) -> BTreeMap<Key, Told> {
    let args = [
        "diff",
        "--json",
        old.to_str().unwrap(),
        new.to_str().unwrap(),
    ];
    let outcome = run(&ours("btf-dump"), args);
    assert_eq!(outcome.status, Some(1), "{outcome}");
    let mut all = BTreeMap::<_, Told>::new();
    for line in outcome.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["type"] != "changed" {
            continue;
        }
        let told = all.entry((text(&line, "kind"), text(&line, "name")));
        let told = told.or_default();
        for member in line["members"].as_array().into_iter().flatten() {
            let change = text(member, "change");
            for (index, side) in ["old", "new"].into_iter().enumerate() {
                let Some(offset) = member[side]["bit_offset"].as_u64() else {
                    continue;
                };
                let place = (text(&member[side], "name"), offset);
                let is_there = ["moved", "added", "removed"]
                    .iter()
                    .any(|word| change.starts_with(word));
                if is_there {
                    told.elsewhere[index].insert(place.clone());
                }
                told.sides[index].insert(place);
            }
        }
    }
    all
}

#[test]
fn members_that_stand_elsewhere_are_those_that_bpftool_lists_elsewhere() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    let kernels = kernels();
    let mut compared = 0;
    for (old, new) in kernels.iter().zip(kernels.iter().skip(1)) {
        let told = told(old, new);
        let nothing = Told::default();
        let [before, after] = [old, new].map(|kernel| composites(&bpftool, kernel));
        for (key, before) in &before {
            let Some(after) = after.get(key) else {
                continue;
            };
            let (was, is) = (&before.members, &after.members);
            let told_of = told.get(key).unwrap_or(&nothing);
            for (index, elsewhere) in [was - is, is - was].into_iter().enumerate() {
                let missing = &elsewhere - &told_of.sides[index];
                assert!(missing.is_empty(), "{key:?}: {missing:?} are not told");
            }
            let same = was & is;
            for (index, places) in told_of.elsewhere.iter().enumerate() {
                let both = &(places & &same) & &told_of.sides[1 - index];
                // Of a name that stands at several places (`a` of two unions) one may be told for another.
                let wrong: Vec<_> = both
                    .iter()
                    .filter(|place| same.iter().filter(|other| other.0 == place.0).count() == 1)
                    .collect();
                assert!(wrong.is_empty(), "{key:?}: {wrong:?} are where they were");
            }
            if before.size != after.size {
                assert!(told.contains_key(key), "{key:?} has another size");
            }
            compared += before.members.len();
        }
    }
    assert!(kernels.len() < 2 || compared > 10_000, "{compared}");
}

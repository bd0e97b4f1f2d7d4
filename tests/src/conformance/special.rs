//! Special fields of structures: locks, lists, trees, reference counters and kptrs, which the kernel looks for when a user's
//! BTF is right otherwise.
//!
//! The verdicts are about Linux 6.1, which does not look, and 6.12 and later.

use btf_core::kind::Kind;

use super::{Blob, Cases, Verdict, YES, before};

/// The special structures that the kernel seeks, with their sizes.
const SPECIAL: [(&str, u32); 6] = [
    ("bpf_spin_lock", 4),
    ("bpf_list_head", 16),
    ("bpf_list_node", 24),
    ("bpf_rb_root", 16),
    ("bpf_rb_node", 32),
    ("bpf_refcount", 4),
];

/// The ids of [`SPECIAL`], behind `int`, which is type 1.
const LOCK: u32 = 2;
const HEAD: u32 = 3;
const NODE: u32 = 4;
const ROOT: u32 = 5;
const RB_NODE: u32 = 6;
const REFCOUNT: u32 = 7;

const fn user(verdict: Verdict) -> [Verdict; 2] {
    [verdict, YES]
}

/// Refused by kernels that look.
const REFUSED: [Verdict; 2] = user(before(6, 12));

pub(super) fn add(cases: &mut Cases) {
    locks(cases);
    roots(cases);
    nested(cases);
    kptrs(cases);
    owners(cases);
}

/// Adds the special structures.
fn start(b: &mut Blob) {
    let value = b.name("value");
    for (name, size) in SPECIAL {
        b.composite(name, size, &[[value, 1, 0]]);
    }
}

/// Adds a structure of members that are type and byte; they are called `m0`, `m1` and so on.
fn structure(b: &mut Blob, name: &str, size: u32, members: &[[u32; 2]]) -> u32 {
    let members: Vec<_> = (0u32..)
        .zip(members)
        .map(|(index, &[ty, byte])| [b.name(format!("m{index}")), ty, byte * 8])
        .collect();
    b.composite(name, size, &members)
}

/// Says what the member of a structure contains.
fn contains(b: &mut Blob, id: u32, member: u32, what: &str) {
    b.named(Kind::DeclTag, format!("contains:{what}"), id, &[member]);
}

/// Adds a case of one structure.
fn one(cases: &mut Cases, name: &str, about: &str, verdicts: [Verdict; 2], members: &[[u32; 2]]) {
    cases.add(format!("special-{name}"), about, verdicts, |b| {
        start(b);
        structure(b, "holder", 128, members);
    });
}

fn locks(cases: &mut Cases) {
    one(cases, "lock", "a lock", user(YES), &[[LOCK, 0]]);
    one(
        cases,
        "lock-later",
        "a lock at byte 4",
        user(YES),
        &[[1, 0], [LOCK, 4]],
    );
    one(
        cases,
        "lock-askew",
        "a lock at byte 2 only",
        REFUSED,
        &[[LOCK, 2]],
    );
    one(
        cases,
        "lock-twice",
        "two locks",
        REFUSED,
        &[[LOCK, 0], [LOCK, 4]],
    );
    one(
        cases,
        "lock-overlaps",
        "a lock that overlaps a reference counter",
        REFUSED,
        &[[LOCK, 0], [REFCOUNT, 0]],
    );
    one(
        cases,
        "lock-and-refcount",
        "a lock and a reference counter",
        user(YES),
        &[[LOCK, 0], [REFCOUNT, 4]],
    );
    one(
        cases,
        "nodes",
        "nodes of a list and a tree without a reference counter",
        REFUSED,
        &[[NODE, 0], [RB_NODE, 24]],
    );
    one(
        cases,
        "nodes-refcount",
        "nodes of a list and a tree with a reference counter",
        user(YES),
        &[[NODE, 0], [RB_NODE, 24], [REFCOUNT, 56]],
    );
    cases.add("special-lock-size", "the lock has 8 bytes", REFUSED, |b| {
        let value = b.name("value");
        let lock = b.composite("bpf_spin_lock", 8, &[[value, 1, 0]]);
        structure(b, "holder", 8, &[[lock, 0]]);
    });
    cases.add(
        "special-lock-alone",
        "the lock has 8 bytes, but nothing has a lock",
        user(YES),
        |b| {
            b.composite("bpf_spin_lock", 8, &[]);
        },
    );
    for (what, other, verdict) in [
        ("beside", LOCK, before(6, 15)),
        ("instead-of", REFCOUNT, YES),
    ] {
        let about = format!("a resilient lock {} a plain one", what.replace('-', " "));
        cases.add(
            format!("special-resilient-{what}"),
            about,
            user(verdict),
            |b| {
                start(b);
                let value = b.name("value");
                let lock = b.composite("bpf_res_spin_lock", 4, &[[value, 1, 0]]);
                structure(b, "holder", 8, &[[lock, 0], [other, 4]]);
            },
        );
    }
    cases.add(
        "special-bitfield",
        "a bitfield beside a lock, which does not start at a byte",
        REFUSED,
        |b| {
            start(b);
            let (lock, bits) = (b.name("lock"), b.name("bits"));
            b.bitfields(8, &[[lock, LOCK, 0], [bits, 1, (4 << 24) + 33]]);
        },
    );
}

/// Adds a case of a list with a lock, the tag's text, and a value with a node.
fn list(cases: &mut Cases, name: &str, about: &str, verdict: Verdict, tags: &[&str]) {
    cases.add(format!("special-list-{name}"), about, user(verdict), |b| {
        start(b);
        structure(b, "value", 32, &[[NODE, 0], [1, 24]]);
        let holder = structure(b, "holder", 24, &[[HEAD, 0], [LOCK, 16]]);
        for tag in tags {
            contains(b, holder, 0, tag);
        }
    });
}

fn roots(cases: &mut Cases) {
    let refused = before(6, 12);
    list(cases, "plain", "a list", YES, &["value:m0"]);
    list(
        cases,
        "untagged",
        "a list that does not say what it contains",
        refused,
        &[],
    );
    list(
        cases,
        "twice",
        "a list that says twice what it contains",
        refused,
        &["value:m0", "value:m0"],
    );
    list(
        cases,
        "no-member",
        "a list that names no member",
        refused,
        &["value"],
    );
    list(
        cases,
        "empty-member",
        "a list that names a member without a name",
        refused,
        &["value:"],
    );
    list(
        cases,
        "no-value",
        "a list of what is not there",
        refused,
        &["missing:m0"],
    );
    list(
        cases,
        "no-node",
        "a list by a member that is not there",
        refused,
        &["value:m9"],
    );
    list(
        cases,
        "other-member",
        "a list by a member that is an integer",
        refused,
        &["value:m1"],
    );
    one(
        cases,
        "list-unlocked",
        "a list without a tag or lock",
        REFUSED,
        &[[HEAD, 0]],
    );
    for is_tree in [false, true] {
        let (what, root) = if is_tree {
            ("tree", ROOT)
        } else {
            ("list", HEAD)
        };
        for (lock, verdict) in [("locked", YES), ("without-lock", refused)] {
            for (node, id) in [("list", NODE), ("tree", RB_NODE)] {
                let verdict = if (what == node) && verdict == YES {
                    YES
                } else {
                    refused
                };
                let about = format!("a {what} {} by a node of a {node}", lock.replace('-', " "));
                let name = format!("special-{what}-{lock}-{node}-node");
                cases.add(name, about, user(verdict), |b| {
                    start(b);
                    structure(b, "value", 32, &[[id, 0]]);
                    let other = if lock == "locked" { LOCK } else { REFCOUNT };
                    let holder = structure(b, "holder", 24, &[[root, 0], [other, 16]]);
                    contains(b, holder, 0, "value:m0");
                });
            }
        }
    }
}

fn nested(cases: &mut Cases) {
    for (name, count, element, verdict) in [
        ("one-lock", 1, LOCK, YES),
        ("locks", 2, LOCK, before(6, 12)),
        ("no-locks", 0, LOCK, YES),
    ] {
        let about = format!("an array of {count} locks beside a reference counter");
        cases.add(format!("special-array-{name}"), about, user(verdict), |b| {
            start(b);
            let array = b.array(element, 1, count);
            structure(b, "holder", 16, &[[REFCOUNT, 0], [array, 4]]);
        });
    }
    for (count, verdict) in [(10, YES), (11, before(6, 12))] {
        let about = format!("{count} kptrs in an array, and a lock");
        cases.add(
            format!("special-fields-{count}"),
            about,
            user(verdict),
            |b| {
                start(b);
                let pointer = kptr(b, &["kptr_untrusted"], 1);
                let array = b.array(pointer, 1, count);
                structure(b, "holder", 96, &[[LOCK, 0], [array, 8]]);
            },
        );
    }
    for (levels, verdict) in [(31, YES), (32, before(6, 12))] {
        let about = format!("structures nested {levels} deep beside a lock");
        cases.add(
            format!("special-nested-{levels}"),
            about,
            user(verdict),
            |b| {
                start(b);
                let mut inner = structure(b, "inner", 4, &[[1, 0]]);
                for _ in 1..levels {
                    inner = structure(b, "", 4, &[[inner, 0]]);
                }
                structure(b, "holder", 8, &[[LOCK, 0], [inner, 4]]);
            },
        );
    }
}

/// Adds a pointer with these tags, the innermost first, to a new structure, or to `int` if there is to be none.
fn kptr(b: &mut Blob, tags: &[&str], structures: u32) -> u32 {
    let mut target = 1;
    if structures > 0 {
        target = structure(b, "of_the_program_only", 4, &[[1, 0]]);
    }
    for tag in tags {
        target = b.named(Kind::TypeTag, tag, target, &[]);
    }
    b.ptr(target)
}

fn kptrs(cases: &mut Cases) {
    let refused = before(6, 12);
    let tags: [(&str, &[&str], u32, Verdict); 6] = [
        ("owning", &["kptr"], 1, YES),
        ("untrusted", &["kptr_untrusted"], 1, YES),
        ("percpu", &["percpu_kptr"], 1, YES),
        ("to-int", &["kptr"], 0, refused),
        ("two-kinds", &["kptr", "kptr_untrusted"], 1, refused),
        ("untagged", &[], 1, YES),
    ];
    for (name, tags, structures, verdict) in tags {
        let about = format!("a pointer with the tags {tags:?} beside a lock");
        cases.add(format!("special-kptr-{name}"), about, user(verdict), |b| {
            start(b);
            let pointer = kptr(b, tags, structures);
            structure(b, "holder", 16, &[[LOCK, 0], [pointer, 8]]);
        });
    }
    cases.add(
        "special-kptr-uptr",
        "a pointer with the tag `uptr`, which is nothing special here",
        user(YES),
        |b| {
            let pointer = kptr(b, &["uptr"], 1);
            structure(b, "holder", 8, &[[pointer, 0]]);
        },
    );
    cases.add(
        "special-kptr-nameless",
        "a kptr that owns a structure without a name",
        user(YES),
        |b| {
            let nameless = structure(b, "", 4, &[[1, 0]]);
            let tag = b.named(Kind::TypeTag, "kptr", nameless, &[]);
            let pointer = b.ptr(tag);
            structure(b, "holder", 8, &[[pointer, 0]]);
        },
    );
}

fn owners(cases: &mut Cases) {
    for (name, count, is_cycle, verdict) in [
        ("two", 2, false, YES),
        ("three", 3, false, YES),
        ("nine", 9, false, before(6, 12)),
        ("itself", 1, true, before(6, 12)),
        ("circle", 2, true, before(6, 12)),
    ] {
        let about = format!("lists of lists, {count} structures in a row: {name}");
        cases.add(
            format!("special-owners-{name}"),
            about,
            user(verdict),
            |b| {
                start(b);
                for index in 0..count {
                    let mut members = vec![[LOCK, 0]];
                    members.push([if index > 0 || is_cycle { NODE } else { 1 }, 8]);
                    let has_list = index + 1 < count || is_cycle;
                    if has_list {
                        members.push([HEAD, 32]);
                    }
                    let id = structure(b, &format!("owner{index}"), 48, &members);
                    if has_list {
                        let next = (index + 1) % count;
                        contains(b, id, 2, &format!("owner{next}:m1"));
                    }
                }
            },
        );
    }
    // Linux before 7.2 looks at lists and trees only.
    for (count, verdict) in [(8, YES), (9, before(7, 2))] {
        let about = format!("kptrs to structures with kptrs, {count} in a row");
        let name = format!("special-owners-kptrs-{count}");
        cases.add(name, about, user(verdict), |b| {
            start(b);
            let mut last = structure(b, "owned0", 8, &[[REFCOUNT, 0]]);
            for index in 1..count {
                let tag = b.named(Kind::TypeTag, "kptr", last, &[]);
                let pointer = b.ptr(tag);
                last = structure(b, &format!("owned{index}"), 8, &[[pointer, 0]]);
            }
        });
    }
}

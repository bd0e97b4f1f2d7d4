//! Goal: where libbpf merges wrongly, takes exponential time, gives up, or lets the order of files decide, `btf-link merge` does not.
//! Method: the smallest BTF for each of these; bpftool, where it is there, shows that libbpf has the defect (`btf dump file A file B`
//! merges as libbpf does), and ours shows that it has not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use btf_core::builder::{MemberSpec, WriteOptions};
use btf_core::wire::int;
use btf_core::{Btf, Builder, ByteOrder, Kind, TypeId};
use btf_tests::compare::{Comparison, Scope};
use btf_tests::program::{Outcome, TestDir, ours, peer, run};

/// A base with `int` and `unsigned int`, and files on top of it.
struct Files {
    dir: TestDir,
    base: Arc<Btf>,
    base_path: PathBuf,
    paths: Vec<PathBuf>,
}

const INT: TypeId = TypeId(1);
const UNSIGNED: TypeId = TypeId(2);

impl Files {
    fn new() -> Self {
        let dir = TestDir::new();
        let mut base = Builder::new();
        base.int(b"int", 4, int::SIGNED).unwrap();
        base.int(b"unsigned int", 4, 0).unwrap();
        let bytes = base
            .write(ByteOrder::NATIVE, WriteOptions::default())
            .unwrap();
        Self {
            base_path: dir.write("vmlinux", &bytes),
            base: Arc::new(base.finish().unwrap()),
            dir,
            paths: Vec::new(),
        }
    }

    fn add(&mut self, make: impl FnOnce(&mut Builder)) {
        let mut builder = Builder::with_base(Arc::clone(&self.base));
        make(&mut builder);
        let bytes = builder
            .write(ByteOrder::NATIVE, WriteOptions::default())
            .unwrap();
        let name = format!("file{}", self.paths.len());
        self.paths.push(self.dir.write(&name, &bytes));
    }

    /// Merges the files in this order.
    fn merge(&self, order: &[usize]) -> Btf {
        let out = self.dir.path("out");
        let mut args = vec![
            Path::new("merge"),
            Path::new("-q"),
            Path::new("--base"),
            &self.base_path,
        ];
        args.extend(order.iter().map(|&index| &*self.paths[index]));
        args.extend([Path::new("-o"), &out]);
        let outcome = run(&ours("btf-link"), args).success();
        assert!(outcome.elapsed < Duration::from_secs(20), "{outcome}");
        Btf::parse(&std::fs::read(&out).unwrap(), Some(Arc::clone(&self.base))).unwrap()
    }

    /// How libbpf merges them.
    fn libbpf(&self, bpftool: &Path, order: &[usize]) -> Outcome {
        let mut args = vec![
            Path::new("-B"),
            &self.base_path,
            Path::new("btf"),
            Path::new("dump"),
        ];
        for &index in order {
            args.extend([Path::new("file"), &self.paths[index]]);
        }
        run(bpftool, args)
    }
}

fn own_types(btf: &Btf) -> u32 {
    btf.end_id() - btf.first_id()
}

fn lines(outcome: &Outcome, what: &str) -> usize {
    outcome
        .stdout
        .lines()
        .filter(|line| line.contains(what))
        .count()
}

/// Fails unless two merges have the same types by meaning, each once.
#[track_caller]
fn assert_same(a: &Btf, b: &Btf) {
    let comparison = Comparison::new(a, b, Scope::All).unwrap();
    assert!(comparison.is_equal(false));
    assert_eq!(own_types(a), own_types(b));
}

fn members(types: &[TypeId]) -> Vec<MemberSpec<'static>> {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let offsets = (0..).step_by(128);
    let members = NAMES.iter().zip(types).zip(offsets);
    let member = |((name, ty), bit_offset): ((&&'static str, &TypeId), u32)| MemberSpec {
        name: name.as_bytes(),
        ty: *ty,
        bit_offset,
        ..MemberSpec::default()
    };
    members.map(member).collect()
}

#[test]
fn structures_that_differ_in_an_array_are_two() {
    let mut files = Files::new();
    files.add(|builder| {
        let array = builder.array(INT, INT, 4).unwrap();
        let members = members(&[array, array]);
        builder.composite(Kind::Struct, b"S", 32, &members).unwrap();
    });
    files.add(|builder| {
        let first = builder.array(INT, INT, 4).unwrap();
        let second = builder.array(UNSIGNED, INT, 4).unwrap();
        let members = members(&[first, second]);
        builder.composite(Kind::Struct, b"S", 32, &members).unwrap();
    });
    let (one, other) = (files.merge(&[0, 1]), files.merge(&[1, 0]));
    assert_eq!(one.find_by_name(b"S").count(), 2);
    assert_same(&one, &other);
    if let Some(bpftool) = peer("bpftool") {
        let theirs = [[0, 1], [1, 0]].map(|order| files.libbpf(&bpftool, &order).success());
        let counts = theirs.map(|outcome| lines(&outcome, "STRUCT 'S'"));
        assert_eq!(counts, [1, 2], "libbpf has changed");
    }
}

/// Structures in levels, all members of each pointing to one of the next level. If there are two of each, those of the outermost point
/// to both in turn.
fn levels(builder: &mut Builder, count: u32, width: usize, twice: bool) {
    let copies = if twice { 2 } else { 1 };
    let mut next: Vec<TypeId> = vec![INT; copies];
    for level in (0..count).rev() {
        let pointers: Vec<_> = next.iter().map(|&ty| builder.ptr(ty).unwrap()).collect();
        let is_outermost = level == 0;
        let copies = if is_outermost { 1 } else { copies };
        next = (0..copies)
            .map(|copy| {
                let pointer = |at| {
                    pointers[if is_outermost {
                        at % pointers.len()
                    } else {
                        copy
                    }]
                };
                let types: Vec<_> = (0..width).map(pointer).collect();
                let name = format!("level{level}");
                let members = members(&types);
                builder
                    .composite(Kind::Struct, name.as_bytes(), 128, &members)
                    .unwrap()
            })
            .collect();
    }
}

#[test]
fn copies_within_a_file_take_no_exponential_time() {
    let files = |count: u32| {
        let mut files = Files::new();
        files.add(|builder| levels(builder, count, 8, false));
        files.add(|builder| levels(builder, count, 8, true));
        files
    };
    let merged = files(60).merge(&[0, 1]);
    assert_eq!(own_types(&merged), 120);
    if let Some(bpftool) = peer("bpftool") {
        let time = |count| files(count).libbpf(&bpftool, &[0, 1]).success().elapsed;
        let (short, long) = (time(5), time(8));
        assert!(long > short * 3, "libbpf has changed: {short:?}, {long:?}");
    }
}

#[test]
fn deep_copies_are_one() {
    let mut files = Files::new();
    files.add(|builder| levels(builder, 24, 2, false));
    files.add(|builder| levels(builder, 24, 2, true));
    let merged = files.merge(&[0, 1]);
    assert_eq!(own_types(&merged), 48);
    assert_same(&merged, &files.merge(&[1, 0]));
}

#[test]
fn pointers_in_a_circle_are_no_reason_to_give_up() {
    let mut files = Files::new();
    for _ in 0..2 {
        files.add(|builder| {
            let next = TypeId(builder.next_id().0 + 1);
            let ptr = builder.ptr(next).unwrap();
            builder.ptr(ptr).unwrap();
        });
    }
    assert_eq!(own_types(&files.merge(&[0, 1])), 1);
    if let Some(bpftool) = peer("bpftool") {
        let theirs = files.libbpf(&bpftool, &[0, 1]);
        assert_ne!(theirs.status, Some(0), "libbpf has changed: {theirs}");
    }
}

#[test]
fn a_declared_enumeration_with_two_definitions_stays_declared() {
    let mut files = Files::new();
    files.add(|builder| {
        let e = builder.enumeration(b"e", 4, false, &[]).unwrap();
        let ptr = builder.ptr(e).unwrap();
        builder.typedef(b"pointer_t", ptr).unwrap();
    });
    for name in [b"A", b"B"] {
        files.add(|builder| {
            let values: [(&[u8], u64); 1] = [(name, 1)];
            builder.enumeration(b"e", 4, false, &values).unwrap();
        });
    }
    let merged = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 1, 0]].map(|order| files.merge(&order));
    for other in &merged {
        assert_same(&merged[0], other);
        assert_eq!(other.find_by_name(b"e").count(), 3);
    }
    if let Some(bpftool) = peer("bpftool") {
        let last = |order: &[usize]| files.libbpf(&bpftool, order).success();
        let (one, other) = (last(&[0, 1, 2]), last(&[0, 2, 1]));
        assert_eq!(lines(&one, "ENUM 'e'"), 2, "libbpf has changed: {one}");
        // What the pointer is to depends on the order.
        assert_ne!(one.stdout, other.stdout);
    }
}

#[test]
fn what_a_declared_structure_is_does_not_depend_on_the_order() {
    let mut files = Files::new();
    // `struct s { struct x *p; }`, where x is declared, and two different ones.
    let holder = |builder: &mut Builder, x: TypeId| {
        let ptr = builder.ptr(x).unwrap();
        let members = members(&[ptr]);
        builder.composite(Kind::Struct, b"s", 8, &members).unwrap();
    };
    files.add(|builder| {
        let x = builder.fwd(b"x", false).unwrap();
        holder(builder, x);
    });
    for ty in [INT, UNSIGNED] {
        files.add(|builder| {
            let x = builder
                .composite(Kind::Struct, b"x", 4, &members(&[ty]))
                .unwrap();
            holder(builder, x);
        });
    }
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let merged = orders.map(|order| files.merge(&order));
    for other in &merged {
        assert_same(&merged[0], other);
        assert_eq!(
            other
                .find_by_name(b"x")
                .filter(|id| other.info(*id).unwrap().vlen() == 1)
                .count(),
            2
        );
    }
}

#[test]
fn typedefs_of_the_base_are_not_written_again() {
    let mut files = Files::new();
    let mut base = Builder::from_btf(&files.base);
    let alias = base.typedef(b"u32", UNSIGNED).unwrap();
    base.ptr(alias).unwrap();
    let bytes = base
        .write(ByteOrder::NATIVE, WriteOptions::default())
        .unwrap();
    std::fs::write(&files.base_path, bytes).unwrap();
    files.base = Arc::new(base.finish().unwrap());
    files.add(|builder| {
        let alias = builder.typedef(b"u32", UNSIGNED).unwrap();
        let ptr = builder.ptr(alias).unwrap();
        builder.typedef(b"own_t", ptr).unwrap();
    });
    assert_eq!(own_types(&files.merge(&[0])), 1);
}

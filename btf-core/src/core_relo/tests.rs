//! Each rule with types that are made for it. That the rules are libbpf's is shown by comparing with libbpf itself, in
//! `tests/tests/link_core.rs`.

use std::sync::Arc;

use super::fault::Answer;
use super::*;
use crate::builder::MemberSpec;
use crate::ext::CoreRelo;
use crate::ids::{StrOffset, TypeId};
use crate::kind::Kind;
use crate::wire::int;
use crate::{Btf, Builder};

type Members<'a> = &'a [(&'a str, TypeId, u32)];

fn composite(builder: &mut Builder, kind: Kind, name: &str, size: u32, of: Members<'_>) -> TypeId {
    let members: Vec<_> = of
        .iter()
        .map(|&(name, ty, bits)| MemberSpec {
            name: name.as_bytes(),
            ty,
            bit_offset: bits & 0x00ff_ffff,
            bitfield_size: u8::try_from(bits >> 24).unwrap(),
        })
        .collect();
    let name = name.as_bytes();
    builder.composite(kind, name, size, &members).unwrap()
}

fn structure(builder: &mut Builder, name: &str, size: u32, of: Members<'_>) -> TypeId {
    composite(builder, Kind::Struct, name, size, of)
}

/// BTF that starts with a signed `int` as type 1 and an unsigned one as type 2.
fn btf(make: impl FnOnce(&mut Builder)) -> Btf {
    let mut builder = Builder::new();
    builder.int(b"int", 4, int::SIGNED).unwrap();
    builder.int(b"unsigned int", 4, 0).unwrap();
    make(&mut builder);
    builder.finish().unwrap()
}

const INT: TypeId = TypeId(1);
const UNSIGNED: TypeId = TypeId(2);

/// Asks about the type of the program that is named, or about its last type.
struct Question<'a> {
    local: &'a Btf,
    kernel: &'a Kernel,
}

impl Question<'_> {
    fn request(&self, name: &str, access: &str, kind: RelocationKind) -> Result<Request, Fault> {
        let root = self.local.find_by_name(name.as_bytes()).next();
        let root = root.unwrap_or(TypeId(self.local.end_id() - 1));
        let spec = Spec::parse(self.local, root, access.as_bytes(), kind)?;
        Ok(Request { kind, spec })
    }

    fn ask(&self, name: &str, access: &str, kind: RelocationKind) -> Result<Found, Fault> {
        let request = self.request(name, access, kind)?;
        Resolver::new(self.local, self.kernel).resolve(&request)
    }

    #[track_caller]
    fn check(&self, name: &str, access: &str, kind: RelocationKind, old: u64, new: u64) {
        let value = self.ask(name, access, kind).unwrap().value;
        assert_eq!((value.old, value.new, value.is_poison), (old, new, false));
    }
}

fn kernel(btf: Btf) -> Kernel {
    Kernel::new(Arc::new(btf))
}

use RelocationKind as Ask;

#[test]
fn members_are_found_by_name_through_members_without_one() {
    let local = btf(|b| {
        let inner = structure(b, "", 8, &[("x", INT, 0), ("y", INT, 32)]);
        structure(b, "s___mine", 8, &[("", inner, 0)]);
    });
    let kernel = kernel(btf(|b| {
        let deep = structure(b, "", 8, &[("z", INT, 0), ("y", UNSIGNED, 32)]);
        let union = composite(b, Kind::Union, "", 8, &[("other", INT, 0), ("", deep, 0)]);
        structure(b, "s", 24, &[("first", INT, 0), ("", union, 64)]);
    }));
    let q = Question {
        local: &local,
        kernel: &kernel,
    };
    q.check("s___mine", "0:0:1", Ask::FieldByteOffset, 4, 12);
    q.check("s___mine", "1:0:1", Ask::FieldByteOffset, 12, 36);
    q.check("s___mine", "0:0:1", Ask::FieldByteSize, 4, 4);
    q.check("s___mine", "0:0:1", Ask::FieldSigned, 1, 0);
    q.check("s___mine", "0:0:1", Ask::FieldExists, 1, 1);
    q.check("s___mine", "0:0:0", Ask::FieldExists, 1, 0);
    let found = q.ask("s___mine", "0:0:1", Ask::FieldByteOffset).unwrap();
    let (_, spec) = &found.matches[0];
    assert_eq!(spec.steps.len(), 4);
    assert_eq!(spell::access(kernel.btf(0).unwrap(), spec), b"struct s.y");

    let missing = q.ask("s___mine", "0:0:0", Ask::FieldByteOffset).unwrap();
    assert!(missing.value.is_poison);
    let (candidate, mismatch) = missing.nearest.unwrap();
    let request = q.request("s___mine", "0:0:0", Ask::FieldExists).unwrap();
    let target = kernel.btf(candidate.blob).unwrap();
    let why = spell::mismatch(&local, &request.spec, target, &mismatch);
    assert_eq!(why, b"there is no `struct s___mine.x` in `struct s`");
}

#[test]
fn what_matches_must_agree_and_what_does_not_is_out() {
    let local = btf(|b| {
        structure(b, "s", 8, &[("a", INT, 0), ("b", INT, 32), ("c", INT, 32)]);
    });
    let kernel = kernel(btf(|b| {
        structure(b, "s___1", 8, &[("b", INT, 0), ("c", INT, 32)]);
        structure(b, "s___2", 8, &[("b", INT, 32), ("a", INT, 0)]);
    }));
    let q = Question {
        local: &local,
        kernel: &kernel,
    };
    let ambiguous = Fault::Ambiguous {
        first: Answer::BitOffset(0),
        other: Answer::BitOffset(32),
    };
    assert_eq!(
        q.ask("s", "0:1", Ask::FieldByteOffset),
        Err(ambiguous.clone())
    );
    assert_eq!(q.ask("s", "0:1", Ask::FieldExists), Err(ambiguous));
    assert!(matches!(
        q.ask("s", "0", Ask::TypeIdTarget),
        Err(Fault::Ambiguous { .. })
    ));
    q.check("s", "0", Ask::TypeSize, 8, 8);

    // A relocation that only one candidate answers decides for those that follow.
    let mut resolver = Resolver::new(&local, &kernel);
    let mut ask = |access| {
        let request = q.request("s", access, Ask::FieldByteOffset).unwrap();
        resolver.resolve(&request).map(|found| found.value.new)
    };
    assert_eq!(ask("0:0"), Ok(0));
    assert_eq!(ask("0:1"), Ok(4));
    assert_eq!(ask("0:2"), Ok(0));
}

#[test]
fn elements_have_bounds_but_at_a_flexible_end() {
    let make = |count, last| {
        move |b: &mut Builder| {
            let array = b.array(INT, UNSIGNED, count).unwrap();
            let flexible = b.array(INT, UNSIGNED, last).unwrap();
            structure(b, "s", 64, &[("a", array, 32), ("last", flexible, 256)]);
        }
    };
    let local = btf(make(4, 0));
    let [fits, short] = [(4, 0), (2, 2)].map(|(a, b)| kernel(btf(make(a, b))));
    let q = Question {
        local: &local,
        kernel: &fits,
    };
    q.check("s", "0:0:3", Ask::FieldByteOffset, 16, 16);
    q.check("s", "0:1:9", Ask::FieldByteOffset, 68, 68);
    let fault = q.ask("s", "0:0:4", Ask::FieldByteOffset).unwrap_err();
    assert!(matches!(fault, Fault::Access(_)));
    assert_eq!(
        q.ask("s", "0:0:1", Ask::FieldSigned),
        Err(Fault::ElementQuestion)
    );
    let q = Question {
        local: &local,
        kernel: &short,
    };
    assert!(
        q.ask("s", "0:0:3", Ask::FieldByteOffset)
            .unwrap()
            .value
            .is_poison
    );
    assert!(
        q.ask("s", "0:1:9", Ask::FieldByteOffset)
            .unwrap()
            .value
            .is_poison
    );
    q.check("s", "0:1:9", Ask::FieldExists, 1, 0);
}

/// The offset word of a bitfield.
fn bitfield(bits: u32, at: u32) -> u32 {
    bits << 24 | at
}

#[test]
fn bitfields_are_loaded_in_aligned_words() {
    let local = btf(|b| {
        structure(b, "s", 8, &[("f", UNSIGNED, bitfield(3, 1))]);
    });
    let kernel = kernel(btf(|b| {
        structure(b, "s", 8, &[("f", INT, bitfield(6, 30))]);
    }));
    let q = Question {
        local: &local,
        kernel: &kernel,
    };
    // Bits 30 to 35 cross a word of 32 bits, so 64 are loaded.
    q.check("s", "0:0", Ask::FieldByteOffset, 0, 0);
    q.check("s", "0:0", Ask::FieldByteSize, 4, 8);
    q.check("s", "0:0", Ask::FieldLshift, 64 - 4, 64 - 36);
    q.check("s", "0:0", Ask::FieldRshift, 61, 58);
    q.check("s", "0:0", Ask::FieldSigned, 0, 1);
}

#[test]
fn kinds_of_members_must_do_for_each_other() {
    // For each member of the program one type, and the kernel's.
    #[track_caller]
    fn check(make_local: fn(&mut Builder) -> TypeId, make: fn(&mut Builder) -> TypeId, fits: bool) {
        let with = |make: fn(&mut Builder) -> TypeId| {
            btf(|b| {
                let ty = make(b);
                structure(b, "s", 64, &[("f", ty, 0)]);
            })
        };
        let (local, kernel) = (with(make_local), kernel(with(make)));
        let q = Question {
            local: &local,
            kernel: &kernel,
        };
        q.check("s", "0:0", Ask::FieldExists, 1, u64::from(fits));
    }
    let int = |_: &mut Builder| INT;
    let wide = |b: &mut Builder| b.int(b"long", 8, 0).unwrap();
    let pointer = |b: &mut Builder| b.ptr(INT).unwrap();
    let void_pointer = |b: &mut Builder| b.ptr(TypeId::VOID).unwrap();
    let structure_a = |b: &mut Builder| structure(b, "a", 4, &[]);
    let union_b = |b: &mut Builder| composite(b, Kind::Union, "b", 4, &[]);
    let enum_a = |b: &mut Builder| b.enumeration(b"a", 4, false, &[(b"A", 0)]).unwrap();
    let enum_a_flavour = |b: &mut Builder| b.enum64(b"a___x", 8, false, &[]).unwrap();
    let enum_b = |b: &mut Builder| b.enumeration(b"b", 4, false, &[(b"A", 0)]).unwrap();
    let no_name = |b: &mut Builder| b.enumeration(b"", 4, false, &[(b"A", 0)]).unwrap();
    let ints = |b: &mut Builder| b.array(INT, INT, 3).unwrap();
    let pointers = |b: &mut Builder| {
        let ptr = b.ptr(INT).unwrap();
        b.array(ptr, INT, 3).unwrap()
    };
    let float = |b: &mut Builder| b.float(b"double", 8).unwrap();
    check(int, wide, true);
    check(int, pointer, false);
    check(pointer, void_pointer, true);
    check(structure_a, union_b, true);
    check(structure_a, int, false);
    check(enum_a, enum_a_flavour, true);
    check(enum_a, enum_b, false);
    check(enum_a, no_name, true);
    check(enum_a, int, false);
    check(ints, ints, true);
    check(ints, pointers, false);
    check(float, float, true);
}

#[test]
fn enumerators_are_found_by_their_essential_name() {
    let local = btf(|b| {
        let values: [(&[u8], u64); 3] = [(b"A", 0), (b"B___old", 1), (b"C", u64::MAX)];
        b.enumeration(b"e", 4, true, &values).unwrap();
    });
    let kernel = kernel(btf(|b| {
        let values: [(&[u8], u64); 2] = [(b"B", 1 << 40), (b"C", 7)];
        b.enum64(b"e", 8, false, &values).unwrap();
    }));
    let q = Question {
        local: &local,
        kernel: &kernel,
    };
    q.check("e", "1", Ask::EnumvalValue, 1, 1 << 40);
    q.check("e", "2", Ask::EnumvalValue, u64::MAX, 7);
    q.check("e", "0", Ask::EnumvalExists, 1, 0);
    assert!(q.ask("e", "0", Ask::EnumvalValue).unwrap().value.is_poison);
    assert!(q.ask("e", "3", Ask::EnumvalValue).is_err());
    let request = q.request("e", "1", Ask::EnumvalValue).unwrap();
    assert_eq!(spell::access(&local, &request.spec), b"enum e::B___old");
}

#[test]
fn types_are_compatible_by_kind_and_match_by_members() {
    let local = btf(|b| {
        let other = b.fwd(b"other", false).unwrap();
        let ptr = b.ptr(other).unwrap();
        structure(b, "s", 16, &[("p", ptr, 64)]);
        structure(b, "t", 8, &[("x", INT, 0)]);
        structure(b, "u", 8, &[]);
        b.typedef(b"number", INT).unwrap();
        let proto = b.func_proto(INT, &[(b"p", ptr)]).unwrap();
        let proto = b.ptr(proto).unwrap();
        b.typedef(b"function", proto).unwrap();
    });
    let kernel = kernel(btf(|b| {
        let other = structure(b, "other", 4, &[]);
        let ptr = b.ptr(other).unwrap();
        structure(b, "s", 32, &[("n", INT, 0), ("p", ptr, 64)]);
        structure(b, "t", 8, &[("x", UNSIGNED, 0)]);
        composite(b, Kind::Union, "u", 8, &[]);
        b.typedef(b"number", ptr).unwrap();
        let proto = b.func_proto(INT, &[(b"q", ptr)]).unwrap();
        let proto = b.ptr(proto).unwrap();
        b.typedef(b"function", proto).unwrap();
    }));
    let q = Question {
        local: &local,
        kernel: &kernel,
    };
    q.check("s", "0", Ask::TypeExists, 1, 1);
    q.check("s", "0", Ask::TypeSize, 16, 32);
    q.check("s", "0", Ask::TypeMatches, 1, 1);
    q.check("t", "0", Ask::TypeExists, 1, 1);
    q.check("t", "0", Ask::TypeMatches, 1, 0);
    q.check("u", "0", Ask::TypeExists, 1, 0);
    q.check("u", "0", Ask::TypeIdTarget, 7, 0);
    q.check("number", "0", Ask::TypeExists, 1, 0);
    // A forward declaration is no structure here, but it is one behind a pointer of types that match.
    q.check("function", "0", Ask::TypeExists, 1, 0);
    q.check("function", "0", Ask::TypeMatches, 1, 1);
    q.check("s", "0", Ask::TypeIdLocal, 5, 5);
}

#[test]
fn modules_are_asked_for_what_the_kernel_does_not_have() {
    let base = Arc::new(btf(|b| {
        structure(b, "both", 8, &[]);
    }));
    let module = |size| {
        let mut builder = Builder::with_base(base.clone());
        structure(&mut builder, "both", 16, &[]);
        structure(&mut builder, "own", size, &[("x", INT, 32)]);
        Arc::new(builder.finish().unwrap())
    };
    let mut kernel = Kernel::new(base.clone());
    let local = btf(|b| {
        structure(b, "both", 4, &[]);
        structure(b, "own", 4, &[("x", INT, 0)]);
    });
    let ids = ["both", "own"].map(|name| local.find_by_name(name.as_bytes()).next().unwrap());
    assert!(kernel.has_own(&local, ids[0]) && !kernel.has_own(&local, ids[1]));
    kernel.add_module(module(8));
    kernel.add_module(module(12));
    let q = Question {
        local: &local,
        kernel: &kernel,
    };
    q.check("both", "0", Ask::TypeSize, 4, 8);
    q.check("own", "0:0", Ask::FieldByteOffset, 0, 4);
    assert!(q.ask("own", "0", Ask::TypeSize).is_err());
}

#[test]
fn a_pointer_of_a_small_machine_is_loaded_with_its_own_size() {
    let make = |size| {
        btf(move |b| {
            b.int(b"long unsigned int", size, 0).unwrap();
            let ptr = b.ptr(INT).unwrap();
            structure(b, "s", 16, &[("p", ptr, 0), ("n", INT, 64)]);
        })
    };
    let (local, kernel) = (make(8), kernel(make(4)));
    let q = Question {
        local: &local,
        kernel: &kernel,
    };
    let value = q.ask("s", "0:0", Ask::FieldByteOffset).unwrap().value;
    assert_eq!((value.old_size, value.new_size), (8, 4));
    let load = Insn {
        code: 0x79,
        dst: 1,
        src: 2,
        ..Insn::default()
    };
    let patched = patch(load, None, &value).unwrap();
    assert_eq!(patched.insn, Insn { code: 0x61, ..load });
}

#[test]
fn accesses_that_make_no_sense_are_refused() {
    let local = btf(|b| {
        structure(b, "s", 8, &[("a", INT, 0)]);
        let huge = b.array(INT, INT, u32::MAX).unwrap();
        structure(b, "huge", 8, &[("a", huge, 0)]);
        b.fwd(b"fwd", false).unwrap();
        structure(b, "", 8, &[("a", INT, 0)]);
    });
    let parse = |name: &str, access: &str, kind: u32| {
        let mut ext = CoreRelo {
            kind,
            ..CoreRelo::default()
        };
        let mut builder = Builder::from_btf(&local);
        ext.access = builder.add_string(access.as_bytes()).unwrap();
        let root = local.find_by_name(name.as_bytes()).last();
        ext.type_id = root.unwrap();
        Request::parse(&builder.finish().unwrap(), &ext)
    };
    assert!(parse("s", "0:0", 0).is_ok());
    let deep = ["0"; spec::MAX_LEN + 1].join(":");
    for access in [
        "",
        ":",
        "0:",
        ":0",
        "x",
        "-1",
        "+0",
        "0:-1",
        "0:1",
        "0:0:0",
        "4294967296",
        &deep,
    ] {
        assert!(parse("s", access, 0).is_err(), "{access}");
    }
    assert!(parse("s", "0:0", 8).is_err(), "a type has no members");
    assert!(parse("s", "0", 11).is_err(), "no enumeration");
    assert_eq!(parse("s", "0:0", 13), Err(Fault::Kind(13)));
    assert_eq!(parse("fwd", "0", 0), Err(Fault::NoSize));
    assert_eq!(parse("", "0:0", 0), Err(Fault::Anonymous));
    assert!(parse("", "0", 6).is_ok(), "a local id needs no name");
    assert!(matches!(
        parse("huge", "0:0:4000000000", 0),
        Err(Fault::Access(_))
    ));
    let outside = CoreRelo {
        type_id: TypeId(99),
        access: StrOffset::EMPTY,
        ..CoreRelo::default()
    };
    assert!(matches!(
        Request::parse(&local, &outside),
        Err(Fault::Btf(_))
    ));
}

#[test]
fn hostile_types_take_bounded_time() {
    // Each function has two parameters of the next type: 2^30 comparisons.
    let towers = btf(|b| {
        let mut ty = INT;
        for _ in 0..30 {
            let proto = b.func_proto(INT, &[(b"a", ty), (b"b", ty)]).unwrap();
            ty = b.ptr(proto).unwrap();
        }
        b.typedef(b"t", ty).unwrap();
        // Each structure has two members without a name of the next type.
        let mut inner = structure(b, "", 4, &[("x", INT, 0)]);
        for _ in 0..50 {
            inner = structure(b, "", 4, &[("", inner, 0), ("", inner, 0)]);
        }
        structure(b, "s", 4, &[("", inner, 0)]);
        // A typedef of itself.
        let own = b.next_id();
        b.typedef(b"own", own).unwrap();
    });
    let local = btf(|b| {
        structure(b, "s", 4, &[("y", INT, 0)]);
    });
    let kernel = kernel(Builder::from_btf(&towers).finish().unwrap());
    let q = Question {
        local: &towers,
        kernel: &kernel,
    };
    for kind in [Ask::TypeExists, Ask::TypeMatches] {
        let mut resolver = Resolver::new(&towers, &kernel);
        resolver.budget = matching::Budget::of(100_000);
        let request = q.request("t", "0", kind).unwrap();
        assert_eq!(resolver.resolve(&request), Err(Fault::TooManySteps));
    }
    assert!(q.ask("own", "0", Ask::TypeExists).is_err());
    assert!(q.ask("own", "0:0", Ask::FieldExists).is_err());
    let q = Question {
        local: &local,
        kernel: &kernel,
    };
    q.check("s", "0:0", Ask::FieldExists, 1, 0);
}

#[test]
fn instructions_take_values_that_fit() {
    let value = |old, new| Value {
        old,
        new,
        checks_old: true,
        ..Value::default()
    };
    let add = Insn {
        code: 0x07,
        dst: 1,
        imm: 8,
        ..Insn::default()
    };
    let patched = patch(add, None, &value(8, 16)).unwrap();
    assert_eq!(patched.insn, Insn { imm: 16, ..add });
    assert!(matches!(
        patch(add, None, &value(9, 16)),
        Err(Fault::Unexpected { .. })
    ));
    let unchecked = Value {
        checks_old: false,
        ..value(9, 16)
    };
    assert!(patch(add, None, &unchecked).is_ok());
    let by_register = Insn { code: 0x0f, ..add };
    assert!(patch(by_register, None, &value(8, 16)).is_err());

    let load = Insn {
        code: 0x61,
        off: 8,
        ..Insn::default()
    };
    assert_eq!(patch(load, None, &value(8, 32767)).unwrap().insn.off, 32767);
    assert_eq!(
        patch(load, None, &value(8, 32768)),
        Err(Fault::TooLarge(32768))
    );
    let other_size = Value {
        old_size: 4,
        new_size: 8,
        is_other_size: true,
        ..value(8, 8)
    };
    assert!(patch(load, None, &other_size).unwrap().is_poison);

    let wide = Insn {
        code: insn::LOAD_IMM64,
        ..Insn::default()
    };
    let half = Insn::default();
    let patched = patch(wide, Some(half), &value(0, 1 << 40 | 5)).unwrap();
    assert_eq!((patched.insn.imm, patched.second.unwrap().imm), (5, 1 << 8));
    assert!(patch(wide, None, &value(0, 1)).is_err());
    let poison = Value {
        is_poison: true,
        ..value(0, 0)
    };
    let patched = patch(wide, Some(half), &poison).unwrap();
    assert_eq!(patched.second, Some(Insn::poison()));
    for order in [crate::ByteOrder::Little, crate::ByteOrder::Big] {
        let insn = Insn {
            code: 0x7b,
            dst: 10,
            src: 3,
            off: -8,
            imm: -2,
        };
        assert_eq!(Insn::parse(order, insn.bytes(order)), insn);
    }
}

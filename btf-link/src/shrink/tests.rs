//! Each rule with types that are made for it.

use btf_core::builder::MemberSpec;
use btf_core::ext::{Block, FuncInfo};
use btf_core::types::VarSecinfo;
use btf_core::validate::{Profile, check_ext};
use btf_core::wire::int;

use super::*;

/// A program that is being built: BTF and `.BTF.ext`.
struct Program {
    builder: Builder,
    ext: BtfExt,
    int: TypeId,
}

impl Program {
    fn new() -> Self {
        let mut builder = Builder::new();
        let int = builder.int(b"int", 4, int::SIGNED).unwrap();
        let ext = BtfExt::default();
        Self { builder, ext, int }
    }

    fn structure(&mut self, name: &str, members: &[(&str, TypeId)]) -> TypeId {
        let members: Vec<_> = (0..)
            .zip(members)
            .map(|(index, (name, ty))| MemberSpec {
                name: name.as_bytes(),
                ty: *ty,
                bit_offset: 64 * index,
                bitfield_size: 0,
            })
            .collect();
        let size = 8 * u32::try_from(members.len()).unwrap();
        let name = name.as_bytes();
        self.builder
            .composite(Kind::Struct, name, size, &members)
            .unwrap()
    }

    fn ptr(&mut self, target: TypeId) -> TypeId {
        self.builder.ptr(target).unwrap()
    }

    fn variable(&mut self, section: &str, ty: TypeId) {
        let ty = self.builder.var(b"variable", ty, 1).unwrap();
        let entry = VarSecinfo {
            ty,
            offset: 0,
            size: 8,
        };
        self.builder
            .datasec(section.as_bytes(), 8, &[entry])
            .unwrap();
    }

    fn relocation(&mut self, ty: TypeId, access: &str, kind: u32) {
        let access = self.builder.add_string(access.as_bytes()).unwrap();
        let section = self.builder.add_string(b"section").unwrap();
        let records = vec![CoreRelo {
            insn_off: 0,
            type_id: ty,
            access,
            kind,
        }];
        self.ext.core_relo.push(Block { section, records });
    }

    /// Prunes, and checks what is left: names with the number of members, without `int` and what has no name.
    #[track_caller]
    fn check(&self, level: Level, expect: &str) -> Pruned {
        let btf = Builder::from_btf(&self.builder_btf()).finish().unwrap();
        let pruned = shrink(&btf, &self.ext, level).unwrap();
        let mut found = Vec::new();
        for (id, ty) in pruned.btf.types() {
            let name = String::from_utf8_lossy(pruned.btf.name(id).unwrap()).into_owned();
            if let Type::Struct(fields) = ty {
                found.push(format!("{name}:{}", fields.len()));
            } else if let Type::Enum(values) = ty {
                found.push(format!("{name}:{}", values.len()));
            } else if let Type::Fwd { .. } = ty {
                found.push(format!("{name};"));
            } else if let Type::DeclTag { component, .. } = ty {
                found.push(format!("@{component}"));
            }
        }
        assert_eq!(found.join(" "), expect);
        let ext = pruned.ext.write(btf_core::ByteOrder::Little).unwrap();
        let findings = check_ext(&ext, &pruned.btf, Profile::Structural.into());
        assert!(findings.is_empty(), "{findings:?}");
        pruned
    }

    fn builder_btf(&self) -> Btf {
        let bytes = self.builder.write(
            btf_core::ByteOrder::Little,
            btf_core::builder::WriteOptions::default(),
        );
        Btf::parse(&bytes.unwrap(), None).unwrap()
    }
}

#[test]
fn what_only_a_pointer_leads_to_is_declared() {
    let mut p = Program::new();
    let inner = p.structure("inner", &[("x", p.int)]);
    let far = p.structure("far", &[("x", p.int)]);
    let far = p.builder.typedef(b"far_t", far).unwrap();
    let far = p.ptr(far);
    let no_name = p.structure("", &[("far", far)]);
    let no_name = p.ptr(no_name);
    let outer = p.structure("outer", &[("inner", inner), ("far", far), ("n", no_name)]);
    p.structure("unused", &[("inner", inner)]);
    p.variable(".data", outer);
    p.check(Level::Reachable, "inner:1 far:1 :1 outer:3");
    p.check(Level::Forward, "inner:1 far; :1 outer:3");
    p.check(Level::Members, "inner:1 far; :0 outer:3");
}

#[test]
fn relocations_keep_the_members_that_they_name() {
    let mut p = Program::new();
    let pointee = p.structure("pointee", &[("x", p.int)]);
    let pointee = p.ptr(pointee);
    let inner = p.structure("inner", &[("a", p.int), ("b", p.int), ("c", p.int)]);
    let values: [(&[u8], u64); 3] = [(b"A", 0), (b"B", 1), (b"C", 2)];
    let enumeration = p.builder.enumeration(b"e", 4, false, &values).unwrap();
    let outer = p.structure(
        "outer",
        &[
            ("n", p.int),
            ("p", pointee),
            ("e", enumeration),
            ("i", inner),
        ],
    );
    for (component, text) in [(-1, "whole"), (0, "first"), (3, "last")] {
        let text = text.as_bytes();
        p.builder.decl_tag(text, outer, component, false).unwrap();
    }
    p.relocation(outer, "0:3:2", 0);
    p.relocation(outer, "0:1", 2);
    p.relocation(enumeration, "2", 11);
    p.check(Level::Forward, "pointee; inner:3 e:3 outer:4 @-1 @0 @3");
    let pruned = p.check(Level::Members, "pointee; inner:1 e:1 outer:2 @-1 @1");
    let relocations = pruned.ext.core_relo.iter().flat_map(|block| &block.records);
    let accesses: Vec<_> = relocations
        .map(|relo| pruned.btf.string(relo.access).unwrap())
        .collect();
    assert_eq!(accesses, [b"0:1:0".as_slice(), b"0:0", b"0"]);
    assert_eq!(pruned.ids[outer.0 as usize], TypeId(6));

    // What is needed as a whole keeps its numbers.
    p.variable(".bss", outer);
    let pruned = p.check(Level::Members, "pointee; inner:3 e:3 outer:4 @-1 @0 @3");
    let first = pruned.ext.core_relo[0].records[0].access;
    assert_eq!(pruned.btf.string(first).unwrap(), b"0:3:2");
}

#[test]
fn types_that_are_compared_keep_their_kind() {
    let mut p = Program::new();
    let other = p.structure("other", &[("x", p.int)]);
    let other_ptr = p.ptr(other);
    let s = p.structure("s", &[("x", p.int), ("other", other_ptr)]);
    let ptr = p.ptr(s);
    let of_pointer = p.builder.typedef(b"of_pointer", ptr).unwrap();
    p.relocation(of_pointer, "0", 8);
    p.check(Level::Members, "s:0");
    // Compared member by member; behind a pointer only the name counts.
    p.relocation(s, "0", 12);
    p.check(Level::Members, "other; s:2");
    // An object that the kernel makes.
    p.relocation(other, "0", 6);
    p.check(Level::Members, "other:1 s:2");

    let mut p = Program::new();
    let s = p.structure("s", &[("x", p.int)]);
    let ptr = p.ptr(s);
    let proto = p.builder.func_proto(p.int, &[(b"s", ptr)]).unwrap();
    let ty = p.builder.func(b"kfunc", proto, 2).unwrap();
    let entry = VarSecinfo {
        ty,
        offset: 0,
        size: 0,
    };
    p.builder.datasec(b".ksyms", 0, &[entry]).unwrap();
    p.check(Level::Members, "s:0");
}

#[test]
fn maps_keep_keys_values_and_what_the_kernel_looks_for_there() {
    let mut p = Program::new();
    let object = p.structure("object", &[("x", p.int)]);
    let tagged = p.builder.type_tag(b"kptr", object, false).unwrap();
    let tagged = p.ptr(tagged);
    let node = p.structure("node", &[("x", p.int)]);
    let plain = p.structure("plain", &[("x", p.int)]);
    let plain = p.ptr(plain);
    let value = p.structure("value", &[("o", tagged), ("p", plain), ("list", p.int)]);
    let text = b"contains:node:x";
    p.builder.decl_tag(text, value, 2, false).unwrap();
    let value = p.ptr(value);
    let inner = p.structure("inner_map", &[("value", value)]);
    let inner = p.ptr(inner);
    let inner = p.builder.array(inner, p.int, 0).unwrap();
    let map = p.structure("", &[("values", inner)]);
    p.variable(".maps", map);
    let _ = node;
    let expect = "object:1 node:1 plain; value:3 @2 inner_map:1 :1";
    p.check(Level::Members, expect);
    p.check(
        Level::Reachable,
        "object:1 node:1 plain:1 value:3 @2 inner_map:1 :1",
    );
}

#[test]
fn functions_stay_if_they_have_instructions_or_are_shared() {
    let mut p = Program::new();
    let context = p.structure("context", &[("x", p.int)]);
    let context = p.ptr(context);
    let proto = p.builder.func_proto(p.int, &[(b"c", context)]).unwrap();
    let inlined = p.builder.func(b"inlined", proto, 0).unwrap();
    p.builder.decl_tag(b"tag", inlined, -1, false).unwrap();
    let local = p.builder.func(b"local", proto, 0).unwrap();
    p.builder.decl_tag(b"tag", local, 0, false).unwrap();
    let section = p.builder.add_string(b"section").unwrap();
    let records = vec![FuncInfo {
        insn_off: 0,
        type_id: local,
    }];
    p.ext.func_info.push(Block { section, records });
    let pruned = p.check(Level::Members, "context; @0");
    assert_eq!(pruned.ids[inlined.0 as usize], TypeId::VOID);
    assert!(pruned.btf.find_by_name(b"local").next().is_some());
    // The verifier wants the size of what a global function takes.
    p.builder.func(b"global", proto, 1).unwrap();
    p.check(Level::Members, "context:1 @0");
}

#[test]
fn declarations_of_one_name_are_one_and_broken_types_are_errors() {
    let mut p = Program::new();
    let first = p.structure("s", &[("x", p.int)]);
    let second = p.builder.fwd(b"s", false).unwrap();
    let pointers = [first, second].map(|id| p.ptr(id));
    let outer = p.structure("outer", &[("a", pointers[0]), ("b", pointers[1])]);
    p.variable(".data", outer);
    p.check(Level::Forward, "s; outer:2");

    let mut p = Program::new();
    let broken = p.ptr(TypeId(99));
    p.variable(".data", broken);
    assert!(shrink(&p.builder_btf(), &p.ext, Level::Members).is_err());
}

//! Finds the functions of a kernel that BPF programs may call, and declares them.
//!
//! Since Linux 6.10 each is a FUNC with the declaration tag `bpf_kfunc`. What else the kernel knows of it, the sets that it
//! is in and its `KF_*` flags, is in the section `.BTF_ids` of a kernel image or module (`sets`), but not in
//! `/sys/kernel/btf`. Kernels before 6.10 have no tags, so of them only files that have that section tell anything.

use btf_core::reader::Btf;
use btf_core::{Info, Kind, Type, TypeId};

use crate::names::Names;

pub mod sets;

/// The tag on a kfunc.
const KFUNC: &[u8] = b"bpf_kfunc";

/// The tag on a kfunc for which the verifier may keep caller-saved registers (`KF_FASTCALL`).
const FASTCALL: &[u8] = b"bpf_fastcall";

/// As many different tags of one function are told; kernels have two.
const FEW: usize = 16;

/// A function that BPF programs may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kfunc<'a> {
    /// The FUNC.
    pub id: TypeId,
    /// Its name.
    pub name: &'a [u8],
    /// Its prototype.
    pub proto: TypeId,
    /// The tags on it as a whole, in the order of their ids, each once.
    pub tags: Vec<&'a [u8]>,
}

impl Kfunc<'_> {
    /// Whether the verifier may keep caller-saved registers over a call (`KF_FASTCALL`).
    #[must_use]
    pub fn is_fastcall(&self) -> bool {
        self.tags.contains(&FASTCALL)
    }
}

/// The kfuncs that BTF itself tells of, its base's not included, each once, ordered by name and id.
#[must_use]
pub fn find(btf: &Btf) -> Vec<Kfunc<'_>> {
    let mut names = Names::new(btf);
    let mut tags = Vec::new();
    for (id, record) in btf.records() {
        // Most types are no tags: look at the kind before the rest is decoded.
        let kind = record.get(1).and_then(|&info| Info(info).kind());
        if kind == Some(Kind::DeclTag)
            && let Type::DeclTag {
                name,
                target,
                component: -1,
                is_attribute: false,
            } = Type::from_record(record)
        {
            tags.push((target, id, names.get(name).bytes));
        }
    }
    tags.sort_unstable();
    let of_function = tags.chunk_by(|(a, ..), (b, ..)| a == b);
    let kfuncs = of_function.filter(|tags| tags.iter().any(|&(.., text)| text == KFUNC));
    let mut found: Vec<_> = kfuncs
        .filter_map(|tags| {
            let &(id, ..) = tags.first()?;
            let Ok(Type::Func { name, proto, .. }) = btf.ty(id) else {
                return None;
            };
            let mut texts: Vec<_> = Vec::with_capacity(tags.len().min(FEW));
            for &(.., text) in tags {
                if texts.len() < FEW && !texts.contains(&text) {
                    texts.push(text);
                }
            }
            Some(Kfunc {
                id,
                name: names.get(name).bytes,
                proto,
                tags: texts,
            })
        })
        .collect();
    found.sort_by_key(|kfunc| (kfunc.name, kfunc.id));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use btf_core::Builder;
    use btf_core::wire::linkage;

    #[test]
    fn tagged_functions_are_found_once_and_by_name() {
        let mut builder = Builder::new();
        let proto = builder.func_proto(TypeId::VOID, &[]).unwrap();
        let mut func = |name: &[u8]| builder.func(name, proto, linkage::STATIC).unwrap();
        let (zebra, apple, other) = (func(b"zebra"), func(b"apple"), func(b"other"));
        let mut tag = |text: &[u8], target, component, is_attribute| {
            let tag = builder.decl_tag(text, target, component, is_attribute);
            tag.unwrap()
        };
        tag(b"bpf_kfunc", zebra, -1, false);
        tag(b"bpf_kfunc", apple, -1, false);
        tag(b"bpf_fastcall", apple, -1, false);
        tag(b"bpf_kfunc", zebra, -1, false);
        // None of these makes a kfunc.
        tag(b"bpf_fastcall", other, -1, false);
        tag(b"bpf_kfunc", other, 0, false);
        tag(b"bpf_kfunc", other, -1, true);
        tag(b"bpf_kfunc", proto, -1, false);
        tag(b"bpf_kfunc", TypeId(99), -1, false);
        let btf = builder.finish().unwrap();
        let found: Vec<_> = find(&btf)
            .into_iter()
            .map(|kfunc| (kfunc.name, kfunc.is_fastcall(), kfunc.tags.len()))
            .collect();
        assert_eq!(found, [(&b"apple"[..], true, 2), (b"zebra", false, 1)]);
    }
}

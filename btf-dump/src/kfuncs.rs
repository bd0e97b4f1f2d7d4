//! Finds the functions of a kernel that BPF programs may call, and declares them.
//!
//! Since Linux 6.10 each is a FUNC with the declaration tag `bpf_kfunc`. What else the kernel knows of it, the sets that it
//! is in and its `KF_*` flags, is in the section `.BTF_ids` of a kernel image or module (`sets`), but not in
//! `/sys/kernel/btf`. Kernels before 6.10 have no tags, so of them only files that have that section, and its symbols, tell
//! anything.

use btf_core::reader::Btf;
use btf_core::{Info, Kind, Type, TypeId};

use crate::names::Names;

pub mod declare;
pub mod json;
pub mod prototype;
pub mod sets;

use sets::{Entry, Sets};

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
    /// What the sets say about it, if they are known.
    pub entry: Option<&'a Entry>,
}

impl<'a> Kfunc<'a> {
    /// The FUNC `id`, if it is one.
    fn of(btf: &'a Btf, names: &mut Names<'a>, id: TypeId) -> Option<Self> {
        let Ok(Type::Func { name, proto, .. }) = btf.ty(id) else {
            return None;
        };
        Some(Self {
            id,
            name: names.get(name).bytes,
            proto,
            tags: Vec::new(),
            entry: None,
        })
    }

    /// Whether the verifier may keep caller-saved registers over a call (`KF_FASTCALL`).
    #[must_use]
    pub fn is_fastcall(&self) -> bool {
        self.tags.contains(&FASTCALL) || self.entry.is_some_and(Entry::is_fastcall)
    }
}

/// The kfuncs of BTF, its base's not included, each once, ordered by name and id: what has the tag `bpf_kfunc`, and what is in
/// a set of kfuncs.
#[must_use]
pub fn find<'a>(btf: &'a Btf, sets: Option<&'a Sets>) -> Vec<Kfunc<'a>> {
    // Most types are no tags: look at the kind before the rest is decoded.
    let kind = |record: &[u32]| Info(record.get(1).copied().unwrap_or(0)).kind();
    let tags = btf
        .records()
        .filter(|&(_, record)| kind(record) == Some(Kind::DeclTag));
    find_by(btf, tags.map(|(id, _)| id), sets)
}

/// As [`find`], for those who know the ids of all tags on declarations.
#[must_use]
pub fn find_by<'a>(
    btf: &'a Btf,
    decl_tags: impl Iterator<Item = TypeId>,
    sets: Option<&'a Sets>,
) -> Vec<Kfunc<'a>> {
    let mut names = Names::new(btf);
    let mut tags: Vec<_> = decl_tags
        .filter_map(|id| tag(btf, &mut names, id))
        .collect();
    tags.sort_unstable();
    let mut found = Vec::new();
    for tags in tags.chunk_by(|(a, ..), (b, ..)| a == b) {
        let Some(&(id, ..)) = tags.first() else {
            continue;
        };
        let has_tag = tags.iter().any(|&(.., text)| text == KFUNC);
        let entry = sets.and_then(|sets| sets.get(&id));
        if (has_tag || entry.is_some())
            && let Some(mut kfunc) = Kfunc::of(btf, &mut names, id)
        {
            for &(.., text) in tags {
                if kfunc.tags.len() < FEW && !kfunc.tags.contains(&text) {
                    kfunc.tags.push(text);
                }
            }
            kfunc.entry = entry;
            found.push(kfunc);
        }
    }
    let is_tagged = |id: &TypeId| {
        tags.binary_search_by_key(id, |&(target, ..)| target)
            .is_ok()
    };
    for (&id, entry) in sets.into_iter().flatten() {
        if id.0 >= btf.first_id()
            && !is_tagged(&id)
            && let Some(mut kfunc) = Kfunc::of(btf, &mut names, id)
        {
            kfunc.entry = Some(entry);
            found.push(kfunc);
        }
    }
    found.sort_by_key(|kfunc| (kfunc.name, kfunc.id));
    found
}

/// A tag on a whole declaration: what is tagged, the tag, its text; `None` for what is no such.
fn tag<'a>(btf: &'a Btf, names: &mut Names<'a>, id: TypeId) -> Option<(TypeId, TypeId, &'a [u8])> {
    if let Ok(Type::DeclTag {
        name,
        target,
        component: -1,
        is_attribute: false,
    }) = btf.ty(id)
    {
        return Some((target, id, names.get(name).bytes));
    }
    None
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
        let found: Vec<_> = find(&btf, None)
            .into_iter()
            .map(|kfunc| (kfunc.name, kfunc.is_fastcall(), kfunc.tags.len()))
            .collect();
        assert_eq!(found, [(&b"apple"[..], true, 2), (b"zebra", false, 1)]);
    }

    #[test]
    fn sets_add_functions_and_flags() {
        let mut builder = Builder::new();
        let proto = builder.func_proto(TypeId::VOID, &[]).unwrap();
        let tagged = builder.func(b"tagged", proto, linkage::STATIC).unwrap();
        let plain = builder.func(b"plain", proto, linkage::STATIC).unwrap();
        builder.decl_tag(b"bpf_kfunc", tagged, -1, false).unwrap();
        let btf = builder.finish().unwrap();
        let entry = |flags| Entry {
            flags,
            sets: vec!["set".to_owned()],
        };
        let sets = Sets::from([
            (plain, entry(1 << 12)),
            (tagged, entry(1)),
            (proto, entry(1)),
            (TypeId(99), entry(1)),
        ]);
        let found: Vec<_> = find(&btf, Some(&sets))
            .into_iter()
            .map(|kfunc| (kfunc.name, kfunc.is_fastcall(), kfunc.tags.len()))
            .collect();
        assert_eq!(found, [(&b"plain"[..], true, 0), (b"tagged", false, 1)]);
    }
}

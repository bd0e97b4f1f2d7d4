//! Picks types: by id, by name, by kind, and with all that they need.

use std::ops::RangeInclusive;

use btf_core::graph::reachable;
use btf_core::kind::Kind;
use btf_core::reader::Btf;
use btf_core::{Info, StrOffset, Type, TypeId};

use crate::names::Names;
use btf_core::cli::pattern::Pattern;

/// Which types are wanted. Of one sort of condition any may hold, and a sort without conditions always holds; of several
/// sorts all must hold.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Types that have one of these ids.
    pub ids: Vec<RangeInclusive<u32>>,
    /// Types whose names match one of these; what does not exist is called `(invalid)`.
    pub names: Vec<Pattern>,
    /// Types of one of these kinds.
    pub kinds: Vec<Kind>,
    /// Types that one of these needs, itself included, and the tags on them. A base's types count too, which otherwise do
    /// not.
    pub roots: Vec<Root>,
}

/// Where to start from.
#[derive(Clone, Debug)]
pub enum Root {
    /// The type of this id.
    Id(TypeId),
    /// All types whose names match.
    Name(Pattern),
}

impl Selection {
    /// Whether every own type is wanted.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.ids.is_empty()
            && self.names.is_empty()
            && self.kinds.is_empty()
            && self.roots.is_empty()
    }

    /// The ids of the wanted types, in ascending order.
    #[must_use]
    pub fn of(&self, btf: &Btf) -> Vec<TypeId> {
        let candidates: Vec<_> = if self.roots.is_empty() {
            (btf.first_id()..btf.end_id()).map(TypeId).collect()
        } else {
            needed(btf, &self.roots)
        };
        let mut names = Names::new(btf);
        let is_wanted = |id: &TypeId| self.accepts(btf, &mut names, *id);
        candidates.into_iter().filter(is_wanted).collect()
    }

    fn accepts(&self, btf: &Btf, names: &mut Names<'_>, id: TypeId) -> bool {
        let has_id = self.ids.is_empty() || self.ids.iter().any(|range| range.contains(&id.0));
        let of_kind = || {
            let kind = btf.info(id).and_then(Info::kind);
            self.kinds.is_empty() || kind.is_some_and(|kind| self.kinds.contains(&kind))
        };
        let mut has_name = || self.names.is_empty() || is_named(btf, names, id, &self.names);
        has_id && of_kind() && has_name()
    }
}

/// The names of own types, for those who look for one that is near.
#[must_use]
pub fn own_names(btf: &Btf) -> Vec<&[u8]> {
    let mut names = Names::new(btf);
    let offsets = btf.records().filter_map(|(_, record)| record.first());
    let named = offsets.filter(|&&name| name != 0);
    named
        .map(|&name| names.get(StrOffset(name)).bytes)
        .collect()
}

/// Whether the name of a type matches one of the patterns; a type without a name has none that could.
fn is_named(btf: &Btf, names: &mut Names<'_>, id: TypeId, patterns: &[Pattern]) -> bool {
    let Some(&name) = btf.record(id).and_then(<[u32]>::first) else {
        return false;
    };
    let name = names.get(StrOffset(name)).bytes;
    !name.is_empty() && patterns.iter().any(|pattern| pattern.matches(name))
}

/// What the roots need, and the tags on that, in ascending order.
fn needed(btf: &Btf, roots: &[Root]) -> Vec<TypeId> {
    let mut starts = Vec::new();
    let mut names = Names::new(btf);
    for root in roots {
        let pattern = match root {
            Root::Id(id) => {
                starts.push(*id);
                continue;
            }
            Root::Name(pattern) => pattern,
        };
        if let Some(name) = pattern.name() {
            starts.extend(btf.find_by_name(name));
        } else {
            let patterns = std::slice::from_ref(pattern);
            let ids = (1..btf.end_id()).map(TypeId);
            starts.extend(ids.filter(|&id| is_named(btf, &mut names, id, patterns)));
        }
    }
    let mut is_needed = reachable(btf, starts);
    let ids = || (1..btf.end_id()).map(TypeId);
    for id in ids() {
        // Nothing leads to a tag, and no tag is the target of another one.
        let is_tag = btf.info(id).and_then(Info::kind) == Some(Kind::DeclTag);
        if is_tag
            && let Ok(Type::DeclTag { target, .. }) = btf.ty(id)
            && is_needed.get(target.0 as usize) == Some(&true)
            && let Some(slot) = is_needed.get_mut(id.0 as usize)
        {
            *slot = true;
        }
    }
    ids()
        .filter(|id| is_needed.get(id.0 as usize) == Some(&true))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use btf_core::Builder;
    use btf_core::builder::MemberSpec;
    use btf_core::wire::int;

    /// 1 int, 2 struct list { 3 ptr to it }, 4 typedef of int, 5 tag on list, 6 char, 7 struct list.
    fn sample() -> Btf {
        let mut builder = Builder::new();
        let int = builder.int(b"int", 4, int::SIGNED).unwrap();
        let member = |ty| MemberSpec {
            name: b"next",
            ty,
            ..MemberSpec::default()
        };
        let list = builder.composite(Kind::Struct, b"list", 8, &[member(TypeId(3))]);
        let list = list.unwrap();
        builder.ptr(list).unwrap();
        builder.typedef(b"number", int).unwrap();
        builder.decl_tag(b"tag", list, -1, false).unwrap();
        builder.int(b"char", 1, 0).unwrap();
        builder.composite(Kind::Struct, b"list", 0, &[]).unwrap();
        builder.finish().unwrap()
    }

    #[track_caller]
    fn check(selection: &Selection, expect: &[u32]) {
        let found: Vec<_> = selection.of(&sample()).iter().map(|id| id.0).collect();
        assert_eq!(found, expect);
    }

    fn named(text: &str) -> Vec<Pattern> {
        vec![Pattern::parse(text).unwrap()]
    }

    #[test]
    fn conditions_of_a_sort_add_up_and_sorts_restrict_each_other() {
        let all = Selection::default();
        assert!(all.is_everything());
        check(&all, &[1, 2, 3, 4, 5, 6, 7]);
        let ids = vec![2..=3, 7..=u32::MAX];
        let by_id = Selection {
            ids,
            ..Selection::default()
        };
        check(&by_id, &[2, 3, 7]);
        let kinds = vec![Kind::Struct, Kind::Int];
        let by_kind = Selection {
            kinds,
            ..Selection::default()
        };
        check(&by_kind, &[1, 2, 6, 7]);
        let both = Selection {
            names: named("l*"),
            ..by_kind
        };
        check(&both, &[2, 7]);
        let nameless = Selection {
            names: named("*"),
            ..Selection::default()
        };
        check(&nameless, &[1, 2, 4, 5, 6, 7]);
    }

    #[test]
    fn roots_bring_what_they_need_and_its_tags() {
        let root = |root| Selection {
            roots: vec![root],
            ..Selection::default()
        };
        check(&root(Root::Id(TypeId(4))), &[1, 4]);
        check(&root(Root::Id(TypeId(3))), &[2, 3, 5]);
        check(&root(Root::Id(TypeId(99))), &[]);
        let by_name = |text| root(Root::Name(named(text).remove(0)));
        check(&by_name("list"), &[2, 3, 5, 7]);
        check(&by_name("/^(char|number)$/"), &[1, 4, 6]);
        check(&by_name("lists"), &[]);
    }
}

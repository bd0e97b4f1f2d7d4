//! What exactly has changed between two items whose contents differ.

mod enumerators;
mod members;
mod params;

use btf_core::wire::linkage;
use btf_core::{Type, TypeId};

use super::Diff;
use super::leaves::{Leaves, Prefixes};
use super::side::Side;
use enumerators::nameless_enums;
pub use enumerators::{EnumeratorChange, Value};
pub(super) use enumerators::{values, values_of};
pub use members::MemberChange;
use members::Members;
pub use params::ParamChange;

/// What has changed in an item. What is empty or `None` has not.
#[derive(Debug, Default)]
pub struct Detail {
    /// The sizes in bytes, if the item has one of its own.
    pub size: Option<(u64, u64)>,
    /// What a typedef stands for, or of what type a variable is.
    pub ty: Option<(TypeId, TypeId)>,
    /// The members that have changed, in the order of the new item, and what was removed where it was.
    pub members: Vec<MemberChange>,
    /// What stands before the names of old members and of new ones.
    pub prefixes: (Prefixes, Prefixes),
    /// Whether some unnamed structures are compared as a whole, as there are too many.
    pub is_cut: bool,
    /// The enumerators that have changed, in the order of their members.
    pub enumerators: Vec<EnumeratorChange>,
    /// The result of a function.
    pub result: Option<(TypeId, TypeId)>,
    /// The parameters that have changed.
    pub params: Vec<ParamChange>,
    /// Words that say the rest: the linkage of a function or variable, the encoding of a number.
    pub words: Vec<WordChange>,
}

/// A word that has changed.
#[derive(Clone, Debug)]
pub struct WordChange {
    /// What it says: `linkage`, `encoding`, `section`, `kfunc`, `exported` or `tags`.
    pub what: &'static str,
    /// The old word.
    pub old: Vec<u8>,
    /// The new word.
    pub new: Vec<u8>,
}

/// Compares items of two sides, one pair after the other, in memory that is used again.
#[derive(Debug)]
pub(super) struct Comparison<'s, 'b> {
    old: &'s Side<'b>,
    new: &'s Side<'b>,
    /// How many members unnamed structures may add to each structure.
    room: usize,
    /// Whether members are told that are as they were.
    tells_all: bool,
    members: Members,
}

impl<'s, 'b> Comparison<'s, 'b> {
    /// Unnamed structures may add as many members as there is `room` for.
    pub(super) fn new(old: &'s Side<'b>, new: &'s Side<'b>, room: usize) -> Self {
        Self {
            old,
            new,
            room,
            tells_all: false,
            members: Members::default(),
        }
    }

    /// A comparison that also tells the members that are as they were.
    pub(super) fn of_all(diff: &Diff<'b>) -> Self
    where
        'b: 's,
    {
        Self {
            tells_all: true,
            ..Self::new(diff.old, diff.new, diff.room)
        }
    }

    /// Compares two items of one sort; `None` if they say the same.
    pub(super) fn detail(&mut self, ids: (TypeId, TypeId)) -> Option<Detail> {
        let (old, new) = (self.old, self.new);
        let mut detail = Detail::default();
        self.compare(&mut detail, ids);
        detail.compare_words("section", old.section_of(ids.0), new.section_of(ids.1));
        detail.compare_words("tags", &old.tags_of(ids.0), &new.tags_of(ids.1));
        let facts = [
            ("kfunc", old.is_kfunc(ids.0), new.is_kfunc(ids.1)),
            ("exported", old.is_exported(ids.0), new.is_exported(ids.1)),
        ];
        for (what, was, is) in facts {
            if let (Some(was), Some(is)) = (was, is) {
                let word = |is| if is { b"yes".as_slice() } else { b"no" };
                detail.compare_words(what, word(was), word(is));
            }
        }
        detail.is_change().then_some(detail)
    }

    fn compare(&mut self, detail: &mut Detail, ids: (TypeId, TypeId)) {
        let (old, new) = (self.old, self.new);
        match (old.ty(ids.0), new.ty(ids.1)) {
            (Type::Struct(a), Type::Struct(b)) | (Type::Union(a), Type::Union(b)) => {
                detail.set_size(a.size, b.size);
                self.compare_members(detail, ids);
            }
            (Type::Enum(a) | Type::Enum64(a), Type::Enum(b) | Type::Enum64(b)) => {
                detail.set_size(a.size, b.size);
                detail.compare_enumerators((old, new), (a, b));
            }
            (Type::Typedef { target: a, .. }, Type::Typedef { target: b, .. }) => {
                self.compare_targets(detail, (a, b));
            }
            (
                Type::Var {
                    target: a,
                    linkage: a_linkage,
                    ..
                },
                Type::Var {
                    target: b,
                    linkage: b_linkage,
                    ..
                },
            ) => {
                self.compare_targets(detail, (a, b));
                detail.compare_words(
                    "linkage",
                    linkage_word(a_linkage).as_bytes(),
                    linkage_word(b_linkage).as_bytes(),
                );
            }
            (
                Type::Func {
                    proto: a,
                    linkage: a_linkage,
                    ..
                },
                Type::Func {
                    proto: b,
                    linkage: b_linkage,
                    ..
                },
            ) => {
                detail.compare_words(
                    "linkage",
                    linkage_word(a_linkage).as_bytes(),
                    linkage_word(b_linkage).as_bytes(),
                );
                if let (Type::FuncProto(a), Type::FuncProto(b)) = (old.ty(a), new.ty(b)) {
                    detail.compare_protos((old, new), (a, b));
                }
            }
            (a, b) => {
                if let (Some(a), Some(b)) = (a.own_size(), b.own_size()) {
                    detail.set_size(a, b);
                }
                detail.compare_words(
                    "encoding",
                    encoding_word(a).as_bytes(),
                    encoding_word(b).as_bytes(),
                );
            }
        }
    }

    /// Compares what typedefs stand for, or the types of variables; what has no name member by member, or enumerator by enumerator.
    fn compare_targets(&mut self, detail: &mut Detail, ids: (TypeId, TypeId)) {
        let (old, new) = (self.old, self.new);
        let wrapping = (Leaves::wrapping(old, ids.0), Leaves::wrapping(new, ids.1));
        if let (Some(a), Some(b)) = wrapping
            && a == b
        {
            if let (Some(a), Some(b)) = (old.size_of(ids.0), new.size_of(ids.1)) {
                detail.size = Some((a, b));
            }
            self.compare_members(detail, ids);
        } else if old.meaning(ids.0) != new.meaning(ids.1) {
            match nameless_enums((old, ids.0), (new, ids.1)) {
                Some(both) => detail.compare_enumerators((old, new), both),
                None => detail.ty = Some(ids),
            }
        }
    }
}

impl Detail {
    /// The enumerators that have changed in the item itself.
    #[must_use]
    pub fn own_enumerators(&self) -> &[EnumeratorChange] {
        // What has members has no enumerators but theirs.
        if self.members.is_empty() {
            &self.enumerators
        } else {
            &[]
        }
    }

    /// The enumerators that have changed in the type without a name of a member.
    #[must_use]
    pub fn enumerators_of(&self, member: &MemberChange) -> &[EnumeratorChange] {
        self.enumerators.get(member.values()).unwrap_or_default()
    }

    /// Whether anything has changed in the item itself.
    fn is_change(&self) -> bool {
        self.size.is_some_and(|(old, new)| old != new)
            || self.ty.is_some()
            || self.result.is_some()
            || !self.enumerators.is_empty()
            || !self.params.is_empty()
            || !self.words.is_empty()
            || self.members.iter().any(MemberChange::is_own)
    }

    fn set_size(&mut self, old: u32, new: u32) {
        self.size = Some((old.into(), new.into()));
    }

    fn compare_words(&mut self, what: &'static str, old: &[u8], new: &[u8]) {
        if old != new {
            let (old, new) = (old.to_vec(), new.to_vec());
            self.words.push(WordChange { what, old, new });
        }
    }
}

pub(super) fn linkage_word(word: u32) -> &'static str {
    match word {
        linkage::STATIC => "static",
        linkage::GLOBAL => "global",
        linkage::EXTERN => "extern",
        _ => "unknown",
    }
}

/// What a number is, in a word.
pub(crate) fn encoding_word(ty: Type<'_>) -> &'static str {
    const WORDS: [&str; 8] = [
        "unsigned",
        "signed",
        "char",
        "signed char",
        "bool",
        "signed bool",
        "bool char",
        "signed bool char",
    ];
    if let Type::Int(int) = ty {
        WORDS.get(int.encoding as usize).unwrap_or(&"unknown")
    } else if matches!(ty, Type::Float { .. }) {
        "float"
    } else {
        ""
    }
}

//! Finds the special fields of a structure, those of its nested structures and arrays included.

use std::collections::HashMap;

use super::super::target::{Change, Target};
use super::super::{Rule, kept_end};
use super::rows::{Rows, Tag};
use crate::graph::POINTER_SIZE;
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::types::{Member, Type};

/// How many special fields a structure may have.
const MAX_FIELDS: usize = 11;

/// How deep structures, and arrays, may be nested.
const MAX_NESTING: u32 = 32;

/// What the tag of a list or tree starts with.
const CONTAINS: &[u8] = b"contains:";

/// As much of a name or tag is looked at, in bytes, to tell whether it is special: more than the longest of those has.
pub(super) const MAX_SPECIAL_LEN: usize = 32;

/// As much is looked at of a tag that says what a list or tree contains, in bytes. It has two names of at most 512 bytes each;
/// what is longer matches nothing.
pub(super) const MAX_CONTAINS_LEN: usize = 2048;

/// The bit of reference counters among kinds that may be there once only.
const REFCOUNT_BIT: u8 = 4;

/// A kind of special field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    SpinLock,
    ResSpinLock,
    ListHead,
    ListNode,
    RbRoot,
    RbNode,
    Refcount,
    /// A kptr that owns nothing.
    KptrUntrusted,
    /// A kptr that owns what it points to.
    KptrReferenced,
    /// A kptr that owns an object on each processor.
    KptrPercpu,
}

impl Special {
    /// The kind of what has that name, in kernels that have it.
    fn of_name(name: &[u8], target: Target) -> Option<Self> {
        Some(match name {
            b"bpf_spin_lock" => Self::SpinLock,
            b"bpf_res_spin_lock" if target.has(Change::ResilientLocks) => Self::ResSpinLock,
            b"bpf_list_head" => Self::ListHead,
            b"bpf_list_node" => Self::ListNode,
            b"bpf_rb_root" => Self::RbRoot,
            b"bpf_rb_node" => Self::RbNode,
            b"bpf_refcount" => Self::Refcount,
            _ => return None,
        })
    }

    /// The kind of a pointer with that tag.
    pub(super) fn of_tag(tag: &[u8]) -> Option<Self> {
        Some(match tag {
            b"kptr_untrusted" => Self::KptrUntrusted,
            b"kptr" => Self::KptrReferenced,
            b"percpu_kptr" => Self::KptrPercpu,
            _ => return None,
        })
    }

    /// The size in bytes.
    pub(super) const fn size(self) -> u32 {
        match self {
            Self::SpinLock | Self::ResSpinLock | Self::Refcount => 4,
            Self::ListHead | Self::RbRoot => 16,
            Self::ListNode => 24,
            Self::RbNode => 32,
            Self::KptrUntrusted | Self::KptrReferenced | Self::KptrPercpu => 8,
        }
    }

    /// The alignment in bytes.
    fn alignment(self) -> u32 {
        self.size().min(8)
    }

    /// The bit of a kind that a structure may have once only.
    const fn unique_bit(self) -> u8 {
        match self {
            Self::SpinLock => 1,
            Self::ResSpinLock => 2,
            Self::Refcount => REFCOUNT_BIT,
            Self::ListHead
            | Self::ListNode
            | Self::RbRoot
            | Self::RbNode
            | Self::KptrUntrusted
            | Self::KptrReferenced
            | Self::KptrPercpu => 0,
        }
    }

    /// Whether it is the root of a list or tree.
    pub(super) const fn is_root(self) -> bool {
        matches!(self, Self::ListHead | Self::RbRoot)
    }

    /// Whether it is the node of a list or tree.
    pub(super) const fn is_node(self) -> bool {
        matches!(self, Self::ListNode | Self::RbNode)
    }

    /// Whether it owns what it leads to.
    pub(super) const fn owns(self) -> bool {
        self.is_root() || matches!(self, Self::KptrReferenced | Self::KptrPercpu)
    }

    /// Whether there may be arrays of it.
    const fn is_repeatable(self) -> bool {
        self.owns() || matches!(self, Self::KptrUntrusted)
    }
}

/// Where something is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) id: TypeId,
    pub(super) word: usize,
    pub(super) value: u32,
}

impl Place {
    /// The type of the member `index`.
    pub(super) const fn of_member(id: TypeId, index: usize, value: u32) -> Self {
        let word = 4 + 3 * index;
        Self { id, word, value }
    }
}

/// A special field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) special: Special,
    /// Where it starts, in bytes.
    pub(super) offset: u32,
    /// What a kptr points to, or a list or tree contains.
    pub(super) target: TypeId,
    /// The member of the target by which a list or tree contains it.
    pub(super) node: &'a [u8],
    pub(super) place: Place,
}

/// What has been found in a structure.
#[derive(Clone, Debug, Default)]
pub(super) struct Found<'a> {
    /// At most [`MAX_FIELDS`], in the order of the members.
    pub(super) fields: Vec<Field<'a>>,
    /// The first fault, behind which nothing has been looked at.
    pub(super) fault: Option<(Rule, Place)>,
    /// Where a kind is there again that may be there once only, if the kernel does not see it.
    pub(super) doubt: Option<Place>,
    /// The kinds that are there and may be there once only.
    unique: u8,
    /// Those of them that the kernel counts.
    counted: u8,
    /// How deep structures are nested in it.
    height: u32,
}

/// A tag that says what a list or tree contains.
struct Contains<'a> {
    text: &'a [u8],
    is_only: bool,
}

/// A structure that is being looked into.
struct Frame<'a> {
    id: TypeId,
    next: usize,
    found: Found<'a>,
}

/// What a pointer comes to.
enum Pointer {
    /// Nothing special.
    Plain,
    /// A kptr to that structure.
    Kptr(Special, TypeId),
    /// Its tags or what it points to are not as they must be.
    Bad,
}

/// What the element of a member comes to.
enum Part<'a> {
    Plain,
    Field(Field<'a>),
    Nested(TypeId),
}

pub(super) struct Finder<'a, 'n> {
    btf: &'a Btf,
    target: Target,
    /// The first structure of each name.
    structures: &'n HashMap<&'a [u8], TypeId>,
    /// The tags of members, by what has the member and the member's index.
    contains: HashMap<(TypeId, i32), Contains<'a>>,
    rows: Rows,
    done: HashMap<TypeId, Found<'a>>,
}

impl<'a, 'n> Finder<'a, 'n> {
    pub(super) fn new(
        btf: &'a Btf,
        target: Target,
        structures: &'n HashMap<&'a [u8], TypeId>,
    ) -> Self {
        let mut contains = HashMap::new();
        for id in (1..kept_end(btf)).map(TypeId) {
            if let Ok(Type::DeclTag {
                name,
                target,
                component,
                ..
            }) = btf.ty(id)
                && let Some(text) = btf
                    .start_of_string(name, MAX_CONTAINS_LEN)
                    .strip_prefix(CONTAINS)
            {
                contains
                    .entry((target, component))
                    .and_modify(|tag: &mut Contains<'_>| tag.is_only = false)
                    .or_insert(Contains {
                        text,
                        is_only: true,
                    });
            }
        }
        Self {
            btf,
            target,
            structures,
            contains,
            rows: Rows::of(btf),
            done: HashMap::new(),
        }
    }

    /// Whether the type is a kptr.
    pub(super) fn is_kptr(&self, id: TypeId) -> bool {
        matches!(self.pointer(id), Pointer::Kptr(..))
    }

    /// What is special in the structure `id`.
    pub(super) fn find(&mut self, id: TypeId) -> &Found<'a> {
        let mut stack = Vec::new();
        if !self.done.contains_key(&id) {
            self.open(id, &mut stack);
        }
        while let Some(mut frame) = stack.pop() {
            if let Some(child) = self.step(&mut frame) {
                stack.push(frame);
                self.open(child, &mut stack);
            } else {
                self.done.insert(frame.id, frame.found);
            }
        }
        self.done.entry(id).or_default()
    }

    fn open(&mut self, id: TypeId, stack: &mut Vec<Frame<'a>>) {
        // Nothing contains itself where there is no fault; were it otherwise, this would end the walk.
        self.done.insert(id, Found::default());
        stack.push(Frame {
            id,
            next: 0,
            found: Found::default(),
        });
    }

    /// Looks at the members from the next one on; returns the structure that must be looked into before.
    fn step(&self, frame: &mut Frame<'a>) -> Option<TypeId> {
        let Ok(Type::Struct(composite)) = self.btf.ty(frame.id) else {
            return None;
        };
        for (index, member) in (frame.next..).zip(composite.members_from(frame.next)) {
            let place = Place::of_member(frame.id, index, member.ty.0);
            let result = self.flatten(&member).and_then(|(element, count)| {
                if count == 0 {
                    return Ok(None);
                }
                let unique = self.special(element);
                let unique = unique.map_or(0, Special::unique_bit);
                let counts = unique != REFCOUNT_BIT
                    || !self.target.has(Change::ManyRefcounts)
                    || self.target.has(Change::NestedLocks);
                frame.found.add_unique(unique, counts, place)?;
                let part = self.part(element, member.bit_offset / 8, index, place)?;
                match part {
                    Part::Plain => {}
                    Part::Field(field) => {
                        frame.found.add(&[field], 0, count, field.special.size())?;
                    }
                    Part::Nested(child) => {
                        let Some(inner) = self.done.get(&child) else {
                            return Ok(Some(child));
                        };
                        let size = self.btf.ty(child).ok().and_then(|ty| ty.own_size());
                        let at = member.bit_offset / 8;
                        let counts = self.target.has(Change::NestedLocks);
                        frame.found.nest(inner)?;
                        frame.found.add_unique(inner.unique, counts, place)?;
                        let size = size.unwrap_or(0);
                        frame.found.add(&inner.fields, at, count, size)?;
                    }
                }
                Ok(None)
            });
            match result {
                Ok(None) => {}
                Ok(Some(child)) => {
                    frame.next = index;
                    return Some(child);
                }
                Err(rule) => {
                    let inner = frame.found.fault;
                    frame.found.fault = inner.or(Some((rule, place)));
                    return None;
                }
            }
        }
        None
    }

    /// The element of a member's arrays and how many there are, as the kernel counts.
    fn flatten(&self, member: &Member) -> Result<(TypeId, u32), Rule> {
        if !member.bit_offset.is_multiple_of(8) {
            return Err(Rule::SpecialBit);
        }
        let mut id = member.ty;
        let mut total: u32 = 1;
        for _ in 0..MAX_NESTING {
            let Ok(Type::Array { element, count, .. }) = self.btf.ty(id) else {
                return Ok((id, total));
            };
            total = total.wrapping_mul(count);
            id = element;
        }
        Err(Rule::SpecialNesting)
    }

    /// The kind that the type's name says, whatever the type is.
    fn special(&self, id: TypeId) -> Option<Special> {
        let name = self.btf.ty(id).ok()?.name();
        Special::of_name(self.btf.start_of_string(name, MAX_SPECIAL_LEN), self.target)
    }

    /// What a member that starts at the byte `offset` comes to.
    fn part(&self, id: TypeId, offset: u32, index: usize, place: Place) -> Result<Part<'a>, Rule> {
        let field = |special: Special, target, node| Field {
            special,
            offset,
            target,
            node,
            place,
        };
        let ty = self.btf.ty(id);
        let Some(special) = self.special(id) else {
            if matches!(ty, Ok(Type::Struct(_))) {
                return Ok(Part::Nested(id));
            }
            return match self.pointer(id) {
                _ if !offset.is_multiple_of(POINTER_SIZE) => Ok(Part::Plain),
                Pointer::Plain => Ok(Part::Plain),
                Pointer::Kptr(special, target) => Ok(Part::Field(field(special, target, b""))),
                Pointer::Bad => Err(Rule::KptrTag),
            };
        };
        let is_like = matches!(ty, Ok(Type::Struct(composite)) if composite.size == special.size());
        if !is_like || !offset.is_multiple_of(special.alignment()) {
            return Ok(Part::Plain);
        }
        if !special.is_root() {
            return Ok(Part::Field(field(special, TypeId::VOID, b"")));
        }
        let (value, node) = self.contained(place.id, index)?;
        Ok(Part::Field(field(special, value, node)))
    }

    /// What the list or tree that is the member `index` contains, and by which of its members.
    fn contained(&self, id: TypeId, index: usize) -> Result<(TypeId, &'a [u8]), Rule> {
        let component = i32::try_from(index).map_err(|_| Rule::GraphContains)?;
        let tag = self.contains.get(&(id, component));
        let text = tag.filter(|tag| tag.is_only).map(|tag| tag.text);
        let text = text.ok_or(Rule::GraphContains)?;
        let colon = text.iter().position(|&byte| byte == b':');
        let colon = colon.ok_or(Rule::GraphContains)?;
        let (name, node) = text.split_at(colon);
        let value = self.structures.get(name).ok_or(Rule::GraphNode)?;
        match node.get(1..) {
            Some(node) if !node.is_empty() => Ok((*value, node)),
            _ => Err(Rule::GraphContains),
        }
    }

    /// What a type that is no structure comes to as a kptr.
    fn pointer(&self, id: TypeId) -> Pointer {
        let mut ty = self.btf.ty(id);
        if let Ok(Type::Volatile { target }) = ty {
            ty = self.btf.ty(target);
        }
        let Ok(Type::Ptr { target }) = ty else {
            return Pointer::Plain;
        };
        if self.target.has(Change::TagsAnywhere) {
            self.pointer_by_any_tag(target)
        } else {
            self.pointer_by_first_tag(target)
        }
    }

    /// One of the tags behind a pointer makes it a kptr.
    fn pointer_by_any_tag(&self, target: TypeId) -> Pointer {
        let row = self.rows.get(target);
        match row.tags.only() {
            Some(Tag::Kptr(special)) => self.kptr(special, row.end),
            Some(Tag::User) => Pointer::Plain,
            None if row.tags.is_empty() => Pointer::Plain,
            None => Pointer::Bad,
        }
    }

    /// The tag next to a pointer makes it a kptr, and must then be the only one.
    fn pointer_by_first_tag(&self, target: TypeId) -> Pointer {
        let Ok(
            tag @ Type::TypeTag {
                target: behind,
                is_attribute: false,
                ..
            },
        ) = self.btf.ty(target)
        else {
            return Pointer::Plain;
        };
        if matches!(self.btf.ty(behind), Ok(Type::TypeTag { .. })) {
            return Pointer::Bad;
        }
        match Tag::of(self.btf, &tag) {
            Some(Tag::Kptr(special)) => self.kptr(special, self.rows.get(behind).end),
            Some(Tag::User) if self.target.has(Change::UserPointers) => Pointer::Plain,
            Some(Tag::User) | None => Pointer::Bad,
        }
    }

    /// A kptr must point to a structure.
    fn kptr(&self, special: Special, target: TypeId) -> Pointer {
        match self.btf.ty(target) {
            Ok(Type::Struct(_)) => Pointer::Kptr(special, target),
            _ => Pointer::Bad,
        }
    }
}

impl<'a> Found<'a> {
    /// Adds kinds that may be there once only; whether the kernel counts those at this place.
    fn add_unique(&mut self, unique: u8, counts: bool, place: Place) -> Result<(), Rule> {
        if counts && self.counted & unique != 0 {
            return Err(Rule::SpecialTwice);
        }
        if counts {
            self.counted |= unique;
        }
        if self.unique & unique != 0 {
            self.doubt.get_or_insert(place);
        }
        self.unique |= unique;
        Ok(())
    }

    /// Adds the fields of an element that starts at `offset`, for each of `count` elements of `size` bytes.
    fn add(
        &mut self,
        fields: &[Field<'a>],
        offset: u32,
        count: u32,
        size: u32,
    ) -> Result<(), Rule> {
        if count > 1 && !fields.iter().all(|field| field.special.is_repeatable()) {
            return Err(Rule::SpecialRepeat);
        }
        let total = fields.len().saturating_mul(count as usize);
        if total > MAX_FIELDS - self.fields.len() {
            return Err(Rule::SpecialCount);
        }
        if fields.is_empty() {
            return Ok(());
        }
        for index in 0..count {
            let start = offset.wrapping_add(size.wrapping_mul(index));
            self.fields.extend(fields.iter().map(|field| Field {
                offset: field.offset.wrapping_add(start),
                ..*field
            }));
        }
        Ok(())
    }

    /// Goes one level up from a nested structure.
    fn nest(&mut self, inner: &Self) -> Result<(), Rule> {
        self.height = self.height.max(inner.height + 1);
        if self.height >= MAX_NESTING {
            return Err(Rule::SpecialNesting);
        }
        self.doubt = self.doubt.or(inner.doubt);
        if let Some((rule, _)) = inner.fault {
            self.fault = inner.fault;
            return Err(rule);
        }
        Ok(())
    }
}

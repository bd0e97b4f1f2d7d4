//! The declarations that the header can hold, in the order in which they are wanted.
//!
//! An *item* is what stands at the top level: a structure, union or enumeration with a name, a typedef, or an
//! enumeration without a name that nothing writes out. The order is bpftool's: enumerations without a name, enumerations,
//! typedefs of numbers, structures and unions, the rest; in each by name, a typedef beside what it names. What an item needs
//! comes before it, so this is the order of choice only.
//!
//! A kernel's items come before those of modules that are merged with it, so that they are written as they are without them.
//! Otherwise no id decides about the order, so that headers of two kernels, or of one with its modules in another order, can be compared:
//! items of one name are ordered by what they say, the larger first. Where that is the same, `refine` looks
//! at what they refer to.

use std::cmp::Ordering;

use btf_core::graph::MAX_DEPTH;
use btf_core::{Kind, Result, StrOffset, Type, TypeId};
use rayon::prelude::*;

use super::refine::Refinement;
use super::tables::Node;
use super::view::{View, array, composite, enumeration, is_forward, tag_kind, too_deep};

/// An item with what it is ordered by.
#[derive(Clone, Copy, Debug)]
struct Item<'a> {
    /// Whether it is a module's, merged into the types of a kernel; the rank; and the first bytes of `sort_name`. They decide
    /// most comparisons.
    prefix: u128,
    sort_name: &'a [u8],
    name: &'a [u8],
    id: TypeId,
}

/// The bit of an item's prefix that puts it behind all that have not got it.
const LATER: u32 = 127;

impl Item<'_> {
    fn cmp_names(&self, other: &Self) -> Ordering {
        let names = || (self.sort_name, self.name).cmp(&(other.sort_name, other.name));
        self.prefix.cmp(&other.prefix).then_with(names)
    }
}

/// All that may be declared.
#[derive(Debug)]
pub(crate) struct Items {
    /// The items in their order, and among them the enumerations without a name that others write out.
    pub(crate) order: Vec<TypeId>,
    /// What is declared only, ordered by name and kind: forward declarations, and enumerations without values.
    pub(crate) forwards: Vec<TypeId>,
    /// How many names typedefs and enumerators have, those that several have counted for each.
    pub(crate) names: usize,
}

impl Items {
    /// Finds all items and puts them into order, those from `first_later` on behind all others. `is_merged` tells that ids depend
    /// on the order of the inputs.
    ///
    /// # Errors
    /// An id or name that does not exist, a chain of more than [`MAX_DEPTH`] types.
    pub(crate) fn new(view: View<'_>, first_later: TypeId, is_merged: bool) -> Result<Self> {
        let (mut items, mut forwards) = (Vec::new(), Vec::new());
        let mut names = 0;
        for id in view.ids() {
            let node = view.node(id)?;
            if let Some(mut item) = item(view, id, node)? {
                item.prefix |= u128::from(id >= first_later) << LATER;
                names += usize::from(node.kind == Some(Kind::Typedef));
                items.push(item);
            }
            if matches!(node.kind, Some(Kind::Fwd | Kind::Enum | Kind::Enum64)) {
                let ty = view.ty(id)?;
                names += enumeration(ty).map_or(0, |it| it.len());
                if is_forward(ty) {
                    forwards.push((view.string(node.name)?, tag_kind(ty), id));
                }
            }
        }
        // No two are equal, so that the order does not depend on threads.
        items.par_sort_unstable_by(|a, b| a.cmp_names(b).then(a.id.cmp(&b.id)));
        forwards.sort_unstable();
        let mut refinement = is_merged.then(|| Refinement::new(view));
        let runs = items.chunk_by_mut(|a, b| a.cmp_names(b).is_eq());
        for run in runs.filter(|run| run.len() > 1) {
            sort_homonyms(view, run, refinement.as_mut())?;
        }
        Ok(Self {
            order: items.into_iter().map(|item| item.id).collect(),
            forwards: forwards.into_iter().map(|(_, _, id)| id).collect(),
            names,
        })
    }
}

/// Orders items of one name by what they say; the names are the same.
fn sort_homonyms(
    view: View<'_>,
    items: &mut [Item<'_>],
    refinement: Option<&mut Refinement<'_>>,
) -> Result<()> {
    let mut described = Vec::with_capacity(items.len());
    for item in &*items {
        described.push((description(view, item.id)?, *item));
    }
    described.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(refinement) = refinement {
        for run in described.chunk_by_mut(|(a, _), (b, _)| a == b) {
            if run.len() > 1 {
                let mut ids: Vec<_> = run.iter().map(|(_, item)| item.id).collect();
                refinement.sort(&mut ids)?;
                for ((_, item), id) in run.iter_mut().zip(ids) {
                    item.id = id;
                }
            }
        }
    }
    for (item, (_, sorted)) in items.iter_mut().zip(described) {
        *item = sorted;
    }
    Ok(())
}

/// The item that a type is, if it is one.
fn item(view: View<'_>, id: TypeId, node: Node) -> Result<Option<Item<'_>>> {
    let name = || view.string(node.name);
    Ok(match node.kind {
        Some(Kind::Struct | Kind::Union) if node.name != StrOffset::EMPTY => {
            let name = name()?;
            Some(Rank::Composite.item(name, name, id))
        }
        Some(Kind::Enum | Kind::Enum64) => {
            let first = enumeration(view.ty(id)?).and_then(|it| it.enumerators().next());
            let Some(first) = first else { return Ok(None) };
            let name = name()?;
            Some(if name.is_empty() {
                Rank::Unnamed.item(view.string(first.name)?, name, id)
            } else {
                Rank::Enumeration.item(name, name, id)
            })
        }
        Some(Kind::Typedef) if !node.is_builtin => {
            let name = name()?;
            let (rank, end) = lead(view, id)?;
            Some(rank.item(if end.is_empty() { name } else { end }, name, id))
        }
        _ => None,
    })
}

/// Which items come first.
#[derive(Clone, Copy, Debug)]
enum Rank {
    Unnamed,
    Enumeration,
    Number,
    Composite,
    Prototype,
    Other,
}

impl Rank {
    fn item<'a>(self, sort_name: &'a [u8], name: &'a [u8], id: TypeId) -> Item<'a> {
        let mut prefix = [0; 16];
        prefix[0] = self as u8;
        for (to, from) in prefix.iter_mut().skip(1).zip(sort_name) {
            *to = *from;
        }
        Item {
            prefix: u128::from_be_bytes(prefix),
            sort_name,
            name,
            id,
        }
    }
}

/// The rank of what a typedef leads to, and its name.
fn lead(view: View<'_>, id: TypeId) -> Result<(Rank, &[u8])> {
    let mut current = id;
    for _ in 0..=MAX_DEPTH {
        let value = view.value(current)?;
        let node = view.node(value.id)?;
        let rank = match value.kind {
            Some(Kind::Ptr) => {
                current = TypeId(node.third);
                continue;
            }
            Some(Kind::FuncProto) => return Ok((Rank::Prototype, &[])),
            Some(Kind::Enum | Kind::Enum64) => Rank::Enumeration,
            Some(Kind::Int | Kind::Float) => Rank::Number,
            _ => Rank::Composite,
        };
        let name = view.string(node.name)?;
        return Ok((if name.is_empty() { Rank::Other } else { rank }, name));
    }
    Err(too_deep(id))
}

/// What an item says, without what it refers to, as bytes that order the larger of two before the smaller.
fn description(view: View<'_>, id: TypeId) -> Result<Vec<u8>> {
    let ty = view.ty(id)?;
    let mut out = vec![ty.kind().map_or(0, |kind| kind as u8)];
    let mut put = |number: u64| out.extend(number.to_be_bytes());
    if let Some((composite, _)) = composite(ty) {
        put(!u64::from(composite.size));
        put(!(composite.len() as u64));
        for member in composite.members() {
            out.extend(member.bit_offset.to_be_bytes());
            out.extend(member.bitfield_size.to_be_bytes());
            out.extend(view.string(member.name)?);
            out.push(0);
            describe_chain(view, member.ty, &mut out)?;
        }
    } else if let Some(enumeration) = enumeration(ty) {
        put(!u64::from(enumeration.size));
        put(!(enumeration.len() as u64));
        for enumerator in enumeration.enumerators() {
            out.extend(enumerator.value.to_be_bytes());
            out.extend(view.string(enumerator.name)?);
            out.push(0);
        }
    } else if let Type::Typedef { target, .. } = ty {
        // The kernel's `u8` is a `__u8`; libraries in it have their own, which is none.
        let is_of_typedef = view.node(target)?.kind == Some(Kind::Typedef);
        put(u64::from(!is_of_typedef));
        describe_chain(view, target, &mut out)?;
    }
    Ok(out)
}

/// Pointers, arrays and qualifiers up to the first type that has a name or elements.
fn describe_chain(view: View<'_>, id: TypeId, out: &mut Vec<u8>) -> Result<()> {
    let mut current = id;
    for _ in 0..=MAX_DEPTH {
        let node = view.node(current)?;
        out.push(node.kind.map_or(0, |kind| kind as u8));
        current = match node.kind {
            Some(Kind::Ptr | Kind::Const | Kind::Volatile | Kind::Restrict) => TypeId(node.third),
            Some(Kind::Array) => {
                let (element, count) = array(view.btf, current)?.unwrap_or_default();
                out.extend(count.to_be_bytes());
                element
            }
            _ => {
                let value = view.value(current)?;
                let size = if value.id == current { value.size } else { 0 };
                out.extend(size.to_be_bytes());
                out.extend(view.string(node.name)?);
                out.push(0);
                return Ok(());
            }
        };
    }
    Err(too_deep(id))
}

//! Checks the special fields of a user's structures: locks, lists, trees, reference counters and kptrs.
//!
//! When all else is right, the kernel looks for structures with a member that is one of the special structures, by its
//! name, or a kptr, a pointer with a type tag. Of these it makes a table of their fields, those of nested structures and
//! of arrays included ([`find`]), and refuses the BTF if a field has no right place, two exclude each other, or a list or
//! tree does not say what it contains. Structures may not own each other in too long a row.
//!
//! What a kptr points to may be a structure of the kernel, which only the kernel knows: it then must have a destructor.
//! That is a warning here. Linux 6.1 has no such table, and its predecessors before 6.12 each had other rules: for them
//! all findings are warnings. So are two rules of 7.2 before it, which late stable releases have as well (6.12.117 does,
//! 6.18.44 does not): locks of nested structures count, and so does who owns whom by kptrs.
//!
//! Each structure is looked into once, whoever contains it, and what is kept of it is bounded; so time stays linear.
//!
//! Spec: kernel/bpf/btf.c of Linux 6.12.117 and 7.2.13, as Debian ships them; 6.18.44 as far as it can be asked.

mod find;
mod nodes;
mod rows;

use std::collections::{HashMap, HashSet};

use self::find::{Field, Finder, Place, Special};
use self::nodes::Nodes;
use super::target::Change;
use super::{Report, Rule, kept_end};
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::types::Type;

/// How many structures may own each other in a row.
const MAX_OWNERSHIP: u32 = 8;

/// The structures whose members make the kernel look, by the first of their name.
const SOUGHT: [&[u8]; 6] = [
    b"bpf_spin_lock",
    b"bpf_list_head",
    b"bpf_list_node",
    b"bpf_rb_root",
    b"bpf_rb_node",
    b"bpf_refcount",
];

/// Checks BTF in which no fault has been found.
pub(super) fn check(btf: &Btf, report: &mut Report<'_>) {
    if !report.target.has(Change::StructTable) {
        return;
    }
    let ids = (1..kept_end(btf)).map(TypeId);
    let structures = first_structures(btf, ids.clone());
    let mut finder = Finder::new(btf, report.target, &structures);
    let mut sought: HashSet<TypeId> = SOUGHT
        .iter()
        .filter_map(|name| structures.get(name).copied())
        .collect();
    sought.extend(ids.clone().filter(|&id| finder.is_kptr(id)));
    if sought.is_empty() {
        return;
    }
    let mut table = Table::default();
    let mut nodes = Nodes::new(btf);
    for id in ids {
        let Ok(Type::Struct(composite)) = btf.ty(id) else {
            continue;
        };
        let mut members = composite.members();
        let Some(first) = members.position(|member| sought.contains(&member.ty)) else {
            continue;
        };
        let found = finder.find(id);
        if let Some(Place { id, word, value }) = found.doubt {
            report.add_for_tools(Rule::SpecialTwice, id, word, value);
        }
        if let Some((rule, place)) = found.fault {
            add(report, rule, place);
        } else if found.fields.is_empty() {
            let place = Place::of_member(id, first, 0);
            add(report, Rule::SpecialPlace, place);
        }
        if found.fault.is_none() {
            check_fields(&mut nodes, id, &found.fields, report);
        }
        table.add(id, &found.fields);
    }
    table.check(report);
}

/// The structure itself as a place.
const fn whole(id: TypeId) -> Place {
    Place {
        id,
        word: 0,
        value: id.0,
    }
}

/// Reports at a place: a fault for kernels whose rules are known, else a warning.
fn add(report: &mut Report<'_>, rule: Rule, place: Place) {
    if report.target.has(Change::SpecialFields) {
        report.add(rule, place.id, place.word, place.value);
    } else {
        report.add_for_tools(rule, place.id, place.word, place.value);
    }
}

/// The first structure of each name.
fn first_structures(btf: &Btf, ids: impl Iterator<Item = TypeId>) -> HashMap<&[u8], TypeId> {
    let mut structures = HashMap::new();
    for id in ids {
        if let Ok(Type::Struct(composite)) = btf.ty(id)
            && let Ok(name) = btf.string(composite.name)
        {
            structures.entry(name).or_insert(id);
        }
    }
    structures
}

/// Checks the fields of the structure `id` beside each other.
fn check_fields(nodes: &mut Nodes<'_>, id: TypeId, fields: &[Field<'_>], report: &mut Report<'_>) {
    let mut end = 0;
    for field in fields {
        if field.offset < end {
            add(report, Rule::SpecialOverlap, field.place);
        }
        end = field.offset.saturating_add(field.special.size());
        if field.special == Special::ListHead {
            check_node(nodes, field, b"bpf_list_node", report);
        } else if field.special == Special::RbRoot {
            check_node(nodes, field, b"bpf_rb_node", report);
        } else if field.special == Special::KptrReferenced
            && nodes.btf.ty(field.target).is_ok_and(|ty| ty.name().0 != 0)
        {
            // Nobody but the kernel knows whether it has a structure of that name.
            let Place { id, word, .. } = field.place;
            report.add(Rule::KptrDestructor, id, word, field.target.0);
        }
    }
    let has = |special| fields.iter().any(|field| field.special == special);
    if has(Special::SpinLock) && has(Special::ResSpinLock) {
        add(report, Rule::LockKinds, whole(id));
    }
    let is_root = |field: &&Field<'_>| field.special.is_root();
    if let Some(root) = fields.iter().find(is_root)
        && !has(Special::SpinLock)
        && !has(Special::ResSpinLock)
    {
        add(report, Rule::GraphLock, root.place);
    }
    if has(Special::ListNode) && has(Special::RbNode) && !has(Special::Refcount) {
        add(report, Rule::NodeRefcount, whole(id));
    }
}

/// Checks that what a list or tree contains has the node that its tag names.
fn check_node(nodes: &mut Nodes<'_>, field: &Field<'_>, kind: &[u8], report: &mut Report<'_>) {
    if !nodes.has(field.target, field.node, kind) {
        add(report, Rule::GraphNode, field.place);
    }
}

/// The structures with special fields, and what they own.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    index: HashMap<TypeId, usize>,
    /// The owner's index, what it owns, whether a list or tree does, and where.
    owned: Vec<(usize, TypeId, bool, Place)>,
}

/// A structure with special fields.
struct Row {
    id: TypeId,
    is_node: bool,
    has_root: bool,
}

impl Table {
    fn add(&mut self, id: TypeId, fields: &[Field<'_>]) {
        let owner = self.rows.len();
        self.index.insert(id, owner);
        self.rows.push(Row {
            id,
            is_node: fields.iter().any(|field| field.special.is_node()),
            has_root: fields.iter().any(|field| field.special.is_root()),
        });
        let owning = fields.iter().filter(|field| field.special.owns());
        self.owned.extend(owning.map(|field| {
            let is_root = field.special.is_root();
            (owner, field.target, is_root, field.place)
        }));
    }

    /// Checks that what lists and trees contain is in the table, and who owns whom.
    fn check(&self, report: &mut Report<'_>) {
        let mut edges = Vec::with_capacity(self.owned.len());
        for &(owner, target, is_root, place) in &self.owned {
            let Some(&owned) = self.index.get(&target) else {
                if is_root {
                    add(report, Rule::GraphNode, place);
                }
                continue;
            };
            edges.push((owner, owned));
            if let (Some(owner), Some(owned)) = (self.rows.get(owner), self.rows.get(owned))
                && is_root
                && owner.is_node
                && owned.has_root
                && !report.target.has(Change::OwnershipDepth)
            {
                add(report, Rule::OwnershipRoot, whole(owner.id));
            }
        }
        self.check_depth(&edges, report);
    }

    /// Checks that no row of owners is too long, and nothing owns itself. Late stable releases of kernels that know
    /// another rule have this one.
    fn check_depth(&self, edges: &[(usize, usize)], report: &mut Report<'_>) {
        // After each round, each row of owners is known up to one more than there were rounds.
        let mut depths = vec![1; self.rows.len()];
        for _ in 0..MAX_OWNERSHIP {
            let mut next = vec![1; self.rows.len()];
            for &(owner, owned) in edges {
                let depth = depths.get(owned).map_or(1, |depth| depth + 1);
                if let Some(slot) = next.get_mut(owner) {
                    *slot = depth.max(*slot);
                }
            }
            depths = next;
        }
        for (row, &depth) in self.rows.iter().zip(&depths) {
            if depth <= MAX_OWNERSHIP {
                continue;
            }
            let Place { id, word, value } = whole(row.id);
            if report.target.has(Change::OwnershipDepth) {
                report.add(Rule::OwnershipDepth, id, word, value);
            } else {
                report.add_for_tools(Rule::OwnershipDepth, id, word, value);
            }
        }
    }
}

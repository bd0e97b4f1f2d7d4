//! The members of structures that lists and trees contain, by name, so that each structure is looked through once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::find::MAX_CONTAINS_LEN;
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::types::{Member, Type};

/// Where nodes of lists and trees may start, in bits.
const NODE_ALIGNMENT_BITS: u32 = 64;

/// What the kernel calls a member without a name.
const NO_NAME: &[u8] = b"(anon)";

/// The members of a structure by name; `None` if several have it.
type Members<'a> = HashMap<&'a [u8], Option<Member>>;

/// The structures that have been looked through.
pub(super) struct Nodes<'a> {
    pub(super) btf: &'a Btf,
    known: HashMap<TypeId, Members<'a>>,
}

impl<'a> Nodes<'a> {
    pub(super) fn new(btf: &'a Btf) -> Self {
        Self {
            btf,
            known: HashMap::new(),
        }
    }

    /// Whether one member of the structure `id` alone has that name, and is a node of that kind at a place where one may be. What is
    /// no structure is another rule's concern.
    pub(super) fn has(&mut self, id: TypeId, name: &[u8], kind: &[u8]) -> bool {
        let btf = self.btf;
        let Ok(Type::Struct(value)) = btf.ty(id) else {
            return true;
        };
        let members = self.known.entry(id).or_insert_with(|| {
            let mut members = Members::new();
            for member in value.members() {
                let name = match member.name.0 {
                    0 => NO_NAME,
                    // A name that is longer is none that a tag can ask for.
                    _ => btf.start_of_string(member.name, MAX_CONTAINS_LEN),
                };
                match members.entry(name) {
                    Entry::Occupied(mut known) => *known.get_mut() = None,
                    Entry::Vacant(place) => {
                        place.insert(Some(member));
                    }
                }
            }
            members
        });
        let Some(Some(member)) = members.get(name) else {
            return false;
        };
        let is_node = matches!(btf.ty(member.ty), Ok(Type::Struct(node))
            if btf.string(node.name).is_ok_and(|found| found == kind));
        is_node && member.bit_offset.is_multiple_of(NODE_ALIGNMENT_BITS)
    }
}

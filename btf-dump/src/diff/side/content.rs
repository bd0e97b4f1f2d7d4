//! What a type says, as a hash: its fields, in which references count by what they mean.

use std::hash::Hasher as _;

use btf_core::dedup::MulHasher;
use btf_core::kind::Kind;
use btf_core::{Info, StrOffset, Type, TypeId};

use super::Sort;
use super::maker::Maker;

/// Spreads the places of members over all bits: any odd number does that has many of them.
const PLACE_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Maker<'_> {
    /// The hash of what a type says.
    pub(super) fn content(&mut self, id: TypeId) -> u64 {
        let btf = self.side.btf;
        self.content_of::<false>(btf.record(id).unwrap_or_default())
    }

    /// The same of its record. `IS_ITEM` says that it has a name.
    pub(super) fn content_of<const IS_ITEM: bool>(&mut self, record: &[u32]) -> u64 {
        let Some((&[name, info, third], rest)) = record.split_first_chunk::<3>() else {
            return 1;
        };
        let info = Info(info);
        let Some(kind) = info.kind() else { return 1 };
        let mut hasher = self.side.hasher(kind as u64 + 16);
        match kind {
            Kind::Struct | Kind::Union => {
                hasher.write_u64(third.into());
                self.put_members::<IS_ITEM>(info.kind_flag(), rest, &mut hasher);
            }
            Kind::Ptr | Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict => {
                hasher.write_u64(self.need::<IS_ITEM>(third));
            }
            Kind::Func | Kind::Var => {
                let linkage = rest.first().copied().unwrap_or_else(|| info.vlen());
                hasher.write_u64(linkage.into());
                hasher.write_u64(self.need::<IS_ITEM>(third));
            }
            Kind::FuncProto => {
                hasher.write_u64(self.need::<IS_ITEM>(third));
                for &[name, ty] in rest.as_chunks::<2>().0 {
                    let name = self.name_hash(StrOffset(name));
                    hasher.write_u64(name);
                    hasher.write_u64(self.need::<IS_ITEM>(ty));
                }
            }
            Kind::Array => {
                if let &[element, index, count] = rest {
                    self.is_sound &= index < self.side.btf.end_id();
                    hasher.write_u64(count.into());
                    hasher.write_u64(self.need::<IS_ITEM>(element));
                }
            }
            Kind::TypeTag if !self.side.has_tags => return self.need::<IS_ITEM>(third),
            Kind::TypeTag => {
                hasher.write_u64(self.name_hash(StrOffset(name)));
                hasher.write_u64(self.need::<IS_ITEM>(third));
            }
            Kind::Fwd => hasher.write_u64(info.kind_flag().into()),
            Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 => {
                return self.plain_content(Type::from_record(record), hasher);
            }
            // Nothing refers to them but tags, which are no items.
            Kind::Datasec | Kind::DeclTag => {}
        }
        hasher.finish().max(1)
    }

    fn put_members<const IS_ITEM: bool>(
        &mut self,
        kind_flag: bool,
        members: &[u32],
        hasher: &mut MulHasher,
    ) {
        for &[name, ty, offset] in members.as_chunks::<3>().0 {
            let place = if kind_flag {
                u64::from(offset >> 24) << 32 | u64::from(offset & 0x00ff_ffff)
            } else {
                offset.into()
            };
            let name = self.name_hash(StrOffset(name));
            // Names are hashes already, so places cannot make two of them alike.
            hasher.write_u64(name.wrapping_add(place.wrapping_mul(PLACE_FACTOR)));
            hasher.write_u64(self.need::<IS_ITEM>(ty));
        }
    }

    /// The hash of a type that refers to no other.
    fn plain_content(&mut self, ty: Type<'_>, mut hasher: MulHasher) -> u64 {
        if let Type::Int(int) = ty {
            for word in [int.size, int.encoding, int.offset_bits, int.bits] {
                hasher.write_u64(word.into());
            }
        } else if let Type::Enum(values) | Type::Enum64(values) = ty {
            // Of how many bits the values are is a matter of encoding.
            self.side.knows_signs |= values.is_signed || matches!(ty, Type::Enum64(_));
            hasher = self.side.hasher(Sort::Enum as u64 + 48);
            hasher.write_u64(values.size.into());
            for enumerator in values.enumerators() {
                let name = self.name_hash(enumerator.name);
                hasher.write_u64(name);
                hasher.write_u64(enumerator.value);
            }
        } else if let Type::Float { size, .. } = ty {
            hasher.write_u64(size.into());
        }
        hasher.finish().max(1)
    }
}

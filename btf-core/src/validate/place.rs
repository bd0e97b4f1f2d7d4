//! Checks what only full resolution shows: sizes of what must have one, and places of members.

use std::collections::HashMap;

use super::resolve::{Shape, Shapes};
use super::{Report, Rule};
use crate::graph::POINTER_SIZE;
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::types::{Composite, Datasec, FuncProto, Int, Member, Type};

/// The bits of an enumeration as far as bitfields go.
const ENUM_BITS: u32 = 32;

/// The largest number of bits that the kernel copies for a member.
const MAX_COPY_BITS: u64 = 128;

/// Checks the types of `btf`.
pub(super) fn check_all<'a>(btf: &'a Btf, shapes: &Shapes, report: &mut Report<'a>) {
    let mut nameless = HashMap::default();
    for (id, ty) in btf.types() {
        let mut check = Check {
            btf,
            shapes,
            nameless: &mut nameless,
            id,
            report,
        };
        check.ty(&ty);
    }
}

/// The index of the first nameless parameter of each prototype that a function has; many may have the same one.
type Nameless = HashMap<TypeId, Option<usize>>;

/// The check of one type.
struct Check<'a, 'r> {
    btf: &'a Btf,
    shapes: &'r Shapes,
    nameless: &'r mut Nameless,
    id: TypeId,
    report: &'r mut Report<'a>,
}

impl Check<'_, '_> {
    fn ty(&mut self, ty: &Type<'_>) {
        match *ty {
            Type::Array { element, index, .. } => self.array(element, index),
            Type::Struct(composite) | Type::Union(composite) => self.members(composite),
            Type::Func { proto, .. } => self.func(proto),
            Type::FuncProto(proto) => self.proto(proto),
            Type::Var { target, .. } => {
                self.sized(2, target);
            }
            Type::Datasec(section) => self.entries(section),
            Type::Void
            | Type::Int(_)
            | Type::Ptr { .. }
            | Type::Enum(_)
            | Type::Fwd { .. }
            | Type::Typedef { .. }
            | Type::Volatile { .. }
            | Type::Const { .. }
            | Type::Restrict { .. }
            | Type::Float { .. }
            | Type::DeclTag { .. }
            | Type::TypeTag { .. }
            | Type::Enum64(_)
            | Type::Unknown { .. } => {}
        }
    }

    fn add(&mut self, rule: Rule, word: usize, value: impl Into<u64>) {
        self.report.add(rule, self.id, word, value);
    }

    fn shape(&self, id: TypeId) -> Option<Shape> {
        self.shapes.get(id.0 as usize).copied().flatten()
    }

    /// The size of `target` and what it is without modifiers; reports a type that has no size.
    fn sized(&mut self, word: usize, target: TypeId) -> Option<(TypeId, u64)> {
        // What does not exist or contains itself is other rules' finding.
        let Shape { stripped, size, .. } = self.shape(target)?;
        if size.is_none() {
            self.add(Rule::Unsized, word, target.0);
        }
        size.map(|size| (stripped, size))
    }

    fn int(&self, stripped: TypeId) -> Option<Int> {
        match self.btf.ty(stripped) {
            Ok(Type::Int(int)) => Some(int),
            _ => None,
        }
    }

    fn array(&mut self, element: TypeId, index: TypeId) {
        if let Some((stripped, _)) = self.sized(3, element)
            && self.int(stripped).is_some_and(|int| !is_regular(&int))
        {
            self.add(Rule::ArrayElement, 3, element.0);
        }
        if let Some((stripped, _)) = self.sized(4, index)
            && self.int(stripped).is_none_or(|int| !is_regular(&int))
        {
            self.add(Rule::ArrayIndex, 4, index.0);
        }
        if let Some(size) = self.shape(self.id).and_then(|shape| shape.size)
            && size > u32::MAX.into()
        {
            self.add(Rule::ArraySize, 5, size);
        }
    }

    fn members(&mut self, composite: Composite<'_>) {
        for (index, member) in composite.members().enumerate() {
            let word = 3 + index * 3;
            // `void` is another rule's finding.
            if member.ty.is_void() {
                continue;
            }
            if let Some((stripped, size)) = self.sized(word + 1, member.ty) {
                self.member(composite, &member, word + 2, stripped, size);
            }
        }
    }

    /// Checks where a member lies; `word` is its offset's.
    fn member(
        &mut self,
        composite: Composite<'_>,
        member: &Member,
        word: usize,
        stripped: TypeId,
        size: u64,
    ) {
        let ty = self.btf.ty(stripped).unwrap_or(Type::Void);
        let is_int = matches!(ty, Type::Int(_));
        let mut is_bad = false;
        let mut start = u64::from(member.bit_offset);
        let mut alignment_bits = 8;
        let mut bits = size.saturating_mul(8);
        let mut max_bitfield = 0;
        if let Type::Int(int) = ty {
            if composite.kind_flag {
                max_bitfield = int.bits;
            } else {
                start += u64::from(int.offset_bits);
                bits = int.bits.into();
                alignment_bits = 1;
            }
            is_bad = composite.kind_flag && !is_regular(&int);
        } else if matches!(ty, Type::Enum(_) | Type::Enum64(_)) && composite.kind_flag {
            max_bitfield = ENUM_BITS;
            bits = ENUM_BITS.into();
        } else if let Type::Float { size, .. } = ty {
            alignment_bits = u64::from(size.clamp(1, POINTER_SIZE)) * 8;
        }
        if is_bad || member.bitfield_size > max_bitfield {
            self.add(Rule::MemberBitfield, word, member.bitfield_size);
        }
        if member.bitfield_size != 0 {
            bits = member.bitfield_size.into();
            alignment_bits = 1;
        }
        let copied = (start % 8).saturating_add(bits);
        let fits = start.saturating_add(bits).div_ceil(8) <= composite.size.into();
        if start % alignment_bits != 0 || !fits || (is_int && copied > MAX_COPY_BITS) {
            self.add(Rule::MemberPlace, word, member.bit_offset);
        }
    }

    fn func(&mut self, proto: TypeId) {
        let btf = self.btf;
        let first = *self.nameless.entry(proto).or_insert_with(|| {
            let Ok(Type::FuncProto(proto)) = btf.ty(proto) else {
                return None;
            };
            let mut params = proto.params();
            params.position(|param| param.name.0 == 0 && !param.ty.is_void())
        });
        if let Some(index) = first {
            self.add(Rule::ParamName, 2, index as u64);
        }
    }

    fn proto(&mut self, proto: FuncProto<'_>) {
        if !proto.result.is_void() {
            self.sized(2, proto.result);
        }
        for (index, param) in proto.params().enumerate() {
            let word = 3 + index * 2;
            if !param.ty.is_void() {
                self.sized(word + 1, param.ty);
            } else if !param.is_variadic() || index + 1 != proto.len() {
                self.add(Rule::ParamVariadic, word, index as u64);
            }
        }
    }

    fn entries(&mut self, section: Datasec<'_>) {
        for (index, entry) in section.entries().enumerate() {
            let word = 3 + index * 3;
            let size = match self.btf.ty(entry.ty) {
                Ok(Type::Var { target, .. }) => {
                    let size = self.shape(target).and_then(|shape| shape.size);
                    size.unwrap_or(0)
                }
                _ => u64::MAX,
            };
            if u64::from(entry.size) < size {
                self.add(Rule::DatasecVariable, word, entry.ty.0);
            }
        }
    }
}

/// Whether the integer fills one, two, four, eight or sixteen bytes.
fn is_regular(int: &Int) -> bool {
    int.is_whole() && matches!(int.size, 1 | 2 | 4 | 8 | 16)
}

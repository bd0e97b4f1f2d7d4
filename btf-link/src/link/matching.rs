//! Whether two declarations of one name agree: the rules of libbpf's linker, and for maps each attribute.
//!
//! Types are compared whole where they are used by value. Behind a pointer a name and a kind are enough for structures, as C
//! programs may know them by name only; numbers must have the same size there, too. Names of integers, and the values of
//! enumerations, do not count.
#![deny(clippy::indexing_slicing)]

use std::collections::HashSet;

use btf_core::graph::{size_of, strip_modifiers};
use btf_core::types::{Composite, FuncProto};
use btf_core::wire::linkage;
use btf_core::{Btf, Kind, Type, TypeId};

use super::problem::{describe, show};

/// How many pairs of types are compared in a run; behind that, declarations count as equal. Two real ones need a few hundred.
pub(crate) const MAX_PAIRS: usize = 1 << 22;

/// How much of two types has to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mode {
    /// All of it.
    Exact,
    /// The kind, and the name if it has one.
    Shape,
}

type Pair = (TypeId, TypeId, Mode);

/// Two blobs whose types are compared.
struct Comparison<'a> {
    a: &'a Btf,
    b: &'a Btf,
    seen: HashSet<Pair>,
    work: Vec<Pair>,
}

/// Checks that the FUNC or VAR `a_id` of `a` and `b_id` of `b` declare the same thing; says what differs if not.
pub(crate) fn check(
    (a, a_id): (&Btf, TypeId),
    (b, b_id): (&Btf, TypeId),
    budget: &mut usize,
) -> Result<(), String> {
    let mut comparison = Comparison {
        a,
        b,
        seen: HashSet::new(),
        work: Vec::new(),
    };
    comparison.push(a_id, b_id, Mode::Exact);
    while let Some((a_id, b_id, mode)) = comparison.work.pop() {
        let Some(left) = budget.checked_sub(1) else {
            break;
        };
        *budget = left;
        comparison.pair(a_id, b_id, mode)?;
    }
    Ok(())
}

impl Comparison<'_> {
    fn push(&mut self, a: TypeId, b: TypeId, mode: Mode) {
        if self.seen.insert((a, b, mode)) {
            self.work.push((a, b, mode));
        }
    }

    fn pair(&mut self, a_id: TypeId, b_id: TypeId, mode: Mode) -> Result<(), String> {
        let bad = |error: btf_core::Error| error.to_string();
        let a_id = strip_modifiers(self.a, a_id).map_err(bad)?;
        let b_id = strip_modifiers(self.b, b_id).map_err(bad)?;
        let (a, b) = (self.a.ty(a_id).map_err(bad)?, self.b.ty(b_id).map_err(bad)?);
        let has_same_name = self.a.name(a_id).ok() == self.b.name(b_id).ok();
        if has_name(&a) && has_name(&b) && !has_same_name || !is_same_kind(&a, &b, mode) {
            let (a_text, b_text) = (describe(self.a, a_id), describe(self.b, b_id));
            return Err(match (a.own_size(), b.own_size()) {
                (Some(a), Some(b)) if a_text == b_text => {
                    format!("{a_text} has {a} bytes and {b} bytes")
                }
                _ => format!("{a_text} is not {b_text}"),
            });
        }
        match (a, b) {
            (Type::Ptr { target: a }, Type::Ptr { target: b }) => self.push(a, b, Mode::Shape),
            (Type::Array { element: a, .. }, Type::Array { element: b, .. })
            | (Type::Func { proto: a, .. }, Type::Func { proto: b, .. })
            | (Type::Var { target: a, .. }, Type::Var { target: b, .. }) => self.push(a, b, mode),
            (Type::Struct(a), Type::Struct(b)) | (Type::Union(a), Type::Union(b))
                if mode == Mode::Exact =>
            {
                return self.members(&describe(self.a, a_id), a, b);
            }
            (Type::FuncProto(a), Type::FuncProto(b)) => return self.prototypes(a, b, mode),
            _ => {}
        }
        Ok(())
    }

    fn members(&mut self, title: &str, a: Composite<'_>, b: Composite<'_>) -> Result<(), String> {
        if a.members().len() != b.members().len() {
            let (a, b) = (a.members().len(), b.members().len());
            return Err(format!("{title} has {a} members and {b} members"));
        }
        for (a, b) in a.members().zip(b.members()) {
            let name = self.a.string(a.name).unwrap_or_default();
            if self.b.string(b.name).ok() != Some(name) {
                return Err(format!("{title} has different members: {}", show(name)));
            }
            if (a.bit_offset, a.bitfield_size) != (b.bit_offset, b.bitfield_size) {
                return Err(format!(
                    "{title} has member {} at different places",
                    show(name)
                ));
            }
            self.push(a.ty, b.ty, Mode::Exact);
        }
        Ok(())
    }

    fn prototypes(&mut self, a: FuncProto<'_>, b: FuncProto<'_>, mode: Mode) -> Result<(), String> {
        if a.params().len() != b.params().len() {
            let (a, b) = (a.params().len(), b.params().len());
            return Err(format!("{a} parameters are not {b}"));
        }
        self.push(a.result, b.result, mode);
        for (a, b) in a.params().zip(b.params()) {
            self.push(a.ty, b.ty, mode);
        }
        Ok(())
    }
}

/// Whether a type is told from others by its name.
fn has_name(ty: &Type<'_>) -> bool {
    matches!(
        ty.kind(),
        Some(
            Kind::Struct
                | Kind::Union
                | Kind::Enum
                | Kind::Enum64
                | Kind::Fwd
                | Kind::Func
                | Kind::Var
        )
    )
}

/// Whether two types agree as far as their own records tell, names apart.
fn is_same_kind(a: &Type<'_>, b: &Type<'_>, mode: Mode) -> bool {
    match (a, b) {
        (Type::Int(_), Type::Int(_))
        | (Type::Float { .. }, Type::Float { .. })
        | (Type::Enum(_) | Type::Enum64(_), Type::Enum(_) | Type::Enum64(_)) => {
            a.own_size() == b.own_size()
        }
        (Type::Fwd { is_union: a, .. }, Type::Fwd { is_union: b, .. }) => a == b,
        (Type::Fwd { is_union, .. }, Type::Struct(_))
        | (Type::Struct(_), Type::Fwd { is_union, .. }) => mode == Mode::Shape && !is_union,
        (Type::Fwd { is_union, .. }, Type::Union(_))
        | (Type::Union(_), Type::Fwd { is_union, .. }) => mode == Mode::Shape && *is_union,
        (Type::Func { linkage: a, .. }, Type::Func { linkage: b, .. })
        | (Type::Var { linkage: a, .. }, Type::Var { linkage: b, .. }) => {
            (*a == linkage::STATIC) == (*b == linkage::STATIC)
        }
        _ => a.kind() == b.kind(),
    }
}

/// Checks that two VARs of `.maps` declare the same map; says what differs if not.
pub(crate) fn check_maps(
    (a, a_id): (&Btf, TypeId),
    (b, b_id): (&Btf, TypeId),
    budget: &mut usize,
) -> Result<(), String> {
    let (Some(a_map), Some(b_map)) = (Map::read(a, a_id), Map::read(b, b_id)) else {
        return check((a, a_id), (b, b_id), budget);
    };
    for name in a_map.names().chain(b_map.names()) {
        let (a_attribute, b_attribute) = (a_map.get(name), b_map.get(name));
        match (a_attribute, b_attribute) {
            (Attribute::Number(a), Attribute::Number(b)) if a == b => {}
            (Attribute::Type(a_id), Attribute::Type(b_id)) => {
                let same = check((a, a_id), (b, b_id), budget);
                same.map_err(|why| format!("{} differs: {why}", show(name)))?;
            }
            (Attribute::Number(a), Attribute::Number(b)) => {
                return Err(format!("{} is {a} and {b}", show(name)));
            }
            _ => return Err(format!("{} is only in one of them", show(name))),
        }
    }
    // An inner map, of which there is one level.
    match (a_map.inner, b_map.inner) {
        (None, None) => Ok(()),
        (Some(a_inner), Some(b_inner)) => check_inner((a, a_inner), (b, b_inner), budget)
            .map_err(|why| format!("inner map: {why}")),
        _ => Err("an inner map is only in one of them".to_owned()),
    }
}

/// Compares what the elements of `values` point to: structures that describe maps, or functions.
fn check_inner(
    (a, a_id): (&Btf, TypeId),
    (b, b_id): (&Btf, TypeId),
    budget: &mut usize,
) -> Result<(), String> {
    let (Some(a_map), Some(b_map)) = (Map::of_struct(a, a_id), Map::of_struct(b, b_id)) else {
        return check((a, a_id), (b, b_id), budget);
    };
    for name in a_map.names().chain(b_map.names()) {
        match (a_map.get(name), b_map.get(name)) {
            (Attribute::Number(x), Attribute::Number(y)) if x == y => {}
            (Attribute::Type(x), Attribute::Type(y)) => check((a, x), (b, y), budget)?,
            _ => return Err(format!("{} differs", show(name))),
        }
    }
    Ok(())
}

/// What a map is declared with.
struct Map<'a> {
    attributes: Vec<(&'a [u8], Attribute)>,
    inner: Option<TypeId>,
}

/// The value of an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attribute {
    /// A number, which is the length of the array that the member points to.
    Number(u64),
    /// The type that it points to.
    Type(TypeId),
    /// It is not there.
    Missing,
}

impl<'a> Map<'a> {
    fn read(btf: &'a Btf, var: TypeId) -> Option<Self> {
        let Type::Var { target, .. } = btf.ty(var).ok()? else {
            return None;
        };
        Self::of_struct(btf, target)
    }

    fn of_struct(btf: &'a Btf, id: TypeId) -> Option<Self> {
        /// No map has more attributes.
        const MAX_ATTRIBUTES: usize = 64;
        let Type::Struct(map) = btf.ty(strip_modifiers(btf, id).ok()?).ok()? else {
            return None;
        };
        if map.members().len() > MAX_ATTRIBUTES {
            return None;
        }
        let mut found = Self {
            attributes: Vec::new(),
            inner: None,
        };
        for member in map.members() {
            let name = btf.string(member.name).ok()?;
            let ty = btf.ty(strip_modifiers(btf, member.ty).ok()?).ok()?;
            let attribute = match (name, ty) {
                (b"values", Type::Array { element, .. }) => {
                    let pointer = btf.ty(strip_modifiers(btf, element).ok()?).ok()?;
                    let Type::Ptr { target } = pointer else {
                        return None;
                    };
                    found.inner = Some(target);
                    continue;
                }
                (b"key" | b"value", Type::Ptr { target }) => {
                    let size = size_of(btf, target).ok().flatten().unwrap_or(0);
                    let size_name: &[u8] = if name == b"key" {
                        b"key_size"
                    } else {
                        b"value_size"
                    };
                    found.set(size_name, Attribute::Number(size));
                    Attribute::Type(target)
                }
                (_, Type::Ptr { target }) => {
                    let ty = btf.ty(strip_modifiers(btf, target).ok()?).ok()?;
                    if let Type::Array { count, .. } = ty {
                        Attribute::Number(count.into())
                    } else {
                        Attribute::Type(target)
                    }
                }
                // `map_extra` may have 64 bits: the value of an enumerator.
                (_, Type::Array { element, .. }) => {
                    let ty = btf.ty(strip_modifiers(btf, element).ok()?).ok()?;
                    let (Type::Enum(values) | Type::Enum64(values)) = ty else {
                        return None;
                    };
                    Attribute::Number(values.enumerators().next()?.value)
                }
                _ => return None,
            };
            found.set(name, attribute);
        }
        Some(found)
    }

    fn set(&mut self, name: &'a [u8], attribute: Attribute) {
        if self.get(name) == Attribute::Missing {
            self.attributes.push((name, attribute));
        }
    }

    fn get(&self, name: &[u8]) -> Attribute {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|(other, _)| *other == name)
            .map_or(Attribute::Missing, |(_, attribute)| *attribute)
    }

    fn names(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.attributes.iter().map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use btf_core::Builder;

    use super::*;

    /// The verdict on two variables that point to numbers of so many bytes.
    #[track_caller]
    fn verdict(sizes: [u32; 2]) -> Result<(), String> {
        let [a, b] = sizes.map(|size| {
            let mut builder = Builder::new();
            let number = builder.int(b"number", size, 0).unwrap();
            let pointer = builder.ptr(number).unwrap();
            let var = builder.var(b"f", pointer, linkage::GLOBAL).unwrap();
            (builder.finish().unwrap(), var)
        });
        check((&a.0, a.1), (&b.0, b.1), &mut 99)
    }

    #[test]
    fn pointers_to_numbers_of_different_sizes_disagree() {
        assert_eq!(verdict([8, 8]), Ok(()));
        let why = "number has 1 bytes and 8 bytes".to_owned();
        assert_eq!(verdict([1, 8]), Err(why));
    }
}

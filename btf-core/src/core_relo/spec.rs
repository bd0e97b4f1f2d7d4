//! Reads the access of a relocation: the way from a type of the program to what the relocation is about.
//!
//! `0:1:2` starts at element 0 of what a pointer to the type points to; then come indices of members or elements. Types as a
//! whole have the access `0`, enumerators their index.

use super::fault::Fault;
use super::names::name_at;
use super::{RelocationKind, compatible};
use crate::graph::{POINTER_SIZE, strip_modifiers};
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::types::Type;

/// The largest number of steps in an access, which is libbpf's.
pub const MAX_LEN: usize = 64;

/// The way to what a relocation is about, in one BTF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Where it starts: the type that the relocation names, typedefs and qualifiers included.
    pub root: TypeId,
    /// The way; empty for types as a whole.
    pub steps: Vec<Step>,
    /// Where it leads to, in bits from the start of the root.
    pub bit_offset: u32,
}

/// A step of the way. Types are those left when typedefs and qualifiers are taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To an element of an array or, as the first step, of what a pointer to the root points to.
    Element {
        /// The type of the element.
        ty: TypeId,
        /// Its index.
        index: u32,
    },
    /// To a member.
    Member {
        /// The structure or union.
        composite: TypeId,
        /// The member's index.
        index: u32,
        /// Whether the member has a name; one without is a step of the compiler, not of the C code.
        is_named: bool,
    },
    /// To an enumerator.
    Enumerator {
        /// The enumeration.
        ty: TypeId,
        /// The enumerator's index.
        index: u32,
    },
}

impl Spec {
    /// The way to a type as a whole.
    #[must_use]
    pub const fn of_type(root: TypeId) -> Self {
        Self {
            root,
            steps: Vec::new(),
            bit_offset: 0,
        }
    }

    /// The last step that C code has, which answers are about.
    #[must_use]
    pub fn last(&self) -> Option<Step> {
        let unnamed = |step: &&Step| matches!(step, Step::Member { is_named, .. } if !is_named);
        self.steps.iter().rev().find(|step| !unnamed(step)).copied()
    }

    /// Reads an access of the program's types.
    ///
    /// # Errors
    /// [`Fault::Access`] if the text or the types do not allow it, [`Fault::NoSize`], [`Fault::TooDeep`] or
    /// [`Fault::Btf`].
    pub fn parse(
        btf: &Btf,
        root: TypeId,
        access: &[u8],
        kind: RelocationKind,
    ) -> Result<Self, Fault> {
        btf.ty(root)?;
        if kind.is_type() {
            return if access == b"0" {
                Ok(Self::of_type(root))
            } else {
                Err(Fault::Access("that of a type is `0`"))
            };
        }
        let numbers = numbers(access)?;
        let (&first, rest) = numbers
            .split_first()
            .ok_or(Fault::Access("it is not made of numbers"))?;
        let ty = strip_modifiers(btf, root)?;
        if kind.is_enumerator() {
            return of_enumerator(btf, root, ty, first, rest);
        }
        let mut walk = Walk {
            btf,
            spec: Self::of_type(root),
            at: ty,
        };
        walk.element(ty, first)?;
        for &index in rest {
            walk.step(index)?;
        }
        Ok(walk.spec)
    }
}

/// The access as numbers.
fn numbers(access: &[u8]) -> Result<Vec<u32>, Fault> {
    let number = |digits: &[u8]| {
        // Not `str::parse` alone, which takes a sign.
        let text = std::str::from_utf8(digits).ok()?;
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    let mut numbers = Vec::new();
    for digits in access.split(|&byte| byte == b':') {
        if numbers.len() == MAX_LEN {
            return Err(Fault::TooDeep);
        }
        let number = number(digits).ok_or(Fault::Access("it is not made of numbers"))?;
        numbers.push(number);
    }
    Ok(numbers)
}

fn of_enumerator(
    btf: &Btf,
    root: TypeId,
    ty: TypeId,
    index: u32,
    rest: &[u32],
) -> Result<Spec, Fault> {
    let (Type::Enum(enumeration) | Type::Enum64(enumeration)) = btf.ty(ty)? else {
        return Err(Fault::Access("the type is no enumeration"));
    };
    if !rest.is_empty() || index as usize >= enumeration.len() {
        return Err(Fault::Access("there is no such enumerator"));
    }
    Ok(Spec {
        root,
        steps: vec![Step::Enumerator { ty, index }],
        bit_offset: 0,
    })
}

/// An access that is being followed.
struct Walk<'a> {
    btf: &'a Btf,
    spec: Spec,
    /// The type reached so far.
    at: TypeId,
}

impl Walk<'_> {
    /// Goes to an element of type `ty`.
    fn element(&mut self, ty: TypeId, index: u32) -> Result<(), Fault> {
        let bytes = compatible::size_of(self.btf, ty, POINTER_SIZE)?;
        self.spec.steps.push(Step::Element { ty, index });
        self.spec.bit_offset = element_offset(self.spec.bit_offset, bytes, index)?;
        self.at = ty;
        Ok(())
    }

    /// Goes to a member or element.
    fn step(&mut self, index: u32) -> Result<(), Fault> {
        let composite = strip_modifiers(self.btf, self.at)?;
        let ty = self.btf.ty(composite)?;
        if let Type::Array { element, count, .. } = ty {
            if index >= count && !is_flexible(self.btf, self.spec.last(), count)? {
                return Err(Fault::Access("there is no such element"));
            }
            let element = strip_modifiers(self.btf, element)?;
            return self.element(element, index);
        }
        let (Type::Struct(fields) | Type::Union(fields)) = ty else {
            return Err(Fault::Access("the type has no members"));
        };
        let member = fields.members().nth(index as usize);
        let member = member.ok_or(Fault::Access("there is no such member"))?;
        let name = name_at(self.btf, member.name);
        let name = name.ok_or(Fault::Access("a member's name is too long"))?;
        self.spec.steps.push(Step::Member {
            composite,
            index,
            is_named: !name.is_empty(),
        });
        self.spec.bit_offset = self.spec.bit_offset.wrapping_add(member.bit_offset);
        self.at = member.ty;
        Ok(())
    }
}

/// The offset in bits of an element of `bytes` bytes, in 32 bits as libbpf computes it.
pub(super) fn element_offset(start: u32, bytes: u64, index: u32) -> Result<u32, Fault> {
    let bits = u64::from(index)
        .checked_mul(bytes)
        .and_then(|bytes| bytes.checked_mul(8))
        .and_then(|bits| bits.checked_add(start.into()));
    bits.and_then(|bits| u32::try_from(bits).ok())
        .ok_or(Fault::Access("an element is too far away"))
}

/// Whether an array of `count` elements that `step` leads to may be longer than it says: it is the last member and empty.
pub(super) fn is_flexible(btf: &Btf, step: Option<Step>, count: u32) -> Result<bool, Fault> {
    let Some(Step::Member {
        composite, index, ..
    }) = step
    else {
        return Ok(false);
    };
    let (Type::Struct(fields) | Type::Union(fields)) = btf.ty(composite)? else {
        return Ok(false);
    };
    Ok(count == 0 && index as usize + 1 == fields.len())
}

//! Spells types as pahole does: qualifiers of what is not a pointer in front, each `*` set off by a space.
//!
//! What C writes around a name, such as `(*name)(int)` and `[4]`, is unwound in C's own form. Chains are followed in loops;
//! prototypes in the parameters of prototypes to a fixed depth only.

use std::borrow::Cow;

use btf_core::graph::MAX_DEPTH;
use btf_core::reader::Btf;
use btf_core::types::{FuncProto, Type};
use btf_core::{StrOffset, TypeId};

use crate::names::{ELLIPSIS, Names};

/// How many prototypes may be nested in each other's parameters; C needs two or three.
const MAX_PROTOTYPES: usize = 6;

/// How long a declarator may get before parameters are left out, in bytes; the longest of a kernel has 600.
const MAX_DECLARATOR: usize = 1 << 10;

/// How many bytes longer ones may take together, for other languages than C.
const LONG_BUDGET: usize = 1 << 20;

/// Spells the types of one BTF.
#[derive(Debug)]
pub(crate) struct Speller<'b> {
    btf: &'b Btf,
    names: Names<'b>,
    /// What is left of [`LONG_BUDGET`].
    budget: usize,
    /// Room for the chain of one type, kept so that it is allocated once.
    chain: Vec<Type<'b>>,
    /// Whether types without a name are marked: `struct {…}`, and enumerations with their values.
    marks_nameless: bool,
    /// Whether their values are left out.
    pub(crate) elides_values: bool,
    /// Whether tags are written.
    has_tags: bool,
}

/// A declaration in its parts: `const struct s (*name[2])(int)`.
#[derive(Debug, Default)]
pub(crate) struct Declaration {
    /// `const ` and `volatile `, of what is no pointer.
    pub(crate) qualifiers: Vec<u8>,
    /// The type that follows them.
    pub(crate) left: TypeId,
    /// How many spaces follow the type: so pahole writes `volatile`.
    pub(crate) spaces: usize,
    /// The name with all that stands around it.
    pub(crate) declarator: Vec<u8>,
    /// Whether `*` or parameters are among that.
    pub(crate) has_pointer: bool,
    /// Whether `[…]` is among that.
    pub(crate) has_array: bool,
}

impl<'b> Speller<'b> {
    pub(crate) fn new(btf: &'b Btf) -> Self {
        Self {
            btf,
            names: Names::new(btf),
            budget: LONG_BUDGET,
            chain: Vec::new(),
            marks_nameless: false,
            elides_values: false,
            has_tags: false,
        }
    }

    /// A speller that marks types without a name, of which pahole writes only `struct `, and writes tags if they count.
    pub(crate) fn marking_nameless(btf: &'b Btf, has_tags: bool) -> Self {
        Self {
            marks_nameless: true,
            has_tags,
            ..Self::new(btf)
        }
    }

    /// The name at an offset; no more than is good of a hostile one.
    pub(crate) fn name(&mut self, offset: StrOffset) -> &'b [u8] {
        self.names.get(offset).bytes
    }

    /// The type `id`; `void` if it does not exist.
    pub(crate) fn ty(&self, id: TypeId) -> Type<'b> {
        self.btf.ty(id).unwrap_or(Type::Void)
    }

    /// Appends the name of a type that has no declarator of its own, see [`Speller::has_declarator`].
    pub(crate) fn put_name(&mut self, out: &mut Vec<u8>, id: TypeId) {
        let mut chain = std::mem::take(&mut self.chain);
        chain.clear();
        let mut base = self.ty(id);
        while let Some(target) = beneath(base)
            && chain.len() <= MAX_DEPTH as usize
        {
            chain.push(base);
            base = self.ty(target);
        }
        // What lies between the base and the innermost pointer qualifies the base.
        let innermost = chain.iter().rposition(|ty| matches!(ty, Type::Ptr { .. }));
        let (pointers, qualifiers) = chain.split_at(innermost.map_or(0, |index| index + 1));
        let mut words = 0;
        for word in qualifiers.iter().filter_map(|&ty| self.word(ty)) {
            out.extend_from_slice(&word);
            words += 1;
        }
        self.put_base(out, base);
        // One space for each: so pahole writes them.
        out.extend(std::iter::repeat_n(b' ', words));
        for &ty in pointers.iter().rev() {
            if let Some(word) = self.word(ty) {
                out.push(b' ');
                let is_spaced = matches!(ty, Type::Restrict { .. });
                out.extend_from_slice(if is_spaced {
                    &word
                } else {
                    word.trim_ascii_end()
                });
            } else if matches!(ty, Type::Ptr { .. }) {
                out.extend_from_slice(b" *");
            }
        }
        self.chain = chain;
    }

    /// The word of a qualifier or, if tags are written, of a tag, with the space behind it.
    fn word(&mut self, ty: Type<'_>) -> Option<Cow<'static, [u8]>> {
        if let Type::TypeTag {
            name, is_attribute, ..
        } = ty
            && self.has_tags
        {
            let name = self.name(name);
            let parts: [&[u8]; 3] = if is_attribute {
                [b"__attribute__((", name, b")) "]
            } else {
                [b"__attribute__((btf_type_tag(\"", name, b"\"))) "]
            };
            return Some(parts.concat().into());
        }
        qualifier(ty).map(Cow::Borrowed)
    }

    /// Appends the name of a type that is made of no other.
    fn put_base(&mut self, out: &mut Vec<u8>, ty: Type<'_>) {
        let word = if matches!(ty, Type::Void) {
            "void"
        } else {
            keyword(ty)
        };
        out.extend_from_slice(word.as_bytes());
        if self.marks_nameless && ty.name() == StrOffset::EMPTY {
            return self.put_inside(out, ty);
        }
        out.extend_from_slice(self.name(ty.name()));
    }

    /// Appends what stands for the name of a type without one.
    fn put_inside(&mut self, out: &mut Vec<u8>, ty: Type<'_>) {
        let (Type::Enum(values) | Type::Enum64(values)) = ty else {
            if matches!(ty, Type::Struct(_) | Type::Union(_)) {
                out.extend_from_slice("{…}".as_bytes());
            }
            return;
        };
        if self.elides_values {
            return out.extend_from_slice("{…}".as_bytes());
        }
        out.extend_from_slice(b"{ ");
        for (index, value) in values.enumerators().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            if out.len() > MAX_DECLARATOR.max(self.budget) {
                out.extend_from_slice(ELLIPSIS.as_bytes());
                break;
            }
            out.extend_from_slice(self.name(value.name));
            out.extend_from_slice(b" = ");
            let mut buffer = itoa::Buffer::new();
            out.extend_from_slice(if values.is_signed {
                buffer.format(value.value.cast_signed()).as_bytes()
            } else {
                buffer.format(value.value).as_bytes()
            });
        }
        out.extend_from_slice(b" }");
        self.budget = self
            .budget
            .saturating_sub(out.len().saturating_sub(MAX_DECLARATOR));
    }

    /// Appends a type without a declared name.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, id: TypeId) {
        self.put_type(out, id, 0);
    }

    /// Appends a type without a declared name, as parameters are written.
    fn put_type(&mut self, out: &mut Vec<u8>, id: TypeId, depth: usize) {
        if !self.has_declarator(id) {
            return self.put_name(out, id);
        }
        let declaration = self.unwind_to(id, Vec::new(), false, depth);
        out.extend_from_slice(&declaration.qualifiers);
        self.put_name(out, declaration.left);
        out.push(b' ');
        out.extend_from_slice(&declaration.declarator);
    }

    /// Whether C writes more than the name to the right of a type: arrays, prototypes, and pointers to them.
    pub(crate) fn has_declarator(&self, id: TypeId) -> bool {
        let ty = self.beneath_pointers(id, |_| true);
        matches!(ty, Type::Array { .. } | Type::FuncProto(_))
    }

    /// Whether a type is a pointer, qualified or not.
    fn is_pointer(&self, id: TypeId) -> bool {
        let ty = self.beneath_pointers(id, |ty| !matches!(ty, Type::Ptr { .. }));
        matches!(ty, Type::Ptr { .. })
    }

    /// The type that is left when qualifiers, tags and pointers are taken off for as long as `goes_on`.
    fn beneath_pointers(&self, id: TypeId, goes_on: impl Fn(Type<'_>) -> bool) -> Type<'b> {
        let mut ty = self.ty(id);
        for _ in 0..=MAX_DEPTH {
            match beneath(ty) {
                Some(target) if goes_on(ty) => ty = self.ty(target),
                _ => break,
            }
        }
        ty
    }

    /// Takes a type apart around a name. `is_last` says that this is a structure's last member, where an array
    /// without elements is one without a length.
    pub(crate) fn unwind(&mut self, id: TypeId, name: &[u8], is_last: bool) -> Declaration {
        self.unwind_to(id, name.to_vec(), is_last, 0)
    }

    fn unwind_to(&mut self, id: TypeId, name: Vec<u8>, is_last: bool, depth: usize) -> Declaration {
        let mut declaration = Declaration {
            left: id,
            declarator: name,
            ..Declaration::default()
        };
        self.unwind_in(&mut declaration, is_last, depth);
        declaration
    }

    /// Goes on with the type on the left, which was a typedef before.
    pub(crate) fn unwind_on(&mut self, declaration: &mut Declaration) {
        self.unwind_in(declaration, false, 0);
    }

    fn unwind_in(&mut self, declaration: &mut Declaration, is_last: bool, depth: usize) {
        let mut is_last = is_last;
        let mut is_starred = false;
        for _ in 0..=MAX_DEPTH {
            let current = declaration.left;
            let ty = self.ty(current);
            let text = &mut declaration.declarator;
            if let Type::Array { element, count, .. } = ty {
                parenthesize(text, std::mem::take(&mut is_starred));
                put_dimension(text, count, std::mem::take(&mut is_last));
                declaration.has_array = true;
                declaration.left = element;
                if count == 0 {
                    // So pahole does; the elements have the same qualifiers.
                    declaration.qualifiers.clear();
                    declaration.spaces = 0;
                }
            } else if let Type::FuncProto(proto) = ty {
                parenthesize(text, std::mem::take(&mut is_starred));
                self.put_parameters(text, &proto, depth);
                is_last = false;
                declaration.has_pointer = true;
                declaration.left = proto.result;
            } else if let Type::Ptr { target } = ty
                && self.has_declarator(target)
            {
                let qualifiers = std::mem::take(&mut declaration.qualifiers);
                declaration.spaces = 0;
                text.splice(0..0, std::iter::once(b'*').chain(qualifiers));
                is_starred = true;
                declaration.has_pointer = true;
                declaration.left = target;
            } else if let Some(target) = beneath(ty)
                && (self.has_declarator(target) || !self.is_pointer(current))
            {
                let word = self.word(ty).unwrap_or_default();
                declaration.qualifiers.extend_from_slice(&word);
                let is_spaced = declaration.spaces > 0 || matches!(ty, Type::Volatile { .. });
                declaration.spaces += usize::from(is_spaced);
                declaration.left = target;
            } else {
                // A name; that of a pointer has its qualifiers in it.
                break;
            }
        }
    }

    /// Appends the parameters of a function.
    fn put_parameters(&mut self, out: &mut Vec<u8>, proto: &FuncProto<'_>, depth: usize) {
        out.push(b'(');
        if proto.is_empty() {
            out.extend_from_slice(b"void");
        }
        for (index, param) in proto.params().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            if depth >= MAX_PROTOTYPES || out.len() > MAX_DECLARATOR.max(self.budget) {
                out.extend_from_slice(ELLIPSIS.as_bytes());
                break;
            }
            if param.is_variadic() {
                out.extend_from_slice(b"...");
            } else {
                self.put_type(out, param.ty, depth + 1);
            }
        }
        out.push(b')');
        let excess = out.len().saturating_sub(MAX_DECLARATOR);
        self.budget = self.budget.saturating_sub(excess);
    }
}

/// What a pointer points to, or what a qualifier or tag stands in front of; `None` for all that has a name.
fn beneath(ty: Type<'_>) -> Option<TypeId> {
    if let Type::Ptr { target } = ty {
        return Some(target);
    }
    let is_typedef = matches!(ty, Type::Typedef { .. });
    ty.modified().filter(|_| !is_typedef)
}

/// The word of a qualifier, with the space behind it.
fn qualifier(ty: Type<'_>) -> Option<&'static [u8]> {
    if matches!(ty, Type::Const { .. }) {
        Some(b"const ")
    } else if matches!(ty, Type::Volatile { .. }) {
        Some(b"volatile ")
    } else if matches!(ty, Type::Restrict { .. }) {
        Some(b"restrict ")
    } else {
        None
    }
}

/// The keyword in front of a type's name, with the space behind it.
pub(crate) fn keyword(ty: Type<'_>) -> &'static str {
    if matches!(
        ty,
        Type::Struct(_)
            | Type::Fwd {
                is_union: false,
                ..
            }
    ) {
        "struct "
    } else if matches!(ty, Type::Union(_) | Type::Fwd { is_union: true, .. }) {
        "union "
    } else if matches!(ty, Type::Enum(_) | Type::Enum64(_)) {
        "enum "
    } else {
        ""
    }
}

/// Sets a pointer's declarator off from the array or function that it points to.
fn parenthesize(declarator: &mut Vec<u8>, is_starred: bool) {
    if is_starred {
        declarator.insert(0, b'(');
        declarator.push(b')');
    }
}

/// Appends `[count]`; or `[]`, if an array without elements has no length here.
fn put_dimension(out: &mut Vec<u8>, count: u32, is_last: bool) {
    out.push(b'[');
    if count != 0 || !is_last {
        out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    }
    out.push(b']');
}

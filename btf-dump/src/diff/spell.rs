//! Types as a person writes them in C.

use btf_core::kind::Kind;
use btf_core::types::FuncProto;
use btf_core::{Info, StrOffset, Type, TypeId};

use super::leaves::{Leaf, Prefixes};
use super::side::Side;
use crate::layout::spell::Speller;
use crate::names::{Name, Names};
use crate::texts::Texts;

/// As many pointers and qualifiers around a name are written without a detour.
const MAX_PLAIN: usize = 16;

/// Spells the types of one side.
#[derive(Debug)]
pub(super) struct Spell<'s, 'b> {
    side: &'s Side<'b>,
    speller: Speller<'b>,
    names: Names<'b>,
    /// Those that are a name with pointers and qualifiers around it.
    texts: Texts,
    /// Room for what is tidied up.
    buffer: Vec<u8>,
    /// Room for the whole name of a member.
    member: Vec<u8>,
}

impl<'s, 'b> Spell<'s, 'b> {
    pub(super) fn new(side: &'s Side<'b>) -> Self {
        Self {
            side,
            speller: Speller::marking_nameless(side.btf(), side.has_tags()),
            names: Names::new(side.btf()),
            texts: Texts::new(),
            buffer: Vec::new(),
            member: Vec::new(),
        }
    }

    /// Forgets what has been written so far as far as it decides about what is written next.
    pub(super) fn restart(&mut self) {
        self.speller = Speller::marking_nameless(self.side.btf(), self.side.has_tags());
    }

    /// The name at an offset.
    fn name(&self, offset: StrOffset) -> Name<'b> {
        // Where most of them end is found sooner than where they are known from.
        let short = self.names.find_short(offset);
        short.unwrap_or_else(|| Name::whole(self.side.name(offset)))
    }

    /// Says whether enumerations without a name are written without their values from now on.
    pub(super) fn elides_values(&mut self, elides: bool) {
        self.speller.elides_values = elides;
    }

    pub(super) fn side(&self) -> &'s Side<'b> {
        self.side
    }

    /// Appends a type without a name: `struct s *(*)(int)`.
    pub(super) fn put_type(&mut self, out: &mut Vec<u8>, id: TypeId) {
        if self.put_plain(out, id) {
            return;
        }
        let mut text = std::mem::take(&mut self.buffer);
        text.clear();
        self.speller.put(&mut text, id);
        put_tidy(out, &text);
        self.buffer = text;
    }

    /// Appends a type that is a name with pointers and qualifiers around it, as most are; `false` for all others.
    fn put_plain(&mut self, out: &mut Vec<u8>, id: TypeId) -> bool {
        if self.texts.put(id, out) {
            return true;
        }
        let start = out.len();
        let is_plain = self.spell_plain(out, id);
        if is_plain && let Some(text) = out.get(start..) {
            self.texts.keep(id, text);
        }
        is_plain
    }

    fn spell_plain(&self, out: &mut Vec<u8>, id: TypeId) -> bool {
        let btf = self.side.btf();
        let (mut around, mut len) = ([""; MAX_PLAIN], 0);
        // How many of them end with the innermost pointer: what is left qualifies the name.
        let mut pointers = 0;
        let mut current = id;
        let mut steps = 0..2 * MAX_PLAIN;
        let (keyword, name) = loop {
            if steps.next().is_none() {
                return false;
            }
            let &[name, info, third, ..] = btf.record(current).unwrap_or_default() else {
                break ("void", None);
            };
            let info = Info(info);
            let word = match info.kind() {
                Some(Kind::Ptr) => "*",
                Some(Kind::Const) => "const",
                Some(Kind::Volatile) => "volatile",
                Some(Kind::Restrict) => "restrict",
                Some(Kind::TypeTag) if self.side.has_tags() => return false,
                Some(Kind::TypeTag) => "",
                Some(Kind::Fwd) if info.kind_flag() => break ("union ", Some(name)),
                Some(Kind::Struct | Kind::Fwd) => break ("struct ", Some(name)),
                Some(Kind::Union) => break ("union ", Some(name)),
                Some(Kind::Enum | Kind::Enum64) => break ("enum ", Some(name)),
                Some(Kind::Int | Kind::Float | Kind::Typedef) => break ("", Some(name)),
                Some(
                    Kind::Array
                    | Kind::Func
                    | Kind::FuncProto
                    | Kind::Var
                    | Kind::Datasec
                    | Kind::DeclTag,
                )
                | None => return false,
            };
            current = TypeId(third);
            if word.is_empty() {
                continue;
            }
            let Some(slot) = around.get_mut(len) else {
                return false;
            };
            *slot = word;
            len += 1;
            if word == "*" {
                pointers = len;
            }
        };
        let name = match name.map(|name| self.names.find_short(StrOffset(name))) {
            None => Name::EMPTY,
            Some(Some(name)) if !name.bytes.is_empty() => name,
            Some(_) => return false,
        };
        let (pointers, qualifiers) = around[..len].split_at(pointers);
        for word in qualifiers {
            out.extend_from_slice(word.as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(keyword.as_bytes());
        name.put(out);
        for &word in pointers.iter().rev() {
            if word != "*" || !out.ends_with(b"*") {
                out.push(b' ');
            }
            out.extend_from_slice(word.as_bytes());
        }
        true
    }

    /// A type without a name.
    pub(super) fn type_text(&mut self, id: TypeId) -> Vec<u8> {
        let mut out = Vec::new();
        self.put_type(&mut out, id);
        out
    }

    /// Appends the declaration of `name`.
    pub(super) fn put_declaration(&mut self, out: &mut Vec<u8>, id: TypeId, name: Name<'_>) {
        if self.put_plain(out, id) {
            if !out.ends_with(b"*") && !name.bytes.is_empty() {
                out.push(b' ');
            }
            return name.put(out);
        }
        let mut text = std::mem::take(&mut self.buffer);
        text.clear();
        let mut left = id;
        let mut around = None;
        if self.speller.has_declarator(id) {
            let declaration = self.speller.unwind(id, name.bytes, false);
            text.extend_from_slice(&declaration.qualifiers);
            left = declaration.left;
            around = Some(declaration.declarator);
        }
        // Where nothing stands around the name the type is written as one, with its qualifiers.
        let declarator = around.as_deref().unwrap_or(name.bytes);
        self.speller.put_name(&mut text, left);
        if !text.ends_with(b"*") && !declarator.is_empty() {
            text.push(b' ');
        }
        text.extend_from_slice(declarator);
        put_tidy(out, &text);
        self.buffer = text;
    }

    /// Appends the declaration of a member, without its width.
    pub(super) fn put_member(&mut self, out: &mut Vec<u8>, leaf: &Leaf, prefixes: &Prefixes) {
        if !leaf.is_nested() {
            let name = self.name(leaf.name());
            return self.put_declaration(out, leaf.ty, name);
        }
        let mut whole = std::mem::take(&mut self.member);
        whole.clear();
        prefixes.put_name(self.side, leaf, &mut whole);
        self.put_declaration(out, leaf.ty, Name::whole(&whole));
        self.member = whole;
    }

    /// Appends a function's prototype.
    pub(super) fn put_prototype(
        &mut self,
        out: &mut Vec<u8>,
        name: Name<'_>,
        proto: &FuncProto<'_>,
    ) {
        self.put_declaration(out, proto.result, name);
        out.push(b'(');
        if proto.is_empty() {
            out.extend_from_slice(b"void");
        }
        for (index, param) in proto.params().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            if param.is_variadic() {
                out.extend_from_slice(b"...");
            } else {
                let name = self.name(param.name);
                self.put_declaration(out, param.ty, name);
            }
        }
        out.push(b')');
    }

    /// Appends an item as it is declared: `struct s`, `int f(void)`, `typedef int t`.
    pub(super) fn put_item(&mut self, out: &mut Vec<u8>, id: TypeId) {
        let ty = self.side.ty(id);
        let name = self.name(ty.name());
        if let Type::Func { proto, .. } = ty
            && let Type::FuncProto(proto) = self.side.ty(proto)
        {
            self.put_prototype(out, name, &proto);
        } else if let Type::Var { target, .. } = ty {
            self.put_declaration(out, target, name);
        } else if let Type::Typedef { target, .. } = ty {
            out.extend_from_slice(b"typedef ");
            self.put_declaration(out, target, name);
        } else {
            self.put_title(out, id);
        }
    }

    /// Appends what an item is called: `struct s`, `f`, `t`; what has no name is called by what is in it.
    pub(super) fn put_title(&mut self, out: &mut Vec<u8>, id: TypeId) {
        const SHOWN: usize = 3;
        let ty = self.side.ty(id);
        out.extend_from_slice(crate::layout::spell::keyword(ty).as_bytes());
        let name = self.name(ty.name());
        name.put(out);
        if !name.bytes.is_empty() {
            return;
        }
        let mut inside: Vec<StrOffset> = Vec::new();
        if let Type::Struct(composite) | Type::Union(composite) = ty {
            let members = composite.members().map(|member| member.name);
            inside.extend(members.take(SHOWN + 1));
        } else if let Type::Enum(values) | Type::Enum64(values) = ty {
            let names = values.enumerators().map(|value| value.name);
            inside.extend(names.take(SHOWN + 1));
        }
        out.push(b'{');
        for (index, name) in inside.into_iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            if index == SHOWN {
                out.extend_from_slice("…".as_bytes());
            } else {
                self.name(name).put(out);
            }
        }
        out.push(b'}');
    }
}

/// Appends a type as people write it: pahole's way has spaces between stars, two behind qualifiers, and one at the end. A qualifier
/// stands once, though compilers describe an array of constants as a constant array of constants.
fn put_tidy(out: &mut Vec<u8>, text: &[u8]) {
    let text = text.strip_suffix(b" ").unwrap_or(text);
    let (mut start, mut last) = (0, &b""[..]);
    for space in memchr::memchr_iter(b' ', text) {
        let word = text.get(start..space).unwrap_or_default();
        start = space + 1;
        if word == last && matches!(word, b"const" | b"volatile") {
            continue;
        }
        if !word.is_empty() {
            last = word;
        }
        out.extend_from_slice(word);
        let next = text.get(start);
        let is_before = matches!(next, Some(b' ' | b',' | b')'));
        let is_between = next == Some(&b'*') && out.ends_with(b"*");
        if !is_before && !is_between {
            out.push(b' ');
        }
    }
    out.extend_from_slice(text.get(start..).unwrap_or_default());
}

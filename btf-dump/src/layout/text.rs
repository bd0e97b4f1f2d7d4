//! Prints structures, unions, enumerations and typedefs as pahole 1.32 does (`pahole -F btf`), to the letter, with these
//! exceptions, where its text loses something or says something else than the type:
//!
//! | type | pahole | here |
//! |---|---|---|
//! | pointer to an array | `char * p` | `char (*p)[4]` |
//! | array of pointers to functions | `void (*f)(int)[2]` | `void (*f[2])(int)` |
//! | function that returns a pointer to a function | `int ()(char) * (*f)(int)` | `int (*(*f)(int))(char)` |
//! | function without a prototype | `int (*f)(void)` | `int (*f)(...)` |
//! | qualified pointer to a function | `const void (*f)(int)` | `void (*const f)(int)` |
//! | qualified pointer | `const struct s * p` | `struct s * const p` |
//! | qualified unnamed structure | no name, with sums inside | as others |
//! | array of aligned structures | `} a __attribute__((__aligned__(64)))[2]` | `} __attribute__((__aligned__(64))) a[2]` |
//! | inside of what an unnamed pointer points to | offsets from 0 at each level | offsets from its start |
//! | union whose size needs more than its members | nothing | `__attribute__((__aligned__(N)))` |
//! | enumeration of 8 bytes | `__attribute__((__packed__))` | nothing |
//! | array of several dimensions, if BTF nests arrays inwards | `a[8][4]` | `a[4][8]` |
//! | floating-point number | `single float` | `float` |
//! | pointer, if BTF has no type `long` | size 0 | size 8, or what `--pointer-size` says |
//! | structure that is not packed | `packed`, depending on what was printed before | nothing |
//! | sizes that do not add up | `BRAIN FART ALERT!` | nothing, see [`Layouts`] |
//! | structures of the same name and size | the first | all |
//!
//! In Debian's kernels 6.1 and 7.2 fewer than one structure in 300 is concerned; a test counts them.
//!
//! Like pahole, it tells holes of a member's structure only if the member is declared with `struct`, not with a typedef.

mod composite;
mod number;
mod stats;

use btf_core::TypeId;
use btf_core::types::Type;

use super::spell::Speller;
use super::{Layout, Layouts, MemberLayout};
use number::{pad, put_padded};

/// How deep structures may be nested; C compilers stop far earlier than at a machine's stack.
const MAX_NESTING: usize = 64;

/// How many bytes nested types may take, and how many more for each word of BTF. Everything in vmlinux expanded takes 25 for
/// each; structures that contain the next one twice would take all memory.
const MIN_BUDGET: usize = 1 << 20;
const BUDGET: usize = 256;

/// The width of the column of types, and of that of names, in characters.
const TYPE_WIDTH: isize = 26;
const NAME_WIDTH: usize = 23;
/// Names are narrower in a union.
const NARROW_NAME_WIDTH: usize = 21;
/// They are wider where types are expanded, as lines are longer.
const EXPANDED_NAME_WIDTH: usize = 55;
/// What each level of nesting takes off the column of types.
const TAB: isize = 8;

/// What to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Offsets and sizes in hexadecimal (pahole's `--hex`).
    pub hex: bool,
    /// The members of structures and unions in place of their names, and what typedefs stand for (pahole's `-E`).
    pub expand: bool,
}

/// Prints the types of one BTF.
#[derive(Debug)]
pub struct Writer<'l, 'b> {
    layouts: &'l Layouts<'b>,
    spell: Speller<'b>,
    options: Options,
    /// The last cache line whose start has been told.
    cacheline: u64,
    /// How many more bytes nested types may take.
    budget: usize,
}

/// Where a structure is printed.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The number of tabs in front of its members.
    indent: usize,
    /// Below 0 in deep nests. C's `printf`, to which pahole passes it, then takes it as a width of its own.
    type_width: isize,
    name_width: usize,
    /// Where it starts in what is printed as a whole, in bytes.
    base: u64,
    /// Whether a union is around it.
    in_union: bool,
}

impl Place {
    const TOP: Self = Self {
        indent: 1,
        type_width: TYPE_WIDTH,
        name_width: NAME_WIDTH,
        base: 0,
        in_union: false,
    };

    /// Where comments start, in characters behind the tabs; below 0 where structures are nested deep.
    fn comment_column(self) -> isize {
        self.type_width.saturating_add_unsigned(self.name_width)
    }

    /// The place of a structure that is printed within this one, `levels` narrower.
    fn inner(self, base: u64, levels: isize) -> Self {
        Self {
            indent: self.indent + 1,
            type_width: self.type_width - levels * TAB,
            base,
            ..self
        }
    }
}

impl<'l, 'b> Writer<'l, 'b> {
    /// A writer for the types that `layouts` has.
    #[must_use]
    pub fn new(layouts: &'l Layouts<'b>, options: Options) -> Self {
        Self {
            layouts,
            spell: Speller::new(layouts.btf()),
            options,
            cacheline: 0,
            budget: MIN_BUDGET.saturating_add(layouts.btf().words().len().saturating_mul(BUDGET)),
        }
    }

    /// Appends a structure, union, enumeration or typedef, with a newline at the end. Other types have no text.
    pub fn put(&mut self, out: &mut Vec<u8>, id: TypeId) {
        if let Some(layout) = self.layouts.get(id) {
            let members = self.layouts.members(layout);
            self.put_layout(out, layout, members);
        } else if let Type::Typedef { name, target } = self.spell.ty(id) {
            let name = self.spell.name(name);
            self.put_typedef(out, name, target);
        } else if matches!(self.spell.ty(id), Type::Enum(_) | Type::Enum64(_)) {
            self.put_enumeration(out, id, 1);
        } else {
            return;
        }
        out.extend_from_slice(b";\n");
    }

    /// Appends a structure or union, whose members may be others than BTF says, up to its last attribute.
    pub fn put_layout(&mut self, out: &mut Vec<u8>, layout: &Layout, members: &[MemberLayout]) {
        self.cacheline = 0;
        let place = Place {
            name_width: self.name_width(layout.is_union),
            ..Place::TOP
        };
        self.put_composite(out, layout, members, place, true);
        Self::put_alignment(out, layout.forced_alignment);
    }

    /// Whether nested types have been left out because the text got too long, as only hostile BTF lets it.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.budget == 0
    }

    fn name_width(&self, is_narrow: bool) -> usize {
        match is_narrow {
            _ if self.options.expand => EXPANDED_NAME_WIDTH,
            true => NARROW_NAME_WIDTH,
            false => NAME_WIDTH,
        }
    }

    /// Appends a typedef, with the members of what has no name of its own.
    fn put_typedef(&mut self, out: &mut Vec<u8>, name: &[u8], target: TypeId) {
        self.cacheline = 0;
        let declaration = self.spell.unwind(target, name, false);
        out.extend_from_slice(b"typedef ");
        let start = out.len();
        out.extend_from_slice(&declaration.qualifiers);
        if let Some((id, pointer)) = self.nested(&declaration, Place::TOP) {
            let place = Place {
                type_width: TYPE_WIDTH - TAB,
                name_width: self.name_width(false),
                ..Place::TOP
            };
            if let Some(layout) = self.layouts.get(id) {
                let members = self.layouts.members(layout);
                self.put_composite(out, layout, members, place, true);
                Self::put_alignment(out, layout.forced_alignment);
            } else {
                self.put_enumeration(out, id, place.indent);
            }
            out.extend_from_slice(pointer);
        } else {
            self.spell.put_name(out, declaration.left);
            if declaration.has_array {
                pad(out, start, TYPE_WIDTH.unsigned_abs());
            }
        }
        out.push(b' ');
        out.extend_from_slice(&declaration.declarator);
    }

    /// Appends ` __attribute__((__aligned__(N)))`, if there is an alignment.
    fn put_alignment(out: &mut Vec<u8>, alignment: u32) {
        if alignment != 0 {
            out.extend_from_slice(b" __attribute__((__aligned__(");
            put_padded(out, alignment.into(), 0);
            out.extend_from_slice(b")))");
        }
    }
}

//! The rules that `validate` checks, from one table, and what it says about a broken one.
//!
//! To add a rule, add a row with the lowest level at which it counts, and report it where it is checked.

use crate::ids::TypeId;

/// From which profile on a rule counts; each level includes the former.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Whatever breaks it is no BTF.
    Format,
    /// Any kernel refuses it, for itself, its modules and its users.
    Kernel,
    /// The kernel refuses it from users, whose types it resolves fully.
    User,
}

/// Declares [`Rule`] with its names, levels and sentences from one list of rows.
macro_rules! rules {
    ($($variant:ident, $name:literal, $level:ident, $text:literal;)*) => {
        /// A rule of the format or of the kernel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule { $(#[doc = concat!("`", $name, "`: ", $text, ".")] $variant,)* }

        impl Rule {
            /// All rules.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The rule's name in lower case with hyphens, which never changes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is wrong where the rule is broken, without the offending value.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            pub(crate) const fn level(self) -> Level {
                match self { $(Self::$variant => Level::$level,)* }
            }
        }
    };
}

rules! {
    SectionGap, "section-gap", Kernel, "the sections do not fill the blob without gaps";
    LayoutMismatch, "layout-mismatch", Format, "the layout section contradicts the format for a kind";
    BaseNotAllowed, "base-not-allowed", User, "a user's BTF has a base";
    BlobSize, "blob-size", User, "the blob is larger than 16 MiB";
    NoTypes, "no-types", User, "there are no types";
    UnknownKind, "unknown-kind", Kernel, "the kind is not known";
    TypeIdRange, "type-id-range", Format, "the type id does not exist";
    TypeIdLimit, "type-id-limit", Kernel, "the type id is larger than 0xfffff";
    NameRange, "name-range", Format, "the name's offset does not exist";
    NameLimit, "name-limit", Kernel, "the name's offset is larger than 0xffffff";
    NameForbidden, "name-forbidden", Format, "the kind has no name, but a name's offset is there";
    NameMissing, "name-missing", Format, "a name is missing";
    NameInvalid, "name-invalid", Kernel, "the name, of this offset, is no identifier of at most 512 bytes";
    SectionName, "section-name", Kernel, "the section's name, of this offset, has unprintable bytes or more than 512";
    VlenUnused, "vlen-unused", Format, "the kind has no elements, but `vlen` is not 0";
    KindFlagUnused, "kind-flag-unused", Format, "`kind_flag` is set, which means nothing for this kind";
    WordUnused, "word-unused", Format, "an unused word is not 0";
    IntBits, "int-bits", Format, "the integer's bits do not fit its size or 128 bits";
    IntEncoding, "int-encoding", Kernel, "the integer's encoding is not one of none, signed, char and bool";
    EnumSize, "enum-size", Format, "the enumeration's size is not 1, 2, 4 or 8";
    FloatSize, "float-size", Format, "the size is not 2, 4, 8, 12 or 16";
    MemberOrder, "member-order", Kernel, "the member starts before the former one";
    MemberUnion, "member-union", Kernel, "the union's member does not start at 0";
    MemberOffset, "member-offset", Format, "the member starts behind the end of the structure";
    VoidTarget, "void-target", Format, "the type is `void`";
    TargetKind, "target-kind", Format, "the kind of this type id cannot be used here";
    FuncLinkage, "func-linkage", Format, "the function's linkage is not known";
    VarLinkage, "var-linkage", Format, "the variable's linkage is not known";
    ExternLinkage, "extern-linkage", Kernel, "the linkage is extern";
    DatasecSize, "datasec-size", Kernel, "the section's size is 0 or less than its variables' sizes";
    DatasecEntry, "datasec-entry", Kernel, "the variable overlaps the former one, is empty or ends behind the section";
    TagComponent, "tag-component", Format, "the declaration tag's component does not exist";
    Cycle, "cycle", Format, "the type contains itself";
    ModifierDepth, "modifier-depth", Kernel, "more than 32 modifiers follow each other";
    PointerCycle, "pointer-cycle", User, "the pointer leads back to itself";
    ResolveDepth, "resolve-depth", User, "types are nested more than 32 deep";
    Unsized, "unsized", User, "the type of this id has no size";
    ArrayElement, "array-element", User, "the array's element, of this type id, is a bitfield";
    ArrayIndex, "array-index", User, "the array's index, of this type id, is no regular integer";
    ArraySize, "array-size", User, "the array has 2^32 bytes or more";
    MemberPlace, "member-place", User, "the member, which starts at this bit, is misaligned or ends behind the structure";
    MemberBitfield, "member-bitfield", User, "the bitfield's number of bits does not fit its type";
    ParamVariadic, "param-variadic", User, "the parameter without a type is not a nameless last one";
    ParamName, "param-name", User, "a function's parameter has no name";
    DatasecVariable, "datasec-variable", User, "the entry is no variable or smaller than it";
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A place where a rule is broken.
///
/// It is small, because hostile BTF can break several rules with every word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The type.
    pub type_id: Option<TypeId>,
    /// The byte offset in the blob.
    pub offset: Option<u64>,
    /// The offending value, as the rule's text calls it.
    pub value: u64,
}

impl Finding {
    /// What is wrong, with the offending value, on one line.
    #[must_use]
    pub fn message(&self) -> String {
        self.to_string()
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(offset) = self.offset {
            write!(f, "{}+{offset:#x}: ", crate::reader::SECTION)?;
        }
        if let Some(id) = self.type_id {
            write!(f, "type {id}: ")?;
        }
        write!(
            f,
            "{}: {:#x} [{}]",
            self.rule.text(),
            self.value,
            self.rule.name()
        )
    }
}

//! The rules that `validate` checks, from one table, and what it says about a broken one.
//!
//! To add a rule, add a row that says who enforces it, and report it where it is checked.

use super::target::{Profile, Target};
use crate::ids::TypeId;

/// Who enforces a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcer {
    /// The kernel, from everybody: for itself, its modules and its users.
    Kernel,
    /// The kernel, but from users only, whose types it resolves fully.
    User,
    /// Tools trip over it; no kernel looks.
    Tools,
}

/// How bad it is that a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The BTF is refused.
    Fault,
    /// The BTF is taken, and somebody trips over it.
    Warning,
}

impl Severity {
    /// The severity as a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Warning => "warning",
        }
    }
}

/// Whether a broken rule makes the BTF worse for any tool; the kernel demands more than the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The format's documentation demands it.
    Format,
    /// Only the kernel, or the way to it, demands it.
    Own,
}

/// Declares [`Rule`] with its names, enforcers and sentences from one list of rows.
macro_rules! rules {
    ($($variant:ident, $name:literal, $enforcer:ident, $scope:ident, $text:literal;)*) => {
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

            /// Who enforces the rule.
            #[must_use]
            pub const fn enforcer(self) -> Enforcer {
                match self { $(Self::$variant => Enforcer::$enforcer,)* }
            }

            const fn scope(self) -> Scope {
                match self { $(Self::$variant => Scope::$scope,)* }
            }
        }
    };
}

rules! {
    HeaderCut, "header-cut", Kernel, Format, "the blob ends inside its header";
    HeaderMagic, "header-magic", Kernel, Format, "the magic number is not that of BTF";
    HeaderVersion, "header-version", Kernel, Format, "the version is not 1";
    HeaderFlags, "header-flags", Kernel, Format, "the header's flags are not 0";
    HeaderLength, "header-length", Kernel, Format, "the header is shorter than 24 bytes";
    HeaderUnknown, "header-unknown", Kernel, Format, "the header says more than the kernel knows";
    NoData, "no-data", Kernel, Format, "there is nothing behind the header";
    SectionOutside, "section-outside", Kernel, Format, "a section ends behind the blob, which may have been cut off; bytes that are missing";
    SectionOverlap, "section-overlap", Kernel, Format, "a section starts inside another one";
    SectionGap, "section-gap", Kernel, Own, "the sections do not fill the blob without gaps";
    SectionAlignment, "section-alignment", Kernel, Format, "a section is not aligned to 4 bytes";
    StringsLast, "strings-last", Kernel, Own, "the strings are not at the end of the blob";
    StringsEmpty, "strings-empty", Kernel, Format, "there are no strings, not even the empty one";
    StringsStart, "strings-start", Kernel, Format, "the first string is not the empty one, as in split BTF without its base";
    StringsEnd, "strings-end", Kernel, Format, "the last string does not end";
    StringsLimit, "strings-limit", Kernel, Own, "the strings have more than 16 MiB";
    LayoutPlace, "layout-place", User, Format, "the layout section is not aligned to 4 bytes, or not a whole number of entries";
    LayoutMismatch, "layout-mismatch", Tools, Format, "the layout section contradicts the format for a kind";
    Pasted, "pasted", Kernel, Own, "several blobs are pasted into one section, of which this is not the only one";
    BaseNotAllowed, "base-not-allowed", User, Own, "a user's BTF has a base";
    BaseInexact, "base-inexact", Tools, Own, "names start inside those of the base, which is hardly the right one";
    BlobSize, "blob-size", User, Own, "the blob is larger than 16 MiB";
    NoTypes, "no-types", User, Own, "there are no types";
    TypeCount, "type-count", Tools, Own, "there are more than 1,048,575 types, and the kernel drops the rest";
    Unsorted, "unsorted", Tools, Own, "from here on the types are not in the order of their names, by which kernels since 7.0 search; before it stands the type of this id";
    RecordCut, "record-cut", Kernel, Format, "the record ends behind the type section";
    InfoReserved, "info-reserved", Kernel, Own, "`vlen` is above 65535 or the kind above 31, which kernels before 7.2 do not know";
    UnknownKind, "unknown-kind", Kernel, Own, "the kind is not known";
    TypeIdRange, "type-id-range", User, Format, "the type id does not exist";
    TypeIdLimit, "type-id-limit", Kernel, Own, "the type id is larger than 0xfffff";
    NameRange, "name-range", Kernel, Format, "the name's offset does not exist";
    NameLimit, "name-limit", Kernel, Own, "the name's offset is larger than 0xffffff";
    NameForbidden, "name-forbidden", Kernel, Format, "the kind has no name, but a name's offset is there";
    NameMissing, "name-missing", Kernel, Format, "a name is missing";
    NameInvalid, "name-invalid", Kernel, Own, "the name, of this offset, is no identifier of at most 512 bytes";
    SectionName, "section-name", Kernel, Own, "the section's name, of this offset, has bytes that the kernel does not take, or more than 512";
    VlenUnused, "vlen-unused", Kernel, Format, "the kind has no elements, but `vlen` is not 0";
    KindFlagUnused, "kind-flag-unused", Kernel, Format, "`kind_flag` is set, which means nothing for this kind";
    KindFlagTag, "kind-flag-tag", Kernel, Own, "`kind_flag` is set on a tag, which kernels before 6.15 refuse";
    WordUnused, "word-unused", Kernel, Format, "an unused word is not 0";
    IntBits, "int-bits", Kernel, Format, "the integer's bits do not fit its size or 128 bits";
    IntEncoding, "int-encoding", Kernel, Own, "the integer's encoding is not one of none, signed, char and bool";
    EnumSize, "enum-size", Kernel, Format, "the enumeration's size is not 1, 2, 4 or 8";
    FloatSize, "float-size", Kernel, Format, "the size is not 2, 4, 8, 12 or 16";
    MemberOrder, "member-order", Kernel, Own, "the member starts before the former one";
    MemberUnion, "member-union", Kernel, Own, "the union's member does not start at 0";
    MemberOffset, "member-offset", Kernel, Format, "the member starts behind the end of the structure";
    VoidTarget, "void-target", Kernel, Format, "the type is `void`";
    TargetKind, "target-kind", User, Format, "the kind of this type id cannot be used here";
    FuncLinkage, "func-linkage", Kernel, Format, "the function's linkage is not known";
    VarLinkage, "var-linkage", Kernel, Format, "the variable's linkage is not known";
    ExternLinkage, "extern-linkage", Kernel, Own, "the linkage is extern";
    DatasecSize, "datasec-size", Kernel, Own, "the section's size is 0 or less than its variables' sizes";
    DatasecEntry, "datasec-entry", Kernel, Own, "the variable overlaps the former one, is empty or ends behind the section";
    TagComponent, "tag-component", User, Format, "the declaration tag's component does not exist";
    TagIndex, "tag-index", Kernel, Format, "the declaration tag's component is below -1";
    TagOrder, "tag-order", Kernel, Own, "a type tag stands behind another modifier, which kernels before 7.2 refuse";
    ModifierDepth, "modifier-depth", Kernel, Own, "more than 32 modifiers follow each other before one that the kernel has seen";
    ModifierEnd, "modifier-end", Kernel, Format, "a modifier leads to a type id that does not exist";
    Cycle, "cycle", User, Format, "the type contains itself";
    PointerCycle, "pointer-cycle", User, Own, "the pointer leads back to itself";
    ResolveDepth, "resolve-depth", User, Own, "types are nested more than 32 deep";
    Unsized, "unsized", User, Own, "the type of this id has no size";
    ArrayElement, "array-element", User, Own, "the array's element, of this type id, is a bitfield";
    ArrayIndex, "array-index", User, Own, "the array's index, of this type id, is no regular integer";
    ArraySize, "array-size", User, Own, "the array has 2^32 bytes or more";
    MemberPlace, "member-place", User, Own, "the member, which starts at this bit, is misaligned or ends behind the structure";
    MemberBitfield, "member-bitfield", User, Own, "the bitfield's number of bits does not fit its type";
    ParamVariadic, "param-variadic", User, Own, "the parameter without a type is not a nameless last one";
    ParamName, "param-name", User, Own, "a function's parameter has no name";
    ParamNameInvalid, "param-name-invalid", User, Own, "the parameter's name, of this offset, is no identifier of at most 512 bytes";
    DatasecVariable, "datasec-variable", User, Own, "the entry is no variable or smaller than it";
    SpecialBit, "special-bit", User, Own, "the member, of this type id, of a structure with special fields does not start at a byte";
    SpecialPlace, "special-place", User, Own, "no special field of the structure has the size and alignment of its kind";
    SpecialOverlap, "special-overlap", User, Own, "the special field, of this type id, overlaps the former one";
    SpecialTwice, "special-twice", User, Own, "the structure has a second lock or reference counter, of this type id";
    SpecialRepeat, "special-repeat", User, Own, "an array repeats special fields of which a structure has one, in this type id";
    SpecialCount, "special-count", User, Own, "with this type id, the structure has more than 11 special fields";
    SpecialNesting, "special-nesting", User, Own, "structures or arrays are nested 32 deep behind this type id, where special fields are looked for";
    LockKinds, "lock-kinds", User, Own, "the structure, of this type id, has both kinds of locks";
    KptrTag, "kptr-tag", User, Own, "the pointer, of this type id, has a tag in a structure with special fields, but does not come to a kptr";
    KptrDestructor, "kptr-destructor", Tools, Own, "if the kernel has a structure of the same name and kind as this type id, it must have a destructor";
    GraphContains, "graph-contains", User, Own, "the list or tree, of this type id, has no single tag `contains:STRUCT:MEMBER`";
    GraphNode, "graph-node", User, Own, "what the list or tree, of this type id, contains is no structure with such a node";
    GraphLock, "graph-lock", User, Own, "the list or tree, of this type id, has no lock beside it";
    NodeRefcount, "node-refcount", User, Own, "the structure, of this type id, is a node of lists and of trees, but has no reference counter";
    OwnershipRoot, "ownership-root", User, Own, "the structure, of this type id, is a node and contains others with lists or trees, which kernels before 7.2 refuse";
    OwnershipDepth, "ownership-depth", User, Own, "the structure, of this type id, owns itself, or others more than eight deep";
    ExtFormat, "ext-format", User, Format, "the section cannot be read from here on";
    ExtEmpty, "ext-empty", Tools, Own, "there is nothing behind the header, and libbpf ignores the section";
    ExtInstruction, "ext-instruction", User, Format, "the offset is not that of an instruction, or not behind the former one";
    ExtStart, "ext-start", User, Own, "the first function does not start where its section does";
    ExtString, "ext-string", User, Format, "the string's offset does not exist";
    ExtFunction, "ext-function", User, Format, "the type of this id is no function";
    ExtType, "ext-type", User, Format, "the type id does not exist";
    ExtKind, "ext-kind", User, Format, "the kind of the relocation is not known";
    ExtAccess, "ext-access", User, Format, "the access, at this string's offset, does not lead through the type";
}

impl Rule {
    /// The section whose offsets findings of this rule have.
    #[must_use]
    pub fn section(self) -> &'static str {
        if self.name().starts_with("ext-") {
            crate::ext::SECTION
        } else {
            crate::reader::SECTION
        }
    }

    /// Whether the offending value is a type id.
    #[must_use]
    pub fn is_about_id(self) -> bool {
        matches!(
            self,
            Self::Unsorted
                | Self::TypeIdRange
                | Self::TypeIdLimit
                | Self::TargetKind
                | Self::ModifierEnd
                | Self::Unsized
                | Self::ArrayElement
                | Self::ArrayIndex
                | Self::SpecialBit
                | Self::SpecialOverlap
                | Self::SpecialTwice
                | Self::SpecialRepeat
                | Self::SpecialCount
                | Self::SpecialNesting
                | Self::LockKinds
                | Self::KptrTag
                | Self::KptrDestructor
                | Self::GraphContains
                | Self::GraphNode
                | Self::GraphLock
                | Self::NodeRefcount
                | Self::OwnershipRoot
                | Self::OwnershipDepth
                | Self::ExtFunction
                | Self::ExtType
        )
    }

    /// How bad it is for `target` that the rule is broken where its enforcer looks; `None` if it does not matter.
    pub(super) fn severity(self, target: Target) -> Option<Severity> {
        let is_format = self.scope() == Scope::Format;
        match (target.profile, self.enforcer()) {
            (Profile::Structural, _) => is_format.then_some(Severity::Fault),
            _ if target.is_object && self.is_filled_in() => None,
            (_, Enforcer::Kernel) | (Profile::User, Enforcer::User) => Some(Severity::Fault),
            (_, Enforcer::User) => is_format.then_some(Severity::Warning),
            (_, Enforcer::Tools) => Some(Severity::Warning),
        }
    }

    /// How bad it is for `target` where no kernel looks, or sees it otherwise.
    pub(super) fn severity_for_tools(self, target: Target) -> Option<Severity> {
        match self.severity(target) {
            Some(Severity::Fault) if target.is_kernel() => Some(Severity::Warning),
            severity => severity,
        }
    }

    /// Whether libbpf mends it in the BTF of a compiled object.
    const fn is_filled_in(self) -> bool {
        matches!(
            self,
            Self::DatasecSize | Self::DatasecEntry | Self::DatasecVariable | Self::ExternLinkage
        )
    }
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
    /// How bad it is.
    pub severity: Severity,
    /// The type.
    pub type_id: Option<TypeId>,
    /// The byte offset in the blob.
    pub offset: Option<u64>,
    /// The offending value, as the rule's text calls it.
    pub value: u64,
}

impl Finding {
    /// A finding about the blob as a whole, if it matters for `target`.
    #[must_use]
    pub fn about_blob(rule: Rule, target: Target, value: u64) -> Option<Self> {
        let severity = rule.severity(target)?;
        Some(Self {
            rule,
            severity,
            type_id: None,
            offset: None,
            value,
        })
    }

    /// What is wrong, with the offending value, on one line.
    #[must_use]
    pub fn message(&self) -> String {
        self.to_string()
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(offset) = self.offset {
            write!(f, "{}+{offset:#x}: ", self.rule.section())?;
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

//! Findings: what the input says that BTF cannot, or what is doubtful in it, without stopping the encoder.

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// A reference to a DIE that is no type, or to none at all; taken as `void`.
    DanglingReference,
    /// A basic type of a size that BTF has no INT for.
    OddBaseType,
    /// A complex or imaginary number; encoded as an array of its parts.
    Complex,
    /// A `_BitInt`, whose width in bits is lost.
    BitInt,
    /// An `_Atomic` qualifier, left out.
    Atomic,
    /// A C++ reference, encoded as a pointer.
    Reference,
    /// A C++ pointer to a member, encoded as a pointer.
    PointerToMember,
    /// A type that only a language other than C has, encoded as an empty structure of its size.
    ForeignType,
    /// A declaration without a name, encoded as an empty structure.
    AnonymousDeclaration,
    /// A typedef without a name, replaced by what it stands for.
    AnonymousTypedef,
    /// An enumerator without a name or value, left out.
    BadEnumerator,
    /// A member whose place cannot be said in BTF, left out.
    MemberPlace,
    /// A bitfield whose place cannot be said in BTF, put at the byte that it begins in.
    BitfieldPlace,
    /// More annotations on one declaration or type than anybody writes, or a cycle of them; left out.
    TooManyAnnotations,
    /// A member, element or variable of type `void`, given an empty structure instead.
    VoidMember,
    /// A C++ base class, encoded as a member without a name.
    Inheritance,
    /// The members of a Rust enumeration's variants, left out.
    VariantPart,
    /// A static member of a C++ class, left out.
    StaticMember,
    /// A size over 4 GiB, cut to that.
    TooLarge,
    /// An array bound that is not a constant; taken as 0.
    VariableBound,
    /// A unit that only names another file with the DWARF.
    SkeletonUnit,
    /// A unit whose functions have neither types nor parameters, which are left out.
    TerseUnit,
    /// A reference into a supplementary file (dwz), which is not read.
    SupplementaryFile,
    /// A structure, union or enumeration with more members than BTF can say; those over the limit are left out.
    TooManyMembers,
}

impl FindingKind {
    /// What was found and what became of it, for people.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::DanglingReference => "reference to a DIE that is no type, taken as void",
            Self::OddBaseType => {
                "basic type of a size that BTF has no INT for, encoded as __SANITIZED_FAKE_INT__"
            }
            Self::Complex => "complex number, encoded as an array of its parts",
            Self::BitInt => "_BitInt, encoded as an integer of its size in bytes",
            Self::Atomic => "_Atomic qualifier, left out",
            Self::Reference => "reference type, encoded as a pointer",
            Self::PointerToMember => "pointer to a member, encoded as a pointer",
            Self::ForeignType => {
                "type that C does not have, encoded as an empty structure of its size"
            }
            Self::AnonymousDeclaration => {
                "declaration without a name, encoded as an empty structure"
            }
            Self::AnonymousTypedef => "typedef without a name, replaced by its target",
            Self::BadEnumerator => "enumerator without a name or a value of 64 bits, left out",
            Self::MemberPlace => "member whose place BTF cannot say, left out",
            Self::BitfieldPlace => {
                "bitfield whose place BTF cannot say, put at the byte that it begins in"
            }
            Self::TooManyAnnotations => "too many annotations or a cycle of them, left out",
            Self::VoidMember => {
                "member, element or variable of type void, given an empty structure"
            }
            Self::Inheritance => "base class, encoded as a member without a name",
            Self::VariantPart => "variants of an enumeration with data, left out",
            Self::StaticMember => "static member, left out",
            Self::TooLarge => "size over 4 GiB, cut",
            Self::VariableBound => "array bound that is not a constant, taken as 0",
            Self::SkeletonUnit => "unit whose DWARF is in another file, left out",
            Self::TerseUnit => {
                "unit without types and parameters (compiled with -g1), its functions left out"
            }
            Self::SupplementaryFile => "reference into a supplementary file, taken as void",
            Self::TooManyMembers => "more members than BTF can say, cut",
        }
    }
}

/// A finding and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The number of the unit, from 0, in the order of the input.
    pub unit: u32,
    /// The offset of the DIE in its section, in bytes.
    pub die_offset: u64,
    /// What was found.
    pub kind: FindingKind,
}

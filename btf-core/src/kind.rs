//! The kinds of BTF types and, for each, what its 32-bit words mean. One table serves every reader and writer.
//!
//! Every field of a BTF type record is a 32-bit word: three words of header (`name_off`, `info`, and a third word),
//! then `trailer` words once, then `element` words `vlen` times. To add a kind, add a row to [`TABLE`].
//!
//! Spec: Documentation/bpf/btf.rst, 2.2 "Type Encoding"; include/uapi/linux/btf.h of Linux 7.2.

/// What the third word of a type record's header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Third {
    /// Nothing; must be 0.
    Unused,
    /// A size in bytes.
    Size,
    /// A type id.
    Type,
    /// The id of a FUNC's prototype.
    Proto,
}

/// What a word behind the header of a type record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The offset of a name.
    Name,
    /// A type id.
    Type,
    /// A plain value: an offset, a size, an enumerator's value, …
    Value,
}

/// One row of [`TABLE`].
#[derive(Clone, Copy, Debug)]
pub struct KindInfo {
    /// The kind as the kernel's header spells it, without `BTF_KIND_`.
    pub name: &'static str,
    /// What the third header word holds.
    pub third: Third,
    /// The words that follow the header once.
    pub trailer: &'static [Word],
    /// The words of each of the `vlen` elements.
    pub element: &'static [Word],
    /// Whether `kind_flag` may be 1.
    pub has_kind_flag: bool,
}

use Word::{Name, Type, Value};

/// Declares [`Kind`] and [`TABLE`] from one list of rows.
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $third:ident, [$($trailer:ident),*], [$($element:ident),*], $flag:literal;)*) => {
        /// The kind of a BTF type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $variant = $number,)* }

        impl Kind {
            /// All kinds, in the order of their numbers, from 1.
            pub const ALL: [Self; 19] = [$(Self::$variant,)*];
        }

        /// What the words of each kind mean; row `number - 1` belongs to the kind `number`.
        pub const TABLE: [KindInfo; 19] = [$(KindInfo {
            name: $name, third: Third::$third, trailer: &[$($trailer),*], element: &[$($element),*], has_kind_flag: $flag,
        },)*];
    };
}

kinds! {
    /// An integer, `char` or `bool`.
    Int = 1, "INT", Size, [Value], [], false;
    /// A pointer.
    Ptr = 2, "PTR", Type, [], [], false;
    /// An array of one dimension.
    Array = 3, "ARRAY", Unused, [Type, Type, Value], [], false;
    /// A structure.
    Struct = 4, "STRUCT", Size, [], [Name, Type, Value], true;
    /// A union.
    Union = 5, "UNION", Size, [], [Name, Type, Value], true;
    /// An enumeration with values of 32 bits; without values it is a forward declaration.
    Enum = 6, "ENUM", Size, [], [Name, Value], true;
    /// A forward declaration of a structure or, with `kind_flag`, of a union.
    Fwd = 7, "FWD", Unused, [], [], true;
    /// A typedef.
    Typedef = 8, "TYPEDEF", Type, [], [], false;
    /// The `volatile` qualifier.
    Volatile = 9, "VOLATILE", Type, [], [], false;
    /// The `const` qualifier.
    Const = 10, "CONST", Type, [], [], false;
    /// The `restrict` qualifier.
    Restrict = 11, "RESTRICT", Type, [], [], false;
    /// A function; `vlen` holds its linkage.
    Func = 12, "FUNC", Proto, [], [], false;
    /// A function prototype.
    FuncProto = 13, "FUNC_PROTO", Type, [], [Name, Type], false;
    /// A variable; its trailer word is the linkage.
    Var = 14, "VAR", Type, [Value], [], false;
    /// A section with its variables.
    Datasec = 15, "DATASEC", Size, [], [Type, Value, Value], false;
    /// A floating-point number.
    Float = 16, "FLOAT", Size, [], [], false;
    /// A tag on a declaration; its trailer word is the component index.
    DeclTag = 17, "DECL_TAG", Type, [Value], [], true;
    /// A tag on a type.
    TypeTag = 18, "TYPE_TAG", Type, [], [], true;
    /// An enumeration with values of 64 bits.
    Enum64 = 19, "ENUM64", Size, [], [Name, Value, Value], true;
}

/// How many numbers of kinds a lookup in a table without a question takes: the next power of two.
pub(crate) const NUMBERS: usize = (TABLE.len() + 1).next_power_of_two();

/// For each kind, by its number, how many words a record has without its elements, and each element: [`TABLE`] in a
/// form that is quick to look up, since that is asked of every record. Of what is no kind none.
const RECORD_WORDS: [(u8, u8); NUMBERS] = {
    let mut words = [(0, 0); NUMBERS];
    let mut index = 0;
    while index < TABLE.len() {
        let KindInfo {
            trailer, element, ..
        } = TABLE[index];
        #[expect(clippy::cast_possible_truncation, reason = "a handful of words")]
        let row = (3 + trailer.len() as u8, element.len() as u8);
        words[index + 1] = row;
        index += 1;
    }
    words
};

/// The length of a record of the kind of this number in 32-bit words, its header included; `None` if there is no such kind.
#[inline]
pub(crate) const fn record_words(number: u32, vlen: u32) -> Option<usize> {
    let (fixed, each) = RECORD_WORDS[number as usize % NUMBERS];
    if fixed == 0 || number as usize >= NUMBERS {
        return None;
    }
    Some(fixed as usize + each as usize * vlen as usize)
}

impl Kind {
    /// The kind of this number, if it is one that this library knows.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        if number >= 1 && number <= 19 {
            Some(Self::ALL[number as usize - 1])
        } else {
            None
        }
    }

    /// The kind's row of [`TABLE`].
    #[must_use]
    pub const fn info(self) -> &'static KindInfo {
        &TABLE[self as usize - 1]
    }

    /// The kind's name in capitals, as `bpftool btf dump` prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// The length of a record of this kind in 32-bit words, its header included.
    ///
    /// FUNC uses `vlen` for its linkage and has no elements, which the table's empty `element` expresses.
    #[must_use]
    pub const fn record_words(self, vlen: u32) -> usize {
        let (fixed, each) = RECORD_WORDS[self as usize];
        fixed as usize + each as usize * vlen as usize
    }

    /// Whether the third header word is a type id.
    #[must_use]
    pub const fn third_is_type(self) -> bool {
        matches!(self.info().third, Third::Type | Third::Proto)
    }

    /// Whether this is a modifier, which the kernel skips when it looks for a type's size.
    #[must_use]
    pub const fn is_modifier(self) -> bool {
        matches!(
            self,
            Self::Typedef | Self::Volatile | Self::Const | Self::Restrict | Self::TypeTag
        )
    }

    /// Whether a type of this kind contains or modifies the types that it refers to.
    #[must_use]
    pub const fn contains(self) -> bool {
        self.is_modifier() || matches!(self, Self::Array | Self::Struct | Self::Union)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_rows_agree() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index + 1);
            assert_eq!(Kind::from_number(kind as u32), Some(kind));
        }
        assert_eq!(Kind::from_number(0), None);
        assert_eq!(Kind::from_number(20), None);
        assert_eq!(Kind::Struct.record_words(2), 9);
        assert_eq!(Kind::Func.record_words(2), 3);
    }
}

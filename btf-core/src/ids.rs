//! Newtypes for the numbers of BTF that must not be mixed up.

/// The number of a type: 0 is `void`, which is never stored; a base's ids come before those of its split BTF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

impl TypeId {
    /// The type `void`.
    pub const VOID: Self = Self(0);

    /// Whether this is `void`.
    #[must_use]
    pub const fn is_void(self) -> bool {
        self.0 == 0
    }
}

impl std::fmt::Display for TypeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}]", self.0)
    }
}

/// The byte offset of a NUL-terminated string, counted over the string sections of the base chain and then its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrOffset(pub u32);

impl StrOffset {
    /// The empty string, which is also "no name".
    pub const EMPTY: Self = Self(0);
}

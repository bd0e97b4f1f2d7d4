//! What can go wrong when BTF is read or built, and where.

use crate::ids::TypeId;

/// A result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this library, one pointer wide: what happened, and where.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    location: Location,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Where an error was found; every part is optional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The section, such as `.BTF`.
    pub section: Option<&'static str>,
    /// The offset in that section, in bytes.
    pub offset: Option<u64>,
    /// The type.
    pub type_id: Option<TypeId>,
}

/// What happened. Each variant holds the offending value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The blob does not start with BTF's magic number.
    Magic(u16),
    /// The blob ends before something that its header or a record promises.
    Truncated {
        /// The bytes that are needed.
        needed: u64,
        /// The bytes that are there.
        available: u64,
    },
    /// A part of the format has a value that it must not have.
    Invalid {
        /// What it is, as the format's documentation names it.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// A number is larger than the format or a named limit allows.
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The largest value that is allowed.
        limit: u64,
    },
    /// A type id that neither this BTF nor its base has.
    TypeIdOutOfRange(TypeId),
    /// A string offset that neither this BTF nor its base has.
    StringOutOfRange(u32),
    /// A type record of a kind that is not known and not described by a layout section.
    UnknownKind(u32),
    /// A cycle of types that no structure, union or pointer breaks.
    Cycle,
    /// An ELF file that cannot be used.
    Elf(String),
    /// The operating system refused something; the source of the error has its reason. Holds what was tried, as it
    /// stands behind "cannot".
    Io(&'static str),
    /// A compressed section that cannot be unpacked.
    Compressed(&'static str),
    /// Something valid that this library does not read.
    Unsupported(String),
    /// A relocation whose meaning is not known, on a value that is needed.
    Relocation {
        /// The machine as ELF numbers it (`e_machine`).
        machine: u16,
        /// The relocation's type, which has a meaning for that machine only.
        kind: u32,
    },
    /// Bytes that do not hold what they must hold; names what was expected.
    Malformed(&'static str),
    /// A file without DWARF.
    NoDebugInfo,
    /// DWARF of which nothing is described; says why.
    NoTypes(String),
    /// A type that contains itself by value; says which.
    ContainsItself(String),
    /// The input was written to while it was read.
    Changed,
    /// A type of one BTF that has no match in another; names it and says why.
    Mismatch(String),
    /// A base that the input cannot continue; says why.
    Base(String),
    /// A base whose contents are at fault, whatever continues it; the source of the error tells how.
    UnusableBase,
}

impl Error {
    /// An error of this kind, without a place.
    #[cold]
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner {
            kind,
            location: Location::default(),
            source: None,
        }))
    }

    /// Adds the section and the offset in it, in bytes.
    #[must_use]
    pub fn at(mut self, section: &'static str, offset: u64) -> Self {
        self.0.location.section = Some(section);
        self.0.location.offset = Some(offset);
        self
    }

    /// Adds the type.
    #[must_use]
    pub fn in_type(mut self, id: TypeId) -> Self {
        self.0.location.type_id = Some(id);
        self
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Where it happened.
    #[must_use]
    pub fn location(&self) -> Location {
        self.0.location
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl std::fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Magic(value) => write!(
                f,
                "not BTF: magic is {value:#06x}, expected 0xeb9f in either byte order"
            ),
            Self::Truncated { needed, available } => {
                write!(f, "truncated: {needed} bytes needed, {available} there")
            }
            Self::Invalid { what, value } => write!(f, "invalid {what}: {value:#x}"),
            Self::TooLarge { what, value, limit } => {
                write!(f, "{what} too large: {value}, the limit is {limit}")
            }
            Self::TypeIdOutOfRange(id) => write!(f, "no such type id: {}", id.0),
            Self::StringOutOfRange(offset) => write!(f, "no such string offset: {offset:#x}"),
            Self::UnknownKind(number) => write!(
                f,
                "unknown kind: {number}, and no layout section describes it"
            ),
            Self::NoDebugInfo => {
                f.write_str("no debug information: no section `.debug_info` with contents")
            }
            Self::ContainsItself(ty) => write!(f, "{ty} contains itself by value"),
            Self::NoTypes(why) => write!(f, "nothing to describe: {why}"),
            Self::Malformed(expected) => write!(f, "malformed: expected {expected}"),
            Self::Cycle => {
                f.write_str("types form a cycle that no structure, union or pointer breaks")
            }
            Self::Elf(text) | Self::Mismatch(text) => f.write_str(text),
            Self::Io(what) => write!(f, "cannot {what}"),
            Self::Compressed(text) => write!(f, "cannot unpack: {text}"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
            Self::Relocation { machine, kind } => {
                write!(
                    f,
                    "unknown relocation type: {kind} of ELF machine {machine}"
                )
            }
            Self::Changed => f.write_str("the file changed while it was read"),
            Self::Base(why) => write!(f, "not the right base: {why}"),
            Self::UnusableBase => f.write_str("not usable as a base"),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Location {
            section,
            offset,
            type_id,
        } = self.0.location;
        if let Some(section) = section {
            write!(f, "{section}")?;
            if let Some(offset) = offset {
                write!(f, "+{offset:#x}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(id) = type_id {
            write!(f, "type {id}: ")?;
        }
        write!(f, "{}", self.0.kind)
    }
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("location", &self.0.location)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

//! For whom BTF is checked: the profile, the kernel's version, and the one table of what changed between versions.
//!
//! To add a change of the kernel's rules, add a row to [`Change`] with the first version that has it, and ask
//! [`Target::has`] where the rule is checked.
//!
//! Spec: kernel/bpf/btf.c of Linux 6.1.192, 6.12.117 and 7.2.13, as Debian ships them, and of the versions between.

use std::fmt;
use std::str::FromStr;

/// For whom the BTF must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// Any tool: what the format itself demands.
    Structural,
    /// The kernel reading its own BTF at boot.
    Vmlinux,
    /// The kernel reading the BTF of a module.
    Module,
    /// The kernel loading BTF from a user (`BPF_BTF_LOAD`).
    User,
}

impl Profile {
    /// The profile's name as one types it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Structural => "structural",
            Self::Vmlinux => "vmlinux",
            Self::Module => "module",
            Self::User => "user",
        }
    }
}

/// A version of Linux, such as 6.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

impl KernelVersion {
    /// The oldest version whose rules are known.
    pub const OLDEST: Self = Self::new(6, 1);
    /// The newest version whose rules are known.
    pub const NEWEST: Self = Self::new(7, 2);

    /// The version `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// The version whose rules stand for those of this one: nobody knows those of versions to come.
    #[must_use]
    pub fn rules(self) -> Self {
        self.min(Self::NEWEST)
    }

    /// The versions from which on rules are others than before, from the oldest; each stands for those up to the next.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::OLDEST];
        all.extend(Change::ALL.iter().map(|change| change.since()));
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Text that is no version of Linux, or one before [`KernelVersion::OLDEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVersion;

impl fmt::Display for NoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected a version of Linux from {} on, such as {}",
            KernelVersion::OLDEST,
            KernelVersion::NEWEST
        )
    }
}

impl std::error::Error for NoVersion {}

impl FromStr for KernelVersion {
    type Err = NoVersion;

    /// Reads `6.12`, and `6.12.3-amd64` as well, whose rest says nothing about the rules.
    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let (major, rest) = text.split_once('.').ok_or(NoVersion)?;
        let end = rest.find(|c: char| !c.is_ascii_digit());
        let minor = end.map_or(Some(rest), |end| rest.get(..end));
        let number = |text: &str| text.parse().map_err(|_| NoVersion);
        let version = Self::new(number(major)?, number(minor.unwrap_or(rest))?);
        if version < Self::OLDEST {
            return Err(NoVersion);
        }
        Ok(version)
    }
}

/// Declares [`Change`] from the rows of one table.
macro_rules! changes {
    ($($variant:ident, $major:literal . $minor:literal, $text:literal;)*) => {
        /// A change of the kernel's rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Change { $(#[doc = concat!("Linux ", $major, ".", $minor, ": ", $text, ".")] $variant,)* }

        impl Change {
            /// All changes, the oldest first.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The first version that has it.
            #[must_use]
            pub const fn since(self) -> KernelVersion {
                match self { $(Self::$variant => KernelVersion::new($major, $minor),)* }
            }

            /// What it is, as a sentence without its full stop.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

changes! {
    StructTable, 6 . 2, "some structures with special fields are looked into when a user's BTF is loaded";
    OptionalSections, 6 . 9, "a section's name may start with `?`";
    AnySectionNames, 6 . 11, "a section's name may be any printable text";
    SpecialFields, 6 . 12, "special fields are found in nested structures and arrays, kptrs among them";
    UserPointers, 6 . 13, "pointers may have the type tag `uptr`";
    ResilientLocks, 6 . 15, "`bpf_res_spin_lock` is a special field";
    TagAttributes, 6 . 15, "tags may have `kind_flag`";
    ManyRefcounts, 6 . 18, "nobody looks whether a structure has a second `bpf_refcount`";
    SortedNames, 7 . 0, "types are looked up by binary search in the order of their names";
    Layout, 7 . 1, "the header may have 32 bytes and name a layout section";
    WideInfo, 7 . 2, "`vlen` has 24 bits and the kind 7, where 8 and 2 bits had to be 0";
    NestedLocks, 7 . 2, "of locks and `bpf_refcount` a structure may have one each, those of nested structures included";
    OwnershipDepth, 7 . 2, "structures with special fields may own each other up to eight deep, kptrs included";
    TagsAnywhere, 7 . 2, "type tags may stand behind other modifiers";
}

/// What BTF is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// For whom it must do.
    pub profile: Profile,
    /// The version of the kernel; without meaning for [`Profile::Structural`].
    pub kernel: KernelVersion,
    /// Whether this is the BTF of a compiled object, in which libbpf still fills in what only the linked program knows:
    /// the sizes and places of sections and variables, and what is extern.
    pub is_object: bool,
}

impl Target {
    /// That profile of that kernel.
    #[must_use]
    pub const fn new(profile: Profile, kernel: KernelVersion) -> Self {
        Self {
            profile,
            kernel,
            is_object: false,
        }
    }

    /// Whether the kernel's rules have the change.
    #[must_use]
    pub fn has(self, change: Change) -> bool {
        self.kernel >= change.since()
    }

    /// Whether the target is a kernel, not just any tool.
    pub(super) fn is_kernel(self) -> bool {
        self.profile != Profile::Structural
    }
}

/// The profile, for the newest kernel whose rules are known.
impl From<Profile> for Target {
    fn from(profile: Profile) -> Self {
        Self::new(profile, KernelVersion::NEWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let parse = |text: &str| text.parse::<KernelVersion>();
        assert_eq!(parse("6.12"), Ok(KernelVersion::new(6, 12)));
        assert_eq!(parse("7.2.13-1-amd64"), Ok(KernelVersion::new(7, 2)));
        assert_eq!(parse("6.18-rc3"), Ok(KernelVersion::new(6, 18)));
        for bad in ["", "6", "6.", ".1", "5.15", "6.0.9", "six.one", "6.x"] {
            assert_eq!(parse(bad), Err(NoVersion), "{bad}");
        }
        assert!(KernelVersion::new(6, 9) < KernelVersion::new(6, 10));
        assert_eq!(KernelVersion::new(8, 5).rules(), KernelVersion::NEWEST);
        assert_eq!(KernelVersion::new(6, 12).rules(), KernelVersion::new(6, 12));
    }

    #[test]
    fn changes_ascend_between_the_known_versions() {
        let all = KernelVersion::all();
        assert_eq!(all.first(), Some(&KernelVersion::OLDEST));
        assert_eq!(all.last(), Some(&KernelVersion::NEWEST));
        assert!(Change::ALL.is_sorted_by_key(|change| change.since()));
    }
}

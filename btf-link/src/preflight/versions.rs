//! What BTF may hold for which version of Linux.

use std::fmt;
use std::str::FromStr;

use btf_core::types::Type;
use btf_core::wire::MAX_VLEN_16;
use btf_core::{Btf, Info, Kind, TypeId};

/// A version of Linux, such as 6.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// The first that reads the BTF of modules.
    pub const MODULE_BTF: Self = Self(5, 11);
    /// The first that knows `.BTF.base`.
    pub const BASE: Self = Self(6, 11);
    /// The newest whose rules are known here.
    pub const NEWEST: Self = Self(7, 2);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Version {
    type Err = String;

    /// Reads the first two numbers, as in `6.12.118+deb13-amd64`.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a version such as 6.12".to_owned();
        let mut numbers = text.splitn(3, '.');
        let mut number = || {
            let text = numbers.next().ok_or_else(expected)?;
            let end = text.find(|c: char| !c.is_ascii_digit());
            let digits = text.get(..end.unwrap_or(text.len()));
            digits.unwrap_or_default().parse().map_err(|_| expected())
        };
        Ok(Self(number()?, number()?))
    }
}

/// The versions that first have a kind of type, for those that are younger than the BTF of modules.
const KINDS: [(Kind, Version); 4] = [
    (Kind::Float, Version(5, 13)),
    (Kind::DeclTag, Version(5, 16)),
    (Kind::TypeTag, Version(5, 17)),
    (Kind::Enum64, Version(6, 0)),
];

/// The versions that first take a `kind_flag` of 1 in types of a kind.
const FLAGS: [(Kind, Version); 3] = [
    (Kind::Enum, Version(6, 0)),
    (Kind::DeclTag, Version(6, 15)),
    (Kind::TypeTag, Version(6, 15)),
];

/// The version in the row of a kind.
fn since(table: &[(Kind, Version)], kind: Kind) -> Version {
    let row = table.iter().find(|(other, _)| *other == kind);
    row.map_or(Version::MODULE_BTF, |&(_, version)| version)
}

/// The last version that refuses a type tag behind a qualifier or typedef.
const TAGS_FIRST: Version = Version(6, 12);

/// As far as chains of modifiers are followed.
const CHAIN: usize = 32;

/// What BTF holds that this version does not know yet.
pub(super) fn too_new(btf: &Btf, version: Version) -> Option<String> {
    if btf.layout().is_some() && version < Version(7, 1) {
        return Some(
            "its header has a layout section, which Linux 7.1 is the first to know".to_owned(),
        );
    }
    for (id, record) in btf.records() {
        let info = Info(record.get(1).copied().unwrap_or(0));
        let Some(kind) = info.kind() else { continue };
        if version < since(&KINDS, kind) {
            let first = since(&KINDS, kind);
            return Some(format!("type [{id}]: {kind} needs Linux {first}"));
        }
        if info.kind_flag() && version < since(&FLAGS, kind) {
            let first = since(&FLAGS, kind);
            return Some(format!(
                "type [{id}]: {kind} with `kind_flag` needs Linux {first}"
            ));
        }
        if info.vlen() > MAX_VLEN_16 && version < Version(7, 2) {
            return Some(format!(
                "type [{id}]: {} elements need Linux 7.2",
                info.vlen()
            ));
        }
        if kind.is_modifier() && version <= TAGS_FIRST && has_late_tag(btf, id) {
            return Some(format!(
                "type [{id}]: a type tag behind a qualifier or typedef"
            ));
        }
    }
    None
}

/// Whether a chain of modifiers has a tag behind something else.
fn has_late_tag(btf: &Btf, mut id: TypeId) -> bool {
    let mut in_tags = true;
    for _ in 0..CHAIN {
        let Ok(ty) = btf.ty(id) else { return false };
        let is_tag = matches!(ty, Type::TypeTag { .. });
        let Some(next) = ty.modified() else {
            return false;
        };
        if is_tag && !in_tags {
            return true;
        }
        in_tags &= is_tag;
        id = next;
    }
    false
}

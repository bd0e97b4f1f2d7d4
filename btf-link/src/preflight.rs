//! Tells whether a kernel takes the BTF of a module, by the kernel's own rules, those that it gets wrong included.
//!
//! A module whose BTF is refused does not load, unless the kernel was built with `CONFIG_MODULE_ALLOW_BTF_MISMATCH`. Kernels since
//! 6.11 move BTF that has a `.BTF.base` onto their own ([`kernel_refusals`]). All others read it as if it had been made for
//! them: of another kernel's module that is nonsense, which they mostly, but not always, notice.
//!
//! Spec: kernel/bpf/btf.c of Linux 5.11 to 7.2, `btf_module_notify` and `btf_parse_module`.

use std::fmt::Write as _;
use std::sync::Arc;

use btf_core::cli::escape_name;
use btf_core::cli::sources::check_base;
use btf_core::relocate::{Refusal, kernel_refusals};
use btf_core::types::{Composite, Type};
use btf_core::validate::{KernelVersion, Profile, Severity, Target, check};
use btf_core::{Btf, ByteOrder, Kind, TypeId};

/// The first version that knows `.BTF.base`.
const BASE_SINCE: KernelVersion = KernelVersion::new(6, 11);

/// How many members of a structure are shown.
const SHOWN_MEMBERS: usize = 4;

/// A kernel's BTF.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The types.
    pub btf: Arc<Btf>,
    /// Its version, which decides about the rules.
    pub version: KernelVersion,
}

/// A module's BTF, as it stands in the file.
#[derive(Clone, Debug)]
pub struct ModuleBtf<'a> {
    /// The section `.BTF`.
    pub btf: &'a [u8],
    /// The section `.BTF.base`.
    pub base: Option<&'a [u8]>,
}

/// What a kernel does with a module's BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes it.
    Loads,
    /// It takes it, but for something else than it is: the types are nonsense.
    Misreads,
    /// It refuses it.
    Refuses,
}

impl Verdict {
    /// The verdict as a word that stays.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Loads => "loads",
            Self::Misreads => "misread",
            Self::Refuses => "refused",
        }
    }

    /// Whether the module can be used.
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Loads)
    }
}

/// Something that is in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obstacle {
    /// What is wrong.
    pub text: String,
    /// The name of the type, if it is one that has no match.
    pub name: Option<Vec<u8>>,
    /// What the module expects.
    pub wanted: Option<String>,
    /// What the kernel has of that name.
    pub found: Vec<String>,
}

impl Obstacle {
    fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

/// The verdict, and what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the kernel does.
    pub verdict: Verdict,
    /// What is in the way; the kernel itself stops at one of them.
    pub obstacles: Vec<Obstacle>,
}

impl Answer {
    fn refused(obstacles: Vec<Obstacle>) -> Self {
        let verdict = Verdict::Refuses;
        Self { verdict, obstacles }
    }

    fn because(text: impl Into<String>) -> Self {
        Self::refused(vec![Obstacle::new(text)])
    }

    const fn only(verdict: Verdict) -> Self {
        let obstacles = Vec::new();
        Self { verdict, obstacles }
    }
}

/// What `kernel` does with the BTF of a module.
#[must_use]
pub fn preflight(module: &ModuleBtf<'_>, kernel: &Kernel) -> Answer {
    match ByteOrder::of_magic(module.btf) {
        Some(order) if order == kernel.btf.byte_order() => {}
        Some(order) => return Answer::because(format!("the byte order is {order:?}")),
        None => return Answer::because("this is no BTF"),
    }
    match module.base {
        Some(base) if kernel.version >= BASE_SINCE => {
            let answer = relocated(module.btf, base, kernel);
            answer.unwrap_or_else(|error| Answer::because(error.to_string()))
        }
        _ => read_as_own(module, kernel),
    }
}

/// The module has a distilled base, and the kernel moves it onto its own.
fn relocated(btf: &[u8], base: &[u8], kernel: &Kernel) -> btf_core::Result<Answer> {
    let base = match accepted(base, None, Profile::Vmlinux, kernel.version) {
        Ok(base) => Arc::new(base),
        Err(obstacle) => return Ok(Answer::refused(vec![obstacle])),
    };
    let split = match accepted(btf, Some(&base), Profile::Module, kernel.version) {
        Ok(split) => split,
        Err(obstacle) => return Ok(Answer::refused(vec![obstacle])),
    };
    let refusals = kernel_refusals(&split, &kernel.btf)?;
    if refusals.is_empty() {
        return Ok(Answer::only(Verdict::Loads));
    }
    let obstacles = refusals
        .iter()
        .map(|refusal| obstacle(refusal, &split, &base, &kernel.btf));
    Ok(Answer::refused(obstacles.collect()))
}

/// The kernel reads the module's BTF as going on with its own.
fn read_as_own(module: &ModuleBtf<'_>, kernel: &Kernel) -> Answer {
    let split = accepted(
        module.btf,
        Some(&kernel.btf),
        Profile::Module,
        kernel.version,
    );
    let (verdict, obstacle) = match split.map(|split| check_base(&split)) {
        Ok(Ok(())) => return Answer::only(Verdict::Loads),
        Ok(Err(error)) => (Verdict::Misreads, Obstacle::new(error.to_string())),
        Err(obstacle) => (Verdict::Refuses, obstacle),
    };
    let why = match module.base {
        Some(_) => "kernels before 6.11 do not know its `.BTF.base`",
        None if Btf::parse(module.btf, None).is_ok() => "it stands alone: it is not a module's",
        None => "it is made for another kernel, and has no `.BTF.base` by which it could be moved",
    };
    let obstacles = vec![Obstacle::new(why), obstacle];
    Answer { verdict, obstacles }
}

/// Reads BTF as a kernel of this version does, or tells the first thing for which it is refused.
fn accepted(
    bytes: &[u8],
    base: Option<&Arc<Btf>>,
    profile: Profile,
    version: KernelVersion,
) -> Result<Btf, Obstacle> {
    let checked = check(bytes, base.cloned(), Target::new(profile, version));
    let mut findings = checked.findings.iter();
    let fault = findings.find(|finding| finding.severity == Severity::Fault);
    match (fault, checked.btf) {
        (Some(fault), _) => Err(Obstacle::new(fault.to_string())),
        (None, Some(btf)) => Ok(btf),
        (None, None) => Err(Obstacle::new("this is no BTF")),
    }
}

/// Puts into words why a type has no match.
fn obstacle(refusal: &Refusal, split: &Btf, base: &Btf, kernel: &Btf) -> Obstacle {
    let name_of = |btf: &Btf, id| btf.name(id).unwrap_or_default().to_vec();
    match *refusal {
        Refusal::Name { id, .. } => Obstacle::new(format!(
            "type {id} has a name of `.BTF.base` which is not a type's"
        )),
        Refusal::Kind { distilled } => Obstacle::new(format!(
            "type {distilled} of `.BTF.base` must not be there: {}",
            shape(base, distilled)
        )),
        Refusal::Candidates {
            distilled,
            first,
            second,
        } => Obstacle {
            text: "the kernel has more than one candidate and does not choose".to_owned(),
            name: Some(name_of(base, distilled)),
            wanted: Some(wanted(split, base, distilled)),
            found: [first, second].map(|id| shape(kernel, id)).to_vec(),
        },
        Refusal::Unmapped { distilled, .. } => {
            let name = name_of(base, distilled);
            let found: Vec<_> = kernel
                .find_by_name(&name)
                .filter(|&id| kernel.ty(id).is_ok_and(|ty| is_candidate(&ty)))
                .take(SHOWN_MEMBERS)
                .map(|id| shape(kernel, id))
                .collect();
            let text = if found.is_empty() {
                "the kernel has none of that name"
            } else {
                "what the kernel has of that name does not match"
            };
            Obstacle {
                text: text.to_owned(),
                wanted: Some(wanted(split, base, distilled)),
                name: Some(name),
                found,
            }
        }
        _ => Obstacle::new(format!("{refusal:?}")),
    }
}

/// Whether types of this kind are matched.
fn is_candidate(ty: &Type<'_>) -> bool {
    matches!(
        ty,
        Type::Int(_)
            | Type::Float { .. }
            | Type::Enum(_)
            | Type::Enum64(_)
            | Type::Struct(_)
            | Type::Union(_)
            | Type::Fwd { .. }
    )
}

/// A distilled type, and the first structure of the module that holds it.
fn wanted(split: &Btf, base: &Btf, distilled: TypeId) -> String {
    let mut text = shape(base, distilled);
    for (_, ty) in split.types() {
        let (Type::Struct(composite) | Type::Union(composite)) = ty else {
            continue;
        };
        let holds = |member: &btf_core::types::Member| held(split, member.ty) == Some(distilled);
        if let Some(member) = composite.members().find(holds) {
            let string = |name| escape_name(split.string(name).unwrap_or_default()).into_owned();
            let (member, holder) = (string(member.name), string(composite.name));
            let holder = if holder.is_empty() {
                "an unnamed structure".to_owned()
            } else {
                format!("`{holder}`")
            };
            let _ = write!(text, ", held by `{member}` of {holder}");
            break;
        }
    }
    text
}

/// The type that a member holds, through qualifiers, typedefs, tags and arrays.
fn held(btf: &Btf, mut id: TypeId) -> Option<TypeId> {
    // As far as the kernel follows such chains.
    for _ in 0..32 {
        let ty = btf.ty(id).ok()?;
        let next = if let Type::Array { element, .. } = ty {
            Some(element)
        } else {
            ty.modified()
        };
        match next {
            Some(next) => id = next,
            None => return Some(id),
        }
    }
    None
}

/// A type in a few words.
fn shape(btf: &Btf, id: TypeId) -> String {
    let name = escape_name(btf.name(id).unwrap_or_default()).into_owned();
    let Ok(ty) = btf.ty(id) else {
        return name;
    };
    let kind = ty.kind().map_or("type", Kind::name);
    let of_kind = |text: &str| format!("{kind} `{name}`, {text}");
    match ty {
        Type::Int(int) if int.is_signed() => of_kind(&format!("signed, {} bytes", int.size)),
        Type::Int(int) => of_kind(&format!("unsigned, {} bytes", int.size)),
        Type::Enum(of) | Type::Enum64(of) if !of.is_empty() => {
            of_kind(&format!("{} bytes, {} values", of.size, of.len()))
        }
        Type::Struct(of) => composite(btf, "struct", &name, &of),
        Type::Union(of) => composite(btf, "union", &name, &of),
        Type::Fwd { is_union: true, .. } => format!("union `{name}`, declared only"),
        Type::Fwd { .. } => format!("struct `{name}`, declared only"),
        Type::Void
        | Type::Ptr { .. }
        | Type::Array { .. }
        | Type::Enum(_)
        | Type::Enum64(_)
        | Type::Typedef { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. }
        | Type::Func { .. }
        | Type::FuncProto(_)
        | Type::Var { .. }
        | Type::Datasec(_)
        | Type::Float { .. }
        | Type::DeclTag { .. }
        | Type::TypeTag { .. }
        | Type::Unknown { .. } => match ty.own_size() {
            Some(size) => of_kind(&format!("{size} bytes")),
            None => format!("{kind} `{name}`"),
        },
    }
}

fn composite(btf: &Btf, word: &str, name: &str, of: &Composite<'_>) -> String {
    let mut text = format!("{word} `{name}`, {} bytes", of.size);
    let members: Vec<_> = of
        .members()
        .take(SHOWN_MEMBERS)
        .map(|member| {
            let name = btf.string(member.name).unwrap_or_default();
            let name = if name.is_empty() {
                "(unnamed)".into()
            } else {
                escape_name(name)
            };
            format!("{name} at {}", member.bit_offset / 8)
        })
        .collect();
    if !members.is_empty() {
        let more = of.len().saturating_sub(SHOWN_MEMBERS);
        let more = if more > 0 {
            format!(", {more} more")
        } else {
            String::new()
        };
        let _ = write!(text, ": {}{more}", members.join(", "));
    }
    text
}

#[cfg(test)]
mod tests;

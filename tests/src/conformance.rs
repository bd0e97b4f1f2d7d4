//! The conformance set of `corpus/conformance/`: small blobs, valid and broken, with the verdict of each kernel.
//!
//! Every blob is valid but for what its description tells, and the verdicts are written here by hand from the kernels'
//! sources. To add one, add a line to the file of its subject and run `cargo run -p btf-tests --bin make-conformance`;
//! tests compare the folder with the lines, `btf_core::validate` with the verdicts, and those about users' BTF with the
//! running kernel's.
#![expect(
    clippy::semicolon_if_nothing_returned,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "the files are tables of cases"
)]

mod blob;
mod header;
mod kinds;
mod names;
mod resolve;
mod special;
mod values;

use btf_core::validate::KernelVersion;
use btf_core::wire::ByteOrder;

pub use blob::Blob;

/// A blob and who takes it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The byte order of the kernels that the verdicts are about.
    pub order: ByteOrder,
    /// The file of the BTF that it continues; it is then for modules only.
    pub base: Option<&'static str>,
    /// Whether kernels take it from users.
    pub user: Verdict,
    /// Whether kernels take it as their own, or as a module's.
    pub own: Verdict,
}

/// Which kernels take a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All.
    Accepted,
    /// None.
    Refused,
    /// Those from this version on.
    Since(KernelVersion),
    /// Those before this version.
    Before(KernelVersion),
}

impl Verdict {
    /// Whether the kernel of that version takes it.
    #[must_use]
    pub fn is_accepted_by(self, kernel: KernelVersion) -> bool {
        match self {
            Self::Accepted => true,
            Self::Refused => false,
            Self::Since(since) => kernel >= since,
            Self::Before(before) => kernel < before,
        }
    }

    /// The verdict as it stands in the index: `accepted`, `refused`, or the first version that does or no longer does.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Accepted => "accepted".to_owned(),
            Self::Refused => "refused".to_owned(),
            Self::Since(since) => format!("since {since}"),
            Self::Before(before) => format!("before {before}"),
        }
    }
}

/// All kernels take it.
const YES: Verdict = Verdict::Accepted;
/// No kernel takes it.
const NO: Verdict = Verdict::Refused;

const fn since(major: u16, minor: u16) -> Verdict {
    Verdict::Since(KernelVersion::new(major, minor))
}

const fn before(major: u16, minor: u16) -> Verdict {
    Verdict::Before(KernelVersion::new(major, minor))
}

/// The file that the cases for modules continue.
pub const BASE: &str = "module-base.btf";

/// Collects cases.
#[derive(Debug, Default)]
struct Cases(Vec<Case>);

impl Cases {
    /// A blob that starts with `int`, type 1, and goes on with what `build` adds.
    fn add(
        &mut self,
        name: impl Into<String>,
        about: impl Into<String>,
        [user, own]: [Verdict; 2],
        build: impl Fn(&mut Blob),
    ) {
        let mut blob = Blob::new();
        blob.int("int");
        build(&mut blob);
        self.push(&blob, &name.into(), about.into(), [user, own], None);
    }

    /// A blob with nothing but what `build` adds.
    fn add_bare(
        &mut self,
        name: &str,
        about: &str,
        verdicts: [Verdict; 2],
        build: impl Fn(&mut Blob),
    ) {
        let mut blob = Blob::new();
        build(&mut blob);
        self.push(&blob, name, about.into(), verdicts, None);
    }

    /// A blob that continues [`BASE`], whose `int` is type 1.
    fn add_split(&mut self, name: &str, about: &str, own: Verdict, build: impl Fn(&mut Blob)) {
        let mut blob = Blob::after(&base());
        build(&mut blob);
        self.push(&blob, name, about.into(), [NO, own], Some(BASE));
    }

    fn push(
        &mut self,
        blob: &Blob,
        name: &str,
        about: String,
        [user, own]: [Verdict; 2],
        base: Option<&'static str>,
    ) {
        let bytes = blob.bytes(ByteOrder::Little);
        let order = ByteOrder::Little;
        self.0.push(Case {
            name: format!("{name}.btf"),
            about,
            bytes,
            order,
            base,
            user,
            own,
        });
    }
}

/// The BTF of the pretended kernel that modules continue.
fn base() -> Blob {
    let mut blob = Blob::new();
    blob.int("int");
    let member = blob.name("member");
    blob.composite("of_the_kernel", 4, &[[member, 1, 0]]);
    blob
}

/// All cases, in the order of their subjects.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = Cases::default();
    cases.push(
        &base(),
        BASE.trim_end_matches(".btf"),
        "what the modules' BTF continues".into(),
        [YES, YES],
        None,
    );
    header::add(&mut cases);
    kinds::add(&mut cases);
    values::add(&mut cases);
    names::add(&mut cases);
    resolve::add(&mut cases);
    special::add(&mut cases);
    add_big_endian(&mut cases);
    cases.0
}

/// Adds some of the blobs as machines of the other byte order have them.
fn add_big_endian(cases: &mut Cases) {
    let wanted = |case: &&Case| {
        let is_whole = case.base.is_none() && case.order == ByteOrder::Little;
        is_whole
            && ["int-", "struct-", "array-", "datasec-", "enum64-"]
                .iter()
                .any(|kind| case.name.starts_with(kind))
    };
    let swapped: Vec<_> = cases.0.iter().filter(wanted).step_by(4).map(swap).collect();
    cases.0.extend(swapped);
}

fn swap(case: &Case) -> Case {
    let stem = case.name.trim_end_matches(".btf");
    Case {
        name: format!("{stem}.be.btf"),
        about: format!("{}; big endian", case.about),
        bytes: blob::swap(&case.bytes),
        order: ByteOrder::Big,
        ..case.clone()
    }
}

/// The index of the set: JSON Lines.
#[must_use]
pub fn index(cases: &[Case]) -> String {
    let lines = cases.iter().map(|case| {
        btf_core::cli::json_line("case", |line| {
            line.text("file", &case.name).text("about", &case.about);
            let order = match case.order {
                ByteOrder::Little => "little",
                ByteOrder::Big => "big",
            };
            line.text("order", order);
            if let Some(base) = case.base {
                line.text("base", base).text("module", &case.own.text());
            } else {
                line.text("user", &case.user.text());
                line.text("vmlinux", &case.own.text());
            }
        })
    });
    lines.collect()
}

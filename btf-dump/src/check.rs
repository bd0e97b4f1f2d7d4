//! Would the kernel take it? What [`btf_core::validate`] finds in a file, for people and for programs.
//!
//! In JSON there is a line `{"type":"finding", …}` for each finding, with the keys `file`, `severity`, `rule`, `section`,
//! `offset`, `id`, `kind`, `name`, `value` and `text`, and behind them a line `{"type":"file", …}` with `file`, `profile`,
//! `kernel`, `rules` (the version whose rules were used), `verdict` (`accepted` or `refused`), `faults` and `warnings`; `live` if
//! the running kernel was to be asked, an object with `verdict`, `disagrees` (with the rules of its version), `kernel`, and, where it
//! refuses, `errno` and `message`, or else with `not_asked`. Keys about a type are left out where no type is to blame.

mod asked;

use std::collections::HashMap;
use std::fmt::Write as _;

use btf_core::Btf;
use btf_core::cli::sources::{Error, RawSource, check_base};
use btf_core::cli::{
    JsonObject, Printer, Stream, Style, count, escape_name, escape_text, json_line, plural,
};
use btf_core::validate::{
    Finding, KernelVersion, Profile, Rule, Severity, Target, check, check_ext,
};
use memchr::memmem;

use crate::names::{ELLIPSIS, Name, Names};

pub use asked::{Asked, Live};

/// How many findings of each rule are shown unless all are asked for.
const MAX_SHOWN: usize = 5;

/// The structure that the BTF of every kernel has, and nobody else's.
const MARK_OF_KERNELS: &[u8] = b"\0bpf_ctx_convert\0";

/// What is found out about a blob.
#[derive(Debug)]
pub struct Report {
    /// What it is called.
    pub title: String,
    /// What it was checked for.
    pub target: Target,
    /// The types, as far as they can be read.
    pub btf: Option<Btf>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What the running kernel says, if it was asked.
    pub live: Option<Live>,
}

/// For whom a blob is made, as far as it shows.
#[must_use]
pub fn guess_profile(source: &RawSource) -> Profile {
    if source.is_split {
        Profile::Module
    } else if source.ext.is_none() && memmem::find(&source.blob, MARK_OF_KERNELS).is_some() {
        Profile::Vmlinux
    } else {
        Profile::User
    }
}

/// Checks a blob, the section `.BTF.ext` beside it, and the section `.BTF.base`, which is a blob of its own.
///
/// # Errors
/// If it is a module's and its base is not there: without, nothing can be said about it.
pub fn examine(
    source: &RawSource,
    profile: Option<Profile>,
    kernel: KernelVersion,
) -> Result<Vec<Report>, Error> {
    let profile = profile.unwrap_or_else(|| guess_profile(source));
    if profile == Profile::Module && source.base_btf.is_none() && source.own_base.is_none() {
        return Err(source.no_base());
    }
    let mut target = Target::new(profile, kernel);
    target.is_object = source.is_elf && profile == Profile::User;
    let mut reports = Vec::new();
    if let Some(base) = &source.own_base {
        // The kernel reads it as it reads its own.
        let target = Target::new(Profile::Vmlinux, kernel);
        let checked = check(base, None, target);
        let mut findings = checked.findings;
        // Nobody looks types up in it.
        findings.retain(|finding| finding.rule != Rule::Unsorted);
        reports.push(Report {
            title: format!("{}: .BTF.base", source.title()),
            target,
            btf: checked.btf,
            findings,
            live: None,
        });
    }
    let base = source
        .base_btf
        .clone()
        .filter(|_| profile == Profile::Module);
    let checked = check(&source.blob, base, target);
    let mut findings = Vec::new();
    if let Some(part) = source.part {
        findings.extend(Finding::about_blob(Rule::Pasted, target, part.count as u64));
    }
    if let Some(btf) = &checked.btf
        && btf.base().is_some()
        && check_base(btf).is_err()
    {
        findings.extend(Finding::about_blob(
            Rule::BaseInexact,
            target,
            btf.first_string().into(),
        ));
    }
    findings.extend(checked.findings);
    if let (Some(ext), Some(btf)) = (&source.ext, &checked.btf) {
        findings.extend(check_ext(ext, btf, target));
    }
    reports.push(Report {
        title: source.title(),
        target,
        btf: checked.btf,
        findings,
        live: None,
    });
    Ok(reports)
}

impl Report {
    /// How many findings are of that severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let findings = self.findings.iter();
        findings
            .filter(|finding| finding.severity == severity)
            .count()
    }

    /// Whether the kernel takes it, by what is known of its rules.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.count(Severity::Fault) == 0
    }

    /// The report as text, all findings if `shows_all`, else a few of each rule.
    #[must_use]
    pub fn text(&self, printer: &Printer, shows_all: bool) -> String {
        let paint = |style, text: &str| printer.paint(Stream::Out, style, text);
        let style = if self.is_accepted() {
            Style::Number
        } else {
            Style::Error
        };
        let verdict = paint(style, verdict(self.is_accepted()));
        let mut out = format!(
            "{}: {verdict} by Linux {} as {}{}\n",
            paint(Style::Heading, &escape_text(&self.title)),
            version(self.target.kernel),
            role(self.target),
            self.counts(),
        );
        let mut shown: HashMap<Rule, usize> = HashMap::new();
        let mut names = self.btf.as_ref().map(Names::new);
        for finding in &self.findings {
            let shown = shown.entry(finding.rule).or_default();
            *shown += 1;
            if *shown <= MAX_SHOWN || shows_all {
                self.put_finding(finding, names.as_mut(), printer, &mut out);
            }
        }
        for &rule in Rule::ALL {
            let hidden = shown
                .get(&rule)
                .map_or(0, |shown| shown.saturating_sub(MAX_SHOWN));
            if hidden > 0 && !shows_all {
                let hidden = count(hidden as u64);
                let line = format!("  … {hidden} more of {rule}; -v shows all\n");
                out += &paint(Style::Faint, line.trim_end());
                out.push('\n');
            }
        }
        if names.is_some_and(|mut names| self.has_names_of_rust(&mut names)) {
            let line =
                "  … names of Rust: encode without its units (`dwarf2btf --exclude-language rust`)";
            out += &paint(Style::Faint, line);
            out.push('\n');
        }
        if let Some(live) = &self.live {
            let (style, text) = live.text(self);
            let word = printer.paint(Stream::Out, style, "live   ");
            let _ = writeln!(out, "  {word} {}", escape_text(&text));
        }
        out
    }

    /// Whether names are to blame that only Rust's compiler makes, as far as the first of them tell.
    fn has_names_of_rust(&self, names: &mut Names<'_>) -> bool {
        const MAX_ASKED: usize = 100;
        let findings = self.findings.iter();
        let mut invalid = findings.filter(|finding| finding.rule == Rule::NameInvalid);
        invalid.by_ref().take(MAX_ASKED).any(|finding| {
            self.type_of(finding, Some(names))
                .is_some_and(|(_, name)| memmem::find(name.bytes, b"::").is_some())
        })
    }

    /// How many faults and warnings there are, with the comma before them.
    fn counts(&self) -> String {
        let mut out = String::new();
        for (severity, word) in [(Severity::Fault, "fault"), (Severity::Warning, "warning")] {
            let number = self.count(severity) as u64;
            if number > 0 {
                out += ", ";
                out += &plural(number, word);
            }
        }
        out
    }

    fn put_finding(
        &self,
        finding: &Finding,
        names: Option<&mut Names<'_>>,
        printer: &Printer,
        out: &mut String,
    ) {
        let style = match finding.severity {
            Severity::Fault => Style::Error,
            Severity::Warning => Style::Warning,
        };
        let word = format!("{:<7}", finding.severity.name());
        *out += "  ";
        *out += &printer.paint(Stream::Out, style, &word);
        if let Some(offset) = finding.offset {
            let _ = write!(out, " {}+{offset:#x}", finding.rule.section());
        }
        if let Some((kind, name)) = self.type_of(finding, names) {
            let id = finding.type_id.unwrap_or_default();
            let end = if name.is_cut { ELLIPSIS } else { "" };
            let name = format!("{}{end}", escape_name(name.bytes));
            let name = printer.paint(Stream::Out, Style::Name, &name);
            let space = if name.is_empty() { "" } else { " " };
            let _ = write!(out, " {id} {kind}{space}{name}");
        } else if let Some(id) = finding.type_id {
            let _ = write!(out, " {id}");
        }
        let colon = if finding.offset.is_some() || finding.type_id.is_some() {
            ": "
        } else {
            " "
        };
        let text = finding.rule.text();
        let _ = match finding.value {
            value if value < 0x1_0000 || finding.rule.is_about_id() => {
                write!(out, "{colon}{text}: {value} ")
            }
            value => write!(out, "{colon}{text}: {value:#x} "),
        };
        let rule = format!("[{}]", finding.rule);
        *out += &printer.paint(Stream::Out, Style::Faint, &rule);
        out.push('\n');
    }

    /// The kind and name of the type that is to blame, if it can be read; empty is a name that cannot be.
    fn type_of<'a>(
        &self,
        finding: &Finding,
        names: Option<&mut Names<'a>>,
    ) -> Option<(&'static str, Name<'a>)> {
        let (btf, id) = (self.btf.as_ref()?, finding.type_id?);
        let ty = btf.ty(id).ok()?;
        let name = names.and_then(|names| names.find(ty.name()));
        Some((ty.kind()?.name(), name.unwrap_or(Name::EMPTY)))
    }

    /// The report as JSON Lines.
    #[must_use]
    pub fn json(&self, source: &RawSource) -> String {
        let mut out = String::new();
        let mut names = self.btf.as_ref().map(Names::new);
        for finding in &self.findings {
            out += &json_line("finding", |line| {
                self.put_place(source, line);
                line.text("severity", finding.severity.name());
                line.text("rule", finding.rule.name());
                line.text("section", finding.rule.section());
                if let Some(offset) = finding.offset {
                    line.number("offset", offset);
                }
                if let Some(id) = finding.type_id {
                    line.number("id", id.0.into());
                }
                if let Some((kind, name)) = self.type_of(finding, names.as_mut()) {
                    let end = if name.is_cut { ELLIPSIS } else { "" };
                    let name = [name.bytes, end.as_bytes()].concat();
                    line.text("kind", kind).name("name", &name);
                }
                line.number("value", finding.value);
                line.text("text", finding.rule.text());
            });
        }
        out += &json_line("file", |line| {
            self.put_place(source, line);
            line.text("profile", self.target.profile.name());
            line.text("kernel", &self.target.kernel.to_string());
            line.text("rules", &self.target.kernel.rules().to_string());
            line.text("verdict", verdict(self.is_accepted()));
            line.number("faults", self.count(Severity::Fault) as u64);
            line.number("warnings", self.count(Severity::Warning) as u64);
            if let Some(live) = &self.live {
                line.object("live", |object| live.put(object));
            }
        });
        out
    }

    fn put_place(&self, source: &RawSource, line: &mut JsonObject<'_>) {
        line.name("file", source.path.as_os_str().as_encoded_bytes());
        if let Some(part) = source.part {
            line.number("blob", part.number as u64);
        }
        if self.title.ends_with(": .BTF.base") {
            line.flag("is_base", true);
        }
    }
}

/// What is said about BTF.
const fn verdict(is_accepted: bool) -> &'static str {
    if is_accepted { "accepted" } else { "refused" }
}

/// The version, and if its rules are not known, the one whose rules were used.
fn version(kernel: KernelVersion) -> String {
    let rules = kernel.rules();
    if rules == kernel {
        kernel.to_string()
    } else {
        format!("{kernel} (by the rules of {rules})")
    }
}

/// As what a kernel gets the BTF.
fn role(target: Target) -> &'static str {
    if target.profile == Profile::Vmlinux {
        "its own (vmlinux)"
    } else if target.profile == Profile::Module {
        "a module's"
    } else if target.is_object {
        "a user's, completed by libbpf"
    } else {
        "a user's"
    }
}

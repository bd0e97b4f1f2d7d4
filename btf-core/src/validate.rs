//! Checks the whole graph of types and returns everything that is wrong.
//!
//! The reader stops at what makes BTF unreadable; here each finding is collected with its place. A [`Profile`] says
//! for whom the BTF must do. Only own types are checked, against the base as it is.
//!
//! Time is linear in the input: names are looked at up to 513 bytes each, and graphs are walked with an explicit
//! stack that enters each type once.
//!
//! Spec: kernel/bpf/btf.c of Linux 7.2 as to what is refused; Documentation/bpf/btf.rst, 2.2 "Type Encoding".
#![deny(clippy::indexing_slicing)]

mod meta;
mod place;
mod resolve;
mod rules;

pub use rules::{Finding, Rule};

use crate::ids::TypeId;
use crate::reader::Btf;
use crate::wire::LayoutEntry;
use rules::Level;

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
    fn level(self) -> Level {
        match self {
            Self::Structural => Level::Format,
            Self::Vmlinux | Self::Module => Level::Kernel,
            Self::User => Level::User,
        }
    }
}

/// The largest blob in bytes that the kernel takes from a user.
const MAX_USER_BLOB: u64 = 16 << 20;

/// Checks `btf` for `profile`; the findings are in the order of their place in the blob.
#[must_use]
pub fn validate(btf: &Btf, profile: Profile) -> Vec<Finding> {
    let mut report = Report {
        btf,
        level: profile.level(),
        findings: Vec::new(),
    };
    check_blob(btf, &mut report);
    for (id, record) in btf.records() {
        meta::check(btf, id, record, &mut report);
    }
    let shapes = resolve::shapes(btf, &mut report);
    if report.level == Level::User {
        resolve::check_pointers(btf, &mut report);
        place::check_all(btf, &shapes, &mut report);
    }
    let mut findings = report.findings;
    findings.sort_by_key(|finding| (finding.offset, finding.rule));
    findings
}

/// Collects the findings that count for the profile.
struct Report<'a> {
    btf: &'a Btf,
    level: Level,
    findings: Vec<Finding>,
}

impl Report<'_> {
    /// Reports `rule` at word `word` of the type `id`.
    fn add(&mut self, rule: Rule, id: TypeId, word: usize, value: impl Into<u64>) {
        if rule.level() <= self.level {
            self.findings.push(Finding {
                rule,
                type_id: Some(id),
                offset: self.btf.byte_offset(id, word),
                value: value.into(),
            });
        }
    }

    /// Reports `rule` for the blob as a whole.
    fn add_blob(&mut self, rule: Rule, value: u64) {
        if rule.level() <= self.level {
            self.findings.push(Finding {
                rule,
                type_id: None,
                offset: None,
                value,
            });
        }
    }
}

/// Checks what is not about one type.
fn check_blob(btf: &Btf, report: &mut Report<'_>) {
    let header = btf.header();
    let mut spans = vec![
        (header.type_off, header.type_len),
        (header.str_off, header.str_len),
    ];
    if header.layout_len > 0 {
        spans.push((header.layout_off, header.layout_len));
    }
    spans.sort_unstable();
    let mut end = 0;
    for (off, len) in spans {
        if u64::from(off) != end {
            report.add_blob(Rule::SectionGap, off.into());
        }
        end = u64::from(off) + u64::from(len);
    }
    let body = btf.blob_len().saturating_sub(header.hdr_len.into());
    if body != end {
        report.add_blob(Rule::SectionGap, body);
    }
    let layout = btf.layout().unwrap_or_default().iter();
    for (number, (found, known)) in (0..).zip(layout.zip(LayoutEntry::known())) {
        let sizes = |entry: &LayoutEntry| (entry.trailer_size, entry.element_size);
        if sizes(found) != sizes(&known) {
            report.add_blob(Rule::LayoutMismatch, number);
        }
    }
    if btf.base().is_some() {
        report.add_blob(Rule::BaseNotAllowed, btf.first_id().into());
    }
    if btf.blob_len() > MAX_USER_BLOB {
        report.add_blob(Rule::BlobSize, btf.blob_len());
    }
    if btf.words().is_empty() {
        report.add_blob(Rule::NoTypes, 0);
    }
}

#[cfg(test)]
mod tests;

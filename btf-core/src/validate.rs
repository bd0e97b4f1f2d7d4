//! Checks BTF and returns everything that is wrong: would this kernel take it, and who trips over it?
//!
//! The reader stops at what makes BTF unreadable; here each finding is collected with its place. A [`Target`] says for
//! whom the BTF must do: any tool, or a version of the kernel, which reads its own BTF, that of a module or a user's.
//! Only own types are checked, against the base as it is.
//!
//! A finding is a fault if the target refuses the BTF for it, else a warning. The kernel stops at its first fault. Up
//! to there we go the way that it goes, in its order; behind that, what depends on something broken is left out.
//!
//! Time is linear in the input: names are looked at up to 513 bytes each, and graphs are walked with an explicit
//! stack that enters each type once.
//!
//! Spec: kernel/bpf/btf.c of Linux as to what is refused, in the versions that [`target`](Target) names;
//! Documentation/bpf/btf.rst, 2.2 "Type Encoding".
#![deny(clippy::indexing_slicing)]

mod blob;
mod chain;
mod cycle;
mod ext;
mod member;
mod meta;
mod resolve;
mod rules;
mod special;
mod target;

pub use ext::check_ext;
pub use rules::{Enforcer, Finding, Rule, Severity};
pub use target::{Change, KernelVersion, NoVersion, Profile, Target};

use std::sync::Arc;

use crate::error::ErrorKind;
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::wire::{ByteOrder, Header, MAX_TYPE_ID};

/// What is found out about a blob.
#[derive(Debug)]
pub struct Checked {
    /// The types, as far as they can be read.
    pub btf: Option<Btf>,
    /// What is wrong, in the order of its place in the blob.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// Whether the target takes the blob.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.all(|finding| finding.severity != Severity::Fault)
    }
}

/// Checks BTF that has been read; the findings are in the order of their place in the blob.
#[must_use]
pub fn validate(btf: &Btf, target: impl Into<Target>) -> Vec<Finding> {
    let mut report = Report::new(target.into());
    blob::check_read(btf, &mut report);
    check_types(btf, report)
}

/// Checks any bytes, of which BTF can be made or not; `base` is what split BTF continues.
#[must_use]
pub fn check(bytes: &[u8], base: Option<Arc<Btf>>, target: Target) -> Checked {
    let mut report = Report::new(target);
    let header = blob::check_bytes(bytes, base.is_some(), &mut report);
    let btf = header.and_then(|header| read(bytes, header, base, &mut report));
    let findings = match &btf {
        Some(btf) => check_types(btf, report),
        None => report.into_findings(),
    };
    Checked { btf, findings }
}

/// Reads the types in front of the first record that cannot be read, which is a finding.
fn read(
    bytes: &[u8],
    mut header: Header,
    base: Option<Arc<Btf>>,
    report: &mut Report<'_>,
) -> Option<Btf> {
    let start = u64::from(header.hdr_len) + u64::from(header.type_off);
    let rest = header.type_len % 4;
    if rest != 0 {
        header.type_len -= rest;
        let at = start + u64::from(header.type_len);
        report.add_at(Rule::RecordCut, Some(at), rest);
    }
    if !blob::is_layout_readable(&header, bytes.len()) {
        header.layout_off = 0;
        header.layout_len = 0;
    }
    let patched = with_header(bytes, &header)?;
    let error = match Btf::parse(&patched, base.clone()) {
        Ok(btf) => return Some(btf),
        Err(error) => error,
    };
    let place = error.location();
    let (Some(id), Some(offset)) = (place.type_id, place.offset) else {
        return None;
    };
    let (rule, value) = if let ErrorKind::Truncated { needed, .. } = *error.kind() {
        (Rule::RecordCut, needed)
    } else if let ErrorKind::UnknownKind(number) = *error.kind() {
        (Rule::UnknownKind, number.into())
    } else {
        (Rule::UnknownKind, 0)
    };
    report.add_in(rule, id, offset, value);
    header.type_len = u32::try_from(offset - start).ok()?;
    Btf::parse(&with_header(bytes, &header)?, base).ok()
}

/// The blob with another header of the same length.
fn with_header(bytes: &[u8], header: &Header) -> Option<Vec<u8>> {
    let order = ByteOrder::of_magic(bytes)?;
    let mut patched = Vec::with_capacity(bytes.len());
    header.put(order, &mut patched);
    patched.extend_from_slice(bytes.get(patched.len()..)?);
    Some(patched)
}

/// Checks the types that have been read; returns all findings.
fn check_types(btf: &Btf, before: Report<'_>) -> Vec<Finding> {
    let mut report = Report {
        btf: Some(btf),
        ..before
    };
    blob::check_whole(btf, &mut report);
    for (id, record) in btf.records() {
        meta::check(btf, id, record, &mut report);
    }
    if report.target.is_kernel() {
        chain::check(btf, &mut report);
    }
    let has_cycle = report.target.profile == Profile::User && resolve::check(btf, &mut report);
    if !has_cycle {
        cycle::check(btf, &mut report);
    }
    if report.target.profile == Profile::User && !report.has_fault() {
        special::check(btf, &mut report);
    }
    report.into_findings()
}

/// One past the last type id that the kernel keeps: it drops what does not fit, and does not say so.
fn kept_end(btf: &Btf) -> u32 {
    btf.end_id().min(MAX_TYPE_ID)
}

/// Collects the findings that count for the target.
struct Report<'a> {
    btf: Option<&'a Btf>,
    target: Target,
    findings: Vec<Finding>,
}

impl Report<'_> {
    fn new(target: Target) -> Self {
        Self {
            btf: None,
            target,
            findings: Vec::new(),
        }
    }

    /// Whether the kernel has given up already.
    fn has_fault(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.severity == Severity::Fault)
    }

    /// Reports `rule` at word `word` of the type `id`.
    fn add(&mut self, rule: Rule, id: TypeId, word: usize, value: impl Into<u64>) {
        let severity = rule.severity(self.target);
        self.push(rule, severity, id, word, value.into());
    }

    /// Reports `rule` where no kernel looks, or the kernel sees something else.
    fn add_for_tools(&mut self, rule: Rule, id: TypeId, word: usize, value: impl Into<u64>) {
        let severity = rule.severity_for_tools(self.target);
        self.push(rule, severity, id, word, value.into());
    }

    fn push(
        &mut self,
        rule: Rule,
        severity: Option<Severity>,
        id: TypeId,
        word: usize,
        value: u64,
    ) {
        if let Some(severity) = severity {
            self.findings.push(Finding {
                rule,
                severity,
                type_id: Some(id),
                offset: self.btf.and_then(|btf| btf.byte_offset(id, word)),
                value,
            });
        }
    }

    /// Reports `rule` for the blob as a whole.
    fn add_at(&mut self, rule: Rule, offset: Option<u64>, value: impl Into<u64>) {
        if let Some(severity) = rule.severity(self.target) {
            self.findings.push(Finding {
                rule,
                severity,
                type_id: None,
                offset,
                value: value.into(),
            });
        }
    }

    /// Reports `rule` in a type that cannot be read.
    fn add_in(&mut self, rule: Rule, id: TypeId, offset: u64, value: u64) {
        if let Some(severity) = rule.severity(self.target) {
            self.findings.push(Finding {
                rule,
                severity,
                type_id: Some(id),
                offset: Some(offset),
                value,
            });
        }
    }

    /// The findings in the order of their place; a warning about what is a fault as well is left out.
    fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.findings;
        findings.sort_by_key(|f| (f.offset, f.type_id, f.severity, f.rule));
        let mut fault = None;
        findings.retain(|finding| {
            let place = (finding.offset, finding.type_id);
            if finding.severity == Severity::Fault {
                fault = Some(place);
            }
            finding.type_id.is_none() || finding.severity == Severity::Fault || fault != Some(place)
        });
        findings.dedup();
        findings
    }
}

#[cfg(test)]
mod tests;

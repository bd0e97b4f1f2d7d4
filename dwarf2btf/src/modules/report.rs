//! What came of many modules, in text for people and in JSON Lines for programs.
//!
//! | `type` | keys |
//! |---|---|
//! | `module` | `path`, `result` (`written`, `skipped` as it has no DWARF, or `failed`), `error`, and of what was written `types`, `functions`, `variables`, `size_bytes`, `findings`, `signature_dropped` |
//! | `modules` | `written`, `skipped`, `failed`, `packed`, `findings`, `signatures_dropped` |
//!
//! Behind them stands a `summary` of all, as [`crate::report`] has it of one file.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use btf_core::cli::{count, json_line};

use crate::report::Summary;

/// What came of one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleResult {
    /// Its BTF was written.
    Written {
        /// The numbers.
        summary: Summary,
        /// How many findings there are.
        findings: u64,
        /// Whether the module had a signature, which the new file would belie.
        is_unsigned: bool,
    },
    /// There is no DWARF in it, so nothing was written.
    Skipped,
    /// It could not be read or written; says why.
    Failed(String),
}

impl ModuleResult {
    /// The result as a line of JSON.
    #[must_use]
    pub fn to_json(&self, path: &Path) -> String {
        json_line("module", |line| {
            line.name("path", path.as_os_str().as_bytes());
            match self {
                Self::Skipped => {
                    line.text("result", "skipped");
                }
                Self::Failed(error) => {
                    line.text("result", "failed").text("error", error);
                }
                Self::Written {
                    summary,
                    findings,
                    is_unsigned,
                } => {
                    line.text("result", "written")
                        .number("types", summary.types)
                        .number("functions", summary.functions)
                        .number("variables", summary.variables)
                        .number("size_bytes", summary.size_bytes)
                        .number("findings", *findings)
                        .flag("signature_dropped", *is_unsigned);
                }
            }
        })
    }
}

/// The numbers at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModulesSummary {
    /// Modules whose BTF was written.
    pub written: u64,
    /// Modules without DWARF.
    pub skipped: u64,
    /// Modules that could not be read or written.
    pub failed: u64,
    /// Packed modules in the folders that were searched, which were not read.
    pub packed: u64,
    /// What BTF cannot say or what is doubtful, in all of them.
    pub findings: u64,
    /// Written modules that have lost their signature.
    pub signatures_dropped: u64,
    /// What was read and written, all together.
    pub total: Summary,
}

impl ModulesSummary {
    /// The summary of these modules.
    #[must_use]
    pub fn new<'r>(results: impl Iterator<Item = &'r ModuleResult>, packed: u64) -> Self {
        let mut sum = Self {
            packed,
            ..Self::default()
        };
        for result in results {
            match result {
                ModuleResult::Skipped => sum.skipped += 1,
                ModuleResult::Failed(_) => sum.failed += 1,
                ModuleResult::Written {
                    summary,
                    findings,
                    is_unsigned,
                } => {
                    sum.written += 1;
                    sum.signatures_dropped += u64::from(*is_unsigned);
                    sum.findings += findings;
                    sum.total.add(summary);
                }
            }
        }
        sum
    }

    /// The summary, one screen at most.
    #[must_use]
    pub fn to_text(&self, elapsed: Duration) -> String {
        let mut out = format!("{:>10}  {} written", "modules", count(self.written));
        for (number, what) in [
            (self.skipped, "without debug information"),
            (self.packed, "packed and not read"),
            (self.failed, "failed"),
            (self.signatures_dropped, "to be signed again"),
        ] {
            if number > 0 {
                let _ = write!(out, ", {} {what}", count(number));
            }
        }
        out.push('\n');
        let findings = usize::try_from(self.findings).unwrap_or(usize::MAX);
        out + &self.total.to_text(findings, elapsed)
    }

    /// The summary as lines of JSON.
    #[must_use]
    pub fn to_json(&self, phases: &[(&'static str, Duration)]) -> String {
        let modules = json_line("modules", |line| {
            line.number("written", self.written)
                .number("skipped", self.skipped)
                .number("failed", self.failed)
                .number("packed", self.packed)
                .number("findings", self.findings)
                .number("signatures_dropped", self.signatures_dropped);
        });
        modules + &self.total.to_json(phases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::Reason;
    use crate::report::LeftOut;

    fn written(types: u64, reason: Reason) -> ModuleResult {
        let reason = reason.into();
        let left_out = LeftOut {
            what: "functions",
            reason,
            count: 2,
        };
        ModuleResult::Written {
            summary: Summary {
                types,
                size_bytes: 100,
                left_out: vec![left_out],
                ..Summary::default()
            },
            findings: 1,
            is_unsigned: types == 4,
        }
    }

    #[test]
    fn numbers_add_up_and_reasons_meet() {
        let results = [
            written(3, Reason::AmbiguousAddress),
            ModuleResult::Skipped,
            written(4, Reason::ReorderedParameters),
            written(5, Reason::AmbiguousAddress),
            ModuleResult::Failed("why".into()),
        ];
        let sum = ModulesSummary::new(results.iter(), 7);
        assert_eq!((sum.written, sum.skipped, sum.failed), (3, 1, 1));
        assert_eq!((sum.total.types, sum.total.size_bytes), (12, 300));
        let counts: Vec<_> = sum
            .total
            .left_out
            .iter()
            .map(|l| (l.reason.key, l.count))
            .collect();
        assert_eq!(
            counts,
            [("ambiguous-address", 4), ("reordered-parameters", 2)]
        );
        let text = sum.to_text(Duration::ZERO);
        let first = "   modules  3 written, 1 without debug information, 7 packed and not read, 1 failed, 1 to be signed again\n";
        assert!(text.starts_with(first), "{text}");
        assert!(sum.to_json(&[]).starts_with(
            r#"{"type":"modules","written":3,"skipped":1,"failed":1,"packed":7,"findings":3,"signatures_dropped":1}"#
        ));
        assert_eq!(
            results[4].to_json("a".as_ref()),
            "{\"type\":\"module\",\"path\":\"a\",\"result\":\"failed\",\"error\":\"why\"}\n"
        );
    }
}

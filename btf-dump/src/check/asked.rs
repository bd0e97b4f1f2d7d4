//! The running kernel's answer, held against what is known of the rules of its version.

use btf_core::ByteOrder;
use btf_core::cli::{JsonObject, Style};
use btf_core::validate::{KernelVersion, Profile, Target, check};

use super::{Report, verdict, version};
use crate::live::{self, Answer};

/// What the running kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Live {
    /// Its answer.
    Asked(Asked),
    /// It is not asked, because the answer would not be about this.
    NotAsked(&'static str),
}

/// The running kernel's answer, and what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The answer.
    pub answer: Answer,
    /// The kernel's version.
    pub kernel: KernelVersion,
    /// Whether that version takes it, by what is known of its rules.
    pub is_expected: bool,
}

impl Asked {
    fn is_accepted(&self) -> bool {
        self.answer == Answer::Accepted
    }

    /// Whether the kernel says something else than the rules of its version.
    fn is_contradiction(&self) -> bool {
        self.is_expected != self.is_accepted()
    }

    /// What it says.
    fn text(&self) -> String {
        let kernel = version(self.kernel);
        match &self.answer {
            Answer::Accepted => format!("the running kernel, Linux {kernel}, accepts it"),
            Answer::Refused(refusal) => format!(
                "the running kernel, Linux {kernel}, refuses it: {}: {}",
                live::describe(refusal.errno),
                if refusal.message.is_empty() {
                    "without a message"
                } else {
                    &refusal.message
                }
            ),
        }
    }
}

impl Live {
    /// What the running kernel says of what `report` is about, beside what that says.
    pub(super) fn text(&self, report: &Report) -> (Style, String) {
        let asked = match self {
            Self::NotAsked(why) => {
                let text = format!("the running kernel is not asked: {why}");
                return (Style::Faint, text);
            }
            Self::Asked(asked) => asked,
        };
        let has_same_rules = asked.kernel.rules() == report.target.kernel.rules();
        let (style, rest) = match (asked.is_contradiction(), has_same_rules) {
            (true, true) => (Style::Error, ", against what is said above"),
            (true, false) => (Style::Error, ", against its own rules"),
            (false, _) if asked.is_accepted() == report.is_accepted() => (Style::Number, ""),
            (false, _) => (Style::Number, ", as it should by its own rules"),
        };
        (style, asked.text() + rest)
    }

    /// Writes it as JSON.
    pub(super) fn put(&self, object: &mut JsonObject<'_>) {
        let asked = match self {
            Self::NotAsked(why) => {
                object.text("not_asked", why);
                return;
            }
            Self::Asked(asked) => asked,
        };
        object.text("verdict", verdict(asked.is_accepted()));
        object.flag("disagrees", asked.is_contradiction());
        object.text("kernel", &asked.kernel.to_string());
        if let Answer::Refused(refusal) = &asked.answer {
            object.number("errno", refusal.errno.unsigned_abs().into());
            object.text("message", &refusal.message);
        }
    }
}

impl Report {
    /// Asks the running kernel, which is of the version `kernel`, about `blob`, which this report is about.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn ask(&mut self, blob: &[u8], kernel: KernelVersion) -> std::io::Result<()> {
        let is_foreign = ByteOrder::of_magic(blob).is_some_and(|order| order != ByteOrder::NATIVE);
        self.live = Some(if self.target.profile != Profile::User {
            Live::NotAsked("it can be asked about users' BTF only")
        } else if self.target.is_object {
            Live::NotAsked("libbpf completes the BTF of an object before it loads it")
        } else if is_foreign {
            Live::NotAsked("this is BTF for machines of the other byte order")
        } else {
            Live::Asked(Asked {
                answer: live::load(blob)?,
                kernel,
                is_expected: check(blob, None, Target::new(Profile::User, kernel)).is_accepted(),
            })
        });
        Ok(())
    }

    /// Whether the running kernel was asked and says something else than the rules of its version.
    #[must_use]
    pub fn is_contradicted(&self) -> bool {
        match &self.live {
            Some(Live::Asked(asked)) => asked.is_contradiction(),
            Some(Live::NotAsked(_)) | None => false,
        }
    }
}

//! Resolves the CO-RE relocations of programs in kernels that need not run, and tells which programs would fail there.
//!
//! A relocation without an answer is no failure in itself: libbpf puts a call of a function that does not exist into its place,
//! which the verifier minds only if the program can get there. Programs ask first, and jump over the place. `reach`
//! tells whether the jump is certain.

mod reach;

use std::collections::{BTreeMap, HashMap};

use btf_core::ByteOrder;
use btf_core::core_relo::{
    Fault, Found, Insn, Kernel, Patch, Request, Resolver, insn, patch, spell,
};
use btf_core::ext::CoreRelo;

use crate::program::{Code, Program, Relocation};

/// How sections of programs start that a loader leaves out unless it is told.
const OPTIONAL: u8 = b'?';

/// What a kernel makes of a program's relocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of relocations.
    pub count: usize,
    /// The number of those without an answer that the program jumps over.
    pub guarded: usize,
    /// Those that make the program fail, in the order of `.BTF.ext`.
    pub problems: Vec<Problem>,
    /// What becomes of each relocation, in the order of `.BTF.ext`.
    pub answers: Vec<Answer>,
    /// Why nothing was asked: a kernel refuses programs of another byte order.
    pub other_order: Option<OtherOrder>,
}

/// A program and a kernel of different byte orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherOrder {
    /// That of the program.
    pub program: ByteOrder,
    /// That of the kernel.
    pub kernel: ByteOrder,
}

impl std::fmt::Display for OtherOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { program, kernel } = self;
        write!(f, "its byte order is {program}, the kernel's is {kernel}")
    }
}

/// What becomes of a relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The instruction gets another value, or the same again.
    Value {
        /// What it holds.
        old: u64,
        /// What it will hold.
        new: u64,
    },
    /// The instruction is replaced by one that must not be reached.
    Poison,
    /// The loader refuses the object.
    Refused,
}

impl Answer {
    /// The answer without what the instruction held before.
    const fn new_value(self) -> Self {
        match self {
            Self::Value { new, .. } => Self::Value { old: 0, new },
            Self::Poison | Self::Refused => self,
        }
    }

    fn of(outcome: &Result<Outcome, Fault>) -> Self {
        match outcome {
            Err(_) => Self::Refused,
            Ok(outcome) if outcome.patch.is_poison => Self::Poison,
            Ok(Outcome { found, .. }) => Self::Value {
                old: found.value.old,
                new: found.value.new,
            },
        }
    }
}

/// A relocation that makes a program fail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// The number of the relocation, from 0.
    pub number: usize,
    /// What happens.
    pub verdict: Verdict,
    /// Why, in words; names are the input's own bytes.
    pub why: Vec<u8>,
    /// Whether the program is in a section that a loader leaves out unless it is told.
    pub is_optional: bool,
}

/// What happens to a program because of a relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The loader refuses the whole object.
    Refused,
    /// The verifier refuses the program, because it may get to an instruction without an answer.
    Reached,
}

impl Verdict {
    /// The verdict as a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reached => "reached",
        }
    }
}

impl Report {
    /// Whether the object fails to load as it is.
    #[must_use]
    pub fn fails(&self) -> bool {
        let mut problems = self.problems.iter();
        self.other_order.is_some() || problems.any(|problem| !problem.is_optional)
    }
}

/// A program whose relocations are understood, to be checked with many kernels.
#[derive(Debug)]
pub struct Checked {
    /// The program.
    pub program: Program,
    requests: Vec<Result<Request, Fault>>,
}

/// A relocation that has been resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer.
    pub found: Found,
    /// The instruction with the answer.
    pub patch: Patch,
}

impl Checked {
    /// Understands the relocations of a program.
    #[must_use]
    pub fn new(program: Program) -> Self {
        let relocations = program.relocations.iter();
        let requests = relocations
            .map(|relocation| Request::parse(&program.btf, &relocation.relo))
            .collect();
        Self { program, requests }
    }

    /// What each relocation asks, in their order.
    pub fn requests(&self) -> &[Result<Request, Fault>] {
        &self.requests
    }

    /// The byte orders of this program and a kernel, if they differ.
    #[must_use]
    pub fn other_order(&self, kernel: &Kernel) -> Option<OtherOrder> {
        let orders = OtherOrder {
            program: self.program.order(),
            kernel: kernel.btf(0)?.byte_order(),
        };
        (orders.program != orders.kernel).then_some(orders)
    }

    /// Whether a kernel's modules must be asked.
    #[must_use]
    pub fn needs_modules(&self, kernel: &Kernel) -> bool {
        let btf = &self.program.btf;
        let mut roots: Vec<_> = self.requests.iter().flatten().collect();
        roots.retain(|request| !kernel.has_own(btf, request.spec.root));
        !roots.is_empty()
    }

    /// Finds what each relocation matches in a kernel, in their order.
    #[must_use]
    pub fn find(&self, kernel: &Kernel) -> Vec<Result<Found, Fault>> {
        let btf = &self.program.btf;
        // What a loader leaves out does not take candidates away from the rest.
        let mut resolvers = [Resolver::new(btf, kernel), Resolver::new(btf, kernel)];
        let relocations = self.program.relocations.iter().zip(&self.requests);
        let found = relocations.map(|(relocation, request)| {
            let request = request.as_ref().map_err(Clone::clone)?;
            let [resolver, optional] = &mut resolvers;
            if self.is_optional(relocation) {
                optional.resolve(request)
            } else {
                resolver.resolve(request)
            }
        });
        found.collect()
    }

    /// Resolves all relocations in their order.
    #[must_use]
    pub fn resolve(&self, kernel: &Kernel) -> Vec<Result<Outcome, Fault>> {
        let program = &self.program;
        let relocations = program.relocations.iter().zip(self.find(kernel));
        let outcomes = relocations.map(|(relocation, found)| {
            let found = found?;
            let code = relocation.section;
            let code = code.and_then(|section| program.sections.get(section));
            let code = code.ok_or(Fault::Insn("its section does not exist"))?;
            let patch = self.patch(code, &relocation.relo, &found)?;
            Ok(Outcome { found, patch })
        });
        outcomes.collect()
    }

    /// What becomes of each relocation, in their order.
    #[must_use]
    pub fn answers(&self, kernel: &Kernel) -> Vec<Answer> {
        self.resolve(kernel).iter().map(Answer::of).collect()
    }

    /// Whether a relocation is in a section that a loader leaves out unless it is told.
    fn is_optional(&self, relocation: &Relocation) -> bool {
        let name = self.program.btf.string(relocation.section_name);
        name.is_ok_and(|name| name.first() == Some(&OPTIONAL))
    }

    fn patch(&self, code: &Code, relo: &CoreRelo, found: &Found) -> Result<Patch, Fault> {
        let order = self.program.order();
        let offset = u64::from(relo.insn_off);
        let insn = code.insn(order, offset);
        let insn = insn.filter(|_| offset.is_multiple_of(insn::LEN as u64));
        let insn = insn.ok_or(Fault::Insn("there is no such instruction"))?;
        let next = code.insn(order, offset + insn::LEN as u64);
        patch(insn, next, &found.value)
    }

    /// The relocations that this program and `other`, which was made of it, resolve differently in a kernel, by their numbers
    /// here. Ids of the programs' own types may differ.
    #[must_use]
    pub fn differences(&self, other: &Self, kernel: &Kernel) -> Vec<usize> {
        let answers_by_place = |checked: &Self| -> HashMap<_, _> {
            let program = &checked.program;
            let relocations = program.relocations.iter().zip(checked.answers(kernel));
            let places = relocations.map(|(relocation, answer)| {
                let section = relocation.section.and_then(|at| program.sections.get(at));
                let name = section.map(|code| code.name.clone()).unwrap_or_default();
                let relo = &relocation.relo;
                ((name, relo.insn_off, relo.kind), answer.new_value())
            });
            places.collect()
        };
        let (before, after) = (answers_by_place(self), answers_by_place(other));
        let relocations = self.program.relocations.iter().enumerate();
        let differs = relocations.filter(|(number, relocation)| {
            let request = self.requests.get(*number);
            let is_own = request.is_some_and(|request| {
                request
                    .as_ref()
                    .is_ok_and(|request| !request.kind.needs_kernel())
            });
            let section = relocation
                .section
                .and_then(|at| self.program.sections.get(at));
            let name = section.map(|code| code.name.clone()).unwrap_or_default();
            let key = (name, relocation.relo.insn_off, relocation.relo.kind);
            !after.contains_key(&key) || !is_own && before.get(&key) != after.get(&key)
        });
        differs.map(|(number, _)| number).collect()
    }

    /// Tells what a kernel makes of the program.
    #[must_use]
    pub fn check(&self, kernel: &Kernel) -> Report {
        let program = &self.program;
        if let Some(orders) = self.other_order(kernel) {
            let count = program.relocations.len();
            return Report {
                count,
                answers: vec![Answer::Refused; count],
                other_order: Some(orders),
                ..Report::default()
            };
        }
        let outcomes = self.resolve(kernel);
        let poisoned = self.poisoned(&outcomes);
        let mut report = Report {
            count: outcomes.len(),
            answers: outcomes.iter().map(Answer::of).collect(),
            ..Report::default()
        };
        let relocations = program.relocations.iter().zip(&self.requests);
        for (number, (relocation, request)) in relocations.enumerate() {
            let (verdict, why) = match outcomes.get(number) {
                Some(Err(fault)) => (Verdict::Refused, fault.to_string().into_bytes()),
                Some(Ok(outcome)) if outcome.patch.is_poison => {
                    let offset = relocation.relo.insn_off;
                    let key = relocation.section.map(|section| (section, offset));
                    if key.and_then(|key| poisoned.get(&key)) == Some(&false) {
                        report.guarded += 1;
                        continue;
                    }
                    let why = request
                        .as_ref()
                        .map(|request| self.why(kernel, request, outcome));
                    (Verdict::Reached, why.unwrap_or_default())
                }
                _ => continue,
            };
            report.problems.push(Problem {
                number,
                verdict,
                why,
                is_optional: self.is_optional(relocation),
            });
        }
        report
    }

    /// The poisoned instructions by section and offset in bytes, and whether the program can get to each.
    fn poisoned(&self, outcomes: &[Result<Outcome, Fault>]) -> HashMap<(usize, u32), bool> {
        let mut sections: BTreeMap<usize, Patches> = BTreeMap::new();
        for (relocation, outcome) in self.program.relocations.iter().zip(outcomes) {
            let (Ok(outcome), Some(section)) = (outcome, relocation.section) else {
                continue;
            };
            let offset = relocation.relo.insn_off;
            let patches = sections.entry(section).or_default();
            patches.insns.insert(offset.into(), outcome.patch.insn);
            if let Some(second) = outcome.patch.second {
                let offset = u64::from(offset) + insn::LEN as u64;
                patches.insns.insert(offset, second);
            }
            if outcome.patch.is_poison {
                patches.poisoned.push(offset);
            }
        }
        let mut found = HashMap::new();
        for (section, patches) in sections {
            let Some(code) = self.program.sections.get(section) else {
                continue;
            };
            if patches.poisoned.is_empty() {
                continue;
            }
            let entries = self.program.functions_of(section).iter();
            let entries = entries.map(|function| function.insn_off);
            let reached = reach::reached(code, self.program.order(), &patches.insns, entries);
            let poisoned = patches.poisoned.into_iter();
            found.extend(poisoned.map(|at| ((section, at), reached.contains(at.into()))));
        }
        found
    }

    /// Why a relocation has no answer.
    fn why(&self, kernel: &Kernel, request: &Request, outcome: &Outcome) -> Vec<u8> {
        let btf = &self.program.btf;
        let Some((candidate, mismatch)) = &outcome.found.nearest else {
            if outcome.found.matches.is_empty() {
                let name = spell::type_name(btf, request.spec.root);
                return [b"there is no `", &*name, b"`"].concat();
            }
            let (old, new) = (outcome.found.value.old_size, outcome.found.value.new_size);
            let text = format!("it has {new} bytes instead of {old}, and is no unsigned integer");
            return text.into_bytes();
        };
        let Some(target) = kernel.btf(candidate.blob) else {
            return Vec::new();
        };
        spell::mismatch(btf, &request.spec, target, mismatch)
    }
}

/// What relocations make of a section of instructions.
#[derive(Debug, Default)]
struct Patches {
    /// The new instructions by their offsets in bytes.
    insns: HashMap<u64, Insn>,
    /// The offsets of those that must not be reached.
    poisoned: Vec<u32>,
}

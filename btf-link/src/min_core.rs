//! The part of a kernel's BTF that the CO-RE relocations of programs need, for kernels that have no BTF of their own.
//!
//! A loader that gets it in place of the kernel's BTF resolves the relocations to the same values. So whatever matches is kept,
//! all candidates included: of structures the members on the way, with their offsets and the structure's size; of enumerations
//! everything; of types that are only compared what is compared. What a kept type refers to is kept without its members, but
//! for what a pointer points to, which becomes `void`: no question leads through it.
//!
//! Types of modules are put behind those of the kernel, in one BTF that stands alone. They are only asked for where the kernel
//! has no type of that name, so the order does not matter.
//!
//! That the values stay the same is checked before anything is handed out ([`differences`]).

mod keep;

use std::sync::Arc;

use btf_core::core_relo::{Fault, Kernel, RelocationKind, Resolver};
use btf_core::{Btf, Result};

use crate::core_check::{Answer, Checked};
use keep::Keep;

/// A minimal BTF.
#[derive(Debug)]
pub struct MinCore {
    /// The types.
    pub btf: Btf,
    /// The relocations that match no type.
    pub unmatched: Vec<Unmatched>,
    /// The relocations that a loader refuses, each by the number of its program and its own number there.
    pub refused: Vec<(usize, usize, Fault)>,
}

/// A relocation that matches no type of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// The number of the program.
    pub program: usize,
    /// The number of the relocation in the program.
    pub number: usize,
    /// Whether that is an answer, as to the question whether there is such a type.
    pub is_answered: bool,
}

/// Makes the minimal BTF of a kernel for programs; with `functions`, also those that programs attach to or call.
///
/// # Errors
/// [`btf_core::ErrorKind::TypeIdOutOfRange`] and [`btf_core::ErrorKind::StringOutOfRange`] for what a kept type refers to and does not
/// exist.
pub fn min_core(kernel: &Kernel, programs: &[Checked], functions: bool) -> Result<MinCore> {
    let mut keep = Keep::new(kernel);
    let (mut unmatched, mut refused) = (Vec::new(), Vec::new());
    for (index, program) in programs.iter().enumerate() {
        let requests = program.requests().iter();
        for (number, (outcome, request)) in
            program.find(kernel).into_iter().zip(requests).enumerate()
        {
            let (found, request) = match (outcome, request) {
                (Ok(found), Ok(request)) => (found, request),
                (Err(fault), request) => {
                    // What is ambiguous stays so.
                    let mut resolver = Resolver::new(&program.program.btf, kernel);
                    let matches = request.as_ref().ok().and_then(|request| {
                        let matches = resolver.matches(request).ok()?;
                        Some((request.kind, matches))
                    });
                    if let Some((kind, matches)) = matches {
                        keep.all(kind, &matches)?;
                    }
                    refused.push((index, number, fault));
                    continue;
                }
                (Ok(_), Err(_)) => continue,
            };
            if found.matches.is_empty() && request.kind.needs_kernel() {
                unmatched.push(Unmatched {
                    program: index,
                    number,
                    is_answered: request.kind.is_answered_without_type(),
                });
            }
            keep.all(request.kind, &found.matches)?;
        }
        if functions {
            for name in program.program.kernel_symbols() {
                keep.symbol(&name)?;
            }
        }
    }
    Ok(MinCore {
        btf: keep.build()?,
        unmatched,
        refused,
    })
}

/// The relocations that a minimal BTF does not answer as the kernel does, each by the number of its program and its own.
///
/// Ids of types may differ, as long as there is one.
#[must_use]
pub fn differences(kernel: &Kernel, programs: &[Checked], min: &Arc<Btf>) -> Vec<(usize, usize)> {
    let min = Kernel::new(min.clone());
    let mut found = Vec::new();
    for (index, program) in programs.iter().enumerate() {
        let answers = program
            .answers(kernel)
            .into_iter()
            .zip(program.answers(&min));
        let requests = program.requests().iter();
        for (number, ((before, after), request)) in answers.zip(requests).enumerate() {
            let is_id = request
                .as_ref()
                .is_ok_and(|request| request.kind == RelocationKind::TypeIdTarget);
            let is_same = match (before, after) {
                (Answer::Value { new: before, .. }, Answer::Value { new: after, .. }) if is_id => {
                    (before == 0) == (after == 0)
                }
                (before, after) => before == after,
            };
            if !is_same {
                found.push((index, number));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;

//! Which instructions a program can get to, as far as constants tell.
//!
//! The answers of relocations are constants in the instructions, and programs compare them: `if (bpf_core_field_exists(…))`
//! is a comparison of 0 or 1 with 0. So registers are followed that hold known constants, over all paths; where a jump
//! depends on known values, one of its ways is not taken. Everything else (memory, results of calls, what was different on two
//! ways to a place) is unknown, and both ways are taken. The verifier knows more, so what is unreachable here is
//! unreachable there.
//!
//! Cost: each of eleven registers becomes unknown at most once at each instruction, so each is visited twelve times at most.

use std::collections::HashMap;

use btf_core::ByteOrder;
use btf_core::core_relo::Insn;
use btf_core::core_relo::insn::{self, class};

use crate::program::Code;

/// The number of registers.
const REGISTERS: usize = 11;
/// The bits of a store that tell its mode.
const MODE_MASK: u8 = 0xe0;
/// The mode of atomic operations.
const ATOMIC: u8 = 0xc0;

/// What the registers hold, where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct State {
    values: [u64; REGISTERS],
    /// A bit for each register whose value is known.
    known: u16,
}

impl State {
    fn get(&self, register: u8) -> Option<u64> {
        let value = self.values.get(usize::from(register))?;
        (self.known >> register & 1 != 0).then_some(*value)
    }

    fn set(&mut self, register: u8, value: Option<u64>) {
        let Some(slot) = self.values.get_mut(usize::from(register)) else {
            return;
        };
        *slot = value.unwrap_or(0);
        self.known &= !(1 << register);
        self.known |= u16::from(value.is_some()) << register;
    }

    /// Forgets the registers that a call changes.
    fn forget_scratch(&mut self) {
        for register in 0..=5 {
            self.set(register, None);
        }
    }

    /// Forgets what differs; returns whether anything does.
    fn join(&mut self, other: &Self) -> bool {
        let before = self.known;
        for register in 0..11 {
            if self.get(register) != other.get(register) {
                self.set(register, None);
            }
        }
        self.known != before
    }
}

/// The instructions that a program can get to.
#[derive(Clone, Debug)]
pub(super) struct Reached(Vec<Option<State>>);

impl Reached {
    /// Whether the instruction at `offset` bytes is one of them.
    #[must_use]
    pub(super) fn contains(&self, offset: u64) -> bool {
        let index = usize::try_from(offset / insn::LEN as u64).ok();
        index.is_some_and(|index| matches!(self.0.get(index), Some(Some(_))))
    }
}

/// Follows the instructions of a section from `entries`, the offsets of its functions in bytes; without any, everything is
/// reached.
///
/// `patches` are instructions that differ from those of the section, by their offsets in bytes.
#[must_use]
pub(super) fn reached(
    code: &Code,
    order: ByteOrder,
    patches: &HashMap<u64, Insn>,
    entries: impl IntoIterator<Item = u32>,
) -> Reached {
    let count = code.bytes.len() / insn::LEN;
    let mut walk = Walk {
        states: vec![None; count],
        open: Vec::new(),
        is_all: false,
    };
    for entry in entries {
        walk.enter(Some(i64::from(entry) / 8), &State::default());
    }
    if walk.open.is_empty() {
        walk.enter_all();
    }
    while let Some(index) = walk.open.pop() {
        let offset = index as u64 * insn::LEN as u64;
        let patched = patches.get(&offset).copied();
        let (Some(insn), Some(Some(state))) = (
            patched.or_else(|| code.insn(order, offset)),
            walk.states.get(index).copied(),
        ) else {
            continue;
        };
        let is_relocated = code.relocated.contains(&offset);
        let next = code.insn(order, offset + insn::LEN as u64);
        step(&mut walk, index, insn, next, is_relocated, state);
    }
    Reached(walk.states)
}

struct Walk {
    states: Vec<Option<State>>,
    /// The instructions whose state is new.
    open: Vec<usize>,
    /// Whether every instruction was entered with nothing known.
    is_all: bool,
}

impl Walk {
    /// Notes that the program gets to the instruction `index` with this state.
    fn enter(&mut self, index: Option<i64>, state: &State) {
        let index = index.and_then(|index| usize::try_from(index).ok());
        let Some((index, slot)) = index.and_then(|i| Some((i, self.states.get_mut(i)?))) else {
            return;
        };
        let is_new = slot.as_mut().is_none_or(|known| known.join(state));
        slot.get_or_insert(*state);
        if is_new {
            self.open.push(index);
        }
    }

    /// Notes that nobody knows where the program goes.
    fn enter_all(&mut self) {
        // Nothing is known of any register afterwards, so that once is enough.
        if std::mem::replace(&mut self.is_all, true) {
            return;
        }
        for index in 0..self.states.len() {
            self.enter(i64::try_from(index).ok(), &State::default());
        }
    }
}

/// Does one instruction.
fn step(
    walk: &mut Walk,
    index: usize,
    insn: Insn,
    second: Option<Insn>,
    is_relocated: bool,
    mut state: State,
) {
    let at = i64::try_from(index).unwrap_or(i64::MAX - 2);
    let next = Some(at + 1);
    match insn.class() {
        class::LD if insn.is_wide() => {
            let high = second.map_or(0, |second| second.imm);
            let value = u64::from(insn.imm.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32;
            let is_plain = insn.src == 0 && !is_relocated;
            state.set(insn.dst, is_plain.then_some(value));
            walk.enter(Some(at + 2), &state);
        }
        class::LD => {
            state.forget_scratch();
            walk.enter(next, &state);
        }
        class::LDX => {
            state.set(insn.dst, None);
            walk.enter(next, &state);
        }
        class::ST => walk.enter(next, &state),
        class::STX => {
            if insn.code & MODE_MASK == ATOMIC {
                // The old value may come back in the source register or in r0, and a load may be one of these, too.
                state.set(insn.src, None);
                state.set(insn.dst, None);
                state.set(0, None);
            }
            walk.enter(next, &state);
        }
        class::ALU | class::ALU64 => {
            let value = arithmetic(insn, &state, is_relocated);
            state.set(insn.dst, value);
            walk.enter(next, &state);
        }
        _ => jump(walk, at, insn, &state),
    }
}

/// The second operand.
fn operand(insn: Insn, state: &State) -> Option<u64> {
    if insn.code & insn::SOURCE_REGISTER != 0 {
        state.get(insn.src)
    } else {
        Some(i64::from(insn.imm).cast_unsigned())
    }
}

/// The result of an arithmetic instruction, if it is known.
fn arithmetic(insn: Insn, state: &State, is_relocated: bool) -> Option<u64> {
    let is_narrow = insn.class() == class::ALU;
    let cut = |value: u64| {
        if is_narrow {
            value & u64::from(u32::MAX)
        } else {
            value
        }
    };
    // An offset makes it another operation: with sign extension, or signed division.
    if insn.off != 0 || is_relocated {
        return None;
    }
    let b = cut(operand(insn, state)?);
    let operation = insn.code & 0xf0;
    if operation == 0xb0 {
        return Some(b);
    }
    let a = cut(state.get(insn.dst)?);
    let shift = u32::try_from(b & if is_narrow { 31 } else { 63 }).unwrap_or(0);
    Some(cut(match operation {
        0x00 => a.wrapping_add(b),
        0x10 => a.wrapping_sub(b),
        0x20 => a.wrapping_mul(b),
        0x40 => a | b,
        0x50 => a & b,
        0x60 => a << shift,
        0x70 => a >> shift,
        0xa0 => a ^ b,
        0xc0 if is_narrow => {
            let low = u32::try_from(a).unwrap_or(0).cast_signed();
            i64::from(low >> shift).cast_unsigned()
        }
        0xc0 => (a.cast_signed() >> shift).cast_unsigned(),
        _ => return None,
    }))
}

/// Does a jump, a call or the end of a function.
fn jump(walk: &mut Walk, at: i64, insn: Insn, state: &State) {
    let is_narrow = insn.class() == class::JMP32;
    let near = Some(at + 1 + i64::from(insn.off));
    let next = Some(at + 1);
    match insn.code & 0xf0 {
        0x00 if insn.code & insn::SOURCE_REGISTER != 0 => walk.enter_all(),
        0x00 if is_narrow => walk.enter(Some(at + 1 + i64::from(insn.imm)), state),
        0x00 => walk.enter(near, state),
        0x80 => {
            let mut state = *state;
            state.forget_scratch();
            walk.enter(next, &state);
        }
        0x90 => {}
        operation => {
            let values = state.get(insn.dst).zip(operand(insn, state));
            let taken = values.and_then(|(a, b)| compare(operation, is_narrow, a, b));
            if taken != Some(false) {
                walk.enter(near, state);
            }
            if taken != Some(true) {
                walk.enter(next, state);
            }
        }
    }
}

/// Whether a jump is taken; `None` for an operation that is not known.
fn compare(operation: u8, is_narrow: bool, a: u64, b: u64) -> Option<bool> {
    let (a, b) = if is_narrow {
        (a & u64::from(u32::MAX), b & u64::from(u32::MAX))
    } else {
        (a, b)
    };
    let signed = |value: u64| match u32::try_from(value) {
        Ok(low) if is_narrow => i64::from(low.cast_signed()),
        _ => value.cast_signed(),
    };
    Some(match operation {
        0x10 => a == b,
        0x20 => a > b,
        0x30 => a >= b,
        0x40 => a & b != 0,
        0x50 => a != b,
        0x60 => signed(a) > signed(b),
        0x70 => signed(a) >= signed(b),
        0xa0 => a < b,
        0xb0 => a <= b,
        0xc0 => signed(a) < signed(b),
        0xd0 => signed(a) <= signed(b),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_jumps_to_anywhere_cost_little() {
        let jump = [0x0d, 0, 0, 0, 0, 0, 0, 0];
        let code = Code {
            bytes: jump.repeat(1 << 19),
            ..Code::default()
        };
        let reached = reached(&code, ByteOrder::Little, &HashMap::new(), [0]);
        assert!(reached.contains(8 * ((1 << 19) - 1)));
    }
}

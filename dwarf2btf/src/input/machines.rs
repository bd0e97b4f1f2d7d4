//! What the relocation types of each machine do, as far as data of debug sections has them: one table a machine.
//!
//! To add a machine, add its table and a row to [`rules`]. The most frequent type comes first, since tables are searched.
//!
//! Spec: the psABI of each machine; the type numbers are those of its `R_*` constants.

/// What a relocation type does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// The type.
    pub(super) kind: u32,
    pub(super) operation: Operation,
    /// The bits that are changed.
    pub(super) mask: u64,
}

/// How a relocation changes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Not at all.
    Nothing,
    /// Symbol + addend.
    Set,
    /// What is there + symbol + addend.
    Add,
    /// What is there − symbol − addend.
    Subtract,
}

pub(super) const EM_SPARC: u16 = 2;
pub(super) const EM_386: u16 = 3;
pub(super) const EM_MIPS: u16 = 8;
pub(super) const EM_PPC: u16 = 20;
pub(super) const EM_PPC64: u16 = 21;
pub(super) const EM_S390: u16 = 22;
pub(super) const EM_ARM: u16 = 40;
pub(super) const EM_SPARCV9: u16 = 43;
pub(super) const EM_X86_64: u16 = 62;
pub(super) const EM_AARCH64: u16 = 183;
pub(super) const EM_RISCV: u16 = 243;
pub(super) const EM_BPF: u16 = 247;
pub(super) const EM_LOONGARCH: u16 = 258;

/// The rules of a machine; none if it is not known.
pub(super) const fn rules(machine: u16) -> &'static [Rule] {
    match machine {
        EM_X86_64 => X86_64,
        EM_386 => I386,
        EM_AARCH64 => AARCH64,
        EM_ARM => ARM,
        EM_S390 => S390,
        EM_PPC | EM_PPC64 => POWERPC,
        EM_MIPS => MIPS,
        EM_SPARC | EM_SPARCV9 => SPARC,
        EM_BPF => BPF,
        EM_RISCV => RISCV,
        EM_LOONGARCH => LOONGARCH,
        _ => &[],
    }
}

const M6: u64 = 0x3f;
const M8: u64 = 0xff;
const M16: u64 = 0xffff;
const M24: u64 = 0x00ff_ffff;
const M32: u64 = 0xffff_ffff;
const M64: u64 = u64::MAX;

const fn nothing(kind: u32) -> Rule {
    rule(kind, Operation::Nothing, 0)
}

const fn set(kind: u32, mask: u64) -> Rule {
    rule(kind, Operation::Set, mask)
}

const fn add(kind: u32, mask: u64) -> Rule {
    rule(kind, Operation::Add, mask)
}

const fn sub(kind: u32, mask: u64) -> Rule {
    rule(kind, Operation::Subtract, mask)
}

const fn rule(kind: u32, operation: Operation, mask: u64) -> Rule {
    Rule {
        kind,
        operation,
        mask,
    }
}

/// `_32`, `_64`, `_32S`, `_16`, `_8`.
const X86_64: &[Rule] = &[
    set(10, M32),
    set(1, M64),
    set(11, M32),
    set(12, M16),
    set(14, M8),
];

/// `_32`, `_16`, `_8`.
const I386: &[Rule] = &[set(1, M32), set(20, M16), set(22, M8)];

/// `_ABS32`, `_ABS64`, `_ABS16`, and `_NONE` by its old number.
const AARCH64: &[Rule] = &[set(258, M32), set(257, M64), set(259, M16), nothing(256)];

/// `_ABS32`, `_TARGET1`, `_ABS32_NOI`, `_ABS16`, `_ABS8`.
const ARM: &[Rule] = &[
    set(2, M32),
    set(38, M32),
    set(55, M32),
    set(5, M16),
    set(8, M8),
];

/// `_32`, `_64`, `_16`, `_8`.
const S390: &[Rule] = &[set(4, M32), set(22, M64), set(3, M16), set(1, M8)];

/// `_ADDR32`, `_ADDR64`, `_UADDR32`, `_UADDR64`, `_ADDR16`, `_UADDR16`; both widths share the numbers.
const POWERPC: &[Rule] = &[
    set(1, M32),
    set(38, M64),
    set(24, M32),
    set(43, M64),
    set(3, M16),
    set(25, M16),
];

/// `_32`, `_64`, `_16`.
const MIPS: &[Rule] = &[set(2, M32), set(18, M64), set(1, M16)];

/// `_UA32`, `_UA64`, `_32`, `_64`, `_UA16`, `_16`, `_8`.
const SPARC: &[Rule] = &[
    set(23, M32),
    set(54, M64),
    set(3, M32),
    set(32, M64),
    set(55, M16),
    set(2, M16),
    set(1, M8),
];

/// `_64_ABS32`, `_64_ABS64`, `_64_NODYLD32`, and before those existed `_64_32` and `_64_64`.
const BPF: &[Rule] = &[
    set(3, M32),
    set(2, M64),
    set(4, M32),
    set(10, M32),
    set(1, M64),
];

/// The types of plain words, then pairs for differences; `_RELAX` (51) speaks to the linker only.
const RISCV: &[Rule] = &[
    set(1, M32),
    set(2, M64),
    add(35, M32),
    sub(39, M32),
    add(36, M64),
    sub(40, M64),
    add(34, M16),
    sub(38, M16),
    add(33, M8),
    sub(37, M8),
    set(53, M6),
    sub(52, M6),
    set(54, M8),
    set(55, M16),
    set(56, M32),
    set(60, M64), // _SET_ULEB128; the reader decodes and the mask is the widest
    sub(61, M64), // _SUB_ULEB128
    nothing(51),
];

/// As for RISC-V.
const LOONGARCH: &[Rule] = &[
    set(1, M32),
    set(2, M64),
    add(50, M32),
    sub(55, M32),
    add(51, M64),
    sub(56, M64),
    add(49, M24),
    sub(54, M24),
    add(48, M16),
    sub(53, M16),
    add(47, M8),
    sub(52, M8),
    add(105, M6),
    sub(106, M6),
    add(107, M64), // _ADD_ULEB128
    sub(108, M64), // _SUB_ULEB128
    nothing(100),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_has_two_rules_and_none_is_zero() {
        for machine in 0..300 {
            let rules = rules(machine);
            for (index, rule) in rules.iter().enumerate() {
                let rest = &rules[index + 1..];
                assert!(rule.kind != 0 && rest.iter().all(|other| other.kind != rule.kind));
            }
        }
    }
}

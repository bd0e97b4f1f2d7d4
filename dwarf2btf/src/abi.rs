//! Which registers carry a function's parameters, per ELF machine: one table.
//!
//! The parameter walk compares the register that DWARF names for a parameter with the one that the calling convention
//! gives it. Where they differ the compiler has changed the function's signature, and a prototype in BTF would lie about
//! it. Numbers are DWARF register numbers, which each psABI defines beside its calling convention.
//!
//! x86-64, `AArch64`, Arm and s390x have the same lists and counts as pahole 1.32. pahole compares no registers elsewhere
//! (and with clang then takes every register for a wrong one); the lists of RISC-V, `PowerPC` and `LoongArch` are ours.
//! Arm passes four words in registers, pahole's count is eight: a parameter past the fourth is then looked up in
//! `r4`..`r7`, is not there, and only counts as optimized, which alone leaves nothing out.
//!
//! A parameter that is passed on the stack takes no register on x86-64, and one passed by reference takes one. pahole
//! counts as many slots as it is wide, and therefore leaves out a function with a large union by value before another
//! parameter; structs hide the mistake, since it ignores registers in a function that has one by value.
//!
//! Only integer registers are listed. On x86-64 a floating-point parameter in a vector register (`xmm0` is 17) is therefore
//! "unexpected", as in pahole; kernels have none outside of a few files that must not be traced anyway.

/// ELF machine numbers (`e_machine`).
///
/// Spec: gABI, "ELF Header", and the psABI of each machine.
pub mod machine {
    /// SPARC, 32 bits.
    pub const SPARC: u16 = 2;
    /// MIPS.
    pub const MIPS: u16 = 8;
    /// SPARC with `v8+` extensions.
    pub const SPARC32PLUS: u16 = 18;
    /// `PowerPC`, 32 bits.
    pub const PPC: u16 = 20;
    /// `PowerPC`, 64 bits.
    pub const PPC64: u16 = 21;
    /// IBM Z, 31 and 64 bits.
    pub const S390: u16 = 22;
    /// Arm, 32 bits.
    pub const ARM: u16 = 40;
    /// SPARC, 64 bits.
    pub const SPARCV9: u16 = 43;
    /// AMD x86-64.
    pub const X86_64: u16 = 62;
    /// Synopsys `ARCompact`.
    pub const ARC_COMPACT: u16 = 93;
    /// Arm, 64 bits.
    pub const AARCH64: u16 = 183;
    /// Synopsys `ARCv2`.
    pub const ARC_COMPACT2: u16 = 195;
    /// RISC-V, 32 and 64 bits.
    pub const RISCV: u16 = 243;
    /// `LoongArch`, 32 and 64 bits.
    pub const LOONGARCH: u16 = 258;
}

/// The name of a DWARF register on a machine, in small letters; `register N` where that is not known.
///
/// Spec: the psABI of each machine, "DWARF Register Number Mapping"; for s390x 1.6, 0 to 15 are the general registers.
#[must_use]
pub fn register_name(machine: u16, register: u16) -> String {
    let number = gimli::Register(register);
    let name = match machine {
        machine::X86_64 => gimli::X86_64::register_name(number),
        machine::AARCH64 => gimli::AArch64::register_name(number),
        machine::ARM => gimli::Arm::register_name(number),
        machine::RISCV => gimli::RiscV::register_name(number),
        machine::LOONGARCH => gimli::LoongArch::register_name(number),
        machine::MIPS => gimli::MIPS::register_name(number),
        machine::PPC64 => gimli::PowerPc64::register_name(number),
        machine::S390 if register < 16 => return format!("r{register}"),
        _ => None,
    };
    match name {
        Some(name) => name.trim_start_matches('$').to_ascii_lowercase(),
        None => format!("register {register}"),
    }
}

/// What the parameter walk needs to know of a calling convention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abi {
    /// The size of an address and of an integer register, in bytes.
    pub address_size: u8,
    /// How many registers carry parameters; 0 where nothing is checked.
    pub register_count: u8,
    /// The DWARF numbers of these registers in order; empty where registers are not compared.
    pub registers: &'static [u16],
    /// Whether a parameter wider than a register takes several.
    pub splits_aggregates: bool,
    /// How a parameter wider than two registers is passed.
    pub wide: Wide,
}

/// How a parameter is passed that is wider than two registers, or than one where nothing is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wide {
    /// On the stack; it takes no register.
    Stack,
    /// By reference: a register holds the address of a copy.
    Reference,
    /// In as many registers as it is wide, the rest on the stack.
    Registers,
}

/// One row of [`TABLE`]: the machine, then what [`Abi`] says.
type Row = (u16, u8, &'static [u16], bool, Wide);

/// Machine, number of registers, their DWARF numbers, whether wide values are split over registers, very wide ones.
const TABLE: &[Row] = &[
    // System V ABI, AMD64 supplement, 3.2.3 "Parameter Passing", figure 3.36: rdi, rsi, rdx, rcx, r8, r9.
    (machine::X86_64, 6, &[5, 4, 1, 2, 8, 9], true, Wide::Stack),
    // AAPCS64 6.4 "Parameter passing", "DWARF for the Arm 64-bit Architecture" 4.1: x0..x7.
    (
        machine::AARCH64,
        8,
        &[0, 1, 2, 3, 4, 5, 6, 7],
        true,
        Wide::Reference,
    ),
    // AAPCS32 6.4, "DWARF for the Arm Architecture" 4.1; eight instead of four as in pahole, see above.
    (
        machine::ARM,
        8,
        &[0, 1, 2, 3, 4, 5, 6, 7],
        true,
        Wide::Registers,
    ),
    // s390x ELF ABI 1.2.5 "Parameter passing", 1.6: r2..r6; wider values go by reference.
    (machine::S390, 5, &[2, 3, 4, 5, 6], false, Wide::Reference),
    // RISC-V psABI, "Integer Calling Convention", "DWARF Register Numbers": x10..x17.
    (
        machine::RISCV,
        8,
        &[10, 11, 12, 13, 14, 15, 16, 17],
        true,
        Wide::Reference,
    ),
    // 64-bit ELF V2 ABI 2.2.4 "Parameter Passing", 2.4: r3..r10.
    (
        machine::PPC64,
        8,
        &[3, 4, 5, 6, 7, 8, 9, 10],
        true,
        Wide::Registers,
    ),
    // LoongArch psABI "Procedure Calling Convention", DWARF numbers: a0..a7 = r4..r11.
    (
        machine::LOONGARCH,
        8,
        &[4, 5, 6, 7, 8, 9, 10, 11],
        true,
        Wide::Reference,
    ),
    // Counts only, as in pahole.
    (machine::PPC, 8, &[], true, Wide::Reference),
    (machine::MIPS, 8, &[], true, Wide::Registers),
    (machine::ARC_COMPACT, 8, &[], true, Wide::Registers),
    (machine::ARC_COMPACT2, 8, &[], true, Wide::Registers),
    (machine::SPARC, 6, &[], true, Wide::Reference),
    (machine::SPARC32PLUS, 6, &[], true, Wide::Reference),
    (machine::SPARCV9, 6, &[], true, Wide::Reference),
];

impl Abi {
    /// The convention of the machine `e_machine` with addresses of `address_size` bytes.
    ///
    /// A machine that is not in the table, such as i386, has no parameter registers, and nothing is checked.
    #[must_use]
    pub fn of(e_machine: u16, address_size: u8) -> Self {
        let row = TABLE.iter().find(|row| row.0 == e_machine);
        let (_, register_count, registers, splits_aggregates, wide) =
            row.copied()
                .unwrap_or((e_machine, 0, &[], false, Wide::Stack));
        Self {
            address_size: if address_size == 0 { 8 } else { address_size },
            register_count,
            registers,
            splits_aggregates,
            wide,
        }
    }

    /// The register that carries `slot`, counted from 0, if that is known.
    #[must_use]
    pub fn register(&self, slot: u64) -> Option<u16> {
        let slot = usize::try_from(slot).ok()?;
        self.registers.get(slot).copied()
    }

    /// Whether `slot`, counted from 0, is one that a register carries.
    #[must_use]
    pub fn has_register(&self, slot: u64) -> bool {
        slot < u64::from(self.register_count)
    }

    /// How many register slots a parameter of `size_bytes` takes.
    #[must_use]
    pub fn slots(&self, size_bytes: u64) -> u64 {
        let words = size_bytes.div_ceil(u64::from(self.address_size)).max(1);
        match self.wide {
            Wide::Stack if self.is_in_memory(size_bytes) => 0,
            Wide::Reference if self.is_in_memory(size_bytes) => 1,
            Wide::Stack | Wide::Reference | Wide::Registers => words,
        }
    }

    /// Whether a parameter of `size_bytes` is too wide for registers, so that its location is a place in memory.
    #[must_use]
    pub fn is_in_memory(&self, size_bytes: u64) -> bool {
        let registers = if self.splits_aggregates { 2 } else { 1 };
        size_bytes > registers * u64::from(self.address_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(e_machine: u16, registers: &[u16], count: u8, splits: bool) {
        let abi = Abi::of(e_machine, 8);
        assert_eq!(abi.registers, registers);
        assert_eq!(abi.register_count, count);
        assert_eq!(abi.splits_aggregates, splits);
        for (slot, register) in registers.iter().enumerate() {
            assert_eq!(abi.register(slot as u64), Some(*register));
        }
        assert_eq!(abi.register(u64::from(count)), None);
        assert!(!abi.has_register(u64::from(count)));
    }

    #[test]
    fn machines() {
        check(machine::X86_64, &[5, 4, 1, 2, 8, 9], 6, true);
        check(machine::AARCH64, &[0, 1, 2, 3, 4, 5, 6, 7], 8, true);
        check(machine::S390, &[2, 3, 4, 5, 6], 5, false);
        check(machine::RISCV, &[10, 11, 12, 13, 14, 15, 16, 17], 8, true);
        check(machine::PPC64, &[3, 4, 5, 6, 7, 8, 9, 10], 8, true);
        check(machine::LOONGARCH, &[4, 5, 6, 7, 8, 9, 10, 11], 8, true);
        check(machine::MIPS, &[], 8, true);
        check(3, &[], 0, false);
        check(0xffff, &[], 0, false);
    }

    #[test]
    fn a_table_row_has_as_many_registers_as_it_says_or_none() {
        for (e_machine, count, registers, ..) in TABLE {
            assert!(
                registers.is_empty() || registers.len() == usize::from(*count),
                "{e_machine}"
            );
            assert_eq!(TABLE.iter().filter(|row| row.0 == *e_machine).count(), 1);
        }
    }

    #[test]
    fn sizes() {
        let x86 = Abi::of(machine::X86_64, 8);
        let s390 = Abi::of(machine::S390, 8);
        let arm64 = Abi::of(machine::AARCH64, 8);
        let power = Abi::of(machine::PPC64, 8);
        for (abi, size, slots, memory) in [
            (x86, 0, 1, false),
            (x86, 8, 1, false),
            (x86, 9, 2, false),
            (x86, 16, 2, false),
            (x86, 17, 0, true),
            (arm64, 16, 2, false),
            (arm64, 17, 1, true),
            (power, 40, 5, true),
            (s390, 8, 1, false),
            (s390, 16, 1, true),
        ] {
            assert_eq!(abi.slots(size), slots, "{size}");
            assert_eq!(abi.is_in_memory(size), memory, "{size}");
        }
        assert_eq!(Abi::of(machine::X86_64, 0).address_size, 8);
    }
}

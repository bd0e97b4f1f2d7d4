//! The instructions that relocations change.
//!
//! Spec: `Documentation/bpf/standardization/instruction-set.rst` of Linux 7.2 (RFC 9669), 3 "Instruction encoding".

use super::fault::Fault;
use super::value::Value;
use crate::wire::ByteOrder;

/// The length of an instruction in bytes; that of a load of 64 bits is twice as much.
pub const LEN: usize = 8;

/// An instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insn {
    /// The operation.
    pub code: u8,
    /// The register that it writes to.
    pub dst: u8,
    /// The register that it reads.
    pub src: u8,
    /// The offset.
    pub off: i16,
    /// The immediate value.
    pub imm: i32,
}

/// The class of an instruction, its lowest three bits.
pub mod class {
    /// Special loads.
    pub const LD: u8 = 0;
    /// Loads.
    pub const LDX: u8 = 1;
    /// Stores of a value.
    pub const ST: u8 = 2;
    /// Stores of a register.
    pub const STX: u8 = 3;
    /// Arithmetic in 32 bits.
    pub const ALU: u8 = 4;
    /// Jumps.
    pub const JMP: u8 = 5;
    /// Jumps that compare 32 bits.
    pub const JMP32: u8 = 6;
    /// Arithmetic in 64 bits.
    pub const ALU64: u8 = 7;
}

/// The load of a value of 64 bits, which takes two instructions.
pub const LOAD_IMM64: u8 = 0x18;
/// A call.
pub const CALL: u8 = 0x85;
/// The bit of arithmetic and jumps that says that the second operand is a register.
pub const SOURCE_REGISTER: u8 = 0x08;
/// The bits that hold the size of a load or store.
const SIZE_MASK: u8 = 0x18;
/// The function that libbpf calls where an instruction must not be reached.
pub const POISON: i32 = 0x0bad_2310;

impl Insn {
    /// Reads an instruction.
    #[must_use]
    pub fn parse(order: ByteOrder, bytes: [u8; LEN]) -> Self {
        let [code, registers, o0, o1, i0, i1, i2, i3] = bytes;
        let (low, high) = (registers & 0xf, registers >> 4);
        let (dst, src) = match order {
            ByteOrder::Little => (low, high),
            ByteOrder::Big => (high, low),
        };
        Self {
            code,
            dst,
            src,
            off: order.u16([o0, o1]).cast_signed(),
            imm: order.u32([i0, i1, i2, i3]).cast_signed(),
        }
    }

    /// The bytes of the instruction.
    #[must_use]
    pub fn bytes(&self, order: ByteOrder) -> [u8; LEN] {
        let registers = match order {
            ByteOrder::Little => self.dst & 0xf | self.src << 4,
            ByteOrder::Big => self.src & 0xf | self.dst << 4,
        };
        let [o0, o1] = order.u16_bytes(self.off.cast_unsigned());
        let [i0, i1, i2, i3] = order.u32_bytes(self.imm.cast_unsigned());
        [self.code, registers, o0, o1, i0, i1, i2, i3]
    }

    /// Its class.
    #[must_use]
    pub const fn class(&self) -> u8 {
        self.code & 7
    }

    /// Whether another half follows.
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        self.code == LOAD_IMM64
    }

    /// The call that takes the place of an instruction without an answer.
    #[must_use]
    pub const fn poison() -> Self {
        Self {
            code: CALL,
            dst: 0,
            src: 0,
            off: 0,
            imm: POISON,
        }
    }

    /// The number of bytes that a load or store moves.
    fn access_size(&self) -> u32 {
        match self.code & SIZE_MASK {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        }
    }

    fn set_access_size(&mut self, bytes: u32) -> Result<(), Fault> {
        let size = match bytes {
            4 => 0x00,
            2 => 0x08,
            1 => 0x10,
            8 => 0x18,
            _ => return Err(Fault::Insn("no load or store moves that many bytes")),
        };
        self.code = self.code & !SIZE_MASK | size;
        Ok(())
    }
}

/// What an instruction becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The instruction.
    pub insn: Insn,
    /// Its second half, if it has one.
    pub second: Option<Insn>,
    /// Whether it must not be reached.
    pub is_poison: bool,
}

/// Puts a value into `insn`; `next` is the instruction behind it.
///
/// # Errors
/// [`Fault::Insn`] for an instruction that has no room for a value, [`Fault::Unexpected`], [`Fault::TooLarge`].
pub fn patch(insn: Insn, next: Option<Insn>, value: &Value) -> Result<Patch, Fault> {
    let poison = Patch {
        insn: Insn::poison(),
        second: insn.is_wide().then(Insn::poison),
        is_poison: true,
    };
    if value.is_poison {
        return Ok(poison);
    }
    let check = |found: i64| match found.cast_unsigned() {
        found if value.checks_old && found != value.old => Err(Fault::Unexpected {
            found,
            expected: value.old,
        }),
        _ => Ok(()),
    };
    let mut new = insn;
    let mut second = None;
    match insn.class() {
        class::ALU | class::ALU64 => {
            if insn.code & SOURCE_REGISTER != 0 {
                return Err(Fault::Insn("arithmetic without an immediate value"));
            }
            check(insn.imm.into())?;
            new.imm = low(value.new);
        }
        class::LDX | class::ST | class::STX => {
            check(insn.off.into())?;
            let off = i16::try_from(value.new.cast_signed());
            let off = off.ok().filter(|off| *off >= 0);
            new.off = off.ok_or(Fault::TooLarge(value.new))?;
            if value.is_other_size {
                return Ok(poison);
            }
            if value.new_size != value.old_size {
                if insn.access_size() != value.old_size {
                    let text = "a load or store of another size than its type has";
                    return Err(Fault::Insn(text));
                }
                new.set_access_size(value.new_size)?;
            }
        }
        class::LD => {
            let form = |insn: &Insn| (insn.src, insn.off);
            let next = next.filter(|next| {
                insn.is_wide()
                    && form(&insn) == (0, 0)
                    && form(next) == (0, 0)
                    && (next.code, next.dst) == (0, 0)
            });
            let Some(next) = next else {
                return Err(Fault::Insn("a load that is not of a plain value"));
            };
            let found =
                u64::from(insn.imm.cast_unsigned()) | u64::from(next.imm.cast_unsigned()) << 32;
            check(found.cast_signed())?;
            new.imm = low(value.new);
            second = Some(Insn {
                imm: low(value.new >> 32),
                ..next
            });
        }
        _ => return Err(Fault::Insn("an instruction that holds no value")),
    }
    Ok(Patch {
        insn: new,
        second,
        is_poison: false,
    })
}

/// The lower 32 bits.
fn low(value: u64) -> i32 {
    let word = u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0);
    word.cast_signed()
}

//! The fields that relocations change: where the addend stands, and how it is written.
//!
//! BPF's loaders read relocations without addends (`SHT_REL`): the addend is in the field. A reference to what has a name needs
//! no change when sections move; one by a section's symbol does, and so does a call that has no relocation at all because
//! the compiler knew the distance.
//!
//! Spec: `Documentation/bpf/llvm_reloc.rst` and `Documentation/bpf/standardization/instruction-set.rst` of Linux.
#![deny(clippy::indexing_slicing)]

use btf_core::ByteOrder;

use super::object::Relocation;

/// Kinds of relocations, as `R_BPF_*` without that.
mod kind {
    pub(super) const NONE: u32 = 0;
    pub(super) const BITS_64: u32 = 1;
    pub(super) const ABS64: u32 = 2;
    pub(super) const ABS32: u32 = 3;
    pub(super) const NODYLD32: u32 = 4;
    pub(super) const CALL: u32 = 10;
}

/// The length of an instruction in bytes.
pub(crate) const INSTRUCTION: u64 = 8;

/// The code of an instruction that loads 64 bits and takes the place of two.
const LOAD_64: u8 = 0x18;

/// The code of a call.
const CALL: u8 = 0x85;

/// The source register of a call of a function of the program.
const PSEUDO_CALL: u8 = 1;

/// The classes of jumps that compare 64 and 32 bits, and the operations in them that are no jumps.
const JMP: u8 = 5;
const JMP32: u8 = 6;
const OP_CALL: u8 = 0x80;
const OP_EXIT: u8 = 0x90;

/// How a field holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Nothing is relocated.
    None,
    /// A call, which counts in instructions from behind itself.
    Call,
    /// A load of 64 bits, whose first half has the lower 32.
    Load,
    /// 32 bits of data.
    Word32,
    /// 64 bits of data.
    Word64,
}

/// A code section or data that is read or changed.
#[derive(Debug)]
pub(crate) struct Code<B> {
    pub(crate) order: ByteOrder,
    pub(crate) bytes: B,
}

impl<B: AsRef<[u8]>> Code<B> {
    fn byte(&self, offset: u64) -> Option<u8> {
        let offset = usize::try_from(offset).ok()?;
        self.bytes.as_ref().get(offset).copied()
    }

    fn chunk<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let offset = usize::try_from(offset).ok()?;
        self.bytes.as_ref().get(offset..)?.first_chunk().copied()
    }

    fn word(&self, offset: u64) -> Option<u32> {
        Some(self.order.u32(self.chunk(offset)?))
    }

    /// The field that a relocation changes; why there is none if not.
    pub(crate) fn field(&self, relocation: &Relocation, is_code: bool) -> Result<Field, String> {
        let Relocation { offset, kind, .. } = *relocation;
        let field = match kind {
            kind::NONE => Field::None,
            kind::BITS_64 | kind::CALL if is_code => match self.byte(offset) {
                Some(CALL) => Field::Call,
                Some(LOAD_64) => Field::Load,
                code => {
                    return Err(format!(
                        "a relocation of type {kind} at {offset:#x} is on no call and no load: {code:x?}"
                    ));
                }
            },
            kind::BITS_64 | kind::ABS64 => Field::Word64,
            kind::ABS32 | kind::NODYLD32 => Field::Word32,
            _ => {
                return Err(format!(
                    "a relocation of unknown type {kind} at {offset:#x}"
                ));
            }
        };
        let (size, is_aligned) = match field {
            Field::None => (0, true),
            Field::Call => (8, offset.is_multiple_of(INSTRUCTION)),
            Field::Load => (16, offset.is_multiple_of(INSTRUCTION)),
            Field::Word32 => (4, true),
            Field::Word64 => (8, true),
        };
        let end = offset.checked_add(size);
        if !is_aligned || end.is_none_or(|end| end > self.bytes.as_ref().len() as u64) {
            return Err(format!(
                "a relocation at {offset:#x} is outside of the section or not aligned"
            ));
        }
        Ok(field)
    }

    /// The address in a field, in bytes.
    pub(crate) fn get(&self, field: Field, offset: u64) -> i64 {
        let word = |at: u64| self.word(offset + at).unwrap_or(0).cast_signed();
        match field {
            Field::None => 0,
            Field::Call => (i64::from(word(4)) + 1) * INSTRUCTION.cast_signed(),
            Field::Load => i64::from(word(4)),
            Field::Word32 => i64::from(word(0).cast_unsigned()),
            Field::Word64 => self
                .chunk(offset)
                .map_or(0, |bytes| self.order.u64(bytes).cast_signed()),
        }
    }

    /// Whether the instruction at `offset` takes the place of two.
    pub(crate) fn is_wide(&self, offset: u64) -> bool {
        self.byte(offset) == Some(LOAD_64)
    }

    /// Where the instruction at `offset` calls a function, by its distance: in bytes from the section's start.
    pub(crate) fn called(&self, offset: u64) -> Option<i64> {
        let registers = self.byte(offset + 1)?;
        let source = match self.order {
            ByteOrder::Little => registers >> 4,
            ByteOrder::Big => registers & 0xf,
        };
        (self.byte(offset)? == CALL && source == PSEUDO_CALL).then(|| {
            offset
                .cast_signed()
                .saturating_add(self.get(Field::Call, offset))
        })
    }

    /// Where the instruction at `offset` jumps to, in bytes from the section's start.
    pub(crate) fn jumps_to(&self, offset: u64) -> Option<i64> {
        let code = self.byte(offset)?;
        let (class, operation) = (code & 7, code & 0xf0);
        let distance = match class {
            JMP32 if operation == 0 => i64::from(self.word(offset + 4)?.cast_signed()),
            JMP if operation == OP_CALL || operation == OP_EXIT => return None,
            JMP | JMP32 => {
                let bytes = self.chunk(offset + 2)?;
                i64::from(self.order.u16(bytes).cast_signed())
            }
            _ => return None,
        };
        let from = offset.cast_signed() + INSTRUCTION.cast_signed();
        Some(from.saturating_add(distance * INSTRUCTION.cast_signed()))
    }
}

impl Code<&mut [u8]> {
    /// Puts an address into a field; says so if it does not fit.
    pub(crate) fn put(&mut self, field: Field, offset: u64, address: i64) -> Result<(), String> {
        let misfit = |_| format!("the address {address:#x} does not fit the field at {offset:#x}");
        let order = self.order;
        match field {
            Field::None => {}
            Field::Call => {
                let imm = address / INSTRUCTION.cast_signed() - 1;
                let imm = i32::try_from(imm).map_err(misfit)?;
                self.write(offset + 4, &order.u32_bytes(imm.cast_unsigned()));
            }
            Field::Load => {
                let imm = i32::try_from(address).map_err(misfit)?;
                self.write(offset + 4, &order.u32_bytes(imm.cast_unsigned()));
            }
            Field::Word32 => {
                let word = u32::try_from(address).map_err(misfit)?;
                self.write(offset, &order.u32_bytes(word));
            }
            Field::Word64 => {
                let word = match order {
                    ByteOrder::Little => address.to_le_bytes(),
                    ByteOrder::Big => address.to_be_bytes(),
                };
                self.write(offset, &word);
            }
        }
        Ok(())
    }

    /// Replaces the 32 bits in the immediate of the instruction at `offset`.
    pub(crate) fn put_immediate(&mut self, offset: u64, value: u32) {
        self.write(offset + 4, &self.order.u32_bytes(value));
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let place = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.bytes.get_mut(offset..)?.get_mut(..bytes.len()));
        if let Some(place) = place {
            place.copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

    /// An instruction with source register, distance and immediate.
    fn instruction(order: ByteOrder, code: u8, source: u8, distance: i16, imm: i32) -> Vec<u8> {
        let registers = match order {
            ByteOrder::Little => source << 4,
            ByteOrder::Big => source,
        };
        let mut bytes = vec![code, registers];
        bytes.extend(order.u16_bytes(distance.cast_unsigned()));
        bytes.extend(order.u32_bytes(imm.cast_unsigned()));
        bytes
    }

    #[test]
    fn where_instructions_lead() {
        for order in ORDERS {
            let code = |instruction: Vec<u8>| Code {
                order,
                // Behind another instruction.
                bytes: [vec![0; 8], instruction].concat(),
            };
            let call = code(instruction(order, CALL, PSEUDO_CALL, 0, -2));
            assert_eq!(call.called(8), Some(0));
            assert_eq!(call.jumps_to(8), None);
            let helper = code(instruction(order, CALL, 0, 0, 1));
            assert_eq!(helper.called(8), None);
            let jump = code(instruction(order, 0x05, 0, -1, 0));
            assert_eq!(jump.jumps_to(8), Some(8));
            let long = code(instruction(order, 0x06, 0, 0, 3));
            assert_eq!(long.jumps_to(8), Some(40));
            let exit = code(instruction(order, 0x95, 0, 0, 0));
            assert_eq!(exit.jumps_to(8), None);
            assert_eq!(exit.jumps_to(16), None);
        }
    }

    #[test]
    fn what_is_put_is_there() {
        for order in ORDERS {
            let fields = [
                (
                    Field::Call,
                    instruction(order, CALL, PSEUDO_CALL, 0, -1),
                    -64,
                ),
                (
                    Field::Load,
                    [instruction(order, LOAD_64, 0, 0, 0), vec![0; 8]].concat(),
                    -8,
                ),
                (Field::Word32, vec![0; 4], 0xffff_fff8),
                (Field::Word64, vec![0; 8], i64::MIN),
            ];
            for (field, mut bytes, address) in fields {
                let mut code = Code {
                    order,
                    bytes: &mut bytes[..],
                };
                code.put(field, 0, address).unwrap();
                assert_eq!(code.get(field, 0), address, "{field:?}");
                if field != Field::Word64 {
                    assert!(code.put(field, 0, 1 << 40).is_err());
                }
            }
        }
    }

    #[test]
    fn relocations_that_make_no_sense() {
        #[track_caller]
        fn check(kind: u32, offset: u64, is_code: bool, expect: Result<Field, &str>) {
            let order = ByteOrder::Little;
            let code = Code {
                order,
                bytes: instruction(order, CALL, PSEUDO_CALL, 0, -1),
            };
            let relocation = Relocation {
                offset,
                symbol: 0,
                kind,
                addend: None,
            };
            let field = code.field(&relocation, is_code);
            assert_eq!(
                field.map_err(|text| text.contains(expect.unwrap_err())),
                expect.map_err(|_| true)
            );
        }
        check(kind::CALL, 0, true, Ok(Field::Call));
        check(kind::NONE, 0, true, Ok(Field::None));
        check(kind::ABS64, 0, false, Ok(Field::Word64));
        check(kind::ABS64, 4, false, Err("outside"));
        check(kind::BITS_64, 8, true, Err("no call and no load"));
        check(kind::ABS32, u64::MAX, false, Err("outside"));
        check(77, 0, true, Err("unknown type 77"));
    }
}

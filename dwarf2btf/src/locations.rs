//! Where a parameter lies when its function is entered: `DW_AT_location` boiled down to a few facts.
//!
//! A parameter's location tells whether the compiler kept the function's signature: a parameter that is nowhere was
//! optimized away, one in another register than the calling convention's was moved. Only what holds at the function's
//! entry counts, which is a plain expression or the first entry of a location list, an empty range included (compilers
//! write those at `-O2` for a parameter that is overwritten at once). Later entries tell where the value has gone since.
//!
//! Nothing is evaluated. Of an expression counts which register it reads, and whether the value is in memory or is no
//! longer there. Bytes that make no sense give [`Place::Unknown`], of which the walk makes no verdict. The work per
//! call is bounded by the expression's length and [`MAX_BASE_ENTRIES`]; nothing is allocated.
//!
//! Spec: DWARF 5, 2.5 "DWARF Expressions", 2.6 "Location Descriptions", 7.7.3 "Location Lists".

use gimli::{
    DebugLoc, DebugLocLists, DebugLocListsBase, DebugLocListsIndex, Encoding, EndianSlice,
    Expression, LocationLists, LocationListsOffset, Operation, RawLocListEntry, RunTimeEndian,
};

/// How many pieces of a parameter are kept; a parameter in registers has at most two on common machines.
pub const MAX_PIECES: usize = 4;

/// How many base-address entries may stand before the first location of a list; producers write one.
pub const MAX_BASE_ENTRIES: usize = 16;

/// Where a parameter, or a piece of it, lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// Nowhere: no `DW_AT_location`, an empty expression or an empty list.
    #[default]
    Nowhere,
    /// In, or computed from the entry value of, this DWARF register.
    Register(u16),
    /// In memory, usually the caller's part of the stack.
    Memory,
    /// Not in any place, but its value is known or can be found by other means.
    Value,
    /// The bytes could not be read.
    Unknown,
}

/// One `DW_OP_piece` of a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Piece {
    /// Where it lies.
    pub place: Place,
    /// Where it starts in the parameter, in bytes.
    pub offset_bytes: u32,
    /// How long it is, in bytes; 0 if it is no whole number of bytes.
    pub size_bytes: u32,
}

/// What is known of a parameter's location at its function's entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ParamLocation {
    /// Where it lies; of a parameter in pieces, the first register of a piece if there is one.
    pub place: Place,
    /// How many pieces there are; can exceed [`MAX_PIECES`], the rest is not recorded.
    pub piece_count: u8,
    /// The first pieces.
    pieces: [Piece; MAX_PIECES],
}

impl ParamLocation {
    /// The location of a parameter without `DW_AT_location`.
    pub const NOWHERE: Self = Self::at(Place::Nowhere);

    /// A location in one place.
    #[must_use]
    pub const fn at(place: Place) -> Self {
        const EMPTY: Piece = Piece {
            place: Place::Nowhere,
            offset_bytes: 0,
            size_bytes: 0,
        };
        Self {
            place,
            piece_count: 0,
            pieces: [EMPTY; MAX_PIECES],
        }
    }

    /// The recorded pieces in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        let count = usize::from(self.piece_count).min(MAX_PIECES);
        self.pieces.get(..count).unwrap_or_default()
    }

    /// Whether there is any location at all.
    #[must_use]
    pub const fn is_somewhere(&self) -> bool {
        !matches!(self.place, Place::Nowhere)
    }

    /// The register, if there is one.
    #[must_use]
    pub const fn register(&self) -> Option<u16> {
        match self.place {
            Place::Register(register) => Some(register),
            Place::Nowhere | Place::Memory | Place::Value | Place::Unknown => None,
        }
    }

    /// Records one more piece, which ends at `size_bits` behind the pieces so far.
    fn push_piece(&mut self, place: Place, bits: &mut u64, size_bits: u64) {
        if let Some(slot) = self.pieces.get_mut(usize::from(self.piece_count)) {
            let whole = bits.is_multiple_of(8) && size_bits.is_multiple_of(8);
            *slot = Piece {
                place,
                offset_bytes: u32::try_from(*bits / 8).unwrap_or(u32::MAX),
                size_bytes: u32::try_from(size_bits / 8).map_or(0, |n| if whole { n } else { 0 }),
            };
        }
        self.piece_count = self.piece_count.saturating_add(1);
        *bits = bits.saturating_add(size_bits);
        let has_register = self.register().is_some();
        if !has_register && place != Place::Nowhere || self.place == Place::Nowhere {
            self.place = place;
        }
    }
}

type Reader<'a> = EndianSlice<'a, RunTimeEndian>;

/// The facts of a location expression.
///
/// Spec: DWARF 5, 2.6.1 "Single Location Descriptions".
#[must_use]
pub fn from_expression(bytes: &[u8], encoding: Encoding, order: RunTimeEndian) -> ParamLocation {
    // By far the most frequent expression is a register's one-byte name, `DW_OP_reg0` to `DW_OP_reg31`.
    if let [op @ 0x50..=0x6f] = bytes {
        return ParamLocation::at(Place::Register(u16::from(op - 0x50)));
    }
    let mut reader = EndianSlice::new(bytes, order);
    let mut location = ParamLocation::NOWHERE;
    let mut current = Current::default();
    let mut bits = 0;
    while !reader.is_empty() {
        let Ok(operation) = Operation::parse(&mut reader, encoding) else {
            return ParamLocation::at(Place::Unknown);
        };
        if let Operation::Piece { size_in_bits, .. } = operation {
            location.push_piece(current.place(), &mut bits, size_in_bits);
            current = Current::default();
        } else {
            current.step(&operation, encoding);
        }
    }
    if location.piece_count == 0 {
        location.place = current.place();
    }
    location
}

/// What the operations since the last piece have built up.
#[derive(Clone, Copy, Debug, Default)]
struct Current {
    /// The first register that was read.
    register: Option<u16>,
    /// The register is the value's own place.
    in_register: bool,
    /// Anything was said at all.
    any: bool,
    /// The stack's top is the value, not its address.
    is_value: bool,
}

impl Current {
    /// Takes one operation into account.
    fn step(&mut self, operation: &Operation<Reader<'_>>, encoding: Encoding) {
        self.any = true;
        if let Operation::Register { register } = operation {
            self.read(register.0);
            self.in_register = true;
        } else if let Operation::RegisterOffset { register, .. } = operation {
            self.read(register.0);
        } else if let Operation::EntryValue { expression } = operation {
            if let Some(register) = entry_register(*expression, encoding) {
                self.read(register);
            }
        } else if matches!(
            operation,
            Operation::StackValue
                | Operation::ImplicitValue { .. }
                | Operation::ImplicitPointer { .. }
        ) {
            self.is_value = true;
        }
    }

    /// Notes that a register was read; the first one stays.
    fn read(&mut self, register: u16) {
        self.register = self.register.or(Some(register));
    }

    /// What it comes to.
    fn place(self) -> Place {
        match (self.any, self.register) {
            (false, _) => Place::Nowhere,
            (true, Some(register)) if self.in_register || self.is_value => {
                Place::Register(register)
            }
            (true, _) if self.is_value => Place::Value,
            (true, _) => Place::Memory,
        }
    }
}

/// The register of a `DW_OP_entry_value` block, which is one `DW_OP_regN` or `DW_OP_bregN`.
fn entry_register(mut expression: Reader<'_>, encoding: Encoding) -> Option<u16> {
    match Operation::parse(&mut expression, encoding) {
        Ok(Operation::Register { register } | Operation::RegisterOffset { register, .. }) => {
            Some(register.0)
        }
        Ok(_) | Err(_) => None,
    }
}

/// The sections that hold location lists; empty where a file has none.
#[derive(Clone, Copy, Debug)]
pub struct LocationSections<'a> {
    /// The bytes of `.debug_loc`, for units of DWARF 2 to 4.
    pub debug_loc: &'a [u8],
    /// The bytes of `.debug_loclists`, for units of DWARF 5.
    pub debug_loclists: &'a [u8],
    /// The byte order of the file.
    pub order: RunTimeEndian,
}

impl<'a> LocationSections<'a> {
    /// The facts of the location list at `offset` (`DW_FORM_sec_offset`, or `DW_FORM_data4` in DWARF 2 and 3).
    ///
    /// Spec: DWARF 5, 7.7.3; DWARF 4, 2.6.2.
    #[must_use]
    pub fn from_list_offset(&self, offset: u64, encoding: Encoding) -> ParamLocation {
        let section = if encoding.version < 5 {
            self.debug_loc
        } else {
            self.debug_loclists
        };
        let offset = match usize::try_from(offset) {
            Ok(offset) if offset < section.len() => offset,
            Ok(_) | Err(_) => return ParamLocation::at(Place::Unknown),
        };
        let lists = self.lists();
        let Ok(mut entries) = lists.raw_locations(LocationListsOffset(offset), encoding) else {
            return ParamLocation::at(Place::Unknown);
        };
        for _ in 0..=MAX_BASE_ENTRIES {
            let entry = match entries.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => return ParamLocation::NOWHERE,
                Err(_) => break,
            };
            if let Some(Expression(bytes)) = expression_of(&entry) {
                return from_expression(bytes.slice(), encoding, self.order);
            }
        }
        ParamLocation::at(Place::Unknown)
    }

    /// The facts of the location list with this `index` (`DW_FORM_loclistx`) behind the unit's `DW_AT_loclists_base`.
    ///
    /// Spec: DWARF 5, 7.29 "Location List Table".
    #[must_use]
    pub fn from_list_index(
        &self,
        index: u64,
        loclists_base: u64,
        encoding: Encoding,
    ) -> ParamLocation {
        let offset = usize::try_from(index)
            .and_then(|index| Ok((index, usize::try_from(loclists_base)?)))
            .ok()
            .and_then(|(index, base)| {
                let (base, index) = (DebugLocListsBase(base), DebugLocListsIndex(index));
                self.lists().get_offset(encoding, base, index).ok()
            });
        match offset.and_then(|offset| u64::try_from(offset.0).ok()) {
            Some(offset) => self.from_list_offset(offset, encoding),
            None => ParamLocation::at(Place::Unknown),
        }
    }

    /// gimli's view of the two sections.
    fn lists(&self) -> LocationLists<Reader<'a>> {
        LocationLists::new(
            DebugLoc::from(EndianSlice::new(self.debug_loc, self.order)),
            DebugLocLists::from(EndianSlice::new(self.debug_loclists, self.order)),
        )
    }
}

/// The expression of a list's entry, unless the entry only sets the base address.
fn expression_of<'a>(entry: &RawLocListEntry<Reader<'a>>) -> Option<Expression<Reader<'a>>> {
    match entry {
        RawLocListEntry::BaseAddress { .. } | RawLocListEntry::BaseAddressx { .. } => None,
        RawLocListEntry::AddressOrOffsetPair { data, .. }
        | RawLocListEntry::StartxEndx { data, .. }
        | RawLocListEntry::StartxLength { data, .. }
        | RawLocListEntry::OffsetPair { data, .. }
        | RawLocListEntry::DefaultLocation { data }
        | RawLocListEntry::StartEnd { data, .. }
        | RawLocListEntry::StartLength { data, .. } => Some(*data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimli::Format;

    const LITTLE: RunTimeEndian = RunTimeEndian::Little;

    fn encoding(version: u16) -> Encoding {
        Encoding {
            format: Format::Dwarf32,
            version,
            address_size: 8,
        }
    }

    #[track_caller]
    fn check(bytes: &[u8], expect: Place) {
        let location = from_expression(bytes, encoding(5), LITTLE);
        assert_eq!(location.place, expect, "{bytes:02x?}");
        assert!(location.pieces().is_empty(), "{bytes:02x?}");
    }

    #[test]
    fn expressions() {
        check(&[], Place::Nowhere);
        check(&[0x55], Place::Register(5)); // DW_OP_reg5
        check(&[0x90, 0x21], Place::Register(0x21)); // DW_OP_regx 33
        check(&[0x75, 0x00, 0x9f], Place::Register(5)); // DW_OP_breg5 0, DW_OP_stack_value
        check(&[0x75, 0x08], Place::Memory); // DW_OP_breg5 8
        check(&[0x91, 0x10], Place::Memory); // DW_OP_fbreg 16
        check(&[0x91, 0x10, 0x06], Place::Memory); // DW_OP_fbreg 16, DW_OP_deref
        check(&[0xa3, 0x01, 0x54, 0x9f], Place::Register(4)); // DW_OP_entry_value(DW_OP_reg4), DW_OP_stack_value
        check(&[0xf3, 0x01, 0x54, 0x9f], Place::Register(4)); // DW_OP_GNU_entry_value
        check(&[0xa3, 0x02, 0x74, 0x08, 0x9f], Place::Register(4)); // DW_OP_entry_value(DW_OP_breg4 8)
        check(&[0x35, 0x9f], Place::Value); // DW_OP_lit5, DW_OP_stack_value
        check(&[0x9e, 0x01, 0x07], Place::Value); // DW_OP_implicit_value
        check(&[0xfa, 1, 2, 3, 4, 0x9f], Place::Value); // DW_OP_GNU_parameter_ref, DW_OP_stack_value
        check(&[0x03, 1, 2, 3, 4, 5, 6, 7, 8], Place::Memory); // DW_OP_addr
        check(&[0x71, 0x00, 0x32, 0x1e, 0x9f], Place::Register(1)); // DW_OP_breg1 0, DW_OP_lit2, DW_OP_mul, …
    }

    #[test]
    fn broken_expressions_are_unknown() {
        check(&[0x90], Place::Unknown); // DW_OP_regx without its number
        check(&[0x55, 0xff], Place::Unknown); // an operation that does not exist
        check(&[0xa3, 0x05, 0x54], Place::Unknown); // a block that is too long
        check(&[0x03, 1, 2], Place::Unknown);
        check(&[0xa3, 0x00, 0x9f], Place::Value); // an empty block names no register
    }

    #[test]
    fn pieces_are_recorded() {
        // DW_OP_reg5, DW_OP_piece 8, DW_OP_reg4, DW_OP_piece 8
        let location = from_expression(&[0x55, 0x93, 8, 0x54, 0x93, 8], encoding(5), LITTLE);
        assert_eq!(location.register(), Some(5));
        let piece = |place, offset_bytes, size_bytes| Piece {
            place,
            offset_bytes,
            size_bytes,
        };
        assert_eq!(
            location.pieces(),
            [
                piece(Place::Register(5), 0, 8),
                piece(Place::Register(4), 8, 8)
            ]
        );
        // DW_OP_piece 8, DW_OP_reg4, DW_OP_piece 4: the first half is gone.
        let location = from_expression(&[0x93, 8, 0x54, 0x93, 4], encoding(5), LITTLE);
        assert_eq!(location.register(), Some(4));
        assert_eq!(
            location.pieces(),
            [piece(Place::Nowhere, 0, 8), piece(Place::Register(4), 8, 4)]
        );
        // DW_OP_fbreg 0, DW_OP_piece 8, DW_OP_reg1, DW_OP_piece 8: a register counts before memory.
        let location = from_expression(&[0x91, 0, 0x93, 8, 0x51, 0x93, 8], encoding(5), LITTLE);
        assert_eq!(location.place, Place::Register(1));
        // DW_OP_reg1, DW_OP_bit_piece 3 0
        let location = from_expression(&[0x51, 0x9d, 3, 0], encoding(5), LITTLE);
        assert_eq!(location.pieces(), [piece(Place::Register(1), 0, 0)]);
    }

    #[test]
    fn more_pieces_than_are_kept() {
        let bytes: Vec<u8> = (0..300).flat_map(|_| [0x55, 0x93, 1]).collect();
        let location = from_expression(&bytes, encoding(5), LITTLE);
        assert_eq!(location.piece_count, 255);
        assert_eq!(location.pieces().len(), MAX_PIECES);
    }

    #[track_caller]
    fn check_list(section: &[u8], version: u16, offset: u64, expect: Place) {
        let (debug_loc, debug_loclists): (&[u8], &[u8]) = if version < 5 {
            (section, &[])
        } else {
            (&[], section)
        };
        let sections = LocationSections {
            debug_loc,
            debug_loclists,
            order: LITTLE,
        };
        let location = sections.from_list_offset(offset, encoding(version));
        assert_eq!(location.place, expect);
    }

    #[test]
    fn lists_of_dwarf_5() {
        // DW_LLE_base_address, DW_LLE_offset_pair 0 0 reg5, DW_LLE_offset_pair 0 4 reg3, DW_LLE_end_of_list
        let list = [
            0x06, 1, 0, 0, 0, 0, 0, 0, 0, 0x04, 0, 0, 1, 0x55, 0x04, 0, 4, 1, 0x53, 0,
        ];
        check_list(&list, 5, 0, Place::Register(5));
        check_list(&list, 5, 14, Place::Register(3));
        check_list(&list, 5, 19, Place::Nowhere);
        check_list(&list, 5, 20, Place::Unknown);
        check_list(&list, 5, u64::MAX, Place::Unknown);
        check_list(&list[..13], 5, 0, Place::Unknown);
        // DW_LLE_default_location fbreg 0
        check_list(&[0x05, 2, 0x91, 0], 5, 0, Place::Memory);
        // Nothing but base addresses.
        check_list(&[0x01, 0].repeat(99), 5, 0, Place::Unknown);
    }

    #[test]
    fn lists_of_dwarf_4() {
        let mut list = vec![0xff; 8];
        list.extend(0x1000_u64.to_le_bytes());
        list.extend(0_u64.to_le_bytes());
        list.extend(4_u64.to_le_bytes());
        list.extend([1, 0, 0x54]);
        list.extend([0; 16]);
        check_list(&list, 4, 0, Place::Register(4));
        check_list(&list, 4, 16, Place::Register(4));
        check_list(&list, 4, 35, Place::Nowhere);
        check_list(&list, 4, 36, Place::Unknown);
    }

    #[test]
    fn lists_by_index() {
        // Two offsets behind the base 0, the second of which leads to a list.
        let section = [0, 0, 0, 0, 8, 0, 0, 0, 0x05, 1, 0x51, 0];
        let sections = LocationSections {
            debug_loc: &[],
            debug_loclists: &section,
            order: LITTLE,
        };
        let place = |index, base| sections.from_list_index(index, base, encoding(5)).place;
        assert_eq!(place(1, 0), Place::Register(1));
        assert_eq!(place(99, 0), Place::Unknown);
        assert_eq!(place(u64::MAX, 0), Place::Unknown);
        assert_eq!(place(0, u64::MAX), Place::Unknown);
    }
}

//! The end of a unit: what had to wait for the rest of it is decided, links become ids.
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit, and the lengths of lists made from it, fit 30 bits: `units` refuses longer units"
)]

use btf_core::{ByteOrder, Info, Kind, Result, TypeId};

use crate::finding::FindingKind;
use crate::references::{Link, type_size};
use crate::unit::{OldBitfield, UnitReader, UnitState};

impl<'c> UnitReader<'c, '_> {
    /// Makes the fragment's records whole, once all DIEs of the unit have been seen.
    pub(crate) fn finish_types(&mut self, state: &mut UnitState<'c>) -> Result<()> {
        self.references.count();
        self.add_gnu_annotations(state);
        self.add_index_type();
        self.add_decl_tags();
        self.fetch_foreign(state)?;
        self.resolve_links(state);
        self.place_old_bitfields(state);
        self.sign_wide_enums();
        Ok(())
    }

    /// Gives a unit with arrays, but without a base type `int`, one for their indices.
    pub(crate) fn add_index_type(&mut self) {
        if self.references.has_index_type() || !self.has_array {
            return;
        }
        let name = self.int_name();
        let word = btf_core::wire::int::pack(btf_core::wire::int::SIGNED, 0, 32);
        let id = self
            .fragment
            .push(&[name.0, Info::new(Kind::Int, 0, false).0, 4, word])
            .0;
        self.references.offer_index_type(id);
    }

    /// Turns the links of all records into local ids.
    fn resolve_links(&mut self, state: &UnitState<'c>) {
        let mut dangling_words = Vec::new();
        let (references, void_words) = (&self.references, &mut self.void_words);
        self.fragment.change_type_words(|kind, at, word| {
            let link = Link(*word);
            *word = references.resolve(link).unwrap_or_else(|| {
                // What refers to no type of another unit has its finding already.
                if !references.is_dangling(link) {
                    dangling_words.push(at);
                }
                0
            });
            if *word == 0 && matches!(kind, Kind::Struct | Kind::Union | Kind::Array) {
                void_words.push(at);
            }
        });
        self.find_at(state, &dangling_words, FindingKind::DanglingReference);
        if self.void_words.is_empty() {
            return;
        }
        // What cannot be of type void gets an empty structure instead.
        let empty = self
            .fragment
            .push(&[0, Info::new(Kind::Struct, 0, false).0, 0])
            .0;
        let void_words = std::mem::take(&mut self.void_words);
        for &at in &void_words {
            self.fragment.words[at] = empty;
        }
        self.find_at(state, &void_words, FindingKind::VoidMember);
    }

    /// Notes something doubtful about the types whose records hold these words. What was fetched from another unit is for
    /// that one to tell.
    fn find_at(&mut self, state: &UnitState<'c>, words: &[usize], kind: FindingKind) {
        if words.is_empty() {
            return;
        }
        let dies = self.references.dies_of_ids(self.fragment.len());
        for &at in words {
            // Records lie one behind the other.
            let id = self
                .fragment
                .starts
                .partition_point(|&start| start as usize <= at);
            if !self.fragment.is_weak(TypeId(id as u32)) {
                self.note_finding(state, dies.get(id).copied().unwrap_or(0), kind);
            }
        }
    }

    /// Sets the offsets of bitfields of DWARF 2 and 3, which count from the end of a storage unit on little endian.
    fn place_old_bitfields(&mut self, state: &UnitState<'c>) {
        let mut misplaced = Vec::new();
        for index in 0..self.old_bitfields.len() {
            let bitfield = self.old_bitfields[index];
            if bitfield.word == 0 {
                continue;
            }
            let size = bitfield.storage_bytes.or_else(|| {
                type_size(
                    &self.fragment,
                    self.references.resolve(bitfield.link)?,
                    state.unit.sizes.address,
                )
            });
            let place = old_bitfield_place(&bitfield, size.unwrap_or(0), self.context.image.order);
            let place = place.filter(|&place| u64::from(place) <= bitfield.structure_bits);
            if let Some(place) = place {
                self.fragment.words[bitfield.word] = bitfield.bit_size << 24 | place;
            } else {
                // The byte that it begins in is the best that can be said.
                let byte = bitfield.location_bits.min(bitfield.structure_bits);
                let byte = u32::try_from(byte).unwrap_or(0) & 0x00ff_ffff;
                self.fragment.words[bitfield.word] = byte;
                misplaced.push(bitfield.word);
            }
        }
        self.find_at(state, &misplaced, FindingKind::BitfieldPlace);
    }

    /// Sets the sign of enumerations of 8 bytes from their underlying types.
    fn sign_wide_enums(&mut self) {
        for (id, link) in std::mem::take(&mut self.wide_enums) {
            let Some(base) = self.references.resolve(link).filter(|base| *base != 0) else {
                continue;
            };
            let Some(record) = self.fragment.record(TypeId(base)) else {
                continue;
            };
            let is_signed = Info(record[1]).kind() == Some(Kind::Int)
                && record[3] >> 24 & btf_core::wire::int::SIGNED != 0;
            let start = self.fragment.starts[id as usize - 1] as usize;
            let info = Info(self.fragment.words[start + 1]);
            self.fragment.words[start + 1] = Info::new(Kind::Enum64, info.vlen(), is_signed).0;
        }
    }

    /// The local id of a link, 0 for `void` and what is no type.
    pub(crate) fn type_id(&self, link: u32) -> u32 {
        self.references.resolve(Link(link)).unwrap_or(0)
    }
}

/// The offset of an old bitfield from the start of its structure in bits, if BTF can say it.
///
/// Spec: DWARF 3, 5.6.6 "Structure Member Entries".
fn old_bitfield_place(bitfield: &OldBitfield, storage_bytes: u64, order: ByteOrder) -> Option<u32> {
    let in_storage = match order {
        ByteOrder::Big => bitfield.bit_offset,
        ByteOrder::Little => {
            let storage = i64::try_from(storage_bytes.checked_mul(8)?).ok()?;
            storage
                .checked_sub(bitfield.bit_offset)?
                .checked_sub(i64::from(bitfield.bit_size))?
        }
    };
    let place = bitfield.location_bits.checked_add_signed(in_storage)?;
    (bitfield.bit_size < 256 && place <= 0x00ff_ffff).then_some(place as u32)
}

//! References: from the DIE that a type attribute names to the type that it has become.
//!
//! While a unit is read, a record's type words hold *links*; when all DIEs have been seen, [`References::resolve`] turns
//! each into the local id of a type. Which DIEs are types is kept as a bit per byte of the unit, with the number of bits
//! before each word beside it: finding a type is one load and a population count, in a few KiB of memory.
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit, and the lengths of lists made from it, fit 30 bits: `units` refuses longer units"
)]

use btf_core::dedup::Fragment;

use crate::names::FastMap;

/// Where a type word leads before it is resolved.
///
/// The upper two bits tell what the rest is: a DIE's offset in the unit (0 is `void`), a local id, or the number of a
/// type of another unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link(pub(crate) u32);

const ID: u32 = 0x4000_0000;
const FOREIGN: u32 = 0x8000_0000;
const VALUE: u32 = 0x3fff_ffff;

impl Link {
    pub(crate) const VOID: Self = Self(0);
    /// The base type `int` as the index type of arrays.
    pub(crate) const INDEX_TYPE: Self = Self(u32::MAX);

    /// The DIE at this offset of the unit.
    pub(crate) fn die(offset: u32) -> Self {
        Self(offset & VALUE)
    }

    /// The type with this local id.
    pub(crate) fn id(id: u32) -> Self {
        Self(ID | id)
    }

    fn foreign(number: u32) -> Self {
        Self(FOREIGN | number)
    }

    /// The DIE's offset in the unit, if it is one of the unit.
    pub(crate) fn die_offset(self) -> Option<u32> {
        (self.0 != 0 && self.0 & !VALUE == 0).then_some(self.0)
    }

    /// The type of another unit, if it is one.
    pub(crate) fn foreign_number(self) -> Option<usize> {
        (self.0 & !VALUE == FOREIGN).then_some((self.0 & VALUE) as usize)
    }
}

/// What a type DIE has become: a local id, `void`, or what another link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The DIE has been seen, but its type has no id yet.
    Unset,
    Id(u32),
    Alias(Link),
}

/// A type DIE's place among the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetSlot {
    /// A DIE of this unit.
    Local(u32),
    /// A type that was fetched from another unit.
    Foreign(u32),
    /// What nothing can refer to.
    None,
}

/// A DIE of another unit: the unit's number and the offset in it.
pub(crate) type ForeignDie = (u32, u32);

/// The type DIEs of one unit, and those of others that it refers to.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// For each 32 bytes of the unit, at which of them type DIEs begin, and the number of type DIEs before. Not 64: those
    /// would take as much memory, and counting the bits of a word longer.
    dies: Vec<(u32, u32)>,
    local: Vec<Target>,
    foreign: Vec<Target>,
    pub(crate) foreign_dies: Vec<ForeignDie>,
    /// The number of each type of another unit that is referred to, and the DIE of this unit that does.
    foreign_referrers: Vec<(u32, u32)>,
    /// The numbers, in order, of those that are nothing that can be referred to.
    dangling: Vec<u32>,
    foreign_numbers: FastMap<ForeignDie, u32>,
    index_type: Option<u32>,
}

/// The most aliases that are followed from one reference; more are a cycle or an attack.
pub(crate) const MAX_ALIASES: usize = 64;

impl References {
    /// Forgets the last unit; the next is `unit_len` bytes long.
    pub(crate) fn reset(&mut self, unit_len: usize) {
        self.dies.clear();
        self.dies.resize(unit_len / 32 + 1, (0, 0));
        self.local.clear();
        self.foreign.clear();
        self.foreign_dies.clear();
        self.foreign_referrers.clear();
        self.dangling.clear();
        self.foreign_numbers.clear();
        self.index_type = None;
    }

    /// Notes that a type begins at a DIE of this unit. DIEs must come in ascending order.
    #[inline]
    pub(crate) fn add_local(&mut self, die: u32) -> TargetSlot {
        if let Some((bits, _)) = self.dies.get_mut(die as usize / 32) {
            *bits |= 1 << (die % 32);
        }
        self.local.push(Target::Unset);
        TargetSlot::Local(self.local.len() as u32 - 1)
    }

    /// Notes that a type begins at a DIE of another unit.
    pub(crate) fn add_foreign(&mut self, die: ForeignDie) -> TargetSlot {
        TargetSlot::Foreign(self.foreign_number(die))
    }

    /// A link to a type of another unit.
    pub(crate) fn foreign(&mut self, die: ForeignDie) -> Link {
        Link::foreign(self.foreign_number(die))
    }

    /// A link to a type of another unit, from a DIE of this one.
    pub(crate) fn foreign_from(&mut self, referrer: u32, die: ForeignDie) -> Link {
        let number = self.foreign_number(die);
        self.foreign_referrers.push((number, referrer));
        Link::foreign(number)
    }

    /// Notes that the DIE of another unit with this number is no type. Numbers must come in ascending order.
    pub(crate) fn add_dangling(&mut self, number: usize) {
        self.dangling.push(number as u32);
    }

    /// Whether a link leads to a DIE of another unit that is no type.
    pub(crate) fn is_dangling(&self, link: Link) -> bool {
        let number = link.foreign_number().map(|number| number as u32);
        number.is_some_and(|number| self.dangling.binary_search(&number).is_ok())
    }

    /// The DIEs of this unit that refer to what is no type in another one.
    pub(crate) fn dangling_referrers(&self) -> impl Iterator<Item = u32> {
        let is_dangling = |number| self.dangling.binary_search(number).is_ok();
        let all = self.foreign_referrers.iter();
        all.filter(move |(number, _)| is_dangling(number))
            .map(|&(_, referrer)| referrer)
    }

    fn foreign_number(&mut self, die: ForeignDie) -> u32 {
        let next = self.foreign.len() as u32;
        let number = *self.foreign_numbers.entry(die).or_insert(next);
        if number == next {
            self.foreign.push(Target::Unset);
            self.foreign_dies.push(die);
        }
        number
    }

    /// Whether a type of another unit has been fetched.
    pub(crate) fn is_fetched(&self, number: usize) -> bool {
        self.foreign
            .get(number)
            .is_some_and(|target| *target != Target::Unset)
    }

    /// Whether a DIE of another unit has been fetched, alone or within another one.
    pub(crate) fn has_fetched(&self, die: ForeignDie) -> bool {
        self.foreign_numbers
            .get(&die)
            .is_some_and(|number| self.is_fetched(*number as usize))
    }

    /// Sets what a DIE has become.
    #[inline]
    pub(crate) fn set(&mut self, slot: TargetSlot, target: Target) {
        let all = match slot {
            TargetSlot::Local(_) => &mut self.local,
            TargetSlot::Foreign(_) => &mut self.foreign,
            TargetSlot::None => return,
        };
        let (TargetSlot::Local(index) | TargetSlot::Foreign(index)) = slot else {
            return;
        };
        if let Some(entry) = all.get_mut(index as usize) {
            *entry = target;
        }
    }

    /// Takes the first base type `int` of the unit as the index type of its arrays.
    pub(crate) fn offer_index_type(&mut self, id: u32) {
        self.index_type.get_or_insert(id);
    }

    /// Whether the unit has a base type `int`.
    pub(crate) fn has_index_type(&self) -> bool {
        self.index_type.is_some()
    }

    /// Counts the type DIEs before each word, once all are known.
    pub(crate) fn count(&mut self) {
        let mut before = 0;
        for (bits, count) in &mut self.dies {
            *count = before;
            before += bits.count_ones();
        }
    }

    /// For each local id up to `count` the DIE of this unit that became it, 0 if it comes from none. Element 0 is `void`.
    pub(crate) fn dies_of_ids(&self, count: usize) -> Vec<u32> {
        let dies = (0_u32..)
            .step_by(32)
            .zip(&self.dies)
            .flat_map(|(base, &(bits, _))| {
                (0..32).filter_map(move |bit| (bits >> bit & 1 != 0).then_some(base + bit))
            });
        let mut of_ids = vec![0; count + 1];
        for (die, target) in dies.zip(&self.local) {
            if let &Target::Id(id) = target
                && let Some(of_id) = of_ids.get_mut(id as usize)
            {
                *of_id = die;
            }
        }
        of_ids
    }

    /// The local id that a link leads to, 0 for `void`; `None` if what it names is no type.
    #[inline]
    pub(crate) fn resolve(&self, link: Link) -> Option<u32> {
        let mut link = link;
        for _ in 0..MAX_ALIASES {
            let target = if link.0 & !VALUE == 0 {
                if link.0 == 0 {
                    return Some(0);
                }
                let &(bits, before) = self.dies.get(link.0 as usize / 32)?;
                let bit = link.0 % 32;
                if bits >> bit & 1 == 0 {
                    return None;
                }
                self.local[(before + (bits & ((1 << bit) - 1)).count_ones()) as usize]
            } else if link == Link::INDEX_TYPE {
                return Some(self.index_type.unwrap_or(0));
            } else if link.0 & !VALUE == ID {
                return Some(link.0 & VALUE);
            } else {
                *self.foreign.get((link.0 & VALUE) as usize)?
            };
            match target {
                Target::Id(id) => return Some(id),
                Target::Alias(next) => link = next,
                Target::Unset => return None,
            }
        }
        None
    }
}

/// The size in bytes of the type with local id `id`; `None` for what has no size, or more modifiers than a compiler makes.
pub(crate) fn type_size(fragment: &Fragment, id: u32, address_size: u8) -> Option<u64> {
    use btf_core::{Info, Kind, TypeId};
    let mut id = id;
    let mut count = 1_u64;
    for _ in 0..MAX_ALIASES {
        let record = fragment.record(TypeId(id))?;
        match Info(record[1]).kind()? {
            Kind::Int
            | Kind::Struct
            | Kind::Union
            | Kind::Enum
            | Kind::Float
            | Kind::Enum64
            | Kind::Datasec => {
                return count.checked_mul(u64::from(record[2]));
            }
            Kind::Ptr => return count.checked_mul(u64::from(address_size)),
            Kind::Array => {
                count = count.checked_mul(u64::from(record[5]))?;
                id = record[3];
            }
            Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::TypeTag
            | Kind::Var => id = record[2],
            Kind::Fwd | Kind::Func | Kind::FuncProto | Kind::DeclTag => return None,
        }
    }
    None
}

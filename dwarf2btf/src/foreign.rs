//! What other units hold: with LTO, and in Rust, types, functions and variables refer to DIEs of other units.
//!
//! A named structure, union or enumeration is fetched as a forward declaration: its own unit holds the definition, and the
//! merge brings the two together. So no unit drags another's whole graph of types in. Only what is used by value (as a
//! member, an element, a variable or a parameter) is fetched whole: its size matters here.
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit, and the lengths of lists made from it, fit 30 bits: `units` refuses longer units"
)]

use std::sync::Arc;

use btf_core::{Info, Kind, Result, TypeId};

use crate::abbrev::{Action, Slot};
use crate::composites::forward;
use crate::die::{self, Attributes, Bytes, Malformed};
use crate::finding::FindingKind;
use crate::names::FastMap;
use crate::references::{ForeignDie, Link, MAX_ALIASES};
use crate::unit::{ScopeKind, UnitReader, UnitState};

/// How much of a DIE of another unit is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Of what has a name, a forward declaration will do.
    Named,
    /// All of it.
    Whole,
}

/// How much of what uses types has been searched for those used by value.
#[derive(Clone, Copy, Debug, Default)]
struct Searched {
    records: usize,
    variables: usize,
    subprograms: usize,
    parameters: usize,
}

impl<'c> UnitReader<'c, '_> {
    /// Fetches what this unit refers to in others, and what that refers to, up to the next name or pointer.
    pub(crate) fn fetch_foreign(&mut self, state: &UnitState<'c>) -> Result<()> {
        if self.references.foreign_dies.is_empty() {
            return Ok(());
        }
        let first = self.fragment.starts.len() as u32 + 1;
        self.fragment.first_weak = Some(first);
        let mut fetched = 0;
        let mut searched = Searched::default();
        loop {
            while let Some(&die) = self.references.foreign_dies.get(fetched) {
                if !self.references.is_fetched(fetched) && !self.fetch(die, Extent::Named)? {
                    self.references.add_dangling(fetched);
                }
                fetched += 1;
            }
            let by_value = self.foreign_by_value(&mut searched);
            if by_value.is_empty() {
                break;
            }
            for die in by_value {
                self.fetch(die, Extent::Whole)?;
            }
        }
        let dangling: Vec<u32> = self.references.dangling_referrers().collect();
        for referrer in dangling {
            self.note_finding(state, referrer, FindingKind::DanglingReference);
        }
        let homes = self
            .foreign_forwards
            .iter()
            .map(|&(id, (unit, _))| (id, unit));
        self.fragment.homes.extend(homes);
        self.add_gnu_annotations(state);
        // Arrays may have come along.
        self.add_index_type();
        Ok(())
    }

    /// Fetches one DIE; `false` if it is nothing that can be referred to.
    fn fetch(&mut self, (unit, offset): ForeignDie, extent: Extent) -> Result<bool> {
        let mut other = match self.entered.remove(&unit) {
            Some(other) => other,
            None => self.enter(unit)?,
        };
        let before = self.die_count;
        self.fetching = true;
        let result = self.fetch_die(&mut other, offset, extent);
        self.fetching = false;
        self.fetched_die_count += self.die_count - before + 1;
        let is_there = result.map_err(|malformed| self.locate(unit, malformed))?;
        self.entered.insert(unit, other);
        Ok(is_there)
    }

    /// Fetches one DIE of another unit; `false` if it is nothing that can be referred to.
    fn fetch_die(
        &mut self,
        other: &mut UnitState<'c>,
        offset: u32,
        extent: Extent,
    ) -> Result<bool, Malformed> {
        let order = self.context.image.order;
        let mut bytes = Bytes::new(other.data, offset as usize, order);
        let code = bytes.uleb()?;
        let table = Arc::clone(&other.table);
        let Some(plan) = table.plan(code) else {
            return Ok(false);
        };
        let kind = match plan.action {
            Action::Struct => Some(ScopeKind::Struct),
            Action::Union => Some(ScopeKind::Union),
            Action::Enum => Some(ScopeKind::Enum),
            Action::Variable => None,
            Action::Base
            | Action::Derived
            | Action::Array
            | Action::SubroutineType
            | Action::Unspecified
            | Action::Opaque
            | Action::Annotation
            | Action::Subprogram => {
                self.walk(other, offset as usize, false)?;
                return Ok(true);
            }
            // It comes with its function.
            Action::Parameter => return Ok(true),
            Action::Enumerator
            | Action::Subrange
            | Action::Member
            | Action::Inheritance
            | Action::Variadic
            | Action::VariantPart
            | Action::SkipTree
            | Action::Descend => return Ok(false),
        };
        let mut attributes = Attributes::default();
        die::read(
            &mut bytes,
            &table,
            plan.read,
            other.unit.sizes,
            &mut attributes,
        )?;
        let Some(kind) = kind else {
            self.die = offset;
            self.add_variable(other, offset, &attributes)?;
            return Ok(true);
        };
        let name = self.name(other, &attributes, Slot::Name)?;
        if extent == Extent::Whole || name.0 == 0 || attributes.has(Slot::Signature) {
            self.walk(other, offset as usize, false)?;
            return Ok(true);
        }
        let slot = self.references.add_foreign((other.index, offset));
        let id = self.push(slot, &forward(kind, name));
        self.foreign_forwards.push((id, (other.index, offset)));
        Ok(true)
    }

    /// The types whose forward declarations are used by value in what has not been searched, in the order of their use.
    fn foreign_by_value(&self, searched: &mut Searched) -> Vec<ForeignDie> {
        let mut links = Vec::new();
        for id in searched.records as u32 + 1..=self.fragment.len() as u32 {
            let Some(record) = self.fragment.record(TypeId(id)) else {
                continue;
            };
            match Info(record[1]).kind() {
                Some(Kind::Struct | Kind::Union) => {
                    links.extend(record[3..].chunks_exact(3).map(|member| member[1]));
                }
                Some(Kind::Array) => links.push(record[3]),
                Some(Kind::FuncProto) => {
                    links.push(record[2]);
                    links.extend(record[3..].chunks_exact(2).map(|parameter| parameter[1]));
                }
                _ => {}
            }
        }
        let variables = &self.variables[searched.variables..];
        links.extend(variables.iter().map(|variable| variable.link));
        let subprograms = &self.subprograms[searched.subprograms..];
        links.extend(subprograms.iter().map(|subprogram| subprogram.return_link));
        let parameters = &self.parameters[searched.parameters..];
        links.extend(parameters.iter().map(|parameter| parameter.link));
        *searched = Searched {
            records: self.fragment.len(),
            variables: self.variables.len(),
            subprograms: self.subprograms.len(),
            parameters: self.parameters.len(),
        };
        let mut seen = FastMap::default();
        let behind = links
            .into_iter()
            .filter_map(|link| self.forward_behind(Link(link)));
        behind
            .filter(|&die| seen.insert(die, ()).is_none())
            .collect()
    }

    /// The type of another unit that a link leads to without a pointer between, if only its forward declaration is here.
    fn forward_behind(&self, link: Link) -> Option<ForeignDie> {
        let mut link = link;
        for _ in 0..MAX_ALIASES {
            let id = self.references.resolve(link)?;
            if let Ok(at) = self
                .foreign_forwards
                .binary_search_by_key(&id, |&(id, _)| id)
            {
                return Some(self.foreign_forwards[at].1);
            }
            let record = self.fragment.record(TypeId(id))?;
            let kind = Info(record[1]).kind()?;
            link = Link(if kind == Kind::Array {
                record[3]
            } else if kind.is_modifier() {
                record[2]
            } else {
                return None;
            });
        }
        None
    }
}

//! The functions and variables of the output's BTF: of each shared name one, of each static one its own.
//!
//! What is defined is told as its definition tells it; a declaration counts only where there is no definition. What goes with its
//! code or data, or is not referred to, is not told at all.
#![deny(clippy::indexing_slicing)]

use std::collections::{HashMap, HashSet};

use btf_core::wire::linkage;
use btf_core::{Btf, Type, TypeId};

use super::layout::Layout;
use super::matching;
use super::names::ByName;
use super::object::{Object, Place};
use super::problem::{Problem, show};
use super::symbols::{Symbols, Target};

/// A function or variable of the output.
#[derive(Debug)]
pub(crate) struct Entity<'o> {
    pub(crate) is_variable: bool,
    pub(crate) name: &'o [u8],
    /// The object whose record counts.
    pub(crate) object: usize,
    /// The type of the variable or the prototype, in that object.
    pub(crate) target: TypeId,
    pub(crate) linkage: u32,
    /// The tags of all its declarations, each once.
    pub(crate) tags: Vec<Tag<'o>>,
}

/// A tag on a function, variable or parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tag<'o> {
    pub(crate) text: &'o [u8],
    pub(crate) component: i32,
    pub(crate) is_attribute: bool,
}

/// No entity.
const NONE: u32 = u32::MAX;

/// The functions and variables of the output.
#[derive(Debug, Default)]
pub(crate) struct Entities<'o> {
    pub(crate) list: Vec<Entity<'o>>,
    /// By object and type id, the number of the entity; [`NONE`] for what is no function or variable, and for what goes.
    of: Vec<Vec<u32>>,
    /// By object, the functions and variables that go.
    pub(crate) gone: Vec<Vec<TypeId>>,
}

impl Entities<'_> {
    /// The entity that a FUNC or VAR of an object became.
    pub(crate) fn of(&self, object: usize, id: TypeId) -> Option<usize> {
        let number = *self.of.get(object)?.get(id.0 as usize)?;
        (number != NONE).then_some(number as usize)
    }
}

/// The FUNCs and VARs of each object that other objects can know, by name; and whether it is a map.
pub(crate) type Declared<'o> = Vec<ByName<'o, (TypeId, bool)>>;

/// Finds what each object declares for others.
pub(crate) fn declared<'o>(objects: &'o [Object<'_>]) -> Declared<'o> {
    let of_object = |object: &'o Object<'_>| {
        let mut names = ByName::default();
        let mut maps = HashSet::new();
        for (btf, section) in object.datasecs() {
            if btf.string(section.name).is_ok_and(|name| name == b".maps") {
                maps.extend(section.entries().map(|entry| entry.ty));
            }
        }
        for (btf, id, ty) in object.entities() {
            if let Type::Func { name, linkage, .. } | Type::Var { name, linkage, .. } = ty
                && linkage != linkage::STATIC
                && let Ok(name) = btf.string(name)
            {
                names.entry(name).or_insert((id, maps.contains(&id)));
            }
        }
        names
    };
    objects.iter().map(of_object).collect()
}

/// Checks that all declarations of each shared name agree with its definition, or with the first of them.
pub(crate) fn check(
    objects: &[Object<'_>],
    symbols: &Symbols<'_>,
    declared: &Declared<'_>,
    problems: &mut Vec<Problem>,
) {
    let found = |object: usize, name: &[u8]| -> Option<(&Btf, TypeId, bool)> {
        let (id, is_map) = *declared.get(object)?.get(name)?;
        Some((objects.get(object)?.btf.as_ref()?, id, is_map))
    };
    let mut budget = matching::MAX_PAIRS;
    for global in &symbols.globals {
        let first = global.definition.or_else(|| {
            let mut uses = global.uses.iter().copied();
            uses.find(|at| found(at.0, global.name).is_some())
        });
        let Some((first, (btf, id, is_map))) =
            first.and_then(|at| Some((at, found(at.0, global.name)?)))
        else {
            continue;
        };
        for &at in &global.uses {
            let Some((other, other_id, other_is_map)) =
                found(at.0, global.name).filter(|_| at.0 != first.0)
            else {
                continue;
            };
            let agree = if is_map || other_is_map {
                matching::check_maps((btf, id), (other, other_id), &mut budget)
            } else {
                matching::check((btf, id), (other, other_id), &mut budget)
            };
            if let Err(why) = agree {
                let text = format!("{} is declared in different ways: {why}", show(global.name));
                problems.push(Problem::of_symbols(text, objects, [first, at]));
            }
        }
    }
}

/// Where the static functions and variables of an object are, by type id: section and offset; those without a place are not here.
fn places(object: &Object<'_>) -> HashMap<TypeId, Vec<(usize, u64)>> {
    let mut places: HashMap<TypeId, Vec<(usize, u64)>> = HashMap::new();
    let Some(btf) = &object.btf else {
        return places;
    };
    let section = |name| btf.string(name).ok().and_then(|name| object.section(name));
    for block in object.ext.iter().flat_map(|ext| &ext.func_info) {
        let Some(section) = section(block.section) else {
            continue;
        };
        for record in &block.records {
            let at = (section, record.insn_off.into());
            places.entry(record.type_id).or_default().push(at);
        }
    }
    for (_, datasec) in object.datasecs() {
        let Some(section) = section(datasec.name) else {
            continue;
        };
        for entry in datasec.entries() {
            let at = (section, entry.offset.into());
            places.entry(entry.ty).or_default().push(at);
        }
    }
    places
}

/// Makes the entities of all objects.
pub(crate) fn entities<'o, 'd>(
    objects: &'o [Object<'d>],
    symbols: &Symbols<'d>,
    declared: &Declared<'o>,
    layout: &Layout<'_, 'd>,
    is_kept: &dyn Fn(usize) -> bool,
) -> Entities<'o> {
    let mut maker = Maker {
        objects,
        symbols,
        declared,
        layout,
        is_kept,
        found: Entities::default(),
        shared: ByName::default(),
        known_tags: HashSet::new(),
        left_out: HashSet::new(),
    };
    for (index, object) in objects.iter().enumerate() {
        maker.add(index, object);
    }
    maker.found
}

struct Maker<'a, 'o, 'd> {
    objects: &'o [Object<'d>],
    symbols: &'a Symbols<'d>,
    declared: &'a Declared<'o>,
    layout: &'a Layout<'a, 'd>,
    /// Whether an undefined shared name, by its number, stays.
    is_kept: &'a dyn Fn(usize) -> bool,
    found: Entities<'o>,
    /// By name, the entity of a shared name; `None` if it goes.
    shared: ByName<'o, Option<usize>>,
    known_tags: HashSet<(usize, Tag<'o>)>,
    /// The names in the object at hand that belong to sections of which another object's is kept.
    left_out: HashSet<&'o [u8]>,
}

impl<'o> Maker<'_, 'o, '_> {
    fn add(&mut self, index: usize, object: &'o Object<'_>) {
        let (mut of, mut gone) = (Vec::new(), Vec::new());
        if let Some(btf) = &object.btf {
            let places = places(object);
            let symbols = object.symbols.iter().enumerate();
            let left_out = symbols.filter(|(number, symbol)| {
                matches!(symbol.place, Place::Section(_))
                    && self.symbols.target((index, *number)) == Target::None
            });
            self.left_out = left_out.map(|(_, symbol)| symbol.name).collect();
            of.resize(btf.end_id() as usize, NONE);
            for (_, id, ty) in object.entities() {
                let (Type::Func {
                    name,
                    proto: target,
                    linkage,
                }
                | Type::Var {
                    name,
                    target,
                    linkage,
                }) = ty
                else {
                    continue;
                };
                let entity = Entity {
                    is_variable: matches!(ty, Type::Var { .. }),
                    name: btf.string(name).unwrap_or_default(),
                    object: index,
                    target,
                    linkage,
                    tags: Vec::new(),
                };
                let entity = self.entity(entity, places.get(&id));
                if entity.is_none() {
                    gone.push(id);
                }
                if let Some(slot) = of.get_mut(id.0 as usize) {
                    *slot = entity
                        .and_then(|number| u32::try_from(number).ok())
                        .unwrap_or(NONE);
                }
            }
        }
        self.found.of.push(of);
        self.found.gone.push(gone);
        self.add_tags(index, object);
    }

    fn push(&mut self, entity: Entity<'o>) -> usize {
        self.found.list.push(entity);
        self.found.list.len() - 1
    }

    /// The number of an entity, which is new or known; `None` if it goes.
    fn entity(&mut self, entity: Entity<'o>, places: Option<&Vec<(usize, u64)>>) -> Option<usize> {
        if entity.linkage == linkage::STATIC {
            let object = entity.object;
            let stays = places.is_none_or(|places| {
                let mut places = places.iter();
                places.any(|&(section, offset)| self.layout.stays((object, section), offset))
            });
            return stays.then(|| self.push(entity));
        }
        if let Some(&known) = self.shared.get(entity.name) {
            return known;
        }
        let name = entity.name;
        let made = self.shared_entity(entity);
        self.shared.insert(name, made);
        made
    }

    /// Makes the entity of a shared name as its definition tells it.
    fn shared_entity(&mut self, entity: Entity<'o>) -> Option<usize> {
        let Some(number) = self.symbols.find(entity.name) else {
            // A function that was inlined everywhere has no symbol; what is in a section like another's goes with it.
            let is_left_out = self.left_out.contains(entity.name);
            return (!is_left_out).then(|| self.push(entity));
        };
        let global = self.symbols.globals.get(number)?;
        let Some(definition) = global.definition else {
            let linkage = linkage::EXTERN;
            return (self.is_kept)(number).then(|| self.push(Entity { linkage, ..entity }));
        };
        self.layout.symbol(definition)?;
        let of_definition = || {
            let btf = self.objects.get(definition.0)?.btf.as_ref()?;
            let (id, _) = *self.declared.get(definition.0)?.get(entity.name)?;
            let ty = btf.ty(id).ok()?;
            if let Type::Func { proto: target, .. } | Type::Var { target, .. } = ty {
                return Some((matches!(ty, Type::Var { .. }), target));
            }
            None
        };
        let linkage = linkage::GLOBAL;
        let entity = match of_definition() {
            Some((is_variable, target)) => Entity {
                is_variable,
                object: definition.0,
                target,
                linkage,
                ..entity
            },
            None => Entity { linkage, ..entity },
        };
        Some(self.push(entity))
    }

    /// Adds the tags on an object's functions and variables to the entities.
    fn add_tags(&mut self, index: usize, object: &'o Object<'_>) {
        for (btf, _, ty) in object.tags() {
            let Type::DeclTag {
                name,
                target,
                component,
                is_attribute,
            } = ty
            else {
                continue;
            };
            let Some(number) = self.found.of(index, target) else {
                continue;
            };
            let Some(entity) = self.found.list.get_mut(number) else {
                continue;
            };
            let tag = Tag {
                text: btf.string(name).unwrap_or_default(),
                component,
                is_attribute,
            };
            if self.known_tags.insert((number, tag)) {
                entity.tags.push(tag);
            }
        }
    }
}

//! Parts: what is taken of a base that is not indexed gives the result of the whole base, whatever kinds and names there are.

use super::oracle::{check_complete, check_sound};
use super::random::{in_one, rounds};
use super::{NameWords, Outline, Random, Unread, merge_by, merge_unread};
use crate::dedup::key::tag_label;
use crate::dedup::{Base, Fragment, Merger, Name};
use crate::ids::TypeId;
use crate::kind::{Kind, Word};
use crate::refs::{type_refs, word_roles};
use crate::wire::Info;

/// What inputs are made of.
#[derive(Clone, Copy)]
struct Style {
    types: u32,
    names: u32,
    /// Whether only what has a label is referred to before it stands, so that each cycle has one.
    is_c: bool,
    /// Whether there are functions, variables and tags, too.
    has_all_kinds: bool,
}

/// The first two words of a type.
fn head(random: &mut Random, style: Style) -> (u32, Info) {
    let name = 1 + random.below(style.names);
    let or_none = if random.below(3) == 0 { 0 } else { name };
    let vlen = random.below(4);
    let is_flagged = random.below(4) == 0;
    let (kind, name, vlen, is_flagged) =
        match random.below(if style.has_all_kinds { 23 } else { 18 }) {
            0 => (Kind::Int, name, 0, false),
            1 | 2 => (Kind::Ptr, 0, 0, false),
            3 => (Kind::Const, 0, 0, false),
            4 => (Kind::Volatile, 0, 0, false),
            5 => (Kind::Restrict, 0, 0, false),
            6 => (Kind::Typedef, name, 0, false),
            7..=9 => (Kind::Struct, or_none, vlen, is_flagged),
            10 => (Kind::Union, or_none, vlen, is_flagged),
            11 => (Kind::FuncProto, 0, vlen, false),
            12 => (Kind::Enum, or_none, vlen, is_flagged),
            13 => (Kind::Enum64, or_none, vlen, is_flagged),
            14 | 15 => (Kind::Fwd, name, 0, is_flagged),
            16 => (Kind::Array, 0, 0, false),
            17 => (Kind::Float, name, 0, false),
            18 => (Kind::TypeTag, name, 0, is_flagged),
            19 => (Kind::DeclTag, name, 0, is_flagged),
            20 => (Kind::Func, name, vlen, false),
            21 => (Kind::Var, name, 0, false),
            _ => (Kind::Datasec, name, vlen, false),
        };
    (name, Info::new(kind, vlen, is_flagged))
}

/// Types that refer to each other.
fn independent(random: &mut Random, style: Style) -> Fragment {
    let count = 1 + random.below(style.types);
    let heads: Vec<(u32, Info)> = (0..count).map(|_| head(random, style)).collect();
    let mut made = Fragment::default();
    for (own, &(name, info)) in (1..).zip(&heads) {
        let roles = word_roles(info).enumerate();
        let word = |(at, role)| match role {
            Word::Name if at == 0 => name,
            Word::Name => random.below(1 + style.names),
            Word::Value if at == 1 => info.0,
            Word::Value if at == 2 && matches!(info.kind(), Some(Kind::Fwd | Kind::Array)) => 0,
            Word::Value => 4 + random.below(8) / 7,
            Word::Type => {
                let target = random.below(count + 1);
                let (name, info) = heads[target.saturating_sub(1) as usize];
                if style.is_c && target >= own && tag_label(info, Name(name)) == 0 {
                    random.below(own)
                } else {
                    target
                }
            }
        };
        made.push(&roles.map(word).collect::<Vec<u32>>());
    }
    made
}

/// Some types of a fragment and all that they lead to, some of them changed.
fn variant(random: &mut Random, style: Style, of: &Fragment) -> Fragment {
    let count = of.len() as u32;
    let mut stack: Vec<u32> = (0..=random.below(3))
        .map(|_| 1 + random.below(count))
        .collect();
    if random.below(3) == 0 {
        stack.extend(1..=count);
    }
    let mut order = Vec::new();
    while let Some(id) = stack.pop() {
        if id != 0 && !order.contains(&id) {
            order.push(id);
            let record = of.record(TypeId(id)).unwrap();
            stack.extend(type_refs(record).map(|(_, target)| target.0));
        }
    }
    order.sort_unstable();
    if random.below(2) == 0 {
        random.shuffle(&mut order);
    }
    let new_id = |id: u32| {
        order
            .iter()
            .position(|&old| old == id)
            .map_or(0, |at| at as u32 + 1)
    };
    // Of twelve types.
    let changed_count = [0, 1, 3][random.below(3) as usize];
    let mut made = Fragment::default();
    for &old in &order {
        let mut record = of.record(TypeId(old)).unwrap().to_vec();
        for (at, target) in type_refs(&record.clone()) {
            record[at] = new_id(target.0);
        }
        if random.below(12) < changed_count {
            change(random, style, order.len() as u32, &mut record);
        }
        made.push(&record);
    }
    made
}

/// Makes a forward declaration of a definition, or another word of one.
fn change(random: &mut Random, style: Style, count: u32, record: &mut Vec<u32>) {
    let info = Info(record[1]);
    let kind = info.kind().unwrap();
    let at = random.below(record.len() as u32) as usize;
    if record[0] != 0 && matches!(kind, Kind::Struct | Kind::Union) && random.below(2) == 0 {
        *record = vec![record[0], Info::new(Kind::Fwd, 0, kind == Kind::Union).0, 0];
        return;
    }
    match word_roles(info).nth(at) {
        Some(Word::Name) if record[at] != 0 => record[at] = 1 + random.below(style.names + 2),
        Some(Word::Value) if at > 1 && kind != Kind::Fwd => record[at] = 4 + random.below(2),
        Some(Word::Type) if !style.is_c => record[at] = random.below(count + 1),
        _ => {}
    }
}

/// A base of several such fragments.
fn base(random: &mut Random, style: Style) -> (Vec<Fragment>, Fragment) {
    let mut parts = vec![independent(random, style)];
    for _ in 0..random.below(4) {
        let of = random.below(parts.len() as u32) as usize;
        parts.push(match random.below(3) {
            0 => independent(random, style),
            _ => variant(random, style, &parts[of]),
        });
    }
    let all = in_one(&parts.iter().collect::<Vec<_>>());
    (parts, all)
}

/// A module of what a base is made of.
fn module(random: &mut Random, style: Style, parts: &[Fragment], has_weak: bool) -> Fragment {
    let part = |random: &mut Random| {
        let of = random.below(parts.len() as u32) as usize;
        variant(random, style, &parts[of])
    };
    let mut made = match random.below(6) {
        0 => independent(random, style),
        1 => in_one(&[&part(random), &part(random)]),
        _ => part(random),
    };
    if has_weak && random.below(2) == 0 {
        made.first_weak = Some(1 + random.below(made.len() as u32 + 1));
    }
    made
}

/// Says of some weak forward declarations that they stand for what another fragment means.
fn add_homes(random: &mut Random, modules: &mut [Fragment]) {
    let count = modules.len() as u32;
    for module in modules {
        for id in 1..=module.len() as u32 {
            let record = module.record(TypeId(id)).unwrap();
            let is_forward = Info(record[1]).kind() == Some(Kind::Fwd);
            if is_forward && module.is_weak(TypeId(id)) && random.below(2) == 0 {
                module.homes.push((id, random.below(count)));
            }
        }
    }
}

/// The names of words, which are in another order.
#[derive(Debug)]
struct Words(Vec<u32>);

impl NameWords for Words {
    fn end(&self) -> u32 {
        self.0.len() as u32
    }
    fn name(&self, word: u32) -> Name {
        Name(self.0[word as usize])
    }
    fn word(&self, name: Name) -> Option<u32> {
        let at = self.0.iter().position(|&other| other == name.0);
        at.map(|at| at as u32)
    }
}

/// Puts words in the place of names.
fn in_words(random: &mut Random, base: &Fragment) -> (Fragment, Words) {
    let mut made = base.clone();
    let mut names = Vec::new();
    let roles = |start: u32| {
        let roles = word_roles(Info(base.words[start as usize + 1]));
        (start as usize..)
            .zip(roles)
            .filter(|(_, role)| *role == Word::Name)
    };
    for (at, _) in base.starts.iter().flat_map(|&start| roles(start)) {
        names.push(base.words[at]);
    }
    names.sort_unstable();
    names.dedup();
    names.retain(|&name| name != 0);
    random.shuffle(&mut names);
    names.insert(0, 0);
    let words = Words(names);
    for (at, _) in base.starts.iter().flat_map(|&start| roles(start)) {
        made.words[at] = words.word(Name(base.words[at])).unwrap();
    }
    (made, words)
}

/// Compares what a merge makes of a whole base with what it makes of the part that it takes.
fn check(random: &mut Random, style: Style, has_weak: bool) {
    let (parts, content) = base(random, style);
    let mut modules: Vec<Fragment> = (0..=random.below(3))
        .map(|_| module(random, style, &parts, has_weak))
        .collect();
    if has_weak {
        add_homes(random, &mut modules);
    }
    let base = Base::new(content.clone());
    let mut whole = merge_by(Merger::with_base(&base), &modules, 1, random);
    let (Fragment { words, starts, .. }, names) = in_words(random, &content);
    let outline = Outline::of(&words, &starts, |word| word < names.end()).unwrap();
    let unread = Unread {
        words: &words,
        starts: &starts,
        outline: &outline,
        names: &names,
    };
    for workers in [1, 3] {
        let part = merge_unread(unread, &modules, workers, random);
        assert_eq!(part.records, whole.records);
        assert_eq!(part.ids, whole.ids);
        for id in (1..=content.len() as u32).map(TypeId) {
            let first = base.first_equal(id);
            let is_had = whole.ids.iter().flatten().any(|&id| id == first.0);
            assert!(!is_had || part.merged.first_equal_of_base(id) == first);
        }
    }
    if !has_weak {
        let ids = (1..=content.len() as u32).map(|id| base.first_equal(TypeId(id)).0);
        whole.ids.insert(0, ids.collect());
        modules.insert(0, content);
        check_sound(&modules, &whole);
        check_complete(&modules, &whole);
    }
}

#[test]
fn a_part_gives_the_result_of_the_whole() {
    let mut random = Random(14);
    for round in 0..rounds() {
        let style = Style {
            types: 4 + round % 23,
            names: 2 + round % 7,
            is_c: round % 4 != 0,
            has_all_kinds: round % 3 == 0,
        };
        check(&mut random, style, round % 2 == 0);
    }
}

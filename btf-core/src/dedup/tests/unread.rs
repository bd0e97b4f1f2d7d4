//! A base that somebody writes to while it is borrowed: whatever comes of it, it is a merge, and no panic.

use std::sync::atomic::{AtomicU32, Ordering};

use super::random::{Style, input};
use super::{NameWords, Outline, Random, Unread, merge_unread};
use crate::dedup::Name;
use crate::dedup::fragment::for_each_type_word;
use crate::kind::Kind;
use crate::wire::Info;

const STYLE: Style = Style {
    fragments: 4,
    types: 12,
    names: 6,
    has_forwards: true,
};

/// Name words that stand for another name every third time.
#[derive(Debug, Default)]
struct ChangingNames {
    asked: AtomicU32,
}

impl ChangingNames {
    fn changed(&self, number: u32) -> u32 {
        match self.asked.fetch_add(1, Ordering::Relaxed) {
            count if count % 3 == 0 => count % 8,
            _ => number,
        }
    }
}

impl NameWords for ChangingNames {
    fn end(&self) -> u32 {
        1 << 8
    }
    fn name(&self, word: u32) -> Name {
        Name(self.changed(word))
    }
    fn word(&self, name: Name) -> Option<u32> {
        Some(self.changed(name.0))
    }
}

/// Makes another word of one: any number, one that makes sense in some places, or another kind of the same length.
fn change(random: &mut Random, words: &mut [u32]) {
    let at = random.below(words.len() as u32) as usize;
    words[at] = match random.below(4) {
        0 => random.below(u32::MAX),
        1 => random.below(16),
        2 => Info::new(Kind::Struct, random.below(1 << 16), false).0,
        _ => words[at] ^ 1 << random.below(32),
    };
}

#[test]
fn a_base_that_has_changed_since_its_outline_was_made_is_merged_somehow() {
    let mut random = Random(7);
    for _ in 0..2000 {
        let fragments = input(&mut random, STYLE);
        let (base, modules) = fragments.split_first().unwrap();
        let outline = Outline::of(&base.words, &base.starts, |_| true).unwrap();
        let mut words = base.words.clone();
        for _ in 0..=random.below(6) {
            change(&mut random, &mut words);
        }
        if random.below(8) == 0 {
            words.fill(u32::MAX);
        }
        let unread = Unread {
            words: &words,
            starts: &base.starts,
            outline: &outline,
            names: &ChangingNames::default(),
        };
        let result = merge_unread(unread, modules, 1, &mut Random(1));
        let end = base.starts.len() + 1 + result.records.len();
        for record in &result.records {
            let kind = Info(record[1]).kind().unwrap();
            for_each_type_word(kind, record.len(), |at| {
                assert!((record[at] as usize) < end);
            });
        }
    }
}

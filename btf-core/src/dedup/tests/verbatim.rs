//! Types that are added as they stand in BTF; the random tests add half of their fragments like that.

use super::{Merger, add_verbatim, fragment, merge};
use crate::dedup::{Fragment, NO_NAME, Verbatim};
use crate::kind::Kind;

/// What stands in front refers to what stands behind, with and without a label, and one type is there twice.
fn mixed() -> Fragment {
    fragment(|f| {
        f.structure(1, &[4, 2]);
        f.ptr(3);
        f.typedef(2, 6);
        f.array(2, 8);
        f.proto(4, &[2, 1, 0]);
        f.int(3);
        f.ptr(8);
        f.fwd(4);
        f.int(3);
        f.add(Kind::Enum, 5, 2, &[4, 6, 0, 7, 1]);
        f.add(Kind::Enum64, 8, 1, &[8, 9, 1, 2]);
        f.add(Kind::Datasec, 10, 1, &[8, 2, 0, 8]);
    })
}

#[test]
fn what_is_added_verbatim_is_what_is_added() {
    let small = fragment(|f| _ = f.int(3));
    let fragments = [mixed(), mixed(), small, mixed()];
    let expect = merge(&fragments);
    let merger = Merger::new();
    let mut worker = merger.worker();
    for (index, fragment) in (0..).zip(&fragments) {
        assert!(add_verbatim(&mut worker, index, fragment));
    }
    let gathered = vec![worker.finish()];
    let merged = merger.finish(gathered, &|_, _| {});
    let mut records = Vec::new();
    let numbering = merged.number(&[]);
    numbering.for_each_record(|_, record| records.push(record.to_vec()));
    assert_eq!(records, expect.records);
    assert_eq!(records.len(), mixed().len() - 1);
}

#[test]
fn what_is_known_is_kept_once() {
    // Behind other types each time, so that no guess is right.
    let others = [6, 7, 8].map(|name| fragment(|f| _ = f.int(name)));
    let words = |fragments: &[&Fragment]| {
        let merger = Merger::new();
        let mut worker = merger.worker();
        for (index, fragment) in (0..).zip(fragments) {
            assert!(add_verbatim(&mut worker, index, fragment));
        }
        worker.finish().words
    };
    let [a, b, c] = &others;
    let expect = words(&[a, &mixed(), b, c]);
    assert_eq!(words(&[a, &mixed(), b, &mixed(), c, &mixed()]), expect);
}

#[test]
fn what_cannot_be_added_verbatim_leaves_nothing_behind() {
    let cycle = fragment(|f| {
        f.int(3);
        f.typedef(1, 3);
        f.ptr(2);
        f.ptr(3);
    });
    let out_of_range = fragment(|f| {
        f.int(3);
        f.ptr(4);
    });
    let unnamed = fragment(|f| _ = f.int(300));
    let unnamed_structure = fragment(|f| _ = f.structure(300, &[]));
    let mut unknown = fragment(|f| _ = f.int(3));
    unknown.words[1] = 31 << 24;
    let bad = [
        &cycle,
        &out_of_range,
        &unnamed,
        &unnamed_structure,
        &unknown,
    ];
    let merger = Merger::new();
    let mut worker = merger.worker();
    for fragment in bad {
        assert!(!add_verbatim(&mut worker, 0, fragment), "{fragment:?}");
    }
    let words = [0, 0];
    let types = Verbatim {
        words: &words,
        starts: &[0, 5],
        names: &[0, NO_NAME],
    };
    assert!(!worker.add_verbatim(0, types));
    let no_starts = Verbatim {
        starts: &[],
        ..types
    };
    assert!(!worker.add_verbatim(0, no_starts));
    // What was known of the cycle's types does not count.
    worker.add(0, &cycle);
    assert!(add_verbatim(&mut worker, 1, &mixed()));
    let gathered = vec![worker.finish()];
    let merged = merger.finish(gathered, &|_, _| {});
    let expect = merge(&[cycle, mixed()]);
    assert_eq!(merged.number(&[]).len(), expect.len());
}

#[test]
fn what_was_met_in_what_cannot_be_added_counts_when_it_is_added() {
    let refused = fragment(|f| {
        f.int(7);
        f.ptr(2);
    });
    let first = fragment(|f| _ = f.int(8));
    let both = fragment(|f| {
        f.int(8);
        f.int(7);
        f.ptr(2);
    });
    let merger = Merger::new();
    let mut worker = merger.worker();
    assert!(!add_verbatim(&mut worker, 0, &refused));
    assert!(add_verbatim(&mut worker, 0, &first));
    assert!(add_verbatim(&mut worker, 1, &both));
    let gathered = vec![worker.finish()];
    let merged = merger.finish(gathered, &|_, _| {});
    assert_eq!(merged.number(&[]).len(), 3);
}

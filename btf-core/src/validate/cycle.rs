//! Finds types that contain themselves, for which no tool finds a size.

use super::{Report, Rule};
use crate::graph::{Visitor, depth_first};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::reader::Btf;
use crate::wire::Info;

/// Checks the own types.
pub(super) fn check(btf: &Btf, report: &mut Report<'_>) {
    let own_ids = (btf.first_id()..btf.end_id()).map(TypeId);
    depth_first(btf, own_ids, &mut Containment { btf, report });
}

/// Goes from each type to those that it contains or modifies.
struct Containment<'a, 'b, 'r> {
    btf: &'a Btf,
    report: &'b mut Report<'r>,
}

impl Visitor for Containment<'_, '_, '_> {
    fn follows(&mut self, from: TypeId, _: TypeId) -> bool {
        let kind = self.btf.info(from).and_then(Info::kind);
        kind.is_some_and(Kind::contains)
    }

    fn cycle(&mut self, cycle: &mut dyn Iterator<Item = TypeId>) {
        // The first type is enough to find the others by.
        if let Some(first) = cycle.next() {
            // A kernel that looks finds it where it resolves types.
            self.report.add_for_tools(Rule::Cycle, first, 0, first.0);
        }
    }
}

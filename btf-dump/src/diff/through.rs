//! What has changed because something that it holds has.
//!
//! From each item the walk goes to what it holds by value: members, elements, what a typedef stands for, results and
//! parameters. It stops at pointers. The first item on that way, in the order of members, that has changed itself is the cause.

use btf_core::TypeId;

use super::parts::parts;
use super::side::Side;

/// What has changed in a blob, and because of what.
#[derive(Clone, Debug, Default)]
pub struct Causes {
    /// The first id that belongs to the blob itself.
    first: u32,
    /// For each own type the one that is the cause; `void` for none.
    own: Vec<TypeId>,
    /// Those of the base.
    base: Vec<TypeId>,
}

/// A type whose parts are being looked at.
struct Frame<P> {
    index: usize,
    /// Those that have not been looked at.
    parts: P,
}

impl Causes {
    /// Finds the causes in a blob in which the types `changed` have changed themselves.
    pub(super) fn new(
        side: &Side<'_>,
        changed: impl Iterator<Item = TypeId>,
        base: Option<&Self>,
    ) -> Self {
        let btf = side.btf();
        let first = btf.first_id();
        let count = btf.end_id().saturating_sub(first) as usize;
        let mut causes = Self {
            first,
            own: vec![TypeId::VOID; count],
            base: base.map_or_else(Vec::new, Self::all),
        };
        let mut is_done = vec![false; count];
        for id in changed {
            let index = id.0.wrapping_sub(first) as usize;
            if let (Some(own), Some(is_done)) = (causes.own.get_mut(index), is_done.get_mut(index))
            {
                *own = id;
                *is_done = true;
            }
        }
        if causes.base.is_empty() && causes.own.iter().all(|id| id.is_void()) {
            return causes;
        }
        let mut stack = Vec::new();
        for (root, record) in btf.records().enumerate() {
            if is_done.get(root) != Some(&false) {
                continue;
            }
            is_done[root] = true;
            let mut frame = Frame {
                index: root,
                parts: parts(record.1),
            };
            loop {
                let mut parts = frame.parts.clone();
                let Some(part) = parts.next() else {
                    // Back to what holds it, which looks at this part again.
                    let Some(holder) = stack.pop() else { break };
                    frame = holder;
                    continue;
                };
                let index = part.wrapping_sub(first) as usize;
                // What is open, too, is not looked at again: nothing holds itself.
                if is_done.get(index) == Some(&false) {
                    is_done[index] = true;
                    let record = btf.record(TypeId(part)).unwrap_or_default();
                    let inner = Frame {
                        index,
                        parts: self::parts(record),
                    };
                    stack.push(std::mem::replace(&mut frame, inner));
                    continue;
                }
                frame.parts = parts;
                if let Some(cause) = causes.get(TypeId(part)) {
                    causes.own[frame.index] = cause;
                    let Some(holder) = stack.pop() else { break };
                    frame = holder;
                }
            }
        }
        causes
    }

    /// What has changed itself and thereby a type; that may be the type itself.
    #[must_use]
    pub fn get(&self, id: TypeId) -> Option<TypeId> {
        let found = match id.0.checked_sub(self.first) {
            Some(index) => self.own.get(index as usize),
            None => self.base.get(id.0 as usize),
        };
        found.copied().filter(|id| !id.is_void())
    }

    /// The causes by id.
    fn all(&self) -> Vec<TypeId> {
        let mut all = self.base.clone();
        all.resize(self.first as usize, TypeId::VOID);
        all.extend_from_slice(&self.own);
        all
    }
}

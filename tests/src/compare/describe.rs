//! Says in words what a type is and where two types of one name first differ.

use std::fmt;

use btf_core::kind::{Kind, Word};

use super::graph::{Graph, Node};
use super::refine::Classes;

/// How many references deep a description goes; deeper ones end in `…`.
const MAX_DEPTH: u32 = 6;

/// How many members or parameters a description lists.
const MAX_ITEMS: usize = 8;

/// The type on one line, like C read from left to right.
#[must_use]
pub fn describe(graph: &Graph<'_>, node: Node) -> String {
    let depth = 0;
    Description { graph, node, depth }.to_string()
}

/// A name for people.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A type seen from `depth` references away.
struct Description<'g> {
    graph: &'g Graph<'g>,
    node: Node,
    depth: u32,
}

impl Description<'_> {
    /// What the type refers to at `index`; `void` if there is nothing.
    fn child(&self, index: usize) -> Description<'_> {
        let children = self.graph.children(self.node);
        Description {
            graph: self.graph,
            node: children.get(index).copied().unwrap_or(0),
            depth: self.depth + 1,
        }
    }

    fn write_proto(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fn(")?;
        for (index, &name) in self.graph.own(self.node)[2..].iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            let name = text(self.graph.text(name));
            write!(f, "{separator}{name}: {}", self.child(index + 1))?;
        }
        write!(f, ") -> {}", self.child(0))
    }

    /// Writes the names of members or enumerators.
    fn write_items(&self, kind: Kind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = items(self.graph, self.node, kind)
            .map(|item| text(self.graph.text(item[0])))
            .collect();
        let shown = names.len().min(MAX_ITEMS);
        let more = if shown < names.len() { ", …" } else { "" };
        write!(f, "{{{}{more}}}", names[..shown].join(", "))
    }
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.depth > MAX_DEPTH {
            return f.write_str("…");
        }
        let Some(kind) = self.graph.kind(self.node) else {
            return f.write_str("void");
        };
        let name = text(self.graph.name(self.node));
        let last = self.graph.own(self.node).last().copied().unwrap_or(0);
        let word = kind.name().to_lowercase();
        match kind {
            Kind::Int | Kind::Float | Kind::Typedef | Kind::Datasec => f.write_str(&name),
            Kind::Ptr => write!(f, "*{}", self.child(0)),
            // The last own word is the number of elements; the first child is the element.
            Kind::Array => write!(f, "[{last}]{}", self.child(0)),
            Kind::Volatile | Kind::Const | Kind::Restrict => write!(f, "{word} {}", self.child(0)),
            Kind::TypeTag => write!(f, "type_tag({name:?}) {}", self.child(0)),
            Kind::Func | Kind::Var => write!(f, "{name}: {}", self.child(0)),
            Kind::DeclTag => {
                let component = last.cast_signed();
                write!(f, "decl_tag({name:?}, {component}) of {}", self.child(0))
            }
            Kind::FuncProto => self.write_proto(f),
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Fwd => {
                write!(f, "{word} {name}")?;
                if name.is_empty() {
                    self.write_items(kind, f)
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// The own words of each element, without those that are ids: the name comes first.
fn items<'g>(graph: &'g Graph<'_>, node: Node, kind: Kind) -> std::slice::ChunksExact<'g, u32> {
    // The type of a member or parameter is a child; a prototype's return type, too, which shortens the header.
    let words = kind
        .info()
        .element
        .iter()
        .filter(|&&word| word != Word::Type)
        .count();
    let header = if kind == Kind::FuncProto { 2 } else { 3 };
    graph.own(node)[header..].chunks_exact(words)
}

/// Where two types of the same kind and name first differ, if their own words or their direct children do.
///
/// `shallow` are classes by names: children that are written the same way count as equal.
#[must_use]
pub fn first_difference(graph: &Graph<'_>, shallow: &Classes, a: Node, b: Node) -> String {
    let (kind_a, kind_b) = (graph.kind(a), graph.kind(b));
    let (Some(kind), true) = (kind_a, kind_a == kind_b) else {
        let name = |kind: Option<Kind>| kind.map_or("void", Kind::name);
        return format!("{} ↔ {}", name(kind_a), name(kind_b));
    };
    let with_items = matches!(
        kind,
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::FuncProto
    );
    if kind == Kind::Func || !with_items {
        return format!("{} ↔ {}", describe_own(graph, a), describe_own(graph, b));
    }
    let found = items(graph, a, kind)
        .zip(items(graph, b, kind))
        .enumerate()
        .find_map(|(index, (x, y))| item_difference(graph, shallow, kind, index, (a, x), (b, y)));
    if let Some(found) = found {
        return found;
    }
    let count = |node| items(graph, node, kind).len();
    if count(a) != count(b) {
        return format!("{} elements ↔ {}", count(a), count(b));
    }
    let (own_a, own_b) = (graph.own(a), graph.own(b));
    if kind != Kind::FuncProto && own_a[2] != own_b[2] {
        return format!("size {} ↔ {}", own_a[2], own_b[2]);
    }
    if own_a[1] != own_b[1] {
        return format!("info {:#x} ↔ {:#x}", own_a[1], own_b[1]);
    }
    format!("{} ↔ {}", describe(graph, a), describe(graph, b))
}

/// How element `index` of two types differs; each is its node and the element's own words.
fn item_difference(
    graph: &Graph<'_>,
    shallow: &Classes,
    kind: Kind,
    index: usize,
    left: (Node, &[u32]),
    right: (Node, &[u32]),
) -> Option<String> {
    let composite = matches!(kind, Kind::Struct | Kind::Union);
    let item = || format!("#{index} `{}`", text(graph.text(left.1[0])));
    if left.1[0] != right.1[0] {
        return Some(format!("{} ↔ `{}`", item(), text(graph.text(right.1[0]))));
    }
    if left.1 != right.1 {
        let values = |words: &[u32]| {
            if composite {
                format!(
                    "bit offset {}, bitfield size {}",
                    words[1] & 0x00ff_ffff,
                    words[1] >> 24
                )
            } else {
                format!("value {:x?}", &words[1..])
            }
        };
        return Some(format!(
            "{}: {} ↔ {}",
            item(),
            values(left.1),
            values(right.1)
        ));
    }
    // A prototype's first child is what it returns.
    let child = index + usize::from(kind == Kind::FuncProto);
    let a = *graph.children(left.0).get(child)?;
    let b = *graph.children(right.0).get(child)?;
    (shallow.of(a) != shallow.of(b) && !same_tag(graph, a, b)).then(|| {
        format!(
            "{}: {} ↔ {}",
            item(),
            describe(graph, a),
            describe(graph, b)
        )
    })
}

/// Whether two nodes are structures, unions or enumerations of one name.
fn same_tag(graph: &Graph<'_>, p: Node, q: Node) -> bool {
    let tag = |node| super::refine::tag_kind(graph, node);
    tag(p).is_some() && tag(p) == tag(q) && graph.name_number(p) == graph.name_number(q)
}

/// The description and, as descriptions leave them out, the plain numbers.
fn describe_own(graph: &Graph<'_>, node: Node) -> String {
    let numbers: Vec<_> = graph.own(node)[1..]
        .iter()
        .map(|word| format!("{word:x}"))
        .collect();
    format!("{} ({})", describe(graph, node), numbers.join(" "))
}

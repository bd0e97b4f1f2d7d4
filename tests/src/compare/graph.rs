//! Two BTF files as one graph, so that one partition of its nodes compares them.
//!
//! Node 0 is `void`, which both share; then come the types of A in the order of their ids, then those of B. A node is
//! its *own words* (every field of the record except ids and string offsets; names are replaced by numbers that mean
//! the same string in both files) and its *children* (the nodes that it refers to, in the record's order). Ids, order
//! and string offsets are gone from here on.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};
use btf_core::kind::{Kind, Word};
use btf_core::types::word_roles;
use btf_core::{Info, StrOffset, TypeId, reader::Btf};

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The first file.
    A,
    /// The second file.
    B,
}

impl Side {
    /// The other file.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// The number of a node in a [`Graph`]; 0 is `void`.
pub type Node = u32;

/// A list of lists of words, stored in one piece.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    words: Vec<u32>,
    ends: Vec<usize>,
}

impl Lists {
    /// Closes the list to which [`Lists::add`] added.
    pub(crate) fn close(&mut self) {
        self.ends.push(self.words.len());
    }

    /// Adds to the last list, which is not closed yet.
    pub(crate) fn add(&mut self, word: u32) {
        self.words.push(word);
    }

    /// The list of this number.
    pub(crate) fn get(&self, index: u32) -> &[u32] {
        let index = index as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.words[start..self.ends[index]]
    }

    /// The number of closed lists.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Forgets all lists and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.words.clear();
        self.ends.clear();
    }
}

/// The types of two BTF files.
#[derive(Debug)]
pub struct Graph<'a> {
    names: Vec<&'a [u8]>,
    kinds: Vec<Option<Kind>>,
    name_of: Vec<u32>,
    own: Lists,
    children: Lists,
    first_of_b: Node,
}

impl<'a> Graph<'a> {
    /// Joins two files; the types of a base belong to the file that continues it.
    ///
    /// # Errors
    /// If an id or a string offset does not exist, or there are more than 2³² types.
    pub fn new(a: &'a Btf, b: &'a Btf) -> Result<Self> {
        let (mut graph, mut interned) = Self::empty(a.end_id());
        graph.add(a, 0, &mut interned).context("A")?;
        graph.add(b, a.end_id() - 1, &mut interned).context("B")?;
        Ok(graph)
    }

    /// The types of one file, which is A; B has none.
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn of_one(btf: &'a Btf) -> Result<Self> {
        let (mut graph, mut interned) = Self::empty(btf.end_id());
        graph.add(btf, 0, &mut interned)?;
        Ok(graph)
    }

    /// A graph of `void` alone, and the numbers of its strings.
    fn empty(first_of_b: Node) -> (Self, HashMap<&'a [u8], u32>) {
        let mut graph = Graph {
            names: vec![b""],
            kinds: vec![None],
            name_of: vec![0],
            own: Lists::default(),
            children: Lists::default(),
            first_of_b,
        };
        graph.own.close();
        graph.children.close();
        (graph, HashMap::from([(&b""[..], 0)]))
    }

    /// Adds the types of one file; `shift` is added to their ids.
    fn add(
        &mut self,
        btf: &'a Btf,
        shift: u32,
        interned: &mut HashMap<&'a [u8], u32>,
    ) -> Result<()> {
        let node_of = |id: u32| {
            if id >= btf.end_id() {
                bail!("no such type id: {id}");
            }
            if id == 0 {
                Ok(0)
            } else {
                id.checked_add(shift).context("too many types")
            }
        };
        for id in 1..btf.end_id() {
            let record = btf.record(TypeId(id)).context("a type without a record")?;
            let info = Info(record[1]);
            if info.kind().is_none() {
                bail!("type [{id}]: unknown kind: {}", info.kind_number());
            }
            for (index, (&word, role)) in record.iter().zip(word_roles(info)).enumerate() {
                match role {
                    Word::Value => self.own.add(word),
                    Word::Type => self
                        .children
                        .add(node_of(word).with_context(|| format!("type [{id}]"))?),
                    Word::Name => {
                        let name = btf
                            .string(StrOffset(word))
                            .with_context(|| format!("type [{id}]"))?;
                        let next = u32::try_from(self.names.len())?;
                        let number = *interned.entry(name).or_insert(next);
                        if number == next {
                            self.names.push(name);
                        }
                        self.own.add(number);
                        if index == 0 {
                            self.name_of.push(number);
                        }
                    }
                }
            }
            self.own.close();
            self.children.close();
            self.kinds.push(info.kind());
        }
        Ok(())
    }

    /// The number of nodes, `void` included.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.kinds.len()).unwrap_or(u32::MAX)
    }

    /// Whether neither file has a type.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 1
    }

    /// The nodes of one file.
    #[must_use]
    pub fn nodes(&self, side: Side) -> std::ops::Range<Node> {
        match side {
            Side::A => 1..self.first_of_b,
            Side::B => self.first_of_b..self.len(),
        }
    }

    /// The file that a node belongs to; `void` counts as A's.
    #[must_use]
    pub fn side(&self, node: Node) -> Side {
        if node < self.first_of_b {
            Side::A
        } else {
            Side::B
        }
    }

    /// The id that a node has in its file.
    #[must_use]
    pub fn id(&self, node: Node) -> TypeId {
        match self.side(node) {
            Side::A => TypeId(node),
            Side::B => TypeId(node - self.first_of_b + 1),
        }
    }

    /// The kind; `None` for `void` and for kinds that are not known.
    #[must_use]
    pub fn kind(&self, node: Node) -> Option<Kind> {
        self.kinds[node as usize]
    }

    /// The number of the name, equal for equal names of both files; 0 is no name.
    #[must_use]
    pub fn name_number(&self, node: Node) -> u32 {
        self.name_of[node as usize]
    }

    /// The name; empty if there is none.
    #[must_use]
    pub fn name(&self, node: Node) -> &'a [u8] {
        self.text(self.name_number(node))
    }

    /// The string of this number.
    #[must_use]
    pub fn text(&self, number: u32) -> &'a [u8] {
        self.names[number as usize]
    }

    /// The words of the record that are neither ids nor, as offsets, names: names count by their numbers.
    #[must_use]
    pub fn own(&self, node: Node) -> &[u32] {
        self.own.get(node)
    }

    /// The nodes that it refers to, in the record's order.
    #[must_use]
    pub fn children(&self, node: Node) -> &[Node] {
        self.children.get(node)
    }
}

//! A kernel's types by name.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::compatible::same_kind;
use super::names::{essential, essential_at, name_at};
use super::value::Side;
use crate::graph::{POINTER_SIZE, pointer_size};
use crate::ids::{StrOffset, TypeId};
use crate::kind::Kind;
use crate::reader::Btf;
use crate::wire::Info;

/// A kernel as programs see it: its types, and those of its modules.
#[derive(Debug)]
pub struct Kernel {
    /// The kernel itself, then modules.
    blobs: Vec<Blob>,
}

/// A type of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidate {
    /// Whose type it is: 0 is the kernel itself, then come the modules in the order in which they were added.
    pub blob: usize,
    /// The type.
    pub id: TypeId,
}

/// The types of one BTF by name.
#[derive(Debug)]
struct Blob {
    btf: Arc<Btf>,
    pointer_size: u32,
    /// The hash of each essential name, and the type's id, in ascending order.
    names: Vec<(u64, TypeId)>,
}

impl Kernel {
    /// A kernel without modules; of BTF with a base, the base's types belong to it, too.
    #[must_use]
    pub fn new(btf: Arc<Btf>) -> Self {
        let chain: Vec<_> = btf.chain().collect();
        let names = name_hashes(chain.into_iter().rev());
        let pointer_size = pointer_size(&btf);
        let blob = Blob {
            btf,
            pointer_size,
            names,
        };
        Self { blobs: vec![blob] }
    }

    /// Adds a module, whose own types are asked for names that the kernel does not have.
    pub fn add_module(&mut self, btf: Arc<Btf>) {
        let pointer_size = self
            .blobs
            .first()
            .map_or(POINTER_SIZE, |blob| blob.pointer_size);
        let names = name_hashes([&*btf]);
        self.blobs.push(Blob {
            btf,
            pointer_size,
            names,
        });
    }

    /// The BTF of the kernel, 0, or of a module.
    #[must_use]
    pub fn btf(&self, blob: usize) -> Option<&Arc<Btf>> {
        self.blobs.get(blob).map(|blob| &blob.btf)
    }

    /// The types of the kernel, 0, or of a module, with the size of a pointer.
    pub(super) fn side(&self, blob: usize) -> Option<Side<'_>> {
        self.blobs.get(blob).map(|blob| Side {
            btf: &blob.btf,
            pointer_size: blob.pointer_size,
        })
    }

    /// Whether the kernel itself has a type for the program's type `id`. If not, modules are asked.
    #[must_use]
    pub fn has_own(&self, local: &Btf, id: TypeId) -> bool {
        let wanted = Wanted::of(local, id);
        let kernel = self.blobs.first();
        wanted
            .zip(kernel)
            .is_some_and(|(wanted, kernel)| kernel.find(&wanted).next().is_some())
    }

    /// The types that may be what the program's type `id` stands for: of the kernel, or, if it has none, of all modules.
    #[must_use]
    pub fn find(&self, local: &Btf, id: TypeId) -> Vec<Candidate> {
        let Some(wanted) = Wanted::of(local, id) else {
            return Vec::new();
        };
        let in_blob = |blob: usize| {
            let found = self.blobs.get(blob).map(|blob| blob.find(&wanted));
            found
                .into_iter()
                .flatten()
                .map(move |id| Candidate { blob, id })
        };
        let own: Vec<_> = in_blob(0).collect();
        if own.is_empty() {
            (1..self.blobs.len()).flat_map(in_blob).collect()
        } else {
            own
        }
    }
}

/// What is looked for.
struct Wanted<'a> {
    kind: Option<Kind>,
    name: &'a [u8],
    hash: u64,
}

impl<'a> Wanted<'a> {
    /// What the program's type stands for; `None` if it has no name.
    fn of(local: &'a Btf, id: TypeId) -> Option<Self> {
        let ty = local.ty(id).ok()?;
        let name = essential_at(local, ty.name())?;
        (!name.is_empty()).then(|| Self {
            kind: ty.kind(),
            name,
            hash: xxh3_64(name),
        })
    }
}

impl Blob {
    fn find<'a>(&'a self, wanted: &'a Wanted<'_>) -> impl Iterator<Item = TypeId> + 'a {
        let start = self.names.partition_point(|(hash, _)| *hash < wanted.hash);
        let same_hash = self.names.get(start..).unwrap_or_default().iter();
        let same_hash = same_hash.take_while(|(hash, _)| *hash == wanted.hash);
        let is_wanted = |id: &TypeId| {
            self.btf.ty(*id).is_ok_and(|ty| {
                same_kind(wanted.kind, ty.kind())
                    && essential_at(&self.btf, ty.name()) == Some(wanted.name)
            })
        };
        same_hash.map(|(_, id)| *id).filter(is_wanted)
    }
}

/// The hashes of the names of all own types of `btfs` that a relocation can be about.
fn name_hashes<'a>(btfs: impl IntoIterator<Item = &'a Btf>) -> Vec<(u64, TypeId)> {
    let mut names = Vec::new();
    for btf in btfs {
        for (id, record) in btf.records() {
            let (Some(&name), Some(&info)) = (record.first(), record.get(1)) else {
                continue;
            };
            // Two thirds of a kernel's names are those of functions and variables.
            let is_object = matches!(
                Info(info).kind(),
                None | Some(Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag)
            );
            if name == 0 || is_object {
                continue;
            }
            if let Some(name) = name_at(btf, StrOffset(name)).filter(|name| !name.is_empty()) {
                names.push((xxh3_64(essential(name)), id));
            }
        }
    }
    names.sort_unstable();
    names
}

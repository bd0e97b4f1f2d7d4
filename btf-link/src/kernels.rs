//! Kernels as files: each the BTF of a kernel, and that of its modules.
//!
//! A folder may hold one kernel or thousands. BTF that stands alone is a kernel; what continues other BTF is a module of the
//! kernel in the same folder, or in the nearest folder above. Only paths are kept, so that there need not be memory for more
//! than one kernel per thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use btf_core::cli::sources::{self, Error};
use btf_core::core_relo::Kernel;

/// The name of a kernel's file among others in its folder.
const IMAGE: &str = "vmlinux";

/// A kernel's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelFiles {
    /// The kernel itself.
    pub path: PathBuf,
    /// Its modules.
    pub modules: Vec<PathBuf>,
}

/// The kernels that were found.
#[derive(Debug, Default)]
pub struct KernelList {
    /// The kernels in the order of the arguments, those of a folder in the order of their paths.
    pub kernels: Vec<KernelFiles>,
    /// Modules whose kernel is not there.
    pub orphans: Vec<PathBuf>,
    /// Files that cannot be read, in the order in which they were found.
    pub unreadable: Vec<Error>,
}

impl KernelList {
    /// Looks what there is in files and folders.
    ///
    /// # Errors
    /// A folder that cannot be read, or is without BTF.
    pub fn find(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut list = Self::default();
        let mut modules = Vec::new();
        for path in paths {
            for path in sources::list(path)? {
                match sources::is_split(&path) {
                    Ok(true) => modules.push(path),
                    Ok(false) => list.kernels.push(KernelFiles {
                        path,
                        modules: Vec::new(),
                    }),
                    Err(error) => list.unreadable.push(error),
                }
            }
        }
        for module in modules {
            match list.kernel_of(&module) {
                Some(kernel) => kernel.modules.push(module),
                None => list.orphans.push(module),
            }
        }
        Ok(list)
    }

    /// The kernel that a module belongs to.
    fn kernel_of(&mut self, module: &Path) -> Option<&mut KernelFiles> {
        let place = module.ancestors().skip(1).find_map(|folder| {
            let in_folder = |kernel: &KernelFiles| kernel.path.parent() == Some(folder);
            let is_image = |kernel: &KernelFiles| {
                in_folder(kernel) && kernel.path.file_name().is_some_and(|name| name == IMAGE)
            };
            let image = self.kernels.iter().position(is_image);
            image.or_else(|| self.kernels.iter().position(in_folder))
        });
        let only = (self.kernels.len() == 1).then_some(0);
        self.kernels.get_mut(place.or(only)?)
    }
}

impl KernelFiles {
    /// Reads the kernel itself.
    ///
    /// # Errors
    /// A file that cannot be read, that holds several blobs of BTF, or that is a program's.
    pub fn open(&self) -> Result<Kernel, Error> {
        let source = sources::open_one(&self.path, None)?;
        if source.is_program() {
            return Err(Error::no_kernels_btf(&source.title()));
        }
        Ok(Kernel::new(source.btf))
    }

    /// Adds the modules; returns those that cannot be read, or that do not continue the kernel, with the reasons.
    #[must_use = "modules that are not there"]
    pub fn open_modules(&self, kernel: &mut Kernel) -> Vec<Error> {
        let Some(base) = kernel.btf(0).map(Arc::clone) else {
            return Vec::new();
        };
        let mut unreadable = Vec::new();
        for module in &self.modules {
            match sources::open_on(module, &base, &self.path) {
                Ok(btf) => kernel.add_module(btf),
                Err(error) => unreadable.push(error),
            }
        }
        unreadable
    }
}

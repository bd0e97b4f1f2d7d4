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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelList {
    /// The kernels in the order of the arguments, those of a folder in the order of their paths.
    pub kernels: Vec<KernelFiles>,
    /// Modules whose kernel is not there.
    pub orphans: Vec<PathBuf>,
}

impl KernelList {
    /// Looks what there is in files and folders.
    ///
    /// # Errors
    /// A file or folder that cannot be read, or a folder without BTF.
    pub fn find(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut list = Self::default();
        let mut modules = Vec::new();
        for path in paths {
            for path in sources::list(path)? {
                if sources::is_split(&path)? {
                    modules.push(path);
                } else {
                    list.kernels.push(KernelFiles {
                        path,
                        modules: Vec::new(),
                    });
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
    /// A file that cannot be read, or that holds several blobs of BTF.
    pub fn open(&self) -> Result<Kernel, Error> {
        let source = sources::open_one(&self.path, None)?;
        Ok(Kernel::new(source.btf))
    }

    /// Adds the modules.
    ///
    /// # Errors
    /// A module that cannot be read, or that does not continue the kernel.
    pub fn open_modules(&self, kernel: &mut Kernel) -> Result<(), Error> {
        let Some(base) = kernel.btf(0).map(Arc::clone) else {
            return Ok(());
        };
        for module in &self.modules {
            kernel.add_module(sources::open_on(module, &base, &self.path)?);
        }
        Ok(())
    }
}

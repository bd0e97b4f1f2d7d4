//! The layout of structures, as pahole prints it.

//! A plugin for GNU ld, `libbtf_link_plugin.so`, that links BPF objects as btf-link does.
//!
//! ld shows each input to the plugin (`claim`), which takes those that are for BPF and tells ld their symbols, so that ld gets from
//! archives what is needed. When all are known they are linked here, and ld gets one object instead of all
//! (`all_symbols_read`). Of native links the plugin takes nothing: where ld has pasted the BTF of several compilers behind each
//! other, it puts one BTF in its place at the end (`cleanup`).
//!
//! `abi` is ld's interface and all that is unsafe; `session` is what is done.
//!
//! Spec: `include/plugin-api.h` of binutils 2.40 to 2.47, and <https://gcc.gnu.org/wiki/whopr/driver>.

pub mod abi;
mod session;

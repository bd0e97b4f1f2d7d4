//! Shows BTF to people and to programs: as a listing, as C, as kfunc declarations, as the layout of structures, and beside other BTF.
//!
//! Each module makes one kind of text from [`btf_core::Btf`]; [`btf_core::cli::sources`] finds and reads the BTF, [`mod@select`] picks types. The program around it is
//! `main` and `cli`, where each command has a module of its own.

pub mod c;
pub mod check;
pub mod diff;
pub mod kfuncs;
pub mod layout;
pub mod listing;
pub mod live;
pub mod pointer;
pub mod select;
pub mod stats;

mod names;
mod put;
mod texts;

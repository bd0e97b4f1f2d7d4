//! Declarations of kfuncs.

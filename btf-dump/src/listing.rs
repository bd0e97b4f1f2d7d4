//! The listing: one line for each type, its members and the like below it.

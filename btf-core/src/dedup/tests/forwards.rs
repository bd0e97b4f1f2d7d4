//! forwards

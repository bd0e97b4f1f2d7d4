//! Tests of the merge engine as a whole.

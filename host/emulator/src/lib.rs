//! A MaxCompute-compatible server for local runs and tests.

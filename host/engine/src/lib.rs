//! The pipeline as a library: configuration, routes, schema evolution, sink, checkpoints.

//! All that knows wasmtime: loading, limits and calls of guest components.

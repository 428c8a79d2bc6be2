//! Modules made for WASI preview 1, as Go and other toolchains make them: they become components here, on top of an adapter
//! that has nothing of the system to give.
//!
//! Functions that no adapter can answer harmlessly (sockets, threads) are not among its exports, so a module that imports them is
//! refused with their names.

/// The module name under which preview 1 is imported.
pub(crate) const IMPORTED_AS: &str = "wasi_snapshot_preview1";
/// The adapter in binary form; `wasi-none.wat` is its source.
pub(crate) const ADAPTER: &[u8] = include_bytes!("preview1/wasi-none.wasm");

#[cfg(test)]
mod tests {
    #[test]
    fn the_binary_form_is_that_of_the_source() {
        let made = wat::parse_str(include_str!("preview1/wasi-none.wat")).expect("the source is sound");
        assert!(made == super::ADAPTER, "make it again: wasm-tools parse wasi-none.wat -o wasi-none.wasm");
    }
}

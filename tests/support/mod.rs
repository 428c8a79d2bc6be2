//! What the scenarios are written in: servers, the program, the emulator, and waiting for a state.
//!
//! Everything here blocks, so that a test reads as the list of its steps. Whatever a test starts ends with the
//! value that stands for it.

// Each scenario uses a part of this.
#![allow(dead_code, unused_imports)]

pub mod changes;
mod compare;
pub mod debezium;
mod emulator;
mod http;
mod pipeline;
mod program;
mod random;
mod server;
mod sink;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use compare::{assert_same_rows, same_rows, wait_for_same_rows};
pub use emulator::Emulator;
pub use pipeline::{Pipeline, free_address};
pub use program::{Output, Sluicebox, run, run_with};
pub use random::Random;
pub use server::{Database, Kind, Server, Session};
pub use sink::{Sink, TypedRows};

/// A result set as text; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// How long a state may take to come about. Far above what any takes on an idle machine, because tests share
/// two cores with each other and with the servers.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Pause between two looks at a state: short against any wait, long against the look itself.
const POLL: Duration = Duration::from_millis(50);

/// Looks until `state` is `Ok`, and gives its value. Panics after [`PATIENCE`] with what was waited for and the last
/// state seen.
#[track_caller]
pub fn eventually<T>(what: &str, mut state: impl FnMut() -> Result<T, String>) -> T {
    let begin = Instant::now();
    loop {
        match state() {
            Ok(value) => return value,
            Err(last) if begin.elapsed() > PATIENCE => {
                panic!("waited {} s for: {what}\nlast seen: {last}", PATIENCE.as_secs())
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

/// Makes a test of each named function for each server: `mysql::NAME` and `mariadb::NAME`.
// The benchmark uses this module too and has no such tests.
#[allow(unused_macros)]
macro_rules! on_both_servers {
    ($($rule:ident),* $(,)?) => {
        mod mysql { $(#[test] fn $rule() { super::$rule(crate::support::Kind::MySql); })* }
        mod mariadb { $(#[test] fn $rule() { super::$rule(crate::support::Kind::MariaDb); })* }
    };
}
pub(crate) use on_both_servers;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A variable that `scripts/test` sets.
#[track_caller]
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this test by scripts/test"))
}

/// A built guest plugin, by its name without `.wasm`.
#[track_caller]
pub fn plugin(name: &str) -> PathBuf {
    let path = Path::new(&setting("SLUICEBOX_TEST_PLUGINS")).join(name).with_extension("wasm");
    assert!(path.is_file(), "no plugin {}", path.display());
    path
}

/// A Python with the official SDK of MaxCompute.
#[track_caller]
pub fn python() -> PathBuf {
    PathBuf::from(setting("SLUICEBOX_TEST_PYTHON"))
}

/// Runs async client code from blocking tests.
pub fn wait<F: std::future::Future>(future: F) -> F::Output {
    static RUNTIME: std::sync::LazyLock<tokio::runtime::Runtime> = std::sync::LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime for clients")
    });
    RUNTIME.block_on(future)
}

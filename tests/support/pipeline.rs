//! A pipeline file of one test, and the program's commands on it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use super::{Database, Emulator, Output, Server, Sluicebox, http, program};

/// The file's name in its folder.
const FILE: &str = "pipeline.yaml";

/// A pipeline file in a folder of its own, which is also where its state is kept. The folder goes with the value.
pub struct Pipeline {
    folder: tempfile::TempDir,
    source: Block,
    sink: Block,
    pipeline: Block,
    more: String,
    metrics: SocketAddr,
}

/// One mapping of the file, in the order in which it was written.
struct Block(Vec<(String, String)>);

impl Block {
    fn set(&mut self, key: &str, value: &str) {
        match self.0.iter_mut().find(|(there, _)| there == key) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((key.to_owned(), value.to_owned())),
        }
    }

    fn yaml(&self, name: &str) -> String {
        let lines: Vec<String> = self.0.iter().map(|(key, value)| format!("  {key}: {value}\n")).collect();
        format!("{name}:\n{}", lines.concat())
    }
}

impl Pipeline {
    /// All tables of a database into an emulator, with a commit each second, and a metrics page.
    #[track_caller]
    pub fn new(source: &Database<'_>, emulator: &Emulator) -> Self {
        let server = source.server();
        let block = |pairs: &[(&str, &str)]| {
            Block(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        let (port, tables, endpoint) =
            (server.port().to_string(), format!(r"{}.\.*", source.name()), emulator.endpoint());
        let metrics = free_address();
        Self {
            folder: tempfile::Builder::new()
                .prefix("sluicebox-pipeline.")
                .tempdir()
                .expect("a temporary folder"),
            source: block(&[
                ("type", "mysql"),
                ("hostname", server.host()),
                ("port", &port),
                ("username", Server::USER),
                ("password", Server::PASSWORD),
                ("tables", &tables),
            ]),
            sink: block(&[
                ("type", "maxcompute"),
                ("endpoint", &endpoint),
                ("tunnel.endpoint", &endpoint),
                ("project", Emulator::PROJECT),
                ("access-id", Emulator::ACCESS_ID),
                ("access-key", Emulator::ACCESS_KEY),
                ("buckets-num", "4"),
            ]),
            pipeline: block(&[("checkpoint.interval", "1s"), ("metrics.address", &metrics.to_string())]),
            more: String::new(),
            metrics,
        }
    }

    /// Sets an option of `source`.
    pub fn source(mut self, key: &str, value: &str) -> Self {
        self.source.set(key, value);
        self
    }

    /// Sets an option of `sink`.
    pub fn sink(mut self, key: &str, value: &str) -> Self {
        self.sink.set(key, value);
        self
    }

    /// Leaves an option of `sink` out.
    pub fn without_sink(mut self, key: &str) -> Self {
        self.sink.0.retain(|(there, _)| there != key);
        self
    }

    /// Sets an option of `pipeline`.
    pub fn option(mut self, key: &str, value: &str) -> Self {
        self.pipeline.set(key, value);
        self
    }

    /// Adds a block of its own, such as `route`, as it stands in the file.
    pub fn block(mut self, yaml: &str) -> Self {
        self.more.push_str(yaml);
        self
    }

    /// The file's text.
    pub fn yaml(&self) -> String {
        let blocks = [self.source.yaml("source"), self.sink.yaml("sink"), self.pipeline.yaml("pipeline")];
        blocks.concat() + &self.more
    }

    /// The folder of the file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the pipeline. A second start goes on from the state of the first.
    #[track_caller]
    pub fn start(&self) -> Sluicebox {
        self.write();
        Sluicebox::start(self.folder(), &["run", FILE])
    }

    /// The same, and it aborts at a transaction of its state: `before:N` or `after:N` (see the engine's `state/crash.rs`).
    #[track_caller]
    pub fn start_to_crash(&self, at: &str) -> Sluicebox {
        self.write();
        Sluicebox::start_with(self.folder(), &["run", FILE], &[("SLUICEBOX_CRASH_AT", at)])
    }

    /// The same with more environment variables, and waits for `running`.
    #[track_caller]
    pub fn start_with_and_wait(&self, environment: &[(&str, &str)]) -> Sluicebox {
        self.write();
        let mut program = Sluicebox::start_with(self.folder(), &["run", FILE], environment);
        program.wait_for_line("pipeline running");
        program
    }

    /// Runs the pipeline and waits for `running`: both ends were reached and the start's position is taken.
    #[track_caller]
    pub fn start_and_wait(&self) -> Sluicebox {
        let mut program = self.start();
        program.wait_for_line("pipeline running");
        program
    }

    /// Runs another command on the file to its end.
    #[track_caller]
    pub fn command(&self, verb: &str, arguments: &[&str]) -> Output {
        self.write();
        program::run(self.folder(), &[&[verb, FILE], arguments].concat())
    }

    /// Writes the file unless it is there already: another process may be reading it.
    #[track_caller]
    fn write(&self) {
        let (path, yaml) = (self.folder().join(FILE), self.yaml());
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&yaml) {
            std::fs::write(path, yaml).expect("the pipeline file");
        }
    }

    /// What `status --json` says.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        let output = self.command("status", &["--json"]);
        assert_eq!(output.code, Some(0), "{output:?}");
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error} in {}", output.stdout))
    }

    /// The metrics page with its head; what the system said while there is none.
    pub fn metrics(&self) -> Result<String, String> {
        http::ask(&self.metrics.to_string(), "GET", "/metrics", "")
            .map_err(|error| format!("metrics page: {error}"))
    }

    /// One counter of the metrics page, by its name without `sluicebox_`.
    pub fn counter(&self, name: &str) -> Result<u64, String> {
        let page = self.metrics()?;
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("sluicebox_{name} ")));
        line.and_then(|value| value.parse().ok()).ok_or(format!("no `{name}` in {page}"))
    }
}

/// An address of this machine that nothing listens on.
#[track_caller]
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("the address of a listener")
}

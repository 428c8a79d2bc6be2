//! The MaxCompute emulator as a process of its own, so that it can be killed.

use std::path::Path;

use super::{Sink, Sluicebox, http};

/// A running emulator. It and its data end with the value.
pub struct Emulator {
    program: Sluicebox,
    address: String,
    data: tempfile::TempDir,
    options: &'static [&'static str],
}

impl Emulator {
    /// What a pipeline file has to say to use it: the account it knows without being told.
    pub const ACCESS_ID: &'static str = "sluicebox";
    pub const ACCESS_KEY: &'static str = "sluicebox";
    pub const PROJECT: &'static str = "demo";

    /// Starts one on a free port.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one that checks rows and throws them away.
    #[track_caller]
    pub fn start_discarding() -> Self {
        Self::start_with(&["--discard"])
    }

    /// Starts one whose projects have schemas.
    #[track_caller]
    pub fn start_with_schemas() -> Self {
        Self::start_with(&["--schemas"])
    }

    #[track_caller]
    fn start_with(options: &'static [&'static str]) -> Self {
        let data =
            tempfile::Builder::new().prefix("sluicebox-emulator.").tempdir().expect("a temporary folder");
        let (program, address) = launch(data.path(), "127.0.0.1:0", options);
        Self { program, address, data, options }
    }

    /// Kills it; what it had answered is on its disk.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it again after [`Emulator::kill`]: same port, same data.
    #[track_caller]
    pub fn restart(&mut self) {
        self.program.kill();
        (self.program, self.address) = launch(self.data.path(), &self.address, self.options);
    }

    /// Adds a rule by which requests fail or come late, as the emulator's own description says; rules end with a restart.
    #[track_caller]
    pub fn fault(&self, rule: &serde_json::Value) {
        let answer = http::ask(&self.address, "POST", "/emulator/faults", &rule.to_string())
            .expect("the emulator answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{rule}: {answer}");
    }

    /// How many requests the rules in force have struck.
    #[track_caller]
    pub fn struck(&self) -> u64 {
        let answer = http::ask(&self.address, "GET", "/emulator/faults", "").expect("the emulator answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        let rules: serde_json::Value =
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
        let rules = rules.as_array().expect("a list of rules");
        rules.iter().filter_map(|rule| rule["struck"].as_u64()).sum()
    }

    /// Removes all rules.
    #[track_caller]
    pub fn clear_faults(&self) {
        let answer =
            http::ask(&self.address, "DELETE", "/emulator/faults", "").expect("the emulator answers");
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    }

    /// The service endpoint. The tunnel is at the root of the same port; the service names it to those who ask.
    pub fn endpoint(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// The process, for signals such as `STOP`, which make a service that does not answer.
    pub fn program(&self) -> &Sluicebox {
        &self.program
    }

    /// Reads back what the service holds.
    pub fn sink(&self) -> Sink {
        Sink::new(&self.endpoint(), Self::PROJECT)
    }

    /// The `sink:` block of a pipeline file; `more` holds further lines, each `key: value`.
    pub fn sink_yaml(&self, more: &[&str]) -> String {
        let mut block = format!(
            "sink:\n  type: maxcompute\n  endpoint: {}\n  project: {}\n  access-id: {}\n  access-key: {}\n",
            self.endpoint(),
            Self::PROJECT,
            Self::ACCESS_ID,
            Self::ACCESS_KEY,
        );
        for line in more {
            block.push_str(&format!("  {line}\n"));
        }
        block
    }
}

#[track_caller]
fn launch(data: &Path, listen: &str, options: &[&str]) -> (Sluicebox, String) {
    let folder = data.to_str().expect("temporary folders have plain names");
    let arguments = [&["emulator", "--listen", listen, "--data", folder], options].concat();
    let mut program = Sluicebox::start(data, &arguments);
    let line = program.wait_for_line("listening on http://");
    let address = line.rsplit("http://").next().expect("rsplit gives at least one part").trim().to_owned();
    (program, address)
}

//! The built program as a process: what it prints, how it is stopped, how it ends.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::eventually;

/// Lines kept of each running program. Enough to find what a test waits for; older ones go.
const KEPT_LINES: usize = 20_000;

/// What a finished program left.
#[derive(Debug)]
pub struct Output {
    /// `None` after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program to its end in `folder`.
#[track_caller]
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    run_with(folder, arguments, &[])
}

/// The same with more environment variables.
#[track_caller]
pub fn run_with(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let environment = environment.iter().copied();
    let output = command(folder, arguments).envs(environment).output().expect("the program starts");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluicebox"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

/// A running program. It is killed with the value.
pub struct Sluicebox {
    name: String,
    child: Child,
    lines: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Sluicebox {
    /// Writes `pipeline.yaml` into `folder` and runs it. A second start in the same folder goes on from its state.
    #[track_caller]
    pub fn pipeline(folder: &Path, yaml: &str) -> Self {
        std::fs::write(folder.join("pipeline.yaml"), yaml).expect("the pipeline file");
        Self::start(folder, &["run", "pipeline.yaml"])
    }

    /// Starts the program in `folder`.
    #[track_caller]
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_with(folder, arguments, &[])
    }

    /// The same with more environment variables.
    #[track_caller]
    pub fn start_with(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command(folder, arguments)
            .envs(environment.iter().copied())
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let readers = [
            child.stdout.take().map(|pipe| gather(pipe, &lines)),
            child.stderr.take().map(|pipe| gather(pipe, &lines)),
        ];
        let readers = readers.into_iter().flatten().collect();
        Self { name: arguments.join(" "), child, lines, readers }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All lines printed so far, standard output and error in the order in which they came.
    pub fn printed(&self) -> String {
        let lines = self.lines.lock().expect("no reader panics");
        lines.iter().fold(String::new(), |all, line| all + line + "\n")
    }

    /// Waits for a line that contains `text`, and gives it. Fails at once when the program ends without it.
    #[track_caller]
    pub fn wait_for_line(&mut self, text: &str) -> String {
        let what = format!("`{text}` printed by `{}`", self.name);
        eventually(&what, || {
            let ended = self.ended();
            let found =
                self.lines.lock().expect("no reader panics").iter().find(|line| line.contains(text)).cloned();
            match (found, ended) {
                (Some(line), _) => Ok(line),
                (None, None) => Err(self.printed()),
                (None, Some(status)) => panic!("ended with {status} without {what}:\n{}", self.printed()),
            }
        })
    }

    /// The exit status, once the program has ended and all that it printed was read.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child of ours")?;
        for reader in self.readers.drain(..) {
            reader.join().expect("no reader panics");
        }
        Some(status)
    }

    /// Panics with what it printed when the program has ended.
    #[track_caller]
    pub fn assert_running(&mut self) {
        if let Some(status) = self.ended() {
            panic!("`{}` ended with {status}:\n{}", self.name, self.printed());
        }
    }

    /// Waits for the end, and gives the exit code; `None` after a signal.
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        let what = format!("the end of `{}`", self.name);
        eventually(&what, || self.ended().ok_or_else(|| self.printed())).code()
    }

    /// Asks it to stop, as `systemctl stop` and Ctrl-C do, and waits for the end.
    #[track_caller]
    pub fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait()
    }

    /// Ends it at once, wherever it is.
    pub fn kill(&mut self) {
        // Not an error: it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by its name without SIG: `TERM`, `STOP`, `CONT`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.id())])
            .status()
            .expect("a shell");
        assert!(status.success(), "SIG{name} was not sent to `{}`", self.name);
    }
}

impl Drop for Sluicebox {
    #[expect(clippy::print_stderr, reason = "the test harness shows it with the failure")]
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- printed by `{}`:\n{}---", self.name, self.printed());
        }
    }
}

fn gather(pipe: impl Read + Send + 'static, lines: &Arc<Mutex<VecDeque<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { return };
            let mut lines = lines.lock().expect("no reader panics");
            if lines.len() == KEPT_LINES {
                lines.pop_front();
            }
            lines.push_back(String::from_utf8_lossy(&line).into_owned());
        }
    })
}

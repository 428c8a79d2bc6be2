//! How a command fails: what it says, and its exit code.

use std::process::ExitCode;

use sluicebox_engine::config::ConfigError;
use sluicebox_engine::{Disposition, EngineError, describe};

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The command line or the pipeline file is wrong.
    Configuration(String),
    /// The pipeline stopped.
    Engine(EngineError),
    /// Something was found wrong, and has been printed.
    Found,
    /// The source or the sink is not ready, and it has been printed.
    Refused,
    /// Anything else.
    Other(anyhow::Error),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Configuration(describe(&error))
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl Failure {
    /// Prints what is wrong and gives the exit code.
    #[allow(clippy::print_stderr)]
    pub fn report(self) -> ExitCode {
        match self {
            Self::Configuration(message) => {
                eprintln!("{message}");
                ExitCode::from(2)
            }
            Self::Found => ExitCode::from(2),
            Self::Refused => ExitCode::from(3),
            Self::Engine(error) => {
                eprintln!("error: {}", describe(&error));
                if let Some(hint) = error.hint() {
                    eprintln!("hint: {hint}");
                }
                ExitCode::from(exit_code(&error))
            }
            Self::Other(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(1)
            }
        }
    }
}

fn exit_code(error: &EngineError) -> u8 {
    match (error, error.disposition()) {
        (EngineError::Guest(_) | EngineError::Plan(_), _) => 2,
        // What a retry could have cured and did not: an end that cannot be reached.
        (_, Disposition::Retry | Disposition::Halt { refused: true }) => 3,
        (_, Disposition::Halt { refused: false }) => 1,
    }
}

//! Who asks the service: an account that is written down, or where a changing one is found.

use std::path::PathBuf;

use sluicebox_model::Secret;

use super::block::{Block, Context};
use super::kinds;
use super::option::Opt;

/// Who asks the service.
#[derive(Debug, Clone)]
pub enum SinkAccount {
    /// Written in the file, or put in from the environment at the start.
    Written {
        /// Account id.
        access_id: String,
        /// Its secret.
        access_key: Secret,
        /// Temporary credentials when set.
        sts_token: Option<Secret>,
    },
    /// In a JSON file that is read again while the pipeline runs.
    File(PathBuf),
    /// Printed by a program (and its arguments) that is run again before what it gave expires.
    Command(Vec<String>),
}

pub(super) static ACCESS_ID: Opt<String> = Opt::new(
    "access-id",
    kinds::SOME_TEXT,
    "Account id; required unless `credentials.file` or `credentials.command` is written.",
)
.spelled(&["accessId"])
.secret();
pub(super) static ACCESS_KEY: Opt<Secret> =
    Opt::new("access-key", kinds::SOME_SECRET, "Account secret; goes with `access-id`.")
        .spelled(&["accessKey"])
        .secret();
pub(super) static STS_TOKEN: Opt<Secret> =
    Opt::new("sts-token", kinds::SOME_SECRET, "Token of temporary credentials; goes with `access-id`.")
        .spelled(&["stsToken"])
        .secret();
pub(super) static FILE: Opt<PathBuf> = Opt::new(
    "credentials.file",
    kinds::FILE,
    "JSON file with `access_key_id`, `access_key_secret` and, for temporary ones, `security_token` and `expiration`. It is read again while the pipeline runs, so that a rotated key is taken up.",
);
pub(super) static COMMAND: Opt<Vec<String>> = Opt::new(
    "credentials.command",
    kinds::COMMAND,
    "Program and arguments, separated by blanks, that print such JSON. It is run again before what it gave expires.",
);

impl SinkAccount {
    /// Which of the three is written. None when it is not exactly one, which is told by then.
    pub(super) fn check(context: &mut Context<'_>, block: &Block<'_>) -> Option<Self> {
        let (file, command) = (block.has(&FILE), block.has(&COMMAND));
        if !file && !command {
            return Self::written(context, block);
        }
        let instead = if file { FILE.head.key } else { COMMAND.head.key };
        if file && command {
            block.fault(context, &COMMAND, "not together with `credentials.file`");
        }
        for option in [&ACCESS_KEY, &STS_TOKEN].into_iter().filter(|option| block.has(option)) {
            block.fault(context, option, format!("not together with `{instead}`"));
        }
        if block.has(&ACCESS_ID) {
            block.fault(context, &ACCESS_ID, format!("not together with `{instead}`"));
        }
        match file {
            true => Some(Self::File(context.surroundings.folder.join(block.get(&FILE)?))),
            false => block.get(&COMMAND).map(Self::Command),
        }
    }

    fn written(context: &mut Context<'_>, block: &Block<'_>) -> Option<Self> {
        if !block.has(&ACCESS_ID) {
            block.fault(context, &ACCESS_ID, "required and not written");
        }
        if !block.has(&ACCESS_KEY) {
            block.fault(context, &ACCESS_KEY, "required and not written");
        }
        Some(Self::Written {
            access_id: block.get(&ACCESS_ID)?,
            access_key: block.get(&ACCESS_KEY)?,
            sts_token: block.get(&STS_TOKEN),
        })
    }
}

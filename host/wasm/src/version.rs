//! The versions of the interface that this host speaks, and which one a file speaks.
//!
//! A version's definition is never changed once it is released. A later patch of a minor version may offer more; what is called
//! here stays, so any of them will do.

/// A version of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V0_1,
    V0_2,
}

/// The interface that makes a component a plugin, without its version.
const PLUGIN: &str = "sluicebox:transform/plugin";

impl Version {
    /// The newest first, as messages name them.
    pub(crate) const ALL: [Self; 2] = [Self::V0_2, Self::V0_1];

    /// The interface that makes a component a plugin.
    pub(crate) const fn plugin(self) -> &'static str {
        match self {
            Self::V0_1 => "sluicebox:transform/plugin@0.1.0",
            Self::V0_2 => "sluicebox:transform/plugin@0.2.0",
        }
    }

    /// Its definition, for modules that have its functions and do not carry it.
    pub(crate) const fn definition(self) -> &'static str {
        match self {
            Self::V0_1 => include_str!("../../../wit/0.1/transform.wit"),
            Self::V0_2 => include_str!("../../../wit/transform.wit"),
        }
    }

    /// What a plugin of this version may import: functions of the host, and the types that both sides share. Without the
    /// patch, which may be any.
    const fn imports(self) -> &'static [&'static str] {
        match self {
            Self::V0_1 => &["sluicebox:transform/log@0.1.", "sluicebox:transform/types@0.1."],
            Self::V0_2 => &[
                "sluicebox:transform/log@0.2.",
                "sluicebox:transform/types@0.2.",
                "sluicebox:transform/lookup@0.2.",
                "sluicebox:transform/state@0.2.",
                "sluicebox:transform/clock@0.2.",
            ],
        }
    }

    /// Whether a plugin of this version may import this.
    pub(crate) fn offers(self, import: &str) -> bool {
        self.imports().iter().any(|ours| import.starts_with(ours))
    }

    /// The version whose plugin interface this is, whatever its patch; none when it is another one's.
    pub(crate) fn of_plugin(export: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| {
            let minor = version.plugin().rsplit_once('.').map_or(version.plugin(), |(minor, _)| minor);
            export.strip_prefix(minor).is_some_and(|rest| rest.starts_with('.'))
        })
    }

    /// Whether this is a plugin interface, of whatever version.
    pub(crate) fn is_plugin(export: &str) -> bool {
        export.split('@').next() == Some(PLUGIN)
    }

    /// The plugin interfaces that this host speaks, for messages.
    pub(crate) fn spoken(between: &str) -> String {
        Self::ALL.map(|version| format!("`{}`", version.plugin())).join(between)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_does_not_count_and_a_minor_version_does() {
        for (export, version) in [
            ("sluicebox:transform/plugin@0.1.0", Some(Version::V0_1)),
            ("sluicebox:transform/plugin@0.1.7", Some(Version::V0_1)),
            ("sluicebox:transform/plugin@0.2.0", Some(Version::V0_2)),
            ("sluicebox:transform/plugin@0.20.0", None),
            ("sluicebox:transform/plugin@1.2.0", None),
            ("sluicebox:transform/plugin", None),
        ] {
            assert_eq!(Version::of_plugin(export), version, "{export}");
            assert!(Version::is_plugin(export));
        }
        assert!(!Version::is_plugin("sluicebox:transform/plugins@0.1.0"));
        assert!(Version::V0_2.offers("sluicebox:transform/state@0.2.3"));
        assert!(!Version::V0_1.offers("sluicebox:transform/state@0.2.0"));
        assert!(!Version::V0_2.offers("sluicebox:transform/state@0.20.0"));
    }
}

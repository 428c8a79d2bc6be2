//! The functions of a plugin, by the version of the interface that it speaks.

use wasmtime::Store;
use wasmtime::component::{Instance, TypedFunc};

use crate::abi::{self, v0_1};
use crate::guest::Guest;
use crate::version::Version;

/// What a function says: a value, or words.
pub(crate) type Said<T> = (Result<T, String>,);

pub(crate) type Init = TypedFunc<(&'static str,), Said<abi::About>>;
type PlanTable<T> = TypedFunc<(u32, abi::Table<'static>), Said<T>>;
type Process<T> = TypedFunc<(u32, abi::BatchIn<'static>), Said<T>>;

/// Functions that differ from version to version.
#[derive(Clone, Copy)]
pub(crate) enum Versioned {
    V0_1 { plan_table: PlanTable<v0_1::Plan>, process: Process<v0_1::Outcome> },
    V0_2 { plan_table: PlanTable<abi::Plan>, process: Process<abi::Outcome> },
}

#[derive(Clone, Copy)]
pub(crate) struct Functions {
    pub(crate) init: Init,
    pub(crate) versioned: Versioned,
    pub(crate) forget_table: TypedFunc<(u32,), ()>,
}

impl Functions {
    /// Finds them in an instance, or says what is missing or of another type.
    pub(crate) fn find(
        store: &mut Store<Guest>,
        instance: &Instance,
        version: Version,
    ) -> Result<Self, String> {
        let plugin = version.plugin();
        let mismatch = |error: wasmtime::Error| format!("it does not fit `{plugin}`: {error:#}");
        let interface = instance.get_export_index(&mut *store, None, plugin);
        let interface = interface.ok_or_else(|| format!("it does not export `{plugin}`"))?;
        let mut index = |name: &str| {
            let found = instance.get_export_index(&mut *store, Some(&interface), name);
            found.ok_or_else(|| format!("`{plugin}` has no function `{name}`"))
        };
        let (init, plan_table) = (index("init")?, index("plan-table")?);
        let (process, forget_table) = (index("process")?, index("forget-table")?);
        let versioned = match version {
            Version::V0_1 => Versioned::V0_1 {
                plan_table: instance.get_typed_func(&mut *store, plan_table).map_err(mismatch)?,
                process: instance.get_typed_func(&mut *store, process).map_err(mismatch)?,
            },
            Version::V0_2 => Versioned::V0_2 {
                plan_table: instance.get_typed_func(&mut *store, plan_table).map_err(mismatch)?,
                process: instance.get_typed_func(&mut *store, process).map_err(mismatch)?,
            },
        };
        Ok(Self {
            init: instance.get_typed_func(&mut *store, init).map_err(mismatch)?,
            versioned,
            forget_table: instance.get_typed_func(&mut *store, forget_table).map_err(mismatch)?,
        })
    }
}

//! What the host offers to guests: the interface's imports, linked once for all plugins.
//!
//! Each function is told apart by the version that offers it. What a guest may not do is a fault of its own: the call never comes back
//! to it, the instance is thrown away, and nothing of the batch goes on.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use crate::abi;
use crate::guest::{Guest, shorten};
use crate::lookup;

/// Something that a guest did and may not do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Forbidden(pub(crate) String);

/// Gives components what they may import.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    link_log(linker, "sluicebox:transform/log@0.1.0")?;
    link_log(linker, "sluicebox:transform/log@0.2.0")?;
    link_lookup(linker)?;
    link_state(linker)?;
    link_clock(linker)
}

fn link_log(linker: &mut Linker<Guest>, interface: &str) -> wasmtime::Result<()> {
    let mut log = linker.instance(interface)?;
    log.func_wrap("log", |mut store: StoreContextMut<'_, Guest>, (level, message): (abi::Level, WasmStr)| {
        let Some(left_out) = store.data_mut().admit_log_line(Instant::now()) else { return Ok(()) };
        let message = shorten(&message.to_str(&store)?);
        store.data().log(level, &message, left_out);
        Ok(())
    })
}

fn link_lookup(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    type Entries = Vec<Option<Arc<str>>>;
    let mut interface = linker.instance("sluicebox:transform/lookup@0.2.0")?;
    interface.func_wrap(
        "get",
        |store: StoreContextMut<'_, Guest>,
         (table, keys): (String, Vec<String>)|
         -> wasmtime::Result<(Entries,)> {
            let tables = store.data().lookups();
            match tables.and_then(|tables| tables.get(&table, &keys)) {
                // What a table gives is not believed either: the guest would read behind the list's end.
                Some(entries) if entries.len() == keys.len() => Ok((entries,)),
                Some(_) => Err(Forbidden(format!("lookup table `{table}` cannot be read")).into()),
                None => Err(Forbidden(lookup::unknown(&shorten(&table), tables)).into()),
            }
        },
    )
}

fn link_state(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    type Values = Vec<Option<Vec<u8>>>;
    let mut interface = linker.instance("sluicebox:transform/state@0.2.0")?;
    interface.func_wrap(
        "get",
        |mut store: StoreContextMut<'_, Guest>, (keys,): (Vec<String>,)| -> wasmtime::Result<(Values,)> {
            let state = store.data_mut().state()?;
            Ok((keys.iter().map(|key| state.get(key).map(<[u8]>::to_vec)).collect(),))
        },
    )?;
    interface.func_wrap(
        "put",
        |mut store: StoreContextMut<'_, Guest>, (entries,): (Vec<abi::StateEntry>,)| {
            let state = store.data_mut().state()?;
            for abi::StateEntry { key, value } in entries {
                state.put(key, value).map_err(Forbidden)?;
            }
            Ok(())
        },
    )
}

fn link_clock(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut interface = linker.instance("sluicebox:transform/clock@0.2.0")?;
    interface.func_wrap("now", |store: StoreContextMut<'_, Guest>, ()| -> wasmtime::Result<(u64,)> {
        if !store.data().may_ask_the_time() {
            let reason =
                "it asks for the time of day, which the pipeline file does not grant it with `clock: true`";
            return Err(Forbidden(reason.into()).into());
        }
        // A clock before 1970 is no clock; microseconds fit for half a million years.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok((u64::try_from(since.as_micros()).unwrap_or(u64::MAX),))
    })
}

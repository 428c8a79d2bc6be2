//! What the host offers to guests: the interface's imports, linked once for all plugins.
//!
//! Each function is told apart by the version that offers it. What a guest may not do is a fault of its own: the call never comes back
//! to it, the instance is thrown away, and nothing of the batch goes on.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sluicebox_model::ByteSize;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use crate::abi;
use crate::guest::{Guest, shorten};
use crate::lookup;

/// Something that a guest did and may not do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Forbidden(pub(crate) String);

/// What the host may hand over in one answer: as much as the guest's memories may have, for the rest could not arrive. It is counted while
/// the answer is made: some thousand keys that all name one large value would else be some thousand copies of it, in the host's memory.
struct Answer {
    left: usize,
    limit: ByteSize,
}

impl Answer {
    /// Of a list's element, beside its bytes: whether it is there, a pointer, a length.
    const ELEMENT_BYTES: usize = 12;

    fn to(guest: &Guest) -> Self {
        let limit = guest.memory_limit();
        Self { left: limit.as_usize(), limit }
    }

    /// Counts an element with so many bytes.
    fn holds(&mut self, bytes: usize) -> Result<(), Forbidden> {
        let left = self.left.checked_sub(bytes.saturating_add(Self::ELEMENT_BYTES));
        self.left = left.ok_or_else(|| {
            let limit = self.limit;
            Forbidden(format!(
                "it asks for more at once than {limit}, all the memory that it may have (`limits.memory` in the pipeline file)"
            ))
        })?;
        Ok(())
    }
}

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
                Some(entries) if entries.len() == keys.len() => {
                    // Entries are shared, not copied: what is too much is told before the guest's memory is filled with it.
                    let mut answer = Answer::to(store.data());
                    for entry in &entries {
                        answer.holds(entry.as_ref().map_or(0, |entry| entry.len()))?;
                    }
                    Ok((entries,))
                }
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
            let mut answer = Answer::to(store.data());
            let state = store.data_mut().state()?;
            let copy = |key: &String| {
                let value = state.get(key);
                answer.holds(value.map_or(0, <[u8]>::len))?;
                Ok(value.map(<[u8]>::to_vec))
            };
            let values: Result<Values, Forbidden> = keys.iter().map(copy).collect();
            Ok((values?,))
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

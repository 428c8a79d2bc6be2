//! What a plugin remembers of one target: texts as keys, bytes as values.
//!
//! All of it is in memory. Changes are seen at once; they are made in layers, each of which is kept or taken back as a whole: one
//! for a batch, one for a row inside it. What is kept in the outermost one is handed out as a difference, for whoever saves it. Nothing
//! here knows how. The layers and the difference together hold no more than twice the limit and the keys of a call: of a key
//! that came and went in between nothing stays.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use sluicebox_model::ByteSize;

use crate::Limits;

/// Changed entries by key; none is a key that went.
pub type StateChanges = BTreeMap<String, Option<Vec<u8>>>;

/// The state of one plugin for one target.
#[derive(Debug, Default)]
pub struct State {
    entries: HashMap<String, Vec<u8>>,
    /// Keys and values together.
    bytes: usize,
    limit: usize,
    /// What was there when each layer began, of keys that it changed; the innermost last.
    layers: Vec<HashMap<String, Option<Vec<u8>>>>,
    /// Keys that were changed for good and not handed out yet, and whether they were there at the last time.
    changed: HashMap<String, bool>,
}

impl State {
    /// As it was saved.
    pub fn new(entries: impl IntoIterator<Item = (String, Vec<u8>)>, limit: ByteSize) -> Self {
        let entries: HashMap<String, Vec<u8>> = entries.into_iter().collect();
        let bytes = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        Self { entries, bytes, limit: limit.as_usize(), ..Self::default() }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.entries.get(key).map(Vec::as_slice)
    }

    /// Keys that it has.
    pub fn keys(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of its keys and values together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes an entry, or says why it may not be changed so.
    pub(crate) fn put(&mut self, key: String, value: Option<Vec<u8>>) -> Result<(), String> {
        if key.len() > Limits::STATE_KEY_BYTES {
            let (found, limit) = (key.len(), Limits::STATE_KEY_BYTES);
            return Err(format!("it has a key of {found} bytes in its state, one may have {limit}"));
        }
        let old = match value {
            Some(value) => {
                let more = value.len() + key.len();
                let less = self.get(&key).map_or(0, |old| old.len() + key.len());
                let bytes = (self.bytes - less).saturating_add(more);
                if bytes > self.limit && more > less {
                    return Err(self.too_large(bytes));
                }
                self.bytes = bytes;
                self.entries.insert(key.clone(), value)
            }
            None => {
                let old = self.entries.remove(&key);
                self.bytes -= old.as_ref().map_or(0, |old| old.len() + key.len());
                old
            }
        };
        match self.layers.last_mut() {
            Some(layer) => {
                layer.entry(key).or_insert(old);
            }
            None => self.note(key, old.is_some()),
        }
        Ok(())
    }

    /// Remembers that a key is to be handed out; `there`: whether it was there before this change.
    fn note(&mut self, key: String, there: bool) {
        let now = self.entries.contains_key(&key);
        match self.changed.entry(key) {
            Entry::Occupied(known) if !now && !known.get() => {
                known.remove();
            }
            Entry::Vacant(new) if now || there => {
                new.insert(there);
            }
            Entry::Occupied(_) | Entry::Vacant(_) => {}
        }
    }

    fn too_large(&self, bytes: usize) -> String {
        let size = |bytes: usize| ByteSize::bytes(u64::try_from(bytes).unwrap_or(u64::MAX));
        let (wanted, limit) = (size(bytes), size(self.limit));
        format!(
            "its state would be {wanted}, above its limit of {limit} (`limits.state` in the pipeline file)"
        )
    }

    /// Begins a layer of changes.
    pub fn begin(&mut self) {
        self.layers.push(HashMap::new());
    }

    /// Takes back what was changed in the innermost layer.
    pub fn roll_back(&mut self) {
        for (key, old) in self.layers.pop().unwrap_or_default() {
            let now = match old {
                Some(old) => {
                    self.bytes += old.len() + key.len();
                    self.entries.insert(key.clone(), old)
                }
                None => self.entries.remove(&key),
            };
            self.bytes -= now.map_or(0, |now| now.len() + key.len());
        }
    }

    /// Makes what was changed in the innermost layer part of the one around it, or final where there is none.
    pub fn keep(&mut self) {
        for (key, old) in self.layers.pop().unwrap_or_default() {
            match self.layers.last_mut() {
                Some(around) => {
                    around.entry(key).or_insert(old);
                }
                None => self.note(key, old.is_some()),
            }
        }
    }

    /// Keeps the innermost layer, or takes it back.
    pub fn end(&mut self, keep: bool) {
        if keep { self.keep() } else { self.roll_back() }
    }

    /// Whether there are final changes to hand out.
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Hands out what became final since the last time.
    pub fn take_changes(&mut self) -> StateChanges {
        let changed = std::mem::take(&mut self.changed);
        changed.into_keys().map(|key| (key.clone(), self.entries.get(&key).cloned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(limit: u64) -> State {
        State::new([("a".to_owned(), vec![1])], ByteSize::bytes(limit))
    }

    fn put(state: &mut State, key: &str, value: Option<&[u8]>) -> Result<(), String> {
        state.put(key.to_owned(), value.map(<[u8]>::to_vec))
    }

    #[test]
    fn changes_are_seen_taken_back_and_handed_out_once() {
        let mut state = state(100);
        state.begin();
        put(&mut state, "a", Some(&[2, 2])).expect("it fits");
        put(&mut state, "b", Some(&[3])).expect("it fits");
        state.begin();
        put(&mut state, "a", None).expect("it goes");
        put(&mut state, "b", Some(&[4, 4, 4])).expect("it fits");
        put(&mut state, "b", None).expect("it goes");
        put(&mut state, "c", Some(&[])).expect("it fits");
        assert_eq!((state.get("a"), state.get("b"), state.get("c")), (None, None, Some(&[][..])));
        state.roll_back();
        let found = (state.get("a"), state.get("b"), state.get("c"));
        assert_eq!(found, (Some(&[2, 2][..]), Some(&[3][..]), None));
        assert_eq!((state.keys(), state.bytes()), (2, 5));
        assert!(!state.has_changes(), "nothing is final yet");
        state.keep();
        assert_eq!(state.bytes(), 5);
        let wanted = [("a".to_owned(), Some(vec![2, 2])), ("b".to_owned(), Some(vec![3]))];
        assert_eq!(state.take_changes(), StateChanges::from(wanted));
        assert!(!state.has_changes());
        state.begin();
        put(&mut state, "a", None).expect("it goes");
        state.keep();
        assert_eq!(state.take_changes(), StateChanges::from([("a".to_owned(), None)]));
    }

    #[test]
    fn an_outer_layer_takes_back_what_inner_ones_kept() {
        let mut state = state(100);
        state.begin();
        for value in 2..5 {
            state.begin();
            put(&mut state, "a", Some(&[value])).expect("it fits");
            put(&mut state, "b", Some(&[value])).expect("it fits");
            state.keep();
        }
        assert_eq!(state.get("a"), Some(&[4][..]));
        state.roll_back();
        assert_eq!((state.get("a"), state.get("b")), (Some(&[1][..]), None));
        assert!(!state.has_changes());
    }

    #[test]
    fn of_a_key_that_came_and_went_nothing_is_handed_out() {
        let mut state = state(100);
        for _ in 0..3 {
            state.begin();
            put(&mut state, "b", Some(&[1])).expect("it fits");
            state.keep();
            state.begin();
            put(&mut state, "b", None).expect("it goes");
            put(&mut state, "never", None).expect("it was not there");
            state.keep();
        }
        assert!(!state.has_changes());
        put(&mut state, "a", None).expect("it goes");
        put(&mut state, "a", Some(&[9])).expect("it fits");
        put(&mut state, "a", None).expect("it goes");
        assert_eq!(state.take_changes(), StateChanges::from([("a".to_owned(), None)]));
    }

    #[test]
    fn the_limit_counts_keys_and_values_and_never_keeps_a_state_from_shrinking() {
        let mut state = state(5);
        put(&mut state, "b", Some(&[1, 2])).expect("it fits exactly");
        let error = put(&mut state, "c", Some(&[])).expect_err("one too many");
        assert!(error.contains("above its limit of 5B"), "{error}");
        assert_eq!((state.keys(), state.bytes()), (2, 5));
        put(&mut state, "b", Some(&[1])).expect("less fits");
        let mut lowered = State::new([("key".to_owned(), vec![0; 9])], ByteSize::bytes(3));
        put(&mut lowered, "key", Some(&[0; 8])).expect("it is still too large, and smaller than it was");
        assert!(put(&mut lowered, "key", Some(&[0; 9])).is_err());
        put(&mut lowered, "key", None).expect("it goes");
        assert_eq!(lowered.bytes(), 0);
    }

    #[test]
    fn a_key_has_its_own_limit() {
        let mut state = state(1 << 20);
        put(&mut state, &"k".repeat(Limits::STATE_KEY_BYTES), Some(&[])).expect("it fits");
        let error = put(&mut state, &"k".repeat(Limits::STATE_KEY_BYTES + 1), None).expect_err("too long");
        assert!(error.contains("1025 bytes"), "{error}");
    }
}

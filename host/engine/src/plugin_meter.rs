//! What each plugin costs and does, for the metrics page.
//!
//! A plugin is known by its file's name and content, so that two versions of one are told apart. Instances count for themselves;
//! whoever runs them adds what has come since the last time.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sluicebox_wasm::{Plugin, Stats};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $from:expr),* $(,)?) => {
        /// Counters of one plugin, of all its instances together.
        #[derive(Debug, Default)]
        pub(crate) struct PluginMeter {
            name: String,
            sha256: String,
            $($(#[$doc])* $name: AtomicU64,)*
            /// The most memory that one instance has had after a call, in bytes.
            memory_peak_bytes: AtomicU64,
        }

        impl PluginMeter {
            /// Adds what an instance has done since `before`.
            pub fn add(&self, before: &Stats, now: &Stats) {
                $({
                    let value: fn(&Stats) -> u64 = $from;
                    self.$name.fetch_add(value(now).saturating_sub(value(before)), Ordering::Relaxed);
                })*
                self.memory_peak_bytes.fetch_max(now.memory_peak, Ordering::Relaxed);
            }

            fn counters(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Ordering::Relaxed))),*]
            }
        }
    };
}

counters! {
    /// Row images given to it.
    rows_in_total: |stats| stats.rows_in,
    /// Row images that went on.
    rows_kept_total: |stats| stats.kept,
    /// Row images that it dropped.
    rows_dropped_total: |stats| stats.dropped,
    /// Row images that failed.
    rows_failed_total: |stats| stats.failed,
    /// Calls for batches.
    calls_total: |stats| stats.calls,
    /// Time spent in them, in microseconds.
    call_micros_total: |stats| stats.process_nanos / 1000,
    /// Instances made.
    instances_started_total: |stats| stats.started,
    /// Instances replaced because their memory had grown.
    instances_recycled_total: |stats| stats.recycled,
    /// Instances thrown away because they failed.
    instances_lost_total: |stats| stats.lost,
    /// Log lines left out because there were too many.
    log_lines_dropped_total: |stats| stats.log_lines_dropped,
}

/// The plugins of a run.
#[derive(Debug, Default)]
pub(crate) struct PluginMeters(Mutex<Vec<Arc<PluginMeter>>>);

impl PluginMeters {
    /// The counters of a plugin; those of an earlier attempt go on.
    pub fn of(&self, plugin: &Plugin) -> Arc<PluginMeter> {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = meters.iter().find(|m| m.name == plugin.name() && m.sha256 == plugin.hash());
        if let Some(meter) = known {
            return Arc::clone(meter);
        }
        let (name, sha256) = (plugin.name().to_owned(), plugin.hash().to_owned());
        let meter = Arc::new(PluginMeter { name, sha256, ..PluginMeter::default() });
        meters.push(Arc::clone(&meter));
        meter
    }

    /// Lines of the metrics page.
    pub fn render(&self, page: &mut String) {
        let meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = String::new();
        for meter in meters.iter() {
            let labels = format!("plugin=\"{}\",sha256=\"{}\"", escaped(&meter.name), meter.sha256);
            let peak = ("memory_peak_bytes", meter.memory_peak_bytes.load(Ordering::Relaxed));
            for (name, value) in meter.counters().into_iter().chain([peak]) {
                let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
                let head = format!("# TYPE sluicebox_plugin_{name} {kind}\n");
                if !told.contains(&head) {
                    told.push_str(&head);
                    page.push_str(&head);
                }
                // Writing to a text cannot fail.
                let _ = writeln!(page, "sluicebox_plugin_{name}{{{labels}}} {value}");
            }
        }
    }
}

/// A label's value may hold what ends it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_since_the_last_time_is_added() {
        let meter = PluginMeter { name: "a\"b".into(), sha256: "00".into(), ..PluginMeter::default() };
        let first = Stats { rows_in: 10, kept: 7, memory_peak: 100, ..Stats::default() };
        let second = Stats { rows_in: 25, kept: 20, memory_peak: 90, ..Stats::default() };
        meter.add(&Stats::default(), &first);
        meter.add(&first, &second);
        meter.add(&Stats::default(), &first);
        let meters = PluginMeters(Mutex::new(vec![Arc::new(meter)]));
        let mut page = String::new();
        meters.render(&mut page);
        for line in [
            "# TYPE sluicebox_plugin_rows_in_total counter\n",
            "sluicebox_plugin_rows_in_total{plugin=\"a\\\"b\",sha256=\"00\"} 35\n",
            "sluicebox_plugin_rows_kept_total{plugin=\"a\\\"b\",sha256=\"00\"} 27\n",
            "sluicebox_plugin_memory_peak_bytes{plugin=\"a\\\"b\",sha256=\"00\"} 100\n",
        ] {
            assert!(page.contains(line), "{line} in {page}");
        }
    }
}

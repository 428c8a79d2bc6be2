//! What each plugin costs and does, for the metrics page.
//!
//! A plugin is known by its file's name and content, so that two versions of one are told apart. Instances count for themselves;
//! whoever runs them adds what has come since the last time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sluicebox_model::Position;
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

/// Counters of versions that are not in force any more and that stay on the page: enough to compare a new version with the one before, few enough
/// that a page does not grow with each reload.
const OLD_METERS: usize = 16;

/// The plugins of a run.
#[derive(Debug, Default)]
pub(crate) struct PluginMeters(Mutex<Meters>);

#[derive(Debug, Default)]
struct Meters {
    /// In the order in which they were first met.
    meters: Vec<Arc<PluginMeter>>,
    /// By the plugin's place in the pipeline file.
    in_force: BTreeMap<Arc<str>, InForce>,
}

/// The version of one plugin that is in force.
#[derive(Debug)]
struct InForce {
    name: String,
    sha256: String,
    position: String,
}

impl Meters {
    /// Lets go of the oldest counters of versions that are not in force and that nobody adds to.
    fn tidy(&mut self) {
        let in_force = &self.in_force;
        let is_old = |meter: &Arc<PluginMeter>| {
            Arc::strong_count(meter) == 1
                && !in_force.values().any(|v| v.name == meter.name && v.sha256 == meter.sha256)
        };
        let mut spare = self.meters.iter().filter(|meter| is_old(meter)).count().saturating_sub(OLD_METERS);
        self.meters.retain(|meter| {
            let goes = spare > 0 && is_old(meter);
            spare -= usize::from(goes);
            !goes
        });
    }
}

impl PluginMeters {
    /// From a place on, this version of a plugin is in force.
    pub fn in_force(&self, entry: &Arc<str>, plugin: &Plugin, position: &Position) {
        let (name, sha256) = (plugin.name().to_owned(), plugin.hash().to_owned());
        let version = InForce { name, sha256, position: position.to_string() };
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        meters.in_force.insert(Arc::clone(entry), version);
        meters.tidy();
    }

    /// The counters of a plugin; those of an earlier attempt go on.
    pub fn of(&self, plugin: &Plugin) -> Arc<PluginMeter> {
        let meters = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner).meters;
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
        let Meters { meters, in_force } = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !in_force.is_empty() {
            let instances = sluicebox_wasm::instances();
            // Writing to a text cannot fail, here and below.
            let _ = writeln!(
                page,
                "# TYPE sluicebox_plugin_instances gauge\nsluicebox_plugin_instances {instances}\n# TYPE sluicebox_plugin_in_force gauge"
            );
        }
        for (entry, InForce { name, sha256, position }) in in_force {
            let (name, position) = (escaped(name), escaped(position));
            let labels =
                format!("entry=\"{entry}\",plugin=\"{name}\",sha256=\"{sha256}\",position=\"{position}\"");
            let _ = writeln!(page, "sluicebox_plugin_in_force{{{labels}}} 1");
        }
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
    fn of_versions_that_are_gone_only_the_last_ones_stay_on_the_page() {
        let meter = |number: usize| {
            Arc::new(PluginMeter { name: "p".into(), sha256: number.to_string(), ..PluginMeter::default() })
        };
        let (name, position) = ("p".to_owned(), String::new());
        let in_force = BTreeMap::from([("e".into(), InForce { name, sha256: "0".into(), position })]);
        let mut meters = Meters { meters: (0..1_000).map(meter).collect(), in_force };
        let in_use = Arc::clone(&meters.meters[1]);
        meters.tidy();
        let left: Vec<&str> = meters.meters.iter().map(|meter| &*meter.sha256).collect();
        assert_eq!(left.len(), OLD_METERS + 2);
        assert_eq!((&left[..3], left[OLD_METERS + 1]), (&["0", "1", "984"][..], "999"));
        drop(in_use);
    }

    #[test]
    fn what_has_come_since_the_last_time_is_added() {
        let meter = PluginMeter { name: "a\"b".into(), sha256: "00".into(), ..PluginMeter::default() };
        let first = Stats { rows_in: 10, kept: 7, memory_peak: 100, ..Stats::default() };
        let second = Stats { rows_in: 25, kept: 20, memory_peak: 90, ..Stats::default() };
        meter.add(&Stats::default(), &first);
        meter.add(&first, &second);
        meter.add(&Stats::default(), &first);
        let meters = PluginMeters(Mutex::new(Meters { meters: vec![Arc::new(meter)], ..Meters::default() }));
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

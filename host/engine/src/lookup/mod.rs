//! Reference tables for plugins: read at the start, and again when their source changes.
//!
//! One question of a plugin, for as many keys as it likes, sees one state of a table. A table that cannot be read at the start stops the
//! pipeline; one that cannot be read later stays as it was, and a line in the log says so, once for each reason. Tables
//! are read by a thread of their own, each in its own task there, so a slow server holds nothing up: no rows, and no other table.

mod fetch;
mod parse;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use sluicebox_wasm::LookupTables;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::config::{LookupConfig, LookupOrigin};
use crate::error::EngineError;
use fetch::Fetcher;
use parse::Entries;

/// The tables of one plugin.
pub(crate) struct Lookups {
    tables: BTreeMap<String, Arc<Shared>>,
    /// Ends with the tables.
    _watcher: Option<Watcher>,
}

/// A table, as it is now.
struct Shared(RwLock<Arc<Entries>>);

/// Reads tables again until it is dropped.
struct Watcher {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A table that is read again and again.
struct Watched {
    plugin: String,
    config: LookupConfig,
    fetcher: Fetcher,
    shared: Arc<Shared>,
    /// What went wrong the last time; told once.
    fault: Option<String>,
}

impl Lookups {
    /// Reads all tables of a plugin and begins to watch them.
    ///
    /// # Errors
    /// [`EngineError::Lookup`] when one of them cannot be read.
    pub fn start(plugin: &str, configs: &[LookupConfig]) -> Result<Self, EngineError> {
        if configs.is_empty() {
            return Ok(Self { tables: BTreeMap::new(), _watcher: None });
        }
        let unable = |source| EngineError::Start { what: "the reader of lookup tables", source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unable)?;
        let mut tables = BTreeMap::new();
        let mut watched = Vec::new();
        for config in configs {
            let failed = |reason| EngineError::Lookup {
                plugin: plugin.to_owned(),
                table: config.name.clone(),
                reason,
                asked: matches!(config.origin, LookupOrigin::Url { .. }),
            };
            let mut fetcher = Fetcher::new(&config.origin).map_err(failed)?;
            let entries = runtime.block_on(read(&mut fetcher, config)).map_err(failed)?.unwrap_or_default();
            tracing::info!(plugin, lookup = config.name, entries = entries.len(), "lookup table read");
            let shared = Arc::new(Shared(RwLock::new(Arc::new(entries))));
            tables.insert(config.name.clone(), Arc::clone(&shared));
            watched.push(Watched {
                plugin: plugin.to_owned(),
                config: config.clone(),
                fetcher,
                shared,
                fault: None,
            });
        }
        let watcher = Watcher::start(runtime, watched).map_err(unable)?;
        Ok(Self { tables, _watcher: Some(watcher) })
    }

    /// A table as it is now; none when the pipeline file declares none of this name.
    fn now(&self, table: &str) -> Option<Arc<Entries>> {
        let shared = self.tables.get(table)?;
        Some(Arc::clone(&shared.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl LookupTables for Lookups {
    fn get(&self, table: &str, keys: &[String]) -> Option<Vec<Option<Arc<str>>>> {
        let entries = self.now(table)?;
        Some(keys.iter().map(|key| entries.get(key)).collect())
    }

    fn names(&self) -> Vec<String> {
        self.tables.keys().cloned().collect()
    }
}

impl std::fmt::Debug for Lookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.tables.keys()).finish()
    }
}

/// The table as it is now; none when it has not changed since the last time.
async fn read(fetcher: &mut Fetcher, config: &LookupConfig) -> Result<Option<Entries>, String> {
    let Some((bytes, taken)) = fetcher.fetch(config.max_size).await? else { return Ok(None) };
    let entries = Entries::parse(&bytes, config.format, &config.key)?;
    fetcher.took(taken);
    Ok(Some(entries))
}

impl Watcher {
    fn start(runtime: Runtime, watched: Vec<Watched>) -> std::io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("lookups".to_owned())
            .spawn(move || watch(runtime, watched, stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Its end is the message. A question that is under way ends with its task; nobody waits for it.
        self.stop = None;
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}

fn watch(runtime: Runtime, watched: Vec<Watched>, stopped: oneshot::Receiver<()>) {
    for table in watched {
        runtime.spawn(table.read_again_and_again());
    }
    // That nobody can tell it to stop any more is how it is told.
    let _ = runtime.block_on(stopped);
    // A name that is being looked up has a thread that cannot be stopped; it is not waited for.
    runtime.shutdown_background();
}

impl Watched {
    async fn read_again_and_again(mut self) {
        loop {
            tokio::time::sleep(self.config.refresh).await;
            let result = read(&mut self.fetcher, &self.config).await;
            self.take(result);
        }
    }

    fn take(&mut self, result: Result<Option<Entries>, String>) {
        let (plugin, lookup) = (&*self.plugin, &*self.config.name);
        match result {
            Ok(None) => self.fault = None,
            Ok(Some(entries)) => {
                self.fault = None;
                tracing::info!(plugin, lookup, entries = entries.len(), "lookup table read again");
                *self.shared.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(entries);
            }
            Err(reason) if self.fault.as_ref() == Some(&reason) => {}
            Err(reason) => {
                tracing::warn!(
                    plugin,
                    lookup,
                    reason,
                    "lookup table cannot be read again, it stays as it was"
                );
                self.fault = Some(reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::path::Path;
    use std::time::{Duration, Instant};

    use crossbeam::channel::{Receiver, bounded};
    use sluicebox_model::{ByteSize, Secret};

    use super::*;
    use crate::config::LookupFormat;

    /// Longer than any machine needs for a turn of the reader.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn config(origin: LookupOrigin) -> LookupConfig {
        LookupConfig {
            name: "customers".to_owned(),
            origin,
            key: "id".to_owned(),
            format: LookupFormat::Csv,
            refresh: Duration::from_millis(5),
            max_size: ByteSize::kib(1),
        }
    }

    fn ask(lookups: &Lookups, key: &str) -> Option<String> {
        lookups.now("customers").expect("the table is declared").get(key).map(|entry| entry.to_string())
    }

    fn wait(what: &str, reached: impl Fn() -> bool) {
        let begun = Instant::now();
        while !reached() {
            assert!(begun.elapsed() < PATIENCE, "{what} did not come");
            std::thread::yield_now();
        }
    }

    /// As editors and deployments do it: the name shows the old file or the new one, whole.
    fn replace(path: &Path, text: &str) {
        let new = path.with_extension("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(&new, path).expect("renamed");
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_a_bad_one_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("customers.csv");
        replace(&path, "id,name\n1,Ada\n");
        let lookups = Lookups::start("p", &[config(LookupOrigin::File(path.clone()))]).expect("it is read");
        assert_eq!(ask(&lookups, "1").as_deref(), Some(r#"{"id":"1","name":"Ada"}"#));
        assert!(lookups.now("others").is_none());
        let before = lookups.now("customers").expect("the table");

        replace(&path, "id,name\n1,Bob\n");
        wait("the new name", || ask(&lookups, "1").is_some_and(|entry| entry.contains("Bob")));
        assert!(
            before.get("1").is_some_and(|entry| entry.contains("Ada")),
            "who asked before keeps the old one"
        );

        replace(&path, "id,name\n1\n");
        replace(&path, "id,name\n1,Cid\n2,Dan\n");
        wait("the next sound file", || ask(&lookups, "2").is_some());
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(ask(&lookups, "2").as_deref(), Some(r#"{"id":"2","name":"Dan"}"#));
    }

    #[test]
    fn a_table_that_cannot_be_read_at_the_start_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("customers.csv");
        let start = || Lookups::start("p", &[config(LookupOrigin::File(path.clone()))]).err();
        let words = |error: Option<EngineError>| error.expect("an error").to_string();
        assert!(words(start()).contains("plugin `p`: lookup table `customers`: cannot read `"));
        std::fs::write(&path, "name\nAda\n").expect("written");
        assert!(words(start()).contains("no field `id`"));
        std::fs::write(&path, format!("id\n{}", "x".repeat(2000))).expect("written");
        assert!(words(start()).contains("it has more than 1KiB, its `max-size`"));
        let url =
            LookupOrigin::Url { url: Secret::new("http://127.0.0.1:1/?token=abc"), headers: Vec::new() };
        let error = Lookups::start("p", &[config(url)]).err();
        assert_eq!(error.as_ref().map(EngineError::disposition), Some(crate::Disposition::Retry));
        assert!(!words(error).contains("abc"), "a URL can carry a token");
    }

    /// Answers each request with what the script says, and hands the request's head over.
    fn serve(answers: Vec<String>) -> (String, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let url = format!("http://{}/customers.csv", listener.local_addr().expect("bound"));
        let (heads, seen) = bounded(answers.len());
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a client");
                let head = head_of(&stream);
                stream.write_all(answer.as_bytes()).expect("answered");
                heads.send(head).expect("somebody listens");
            }
        });
        (url, seen)
    }

    fn head_of(stream: &TcpStream) -> String {
        let mut head = String::new();
        let mut lines = BufReader::new(stream).lines();
        while let Some(Ok(line)) = lines.next().filter(|l| l.as_ref().is_ok_and(|l| !l.is_empty())) {
            head.push_str(&line.to_ascii_lowercase());
            head.push('\n');
        }
        head
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
            body.len()
        )
    }

    #[test]
    fn a_server_is_asked_with_its_own_tag_and_a_fault_of_it_changes_nothing() {
        let (url, seen) = serve(vec![
            answer("200 OK", "ETag: \"a\"\r\n", "id,name\n1,Ada\n"),
            answer("304 Not Modified", "", ""),
            answer("503 Service Unavailable", "", "id,name\n1,Eve\n"),
            answer("200 OK", "ETag: \"b\"\r\n", "id,name\n1,Bob\n"),
        ]);
        let headers = vec![("Authorization".to_owned(), Secret::new("Bearer t"))];
        let origin = LookupOrigin::Url { url: Secret::new(url), headers };
        let lookups = Lookups::start("p", &[config(origin)]).expect("it is read");
        let heads: Vec<String> = (0..4).map(|_| seen.recv_timeout(PATIENCE).expect("a request")).collect();
        assert!(heads[0].contains("authorization: bearer t") && !heads[0].contains("if-none-match"));
        for head in &heads[1..] {
            assert!(head.contains("if-none-match: \"a\""), "{head}");
        }
        wait("the new name", || ask(&lookups, "1").is_some_and(|entry| entry.contains("Bob")));
    }

    #[test]
    fn a_server_that_does_not_answer_holds_no_other_table_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("customers.csv");
        replace(&path, "id,name\n1,Ada\n");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/table", listener.local_addr().expect("an address"));
        let (stuck, is_stuck) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (mut first, _) = listener.accept().expect("a connection");
            head_of(&first);
            first.write_all(answer("200 OK", "", "id,name\n1,Eve\n").as_bytes()).expect("answered");
            drop(first);
            // Taken, and never answered; held until the test is over.
            let second = listener.accept().expect("a connection");
            stuck.send(second).expect("somebody listens");
        });
        let slow = LookupOrigin::Url { url: Secret::new(url), headers: Vec::new() };
        let slow = LookupConfig { name: "slow".to_owned(), ..config(slow) };
        let lookups =
            Lookups::start("p", &[slow, config(LookupOrigin::File(path.clone()))]).expect("both are read");
        let _held = is_stuck.recv_timeout(PATIENCE).expect("the second question");
        replace(&path, "id,name\n1,Bob\n");
        let begun = Instant::now();
        wait("the new name", || ask(&lookups, "1").is_some_and(|entry| entry.contains("Bob")));
        assert!(begun.elapsed() < fetch::DEADLINE / 2, "it waited for the server's deadline");
    }

    #[test]
    fn headers_are_not_sent_on_to_another_server() {
        let (elsewhere, seen_there) = serve(vec![answer("200 OK", "", "id,name\n1,Eve\n")]);
        let (url, _seen) = serve(vec![
            answer("302 Found", &format!("Location: {elsewhere}\r\n"), ""),
            answer("302 Found", &format!("Location: {elsewhere}\r\n"), ""),
        ]);
        let asked = |headers| LookupOrigin::Url { url: Secret::new(url.clone()), headers };
        let secret = vec![("X-Api-Key".to_owned(), Secret::new("s3cret"))];
        let error =
            Lookups::start("p", &[config(asked(secret))]).expect_err("it is not followed").to_string();
        assert!(error.contains("sends the question to another server"), "{error}");
        assert!(seen_there.try_recv().is_err(), "the other server was asked");
        let config = LookupConfig { refresh: PATIENCE, ..config(asked(Vec::new())) };
        let lookups = Lookups::start("p", &[config]).expect("without headers it is followed");
        assert!(ask(&lookups, "1").is_some_and(|entry| entry.contains("Eve")));
    }
}

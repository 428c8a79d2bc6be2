//! SQL: statements are handed in as instances, which run on their own and are asked how far they are.
//!
//! Order: [`Client::submit`], [`Instance::wait`], [`Instance::result`]; [`Client::run`] and [`Client::execute`] do it in one go.
//!
//! Handing in is never repeated once the request may have arrived, since it would run the statement twice: after
//! [`Error::Unreachable`] with `maybe_arrived`, or [`Error::ServerFault`], look at what the statement was to change.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use tracing::debug;

use crate::client::Client;
use crate::csv;
use crate::request::{Answered, Request};
use crate::retry::Poll;
use crate::xml::{Element, escape};
use crate::{Error, Result};

/// Settings of a statement.
///
/// ```
/// use sluicebox_maxcompute::Hints;
///
/// let hints = Hints::modern(false).with("odps.sql.submit.mode", "script");
/// assert_ne!(hints, Hints::modern(false));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints(BTreeMap<String, String>);

impl Hints {
    /// No settings: those of the project count.
    pub fn none() -> Self {
        Self::default()
    }

    /// What the official connector sets for every statement, so that the project's own settings do not matter: the
    /// new type system, decimals with precision and scale, and schema evolution. `schemas` says that the project has
    /// schemas; without it a three-part name is not understood.
    pub fn modern(schemas: bool) -> Self {
        let mut hints = Self::none()
            .with("odps.sql.type.system.odps2", "true")
            .with("odps.sql.decimal.odps2", "true")
            .with("odps.sql.allow.schema.evolution", "true");
        if schemas {
            hints =
                hints.with("odps.namespace.schema", "true").with("odps.sql.allow.namespace.schema", "true");
        }
        hints
    }

    /// Adds a setting, or replaces it.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }
}

/// Rows of a query as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryResult {
    /// The instance that ran the statement.
    pub instance: String,
    /// Names of the columns; empty when the statement has no rows.
    pub columns: Vec<String>,
    /// The rows; a null is `None`.
    pub rows: Vec<Vec<Option<String>>>,
    /// What a statement without rows had to say.
    pub text: String,
}

/// A statement that was handed in, and that runs on its own.
///
/// ```no_run
/// use std::time::Duration;
///
/// use sluicebox_maxcompute::{Client, Error, Hints, Result};
///
/// # async fn example(client: Client) -> Result<()> {
/// let instance = client.submit("SELECT COUNT(*) FROM orders", &Hints::modern(false), None).await?;
/// match instance.wait_at_most(Duration::from_secs(60)).await {
///     Ok(()) => println!("{:?}", instance.result().await?.rows),
///     Err(Error::StillRunning { .. }) => instance.terminate().await?,
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Instance {
    client: Client,
    id: String,
    /// The answer of a statement that ran while it was handed in.
    finished: Option<Element>,
}

/// Name of the one task of our instances, the official clients' name for statements of any kind.
const TASK: &str = "AnonymousSQLTask";
/// First wait between two questions whether a statement has finished; they double.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait between two questions.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// All waits of [`Instance::wait`] together. Schema changes take seconds, or minutes in a busy project; who waits for
/// a longer query can wait again.
const PATIENCE: Duration = Duration::from_secs(3600);

impl Client {
    /// Hands in a statement. `schema` is the one that names without a schema are looked up in.
    pub async fn submit(&self, sql: &str, hints: &Hints, schema: Option<&str>) -> Result<Instance> {
        let path = ["projects", self.project_name(), "instances"];
        let request = Request::rest(Method::POST, &path, "submit a statement".to_owned())
            .query_if("curr_schema", schema)
            .xml_body(instance_document(sql, hints, &uuid()).into_bytes())
            .runs_again();
        let answered = self.send(&request).await?;
        let id = answered.header("location").and_then(|place| place.rsplit('/').next());
        let id = id.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Error::malformed(&request.operation, "no instance id"))?.to_owned();
        let at_once = answered.status == 200 && !answered.body.is_empty();
        let finished = at_once.then(|| answered.xml(&request.operation)).transpose()?;
        debug!(instance = %id, "statement submitted");
        Ok(Instance { client: self.clone(), id, finished })
    }

    /// Runs a statement and waits for its end, without asking for rows. Fails with [`Error::StatementFailed`] when the
    /// statement does.
    pub async fn run(&self, sql: &str, hints: &Hints, schema: Option<&str>) -> Result<Instance> {
        let instance = self.submit(sql, hints, schema).await?;
        instance.wait().await?;
        Ok(instance)
    }

    /// Runs a statement, waits for its end, and reads its rows as text: at most as many as the service gives this
    /// way (10000 by default). For more, and for typed values, see [`crate::DownloadSession::of_instance`].
    pub async fn execute(&self, sql: &str, hints: &Hints, schema: Option<&str>) -> Result<QueryResult> {
        self.run(sql, hints, schema).await?.result().await
    }

    /// A handle of an instance that was handed in before.
    pub fn instance(&self, id: impl Into<String>) -> Instance {
        Instance { client: self.clone(), id: id.into(), finished: None }
    }
}

impl Instance {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for its end. [`Error::StillRunning`] after an hour.
    pub async fn wait(&self) -> Result<()> {
        self.wait_at_most(PATIENCE).await
    }

    /// Waits for its end. [`Error::StillRunning`] when the pauses between the questions add up to `patience`.
    pub async fn wait_at_most(&self, patience: Duration) -> Result<()> {
        if let Some(document) = &self.finished {
            return self.judge(document).await;
        }
        let mut waits = Poll::new(FIRST_WAIT, LONGEST_WAIT, patience);
        while !self.terminated().await? {
            let Some(wait) = waits.next() else {
                return Err(Error::StillRunning { instance: self.id.clone(), waited: waits.waited() });
            };
            self.client.timing().sleep(wait).await;
        }
        let document = self.ask("taskstatus", "read the status of").await?;
        self.judge(&document).await
    }

    /// Reads what the statement gave: rows, or a text.
    pub async fn result(&self) -> Result<QueryResult> {
        let operation = self.operation("read the result of");
        let document = match &self.finished {
            Some(document) => document.clone(),
            None => self.ask("result", "read the result of").await?,
        };
        let result = read_result(&document).map_err(|fault| Error::malformed(&operation, fault))?;
        Ok(QueryResult { instance: self.id.clone(), ..result })
    }

    /// Stops it. What it has changed stays changed.
    pub async fn terminate(&self) -> Result<()> {
        let request = self
            .request(Method::PUT, "stop")
            .xml_body(b"<Instance><Status>Terminated</Status></Instance>".to_vec());
        self.client.send(&request).await.map(|_| ())
    }

    async fn terminated(&self) -> Result<bool> {
        let request = self.request(Method::GET, "wait for");
        let document = self.client.send(&request).await?.xml(&request.operation)?;
        Ok(document.text_of("Status").eq_ignore_ascii_case("Terminated"))
    }

    /// Looks whether the task in a status or result document succeeded, and if not, why.
    async fn judge(&self, document: &Element) -> Result<()> {
        let task = task_of(document);
        let status = task.map_or("", |task| task.text_of("Status"));
        if status.eq_ignore_ascii_case("Success") {
            return Ok(());
        }
        if task.is_none() || status.is_empty() {
            return Err(Error::malformed(&self.operation("read the status of"), "no task"));
        }
        let document = match &self.finished {
            Some(document) => document.clone(),
            None => self.ask("result", "read the failure of").await?,
        };
        let result = task_of(&document).and_then(|task| task.child("Result"));
        let message = result.map(text_of_result).transpose();
        let message =
            message.map_err(|fault| Error::malformed(&self.operation("read the failure of"), fault))?;
        let message = message.filter(|text| !text.trim().is_empty());
        let message = message.map_or_else(|| format!("the task is {status}"), |text| text.trim().to_owned());
        Err(Error::StatementFailed { instance: self.id.clone(), code: code_of(&message), message })
    }

    async fn ask(&self, what: &'static str, operation: &str) -> Result<Element> {
        let request = self.request(Method::GET, operation).query(what, "");
        let answered: Answered = self.client.send(&request).await?;
        answered.xml(&request.operation)
    }

    fn request(&self, method: Method, what: &str) -> Request {
        let path = ["projects", self.client.project_name(), "instances", &self.id];
        Request::rest(method, &path, self.operation(what))
    }

    fn operation(&self, what: &str) -> String {
        format!("{what} instance `{}`", self.id)
    }
}

fn task_of(document: &Element) -> Option<&Element> {
    document.child("Tasks")?.child("Task")
}

/// What a result document says; the instance is for the caller to name.
pub(crate) fn read_result(document: &Element) -> std::result::Result<QueryResult, String> {
    let mut result = QueryResult::default();
    let Some(element) = task_of(document).and_then(|task| task.child("Result")) else {
        return Ok(result);
    };
    let text = text_of_result(element)?;
    let is_csv = element.attribute("Format").is_some_and(|format| format.eq_ignore_ascii_case("csv"));
    if !is_csv {
        result.text = text;
        return Ok(result);
    }
    let mut rows = csv::parse(&text)?.into_iter();
    let header = rows.next().unwrap_or_default();
    result.columns = header.into_iter().map(Option::unwrap_or_default).collect();
    result.rows = rows.collect();
    match result.rows.iter().find(|row| row.len() != result.columns.len()) {
        Some(_) => Err("rows with more values than columns, or fewer".to_owned()),
        None => Ok(result),
    }
}

fn text_of_result(result: &Element) -> std::result::Result<String, String> {
    let encoded = result.attribute("Transform").is_some_and(|name| name.eq_ignore_ascii_case("Base64"));
    if !encoded {
        return Ok(result.text.clone());
    }
    let bytes = BASE64.decode(result.text.trim()).map_err(|fault| fault.to_string())?;
    String::from_utf8(bytes).map_err(|fault| fault.to_string())
}

/// The code in front of a failure's text: `ODPS-0130071:[1,1] Semantic ..` has `ODPS-0130071`.
fn code_of(message: &str) -> String {
    match message.split_once(':') {
        Some((code, _)) if code.starts_with("ODPS-") && !code.contains(char::is_whitespace) => {
            code.to_owned()
        }
        _ => String::new(),
    }
}

/// The document that hands in a statement. The statement ends in a semicolon, which is added when missing.
fn instance_document(sql: &str, hints: &Hints, uuid: &str) -> String {
    let settings = serde_json::to_string(&hints.0).expect("texts make JSON");
    let sql = sql.trim_end();
    let semicolon = if sql.ends_with(';') { "" } else { ";" };
    let property = |name: &str, value: &str| {
        format!("<Property><Name>{name}</Name><Value>{}</Value></Property>", escape(value))
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Instance><Job><Priority>9</Priority><Tasks><SQL>\
         <Name>{TASK}</Name><Config>{}{}{}</Config><Query>{}{semicolon}</Query></SQL></Tasks></Job></Instance>",
        property("type", "sql"),
        property("settings", &settings),
        property("uuid", uuid),
        escape(sql),
    )
}

/// A random UUID of version 4.
fn uuid() -> String {
    let random = rand::random::<u128>();
    let bits = (random & !(0xF << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

//! SQL instances.

use std::collections::BTreeMap;

use super::answer::Answer;
use super::app::App;
use super::call::Call;
use super::documents::{self, OWNER, http_date};
use super::xml::texts;
use crate::fault::Fault;
use crate::run::{Context, Outcome, run};
use crate::store::Instance;

/// Rows of a result read as CSV, the service's limit.
const MAX_CSV_ROWS: usize = 10_000;

/// What a client submitted.
#[derive(Debug, PartialEq, Eq)]
struct Job {
    task: String,
    hints: BTreeMap<String, String>,
    query: String,
    source: String,
}

impl Job {
    /// Takes the first SQL task out of an instance document.
    fn parse(body: &[u8]) -> Result<Self, Fault> {
        let texts = texts(body)?;
        let task = "Instance/Job/Tasks/SQL";
        let text = |name: &str| {
            let path = format!("{task}/{name}");
            texts.iter().find(|(found, _)| *found == path).map(|(_, text)| text.clone())
        };
        let query = text("Query").ok_or_else(|| Fault::Invalid("the instance has no SQL task".to_owned()))?;
        let mut hints = BTreeMap::new();
        let property = format!("{task}/Config/Property");
        let of = |name: &str| format!("{property}/{name}");
        let mut name = String::new();
        for (path, text) in &texts {
            if *path == of("Name") {
                name.clone_from(text);
            } else if *path == of("Value") && name == "settings" {
                hints = parse_hints(text)?;
            }
        }
        let document = String::from_utf8_lossy(body);
        let source = document.find("<Job>").zip(document.rfind("</Job>"));
        // Both may stand in a comment, in any order.
        let source = source.and_then(|(from, to)| document.get(from..to + "</Job>".len()));
        Ok(Self {
            task: text("Name").unwrap_or_else(|| "AnonymousSQLTask".to_owned()),
            hints,
            query,
            source: source.unwrap_or_default().to_owned(),
        })
    }
}

/// `settings` is a JSON object with text values; other values are taken as their text.
fn parse_hints(text: &str) -> Result<BTreeMap<String, String>, Fault> {
    let settings: BTreeMap<String, serde_json::Value> = serde_json::from_str(text)
        .map_err(|_| Fault::Invalid("the task's `settings` are not a JSON object".to_owned()))?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(settings.into_iter().map(|(key, value)| (key, text(value))).collect())
}

impl App {
    /// Runs the statement and answers as if it had only been accepted.
    pub(super) fn create_instance(
        &self,
        call: &Call,
        project: String,
        started_ms: i64,
    ) -> Result<Answer, Fault> {
        let job = Job::parse(&call.body)?;
        let context = Context {
            project: project.clone(),
            schema: call.parameter("curr_schema").filter(|schema| !schema.is_empty()).map(str::to_owned),
            hints: job.hints,
            three_tier: self.rules.three_tier,
            now_ms: started_ms,
        };
        self.counters.statement();
        let (error, result) = match run(&self.store, &context, &job.query) {
            Ok(Outcome::Rows(result)) => (None, Some(result)),
            Ok(Outcome::Done) => (None, None),
            Err(fault) => {
                tracing::info!(project, task = job.task, error = %fault, "statement failed");
                (Some(fault.sql_text()), None)
            }
        };
        let id = self.new_id('i', started_ms);
        let instance = Instance {
            id: id.clone(),
            project: project.clone(),
            task: job.task,
            source: job.source,
            error,
            has_rows: result.is_some(),
            started_ms,
            ended_ms: self.clock.now_ms(),
        };
        self.store.add_instance(instance, result)?;
        let prefix = if call.prefixed { "/api" } else { "" };
        let location = format!("http://{}{prefix}/projects/{project}/instances/{id}", call.host);
        Ok(Answer::empty(201).with("Location", location))
    }

    pub(super) fn instance(&self, call: &Call, project: &str, id: &str) -> Result<Answer, Fault> {
        let instance = self.store.instance(id)?;
        if !instance.project.eq_ignore_ascii_case(project) {
            return Err(Fault::NoSuchInstance(id.to_owned()));
        }
        let document = if call.has("taskstatus") {
            documents::task_status(&instance)
        } else if call.has("result") {
            documents::task_result(&instance, &self.result_text(&instance)?)
        } else if call.has("source") {
            return Ok(timed(
                Answer::bytes("application/xml", instance.source.clone().into_bytes()),
                &instance,
            ));
        } else {
            "<Instance><Status>Terminated</Status></Instance>".to_owned()
        };
        Ok(timed(Answer::xml(document), &instance))
    }

    fn result_text(&self, instance: &Instance) -> Result<String, Fault> {
        match &instance.error {
            Some(error) => Ok(error.clone()),
            None if instance.has_rows => self.store.result(instance)?.csv(MAX_CSV_ROWS),
            None => Ok(String::new()),
        }
    }
}

/// Reads a job's document and does nothing with it.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn read_only(body: &[u8]) {
    let _ = Job::parse(body);
}

/// Clients read these headers without checking that they are there.
fn timed(answer: Answer, instance: &Instance) -> Answer {
    answer
        .with("x-odps-owner", OWNER)
        .with("x-odps-start-time", http_date(instance.started_ms / 1000))
        .with("x-odps-end-time", http_date(instance.ended_ms / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clients_forms_of_a_job_are_read() {
        let java = r#"<?xml version="1.0" encoding="UTF-8"?><Instance><Job><Priority>9</Priority><Tasks><SQL>
            <Name>AnonymousSQLTask</Name><Config><Property><Name>type</Name><Value>sql</Value></Property>
            <Property><Name>settings</Name><Value>{&quot;odps.sql.type.system.odps2&quot;:&quot;true&quot;}</Value>
            </Property></Config><Query>select &apos;a&lt;b&apos;;</Query></SQL></Tasks></Job></Instance>"#;
        let python = r#"<?xml version="1.0" encoding="utf-8"?><Instance><Job><Priority>9</Priority><Tasks><SQL>
            <Name>AnonymousSQLTask</Name><Config><Property><Name>settings</Name>
            <Value>{"odps.sql.type.system.odps2": "true"}</Value></Property></Config>
            <Query><![CDATA[select 'a<b';]]></Query></SQL></Tasks><DAG><RunMode>Sequence</RunMode></DAG></Job>
            </Instance>"#;
        let (java, python) = (Job::parse(java.as_bytes()).unwrap(), Job::parse(python.as_bytes()).unwrap());
        assert_eq!((&java.task, &java.hints, &java.query), (&python.task, &python.hints, &python.query));
        assert_eq!(java.query, "select 'a<b';");
        assert!(python.source.starts_with("<Job>") && python.source.ends_with("</Job>"));
    }

    #[test]
    fn a_job_whose_end_stands_before_its_start_has_no_source() {
        let body = "<Instance><!--</Job><Job>--><Job ><Tasks><SQL><Query>select 1</Query></SQL></Tasks></Job ></Instance>";
        let job = Job::parse(body.as_bytes()).unwrap();
        assert_eq!((job.query.as_str(), job.source.as_str()), ("select 1", ""));
    }
}

//! What a server has that could be captured: for the first draft of a pipeline file.

use std::collections::BTreeMap;

use sluicebox_model::TableSchema;
use sluicebox_mysql::Severity;

use crate::config::PipelineConfig;
use crate::error::EngineError;
use crate::pipeline::source;

/// What a server has.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The server's version, in its own words.
    pub server: String,
    /// Tables that the pipeline file means, by database and name.
    pub databases: BTreeMap<String, Vec<TableSchema>>,
    /// What is to be granted or set before a pipeline runs: what was found, and the change.
    pub refusals: Vec<(String, String)>,
}

/// Asks the source of a pipeline file what there is. Changes nothing.
pub async fn survey(config: &PipelineConfig) -> Result<Survey, EngineError> {
    let mut source = source(config, None).await?;
    let tables = source.tables(config).await?;
    let schemas = source.read_schemas(config, &tables).await?;
    let (findings, _) = source.findings(config, &schemas, None).await?;
    let mut databases: BTreeMap<String, Vec<TableSchema>> = BTreeMap::new();
    for schema in schemas {
        databases.entry(schema.id.database.to_string()).or_default().push(schema);
    }
    let refusing = findings.into_iter().filter(|f| f.severity == Severity::Refuse);
    let refusals = refusing.map(|f| (format!("{} ({})", f.check, f.found), f.fix)).collect();
    let server = source.server.version_text.clone();
    source.control.close().await;
    Ok(Survey { server, databases, refusals })
}

//! What a pipeline needs before its first row: both ends reached, checked and described, plugins loaded, tables planned.
//!
//! Nothing here changes anything anywhere, so `validate --connect` does the same.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use sluicebox_expression::{DecimalLimit, Settings, Zone as ExpressionZone};
use sluicebox_maxcompute::{
    Account, Client, ClientOptions, CommandCredentials, CredentialsProvider, FileCredentials,
    FixedCredentials, Hints, Project, QueryResult, RetryLimits,
};
use sluicebox_model::{Position, TableId, TableSchema};
use sluicebox_mysql::{ConnectOptions, Control, Finding, MysqlError, Needs, ServerInfo, Severity, Watermark};
use sluicebox_wasm::{Engine, Grants, Limits, Plugin, PluginSpec};

use super::error_budget::ErrorBudget;
use super::tables::{Placement, Planner, PluginEntry, Rules, TransformEntry};
use crate::config::{
    Approval, Compression, DecimalMode, LocalZone, NewTables, OnPurged, PipelineConfig, PluginConfig,
    SchemaBehaviour, SchemaChangeTag, SchemaPlacement, SinkAccount, Startup, Zone,
};
use crate::error::{Disposition, EngineError};
use crate::lookup::Lookups;
use crate::sink::evolve::EvolvePolicy;
use crate::sink::table::TableSettings;

/// How often the catalog is read until two readings agree; a server whose tables change faster than that is being set up.
const CATALOG_READINGS: usize = 20;
/// Server ids that we choose ourselves lie here: far from those that people give to replicas by hand.
const OWN_SERVER_IDS: std::ops::Range<u32> = 1_000_000_000..2_000_000_000;

/// The sink's client. Sends nothing.
pub fn sink_client(config: &PipelineConfig) -> Result<Client, EngineError> {
    let sink = &config.sink;
    let mut options =
        ClientOptions::with_credentials(&sink.endpoint, &sink.project, credentials(&sink.account));
    let certificates = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| {
            EngineError::Plan(format!("`sink.ssl.ca`: cannot read {}: {error}", path.display()))
        })
    };
    options.ca_certificates = sink.ca.as_ref().map(certificates).transpose()?;
    options.tunnel_endpoint.clone_from(&sink.tunnel_endpoint);
    options.quota.clone_from(&sink.quota);
    options.region.clone_from(&sink.region);
    options.user_agent = concat!("sluicebox/", env!("CARGO_PKG_VERSION")).to_owned();
    options.retry = RetryLimits { times: sink.retries, wait: sink.retry_pause };
    Client::new(options).map_err(EngineError::sink("making the sink's client"))
}

fn credentials(account: &SinkAccount) -> Arc<dyn CredentialsProvider> {
    let secret = |secret: &sluicebox_model::Secret| sluicebox_maxcompute::Secret::new(secret.reveal());
    match account {
        SinkAccount::Written { access_id, access_key, sts_token } => {
            let account = Account::new(access_id, secret(access_key));
            Arc::new(FixedCredentials::new(match sts_token {
                Some(token) => account.with_sts_token(secret(token)),
                None => account,
            }))
        }
        SinkAccount::File(path) => Arc::new(FileCredentials::new(path)),
        SinkAccount::Command(words) => {
            let (program, arguments) =
                words.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
            Arc::new(CommandCredentials::new(program, arguments))
        }
    }
}

/// The sink's project.
pub(crate) async fn project(client: &Client) -> Result<Project, EngineError> {
    client.project().await.map_err(EngineError::sink(format!("reading project `{}`", client.project_name())))
}

/// Runs a statement in the sink's project.
pub async fn query(client: &Client, sql: &str) -> Result<QueryResult, EngineError> {
    let project = project(client).await?;
    let hints = Hints::modern(project.has_schemas());
    client.execute(sql, &hints, None).await.map_err(EngineError::sink("running the statement"))
}

/// How sink tables are made and changed.
pub(crate) fn table_settings(config: &PipelineConfig, project: &Project) -> TableSettings {
    let filter = &config.sink.schema_changes;
    // A source that tells of no change is one whose changes are ignored.
    let behaviour =
        if config.source.schema_changes { config.pipeline.behaviour } else { SchemaBehaviour::Ignore };
    TableSettings {
        buckets: config.sink.buckets.get(),
        keep_not_null: config.sink.keep_not_null,
        partial_update: config.sink.partial_update,
        policy: EvolvePolicy {
            behaviour,
            allowed: SchemaChangeTag::ALL.into_iter().filter(|tag| filter.allows(*tag)).collect(),
            comments: config.source.comments,
        },
        hints: Hints::modern(project.has_schemas()),
        deadline: config.pipeline.ddl_deadline,
        // Where it is not known and needed, the table that needs it says so.
        zone: local_zone(config).ok().map(Arc::new),
        approval: config.pipeline.approval == Approval::Required,
    }
}

/// Loads the plugins as their files are now. `cache`: where compiled code is kept; none: nowhere.
pub(crate) fn planner(
    config: &PipelineConfig,
    project: &Project,
    cache: Option<PathBuf>,
) -> Result<Planner, EngineError> {
    let engine = plugin_engine(config, cache)?;
    let mut plugins = Vec::new();
    for (key, plugin) in plugin_entries(config) {
        let Some(engine) = &engine else { continue };
        let spec = spec_of(plugin)?;
        let file = engine.read(&spec)?;
        let loaded = engine.load_file(&spec, &file)?;
        plugins.push(Arc::new(entry_of(key.into(), plugin, spec, loaded, file.hash())));
    }
    Ok(Planner::new(Arc::new(plugins), rules(config, project)?))
}

/// What runs plugins; none where there are none. `cache`: where compiled code is kept; none: nowhere.
pub(super) fn plugin_engine(
    config: &PipelineConfig,
    cache: Option<PathBuf>,
) -> Result<Option<Engine>, EngineError> {
    let any = config.transforms.iter().any(|t| !t.plugins.is_empty());
    Ok(if any { Some(Engine::new(cache)?) } else { None })
}

/// Every plugin of the pipeline file with its place there, in order.
pub(super) fn plugin_entries(config: &PipelineConfig) -> impl Iterator<Item = (String, &PluginConfig)> {
    config.transforms.iter().enumerate().flat_map(|(rule, transform)| {
        let key = move |place| format!("transform[{rule}].plugin[{place}]");
        transform.plugins.iter().enumerate().map(move |(place, plugin)| (key(place), plugin))
    })
}

/// A plugin in one version, with failures of its own to count.
pub(super) fn entry_of(
    key: Arc<str>,
    config: &PluginConfig,
    spec: PluginSpec,
    plugin: Plugin,
    file_sha256: &str,
) -> PluginEntry {
    PluginEntry {
        key,
        spec,
        plugin,
        file_sha256: file_sha256.into(),
        memory: config.path.file_stem().unwrap_or_default().to_string_lossy().into(),
        on_error: config.on_error,
        on_schema_error: config.on_schema_error,
        budget: ErrorBudget::new(config.error_budget),
    }
}

/// What the pipeline file says about tables.
pub(super) fn rules(config: &PipelineConfig, project: &Project) -> Result<Arc<Rules>, EngineError> {
    let mut transforms = Vec::new();
    let mut plugins = 0_usize..;
    for rule in &config.transforms {
        transforms.push(TransformEntry {
            tables: rule.tables.clone(),
            plugins: plugins.by_ref().take(rule.plugins.len()).collect(),
            expressions: rule.expressions.clone(),
            options: rule.table_options.clone().into(),
        });
    }
    let placement = match (project.has_schemas(), config.sink.placement) {
        (false, _) => Placement::TablesOnly,
        (true, SchemaPlacement::Database) => Placement::Database,
        (true, SchemaPlacement::Flink) => Placement::Namespace,
    };
    let settings = Arc::new(expression_settings(config)?);
    Ok(Arc::new(Rules { transforms, routes: config.routes.clone(), placement, settings }))
}

/// The zone of clocks without one.
fn local_zone(config: &PipelineConfig) -> Result<ExpressionZone, String> {
    match &config.pipeline.local_time_zone {
        LocalZone::Named(Zone::Offset(seconds)) => Ok(ExpressionZone::fixed(*seconds)),
        LocalZone::Named(Zone::Region(name)) => ExpressionZone::region(name),
        LocalZone::System => ExpressionZone::system(std::env::var("TZ").ok().as_deref()),
    }
}

/// What the file says about all expressions. The zone is looked up only where there is one that could ask for it.
fn expression_settings(config: &PipelineConfig) -> Result<Settings, EngineError> {
    let any = config.transforms.iter().any(|rule| rule.expressions.is_some());
    let zone = if any { local_zone(config) } else { Ok(ExpressionZone::UTC) };
    let zone = zone.map_err(|reason| EngineError::Plan(format!("`pipeline.local-time-zone`: {reason}")))?;
    let decimals = match config.pipeline.decimals {
        DecimalMode::UpTo19 => DecimalLimit::UP_TO_19,
        DecimalMode::UpTo38 => DecimalLimit::UP_TO_38,
    };
    Ok(Settings { zone, flink: config.pipeline.flink_compat, decimals, op_ts: config.source.op_ts })
}

/// A plugin as the WebAssembly host names it; its lookup tables are read by then.
pub(super) fn spec_of(plugin: &PluginConfig) -> Result<PluginSpec, EngineError> {
    let limits = &plugin.limits;
    let name = plugin.path.file_stem().unwrap_or_default().to_string_lossy();
    let lookups = Lookups::start(&name, &plugin.lookups)?;
    Ok(PluginSpec {
        path: plugin.path.clone(),
        config: plugin.config.0.clone(),
        limits: Limits {
            memory: limits.memory,
            time: limits.time,
            instances: limits.instances,
            table_elements: limits.table_elements,
            output: limits.output,
            log_lines: limits.log_lines,
            state: limits.state,
        },
        grants: Grants { clock: plugin.clock, wasi: plugin.wasi.clone(), lookups: Some(Arc::new(lookups)) },
        sha256: plugin.sha256.map(|digest| digest.iter().map(|b| format!("{b:02x}")).collect()),
        precompiled: plugin.precompiled,
    })
}

/// The source, reached and checked.
pub(crate) struct Source {
    pub control: Control,
    pub server: ServerInfo,
    /// How it is reached.
    pub connect: ConnectOptions,
    /// The id that our binlog reader uses.
    pub server_id: u32,
}

/// Connects to the source: of several servers to the first that can be reached and has what was read before (`seen`).
pub(crate) async fn source(config: &PipelineConfig, seen: Option<&Position>) -> Result<Source, EngineError> {
    let mut failure = None;
    for address in &config.source.servers {
        let first = &config.source.connect;
        let port = address.port.unwrap_or(first.port);
        let connect = ConnectOptions { host: address.host.clone(), port, ..first.clone() };
        let is_only = config.source.servers.len() == 1;
        match open(&connect, seen.filter(|_| !is_only)).await {
            Ok(control) => {
                let server = control.server().clone();
                let chosen = config.source.server_ids.map(|ids| ids.first);
                let server_id = chosen.unwrap_or_else(|| rand::rng().random_range(OWN_SERVER_IDS));
                return Ok(Source { control, server, connect, server_id });
            }
            Err(error) if is_only => return Err(error),
            Err(error) => {
                tracing::warn!(server = connect.address(), %error, "this server cannot be read, trying the next one");
                // One that may be back soon decides, so that all are tried again.
                let waits = |e: &EngineError| e.disposition() == Disposition::Retry;
                failure = Some(failure.filter(|f| waits(f) || !waits(&error)).unwrap_or(error));
            }
        }
    }
    Err(failure.unwrap_or(EngineError::Lost("server")))
}

/// Connects to one server, which must have what was read before.
async fn open(connect: &ConnectOptions, seen: Option<&Position>) -> Result<Control, EngineError> {
    let mut control = Control::connect(connect).await?;
    if let Some(seen) = seen
        && !control.position().await?.includes(seen)
    {
        let server = connect.address();
        let reason = "it does not have everything yet that was read from another server".to_owned();
        return Err(MysqlError::Unreachable { server, reason }.into());
    }
    Ok(control)
}

impl Source {
    /// Tables that the pipeline file means, as they are now.
    pub async fn tables(&mut self, config: &PipelineConfig) -> Result<Vec<TableId>, EngineError> {
        let all = self.control.tables().await?;
        let known = all.len();
        self.refuse_views(config, &all).await?;
        let tables: Vec<TableId> = all.into_iter().filter(|t| config.source.captures(t)).collect();
        if tables.is_empty() {
            return Err(EngineError::Plan(format!(
                "no table matches `source.tables`; the account `{}` can see {known} tables, and sees only those that it may SELECT from",
                config.source.connect.user
            )));
        }
        Ok(tables)
    }

    /// Views have no rows of their own in the binlog. One that a pattern means beside tables is left out.
    async fn refuse_views(&mut self, config: &PipelineConfig, tables: &[TableId]) -> Result<(), EngineError> {
        let views = self.control.views().await?;
        let meant: Vec<TableId> = views.into_iter().filter(|view| config.source.captures(view)).collect();
        if let Some(view) = config.source.tables.meant_alone(&meant, tables) {
            return Err(EngineError::Plan(format!(
                "`source.tables` means `{view}`, which is a view: the binlog has changes of tables only; name the tables that it reads"
            )));
        }
        if let Some(first) = meant.first() {
            tracing::warn!(views = meant.len(), %first, "views are meant by `source.tables` and left out: the binlog has changes of tables only");
        }
        Ok(())
    }

    /// A position, and the tables' columns at that position: two readings that agree, one before it and one after.
    pub async fn schemas_now(
        &mut self,
        config: &PipelineConfig,
        tables: &[TableId],
    ) -> Result<(Position, Vec<TableSchema>), EngineError> {
        let mut before = self.read_schemas(config, tables).await?;
        for _ in 0..CATALOG_READINGS {
            let position = self.control.position().await?;
            let after = self.read_schemas(config, tables).await?;
            if before == after {
                return Ok((position, after));
            }
            before = after;
        }
        Err(EngineError::Plan(
            "the source's tables are being changed too fast to begin; try again when it is quieter".into(),
        ))
    }

    /// The tables' columns as they are now, at no certain position.
    pub async fn read_schemas(
        &mut self,
        config: &PipelineConfig,
        tables: &[TableId],
    ) -> Result<Vec<TableSchema>, EngineError> {
        let mut schemas = self.control.schemas(tables, &config.source.types).await?;
        if !config.source.comments {
            for schema in &mut schemas {
                schema.comment = None;
                schema.columns.iter_mut().for_each(|c| c.comment = None);
            }
        }
        Ok(schemas)
    }

    /// What is wrong with the source's settings and grants. `planner`: for what becomes of the tables; without it they stay what they are.
    pub async fn findings(
        &mut self,
        config: &PipelineConfig,
        schemas: &[TableSchema],
        planner: Option<&mut Planner>,
    ) -> Result<(Vec<Finding>, Option<Watermark>), EngineError> {
        let source = &config.source;
        let snapshot = matches!(source.startup, Startup::Initial | Startup::Snapshot)
            || source.new_tables == NewTables::Snapshot
            || source.on_purged == OnPurged::Resnapshot;
        let keyless = |s: &&TableSchema| s.key.is_empty();
        let mut planner = planner.filter(|_| snapshot);
        let appended = |s: &&TableSchema| {
            s.key.is_empty() || planner.as_mut().is_some_and(|planner| planner.takes_key(s))
        };
        let needs = Needs {
            server_id: self.server_id,
            snapshot,
            stream: true,
            tables: schemas.iter().map(|s| s.id.clone()).collect(),
            keyless: schemas.iter().filter(keyless).map(|s| s.id.clone()).collect(),
            appended: schemas.iter().filter(appended).map(|s| s.id.clone()).collect(),
            server_time_zone: source.time_zone.as_ref().map(ToString::to_string),
            partial_rows: config.sink.partial_update,
        };
        let mut findings = self.control.preflight(&needs).await?;
        let mut watermark = None;
        if snapshot {
            match self.control.watermark().await? {
                Ok(found) => watermark = Some(found),
                Err(finding) => {
                    if !findings.iter().any(|f| f.check == finding.check) {
                        findings.push(finding);
                    }
                }
            }
        }
        Ok((findings, watermark))
    }
}

/// Logs what can be lived with; an error when something cannot.
pub(crate) fn judge(findings: &[Finding]) -> Result<(), EngineError> {
    let mut refused = Vec::new();
    for finding in findings {
        match finding.severity {
            Severity::Refuse => {
                refused.push(format!("{} ({}): {}", finding.check, finding.found, finding.fix))
            }
            Severity::Warn => tracing::warn!(
                check = finding.check,
                found = finding.found,
                fix = finding.fix,
                "source check"
            ),
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(EngineError::Preflight(refused.join("; "))) }
}

/// How blocks are packed on their way to the service.
pub(super) fn compression(configured: Compression) -> sluicebox_maxcompute::Compression {
    match configured {
        Compression::Raw => sluicebox_maxcompute::Compression::Raw,
        Compression::Zlib => sluicebox_maxcompute::Compression::Zlib,
        Compression::Lz4 => sluicebox_maxcompute::Compression::Lz4,
        Compression::Snappy => sluicebox_maxcompute::Compression::Snappy,
    }
}

/// How long the server may be silent; after three times as long a connection counts as lost.
pub(crate) fn heartbeat(config: &PipelineConfig) -> Duration {
    /// A dead link is to be noticed within seconds, though files written for Flink CDC, whose default is 30 s, name more: there the
    /// interval is that of events to the sink.
    const MOST: Duration = Duration::from_secs(5);
    config.source.heartbeat.unwrap_or(MOST).min(MOST)
}

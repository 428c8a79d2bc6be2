//! Which operation a request asks for.

use axum::http::Method;

use super::call::Call;

/// An operation, with the names its path carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Project(String),
    Tenants,
    LogviewHost,
    TunnelEndpoint,
    Logs,
    Authorization,
    TableList(String),
    SchemaList(String),
    SchemaCreate(String),
    Schema {
        project: String,
        schema: String,
    },
    SchemaDelete {
        project: String,
        schema: String,
    },
    InstanceCreate(String),
    InstanceList(String),
    Instance {
        project: String,
        instance: String,
    },
    InstanceStop {
        instance: String,
    },
    /// Metadata of a table, its head, partitions or one partition, by parameter.
    Table(TablePath),
    Upsert(Step, TablePath),
    Upload(Step, TablePath),
    Stream(Step, TablePath),
    Download(Step, TablePath),
    Preview(TablePath),
    ResultDownload(Step, String),
}

/// What is done with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Get,
    Put,
    Commit,
    Abort,
    Data,
}

/// A table as a path names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TablePath {
    pub(super) project: String,
    /// Only tunnel paths carry it.
    pub(super) schema: Option<String>,
    pub(super) table: String,
}

impl Route {
    /// The operation of a call; `None` when there is none at its path.
    pub(super) fn of(call: &Call) -> Option<Self> {
        let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        let get = call.method == Method::GET || call.method == Method::HEAD;
        match segments.as_slice() {
            ["tenants"] if get => Some(Self::Tenants),
            ["logview", "host"] if get => Some(Self::LogviewHost),
            ["projects", project] if get => Some(Self::Project((*project).to_owned())),
            ["projects", project, rest @ ..] => Self::in_project(call, (*project).to_owned(), rest),
            _ => None,
        }
    }

    fn in_project(call: &Call, project: String, rest: &[&str]) -> Option<Self> {
        let method = call.method.as_str();
        let named = |name: &str| name.to_owned();
        match (method, rest) {
            ("GET", ["tunnel"]) => Some(Self::TunnelEndpoint),
            ("PUT" | "POST", ["logs"]) => Some(Self::Logs),
            (_, ["authorization"]) => Some(Self::Authorization),
            ("GET", ["tables"]) => Some(Self::TableList(project)),
            ("GET", ["schemas"]) => Some(Self::SchemaList(project)),
            ("POST", ["schemas"]) => Some(Self::SchemaCreate(project)),
            ("GET" | "HEAD", ["schemas", schema]) => Some(Self::Schema { project, schema: named(schema) }),
            ("DELETE", ["schemas", schema]) => Some(Self::SchemaDelete { project, schema: named(schema) }),
            ("POST", ["instances"]) => Some(Self::InstanceCreate(project)),
            ("GET", ["instances"]) => Some(Self::InstanceList(project)),
            (_, ["instances", instance]) => Self::instance(call, project, named(instance)),
            (_, ["schemas", schema, "tables", table, tail @ ..]) => {
                let path = TablePath { project, schema: Some(named(schema)), table: named(table) };
                Self::in_table(call, path, tail)
            }
            (_, ["tables", table, tail @ ..]) => {
                Self::in_table(call, TablePath { project, schema: None, table: named(table) }, tail)
            }
            _ => None,
        }
    }

    fn instance(call: &Call, project: String, instance: String) -> Option<Self> {
        match call.method.as_str() {
            "POST" if call.has("downloads") => Some(Self::ResultDownload(Step::Create, instance)),
            "GET" if call.has("downloadid") && call.has("data") => {
                Some(Self::ResultDownload(Step::Data, instance))
            }
            "GET" if call.has("downloadid") => Some(Self::ResultDownload(Step::Get, instance)),
            "GET" | "HEAD" => Some(Self::Instance { project, instance }),
            "PUT" => Some(Self::InstanceStop { instance }),
            _ => None,
        }
    }

    fn in_table(call: &Call, path: TablePath, tail: &[&str]) -> Option<Self> {
        let has = |name| call.has(name);
        let method = call.method.as_str();
        match (method, tail) {
            ("POST", ["upserts"]) if has("upsertid") => Some(Self::Upsert(Step::Commit, path)),
            ("POST", ["upserts"]) => Some(Self::Upsert(Step::Create, path)),
            ("GET", ["upserts"]) => Some(Self::Upsert(Step::Get, path)),
            ("PUT", ["upserts"]) => Some(Self::Upsert(Step::Put, path)),
            ("DELETE", ["upserts"]) => Some(Self::Upsert(Step::Abort, path)),
            ("POST", ["streams"]) if has("uploadid") => Some(Self::Stream(Step::Abort, path)),
            ("POST", ["streams"]) => Some(Self::Stream(Step::Create, path)),
            ("GET", ["streams"]) => Some(Self::Stream(Step::Get, path)),
            ("PUT", ["streams"]) => Some(Self::Stream(Step::Put, path)),
            ("GET", ["preview"]) => Some(Self::Preview(path)),
            ("POST", []) if has("uploads") => Some(Self::Upload(Step::Create, path)),
            ("POST", []) if has("uploadid") => Some(Self::Upload(Step::Commit, path)),
            ("PUT", []) if has("uploadid") => Some(Self::Upload(Step::Put, path)),
            ("GET", []) if has("uploadid") => Some(Self::Upload(Step::Get, path)),
            ("POST", []) if has("downloads") => Some(Self::Download(Step::Create, path)),
            ("GET", []) if has("downloadid") && has("data") => Some(Self::Download(Step::Data, path)),
            ("GET", []) if has("downloadid") => Some(Self::Download(Step::Get, path)),
            ("GET" | "HEAD", []) => Some(Self::Table(path)),
            _ => None,
        }
    }

    /// Whether the answer speaks the tunnel's language.
    pub(super) fn is_tunnel(&self) -> bool {
        matches!(
            self,
            Self::Upsert(..)
                | Self::Upload(..)
                | Self::Stream(..)
                | Self::Download(..)
                | Self::ResultDownload(..)
                | Self::Preview(_)
        )
    }

    /// Name in the counters.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Project(_) => "project",
            Self::Tenants => "tenants",
            Self::LogviewHost => "logview",
            Self::TunnelEndpoint => "tunnel-endpoint",
            Self::Logs => "logs",
            Self::Authorization => "authorization",
            Self::TableList(_) => "table-list",
            Self::SchemaList(_) => "schema-list",
            Self::SchemaCreate(_) => "schema-create",
            Self::Schema { .. } => "schema",
            Self::SchemaDelete { .. } => "schema-delete",
            Self::InstanceCreate(_) => "instance-create",
            Self::InstanceList(_) => "instance-list",
            Self::Instance { .. } => "instance",
            Self::InstanceStop { .. } => "instance-stop",
            Self::Table(_) => "table",
            Self::Upsert(Step::Create, _) => "upsert-create",
            Self::Upsert(Step::Put, _) => "upsert-put",
            Self::Upsert(Step::Commit, _) => "upsert-commit",
            Self::Upsert(Step::Abort, _) => "upsert-abort",
            Self::Upsert(Step::Get | Step::Data, _) => "upsert-get",
            Self::Upload(Step::Create, _) => "upload-create",
            Self::Upload(Step::Put, _) => "upload-put",
            Self::Upload(Step::Commit, _) => "upload-commit",
            Self::Upload(Step::Get | Step::Data | Step::Abort, _) => "upload-get",
            Self::Stream(Step::Create, _) => "stream-create",
            Self::Stream(Step::Put, _) => "stream-put",
            Self::Stream(Step::Abort, _) => "stream-abort",
            Self::Stream(Step::Get | Step::Data | Step::Commit, _) => "stream-get",
            Self::Download(Step::Create, _) | Self::ResultDownload(Step::Create, _) => "download-create",
            Self::Download(Step::Data, _) | Self::ResultDownload(Step::Data, _) => "download-data",
            Self::Download(..) | Self::ResultDownload(..) => "download-get",
            Self::Preview(_) => "preview",
        }
    }
}

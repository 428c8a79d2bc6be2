//! The service API: projects, tables, partitions, schemas.

use md5::{Digest, Md5};

use super::answer::Answer;
use super::app::App;
use super::call::Call;
use super::documents::{self, OWNER, TableFacts, http_date};
use super::route::{Route, TablePath};
use super::xml::{element, texts};
use crate::fault::Fault;
use crate::run::{Rows, require_name};
use crate::store::{DEFAULT_SCHEMA, Table, parse_partition};
use crate::wire::types::Type;

/// Items of a list page unless the client asks for fewer.
const PAGE_ITEMS: usize = 1000;

/// Rows of a table's head, the service's limit.
const MAX_HEAD_ROWS: usize = 10_000;

/// A body sent with its MD5, in hexadecimal, must match it.
pub(super) fn check_digest(call: &Call) -> Result<(), Fault> {
    let Some(sent) = call.header("content-md5").filter(|sent| !sent.is_empty()) else { return Ok(()) };
    let computed: String = Md5::digest(&call.body).iter().map(|byte| format!("{byte:02x}")).collect();
    if sent.eq_ignore_ascii_case(&computed) {
        Ok(())
    } else {
        Err(Fault::Invalid("Content-MD5 is not the hexadecimal MD5 of the body".to_owned()))
    }
}

impl App {
    pub(super) fn service(&self, call: &Call, route: Route, now_ms: i64) -> Result<Answer, Fault> {
        match route {
            Route::Project(project) => {
                Ok(described(documents::project(&project, self.rules.three_tier), now_ms))
            }
            Route::Tenants => Ok(Answer::json(&documents::tenant(self.rules.three_tier))),
            Route::LogviewHost => {
                Ok(Answer::bytes("text/plain", format!("http://{}", call.host).into_bytes()))
            }
            Route::TunnelEndpoint => Ok(Answer::bytes("text/plain", call.host.clone().into_bytes())),
            Route::Logs => Ok(Answer::empty(200)),
            Route::Authorization => self.authorization(call, now_ms),
            Route::TableList(project) => self.list_tables(call, &project),
            Route::SchemaList(project) => self.list_schemas(call, &project),
            Route::SchemaCreate(project) => self.create_schema(call, &project, now_ms),
            Route::Schema { project, schema } => self.describe_schema(&project, &schema, now_ms),
            Route::SchemaDelete { project, schema } => match self.store.drop_schema(&project, &schema)? {
                true => Ok(Answer::empty(204)),
                false => Err(Fault::NoSuchSchema(schema)),
            },
            Route::InstanceList(_) => Ok(Answer::xml(documents::list("Instances", "", PAGE_ITEMS, ""))),
            Route::Table(path) => self.table(call, &path),
            other => Err(Fault::Internal(format!("`{}` is not of the service API", other.kind()))),
        }
    }

    /// Issues tokens. Other security statements are taken and do nothing, since there are no users here.
    fn authorization(&self, call: &Call, now_ms: i64) -> Result<Answer, Fault> {
        let result = if call.has("sign_bearer_token") {
            super::token::issue(call, &self.credentials, now_ms)?
        } else {
            "{}".to_owned()
        };
        Ok(Answer::xml(format!("<Authorization>{}</Authorization>", element("Result", &result))))
    }

    fn list_tables(&self, call: &Call, project: &str) -> Result<Answer, Fault> {
        let schema =
            call.parameter("curr_schema").filter(|_| self.rules.three_tier).unwrap_or(DEFAULT_SCHEMA);
        let prefix = call.parameter("name").unwrap_or_default().to_ascii_lowercase();
        let tables = self.store.catalog().list(project, schema);
        let items = tables.iter().filter(|table| table.name.table.starts_with(&prefix));
        let items = items.map(|table| (table.name.table.clone(), documents::table_item(table)));
        page(call, "Tables", items.collect())
    }

    fn list_schemas(&self, call: &Call, project: &str) -> Result<Answer, Fault> {
        let names = self.store.catalog().schemas(project);
        let items = names.into_iter().map(|name| (name.clone(), documents::schema(&name))).collect();
        page(call, "Schemas", items)
    }

    fn create_schema(&self, call: &Call, project: &str, now_ms: i64) -> Result<Answer, Fault> {
        if !self.rules.three_tier {
            return Err(Fault::Invalid(format!("project {project} has no schemas")));
        }
        let texts = texts(&call.body)?;
        let text = |path: &str| texts.iter().find(|(found, _)| found == path).map(|(_, text)| text.trim());
        let name = text("Schema/Name").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Fault::Invalid("the schema has no name".to_owned()))?;
        require_name(name)?;
        let if_not_exists = text("Schema/IfNotExists") == Some("true");
        if self.store.create_schema(project, name, now_ms / 1000)? || if_not_exists {
            Ok(Answer::empty(201))
        } else {
            Err(Fault::StatusConflict(format!("schema {name} already exists")))
        }
    }

    fn describe_schema(&self, project: &str, schema: &str, now_ms: i64) -> Result<Answer, Fault> {
        if self.store.catalog().has_schema(project, schema) {
            Ok(described(documents::schema(schema), now_ms))
        } else {
            Err(Fault::NoSuchSchema(schema.to_owned()))
        }
    }

    fn table(&self, call: &Call, path: &TablePath) -> Result<Answer, Fault> {
        let name = self.table_name(call, path)?;
        let table = self.store.catalog().table(&name)?;
        if call.has("partitions") {
            return self.list_partitions(call, &table);
        }
        if let Some(text) = call.parameter("partition").filter(|_| !call.has("data")) {
            return self.describe_partition(&table, text);
        }
        if call.has("data") {
            return self.head(call, &table);
        }
        let modified_s = self.store.catalog().modified_s(table.id);
        let facts = TableFacts { table: &table, modified_s, rows: self.store.count_rows(&table)? };
        Ok(Answer::xml(documents::table(&facts, call.has("extended"))))
    }

    fn describe_partition(&self, table: &Table, text: &str) -> Result<Answer, Fault> {
        let values = table.partition_values(&parse_partition(text)?)?;
        let partition = self.store.catalog().partition(table, &values)?;
        let rows = self.store.count_rows_of(table, Some(partition.id))?;
        Ok(Answer::xml(documents::partition(table, &partition, rows)))
    }

    /// Partitions, all or those under the values given for some of the columns.
    fn list_partitions(&self, call: &Call, table: &Table) -> Result<Answer, Fault> {
        let wanted = parse_partition(call.parameter("partition").unwrap_or_default())?;
        let partitions: Vec<_> = self.store.catalog().partitions(table.id).cloned().collect();
        let mut items = Vec::new();
        for partition in partitions {
            let has = |(name, value): &(String, String)| {
                let mut pairs = table.partition_columns.iter().zip(&partition.values);
                pairs.any(|(column, found)| column.name == *name && found == value)
            };
            if wanted.iter().all(has) {
                let rows = self.store.count_rows_of(table, Some(partition.id))?;
                let text = table.partition_text(&partition.values);
                items.push((text, documents::partition(table, &partition, rows)));
            }
        }
        page(call, "Partitions", items)
    }

    /// The first rows as CSV. Without a character set in the type the Python client reads Latin-1.
    fn head(&self, call: &Call, table: &Table) -> Result<Answer, Fault> {
        let rows = call.number("linenum")?.unwrap_or(MAX_HEAD_ROWS).min(MAX_HEAD_ROWS);
        let part = self.part_of(call, table)?;
        let columns = column_types(table);
        let ids = table.column_ids();
        let mut head = Rows::new(&columns, &ids);
        let mut left = rows;
        self.store.for_each_row(table, part, |_, row| {
            if left == 0 {
                return Ok(false);
            }
            left -= 1;
            head.push_values(row)?;
            Ok(true)
        })?;
        Ok(Answer::bytes("text/plain; charset=utf-8", head.csv().into_bytes()))
    }

    /// The partition number that a call names; `None` for the whole table.
    pub(super) fn part_of(&self, call: &Call, table: &Table) -> Result<Option<i64>, Fault> {
        match call.parameter("partition").filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => {
                let values = table.partition_values(&parse_partition(text)?)?;
                Ok(Some(self.store.catalog().partition(table, &values)?.id))
            }
        }
    }
}

pub(super) fn column_types(table: &Table) -> Vec<(String, Type)> {
    table.columns.iter().map(|column| (column.name.clone(), column.kind.clone())).collect()
}

/// Both clients read these three headers without checking that they are there.
fn described(document: String, now_ms: i64) -> Answer {
    let date = http_date(now_ms / 1000);
    Answer::xml(document)
        .with("x-odps-owner", OWNER)
        .with("x-odps-creation-time", date.clone())
        .with("Last-Modified", date)
}

/// One page of items sorted by their key; the marker is the last key of the page before.
fn page(call: &Call, outer: &str, items: Vec<(String, String)>) -> Result<Answer, Fault> {
    let size = call.number("maxitems")?.unwrap_or(PAGE_ITEMS).clamp(1, PAGE_ITEMS);
    let marker = call.parameter("marker").unwrap_or_default();
    let rest: Vec<&(String, String)> = items.iter().filter(|(key, _)| key.as_str() > marker).collect();
    let shown = &rest[..size.min(rest.len())];
    let next = if shown.len() < rest.len() { shown.last().map_or("", |(key, _)| key) } else { "" };
    let texts: String = shown.iter().map(|(_, text)| text.as_str()).collect();
    Ok(Answer::xml(documents::list(outer, next, size, &texts)))
}

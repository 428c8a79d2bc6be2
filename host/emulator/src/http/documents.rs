//! The documents that answers carry.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use serde_json::{Value as Json, json};

use super::xml::{cdata, element, escape};
use crate::store::{BlockInfo, Column, Instance, Partition, Session, Status, Table};
use crate::wire::types::Type;

/// Owner of everything here.
pub(super) const OWNER: &str = "ALIYUN$sluicebox";

/// `Sat, 09 Mar 2024 12:00:00 GMT`.
pub(super) fn http_date(seconds: i64) -> String {
    let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The project document. The same one serves `properties=all` and `extended`.
pub(super) fn project(name: &str, three_tier: bool) -> String {
    let flag = if three_tier { "true" } else { "false" };
    let properties: String = [
        ("odps.schema.model.enabled", flag),
        ("odps.namespace.schema", flag),
        ("odps.sql.type.system.odps2", "true"),
        ("odps.sql.decimal.odps2", "true"),
        ("odps.timestamp.ntz.enable", "true"),
    ]
    .iter()
    .map(|(key, value)| format!("<Property>{}{}</Property>", element("Name", key), element("Value", value)))
    .collect();
    format!(
        "<Project>{}<Type>managed</Type><Comment/><State>AVAILABLE</State>\
         <ProjectGroupName>sluicebox</ProjectGroupName><Region>local</Region><TenantId>1</TenantId>\
         <Properties>{properties}</Properties></Project>",
        element("Name", name)
    )
}

pub(super) fn tenant(three_tier: bool) -> Json {
    json!({"Tenant": {
        "Name": "sluicebox", "OwnerId": "1", "TenantId": "1", "TenantState": "NORMAL", "CreateTime": 0,
        "UpdateTime": 0, "TenantMeta": "{}",
        "Parameters": {"odps.namespace.schema": if three_tier { "true" } else { "false" }},
    }})
}

/// A table with what changes beside its definition.
pub(super) struct TableFacts<'a> {
    pub(super) table: &'a Table,
    pub(super) modified_s: i64,
    pub(super) rows: u64,
}

/// The table document; Delta facts are only in the extended form.
pub(super) fn table(facts: &TableFacts<'_>, extended: bool) -> String {
    let table = facts.table;
    let parts = [
        element("Name", &table.name.table),
        element("TableId", &format!("{:032x}", table.id)),
        element("Owner", OWNER),
        element("Project", &table.name.project),
        element("SchemaName", &table.name.schema),
        element("Type", "MANAGED_TABLE"),
        format!("<Schema format=\"Json\">{}</Schema>", cdata(&table_json(facts, extended).to_string())),
        element("CreationTime", &http_date(table.created_s)),
        element("LastModifiedTime", &http_date(facts.modified_s)),
    ];
    format!("<Table>{}</Table>", parts.concat())
}

fn table_json(facts: &TableFacts<'_>, extended: bool) -> Json {
    let table = facts.table;
    let column = |c: &Column| json!({"name": c.name, "type": c.kind, "comment": c.comment, "label": "", "isNullable": c.nullable});
    let mut document = json!({
        "tableName": table.name.table,
        "comment": table.comment,
        "owner": OWNER,
        "createTime": table.created_s,
        "lastModifiedTime": facts.modified_s,
        "lastDDLTime": table.last_ddl_s,
        "isVirtualView": false,
        "isExternal": false,
        "lifecycle": table.lifecycle.unwrap_or(-1),
        "size": 0,
        "recordNum": facts.rows,
        "tableLabel": "",
        "columns": table.columns.iter().map(column).collect::<Json>(),
        "partitionKeys": table.partition_columns.iter().map(column).collect::<Json>(),
    });
    if extended {
        document["IsArchived"] = false.into();
        document["PhysicalSize"] = 0.into();
        document["FileNum"] = 0.into();
        document["tableProperties"] = json!(table.properties).to_string().into();
        // A document inside a string.
        document["Reserved"] = reserved(table).to_string().into();
    }
    document
}

fn reserved(table: &Table) -> Json {
    // A text, not a truth value: one client lower-cases it.
    let transactional = if table.is_transactional() { "true" } else { "false" };
    let mut reserved =
        json!({"Transactional": transactional, "schema_version": table.schema_version.to_string()});
    if table.is_delta() {
        reserved["PrimaryKey"] = json!(table.primary_key);
        reserved["ClusterType"] = "hash".into();
        reserved["BucketNum"] = table.bucket_count().into();
        reserved["ClusterCols"] = json!(table.primary_key);
        reserved["acid.data.retain.hours"] = "24".into();
    }
    reserved
}

/// A list with its marker, empty at the end.
pub(super) fn list(outer: &str, marker: &str, max_items: usize, items: &str) -> String {
    let marker = if marker.is_empty() { "<Marker/>".to_owned() } else { element("Marker", marker) };
    format!("<{outer}>{marker}<MaxItems>{max_items}</MaxItems>{items}</{outer}>")
}

pub(super) fn table_item(table: &Table) -> String {
    let parts = [
        element("Name", &table.name.table),
        element("Owner", OWNER),
        element("CreationTime", &http_date(table.created_s)),
        element("Type", "MANAGED_TABLE"),
    ];
    format!("<Table>{}</Table>", parts.concat())
}

pub(super) fn schema(name: &str) -> String {
    format!("<Schema>{}{}</Schema>", element("Name", name), element("Owner", OWNER))
}

/// A partition; its times are numbers also in the XML, unlike a table's.
pub(super) fn partition(table: &Table, partition: &Partition, rows: u64) -> String {
    let values = table.partition_columns.iter().zip(&partition.values);
    let columns: String = values
        .map(|(column, value)| {
            format!("<Column Name=\"{}\" Value=\"{}\"/>", escape(&column.name), escape(value))
        })
        .collect();
    let created = partition.created_s;
    let schema = json!({
        "createTime": created, "lastDDLTime": created, "lastModifiedTime": created, "lastAccessTime": 0,
        "partitionSize": 0, "partitionRecordNum": rows,
    });
    format!(
        "<Partition>{columns}<CreationTime>{created}</CreationTime><LastDDLTime>{created}</LastDDLTime>\
         <LastModifiedTime>{created}</LastModifiedTime><Schema>{}</Schema></Partition>",
        cdata(&schema.to_string())
    )
}

/// Status of an instance's task.
pub(super) fn task_status(instance: &Instance) -> String {
    let status = if instance.error.is_some() { "Failed" } else { "Success" };
    let parts = [
        element("Name", &instance.task),
        element("StartTime", &http_date(instance.started_ms / 1000)),
        element("EndTime", &http_date(instance.ended_ms / 1000)),
        element("Status", status),
    ];
    format!(
        "<Instance><Status>Terminated</Status><Tasks><Task Type=\"SQL\">{}<Histories/></Task></Tasks></Instance>",
        parts.concat()
    )
}

/// Result of an instance's task: rows as CSV, or the error's text.
pub(super) fn task_result(instance: &Instance, text: &str) -> String {
    let format = if instance.has_rows { "csv" } else { "text" };
    // XML cannot carry control characters, and its readers turn carriage returns into line feeds.
    let result = if text.contains(|c: char| c < ' ' && c != '\n' && c != '\t') {
        let encoded = STANDARD.encode(text);
        format!("<Result Transform=\"Base64\" Format=\"{format}\">{encoded}</Result>")
    } else {
        format!("<Result Format=\"{format}\">{}</Result>", cdata(text))
    };
    format!(
        "<Instance><Tasks><Task Type=\"SQL\">{}{result}</Task></Tasks></Instance>",
        element("Name", &instance.task)
    )
}

/// The schema part of session documents: what bodies follow, column by column.
fn session_schema(table: &Table) -> Json {
    let column = |c: &Column| {
        json!({
            "name": c.name, "type": c.kind, "nullable": c.nullable, "comment": c.comment,
            "column_id": c.id.to_string(),
        })
    };
    json!({
        "IsVirtualView": false,
        "columns": table.columns.iter().map(column).collect::<Json>(),
        "partitionKeys": table.partition_columns.iter().map(column).collect::<Json>(),
    })
}

/// Buckets of slot `slot`: every `slots`-th from there.
fn slot_buckets(slot: u32, slots: u32, buckets: u32) -> Vec<u32> {
    (slot..buckets).step_by(usize::try_from(slots).unwrap_or(1)).collect()
}

/// Status of a session, as all documents but those of uploads write it.
pub(super) fn status(session: &Session, now_ms: i64) -> &'static str {
    match session.status_at(now_ms) {
        Status::Normal => "normal",
        Status::Committing => "committing",
        Status::Committed => "committed",
        Status::Aborted => "aborted",
        Status::Expired => "expired",
    }
}

pub(super) fn upsert(session: &Session, slots: u32, address: &str, now_ms: i64) -> Json {
    let table = &session.table;
    let slot = |slot: u32| {
        json!({
            "slot_id": slot.to_string(),
            "buckets": slot_buckets(slot, slots, table.bucket_count()),
            "worker_addr": session.slot_server(slot, address),
        })
    };
    json!({
        "id": session.id,
        "schema": session_schema(table),
        "hash_key": table.primary_key,
        "hasher": "default",
        "slots": (0..slots).map(slot).collect::<Json>(),
        "status": status(session, now_ms),
        "quota_name": "default",
        "enable_partial_update": table.takes_partial_updates(),
    })
}

pub(super) fn upload(session: &Session, overwrite: bool, blocks: &[BlockInfo], now_ms: i64) -> Json {
    let status = match session.status_at(now_ms) {
        Status::Normal => "NORMAL",
        Status::Committing => "CLOSING",
        Status::Committed => "CLOSED",
        Status::Aborted => "CANCELED",
        Status::Expired => "EXPIRED",
    };
    let block = |b: &BlockInfo| json!({"BlockID": b.id, "Version": 0, "Date": http_date(b.stored_ms / 1000)});
    json!({
        "UploadID": session.id,
        "Initiated": http_date(session.created_ms / 1000),
        "Status": status,
        "Owner": "1",
        "MaxFieldSize": crate::wire::value::MAX_FIELD_BYTES,
        "QuotaName": "default",
        "IsOverwrite": overwrite,
        "Schema": session_schema(&session.table),
        "UploadedBlockList": blocks.iter().map(block).collect::<Json>(),
    })
}

/// Slots are pairs here, unlike in upsert sessions.
pub(super) fn stream(session: &Session, slots: u32, address: &str, now_ms: i64) -> Json {
    json!({
        "session_name": session.id,
        "schema": session_schema(&session.table),
        "status": status(session, now_ms),
        "schema_version": session.table.schema_version.to_string(),
        "quota_name": "default",
        "slots": (0..slots).map(|slot| json!([slot.to_string(), session.slot_server(slot, address)])).collect::<Json>(),
    })
}

pub(super) fn download(id: &str, table: &Table, rows: u64, created_ms: i64) -> Json {
    json!({
        "DownloadID": id,
        "Status": "NORMAL",
        "RecordCount": rows,
        "Schema": session_schema(table),
        "QuotaName": "default",
        "Initiated": http_date(created_ms / 1000),
        "Owner": "1",
    })
}

pub(super) fn result_download(id: &str, columns: &[(String, Type)], rows: usize, created_ms: i64) -> Json {
    let column = |(name, kind): &(String, Type)| json!({"name": name, "type": kind, "nullable": true});
    json!({
        "DownloadID": id,
        "Status": "NORMAL",
        "RecordCount": rows,
        "Schema": {
            "IsVirtualView": false,
            "columns": columns.iter().map(column).collect::<Json>(),
            "partitionKeys": [],
        },
        "QuotaName": "default",
        "Initiated": http_date(created_ms / 1000),
        "Owner": "1",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_is_in_exactly_one_slot() {
        for (slots, buckets) in [(1, 4), (2, 4), (3, 16), (4, 4)] {
            let mut all: Vec<u32> = (0..slots).flat_map(|s| slot_buckets(s, slots, buckets)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..buckets).collect::<Vec<_>>(), "{slots} slots");
        }
    }
}

//! The project and its schemas.

use std::collections::BTreeMap;

use bytes::Bytes;
use md5::{Digest, Md5};
use reqwest::Method;

use crate::client::Client;
use crate::request::Request;
use crate::xml::escape;
use crate::{Error, Result};

/// Property that says whether a project has schemas.
const SCHEMA_MODEL: &str = "odps.schema.model.enabled";

/// A project as the service describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its owner; empty when the service does not say.
    pub owner: String,
    /// Its region; empty when the service does not say.
    pub region: String,
    /// Its properties, such as `odps.sql.type.system.odps2`.
    pub properties: BTreeMap<String, String>,
}

impl Project {
    /// Whether its tables lie in schemas: `project.schema.table`.
    pub fn has_schemas(&self) -> bool {
        self.properties.get(SCHEMA_MODEL).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl Client {
    /// Describes the project.
    pub async fn project(&self) -> Result<Project> {
        let operation = format!("read project `{}`", self.project_name());
        let request = Request::rest(Method::GET, &["projects", self.project_name()], operation);
        let answered = self.send(&request).await?;
        let document = answered.xml(&request.operation)?;
        let properties = document.child("Properties").map(|list| {
            let pair = |property: &crate::xml::Element| {
                (property.text_of("Name").to_owned(), property.text_of("Value").to_owned())
            };
            list.children("Property").map(pair).collect()
        });
        Ok(Project {
            name: document.text_of("Name").to_owned(),
            owner: answered.header("x-odps-owner").unwrap_or_default().to_owned(),
            region: document.text_of("Region").to_owned(),
            properties: properties.unwrap_or_default(),
        })
    }

    /// Names of the project's schemas.
    pub async fn schemas(&self) -> Result<Vec<String>> {
        let path = ["projects", self.project_name(), "schemas"];
        let request = Request::rest(Method::GET, &path, "list schemas".to_owned());
        let schemas = self.list(&request, "Schema").await?;
        Ok(schemas.iter().map(|schema| schema.text_of("Name").to_owned()).collect())
    }

    /// Whether the project has a schema of this name.
    pub async fn schema_exists(&self, schema: &str) -> Result<bool> {
        let path = ["projects", self.project_name(), "schemas", schema];
        let request = Request::rest(Method::GET, &path, format!("look for schema `{schema}`"));
        Ok(self.read_if_there(&request).await?.is_some())
    }

    /// Creates a schema unless it exists.
    pub async fn create_schema(&self, schema: &str) -> Result<()> {
        let path = ["projects", self.project_name(), "schemas"];
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Schema><Name>{}</Name><Project>{}</Project>\
             <IfNotExists>true</IfNotExists></Schema>",
            escape(schema),
            escape(self.project_name()),
        );
        let request = Request::rest(Method::POST, &path, format!("create schema `{schema}`"))
            .xml_body(body.into_bytes());
        match self.send(&request).await {
            Ok(_) => Ok(()),
            // A service that does not honour `IfNotExists`.
            Err(Error::Rejected(answer)) if answer.status == 409 && self.schema_exists(schema).await? => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl Request {
    /// A body in XML, with the headers that belong to it.
    pub(crate) fn xml_body(mut self, body: Vec<u8>) -> Self {
        let digest: String = Md5::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        self.body = Bytes::from(body);
        self.header("content-type", "application/xml").header("content-md5", digest)
    }
}

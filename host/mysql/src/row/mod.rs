//! Row images straight into Arrow columns.
//!
//! Order: the stream joins a table map with the schema of its place into a [`RowLayout`], once for each map. A worker's
//! [`BatchBuilder`] walks each image: a bitmap of nulls, then the values one after another, each taken from the event's bytes
//! and put behind the others of its column. One pass, nothing allocated for a row or a value. An error leaves the batch
//! unusable; the events are still there and can be decoded again.

mod batch;
mod builder;
mod cell;
mod charset;
mod decimal;
mod default;
mod history;
mod labels;
mod layout;
#[cfg(test)]
mod oracle;
mod partial;
mod temporal;

pub(crate) use batch::behind_rows;
pub use batch::{BatchBuilder, Images};
pub(crate) use builder::ColumnBuilder;
pub(crate) use charset::{Charset, charset_of_collation};
pub(crate) use decimal::DecimalShape;
pub(crate) use layout::{LayoutFault, RowLayout};
pub(crate) use partial::Present;
pub(crate) use temporal::{days_of, micros_of};

//! Write a Sluicebox transform plugin as a function of one row.
//!
//! A plugin is a type with [`Transform`]: `new` reads the configuration, `plan` says once for each table (and each
//! version of its schema) which columns are read, renamed, removed or computed, and `row` is called for each row. Column
//! names are looked up in `plan` alone: it gives back handles, and a handle is a number. The crate crosses the sandbox's
//! boundary once a batch and runs `row` in a loop that is compiled together with it.
//!
//! ```ignore
//! use sluicebox_guest::{Int, Plan, Result, RewriteText, Row, Schema, Transform, Verdict, export_plugin};
//!
//! struct Orders;
//!
//! struct Columns {
//!     quantity: Int,
//!     email: RewriteText,
//! }
//!
//! impl Transform for Orders {
//!     type Table = Columns;
//!
//!     fn new(_config: &str) -> Result<Self> {
//!         Ok(Self)
//!     }
//!
//!     fn plan(&mut self, _table: &Schema, plan: &mut Plan) -> Result<Columns> {
//!         plan.rename("order_no", "order_number")?;
//!         plan.remove("note")?;
//!         Ok(Columns { quantity: plan.int("quantity")?, email: plan.rewrite_text("email")? })
//!     }
//!
//!     fn row(&self, columns: &Columns, row: &mut Row) -> Result<Verdict> {
//!         if row.int(columns.quantity).unwrap_or(0) <= 2 {
//!             return Ok(Verdict::Drop);
//!         }
//!         if row.text(columns.email).is_some() {
//!             row.set_text(columns.email, |out| out.push_str("***"));
//!         }
//!         Ok(Verdict::Keep)
//!     }
//! }
//!
//! export_plugin!(Orders);
//! ```
//!
//! What a plugin computes must follow from its configuration, the plan, the row and, where the plan asks for it, its [`state`]
//! alone: instances come and go, and a batch can come again.

#![deny(unsafe_code)]

mod column;
mod error;
mod guest;
mod host;
mod logging;
mod plan;
mod row;

pub use column::{
    Bytes, Float, Int, NewBytes, NewFloat, NewInt, NewText, NewUInt, RewriteBytes, RewriteFloat, RewriteInt,
    RewriteText, RewriteUInt, Text, TextOut, UInt,
};
pub use error::{Error, Result};
pub use host::{clock, lookup, state};
pub use logging::{debug, error, info, warn};
pub use plan::{Column, ColumnType, Plan, Schema, Type};
pub use row::{Kind, Row};

/// Generated from the interface's definition; plugins need nothing of it.
#[doc(hidden)]
#[allow(unsafe_code, missing_docs, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "transform",
        pub_export_macro: true,
        default_bindings_module: "sluicebox_guest::bindings",
    });
}

/// For [`export_plugin!`] alone.
#[doc(hidden)]
pub mod internal {
    pub use crate::guest::{State, catch_panics, forget_table, init, plan_table, process};
}

/// What happens to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Keep,
    /// It does not. An update that leaves the filter so becomes a delete, one that enters it an insert.
    Drop,
}

/// A transform plugin. [`export_plugin!`] makes a type with this trait the plugin of the crate.
pub trait Transform: Sized + 'static {
    /// What `row` needs to know about a table: mostly handles of columns.
    type Table: 'static;

    /// Starts the plugin. `config` is the pipeline file's `config` as JSON text, `null` without one.
    ///
    /// # Errors
    /// An error stops the pipeline before it starts, with its text.
    fn new(config: &str) -> Result<Self>;

    /// Says what is wanted with a table: called for each table that the plugin is used for, and again after each change
    /// of its schema, before the first row.
    ///
    /// # Errors
    /// An error refuses the table, with its text.
    fn plan(&mut self, table: &Schema, plan: &mut Plan) -> Result<Self::Table>;

    /// Decides about one row and computes its columns. Of an update, the row before and the row after come one after
    /// the other, and what is masked in one is masked in the other. A column that is not set keeps its old value
    /// ([`Plan::rewrite_text`] and its like) or is null, or empty where it may not be null ([`Plan::add_text`] and its
    /// like).
    ///
    /// # Errors
    /// An error condemns this row alone (of an update, both rows), with its text.
    fn row(&self, table: &Self::Table, row: &mut Row) -> Result<Verdict>;
}

/// Puts a JSON Schema of the plugin's configuration into the plugin, from a text that is known when it is built, such as
/// `include_str!("../config.schema.json")`. The host holds the pipeline file's `config` against it before anything runs.
#[macro_export]
macro_rules! config_schema {
    ($text:expr) => {
        const _: () = {
            const TEXT: &str = $text;
            #[used]
            #[unsafe(link_section = "sluicebox-config-schema")]
            static SCHEMA: [u8; TEXT.len()] = {
                let mut bytes = [0; TEXT.len()];
                let mut place = 0;
                while place < bytes.len() {
                    bytes[place] = TEXT.as_bytes()[place];
                    place += 1;
                }
                bytes
            };
        };
    };
}

/// Makes a type with [`Transform`] the plugin of this crate. Once in a crate whose `crate-type` is `cdylib`.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        struct SluiceboxPlugin;

        const _: () = {
            use $crate::bindings::exports::sluicebox::transform::plugin as wit;

            ::std::thread_local! {
                static STATE: $crate::internal::State<$plugin> = const { $crate::internal::State::new() };
            }

            impl wit::Guest for SluiceboxPlugin {
                fn init(config: ::std::string::String) -> ::std::result::Result<wit::About, ::std::string::String> {
                    $crate::internal::catch_panics();
                    STATE.with(|state| {
                        $crate::internal::init(state, &config, env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
                    })
                }

                fn plan_table(id: u32, table: wit::Table) -> ::std::result::Result<wit::Plan, ::std::string::String> {
                    STATE.with(|state| $crate::internal::plan_table(state, id, table))
                }

                fn process(id: u32, batch: wit::Batch) -> ::std::result::Result<wit::Outcome, ::std::string::String> {
                    STATE.with(|state| $crate::internal::process(state, id, &batch))
                }

                fn forget_table(id: u32) {
                    STATE.with(|state| $crate::internal::forget_table(state, id));
                }
            }
        };

        $crate::bindings::export!(SluiceboxPlugin with_types_in $crate::bindings);
    };
}

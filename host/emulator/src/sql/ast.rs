//! What a statement says.

use std::collections::BTreeMap;

use crate::wire::types::Type;

/// A table as written: one to three parts, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameParts(pub(crate) Vec<String>);

/// Values of the partition columns, in the order written.
pub(crate) type PartitionSpec = Vec<(String, String)>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Statement {
    CreateTable(CreateTable),
    DropTable { table: NameParts, if_exists: bool },
    Truncate { table: NameParts, partition: Option<PartitionSpec> },
    Alter { table: NameParts, change: Change },
    CreateSchema { name: NameParts, if_not_exists: bool },
    DropSchema { name: NameParts, if_exists: bool },
    Select(Select),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreateTable {
    pub(crate) table: NameParts,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<ColumnDef>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) partition_columns: Vec<ColumnDef>,
    pub(crate) comment: String,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) lifecycle: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnDef {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) not_null: bool,
    pub(crate) comment: Option<String>,
}

/// One ALTER TABLE.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    AddColumns {
        columns: Vec<ColumnDef>,
        if_not_exists: bool,
    },
    DropColumns(Vec<String>),
    RenameColumn {
        from: String,
        to: String,
    },
    /// `CHANGE COLUMN from to TYPE [COMMENT ..]`.
    RedefineColumn {
        from: String,
        to: String,
        kind: Type,
        comment: Option<String>,
    },
    CommentColumn {
        column: String,
        comment: String,
    },
    SetNullable(String),
    SetComment(String),
    SetLifecycle(i64),
    SetProperties(BTreeMap<String, String>),
    RenameTable(String),
    AddPartitions {
        specs: Vec<PartitionSpec>,
        if_not_exists: bool,
    },
    DropPartitions {
        specs: Vec<PartitionSpec>,
        if_exists: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Select {
    /// Equal rows are shown once.
    pub(crate) distinct: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) table: NameParts,
    pub(crate) filter: Option<Expr>,
    /// Column names of the key; empty without GROUP BY.
    pub(crate) group: Vec<String>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Star,
    Column {
        name: String,
        alias: Option<String>,
    },
    Aggregate {
        function: Function,
        /// Absent for `count(*)` and `count(1)`.
        argument: Option<String>,
        distinct: bool,
        alias: Option<String>,
    },
}

/// A function over the rows of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Count,
    Sum,
    Min,
    Max,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Column name or alias.
    pub(crate) column: String,
    pub(crate) descending: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    IsNull { operand: Operand, negated: bool },
    Compare { left: Operand, operator: Comparison, right: Operand },
    In { operand: Operand, list: Vec<Operand>, negated: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operand {
    Column(String),
    /// A number as written, with its sign.
    Number(String),
    Text(String),
    /// `DATE '..'`, `DATETIME '..'`, `TIMESTAMP '..'`, `TIMESTAMP_NTZ '..'`.
    Typed(Type, String),
    Bool(bool),
    Null,
}

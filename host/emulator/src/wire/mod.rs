//! The forms in which rows travel and rest.

pub(crate) mod arrow;
pub(crate) mod compression;
pub(crate) mod cursor;
pub(crate) mod decimal;
pub(crate) mod hash;
pub(crate) mod record;
pub(crate) mod row;
pub(crate) mod text;
pub(crate) mod types;
pub(crate) mod value;

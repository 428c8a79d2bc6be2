//! Every function and operator with its edge cases, as tables of expression, type and value.

mod cases;
mod compat;
mod differential;
mod rows;
mod support;

mod comparison;
mod conditional;
mod convert;
mod numeric;
mod patterns;
mod structures;
mod temporal;
mod text;

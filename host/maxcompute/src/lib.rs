//! A MaxCompute client: accounts, tables, SQL instances, tunnel sessions.

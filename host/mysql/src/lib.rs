//! All that knows MySQL and MariaDB.

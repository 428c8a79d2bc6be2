//! Statements that servers use to delimit transactions.

/// What a statement is to its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransactionWord {
    Begin,
    Commit,
    Rollback,
    RollbackTo,
    /// Stands inside a transaction and changes nothing.
    Inside,
    /// The beginning of an XA transaction.
    XaBegin,
    /// The second phase of an XA transaction, a transaction of its own.
    XaCommit,
    /// The same where it is rolled back.
    XaRollback,
    /// None of these.
    None,
}

impl TransactionWord {
    /// Servers write these words themselves, in upper case and without comments; what users write comes through as it is
    /// for the others.
    pub(super) fn of(text: &[u8]) -> Self {
        match text {
            b"BEGIN" => return Self::Begin,
            b"COMMIT" => return Self::Commit,
            b"ROLLBACK" => return Self::Rollback,
            _ => {}
        }
        let starts = |word: &str| {
            text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        };
        if starts("XA START") || starts("XA BEGIN") {
            Self::XaBegin
        } else if starts("SAVEPOINT ") || starts("RELEASE SAVEPOINT") || starts("XA END") {
            Self::Inside
        } else if starts("ROLLBACK TO") {
            Self::RollbackTo
        } else if starts("XA COMMIT") {
            Self::XaCommit
        } else if starts("XA ROLLBACK") {
            Self::XaRollback
        } else {
            Self::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_delimit_transactions() {
        use TransactionWord as W;
        for (text, word) in [
            ("BEGIN", W::Begin),
            ("COMMIT", W::Commit),
            ("ROLLBACK", W::Rollback),
            ("ROLLBACK TO `a`", W::RollbackTo),
            ("SAVEPOINT `a`", W::Inside),
            ("XA START X'61',X'',1", W::XaBegin),
            ("XA END X'61',X'',1", W::Inside),
            ("XA COMMIT X'61',X'',1", W::XaCommit),
            ("XA ROLLBACK X'61',X'',1", W::XaRollback),
            ("BEGINNING", W::None),
            ("CREATE TABLE commits (a int)", W::None),
            ("", W::None),
        ] {
            assert_eq!(W::of(text.as_bytes()), word, "{text}");
        }
    }
}

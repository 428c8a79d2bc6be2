//! `${…}` in values: secrets and what differs between hosts need not be in the file.
//!
//! | Written | Becomes |
//! |---|---|
//! | `${env:NAME}`, `${NAME}` | the environment variable |
//! | `${file:path}` | the file's text without its last line break; the path is relative to the pipeline file |
//! | `$${…}` | `${…}` as it is |
//!
//! Values are expanded after the YAML is parsed, so what is put in can never change the structure of the file, and it is
//! not expanded again. Only `${` is special: `$1`, `$$`, a `$` at a regular expression's end, and a `${` that nothing
//! closes stay as they are. In `sink-table` of a route `${name}` is a capture group, as in Java; there only the forms
//! with `env:` and `file:` are expanded. What was put in is never shown in a message.

use std::path::Path;

/// Longest file that `${file:…}` takes: a secret or a certificate, not a table.
const LONGEST_FILE: u64 = 64 * 1024;

/// Where values come from.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'s> {
    /// Looks an environment variable up.
    pub environment: &'s dyn Fn(&str) -> Option<String>,
    /// The folder of the pipeline file.
    pub folder: &'s Path,
}

/// Which forms a value may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forms {
    /// All of them.
    All,
    /// Those with `env:` and `file:`; `${name}` means something else here.
    Prefixed,
}

impl Surroundings<'_> {
    /// Puts in what `${…}` names.
    ///
    /// # Errors
    /// All that is missing, one message each; they name variables and files, never their contents.
    pub fn expand(&self, text: &str, forms: Forms) -> Result<String, Vec<String>> {
        let mut out = String::with_capacity(text.len());
        let mut missing = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            let Some(end) = from.find('}') else { break };
            let (reference, after) = from.split_at(end + 1);
            let name = &reference[2..end];
            rest = after;
            if let Some(before) = before.strip_suffix('$') {
                out.extend([before, reference]);
                continue;
            }
            out.push_str(before);
            match self.look_up(name, forms) {
                Ok(Some(value)) => out.push_str(&value),
                Ok(None) => out.push_str(reference),
                Err(message) => missing.push(message),
            }
        }
        out.push_str(rest);
        if missing.is_empty() { Ok(out) } else { Err(missing) }
    }

    /// The value of one reference; none when it is to stay as it is.
    fn look_up(&self, name: &str, forms: Forms) -> Result<Option<String>, String> {
        if let Some(path) = name.strip_prefix("file:") {
            return self.file(path).map(Some);
        }
        let variable = match (name.strip_prefix("env:"), forms) {
            (Some(variable), _) => variable,
            (None, Forms::All) => name,
            (None, Forms::Prefixed) => return Ok(None),
        };
        if !is_name(variable) {
            return Err(format!(
                "`${{{name}}}` names no environment variable; write `$${{{name}}}` for the text itself"
            ));
        }
        let value = (self.environment)(variable);
        value.map(Some).ok_or_else(|| format!("the environment variable `{variable}` is not set"))
    }

    fn file(&self, path: &str) -> Result<String, String> {
        use std::io::Read as _;
        let full = self.folder.join(path);
        let fail = |reason: String| format!("cannot read the file `{}`: {reason}", full.display());
        let mut bytes = Vec::new();
        std::fs::File::open(&full)
            .and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut bytes))
            .map_err(|e| fail(e.to_string()))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LONGEST_FILE {
            return Err(fail(format!("it is longer than {LONGEST_FILE} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| fail("it is not UTF-8 text".to_owned()))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str, forms: Forms) -> Result<String, String> {
        let environment = |name: &str| match name {
            "NAME" | "your_accessId" => Some("value".to_owned()),
            "TRICK" => Some("${NAME}: $1".to_owned()),
            _ => None,
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        Surroundings { environment: &environment, folder }.expand(text, forms).map_err(|m| m.join("; "))
    }

    #[test]
    fn only_a_reference_is_special() {
        for (text, want) in [
            ("plain", "plain"),
            ("${NAME}", "value"),
            ("a${env:NAME}b${your_accessId}", "avaluebvalue"),
            ("${TRICK}", "${NAME}: $1"),
            ("$1.$2", "$1.$2"),
            ("a$$b$", "a$$b$"),
            ("$$_schema_operator_$$", "$$_schema_operator_$$"),
            ("$${NAME}", "${NAME}"),
            ("$$${NAME}", "$${NAME}"),
            ("open ${NAME", "open ${NAME"),
            (r"^a\.*$|{b}", r"^a\.*$|{b}"),
        ] {
            assert_eq!(expand(text, Forms::All).as_deref(), Ok(want), "{text}");
        }
        assert_eq!(expand("${name}_${env:NAME}.$1", Forms::Prefixed).as_deref(), Ok("${name}_value.$1"));
    }

    #[test]
    fn what_is_missing_is_named_all_of_it() {
        let error =
            expand("${NOPE} ${file:no/such/file} ${env:a-b} ${1,3}", Forms::All).expect_err("missing");
        for part in ["`NOPE` is not set", "no/such/file", "`${env:a-b}` names no", "`${1,3}` names no"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_file_gives_its_text_without_the_last_line_break() {
        let folder = std::env::temp_dir().join(format!("sluicebox-expand-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("secret"), "hunter2\r\n").expect("a file");
        std::fs::write(folder.join("binary"), [0xff, 0xfe]).expect("a file");
        let surroundings = Surroundings { environment: &|_| None, folder: &folder };
        assert_eq!(surroundings.expand("<${file:secret}>", Forms::All), Ok("<hunter2>".to_owned()));
        let error = surroundings.expand("${file:binary}", Forms::All).expect_err("not text").join("");
        assert!(error.contains("not UTF-8"), "{error}");
        std::fs::remove_dir_all(&folder).expect("the folder goes");
    }
}

//! `docs/emulator.md` says what is so: its examples are run by a shell, and together they use every endpoint.

use std::path::Path;
use std::process::Command;

use super::support::Running;

/// One example: what is run, and texts that its output must contain.
struct Example {
    schemas: bool,
    script: String,
    expected: Vec<String>,
}

fn examples() -> Vec<Example> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/emulator.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut examples: Vec<Example> = Vec::new();
    // Parts between fences: every second one is inside of a pair.
    for block in text.split("```").skip(1).step_by(2) {
        let (kind, content) = block.split_once('\n').unwrap();
        match kind {
            "sh" | "sh schemas" => examples.push(Example {
                schemas: kind == "sh schemas",
                script: content.to_owned(),
                expected: Vec::new(),
            }),
            "text" => {
                examples.last_mut().unwrap().expected.extend(content.lines().map(str::to_owned));
            }
            other => panic!("a block of kind `{other}` is not tested"),
        }
    }
    examples
}

/// Runs examples in one shell, and gives the output of each. The functions of the first are there for all.
fn run(examples: &[&Example], emulator: &Running) -> Vec<String> {
    const END: &str = "@@ end of an example";
    let scripts: Vec<String> =
        examples.iter().map(|example| format!("{}\necho '{END}'\n", example.script)).collect();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &scripts.concat()])
        .env("EMULATOR", format!("http://{}", emulator.address()))
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .output()
        .expect("bash, which with curl and openssl runs the examples");
    // Bodies of downloads are counted, not printed, so all of it is text.
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    text.split(END).map(str::to_owned).collect()
}

/// Kinds of requests that the examples must contain, as the counters name them.
const KINDS: &[&str] = &[
    "authorization",
    "download-create",
    "download-data",
    "download-get",
    "instance",
    "instance-create",
    "instance-list",
    "instance-stop",
    "logs",
    "logview",
    "preview",
    "project",
    "schema-list",
    "stream-abort",
    "stream-create",
    "stream-get",
    "stream-put",
    "table",
    "table-list",
    "tenants",
    "tunnel-endpoint",
    "upload-commit",
    "upload-create",
    "upload-get",
    "upload-put",
    "upsert-abort",
    "upsert-commit",
    "upsert-create",
    "upsert-get",
    "upsert-put",
];

#[test]
fn the_examples_run_as_they_stand_and_use_every_endpoint() {
    let all = examples();
    for schemas in [false, true] {
        let emulator = Running::with(|options| options.schemas = schemas);
        let own: Vec<&Example> = all
            .iter()
            .enumerate()
            .filter(|(at, example)| *at == 0 || example.schemas == schemas)
            .map(|(_, example)| example)
            .collect();
        assert!(own.len() > 1);
        for (example, output) in own.iter().zip(run(&own, &emulator)) {
            for line in &example.expected {
                assert!(
                    output.contains(line),
                    "`{line}` is not in the output of\n{}\n{output}",
                    example.script
                );
            }
        }
        let used: Vec<String> = emulator.stats().requests.into_keys().collect();
        let wanted = if schemas { &["schema", "schema-create", "schema-delete"][..] } else { KINDS };
        assert_eq!(used, wanted);
    }
}

//! The documents say what the program is, and commands print facts the way other programs expect.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::support::{root, run};

fn document(name: &str) -> String {
    let path = root().join("docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_configuration_reference_is_what_the_program_prints() {
    let output = run(root(), &["options", "--markdown"]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(
        document("configuration.md"),
        output.stdout,
        "write it again: sluicebox options --markdown > docs/configuration.md"
    );
}

#[test]
fn the_number_of_crates_is_the_one_that_is_reported() {
    let text = document("footprint.md");
    for (line, package) in [
        ("| crates in the program, ours included | ", "sluicebox"),
        ("| crates under the MaxCompute client alone | ", "sluicebox-maxcompute"),
    ] {
        let reported = text.lines().find_map(|l| l.strip_prefix(line)).expect(line).trim_end_matches(" |");
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "-e", "normal", "--prefix", "none", "-p", package])
            .current_dir(root())
            .output()
            .expect("cargo tree");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8_lossy(&output.stdout);
        let mut crates: Vec<&str> = tree.lines().map(|l| l.trim_end_matches(" (*)")).collect();
        crates.sort_unstable();
        crates.dedup();
        assert_eq!(
            reported,
            crates.len().to_string(),
            "{package}: write it again by scripts/footprint --write"
        );
    }
}

/// `sluicebox options` into a file or pipe.
fn options_into(stdout: Stdio) -> (Option<i32>, String) {
    let child = Command::new(env!("CARGO_BIN_EXE_sluicebox"))
        .args(["options", "--json"])
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let output = child.wait_with_output().expect("its end");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_reader_that_goes_away_ends_a_command_without_a_word() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert_eq!(options_into(writer.into()), (Some(0), String::new()));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let (code, said) = options_into(full.into());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("writing to standard output: No space left on device"), "{said}");
}

#[test]
fn the_interface_reference_is_what_the_program_prints() {
    let output = run(root(), &["plugin", "interface", "--markdown"]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(
        document("plugin-interface.md"),
        output.stdout,
        "write it again: sluicebox plugin interface --markdown > docs/plugin-interface.md"
    );
    let definition = run(root(), &["plugin", "interface"]);
    let file = std::fs::read_to_string(root().join("wit/transform.wit")).expect("the definition");
    assert_eq!(definition.stdout, file);
}

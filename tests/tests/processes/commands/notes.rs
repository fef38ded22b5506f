//! `biosweep note`: what it writes and prints, and where a note is seen.

use std::io::Write as _;
use std::process::{Output, Stdio};

use biosweep_tests::Home;

fn noted_from_stdin(home: &Home, text: &[u8]) -> Output {
    let mut command = home.biosweep(&["note", "quickstart", "-"]);
    let mut running = command.stdin(Stdio::piped()).spawn().expect("biosweep starts");
    running.stdin.take().expect("a pipe").write_all(text).expect("it reads");
    running.wait_with_output().expect("it ends")
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_note_is_written_printed_and_removed() {
    let home = Home::default();
    assert_eq!(home.json(&["submit", "quickstart"])["note"], serde_json::Value::Null);
    let without = home.run(&["note", "quickstart"]);
    assert!(without.status.success() && without.stdout.is_empty(), "{}", printed(&without));
    assert!(printed(&without).contains("has no note; write one with `biosweep note "), "{}", printed(&without));

    assert!(home.answer(&["note", "quickstart", "to see"]).ends_with("has this note now:\nto see\n"));
    assert_eq!(home.answer(&["note", "quickstart"]), "to see\n");
    assert!(home.answer(&["list"]).contains("to see"));
    assert_eq!(home.json(&["pause", "quickstart"])["note"], "to see");
    assert_eq!(home.json(&["cancel", "quickstart"])["note"], "to see");

    let written = noted_from_stdin(&home, "שלום\n\tno gain\n".as_bytes());
    assert!(written.status.success(), "{}", printed(&written));
    assert_eq!(home.json(&["show", "quickstart"])["note"], "שלום\n\tno gain");
    assert_eq!(home.json(&["list"])[0]["note"], "שלום\n\tno gain");
    assert!(home.answer(&["show", "quickstart"]).contains("\nnote\n  שלום\n  \tno gain\n"));

    assert!(home.answer(&["note", "quickstart", "--clear"]).ends_with("has no note now\n"));
    assert_eq!(home.json(&["note", "quickstart"])["note"], serde_json::Value::Null);
}

#[test]
fn a_text_that_is_no_note_is_refused_with_the_reason() {
    let home = Home::default();
    let _submitted = home.json(&["submit", "quickstart"]);
    let long = "x".repeat(10_001);
    let texts = [
        (long.as_bytes(), "shorten it to at most 10000"),
        (b"a\x1b[2J", "the control character U+001B"),
        (b"\xff", "UTF-8"),
    ];
    for (text, why) in texts {
        let refused = noted_from_stdin(&home, text);
        assert_eq!(refused.status.code(), Some(2), "{}", printed(&refused));
        assert!(printed(&refused).contains(why), "{}", printed(&refused));
    }
    let both = home.run(&["note", "quickstart", "text", "--clear"]);
    assert_eq!(both.status.code(), Some(2), "{}", printed(&both));
    let unknown = home.run(&["note", "other", "text"]);
    assert!(printed(&unknown).contains("no sweep `other`"), "{}", printed(&unknown));
    assert_eq!(home.json(&["show", "quickstart"])["note"], serde_json::Value::Null);
}

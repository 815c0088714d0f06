//! SMTP conversations as text.
//!
//! `C: ` is what the client writes, `S: ` how the next reply starts, `# ` a comment. `\r`, `\n`, `\0` and `\\` in a C line
//! are those bytes; CR LF is added unless the line ends in `\`. `S: <end>` is the end of the connection;
//! `S: <end of handshake>` as well, but TLS may have sent an alert.

use std::path::Path;

use super::Client;

/// Holds the conversation of `tests/dialogues/NAME.txt` with whoever the client is connected to.
pub fn hold(client: &mut Client, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues").join(name).with_extension("txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}.txt:{}", number + 1);
        match line.split_at(line.len().min(3)) {
            ("C: ", said) => client.write(&bytes(said)),
            ("S: ", "<end>") => client.expect_the_end(),
            ("S: ", "<end of handshake>") => client.expect_the_end_of_a_handshake(),
            ("S: ", start) => {
                let reply = client
                    .try_reply()
                    .unwrap_or_else(|| panic!("{place}: the connection has ended\n{}", client.transcript));
                assert!(reply.starts_with(start), "{place}: expected {start:?}, got {reply:?}\n{}", client.transcript);
            }
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => panic!("{place}: neither C:, S: nor a comment: {line:?}"),
        }
    }
}

fn bytes(said: &str) -> Vec<u8> {
    let (text, end) = said.strip_suffix('\\').map_or((said, "\r\n"), |open| (open, ""));
    let text = text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").replace("\\\\", "\\");
    (text + end).into_bytes()
}

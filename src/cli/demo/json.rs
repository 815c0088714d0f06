//! The demonstration for programs: one object a line, each with a `record` that says what it is about.

use serde_json::{Value, json};

use super::Told;
use crate::demo::outcome::{Row, Sent, added_fields, reply_lines};

pub fn document(told: &Told) -> String {
    let addresses = &told.stage.addresses;
    let copies = told.caught.iter().map(|copy| {
        let sample = told.sent.iter().map(|sent| &sent.sample).find(|sample| {
            String::from_utf8_lossy(&copy.message).contains(&sample.message_id) && !copy.from.is_empty()
        });
        let added = sample.map(|sample| added_fields(copy, sample));
        let message = sample.map(|sample| &sample.name);
        json!({"record": "copy", "message": message, "from": copy.from, "to": copy.to, "added": added})
    });
    let pages = json!({
        "record": "pages",
        "gate": addresses.gate.to_string(),
        "unsubscribe": told.link,
        "unsubscribes": told.reader,
        "ready": format!("http://{}/readyz", addresses.admin_pages),
    });
    again(&told.sent, &told.rows) + &lines(copies.chain([pages]))
}

/// Decisions and replies.
pub fn again(sent: &[Sent], rows: &[Row]) -> String {
    let decisions = rows.iter().map(|row| {
        let mut line = json!({"record": "decision"});
        let fields = serde_json::to_value(row).ok().and_then(|row| row.as_object().cloned());
        line.as_object_mut().into_iter().zip(fields).for_each(|(line, mut fields)| line.append(&mut fields));
        line
    });
    let replies = sent.iter().map(|sent| {
        let last = &sent.told.last;
        let message = &sent.sample.name;
        json!({"record": "reply", "message": message, "code": last.code(), "lines": reply_lines(last)})
    });
    lines(decisions.chain(replies))
}

fn lines(values: impl Iterator<Item = Value>) -> String {
    values.map(|value| format!("{value}\n")).collect()
}

//! The demonstration for people, on a hundred columns.

use std::collections::BTreeSet;

use comfy_table::presets::{NOTHING, UTF8_FULL_CONDENSED};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};

use super::{REFUSED, SHOWN, Told};
use crate::demo::outcome::{Row, Sent, added_fields, reply_lines};

const WIDTH: u16 = 100;
/// So much of the notice as tells what it says.
const NOTICE_LINES: usize = 24;

pub fn page(told: &Told, coloured: bool) -> String {
    let (events, people) = told.contacts;
    let recipients = told.rows.len();
    let delivered = told.rows.iter().filter(|row| row.arrived > 0).count();
    let messages = told.sent.len();
    let withheld = recipients - delivered;
    let mut page = format!(
        "The gate runs on this machine, before an upstream that only catches. It knows {people} people from {events}\n\
         recorded events. Through it {messages} messages went to {recipients} recipients by SMTP: {delivered} copies were delivered,\n\
         {withheld} withheld. Service mail goes to everybody, promotional mail to those who agreed\n\
         or bought something like it.\n\n"
    );
    page.push_str(&decisions(&told.rows, coloured));
    page.push_str("\n\nThe reasons, each with the sentence that the journal has for one recipient\n\n");
    page.push_str(&reasons(&told.rows, coloured));
    page.push_str(&replies(&told.sent));
    page.push_str(&notice(told));
    page.push_str(&copy(told));
    page
}

/// One line for each recipient; message, class and rule stand beside the first ones of each message.
fn decisions(rows: &[Row], coloured: bool) -> String {
    let mut table = new_table(coloured);
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["Message", "Class, by rule", "Recipient", "Decision", "Reason"]);
    for of_message in rows.chunk_by(|one, next| one.reference == next.reference) {
        for (index, row) in of_message.iter().enumerate() {
            let (name, class) = match (index, of_message.len()) {
                (0, 1) => (row.message.clone(), format!("{}\n{}", row.class, row.class_rule)),
                (0, _) => (row.message.clone(), row.class.clone()),
                (1, _) => (String::new(), row.class_rule.clone()),
                _ => (String::new(), String::new()),
            };
            let colour = if row.decision == "allow" { Color::Green } else { Color::Red };
            table.add_row([
                Cell::new(name).add_attribute(Attribute::Bold),
                Cell::new(class),
                Cell::new(&row.recipient),
                Cell::new(&row.decision).fg(colour),
                Cell::new(&row.reason).fg(colour),
            ]);
        }
    }
    // Two columns give up a space, so that the longest words of the others need not wrap.
    for index in [0, 3] {
        table.column_mut(index).map(|column| column.set_padding((1, 0)));
    }
    table.to_string()
}

/// Each code once, with the sentence of the first recipient it was given for.
fn reasons(rows: &[Row], coloured: bool) -> String {
    let mut table = new_table(coloured);
    table.load_preset(NOTHING);
    let mut seen = BTreeSet::new();
    for row in rows {
        if seen.insert(&row.reason) {
            let colour = if row.decision == "allow" { Color::Green } else { Color::Red };
            table.add_row([Cell::new(&row.reason).fg(colour), Cell::new(&row.because)]);
        }
    }
    table.trim_fmt()
}

fn new_table(coloured: bool) -> Table {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    if coloured {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    table
}

fn replies(sent: &[Sent]) -> String {
    let of = |name: &str, about: &str| {
        let sent = sent.iter().find(|sent| sent.sample.name == name);
        sent.map_or_else(String::new, |sent| {
            let lines = reply_lines(&sent.told.last);
            format!("\n\nWhat the mail program was told about {name} ({about})\n\n{}", indented(lines))
        })
    };
    of(SHOWN, "some may get it") + &of(REFUSED, "nobody may get it")
}

fn notice(told: &Told) -> String {
    let text = String::from_utf8_lossy(&told.notice.message).into_owned();
    let lines = text.lines().take(NOTICE_LINES).map(str::to_owned).chain(["…".to_owned()]);
    let to = told.notice.to.concat();
    format!("\n\nThe notice that its sender {to} got about those withheld\n\n{}", indented(lines))
}

fn copy(told: &Told) -> String {
    let shown = told.sent.iter().find(|sent| sent.sample.name == SHOWN);
    let added = shown.map(|sent| added_fields(&told.copy, &sent.sample)).unwrap_or_default();
    let reader = &told.reader;
    let lines = added.lines().map(str::to_owned);
    format!("\n\nWhat the gate put on top of the copy of {reader}\n\n{}\n", indented(lines))
}

/// Each line two columns in, the rest of a long one four more; of an overlong word only its ends are shown.
fn indented(lines: impl IntoIterator<Item = String>) -> String {
    let mut text = String::new();
    for line in lines {
        let mut column = 0;
        for word in line.split_inclusive([' ', '\t']) {
            let word = shortened(word);
            let length = word.trim_end().chars().count();
            if column == 0 || column + length > usize::from(WIDTH) {
                let indent = if column == 0 { "  " } else { "\n      " };
                text.truncate(text.trim_end_matches(' ').len());
                text.push_str(indent);
                column = indent.trim_start_matches('\n').len();
            }
            // A tab of a folded field takes up as much as the spaces it is shown as.
            text.push_str(&word.replace('\t', "    "));
            column += word.replace('\t', "    ").chars().count();
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text.pop();
    text
}

fn shortened(word: &str) -> String {
    const LONGEST: usize = 76;
    const START: usize = 52;
    let characters: Vec<char> = word.chars().collect();
    if characters.len() <= LONGEST {
        return word.to_owned();
    }
    let (start, end) = (&characters[..START], &characters[characters.len() - 12..]);
    start.iter().chain(&['…']).chain(end).collect()
}

/// What to do with what stays open.
pub fn invitation(told: &Told) -> String {
    let addresses = &told.stage.addresses;
    let reader = &told.reader;
    format!(
        "\nStill open, until Ctrl-C\n\n\
         \x20 the gate    {}  takes mail; whatever it delivers ends here\n\
         \x20 readiness   http://{}/readyz\n\
         \x20 the way out of {reader}:\n\
         \x20 {}\n\n\
         Try it: press Enter here, and the newsletter goes to {reader} once more. Open the link\n\
         in a browser, use its button, and press Enter again: the very next message is withheld.\n",
        addresses.gate, addresses.admin_pages, told.link
    )
}

/// What became of a message that was sent once more.
pub fn again(sent: &[Sent], rows: &[Row]) -> String {
    let decisions = rows.iter().map(|row| {
        let Row { recipient, decision, reason, because, .. } = row;
        format!("{recipient}: {decision}, {reason}: {because}")
    });
    let replies = sent.iter().flat_map(|sent| reply_lines(&sent.told.last));
    indented(decisions.chain(replies)) + "\n"
}

//! Tables for people: plain columns, colour only where it was asked for, nothing a terminal would obey.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

/// A table with these column names, as wide as the terminal.
pub fn table(columns: &[&str], coloured: bool) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    let heading = |name: &&str| if coloured { Cell::new(name).add_attribute(Attribute::Bold) } else { Cell::new(name) };
    table.set_header(columns.iter().map(heading));
    if coloured {
        table.enforce_styling();
    } else {
        table.force_no_tty().set_width(width());
    }
    table
}

/// The terminal's width, or enough for a program that reads on.
fn width() -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.unwrap_or(200)
}

/// A decision as a cell: green when it goes, red when it does not.
pub fn decision(word: &str, coloured: bool) -> Cell {
    let colour = match word {
        "allow" => Color::Green,
        "block" => Color::Red,
        _ => Color::Yellow,
    };
    if coloured { Cell::new(word).fg(colour) } else { Cell::new(word) }
}

/// The same in running text.
pub fn word(decision: &str, coloured: bool) -> String {
    let colour = match decision {
        "allow" => "32",
        "block" => "31",
        _ => "33",
    };
    if coloured { format!("\x1b[{colour}m{decision}\x1b[0m") } else { decision.to_owned() }
}

/// Text from outside without what would move a cursor, change a colour or turn the direction of writing.
pub fn printable(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { '\u{fffd}' } else { c }).collect()
}

/// Items in one cell; a dash for none.
pub fn list<S: AsRef<str>>(items: &[S]) -> String {
    if items.is_empty() {
        return "-".into();
    }
    printable(&items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "))
}

/// A value that may be absent.
pub fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).map_or_else(|| "-".into(), printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_steer_a_terminal() {
        assert_eq!(printable("a\x1b[2J\r\nb\u{202e}c\u{9b}"), "a\u{fffd}[2J\u{fffd}\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(or_dash(Some("")), "-");
        assert_eq!(list(&["offers", "x\n"]), "offers, x\u{fffd}");
    }
}

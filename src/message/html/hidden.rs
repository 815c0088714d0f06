//! How far a hidden element reaches: to its end tag, or, where HTML lets that be left out, to what ends it all the same
//! (HTML standard, section 13.1.2.4).

/// Elements whose end tag is always written.
const CLOSED_BY_HAND: [&[u8]; 27] = [
    b"div",
    b"span",
    b"table",
    b"section",
    b"center",
    b"a",
    b"template",
    b"article",
    b"aside",
    b"header",
    b"footer",
    b"main",
    b"ul",
    b"ol",
    b"font",
    b"b",
    b"strong",
    b"i",
    b"em",
    b"small",
    b"u",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
];

const OF_TABLES: &[&[u8]] = &[b"table"];
const OF_LISTS: &[&[u8]] = &[b"ul", b"ol", b"menu"];
const GROUPS: &[&[u8]] = &[b"tbody", b"thead", b"tfoot"];
const ROWS: &[&[u8]] = &[b"tr", b"tbody", b"thead", b"tfoot"];
const CELLS: &[&[u8]] = &[b"td", b"th", b"tr", b"tbody", b"thead", b"tfoot"];
/// What cannot stand inside a paragraph.
const BLOCKS: &[&[u8]] = &[
    b"p",
    b"div",
    b"table",
    b"ul",
    b"ol",
    b"section",
    b"center",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"hr",
    b"pre",
    b"form",
    b"article",
    b"aside",
    b"header",
    b"footer",
    b"main",
    b"blockquote",
    b"address",
    b"dl",
    b"fieldset",
];
const AROUND_A_PARAGRAPH: &[&[u8]] = &[
    b"div",
    b"td",
    b"th",
    b"tr",
    b"table",
    b"section",
    b"center",
    b"li",
    b"ul",
    b"ol",
    b"body",
    b"html",
    b"article",
    b"blockquote",
];

/// An element whose end tag may be missing.
struct Optional {
    names: &'static [&'static [u8]],
    /// Inside one of these the others of its kind are not its siblings.
    containers: &'static [&'static [u8]],
    /// What begins where it ends.
    before: &'static [&'static [u8]],
    /// What cannot end before it does.
    within: &'static [&'static [u8]],
}

const OPTIONAL: [Optional; 5] = [
    Optional {
        names: &[b"td", b"th"],
        containers: OF_TABLES,
        before: CELLS,
        within: &[b"tr", b"tbody", b"thead", b"tfoot", b"table"],
    },
    Optional {
        names: &[b"tr"],
        containers: OF_TABLES,
        before: ROWS,
        within: &[b"tbody", b"thead", b"tfoot", b"table"],
    },
    Optional { names: GROUPS, containers: OF_TABLES, before: GROUPS, within: &[b"table"] },
    Optional { names: &[b"li"], containers: OF_LISTS, before: &[b"li"], within: OF_LISTS },
    Optional { names: &[b"p"], containers: &[], before: BLOCKS, within: AROUND_A_PARAGRAPH },
];

/// A hidden element that has begun and not ended.
pub struct Hidden {
    name: Vec<u8>,
    /// How many of its name, or of what may hold its like, are open.
    open: usize,
    optional: Option<&'static Optional>,
}

/// What a tag means to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Inside,
    /// The element ended with this tag.
    EndsHere,
    /// It had ended before this tag.
    EndedBefore,
}

impl Hidden {
    /// `None`: an element of this name holds nothing, or nobody can tell how far it reaches.
    pub fn begin(name: &[u8]) -> Option<Hidden> {
        let optional = OPTIONAL.iter().find(|optional| optional.names.contains(&name));
        let known = optional.is_some() || CLOSED_BY_HAND.contains(&name);
        known.then(|| Hidden { name: name.to_vec(), open: usize::from(optional.is_none()), optional })
    }

    pub fn start(&mut self, name: &[u8], self_closing: bool) -> Reach {
        match self.optional {
            None => self.open += usize::from(*self.name == *name && !self_closing),
            Some(optional) if self.open == 0 && optional.before.contains(&name) => return Reach::EndedBefore,
            Some(optional) => self.open += usize::from(optional.containers.contains(&name)),
        }
        Reach::Inside
    }

    pub fn end(&mut self, name: &[u8]) -> Reach {
        let Some(optional) = self.optional else {
            self.open -= usize::from(*self.name == *name);
            return if self.open == 0 { Reach::EndsHere } else { Reach::Inside };
        };
        if self.open > 0 {
            self.open -= usize::from(optional.containers.contains(&name));
            Reach::Inside
        } else if *self.name == *name {
            Reach::EndsHere
        } else if optional.within.contains(&name) {
            Reach::EndedBefore
        } else {
            Reach::Inside
        }
    }
}

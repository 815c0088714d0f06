//! What the header section of one part says about its content.

use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;

use crate::message::head::MessageHead;
use crate::message::transfer::Transfer;

/// A field longer than this describes nothing a reader would make sense of, and is not read.
const LONGEST_FIELD: usize = 2 * 1024;

/// What a part is to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Html,
    Multipart(Multipart),
    /// CMS (RFC 8551): signed or encrypted as a whole.
    Sealed,
    /// Anything else: images, attached messages, what readers save to disk.
    Other,
}

/// How the parts of a multipart stand to each other (RFC 2046 section 5.1, RFC 1847).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multipart {
    /// The same in several forms; a reader shows the last it understands.
    Alternative,
    /// Messages one after the other: a part without a type is one.
    Digest,
    Signed,
    Encrypted,
    /// `mixed`, `related` and what nobody knows, which is read as `mixed`.
    Mixed,
}

/// The header section of a part, as far as its content hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHead {
    pub kind: Kind,
    /// Type and subtype in lower case; empty when it says none that can be read.
    pub media_type: String,
    pub charset: Option<String>,
    pub transfer: Transfer,
    /// `8bit` or `binary`.
    pub eight_bit: bool,
    /// Not shown, but offered to be saved (RFC 2183).
    pub attachment: bool,
    pub boundary: Option<String>,
    /// `format=flowed` (RFC 3676).
    pub flowed: bool,
    /// The first of `Content-Language` (RFC 3282).
    pub language: Option<String>,
    /// Readers may understand it in several ways, or something in it would not be true of other bytes.
    pub ambiguous: bool,
}

impl PartHead {
    /// Reads the fields of `head`. `in_digest`: without a type it is a message.
    pub fn read(head: &MessageHead, wire: &[u8], in_digest: bool) -> PartHead {
        let fields = ContentFields::gather(head, wire);
        let mut part = PartHead {
            kind: if in_digest { Kind::Other } else { Kind::Text },
            media_type: String::new(),
            charset: None,
            transfer: fields.encoding.as_deref().map_or(Transfer::Identity, Transfer::named),
            eight_bit: fields.encoding.as_deref().is_some_and(is_eight_bit),
            attachment: fields.disposition.as_deref().is_some_and(is_attachment),
            boundary: None,
            flowed: false,
            language: fields.language.as_deref().and_then(first_language),
            ambiguous: fields.ambiguous || head.anomalies().odd_line,
        };
        if let Some(value) = &fields.content_type {
            part.read_type(value);
        }
        part
    }

    fn read_type(&mut self, value: &str) {
        if value.len() > LONGEST_FIELD {
            self.ambiguous = true;
            return;
        }
        let line = format!("{value}\n");
        let HeaderValue::ContentType(parsed) = MessageStream::new(line.as_bytes()).parse_content_type() else {
            self.ambiguous = true;
            return;
        };
        let subtype = parsed.c_subtype.as_deref().map(str::to_ascii_lowercase).unwrap_or_default();
        let attribute =
            |name| parsed.attribute(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        self.ambiguous |= subtype.is_empty(); // RFC 2045 section 5.2: plain text then
        let main = parsed.c_type.to_ascii_lowercase();
        self.kind = kind(&main, &subtype);
        self.media_type = format!("{main}/{subtype}");
        self.charset = attribute("charset");
        self.boundary = attribute("boundary");
        self.flowed = attribute("format").is_some_and(|format| format.eq_ignore_ascii_case("flowed"));
    }
}

fn kind(main: &str, subtype: &str) -> Kind {
    match (main, subtype) {
        ("text", "html") => Kind::Html,
        ("text", "plain") | (_, "") => Kind::Text,
        ("multipart", "alternative") => Kind::Multipart(Multipart::Alternative),
        ("multipart", "digest") => Kind::Multipart(Multipart::Digest),
        ("multipart", "signed") => Kind::Multipart(Multipart::Signed),
        ("multipart", "encrypted") => Kind::Multipart(Multipart::Encrypted),
        ("multipart", _) => Kind::Multipart(Multipart::Mixed),
        ("application", "pkcs7-mime" | "x-pkcs7-mime") => Kind::Sealed,
        _ => Kind::Other,
    }
}

fn is_eight_bit(value: &str) -> bool {
    value.trim_start().starts_with('8') || value.trim().eq_ignore_ascii_case("binary")
}

/// Whatever is not `inline` is an attachment (RFC 2183 section 2.8).
fn is_attachment(value: &str) -> bool {
    let token = value.split(';').next().unwrap_or_default().trim();
    !token.is_empty() && !token.eq_ignore_ascii_case("inline")
}

fn first_language(value: &str) -> Option<String> {
    let tag = value.split([',', ';', '(']).next().unwrap_or_default().trim();
    (!tag.is_empty()).then(|| tag.to_owned())
}

/// The `Content-*` fields, the first of each.
#[derive(Default)]
struct ContentFields {
    content_type: Option<String>,
    encoding: Option<String>,
    disposition: Option<String>,
    language: Option<String>,
    ambiguous: bool,
}

impl ContentFields {
    fn gather(head: &MessageHead, wire: &[u8]) -> ContentFields {
        let mut found = ContentFields::default();
        for field in head.fields(wire) {
            let name = field.name().to_ascii_lowercase();
            let place = match name.as_str() {
                "content-type" => &mut found.content_type,
                "content-transfer-encoding" => &mut found.encoding,
                "content-disposition" => &mut found.disposition,
                "content-language" => &mut found.language,
                // It would be wrong for any other content (RFC 1864).
                "content-md5" => {
                    found.ambiguous = true;
                    continue;
                }
                _ => continue,
            };
            match place {
                None => *place = Some(field.unfolded()),
                Some(_) => found.ambiguous = true,
            }
        }
        found
    }
}

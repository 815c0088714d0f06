//! The kinds of value that settings and policy are written in.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::{Span, SpanRelativeTo};
use toml::de::DeValue;

use super::document::Item;
use crate::consent::limit::Limit;
use crate::smtp::address::{EmailAddress, domain_key};

/// What can be read from a file; a wrong one is noted there and gives `None`.
pub trait FromItem: Sized {
    fn from_item(item: &Item<'_>) -> Option<Self>;
}

impl FromItem for bool {
    fn from_item(item: &Item<'_>) -> Option<bool> {
        item.value().as_bool().or_else(|| item.refuse_type("true or false"))
    }
}

/// Text: `${NAME}` is replaced where a file may ask the environment; no control characters, so that nothing written
/// in a file ever breaks a header, a reply or a log line.
impl FromItem for String {
    fn from_item(item: &Item<'_>) -> Option<String> {
        let Some(text) = item.value().as_str() else { return item.refuse_type("a string in quotes") };
        let text = match item.outside() {
            Some(_) => substitute(item, text)?,
            None => text.to_owned(),
        };
        if text.chars().any(char::is_control) {
            return item.refuse("holds a control character; write it on one line, without tabs");
        }
        Some(text)
    }
}

fn substitute(item: &Item<'_>, text: &str) -> Option<String> {
    let outside = item.outside()?;
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else {
            return item.refuse("`${` without its `}`; write ${NAME}");
        };
        let Some(value) = outside.variable(name) else {
            return item
                .refuse(&format!("the environment variable {name} is not set; set it, or write the value here"));
        };
        result = result + before + &value;
        rest = behind;
    }
    Some(result + rest)
}

impl<T: FromItem> FromItem for Vec<T> {
    fn from_item(item: &Item<'_>) -> Option<Vec<T>> {
        item.each(T::from_item)
    }
}

/// Text that says something.
pub struct Name(pub String);

impl FromItem for Name {
    fn from_item(item: &Item<'_>) -> Option<Name> {
        let text = String::from_item(item)?;
        if text.trim().is_empty() {
            return item.refuse("is empty; write something, or leave the key out");
        }
        Some(Name(text))
    }
}

/// A path, relative to the file it is written in.
pub struct FilePath(pub PathBuf);

impl FromItem for FilePath {
    fn from_item(item: &Item<'_>) -> Option<FilePath> {
        let Name(text) = Name::from_item(item)?;
        Some(FilePath(item.outside().map_or_else(|| PathBuf::from(&text), |outside| outside.resolve(&text))))
    }
}

/// A time limit: more than nothing, at most a day.
impl FromItem for Duration {
    fn from_item(item: &Item<'_>) -> Option<Duration> {
        let cure = "write a time like \"300s\", \"5 minutes\" or \"1h\"";
        let Some(text) = item.value().as_str() else { return item.refuse_type(&cure["write ".len()..]) };
        let span: Option<Span> = text.parse().ok();
        let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        let Some(duration) = duration.and_then(|duration| Duration::try_from(duration).ok()) else {
            return item.refuse(&format!("{text:?} is no time; {cure}"));
        };
        if duration.is_zero() || duration > Duration::from_secs(24 * 3600) {
            return item
                .refuse(&format!("{text:?} is outside what is allowed; write a time above nothing and up to 24h"));
        }
        Some(duration)
    }
}

/// A stretch of the calendar: "7 days", "5 years".
impl FromItem for Span {
    fn from_item(item: &Item<'_>) -> Option<Span> {
        let cure = "a stretch of time like \"7 days\" or \"5 years\"";
        let Some(text) = item.value().as_str() else { return item.refuse_type(cure) };
        match text.parse::<Span>() {
            Ok(span) if span.is_positive() => Some(span),
            Ok(_) => item.refuse(&format!("{text:?} is not above nothing; write {cure}")),
            Err(_) => item.refuse(&format!("{text:?} is no stretch of time; write {cure}")),
        }
    }
}

/// A stretch of the calendar, or without end.
pub struct Retention(pub Option<Span>);

impl FromItem for Retention {
    fn from_item(item: &Item<'_>) -> Option<Retention> {
        match item.value().as_str() {
            Some("unlimited") => Some(Retention(None)),
            _ => Span::from_item(item).map(|span| Retention(Some(span))),
        }
    }
}

/// A stretch of the calendar, or off.
pub struct Switched(pub Option<Span>);

impl FromItem for Switched {
    fn from_item(item: &Item<'_>) -> Option<Switched> {
        match item.value().as_str() {
            Some("off") => Some(Switched(None)),
            _ => Span::from_item(item).map(|span| Switched(Some(span))),
        }
    }
}

/// How often: "2/week", "monthly", "none".
impl FromItem for Limit {
    fn from_item(item: &Item<'_>) -> Option<Limit> {
        let cure = "a limit like \"2/week\", \"1/day\", \"monthly\" or \"none\"";
        let Some(text) = item.value().as_str() else { return item.refuse_type(cure) };
        Limit::parse(text).or_else(|| item.refuse(&format!("{text:?} is no limit; write {cure}")))
    }
}

/// So many bytes: `"50MiB"` or a plain number.
pub struct Size(pub u64);

impl FromItem for Size {
    fn from_item(item: &Item<'_>) -> Option<Size> {
        let cure = "a size like \"50MiB\"";
        let size = match item.value() {
            DeValue::Integer(_) => return item.number(1..=u64::MAX).map(Size),
            DeValue::String(text) => text.parse::<bytesize::ByteSize>().ok().map(|size| size.as_u64()),
            _ => return item.refuse_type(cure),
        };
        match size {
            Some(size) if size > 0 => Some(Size(size)),
            _ => item.refuse(&format!("is no size above nothing; write {cure}")),
        }
    }
}

impl FromItem for SocketAddr {
    fn from_item(item: &Item<'_>) -> Option<SocketAddr> {
        let text = String::from_item(item)?;
        let cure = "write an address with its port, like \"127.0.0.1:2525\" or \"[::1]:2525\"";
        text.parse().ok().or_else(|| item.refuse(&format!("{text:?} is no address to listen on; {cure}")))
    }
}

/// A network, or one address.
impl FromItem for IpNet {
    fn from_item(item: &Item<'_>) -> Option<IpNet> {
        let text = String::from_item(item)?;
        let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let cure = "write \"192.0.2.0/24\", \"192.0.2.7\" or \"2001:db8::/32\"";
        network.or_else(|| item.refuse(&format!("{text:?} is no network; {cure}")))
    }
}

/// A server to connect to.
pub struct HostPort(pub String, pub u16);

impl FromItem for HostPort {
    fn from_item(item: &Item<'_>) -> Option<HostPort> {
        let text = String::from_item(item)?;
        let Some((host, port)) = text.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'))
        else {
            return item
                .refuse(&format!("{text:?} names no port; write \"smtp.example.net:587\" or \"[2001:db8::1]:25\""));
        };
        let Some(port) = port.parse().ok().filter(|port| *port != 0) else {
            return item.refuse(&format!("{port:?} is no port; write a number from 1 to 65535 behind the colon"));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if !is_host(host) && host.parse::<IpAddr>().is_err() {
            return item.refuse(&format!("{host:?} is no host name; write \"smtp.example.net:{port}\""));
        }
        Some(HostPort(host.to_owned(), port))
    }
}

/// A domain in the form that domains are compared in: lower-case A-labels.
pub struct Domain(pub String);

impl FromItem for Domain {
    fn from_item(item: &Item<'_>) -> Option<Domain> {
        let text = String::from_item(item)?;
        let key = domain_key(&text);
        if !is_host(&key) {
            return item.refuse(&format!("{text:?} is no domain; write \"example.org\""));
        }
        Some(Domain(key))
    }
}

impl FromItem for EmailAddress {
    fn from_item(item: &Item<'_>) -> Option<EmailAddress> {
        let text = String::from_item(item)?;
        let cure = "write \"name@example.org\", without brackets or a display name";
        EmailAddress::parse(&text).ok().or_else(|| item.refuse(&format!("{text:?} is no address; {cure}")))
    }
}

/// The name of a header field in the form that names are compared in.
pub struct FieldName(pub String);

impl FromItem for FieldName {
    fn from_item(item: &Item<'_>) -> Option<FieldName> {
        let text = String::from_item(item)?;
        match field_name(&text) {
            Some(name) => Some(FieldName(name)),
            None => {
                item.refuse(&format!("{text:?} is no header field's name; write it without a colon, like \"X-Topic\""))
            }
        }
    }
}

/// RFC 5322 section 2.2: printable ASCII without space and colon.
pub fn field_name(text: &str) -> Option<String> {
    let well_formed = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    well_formed.then(|| text.to_ascii_lowercase())
}

/// An ASCII host name.
pub fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Whether a host can only be this machine.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

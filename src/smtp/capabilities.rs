//! What upstream offers, and what of it the gate offers on (R14, R16).

#[cfg(test)]
mod tests;

use super::command::{MailParameters, RcptParameters, is_mechanism};
use super::reply::Reply;

/// Kept free below upstream's size limit for what the gate adds to a message.
pub const SIZE_HEADROOM: u64 = 8 * 1024;

/// The extensions of an EHLO reply that the gate knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub pipelining: bool,
    /// `None`: not offered. `Some(0)`: offered without a limit.
    pub size: Option<u64>,
    pub eight_bit_mime: bool,
    pub smtputf8: bool,
    pub dsn: bool,
    pub enhanced_status_codes: bool,
    pub starttls: bool,
    /// Mechanisms in upper case, as offered.
    pub auth: Vec<String>,
}

impl Capabilities {
    /// Reads an EHLO reply; its first line is a greeting (RFC 5321 §4.1.1.1).
    pub fn from_ehlo(reply: &Reply) -> Capabilities {
        let mut capabilities = Capabilities::default();
        for line in reply.lines().iter().skip(1) {
            capabilities.learn(line);
        }
        capabilities
    }

    fn learn(&mut self, line: &str) {
        // `AUTH=LOGIN` is how servers before RFC 2554 wrote it; some still do beside the other form.
        let (keyword, arguments) = line.split_once([' ', '=']).unwrap_or((line, ""));
        match keyword.to_ascii_uppercase().as_str() {
            "PIPELINING" => self.pipelining = true,
            "SIZE" => self.size = Some(arguments.trim().parse().unwrap_or(0)),
            "8BITMIME" => self.eight_bit_mime = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "DSN" => self.dsn = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "STARTTLS" => self.starttls = true,
            "AUTH" => self.learn_mechanisms(arguments),
            _ => {}
        }
    }

    fn learn_mechanisms(&mut self, words: &str) {
        for word in words.split_ascii_whitespace().filter(|word| is_mechanism(word)) {
            let mechanism = word.to_ascii_uppercase();
            if !self.auth.contains(&mechanism) {
                self.auth.push(mechanism);
            }
        }
    }

    /// Whether a client that was offered these may use the parameters (R8). To an upstream that no longer offers
    /// them the message cannot go either (R15).
    pub fn allow_mail(&self, parameters: &MailParameters) -> bool {
        (parameters.size.is_none() || self.size.is_some())
            && (parameters.body.is_none() || self.eight_bit_mime)
            && (!parameters.smtputf8 || self.smtputf8)
            && ((parameters.ret.is_none() && parameters.envid.is_none()) || self.dsn)
            && (parameters.auth.is_none() || !self.auth.is_empty())
    }

    /// The same for a recipient's parameters.
    pub fn allow_rcpt(&self, parameters: &RcptParameters) -> bool {
        (parameters.notify.is_none() && parameters.orcpt.is_none()) || self.dsn
    }
}

/// What decides on the offer made to a client.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    pub hostname: &'a str,
    /// `None`: no upstream has been seen yet.
    pub upstream: Option<&'a Capabilities>,
    pub max_message_size: u64,
    /// A certificate is there and TLS not yet.
    pub tls_available: bool,
    /// AUTH may be offered on this connection now.
    pub auth: bool,
}

/// What the gate offers: never more than upstream does, save what it does alone.
pub fn offered(offer: &Offer) -> Capabilities {
    let unseen = Capabilities::default();
    let upstream = offer.upstream.unwrap_or(&unseen);
    Capabilities {
        pipelining: true,
        size: Some(size_limit(offer.max_message_size, upstream.size)),
        eight_bit_mime: upstream.eight_bit_mime,
        smtputf8: upstream.smtputf8,
        dsn: upstream.dsn,
        enhanced_status_codes: true,
        starttls: offer.tls_available,
        auth: if offer.auth { carried_mechanisms(&upstream.auth) } else { Vec::new() },
    }
}

/// The reply to EHLO.
pub fn ehlo_reply(offer: &Offer) -> Reply {
    let capabilities = offered(offer);
    let mut lines = vec![offer.hostname.to_owned(), "PIPELINING".to_owned()];
    lines.extend(capabilities.size.map(|limit| format!("SIZE {limit}")));
    for (keyword, is_offered) in [
        ("8BITMIME", capabilities.eight_bit_mime),
        ("SMTPUTF8", capabilities.smtputf8),
        ("DSN", capabilities.dsn),
        ("STARTTLS", capabilities.starttls),
    ] {
        lines.extend(is_offered.then(|| keyword.to_owned()));
    }
    if !capabilities.auth.is_empty() {
        lines.push(format!("AUTH {}", capabilities.auth.join(" ")));
    }
    lines.push("ENHANCEDSTATUSCODES".to_owned());
    Reply::multi(250, lines)
}

/// The smaller limit, where 0 means none (RFC 1870 §4).
fn size_limit(ours: u64, upstream: Option<u64>) -> u64 {
    let Some(theirs) = upstream.filter(|&limit| limit > 0) else { return ours };
    let theirs = theirs.saturating_sub(SIZE_HEADROOM).max(1);
    if ours == 0 { theirs } else { ours.min(theirs) }
}

/// Without the mechanisms that are bound to the TLS channel or the host name: they would meet ours instead of
/// upstream's and fail (R84).
fn carried_mechanisms(offered: &[String]) -> Vec<String> {
    let is_bound = |mechanism: &str| {
        mechanism.ends_with("-PLUS")
            || ["EXTERNAL", "GSSAPI", "NTLM", "KERBEROS_V4", "KERBEROS_V5", "GS2-KRB5", "GSS-SPNEGO"]
                .contains(&mechanism)
    };
    offered.iter().filter(|mechanism| !is_bound(mechanism)).cloned().collect()
}

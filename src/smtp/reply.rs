//! Replies: what one is, how it is written and read, and every reply that is ours.
//!
//! All texts of the gate stand in this one file. They name no host, path or program behind it (R94).

mod reader;
#[cfg(test)]
mod tests;

pub use reader::{ReplyError, ReplyReader};

/// RFC 5321 §4.5.3.1.5, line end included.
const LINE_LIMIT: usize = 512;
/// More than this no client needs to see (R13).
const LINES_LIMIT: usize = 20;

/// One SMTP reply. An enhanced status code is the start of the text (RFC 2034).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    /// Never empty.
    lines: Vec<String>,
}

impl Reply {
    pub fn new(code: u16, text: impl Into<String>) -> Reply {
        Reply { code, lines: vec![text.into()] }
    }

    /// A reply of several lines; none at all makes one empty line.
    pub fn multi(code: u16, lines: Vec<String>) -> Reply {
        if lines.is_empty() { Reply::new(code, "") } else { Reply { code, lines } }
    }

    pub fn code(&self) -> u16 {
        self.code
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// All lines in one, for records.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The enhanced status code, `5.7.1`.
    pub fn enhanced(&self) -> Option<&str> {
        enhanced_of(&self.lines[0])
    }

    /// Gives a reply without an enhanced status code the general one of its class; a 3xx has none (RFC 2034 §4).
    pub fn with_enhanced(mut self) -> Reply {
        let class = self.code / 100;
        if matches!(class, 2 | 4 | 5) && self.enhanced().is_none() {
            for line in &mut self.lines {
                *line = format!("{class}.0.0 {line}").trim_end().to_owned();
            }
        }
        self
    }

    /// Upstream's 421 ends upstream's session, not the client's (R20).
    pub fn without_hangup(mut self) -> Reply {
        if self.code == 421 {
            self.code = 451;
        }
        self
    }

    /// The bytes for a client: R13 holds whatever the text came from.
    pub fn to_bytes(&self, utf8: bool) -> Vec<u8> {
        let shown = &self.lines[..self.lines.len().min(LINES_LIMIT)];
        let mut bytes = Vec::with_capacity(shown.iter().map(|line| line.len() + 6).sum());
        for (index, line) in shown.iter().enumerate() {
            let separator = if index + 1 == shown.len() { ' ' } else { '-' };
            bytes.extend_from_slice(format!("{}{separator}", self.code).as_bytes());
            bytes.extend_from_slice(printable(line, utf8).as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }
}

/// One line that fits and cannot end early: anything but printable characters becomes `?`.
fn printable(line: &str, utf8: bool) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        let plain = matches!(character, ' '..='~');
        let wide = utf8 && !character.is_ascii() && !character.is_control();
        let shown = if plain || wide { character } else { '?' };
        if 4 + text.len() + shown.len_utf8() + 2 > LINE_LIMIT {
            break;
        }
        text.push(shown);
    }
    text
}

fn enhanced_of(line: &str) -> Option<&str> {
    let code = line.split(' ').next()?;
    let mut parts = code.split('.');
    let class = parts.next()?;
    let numbers = [parts.next()?, parts.next()?];
    let valid = matches!(class, "2" | "4" | "5")
        && parts.next().is_none()
        && numbers.iter().all(|n| (1..=3).contains(&n.len()) && n.bytes().all(|byte| byte.is_ascii_digit()));
    valid.then_some(code)
}

/// The session.
impl Reply {
    pub fn greeting(hostname: &str) -> Reply {
        Reply::new(220, format!("{hostname} ESMTP"))
    }

    pub fn hello(hostname: &str) -> Reply {
        Reply::new(250, hostname)
    }

    pub fn ok() -> Reply {
        Reply::new(250, "2.0.0 OK")
    }

    pub fn bye() -> Reply {
        Reply::new(221, "2.0.0 Bye")
    }

    pub fn help() -> Reply {
        Reply::new(214, "2.0.0 See RFC 5321")
    }

    pub fn cannot_verify() -> Reply {
        Reply::new(252, "2.0.0 Cannot verify the address; send and see")
    }

    pub fn too_many_connections() -> Reply {
        Reply::new(421, "4.3.2 Too many connections, try later")
    }

    pub fn too_many_connections_from_client() -> Reply {
        Reply::new(421, "4.7.0 Too many connections from your address")
    }

    pub fn client_not_allowed() -> Reply {
        Reply::new(554, "5.7.1 Connections from your address are not accepted here")
    }

    pub fn shutting_down() -> Reply {
        Reply::new(421, "4.3.2 Shutting down, try again")
    }

    pub fn too_many_errors() -> Reply {
        Reply::new(421, "4.7.0 Too many errors")
    }

    pub fn too_many_idle_commands() -> Reply {
        Reply::new(421, "4.7.0 Too many commands without mail")
    }

    pub fn client_timed_out() -> Reply {
        Reply::new(421, "4.4.2 Timed out waiting for input")
    }

    /// A fault of the gate itself that ends the session.
    pub fn session_failed() -> Reply {
        Reply::new(421, "4.3.0 Internal error, try later")
    }

    /// Input before the greeting (R3), or behind DATA or STARTTLS before our answer (R36, R81).
    pub fn talks_out_of_turn() -> Reply {
        Reply::new(554, "5.5.0 Input before it was your turn")
    }
}

/// The command line.
impl Reply {
    pub fn syntax_error() -> Reply {
        Reply::new(500, "5.5.2 Syntax error")
    }

    pub fn line_framing_error() -> Reply {
        Reply::new(500, "5.5.2 A command line ends in CR LF and holds no other CR, LF or NUL")
    }

    pub fn line_too_long() -> Reply {
        Reply::new(500, "5.5.2 Command line too long")
    }

    pub fn auth_line_too_long() -> Reply {
        Reply::new(500, "5.5.6 Authentication exchange line too long")
    }

    pub fn unknown_command() -> Reply {
        Reply::new(500, "5.5.1 Unknown command")
    }

    pub fn not_implemented() -> Reply {
        Reply::new(502, "5.5.1 Command not implemented")
    }

    pub fn bad_arguments() -> Reply {
        Reply::new(501, "5.5.4 Bad or missing argument")
    }

    pub fn bad_hello_name() -> Reply {
        Reply::new(501, "5.5.4 Not a host name or address literal")
    }

    pub fn bad_sequence() -> Reply {
        Reply::new(503, "5.5.1 Bad sequence of commands")
    }

    pub fn hello_first() -> Reply {
        Reply::new(503, "5.5.1 Send EHLO or HELO first")
    }

    pub fn bad_sender() -> Reply {
        Reply::new(501, "5.1.7 Bad sender address syntax")
    }

    pub fn bad_recipient() -> Reply {
        Reply::new(501, "5.1.3 Bad recipient address syntax")
    }

    pub fn unknown_parameter() -> Reply {
        Reply::new(555, "5.5.4 Unsupported parameter")
    }

    pub fn bad_parameter() -> Reply {
        Reply::new(501, "5.5.4 Bad parameter value, or parameter given twice")
    }
}

/// The envelope.
impl Reply {
    pub fn sender_needs_smtputf8() -> Reply {
        Reply::new(550, "5.6.7 Sender address needs SMTPUTF8")
    }

    pub fn recipient_needs_smtputf8() -> Reply {
        Reply::new(553, "5.6.7 Recipient address needs SMTPUTF8")
    }

    /// Of the gate's own mailboxes there is none of this name, and nothing is passed on.
    pub fn no_such_mailbox() -> Reply {
        Reply::new(550, "5.1.1 No such mailbox here, and nothing is relayed")
    }

    /// What a message said is durable.
    pub fn taken_note_of() -> Reply {
        Reply::new(250, "2.6.0 Taken note of")
    }

    pub fn too_many_recipients() -> Reply {
        Reply::new(452, "4.5.3 Too many recipients")
    }

    pub fn no_valid_recipients() -> Reply {
        Reply::new(554, "5.5.1 No valid recipients")
    }

    pub fn message_too_large() -> Reply {
        Reply::new(552, "5.3.4 Message too large")
    }

    /// No room to take the message in (R97).
    pub fn no_space() -> Reply {
        Reply::new(452, "4.3.1 No space for the message now, try later")
    }
}

/// The message.
impl Reply {
    pub fn start_data() -> Reply {
        Reply::new(354, "End data with <CR><LF>.<CR><LF>")
    }

    pub fn bare_line_end() -> Reply {
        Reply::new(550, "5.5.2 A bare CR or LF in the message")
    }

    pub fn nul_in_message() -> Reply {
        Reply::new(550, "5.6.0 A NUL byte in the message")
    }

    /// A header or line over its limit, or a header refused as malformed; `what` is ours, never the client's text.
    pub fn bad_message(what: &str) -> Reply {
        Reply::new(550, format!("5.6.0 {what}"))
    }

    pub fn mail_loop() -> Reply {
        Reply::new(554, "5.4.6 Mail loop: too many Received fields")
    }

    /// A signature covers the list fields and the policy refuses to break it (R56).
    pub fn signature_in_the_way(reference: &str) -> Reply {
        Reply::new(550, format!("5.7.1 A signature forbids adding the way out; ref {reference}"))
    }
}

/// The decision.
impl Reply {
    /// `lines`: one per withheld recipient, as the verdicts put it; ten at most are shown.
    pub fn withheld(lines: Vec<String>) -> Reply {
        Reply::multi(550, ten_at_most("5.7.1", lines))
    }

    /// The same for recipients who have enough for now.
    pub fn not_yet(lines: Vec<String>) -> Reply {
        Reply::multi(451, ten_at_most("4.7.1", lines))
    }

    /// Taken and thrown away, as the policy says.
    pub fn discarded(reference: &str) -> Reply {
        Reply::new(250, format!("2.0.0 OK; ref {reference}"))
    }

    /// A decision to wait rather than refuse; `text` as the verdict puts it.
    pub fn deferred_by_policy(text: String) -> Reply {
        Reply::new(451, with_status("4.7.1", text))
    }

    /// Upstream's final reply with the number of recipients that were left out behind its text (R93).
    pub fn with_withheld_count(mut self, withheld: usize, reference: &str) -> Reply {
        let recipients = if withheld == 1 { "recipient" } else { "recipients" };
        if let Some(last) = self.lines.last_mut() {
            last.push_str(&format!(" ({withheld} {recipients} withheld; ref {reference})"));
        }
        self
    }

    /// Without consent data, journal or ledger nothing moves (R61).
    pub fn gate_fault(reference: &str) -> Reply {
        Reply::new(451, format!("4.3.0 Cannot decide on this message now, try later; ref {reference}"))
    }

    /// The ledger or journal cannot be written (R76).
    pub fn cannot_record(reference: &str) -> Reply {
        Reply::new(451, format!("4.3.1 Cannot record this message now, try later; ref {reference}"))
    }

    /// The report on withheld recipients found no way out (R63).
    pub fn cannot_report(reference: &str) -> Reply {
        Reply::new(451, format!("4.3.0 Cannot report the withheld recipients now, try later; ref {reference}"))
    }

    /// Some copies are still to be sent: the client's retry sends only those (R69a, R71).
    pub fn copies_deferred(deferred: usize, of: usize, reference: &str) -> Reply {
        Reply::new(451, format!("4.3.0 {deferred} of {of} copies deferred, try again; ref {reference}"))
    }

    pub fn too_many_copies(limit: usize) -> Reply {
        Reply::new(550, format!("5.7.1 More than {limit} personal copies in one message"))
    }

    /// Some recipients have it, others were refused, and nobody can be told by report (R71).
    ///
    /// `refusal` keeps its code; the added lines name who has the message.
    pub fn with_delivered(mut self, delivered: &[&str]) -> Reply {
        let status = self.enhanced().map(|status| format!("{status} ")).unwrap_or_default();
        for recipient in delivered.iter().take(10) {
            self.lines.push(format!("{status}<{recipient}> has received the message"));
        }
        self
    }
}

/// Upstream.
impl Reply {
    pub fn upstream_unreachable() -> Reply {
        Reply::new(451, "4.4.1 The next server cannot be reached")
    }

    pub fn upstream_unresolved() -> Reply {
        Reply::new(451, "4.4.3 The name of the next server cannot be resolved")
    }

    pub fn upstream_lost() -> Reply {
        Reply::new(451, "4.4.2 The connection to the next server was lost")
    }

    pub fn upstream_not_trusted() -> Reply {
        Reply::new(451, "4.7.5 The next server cannot be verified")
    }

    pub fn upstream_makes_no_sense() -> Reply {
        Reply::new(451, "4.5.0 The next server broke the protocol")
    }

    /// Upstream no longer offers what the client was told it may use (R15).
    pub fn capability_gone() -> Reply {
        Reply::new(451, "4.3.5 A requested extension is not available now")
    }
}

/// TLS and AUTH.
impl Reply {
    pub fn ready_for_tls() -> Reply {
        Reply::new(220, "2.0.0 Ready to start TLS")
    }

    pub fn tls_unavailable() -> Reply {
        Reply::new(454, "4.7.0 TLS not available")
    }

    pub fn tls_required() -> Reply {
        Reply::new(530, "5.7.0 Issue STARTTLS first")
    }

    pub fn login_required() -> Reply {
        Reply::new(530, "5.7.0 Authentication required")
    }

    pub fn encryption_required() -> Reply {
        Reply::new(538, "5.7.11 Authentication needs an encrypted connection")
    }

    pub fn unknown_mechanism() -> Reply {
        Reply::new(504, "5.5.4 Authentication mechanism not available")
    }

    pub fn mechanism_too_weak() -> Reply {
        Reply::new(534, "5.7.9 Authentication mechanism is too weak")
    }

    pub fn bad_base64() -> Reply {
        Reply::new(501, "5.5.2 Not valid base64")
    }

    pub fn login_cancelled() -> Reply {
        Reply::new(501, "5.7.0 Authentication cancelled")
    }

    pub fn login_unavailable() -> Reply {
        Reply::new(454, "4.7.0 Temporary authentication failure")
    }
}

fn ten_at_most(status: &str, lines: Vec<String>) -> Vec<String> {
    const SHOWN: usize = 10;
    let rest = lines.len().saturating_sub(SHOWN);
    let mut lines: Vec<String> = lines.into_iter().take(SHOWN).map(|line| with_status(status, line)).collect();
    if rest > 0 {
        lines.push(format!("{status} and {rest} more withheld"));
    }
    lines
}

fn with_status(status: &str, text: String) -> String {
    if enhanced_of(&text).is_some() { text } else { format!("{status} {text}") }
}

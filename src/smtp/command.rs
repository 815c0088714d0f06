//! Command lines: taken out of the input one at a time, then read by the grammar of RFC 5321.

mod line;
mod parameters;
#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::address::{EmailAddress, ReversePath};
use super::reply::Reply;

pub use line::{AUTH_LINE_LIMIT, LineError, LineReader};
pub use parameters::{Body, MailParameters, RcptParameters};

/// What a client asks for. Arguments are checked, their bytes kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    Helo(String),
    Ehlo(String),
    Lhlo(String),
    Mail {
        from: ReversePath,
        parameters: MailParameters,
    },
    Rcpt {
        to: EmailAddress,
        parameters: RcptParameters,
    },
    Data,
    Reset,
    Noop,
    Quit,
    Verify,
    Help,
    StartTls,
    Auth {
        /// In upper case.
        mechanism: String,
        /// Valid base64, or `=` for an empty one (RFC 4954 §4).
        initial_response: Option<String>,
    },
    /// BDAT: not offered, and message octets follow that must not be read as commands.
    Chunk,
    /// A verb of SMTP that is never offered here.
    NotImplemented,
}

impl Command {
    /// Reads one command line, without its line end.
    pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
        if memchr::memchr3(b'\r', b'\n', 0, line).is_some() {
            return Err(CommandError::Framing);
        }
        let line = std::str::from_utf8(line).map_err(|_| CommandError::Syntax)?;
        let line = line.trim_end_matches(' ');
        let (verb, arguments) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "HELO" => Ok(Command::Helo(host_name(arguments)?)),
            "EHLO" => Ok(Command::Ehlo(host_name(arguments)?)),
            "LHLO" => Ok(Command::Lhlo(host_name(arguments)?)),
            "MAIL" => mail(arguments),
            "RCPT" => rcpt(arguments),
            "DATA" => bare(Command::Data, arguments),
            "RSET" => bare(Command::Reset, arguments),
            "QUIT" => bare(Command::Quit, arguments),
            "STARTTLS" => bare(Command::StartTls, arguments),
            "NOOP" => Ok(Command::Noop),
            "VRFY" => Ok(Command::Verify),
            "HELP" => Ok(Command::Help),
            "AUTH" => auth(arguments),
            "BDAT" => Ok(Command::Chunk),
            "EXPN" | "ETRN" | "ATRN" | "TURN" | "SEND" | "SOML" | "SAML" | "BURL" | "XCLIENT" | "XFORWARD" => {
                Ok(Command::NotImplemented)
            }
            _ => Err(CommandError::UnknownVerb),
        }
    }
}

/// By hand, so that no credential can be printed.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Helo(name) => f.debug_tuple("Helo").field(name).finish(),
            Command::Ehlo(name) => f.debug_tuple("Ehlo").field(name).finish(),
            Command::Lhlo(name) => f.debug_tuple("Lhlo").field(name).finish(),
            Command::Mail { from, parameters } => {
                f.debug_struct("Mail").field("from", from).field("parameters", parameters).finish()
            }
            Command::Rcpt { to, parameters } => {
                f.debug_struct("Rcpt").field("to", to).field("parameters", parameters).finish()
            }
            Command::Data => f.write_str("Data"),
            Command::Reset => f.write_str("Reset"),
            Command::Noop => f.write_str("Noop"),
            Command::Quit => f.write_str("Quit"),
            Command::Verify => f.write_str("Verify"),
            Command::Help => f.write_str("Help"),
            Command::StartTls => f.write_str("StartTls"),
            Command::Auth { mechanism, .. } => {
                f.debug_struct("Auth").field("mechanism", mechanism).finish_non_exhaustive()
            }
            Command::Chunk => f.write_str("Chunk"),
            Command::NotImplemented => f.write_str("NotImplemented"),
        }
    }
}

/// Why a line is no command; the client's fault each time, so each has its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// CR, LF or NUL inside the line (R12).
    Framing,
    Syntax,
    UnknownVerb,
    Arguments,
    HelloName,
    Sender,
    Recipient,
    UnknownParameter,
    BadParameter,
    Base64,
}

impl CommandError {
    pub fn reply(&self) -> Reply {
        match self {
            CommandError::Framing => Reply::line_framing_error(),
            CommandError::Syntax => Reply::syntax_error(),
            CommandError::UnknownVerb => Reply::unknown_command(),
            CommandError::Arguments => Reply::bad_arguments(),
            CommandError::HelloName => Reply::bad_hello_name(),
            CommandError::Sender => Reply::bad_sender(),
            CommandError::Recipient => Reply::bad_recipient(),
            CommandError::UnknownParameter => Reply::unknown_parameter(),
            CommandError::BadParameter => Reply::bad_parameter(),
            CommandError::Base64 => Reply::bad_base64(),
        }
    }

    /// Whether the connection ends after the reply: client and gate no longer agree where lines end.
    pub fn closes(&self) -> bool {
        *self == CommandError::Framing
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reply().text())
    }
}

impl std::error::Error for CommandError {}

/// The decoded bytes of one line of an AUTH exchange are upstream's business, its form is ours (R86).
pub fn is_base64(text: &str) -> bool {
    STANDARD.decode(text).is_ok()
}

fn bare(command: Command, arguments: &str) -> Result<Command, CommandError> {
    if arguments.trim().is_empty() { Ok(command) } else { Err(CommandError::Arguments) }
}

/// What mailers in the field call themselves: host names with or without dots, underscores, address literals, bare
/// IPv6 addresses. It ends up in Received and in logs, so nothing that could end a comment or a line.
fn host_name(text: &str) -> Result<String, CommandError> {
    const LIMIT: usize = 255;
    let name = text.trim_matches(' ');
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let allowed = |character: char| character.is_alphanumeric() || "-._:".contains(character);
    if inner.is_empty() || name.len() > LIMIT || !inner.chars().all(allowed) {
        return Err(CommandError::HelloName);
    }
    Ok(name.to_owned())
}

fn mail(arguments: &str) -> Result<Command, CommandError> {
    let (path, rest) = path_behind("FROM:", arguments, CommandError::Sender)?;
    let from = ReversePath::parse(path).map_err(|_| CommandError::Sender)?;
    Ok(Command::Mail { from, parameters: MailParameters::parse(rest)? })
}

fn rcpt(arguments: &str) -> Result<Command, CommandError> {
    let (path, rest) = path_behind("TO:", arguments, CommandError::Recipient)?;
    let to = EmailAddress::parse(path).map_err(|_| CommandError::Recipient)?;
    Ok(Command::Rcpt { to, parameters: RcptParameters::parse(rest)? })
}

/// The text between the angle brackets, and what follows them. Blanks behind the colon are not in the grammar but in
/// many mailers.
fn path_behind<'a>(keyword: &str, arguments: &'a str, error: CommandError) -> Result<(&'a str, &'a str), CommandError> {
    let arguments = arguments.trim_start_matches(' ');
    let (word, rest) = arguments.split_at_checked(keyword.len()).ok_or(CommandError::Arguments)?;
    if !word.eq_ignore_ascii_case(keyword) {
        return Err(CommandError::Arguments);
    }
    let path = rest.trim_start_matches(' ').strip_prefix('<').ok_or(error)?;
    let end = closing_bracket(path).ok_or(error)?;
    let rest = &path[end + 1..];
    if rest.is_empty() || rest.starts_with(' ') { Ok((&path[..end], rest)) } else { Err(error) }
}

/// The first `>` outside a quoted string.
fn closing_bracket(path: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in path.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(index),
            _ => {}
        }
    }
    None
}

fn auth(arguments: &str) -> Result<Command, CommandError> {
    let mut words = arguments.split(' ').filter(|word| !word.is_empty());
    let mechanism = words.next().filter(|word| is_mechanism(word)).ok_or(CommandError::Arguments)?;
    let initial_response = words.next();
    if words.next().is_some() {
        return Err(CommandError::Arguments);
    }
    if initial_response.is_some_and(|text| text != "=" && !is_base64(text)) {
        return Err(CommandError::Base64);
    }
    Ok(Command::Auth {
        mechanism: mechanism.to_ascii_uppercase(),
        initial_response: initial_response.map(str::to_owned),
    })
}

/// RFC 4422 §3.1, in either case.
pub(super) fn is_mechanism(word: &str) -> bool {
    (1..=20).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

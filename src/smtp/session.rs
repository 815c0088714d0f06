//! The client's side of the dialogue: one command in, one [`Step`] out.
//!
//! No socket here. The driver carries each step out and tells the session what
//! upstream agreed to; the session moves only then. Each state owns its own
//! data, so leaving a transaction (R9) drops everything that belonged to it.

use super::address::{EmailAddress, ReversePath};
use super::capabilities::Capabilities;
use super::command::{Command, CommandError, LineError, MailParameters, RcptParameters};
use super::reply::Reply;

/// A recipient upstream has accepted, with the parameters it was asked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub address: EmailAddress,
    pub parameters: RcptParameters,
}

/// What RFC 5321 calls the envelope: the reverse-path and the accepted recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub from: ReversePath,
    pub parameters: MailParameters,
    pub recipients: Vec<Recipient>,
}

/// What the driver has to do next.
#[must_use = "a step left undone leaves the client waiting"]
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Reply(Reply),
    /// Answer, then end the connection.
    Close(Reply),
    /// Answer after the transaction, ours and upstream's, is gone.
    Reset(Reply),
    /// Answer HELO or EHLO; the transaction is gone.
    Greet {
        extended: bool,
    },
    AskSender {
        from: ReversePath,
        parameters: MailParameters,
    },
    AskRecipient(Recipient),
    /// Answer 354 and take the message.
    ReadMessage,
    StartTls,
    Authenticate {
        mechanism: String,
        initial_response: Option<String>,
    },
}

/// What the listener allows, fixed for the session.
#[derive(Clone, Debug)]
pub struct SessionRules {
    pub max_recipients: usize,
    pub max_message_size: u64,
    /// Errors without an accepted message before the session ends (R10).
    pub max_errors: usize,
    /// Commands that carry no mail before the session ends (R10).
    pub max_idle_commands: usize,
    pub require_tls: bool,
    /// Plain AUTH mechanisms are taken in clear.
    pub auth_without_tls: bool,
    /// The protocol is LMTP (RFC 2033).
    pub lmtp: bool,
}

#[derive(Debug)]
enum State {
    Idle,
    /// MAIL accepted; `refused` counts recipients upstream said no to.
    Transaction {
        envelope: Envelope,
        refused: usize,
    },
    /// Upstream went away under the transaction. What the client sent before it could know is put off, not refused:
    /// a 503 would bounce recipients for a fault that is not theirs.
    Lost,
}

#[derive(Debug)]
pub struct Session {
    rules: SessionRules,
    state: State,
    hello: Option<Hello>,
    /// What our last EHLO reply offered.
    offered: Capabilities,
    encrypted: bool,
    user: Option<String>,
    errors: usize,
    idle_commands: usize,
}

#[derive(Clone, Debug)]
struct Hello {
    name: String,
    extended: bool,
}

impl Session {
    pub fn new(rules: SessionRules) -> Session {
        Session {
            rules,
            state: State::Idle,
            hello: None,
            offered: Capabilities::default(),
            encrypted: false,
            user: None,
            errors: 0,
            idle_commands: 0,
        }
    }

    /// The name the client gave itself; empty before HELO.
    pub fn hello_name(&self) -> &str {
        self.hello.as_ref().map_or("", |hello| &hello.name)
    }

    /// Whether the client said EHLO.
    pub fn is_extended(&self) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.extended)
    }

    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The AUTH user upstream accepted.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub fn envelope(&self) -> Option<&Envelope> {
        match &self.state {
            State::Idle | State::Lost => None,
            State::Transaction { envelope, .. } => Some(envelope),
        }
    }

    /// Whether AUTH may be offered on this connection now (R85).
    pub fn may_authenticate(&self) -> bool {
        (self.encrypted || self.rules.auth_without_tls) && self.user.is_none()
    }

    /// Whether replies may carry UTF-8 (R13).
    pub fn speaks_utf8(&self) -> bool {
        self.envelope().is_some_and(|envelope| envelope.parameters.smtputf8)
    }

    /// Takes one parsed command line.
    pub fn command(&mut self, command: Result<Command, CommandError>) -> Step {
        let step = match command {
            Ok(command) if self.must_encrypt_first(&command) => Step::Reply(Reply::tls_required()),
            Ok(command) => {
                self.count(&command);
                self.dispatch(command)
            }
            Err(error) if error.closes() => Step::Close(error.reply()),
            Err(error) => Step::Reply(error.reply()),
        };
        self.limit(step)
    }

    /// Takes a line that is too long or broken to be a command.
    pub fn bad_line(&mut self, error: LineError) -> Step {
        let step = if error.closes() { Step::Close(error.reply()) } else { Step::Reply(error.reply()) };
        self.limit(step)
    }

    fn must_encrypt_first(&self, command: &Command) -> bool {
        let exempt = matches!(
            command,
            Command::Noop | Command::Ehlo(_) | Command::StartTls | Command::Quit | Command::Helo(_) | Command::Lhlo(_)
        );
        self.rules.require_tls && !self.encrypted && !exempt
    }

    /// MAIL, RCPT, DATA, AUTH and STARTTLS lead somewhere; the rest only costs (R10).
    fn count(&mut self, command: &Command) {
        let carries_mail = matches!(
            command,
            Command::Mail { .. }
                | Command::Rcpt { .. }
                | Command::Data
                | Command::Auth { .. }
                | Command::StartTls
                | Command::Quit
        );
        if !carries_mail {
            self.idle_commands += 1;
        }
    }

    /// Ends a session that makes too many errors or carries no mail (R10).
    fn limit(&mut self, step: Step) -> Step {
        if let Step::Reply(reply) = &step
            && is_client_error(reply)
        {
            self.errors += 1;
        }
        if self.errors >= self.rules.max_errors {
            return Step::Close(Reply::too_many_errors());
        }
        if self.idle_commands > self.rules.max_idle_commands {
            return Step::Close(Reply::too_many_idle_commands());
        }
        step
    }

    fn dispatch(&mut self, command: Command) -> Step {
        match command {
            Command::Lhlo(name) if self.rules.lmtp => self.greet(name, true),
            // RFC 2033 section 4.1: neither protocol knows the other's greeting.
            Command::Lhlo(_) => Step::Reply(Reply::unknown_command()),
            Command::Helo(_) | Command::Ehlo(_) if self.rules.lmtp => Step::Reply(Reply::unknown_command()),
            Command::Helo(name) => self.greet(name, false),
            Command::Ehlo(name) => self.greet(name, true),
            Command::Mail { from, parameters } => self.mail(from, parameters),
            Command::Rcpt { to, parameters } => self.rcpt(to, parameters),
            Command::Data => self.data(),
            Command::Reset => {
                self.reset();
                Step::Reset(Reply::ok())
            }
            Command::StartTls => self.starttls(),
            Command::Auth { mechanism, initial_response } => self.auth(mechanism, initial_response),
            Command::Noop => Step::Reply(Reply::ok()),
            Command::Verify => Step::Reply(Reply::cannot_verify()),
            Command::Help => Step::Reply(Reply::help()),
            Command::Quit => Step::Close(Reply::bye()),
            Command::Chunk => Step::Close(Reply::not_implemented()),
            Command::NotImplemented => Step::Reply(Reply::not_implemented()),
        }
    }

    fn greet(&mut self, name: String, extended: bool) -> Step {
        self.reset(); // R5
        self.hello = Some(Hello { name, extended });
        Step::Greet { extended }
    }

    fn mail(&mut self, from: ReversePath, parameters: MailParameters) -> Step {
        if self.hello.is_none() || self.envelope().is_some() {
            return Step::Reply(Reply::bad_sequence());
        }
        match self.refuse_sender(&from, &parameters) {
            Some(reply) => Step::Reply(reply),
            None => Step::AskSender { from, parameters },
        }
    }

    /// Parameters we did not offer (R8), sizes above ours, UTF-8 without SMTPUTF8.
    fn refuse_sender(&self, from: &ReversePath, parameters: &MailParameters) -> Option<Reply> {
        let offered = &self.offered;
        let ascii = from.mailbox().is_none_or(EmailAddress::is_ascii) && parameters.is_ascii();
        let wants_dsn = parameters.ret.is_some() || parameters.envid.is_some();
        if !ascii && !parameters.smtputf8 || parameters.smtputf8 && !offered.smtputf8 {
            return Some(if ascii { Reply::unknown_parameter() } else { Reply::sender_needs_smtputf8() });
        }
        if parameters.body.is_some() && !offered.eight_bit_mime
            || wants_dsn && !offered.dsn
            || parameters.size.is_some() && !self.is_extended()
            || parameters.auth.is_some() && offered.auth.is_empty() && self.user.is_none()
        {
            return Some(Reply::unknown_parameter());
        }
        parameters.size.filter(|size| *size > self.rules.max_message_size).map(|_| Reply::message_too_large())
    }

    fn rcpt(&mut self, to: EmailAddress, parameters: RcptParameters) -> Step {
        let State::Transaction { envelope, .. } = &self.state else {
            return Step::Reply(self.no_transaction());
        };
        if envelope.recipients.len() >= self.rules.max_recipients {
            return Step::Reply(Reply::too_many_recipients());
        }
        let needs_utf8 = !to.is_ascii() || !parameters.is_ascii();
        if needs_utf8 && !envelope.parameters.smtputf8 {
            self.refuse_recipient();
            return Step::Reply(Reply::recipient_needs_smtputf8());
        }
        if !self.offered.allow_rcpt(&parameters) {
            self.refuse_recipient();
            return Step::Reply(Reply::unknown_parameter());
        }
        Step::AskRecipient(Recipient { address: to, parameters })
    }

    fn data(&mut self) -> Step {
        match &self.state {
            State::Transaction { envelope, .. } if !envelope.recipients.is_empty() => Step::ReadMessage,
            State::Transaction { refused: 1.., .. } => Step::Reply(Reply::no_valid_recipients()),
            _ => Step::Reply(self.no_transaction()),
        }
    }

    fn no_transaction(&self) -> Reply {
        match self.state {
            State::Lost => Reply::upstream_lost(),
            _ => Reply::bad_sequence(),
        }
    }

    fn starttls(&mut self) -> Step {
        if self.encrypted || self.envelope().is_some() {
            return Step::Reply(Reply::bad_sequence()); // R81
        }
        if !self.offered.starttls {
            // Either nobody said EHLO yet or there is no certificate.
            return Step::Reply(if self.hello.is_none() { Reply::bad_sequence() } else { Reply::tls_unavailable() });
        }
        Step::StartTls
    }

    fn auth(&mut self, mechanism: String, initial_response: Option<String>) -> Step {
        if self.user.is_some() || self.envelope().is_some() || !self.is_extended() {
            return Step::Reply(Reply::bad_sequence()); // R86
        }
        if !self.may_authenticate() {
            return Step::Reply(Reply::encryption_required());
        }
        if self.offered.auth.is_empty() {
            return Step::Reply(Reply::not_implemented());
        }
        if !self.offered.auth.iter().any(|offered| offered.eq_ignore_ascii_case(&mechanism)) {
            return Step::Reply(Reply::unknown_mechanism());
        }
        Step::Authenticate { mechanism, initial_response }
    }

    /// What the EHLO reply the client has just read offered.
    pub fn offered(&mut self, offered: Capabilities) {
        self.offered = offered;
    }

    /// Upstream said 2xx to MAIL.
    pub fn accept_sender(&mut self, from: ReversePath, parameters: MailParameters) {
        self.state = State::Transaction { envelope: Envelope { from, parameters, recipients: Vec::new() }, refused: 0 };
    }

    /// Upstream said 2xx to RCPT.
    pub fn accept_recipient(&mut self, recipient: Recipient) {
        if let State::Transaction { envelope, .. } = &mut self.state {
            envelope.recipients.push(recipient);
        }
    }

    /// Upstream, or the policy, said no to RCPT.
    pub fn refuse_recipient(&mut self) {
        if let State::Transaction { refused, .. } = &mut self.state {
            *refused += 1;
        }
    }

    /// The message was answered with success: the client does useful work.
    pub fn message_accepted(&mut self) {
        self.errors = 0;
        self.idle_commands = 0;
    }

    /// Takes the envelope out; nothing of the transaction is left behind.
    pub fn take_envelope(&mut self) -> Option<Envelope> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle | State::Lost => None,
            State::Transaction { envelope, .. } => Some(envelope),
        }
    }

    /// Upstream is gone and with it the transaction; RCPT and DATA are put off until the client starts anew.
    pub fn lose_transaction(&mut self) {
        self.state = State::Lost;
    }

    /// A login upstream refused counts as an error (R10). The reply that ends the session, when it was one too many.
    pub fn login_refused(&mut self) -> Option<Reply> {
        self.errors += 1;
        (self.errors >= self.rules.max_errors).then(Reply::too_many_errors)
    }

    /// The one function that ends a transaction (R9).
    pub fn reset(&mut self) {
        self.state = State::Idle;
    }

    /// The handshake is done: everything said in clear is forgotten (RFC 3207 section 4.2).
    pub fn encrypted(&mut self) {
        self.reset();
        self.encrypted = true;
        self.hello = None;
        self.offered = Capabilities::default();
    }

    /// Upstream said 235.
    pub fn authenticated(&mut self, user: String) {
        self.reset();
        self.user = Some(user);
    }
}

/// Refusals of ours that are the client's mistake; a recipient too many is not one.
fn is_client_error(reply: &Reply) -> bool {
    reply.is_permanent() && reply.code() != 552
}

#[cfg(test)]
mod tests;

//! What follows from a message to the gate: who it is about, and what is written down.
//!
//! Everything in it may be forged. A bounce or a complaint counts only for a token that we sealed or a message that we
//! sent; a From field alone can do nothing but object.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use serde_json::json;

use super::record::Mail;
use crate::consent::event::{Actor, ConsentEvent, EventType, stable_id};
use crate::consent::token::{HashKeys, SealingKeys, UnsubscribeToken};
use crate::message::incoming::{
    Action, ComplaintReport, Feedback, Incoming, RecipientReport, Returned, UnsubscribeRequest,
};
use crate::policy::bounce::{self, Weight, weigh};
use crate::policy::rules::{Policy, Scope};
use crate::smtp::address::{EmailAddress, Width};
use crate::store::{Reader, StoreError, Suppress};
use crate::web::objection::{self, Mechanism, Objection, Who};

/// How long after a message a report about it is believed without a token. MTAs give up after five days.
const RECENT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// One thing to write down.
#[derive(Debug)]
pub enum Deed {
    Object(Objection),
    Event(Box<ConsentEvent>),
    Suppress(Suppress),
    /// A person has to look at it.
    Keep(Keep),
}

/// Why, and whom it may be about.
#[derive(Debug)]
pub struct Keep {
    pub why: &'static str,
    pub controller: Option<String>,
    pub address: Option<EmailAddress>,
}

/// What came of a message.
#[derive(Debug)]
pub struct Judgement {
    /// For the log: what it was, and what became of it.
    pub told: &'static str,
    pub deeds: Vec<Deed>,
}

impl Judgement {
    fn nothing(told: &'static str) -> Judgement {
        Judgement { told, deeds: Vec::new() }
    }

    fn of(told: &'static str, deeds: Vec<Deed>) -> Judgement {
        Judgement { told, deeds }
    }

    fn keep(why: &'static str, controller: Option<String>, address: Option<EmailAddress>) -> Judgement {
        Judgement { told: why, deeds: vec![Deed::Keep(Keep { why, controller, address })] }
    }
}

pub struct Judge<'a> {
    pub reader: &'a mut Reader,
    pub policy: &'a Policy,
    pub sealing: &'a SealingKeys,
    pub hashing: &'a HashKeys,
    pub mail: &'a Mail<'a>,
}

impl Judge<'_> {
    pub fn judge(&mut self, incoming: &Incoming) -> Result<Judgement, StoreError> {
        match incoming {
            Incoming::Automatic => Ok(Judgement::nothing("automatic_reply")),
            Incoming::Request(request) => Ok(self.request(request)),
            Incoming::Delivery { recipients, returned } => self.delivery(recipients, returned),
            Incoming::Complaint { report, returned } => self.complaint(report, returned),
            Incoming::Unclear { why, returned } => {
                let token = self.open(&returned.tokens);
                let address = token.as_ref().map(|token| self.address_of(token, &[])).transpose()?.flatten();
                Ok(Judgement::keep(why.as_str(), token.map(|token| token.controller), address))
            }
        }
    }

    fn open(&self, tokens: &[String]) -> Option<UnsubscribeToken> {
        tokens.iter().find_map(|token| UnsubscribeToken::open(token, self.sealing).ok())
    }

    /// A letter to the unsubscribe address: the token says who and what, else who signs asks for everything.
    fn request(&self, request: &UnsubscribeRequest) -> Judgement {
        let in_subject = self.open(&request.in_subject);
        let is_quoted = in_subject.is_none();
        let in_body = if request.automatic { None } else { self.open(&request.in_body) };
        if let Some(token) = in_subject.or(in_body) {
            let from_agrees = request.from.as_ref().map(|from| self.is_of(&token, from));
            if let (true, Some(false), Some(from)) = (is_quoted, from_agrees, &request.from) {
                // Who answers a message that was passed on speaks for themselves, not for whom it was sent to.
                return Judgement::of("unsubscribed", vec![self.object(from, &token.controller)]);
            }
            let (topics, controller) = (self.scope_of(&token), token.controller.clone());
            let who = Who::Letter { token, from_agrees };
            let objection = Objection {
                who,
                controller,
                topics,
                mechanism: Mechanism::Mailto,
                wrong_address: false,
                at: self.mail.at,
            };
            return Judgement::of("unsubscribed", vec![Deed::Object(objection)]);
        }
        if request.automatic {
            return Judgement::nothing("automatic_message");
        }
        let Some(from) = &request.from else {
            return Judgement::keep("request_without_from", self.controllers().next().map(str::to_owned), None);
        };
        if self.mail.to.iter().any(|mailbox| mailbox.consent_key() == from.consent_key()) {
            return Judgement::nothing("from_ourselves");
        }
        let deeds: Vec<Deed> = self.controllers().map(|controller| self.object(from, controller)).collect();
        match deeds.len() {
            // To a mailbox for reports nobody writes who wants to leave.
            0 => Judgement::keep("not_a_report", None, Some(from.clone())),
            _ => Judgement::of("unsubscribed", deeds),
        }
    }

    fn object(&self, from: &EmailAddress, controller: &str) -> Deed {
        Deed::Object(Objection {
            who: Who::Sender(from.clone()),
            controller: controller.to_owned(),
            topics: Vec::new(),
            mechanism: Mechanism::Mailto,
            wrong_address: false,
            at: self.mail.at,
        })
    }

    /// Those whose unsubscribe address the message was sent to.
    fn controllers(&self) -> impl Iterator<Item = &str> {
        let is_asked = |mailbox: &str| {
            EmailAddress::parse(mailbox)
                .is_ok_and(|mailbox| self.mail.to.iter().any(|to| to.consent_key() == mailbox.consent_key()))
        };
        let own = move |controller: &&crate::policy::rules::Controller| {
            controller.unsubscribe_mailto.as_deref().is_some_and(is_asked)
        };
        self.policy.controllers.values().filter(own).map(|controller| controller.id.as_str())
    }

    fn scope_of(&self, token: &UnsubscribeToken) -> Vec<String> {
        match self.policy.knobs.unsubscribe_scope {
            Scope::Topic => token.topics.clone(),
            Scope::Everything => Vec::new(),
        }
    }

    /// Whether a link was made for this address.
    fn is_of(&self, token: &UnsubscribeToken, address: &EmailAddress) -> bool {
        let key = address.objection_key(Width::WIDEST);
        self.hashing.all_hashes(&token.controller, &key).contains(&token.hash)
    }

    /// Whose link it is: by its row, or because a report names the address that its hash is of.
    fn address_of(
        &mut self,
        token: &UnsubscribeToken,
        named: &[&EmailAddress],
    ) -> Result<Option<EmailAddress>, StoreError> {
        let contact = objection::of_token(self.reader, self.hashing, token)?;
        let by_hash = || named.iter().find(|address| self.is_of(token, address)).map(|address| (*address).clone());
        Ok(contact.map(|contact| contact.address).or_else(by_hash))
    }

    fn delivery(&mut self, recipients: &[RecipientReport], returned: &Returned) -> Result<Judgement, StoreError> {
        let Some(token) = self.open(&returned.tokens) else {
            return self.delivery_without_token(recipients, returned);
        };
        let named: Vec<&EmailAddress> = recipients.iter().flat_map(addresses).collect();
        let Some(address) = self.address_of(&token, &named)? else {
            return Ok(Judgement::nothing("bounce_of_nobody"));
        };
        let own: Vec<&RecipientReport> =
            recipients.iter().filter(|report| addresses(report).any(|named| self.is_of(&token, named))).collect();
        // A copy went to one person: a report on another address is one on where that person's mail is sent on to.
        let forwarded = own.is_empty();
        let about = if forwarded { recipients.iter().collect() } else { own };
        let Some(report) = about.into_iter().max_by_key(|report| gravity(report)) else {
            return Ok(Judgement::nothing("no_failure"));
        };
        let bounce = Bounce { address, controller: token.controller.clone(), forwarded, token: Some(&token) };
        Ok(self.bounce(bounce, report))
    }

    /// Each recipient by the mail that went to it.
    fn delivery_without_token(
        &mut self,
        recipients: &[RecipientReport],
        returned: &Returned,
    ) -> Result<Judgement, StoreError> {
        let mut judged = Judgement::nothing("bounce_of_nobody");
        for report in recipients.iter().filter(|report| gravity(report) > Gravity::None) {
            for address in addresses(report) {
                let found = match self.sent_to(address, returned.message_id.as_deref())? {
                    Sent::Nothing => continue,
                    Sent::Other => Judgement::keep("bounce_of_another_message", None, Some(address.clone())),
                    Sent::Several => Judgement::keep("bounce_of_several", None, Some(address.clone())),
                    Sent::By(controller) => {
                        let bounce = Bounce { address: address.clone(), controller, forwarded: false, token: None };
                        self.bounce(bounce, report)
                    }
                };
                judged.told = found.told;
                // One message is kept once.
                let has_kept = judged.deeds.iter().any(|deed| matches!(deed, Deed::Keep(_)));
                judged.deeds.extend(found.deeds.into_iter().filter(|deed| !has_kept || !matches!(deed, Deed::Keep(_))));
                break;
            }
        }
        Ok(judged)
    }

    /// In whose name mail went to this address of late: the message that came back, where it says which it is.
    fn sent_to(&mut self, address: &EmailAddress, message_id: Option<&str>) -> Result<Sent, StoreError> {
        let sent = self.reader.mail_sent_to(address, self.mail.at - RECENT)?;
        if sent.is_empty() {
            return Ok(Sent::Nothing);
        }
        // A report that names no message of ours could be written by anybody about anybody.
        let named = |sent: Option<&str>| message_id.is_some() && sent == message_id;
        let same: Vec<_> = sent.into_iter().filter(|mail| named(mail.message_id.as_deref())).collect();
        if same.is_empty() {
            return Ok(Sent::Other);
        }
        let mut controllers: Vec<String> = same.into_iter().filter_map(|mail| mail.controller).collect();
        controllers.sort();
        controllers.dedup();
        Ok(match controllers.len() {
            0 => Sent::Nothing, // in nobody's name
            1 => Sent::By(controllers.remove(0)),
            _ => Sent::Several,
        })
    }

    fn bounce(&self, bounce: Bounce<'_>, report: &RecipientReport) -> Judgement {
        let (hard, told) = match gravity(report) {
            Gravity::None => return Judgement::nothing("no_failure"),
            Gravity::Unclear => {
                return Judgement::keep("status_unclear", Some(bounce.controller), Some(bounce.address));
            }
            Gravity::Soft => (false, "bounced"),
            Gravity::Hard => (true, "bounced_for_good"),
        };
        let code = report.status.map(|status| status.to_string()).or(report.reply_code.map(|code| code.to_string()));
        let evidence = json!({
            "proof": if bounce.token.is_some() { "token_in_report" } else { "message_in_journal" },
            "link_issued_at": bounce.token.map(|token| token.issued_at),
            "forwarded": bounce.forwarded,
        });
        let event = ConsentEvent {
            source: Some("inbox:delivery_report".into()),
            evidence: Some(evidence),
            note: bounce.forwarded.then(|| "the report is on another address, to which this one is sent on".into()),
            code,
            ..bounce::event(bounce.address, &bounce.controller, hard, self.mail.at, self.policy)
        };
        Judgement::of(told, vec![Deed::Event(Box::new(event))])
    }

    fn complaint(&mut self, report: &ComplaintReport, returned: &Returned) -> Result<Judgement, StoreError> {
        match report.feedback {
            Feedback::NotSpam => return Ok(Judgement::nothing("not_spam")),
            Feedback::Authentication => return Ok(Judgement::nothing("about_signatures")),
            Feedback::Complaint | Feedback::OptOut | Feedback::Other => {}
        }
        let named: Vec<&EmailAddress> = report.recipients.iter().collect();
        if let Some(token) = self.open(&returned.tokens) {
            let address = self.address_of(&token, &named)?;
            return Ok(self.complaint_by_token(&report.feedback, token, address));
        }
        for address in named {
            if let Sent::By(controller) = self.sent_to(address, returned.message_id.as_deref())? {
                return Ok(match report.feedback {
                    Feedback::Complaint => {
                        let about =
                            returned.message_id.clone().unwrap_or_else(|| URL_SAFE_NO_PAD.encode(self.mail.digest()));
                        let evidence = json!({ "proof": "message_in_journal" });
                        let event = self.complaint_event(address.clone(), &controller, &about, evidence);
                        Judgement::of("complaint", vec![Deed::Event(Box::new(event))])
                    }
                    Feedback::OptOut => Judgement::of("unsubscribed", vec![self.object(address, &controller)]),
                    _ => Judgement::keep("feedback_unclear", Some(controller), Some(address.clone())),
                });
            }
        }
        Ok(Judgement::keep("complaint_of_nobody_known", None, None))
    }

    fn complaint_by_token(
        &self,
        feedback: &Feedback,
        token: UnsubscribeToken,
        address: Option<EmailAddress>,
    ) -> Judgement {
        match (feedback, address) {
            (Feedback::OptOut, _) => {
                let (topics, controller) = (self.scope_of(&token), token.controller.clone());
                let who = Who::Letter { token, from_agrees: None };
                let objection = Objection {
                    who,
                    controller,
                    topics,
                    mechanism: Mechanism::Complaint,
                    wrong_address: false,
                    at: self.mail.at,
                };
                Judgement::of("unsubscribed", vec![Deed::Object(objection)])
            }
            (Feedback::Complaint, Some(address)) => {
                let evidence = json!({ "proof": "token_in_report", "link_issued_at": token.issued_at });
                let about = token.issued_at.to_string();
                let event = self.complaint_event(address, &token.controller, &about, evidence);
                let topics = (!token.topics.is_empty()).then_some(token.topics);
                Judgement::of("complaint", vec![Deed::Event(Box::new(ConsentEvent { topics, ..event }))])
            }
            // Of somebody whose data are gone the mark remains.
            (Feedback::Complaint, None) => {
                let topics = match self.policy.knobs.complaint_scope {
                    Scope::Topic => token.topics,
                    Scope::Everything => Vec::new(),
                };
                let mechanism = Mechanism::Complaint.as_str().to_owned();
                let (controller, hash, at) = (token.controller, token.hash, self.mail.at);
                Judgement::of("complaint", vec![Deed::Suppress(Suppress { controller, hash, topics, at, mechanism })])
            }
            (_, address) => Judgement::keep("feedback_unclear", Some(token.controller), address),
        }
    }

    /// `about`: which message; the same complaint, sent again, is the same event.
    fn complaint_event(
        &self,
        address: EmailAddress,
        controller: &str,
        about: &str,
        evidence: serde_json::Value,
    ) -> ConsentEvent {
        let same = json!([address.consent_key(), controller, about]);
        ConsentEvent {
            at: Some(self.mail.at),
            recorded_at: Some(self.mail.at),
            actor: Some(Actor::Person),
            source: Some("inbox:complaint".into()),
            id: Some(stable_id("complaint", &same)),
            evidence: Some(evidence),
            ..ConsentEvent::new(address, controller, EventType::Complaint)
        }
    }
}

/// In whose name mail went to an address.
enum Sent {
    Nothing,
    /// There was mail, but not this message.
    Other,
    By(String),
    Several,
}

/// Whom a bounce is about.
struct Bounce<'a> {
    address: EmailAddress,
    controller: String,
    /// The report names another address.
    forwarded: bool,
    token: Option<&'a UnsubscribeToken>,
}

/// How much one recipient's part of a report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gravity {
    /// It went, or it is still being tried.
    None,
    Unclear,
    Soft,
    Hard,
}

fn gravity(report: &RecipientReport) -> Gravity {
    match report.action {
        Action::Delayed | Action::Delivered | Action::Relayed | Action::Expanded => Gravity::None,
        Action::Unknown => Gravity::Unclear,
        Action::Failed => match weigh(report.status, report.reply_code) {
            Weight::Hard => Gravity::Hard,
            Weight::Soft => Gravity::Soft,
            Weight::Unclear => Gravity::Unclear,
        },
    }
}

/// To whom it was sent before to whom it went.
fn addresses(report: &RecipientReport) -> impl Iterator<Item = &EmailAddress> {
    report.original.iter().chain(&report.last)
}

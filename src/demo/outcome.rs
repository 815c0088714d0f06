//! What became of the sample messages: decisions from the journal, copies from the catcher, replies from the mailer.

use serde::Serialize;

use super::DemoError;
use super::catcher::Caught;
use super::mailer::{Mailer, Told};
use super::samples::Sample;
use super::stage::Stage;
use crate::message::head::{HeadLimits, MessageHead};
use crate::smtp::reply::Reply;
use crate::store::Filter;

/// More decisions than the samples can make.
const PLENTY: usize = 10_000;

/// One decision, beside what really arrived.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The sample's name.
    pub message: String,
    #[serde(rename = "ref")]
    pub reference: String,
    pub class: String,
    pub class_rule: String,
    pub class_evidence: Vec<String>,
    pub controller: Option<String>,
    pub topics: Vec<String>,
    pub recipient: String,
    pub decision: String,
    pub reason: String,
    pub basis: Option<String>,
    pub because: String,
    pub events: Vec<i64>,
    /// How many copies the catching upstream has for this recipient.
    pub arrived: usize,
}

/// A message that was sent and the reply to it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub sample: Sample,
    pub told: Told,
}

/// Sends the samples one after the other over one connection.
pub fn send_all(stage: &Stage, samples: Vec<Sample>) -> Result<Vec<Sent>, DemoError> {
    let failed = || DemoError::io("sending through the gate");
    let mut mailer = Mailer::connect(stage.addresses.gate).map_err(failed())?;
    let mut sent = Vec::new();
    for sample in samples {
        let told = mailer.send(&sample).map_err(failed())?;
        sent.push(Sent { sample, told });
    }
    mailer.quit().map_err(failed())?;
    Ok(sent)
}

/// The journal's decisions about these messages, the oldest first.
pub fn rows(stage: &Stage, sent: &[Sent]) -> Result<Vec<Row>, DemoError> {
    let decisions = stage.reader()?.decisions_since(&Filter::default(), 0, PLENTY)?;
    let caught = stage.catcher.caught();
    let mut rows = Vec::new();
    for (message, decision) in decisions {
        let is_it = |sent: &&Sent| message.message_id.as_deref() == Some(sent.sample.message_id.as_str());
        let Some(Sent { sample, .. }) = sent.iter().find(is_it) else { continue };
        let arrived = copies(&caught, sample).filter(|copy| copy.to.contains(&decision.recipient)).count();
        rows.push(Row {
            message: sample.name.clone(),
            reference: message.reference,
            class: message.class,
            class_rule: message.class_rule,
            class_evidence: message.class_evidence,
            controller: message.controller,
            topics: message.topics,
            recipient: decision.recipient,
            decision: decision.decision,
            reason: decision.reason,
            basis: decision.basis,
            because: decision.because.to_string(),
            events: decision.events,
            arrived,
        });
    }
    Ok(rows)
}

/// The copies of one message that reached the upstream; notices about it are not among them.
pub fn copies<'a>(caught: &'a [Caught], sample: &'a Sample) -> impl Iterator<Item = &'a Caught> {
    caught.iter().filter(|caught| field(&caught.message, "message-id").as_deref() == Some(&sample.message_id))
}

/// The notice about withheld recipients of one message.
pub fn notice(stage: &Stage, sample: &Sample) -> Result<Caught, DemoError> {
    let is_it = |caught: &Caught| {
        caught.from.is_empty()
            && caught.to == [sample.from.as_str()]
            && String::from_utf8_lossy(&caught.message).contains(&sample.message_id)
    };
    stage.catcher.wait_for(is_it).ok_or(DemoError::Overdue("the notice about withheld recipients"))
}

/// The header fields that stand above what was sent: those the gate added.
pub fn added_fields(copy: &Caught, sample: &Sample) -> String {
    let text = String::from_utf8_lossy(&copy.message).into_owned();
    let first = String::from_utf8_lossy(&sample.message).lines().next().unwrap_or_default().to_owned();
    let end = text.find(&format!("\n{first}")).map_or(0, |at| at + 1);
    text[..end].replace("\r\n", "\n")
}

/// The unsubscribe link of a copy.
pub fn unsubscribe_link(copy: &Caught) -> Option<String> {
    let value = field(&copy.message, "list-unsubscribe")?;
    let links = value.split(',').map(|link| link.trim().trim_matches(['<', '>']));
    links.into_iter().find(|link| link.starts_with("http")).map(str::to_owned)
}

/// A reply as it stood on the wire.
pub fn reply_lines(reply: &Reply) -> Vec<String> {
    String::from_utf8_lossy(&reply.to_bytes(false)).lines().map(str::to_owned).collect()
}

fn field(message: &[u8], name: &str) -> Option<String> {
    let head = MessageHead::locate(message, &HeadLimits::default()).ok()?;
    head.fields(message).find(|field| field.is(name)).map(|field| field.unfolded())
}

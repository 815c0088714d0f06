//! Reason codes: one per cause, stable, read by people, scripts and mailers.

use std::fmt;
use std::str::FromStr;

use super::word::{Word, words};

words! {
    /// Why a recipient got a message or did not.
    pub enum Reason {
        SvcOk = "SVC_OK",
        SvcSystem = "SVC_SYSTEM",
        SvcDoi = "SVC_DOI",
        SvcRights = "SVC_RIGHTS",
        SvcRetention = "SVC_RETENTION",
        OkOptIn = "OK_OPT_IN",
        OkCustomer = "OK_CUSTOMER",
        OkProfessional = "OK_PROFESSIONAL",
        OkGeneric = "OK_GENERIC",
        OkNoncommercial = "OK_NONCOMMERCIAL",
        ObjGlobal = "OBJ_GLOBAL",
        ObjTopic = "OBJ_TOPIC",
        ObjComplaint = "OBJ_COMPLAINT",
        ObjHash = "OBJ_HASH",
        ConsentNone = "CONSENT_NONE",
        ConsentNoAnswer = "CONSENT_NO_ANSWER",
        ConsentPreticked = "CONSENT_PRETICKED",
        ConsentTerms = "CONSENT_TERMS",
        ConsentConditioned = "CONSENT_CONDITIONED",
        ConsentSilence = "CONSENT_SILENCE",
        ConsentNoProof = "CONSENT_NO_PROOF",
        ConsentNotInformed = "CONSENT_NOT_INFORMED",
        ConsentPending = "CONSENT_PENDING",
        ConsentDoiLate = "CONSENT_DOI_LATE",
        ConsentTopic = "CONSENT_TOPIC",
        ConsentChannel = "CONSENT_CHANNEL",
        ConsentController = "CONSENT_CONTROLLER",
        ConsentExpired = "CONSENT_EXPIRED",
        CustState = "CUST_STATE",
        CustController = "CUST_CONTROLLER",
        CustNotDirect = "CUST_NOT_DIRECT",
        CustNotInformed = "CUST_NOT_INFORMED",
        CustNoRefusalOffered = "CUST_NO_REFUSAL_OFFERED",
        CustFamily = "CUST_FAMILY",
        CustFamilyUnknown = "CUST_FAMILY_UNKNOWN",
        CustKind = "CUST_KIND",
        CustExpired = "CUST_EXPIRED",
        ProSubject = "PRO_SUBJECT",
        ProFunctionUnknown = "PRO_FUNCTION_UNKNOWN",
        ProNotInformed = "PRO_NOT_INFORMED",
        ProStrict = "PRO_STRICT",
        ProExpired = "PRO_EXPIRED",
        GenDenied = "GEN_DENIED",
        GenAttention = "GEN_ATTENTION",
        GenExpired = "GEN_EXPIRED",
        ProvHarvested = "PROV_HARVESTED",
        ProvThirdParty = "PROV_THIRD_PARTY",
        ProvPurpose = "PROV_PURPOSE",
        ProvReply = "PROV_REPLY",
        ProvUnknown = "PROV_UNKNOWN",
        FreqCap = "FREQ_CAP",
        MsgNoOptout = "MSG_NO_OPTOUT",
        MsgIdentity = "MSG_IDENTITY",
        ClassUnknown = "CLASS_UNKNOWN",
        ClassConflict = "CLASS_CONFLICT",
        SenderUnmapped = "SENDER_UNMAPPED",
        ClassCeiling = "CLASS_CEILING",
        StoreUnavailable = "STORE_UNAVAILABLE",
        EndpointDown = "ENDPOINT_DOWN",
        AddrMalformed = "ADDR_MALFORMED",
        AddrDead = "ADDR_DEAD",
    }
}

/// Text that is no reason code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownReason;

impl fmt::Display for UnknownReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no such reason code; write one like OBJ_TOPIC")
    }
}

impl std::error::Error for UnknownReason {}

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(code: &str) -> Result<Reason, UnknownReason> {
        Reason::from_word(code).ok_or(UnknownReason)
    }
}

impl Reason {
    /// What the mailer is told, with the topics in question (cleaned, possibly none).
    pub(super) fn sentence(self, topics: &str) -> String {
        let about = if topics.is_empty() { "this mail".to_owned() } else { topics.to_owned() };
        match self {
            Reason::ConsentNone => format!("no consent on record for {about}"),
            Reason::ConsentTopic => format!("the consent on record is not for {about}"),
            Reason::ConsentExpired => format!("the consent for {about} has expired"),
            Reason::ConsentPending => format!("the consent for {about} is not confirmed"),
            Reason::ObjTopic => format!("the recipient objected to {about}"),
            _ => self.plain_sentence().to_owned(),
        }
    }

    fn plain_sentence(self) -> &'static str {
        use Reason as R;
        match self {
            R::SvcOk | R::SvcDoi | R::SvcRights | R::SvcRetention => "service mail",
            R::SvcSystem => "mail made by a mail system",
            R::OkOptIn | R::OkCustomer | R::OkProfessional | R::OkGeneric | R::OkNoncommercial => "permitted",
            R::ObjTopic => "the recipient objected to this topic",
            R::ObjGlobal => "the recipient objected to all such mail",
            R::ObjComplaint => "the recipient complained about such mail",
            R::ObjHash => "an objection is on record",
            R::ConsentNone => "no consent on record",
            R::ConsentNoAnswer => "the question for consent was left unanswered",
            R::ConsentPreticked => "a box ticked beforehand is no consent",
            R::ConsentTerms => "accepted terms are no consent",
            R::ConsentConditioned => "consent given in exchange is no consent",
            R::ConsentSilence => "silence is no consent",
            R::ConsentNoProof => "the consent on record is not proven",
            R::ConsentNotInformed => "the consent on record does not say which text was shown",
            R::ConsentPending => "the consent on record is not confirmed",
            R::ConsentDoiLate => "the consent was confirmed too late",
            R::ConsentTopic => "the consent on record is for another topic",
            R::ConsentChannel => "the consent on record is not for e-mail",
            R::ConsentController => "the consent on record was given to another sender",
            R::ConsentExpired => "the consent on record has expired",
            R::CustState | R::CustController | R::CustNotDirect | R::CustNotInformed | R::CustNoRefusalOffered => {
                "no consent on record, and the purchase does not stand in for it"
            }
            R::CustFamily | R::CustFamilyUnknown | R::CustKind => {
                "no consent on record, and this mail goes beyond what was bought"
            }
            R::CustExpired => "no consent on record, and the last purchase is too old",
            R::ProSubject | R::ProFunctionUnknown => {
                "no consent on record, and the subject is not known to concern the job"
            }
            R::ProNotInformed | R::ProStrict => "no consent on record for this professional address",
            R::ProExpired | R::GenExpired => "no consent on record, and the last contact is too old",
            R::GenDenied => "generic addresses need consent here",
            R::GenAttention => "mail to a generic address has to name the function it is for",
            R::ProvHarvested => "the address was collected by harvesting",
            R::ProvThirdParty => "the address came from a third party",
            R::ProvPurpose => "the address was given for another purpose",
            R::ProvReply => "the address is only known from a reply",
            R::ProvUnknown => "the origin of the address is not known",
            R::FreqCap => "the recipient's limit for such mail is reached",
            R::MsgNoOptout => "the message offers no way out",
            R::MsgIdentity => "the From address is not the sender's own",
            R::ClassUnknown => "the message cannot be classified",
            R::ClassConflict => "the message contradicts itself about its class",
            R::SenderUnmapped => "the sender is not registered here",
            R::ClassCeiling => "only service mail may be sent here",
            R::StoreUnavailable => "the consent store gives no answer",
            R::EndpointDown => "the unsubscribe link is out of order",
            R::AddrMalformed => "the address hides whose consent is asked",
            R::AddrDead => "the address has bounced for good",
        }
    }

    /// Whether another message to the same person might have fared better: about something else, of another kind.
    pub(super) fn hangs_on_the_content(self) -> bool {
        ["CONSENT_", "CUST_", "PRO_", "GEN_"].iter().any(|group| self.as_str().starts_with(group))
    }

    /// Whether the recipient's address can take other mail, which the mailer is told lest it cleans its list.
    pub(super) fn address_is_fine(self) -> bool {
        !matches!(self, Reason::AddrMalformed | Reason::AddrDead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_and_written_the_same_in_json() {
        for (code, reason) in Reason::WORDS {
            assert_eq!(code.parse(), Ok(*reason));
            assert_eq!(serde_json::to_string(reason).unwrap(), format!("\"{code}\""));
            assert_eq!(format!("{reason}"), *code);
        }
        assert_eq!("obj_topic".parse::<Reason>(), Err(UnknownReason));
    }

    #[test]
    fn no_sentence_can_break_a_reply_line() {
        for (_, reason) in Reason::WORDS {
            let sentence = reason.sentence("offers/books");
            assert!(!sentence.is_empty() && sentence.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{sentence}");
        }
    }
}

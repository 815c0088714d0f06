//! The mail that asks to confirm a request: nothing but the question, and the link to the page that takes the answer.

use std::sync::Arc;

use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};

use super::page::topic_label;
use super::public::{Mailing, PublicPages};
use super::site::Site;
use crate::consent::confirm::ConfirmToken;
use crate::consent::event::RecordedEvent;
use crate::consent::token::{HashKeys, SealingKeys};
use crate::message::own::Letter;
use crate::policy::form::id_in_source;
use crate::policy::rules::Policy;
use crate::policy::sign_up::{deadline, needs_a_tick};
use crate::smtp::address::Width;

/// As the policy knows such mail.
pub const KIND: &str = "doi_request";

/// What it takes to write one.
#[derive(Clone)]
pub struct Questions {
    pub site: Arc<Site>,
    pub sealing_keys: SealingKeys,
    pub hash_keys: HashKeys,
    pub base_url: String,
}

impl Questions {
    pub fn of(pages: &PublicPages) -> Questions {
        Questions {
            site: pages.site.clone(),
            sealing_keys: pages.sealing_keys.clone(),
            hash_keys: pages.hash_keys.clone(),
            base_url: pages.base_url.clone(),
        }
    }

    /// To whoever reads the mail of the request's address. `None`: its controller is gone, or the system gives no random
    /// bytes.
    pub fn mailing(
        &self,
        policy: &Policy,
        request: &RecordedEvent,
        language: &str,
        repeated: bool,
        now: Timestamp,
    ) -> Option<Mailing> {
        let event = &request.event;
        let controller = policy.controllers.get(&event.controller)?;
        let locale = self.site.locale_of([&language.to_owned()]).of(Some(controller));
        let mut topics: Vec<String> =
            event.topics.iter().flatten().map(|path| format!("- {}", topic_label(policy, path, &locale))).collect();
        let form = event.source.as_deref().and_then(id_in_source).and_then(|id| policy.form(&controller.id, id));
        let partners: Vec<&str> = form.iter().flat_map(|form| form.partners.values()).map(String::as_str).collect();
        if !partners.is_empty() {
            topics.push(locale.say("subscribe-partners", &[("names", partners.join(", ").into())]));
        }
        let args = [
            ("sender", controller.name.as_str().into()),
            ("topics", topics.join("\n").into()),
            ("link", self.link(request, now)?.into()),
            ("until", deadline(policy, request).to_string().into()),
        ];
        let asked = match needs_a_tick(request) {
            true => locale.say("question-told", &args),
            false => locale.say("question-asked", &args),
        };
        let mut body = vec![asked];
        body.extend(repeated.then(|| locale.say("question-repeated", &args)));
        body.push(locale.say("question-otherwise", &args));
        let letter = Letter {
            to: event.address.clone(),
            language: locale.tag(),
            subject: locale.say("question-subject", &args),
            text: body.join("\n\n") + "\n",
        };
        Some(Mailing { letter, kind: KIND, controller: Some(controller.id.clone()) })
    }

    fn link(&self, request: &RecordedEvent, now: Timestamp) -> Option<String> {
        let mut nonce = [0; 12];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let (controller, key) = (&request.event.controller, request.event.address.objection_key(Width::WIDEST));
        let hash = self.hash_keys.contact_hash(controller, &key);
        let token = ConfirmToken { controller: controller.clone(), request: request.seq, hash, issued_at: now };
        Some(format!("{}/confirm/{}", self.base_url, token.seal(&self.sealing_keys, nonce)))
    }
}

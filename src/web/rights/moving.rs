//! A new address: both mailboxes are proven, and the person says what goes along.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use ipnet::IpNet;
use minijinja::context;

use crate::policy::preferences::{Moving, Said, consents_to_move};
use crate::smtp::address::EmailAddress;
use crate::store::StoreError;
use crate::web::codes::{Errand, Proof};
use crate::web::fields::{Broken, Fields};
use crate::web::preferences::wording::Wording;
use crate::web::room::{Problem, Refusal, Room};

/// What the page that asks for the second code says again.
struct Pending<'a> {
    request: &'a str,
    problem: Option<Problem>,
    attempts_left: u8,
    agreed: &'a [&'a str],
}

impl Room<'_> {
    /// A code to the mailbox that is to take the place of the proven one.
    pub(super) async fn send_code_to_new(&self, fields: &Fields, network: Option<IpNet>) -> Response<Body> {
        let refused = |status, problem| self.answer(status, "own_data.html", context! { problem });
        let text = fields.one("address").unwrap_or_default();
        let Some(address) = EmailAddress::parse(text).ok().filter(|address| !address.hides_recipient()) else {
            return refused(StatusCode::BAD_REQUEST, Problem::NoAddress);
        };
        if self.guest.address().is_some_and(|old| old.consent_key() == address.consent_key()) {
            return refused(StatusCode::BAD_REQUEST, Problem::SameAddress);
        }
        match self.desk.send_code(&address, network, (self.page_for_a_stranger(), Errand::Own), &self.own_words()).await
        {
            Ok(request) => {
                let pending = Pending { request: &request, problem: None, attempts_left: 0, agreed: &[] };
                self.ask_new_code(StatusCode::OK, pending).await
            }
            Err(no_code) => match Refusal::of(no_code) {
                Some(refusal) => refusal.on(refused(refusal.status, refusal.problem)),
                None => self.unavailable(),
            },
        }
    }

    /// Where the code is asked for, without what led the person here: the new address may be mistyped.
    fn page_for_a_stranger(&self) -> &str {
        if self.path.starts_with("/p/") { "/p/me" } else { &self.path }
    }

    async fn ask_new_code(&self, status: StatusCode, pending: Pending<'_>) -> Response<Body> {
        let Ok(topics) = self.may_move().await else { return self.unavailable() };
        let wording = Wording::of_moving(self, &topics);
        let shown = |path: &String| (path.clone(), self.label(path), pending.agreed.contains(&path.as_str()));
        let topics: Vec<(String, String, bool)> = topics.iter().map(shown).collect();
        let Pending { request, problem, attempts_left, .. } = pending;
        let (question, info) = (wording.question, wording.info);
        self.answer(
            status,
            "own_move.html",
            context! { new_request => request, problem, attempts_left, topics, question, info },
        )
    }

    async fn may_move(&self) -> Result<Vec<String>, StoreError> {
        let Some(address) = self.guest.address() else { return Ok(Vec::new()) };
        let (known, _) = self.consult(address).await?;
        Ok(consents_to_move(&self.whom(address, &known)))
    }

    /// Both are the same person's.
    pub(super) async fn move_to_new(&self, fields: &Fields) -> Response<Body> {
        let (Some(request), Some(code)) = (fields.one("new-request"), fields.one("new-code")) else {
            return self.broken(Broken(StatusCode::BAD_REQUEST));
        };
        let agreed = fields.all("agreed");
        match self.desk.prove(request, code, Errand::Own) {
            Proof::Given(address) => match self.record_move(&address, &agreed).await {
                Ok(()) => self.answer(StatusCode::OK, "own_done.html", context! { done => "moved" }),
                Err(error) => self.not_recorded(&error),
            },
            Proof::Wrong { attempts_left } => {
                let problem = Some(Problem::WrongCode);
                self.ask_new_code(StatusCode::BAD_REQUEST, Pending { request, problem, attempts_left, agreed: &agreed })
                    .await
            }
            Proof::Over => {
                self.answer(StatusCode::BAD_REQUEST, "own_data.html", context! { problem => Problem::CodeIsOver })
            }
        }
    }

    async fn record_move(&self, new: &EmailAddress, agreed: &[&str]) -> Result<(), StoreError> {
        let Some(old) = self.guest.address() else { return Err(StoreError::Gone) };
        let ((known, seen), (known_of_new, _)) = (self.consult(old).await?, self.consult(new).await?);
        let wording = Wording::of_moving(self, &consents_to_move(&self.whom(old, &known)));
        let version = wording.version();
        let evidence = serde_json::json!({ "proof": "code_by_mail", "moved": true });
        let said = Said { source: "rights:code", text_version: &version, evidence, proven: true };
        let agreed: Vec<String> = agreed.iter().map(|topic| (*topic).to_owned()).collect();
        let moving = Moving { from: self.whom(old, &known), to: self.whom(new, &known_of_new), agreed: &agreed };
        let events = moving.events(&said);
        self.desk.pages.store.keep_text(wording.kept(self.now())).await?;
        self.desk.pages.store.record_events(events, seen, None).await?;
        tracing::info!(controller = self.controller, "moved to a new address at the person's request");
        Ok(())
    }
}

//! An answer is written down: the wording first, then the events, then the mail that asks.

use jiff::{SignedDuration, Timestamp};

use super::Visit;
use crate::consent::event::{EventType, RecordedEvent};
use crate::policy::sign_up::{Answer, SignUp, Standing};
use crate::smtp::address::EmailAddress;
use crate::store::{Asking, Store, StoreError};
use crate::web::public::Posting;
use crate::web::question::Questions;
/// Until a mail that upstream did not take is tried again.
const AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// A wording as it was shown.
#[derive(Clone, Debug)]
pub struct Shown {
    pub version: String,
    pub language: String,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The question is on its way.
    Asked,
    /// It will be.
    AskedLater,
    /// There was nothing to ask.
    Said,
}

/// Whether a wording is kept in this language.
pub async fn is_kept(store: &Store, shown: &Shown) -> Result<bool, StoreError> {
    let (store, shown) = (store.clone(), shown.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let texts = store.reader()?.text(&shown.version)?;
        Ok(texts.iter().any(|text| text.language == shown.language))
    });
    reading.await.unwrap_or(Err(StoreError::Gone))
}

pub async fn record(
    visit: &Visit<'_>,
    address: &EmailAddress,
    answer: &Answer,
    shown: &Shown,
    trace: Option<String>,
) -> Result<Recorded, StoreError> {
    let pages = &visit.counter.pages;
    let at = (pages.clock)();
    let standing = standing(visit, address, at).await?;
    if shown.version == visit.wording.version {
        pages.store.keep_text(visit.wording.kept(at)).await?;
    }
    let sign_up = SignUp {
        form: &visit.form,
        address,
        answer,
        text_version: &shown.version,
        language: &shown.language,
        trace,
        standing,
        at,
    };
    let mut request = None;
    for event in sign_up.events(&visit.policy) {
        let asks = event.kind == EventType::OptInPending;
        let seq = pages.store.record_event(event.clone()).await?;
        if asks {
            request = Some(RecordedEvent::new(seq, event, at));
        }
    }
    tracing::info!(controller = visit.form.controller, form = visit.form.id, "sign-up recorded");
    match request {
        Some(request) => ask(visit, &request, shown, at).await,
        None => Ok(Recorded::Said),
    }
}

async fn standing(visit: &Visit<'_>, address: &EmailAddress, at: Timestamp) -> Result<Standing, StoreError> {
    let (store, policy) = (visit.counter.pages.store.clone(), visit.policy.clone());
    let (controller, address) = (visit.form.controller.clone(), address.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let (known, _) = store.reader()?.consult(&controller, std::slice::from_ref(&address))?;
        let known = known.into_iter().next().unwrap_or_default();
        Ok(Standing::of(&policy, &controller, &address, &known, at))
    });
    reading.await.unwrap_or(Err(StoreError::Gone))
}

/// Counted as sent before it is: what is interrupted here is lost rather than sent twice, and who waits asks again.
async fn ask(visit: &Visit<'_>, request: &RecordedEvent, shown: &Shown, at: Timestamp) -> Result<Recorded, StoreError> {
    let pages = &visit.counter.pages;
    let reminder = visit.policy.knobs.doi_reminder;
    let due = reminder.and_then(|span| at.to_zoned(visit.policy.time_zone.clone()).checked_add(span).ok());
    let first =
        Asking { request: request.seq, language: shown.language.clone(), sent: 1, due: due.map(|due| due.timestamp()) };
    pages.store.keep_asking(first.clone()).await?;
    let mailing = Questions::of(pages).mailing(&visit.policy, request, &shown.language, false, at);
    let posting = match mailing {
        Some(mailing) => (pages.post)(mailing).await,
        None => Posting::NotNow,
    };
    if posting != Posting::NotNow {
        return Ok(Recorded::Asked);
    }
    pages.store.keep_asking(Asking { sent: 0, due: Some(at + AGAIN), ..first }).await?;
    Ok(Recorded::AskedLater)
}

//! Questions that are due: the reminder, what upstream did not take at first, and people whom somebody in a shop or on
//! the telephone has noted. Each is marked before it leaves and looked at again first: who has answered, or said no, is
//! not asked.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::pages;
use crate::config::PublicWeb;
use crate::consent::event::RecordedEvent;
use crate::policy::rules::Policy;
use crate::policy::sign_up::still_waits;
use crate::relay::gate::Gate;
use crate::store::{Asking, StoreError};
use crate::web::{Posting, Questions};

/// How often it is looked for what is due; an import of many is then asked about at a measured pace.
const EVERY: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 20;
/// Until a mail that upstream did not take is tried again.
const AGAIN: SignedDuration = SignedDuration::from_mins(15);

/// Asks for as long as the gate runs.
pub async fn keep(gate: &Arc<Gate>, web: Option<(PublicWeb, Questions)>) {
    let Some((web, questions)) = web else { return };
    loop {
        if let Err(error) = round(gate, &web, &questions, Timestamp::now()).await {
            tracing::warn!(%error, "questions that are due could not be looked for");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn round(gate: &Arc<Gate>, web: &PublicWeb, questions: &Questions, now: Timestamp) -> Result<(), StoreError> {
    for asking in read(gate, move |reader| reader.asking_due(now, AT_ONCE)).await? {
        let policy = gate.policy();
        match waiting(gate, &policy, &asking, now).await? {
            Some(request) => ask(gate, web, questions, &policy, &asking, &request, now).await?,
            None => gate.store.end_asking(asking.request).await?,
        }
    }
    Ok(())
}

/// The request, while it is still to be asked about.
async fn waiting(
    gate: &Arc<Gate>,
    policy: &Arc<Policy>,
    asking: &Asking,
    now: Timestamp,
) -> Result<Option<RecordedEvent>, StoreError> {
    if asking.sent > 0 && policy.knobs.doi_reminder.is_none() {
        return Ok(None);
    }
    let (policy, request) = (policy.clone(), asking.request);
    let look = move |reader: &mut crate::store::Reader| {
        let Some(request) = reader.event(request)? else { return Ok(None) };
        let address = request.event.address.clone();
        let (known, _) = reader.consult(&request.event.controller, std::slice::from_ref(&address))?;
        let known = known.into_iter().next().unwrap_or_default();
        Ok(still_waits(&policy, &request, &address, &known, now).then_some(request))
    };
    read(gate, look).await
}

async fn ask(
    gate: &Arc<Gate>,
    web: &PublicWeb,
    questions: &Questions,
    policy: &Policy,
    asking: &Asking,
    request: &RecordedEvent,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(mailing) = questions.mailing(policy, request, &asking.language, asking.sent > 0, now) else {
        return gate.store.end_asking(asking.request).await;
    };
    if !gate.store.take_asking(asking).await? {
        return Ok(());
    }
    let controller = request.event.controller.as_str();
    match pages::send(gate.clone(), web.clone(), mailing).await {
        Posting::OnItsWay => {
            tracing::info!(controller, reminder = asking.sent > 0, "asked to confirm");
            match reminder(policy, asking, now) {
                Some(due) => gate.store.keep_asking(Asking { sent: 1, due: Some(due), ..asking.clone() }).await,
                None => Ok(()),
            }
        }
        // It was asked often enough, or is no question any more.
        Posting::Withheld => Ok(()),
        // Nothing left, so it counts for nothing.
        Posting::NotNow => gate.store.keep_asking(Asking { due: Some(now + AGAIN), ..asking.clone() }).await,
    }
}

/// When to ask again, once, after the first mail.
fn reminder(policy: &Policy, asking: &Asking, now: Timestamp) -> Option<Timestamp> {
    let span = policy.knobs.doi_reminder.filter(|_| asking.sent == 0)?;
    let due = now.to_zoned(policy.time_zone.clone()).checked_add(span).ok()?;
    Some(due.timestamp())
}

async fn read<T: Send + 'static>(
    gate: &Arc<Gate>,
    look: impl FnOnce(&mut crate::store::Reader) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let gate = gate.clone();
    let reading = tokio::task::spawn_blocking(move || look(&mut gate.store.reader()?));
    reading.await.unwrap_or(Err(StoreError::Gone))
}

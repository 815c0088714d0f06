//! The gate watches its own unsubscribe address from outside: what mail readers cannot reach, it should notice first.

mod probe;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::config::PublicWeb;
use crate::policy::link;
use crate::policy::rules::Policy;
use crate::relay::gate::Gate;
use probe::{Probe, ProbeError};

/// Takes up what an earlier run of the gate has seen, before any mail is decided on.
pub fn remember(gate: &Gate) {
    match gate.store.reader().and_then(|mut reader| reader.link_failing_since()) {
        Ok(since) => gate.link.set(since.filter(|_| gate.settings.public_web.is_some())),
        Err(error) => tracing::error!("since when the unsubscribe address has been failing cannot be read: {error}"),
    }
}

/// Looks at once, and then every so often, for as long as it is polled.
pub async fn watch(gate: &Gate) {
    let Some(web) = &gate.settings.public_web else { return };
    let Some(probe) = Probe::of(web, gate.sealing.clone()) else { return };
    let mut watch = Watch { gate, web, told_down: false, is_kept: true };
    loop {
        let seen = probe.ask().await;
        watch.note(seen, Timestamp::now()).await;
        tokio::time::sleep(web.check_every).await;
    }
}

/// What a supervisor is told while the address fails.
pub fn warning(gate: &Gate) -> Option<String> {
    let (since, web) = (gate.link.failing_since()?, gate.settings.public_web.as_ref()?);
    let policy = gate.policy();
    let consequence = if link::is_down(&policy, since, Timestamp::now()) {
        "advertising is put off with 451"
    } else {
        "advertising will be put off when endpoint_grace is over"
    };
    let since = written(&policy, since);
    Some(format!("the unsubscribe address {} has been failing since {since}: {consequence}", web.base_url))
}

fn written(policy: &Policy, at: Timestamp) -> String {
    at.to_zoned(policy.time_zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

struct Watch<'a> {
    gate: &'a Gate,
    web: &'a PublicWeb,
    /// That advertising waits has been said.
    told_down: bool,
    /// The store has what we know.
    is_kept: bool,
}

impl Watch<'_> {
    async fn note(&mut self, seen: Result<(), ProbeError>, now: Timestamp) {
        let failing_since = self.gate.link.failing_since();
        match (seen, failing_since) {
            (Ok(()), Some(since)) => self.recovered(since),
            (Err(error), None) => self.failed(&error, now),
            (Err(error), Some(since)) => self.still_fails(&error, since, now),
            (Ok(()), None) => {}
        }
        self.keep().await;
    }

    fn failed(&mut self, error: &ProbeError, now: Timestamp) {
        let address = self.web.base_url.as_str();
        tracing::warn!(url = address, "the unsubscribe address fails, seen from here: {error}");
        self.gate.link.set(Some(now));
        self.is_kept = false;
    }

    fn still_fails(&mut self, error: &ProbeError, since: Timestamp, now: Timestamp) {
        let policy = self.gate.policy();
        if !self.told_down && link::is_down(&policy, since, now) {
            self.told_down = true;
            let (address, since) = (self.web.base_url.as_str(), written(&policy, since));
            tracing::error!(
                url = address,
                since,
                "the unsubscribe address still fails, advertising is put off: {error}"
            );
        }
    }

    fn recovered(&mut self, since: Timestamp) {
        let (address, since) = (self.web.base_url.as_str(), written(&self.gate.policy(), since));
        tracing::info!(url = address, since, "the unsubscribe address answers again");
        self.gate.link.set(None);
        (self.told_down, self.is_kept) = (false, false);
    }

    /// Tried again with the next look while the store cannot be written.
    async fn keep(&mut self) {
        if self.is_kept {
            return;
        }
        match self.gate.store.keep_link_failing(self.gate.link.failing_since()).await {
            Ok(()) => self.is_kept = true,
            Err(error) => tracing::error!("how the unsubscribe address is cannot be kept: {error}"),
        }
    }
}

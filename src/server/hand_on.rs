//! Unsubscribes on their way to the mailer whose own link ours replaced (`existing_list_headers = "chain"`).
//!
//! What waits is in the store, so a restart forgets nothing; a mailer may hear of the same one twice, which RFC 8058 has
//! come to the same.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::http;
use crate::config::ChainSettings;
use crate::config::chain::{NoTarget, Target};
use crate::relay::gate::Gate;
use crate::relay::tls::Stream;
use crate::store::{HandOn, Reader, StoreError, Tried};

/// How often the store is asked whose turn it is.
const EVERY: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 16;
/// From the name look-up to the answer's first line.
const PATIENCE: Duration = Duration::from_secs(20);
/// Before the second try; each further wait is three times as long.
const FIRST_WAIT: i64 = 2;
const LONGEST_WAIT: i64 = 6 * 3600;

/// Passes on what is due, for as long as it is polled.
pub async fn run(gate: &Arc<Gate>) {
    let mut reader = None;
    loop {
        match due(gate, &mut reader) {
            Ok(due) => {
                let mut tries = JoinSet::new();
                for one in due {
                    tries.spawn(pass_on(gate.clone(), one));
                }
                while tries.join_next().await.is_some() {}
            }
            Err(error) => {
                tracing::warn!("unsubscribes that wait to be passed on cannot be read: {error}");
                reader = None;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// One connection serves until it fails.
fn due(gate: &Gate, reader: &mut Option<Reader>) -> Result<Vec<HandOn>, StoreError> {
    let open = match reader {
        Some(open) => open,
        None => reader.insert(gate.store.reader()?),
    };
    open.hand_on_due(Timestamp::now(), AT_ONCE)
}

async fn pass_on(gate: Arc<Gate>, one: HandOn) {
    let chain = &gate.settings.chain;
    let outcome = timeout(PATIENCE, post(chain, &one.url)).await.unwrap_or(Err(Obstacle::Late));
    let tried = judge(&one, &outcome, chain.give_up_days, Timestamp::now(), random_share());
    let (done, over, result) = (tried.done, tried.next_at.is_none(), tried.result.clone());
    if let Err(error) = gate.store.settle_hand_on(tried).await {
        return tracing::warn!(r#ref = one.reference, "what a mailer answered cannot be kept: {error}");
    }
    match (done, over) {
        (true, _) => tracing::info!(r#ref = one.reference, host = one.host, result, "unsubscribe passed on"),
        (false, true) => tracing::error!(
            r#ref = one.reference,
            host = one.host,
            result,
            "an unsubscribe cannot be passed on to the mailer; the gate itself honours it"
        ),
        (false, false) => tracing::info!(r#ref = one.reference, host = one.host, result, "passed on later"),
    }
}

/// What stood in the way of an answer.
#[derive(Debug)]
enum Obstacle {
    Target(NoTarget),
    /// The name leads nowhere that may be connected to.
    NotPublic,
    Connect(std::io::Error),
    Tls(String),
    Http(hyper::Error),
    Request,
    Late,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Target(why) => write!(f, "{why}"),
            Obstacle::NotPublic => f.write_str("its name leads to no public address, nor to one of chain.networks"),
            Obstacle::Connect(error) => write!(f, "no connection ({})", error.kind()),
            Obstacle::Tls(error) => write!(f, "no TLS ({error})"),
            Obstacle::Http(error) => write!(f, "no HTTP answer ({error})"),
            Obstacle::Request => f.write_str("no request can be made of it"),
            Obstacle::Late => f.write_str("no answer in time"),
        }
    }
}

/// RFC 8058 section 3.2, as mail programs send it.
async fn post(chain: &ChainSettings, url: &str) -> Result<StatusCode, Obstacle> {
    const BODY: &str = "List-Unsubscribe=One-Click";
    let target = Target::read(url, chain).map_err(Obstacle::Target)?;
    let request = Request::post(&target.path)
        .header(header::HOST, host_field(&target))
        .header(header::USER_AGENT, "consentry")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::CONTENT_LENGTH, BODY.len())
        .header(header::CONNECTION, "close")
        .body(Body::from(BODY))
        .map_err(|_| Obstacle::Request)?;
    let stream = connect(chain, &target).await?;
    let answer = http::exchange(stream, request, 0).await.map_err(Obstacle::Http)?;
    Ok(answer.status)
}

fn host_field(target: &Target) -> String {
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    if target.port == 443 { host } else { format!("{host}:{}", target.port) }
}

/// The address that was looked at is the one that is connected to: a name cannot change its mind in between.
async fn connect(chain: &ChainSettings, target: &Target) -> Result<Stream, Obstacle> {
    let mut found = lookup_host((target.host.as_str(), target.port)).await.map_err(Obstacle::Connect)?;
    let address = found.find(|address| chain.reaches(address.ip())).ok_or(Obstacle::NotPublic)?;
    let tcp = TcpStream::connect(address).await.map_err(Obstacle::Connect)?;
    if !target.encrypted {
        return Ok(Stream::Plain(tcp));
    }
    http::secure(tcp, &target.host, chain.ca_file.as_deref()).await.map_err(Obstacle::Tls)
}

/// Whether it is done, over, or tried again, and when. `share`: of the wait, between 0 and 1, so that many that failed
/// together do not come back together.
fn judge(one: &HandOn, outcome: &Result<StatusCode, Obstacle>, give_up_days: u16, now: Timestamp, share: f64) -> Tried {
    let (done, again, result) = match outcome {
        Ok(status) if status.is_success() => (true, false, status.as_u16().to_string()),
        Ok(status) if status.is_redirection() => {
            (false, false, format!("{}; redirects are not followed", status.as_u16()))
        }
        Ok(status) => (false, status.is_server_error() || is_for_now(*status), status.as_u16().to_string()),
        Err(Obstacle::Target(_) | Obstacle::Request) => (false, false, told(outcome)),
        Err(_) => (false, true, told(outcome)),
    };
    let wait = FIRST_WAIT.saturating_mul(3_i64.saturating_pow(one.tries)).min(LONGEST_WAIT);
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "six hours at most")]
    let wait = SignedDuration::from_millis((wait as f64 * (750.0 + 500.0 * share)) as i64);
    let next = now + wait;
    let end = one.queued_at + SignedDuration::from_hours(24 * i64::from(give_up_days));
    match again {
        true if next <= end => Tried { id: one.id, at: now, done, next_at: Some(next), result },
        true => Tried { id: one.id, at: now, done, next_at: None, result: format!("{result}; given up") },
        false => Tried { id: one.id, at: now, done, next_at: None, result },
    }
}

fn is_for_now(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
}

fn told(outcome: &Result<StatusCode, Obstacle>) -> String {
    outcome.as_ref().err().map(ToString::to_string).unwrap_or_default()
}

/// Without randomness all come back at the same time, which does no other harm.
fn random_share() -> f64 {
    let mut byte = [128];
    let _ = SystemRandom::new().fill(&mut byte);
    f64::from(byte[0]) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(tries: u32) -> HandOn {
        HandOn {
            id: 7,
            reference: "R".into(),
            controller: "shop".into(),
            url: "https://m.example/u".into(),
            host: "m.example".into(),
            queued_at: "2026-05-14T10:00:00Z".parse().unwrap(),
            tries,
            tried_at: None,
            next_at: None,
            done: false,
            result: None,
        }
    }

    fn tried(status: u16, tries: u32, now: &str) -> (bool, Option<String>, String) {
        let outcome = Ok(StatusCode::from_u16(status).unwrap());
        let tried = judge(&waiting(tries), &outcome, 3, now.parse().unwrap(), 0.5);
        (tried.done, tried.next_at.map(|at| at.to_string()), tried.result)
    }

    #[test]
    fn an_answer_ends_it_or_says_when_to_come_again() {
        let now = "2026-05-14T10:00:00Z";
        let again = |at: &str| Some(at.to_owned());
        let table = [
            (200, 0, (true, None, "200")),
            (202, 5, (true, None, "202")),
            (302, 0, (false, None, "302; redirects are not followed")),
            (404, 0, (false, None, "404")),
            (503, 0, (false, again("2026-05-14T10:00:02Z"), "503")),
            (429, 2, (false, again("2026-05-14T10:00:18Z"), "429")),
            (500, 40, (false, again("2026-05-14T16:00:00Z"), "500")),
        ];
        for (status, tries, (done, next, result)) in table {
            assert_eq!(tried(status, tries, now), (done, next, result.to_owned()), "{status}");
        }
        assert_eq!(tried(503, 9, "2026-05-17T09:00:00Z"), (false, None, "503; given up".to_owned()));
    }

    #[test]
    fn many_that_failed_together_come_back_one_by_one() {
        let now = "2026-05-14T10:00:00Z".parse().unwrap();
        let next = |share| judge(&waiting(3), &Err(Obstacle::Late), 3, now, share).next_at.unwrap();
        assert!(next(0.0) < next(0.5) && next(0.5) < next(1.0));
        assert_eq!(next(1.0).duration_since(next(0.0)), SignedDuration::from_secs(27));
    }

    #[test]
    fn what_no_try_will_mend_is_over_at_once() {
        let now = "2026-05-14T10:00:00Z".parse().unwrap();
        let tried = judge(&waiting(0), &Err(Obstacle::Target(NoTarget::HostNotAllowed)), 3, now, 0.5);
        assert_eq!((tried.done, tried.next_at), (false, None));
        assert!(tried.result.contains("chain.hosts"), "{}", tried.result);
    }
}

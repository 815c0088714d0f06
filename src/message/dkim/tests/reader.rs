//! `mail-auth` as a verifier that nobody here wrote, with the records handed to it instead of a network.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};

use super::super::SigningKey;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
}

struct Records(Mutex<HashMap<Box<str>, Txt>>);

impl ResolverCache<Box<str>, Txt> for Records {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.lock().unwrap().get(name).cloned()
    }

    fn remove<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.lock().unwrap().remove(name)
    }

    fn insert(&self, name: Box<str>, value: Txt, _: std::time::Instant) {
        self.0.lock().unwrap().insert(name, value);
    }
}

/// What is said of each signature, from the top; the record at each name is that of a private key.
pub fn verdicts(message: &[u8], keys: &[(&str, &[u8])]) -> Vec<Verdict> {
    let record = |key: &[u8]| {
        let record = SigningKey::read(key).unwrap().public().record();
        Txt::from(DomainKey::parse(record.as_bytes()).unwrap())
    };
    // Fully qualified, as the resolver asks for it.
    let records = keys.iter().map(|(name, key)| (format!("{name}.").into_boxed_str(), record(key))).collect();
    let records = Records(Mutex::new(records));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let verified = runtime.block_on(async {
        let authenticator = MessageAuthenticator::new_cloudflare().unwrap();
        let message = AuthenticatedMessage::parse(message).unwrap();
        let verified = authenticator.verify_dkim(Parameters::new(&message).with_txt_cache(&records)).await;
        verified.iter().map(|output| output.result().clone()).collect::<Vec<_>>()
    });
    verified.iter().map(|result| if *result == DkimResult::Pass { Verdict::Pass } else { Verdict::Fail }).collect()
}

//! Where codes are asked for and shown: the one place that sends them, whatever page they are for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use jiff::SignedDuration;
use ring::error::Unspecified;

use super::codes::{Codes, Errand, Proof};
use super::letter::letter;
use super::limits::{CODES, Full, Limits};
use super::locale::Locale;
use super::public::{Mailing, Posting, PublicPages};
use crate::smtp::address::{EmailAddress, Width};

/// What the pages that ask for a code share: one person gets so many, wherever they are asked for.
pub struct Desk {
    pub pages: PublicPages,
    codes: Mutex<Codes>,
    limits: Mutex<Limits>,
}

/// Why no code is on its way. None of it depends on whether the address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCode {
    TooOften(SignedDuration),
    NotSent,
    /// The system gives no random bytes.
    Unavailable,
}

impl Desk {
    pub fn new(pages: PublicPages) -> Result<Desk, Unspecified> {
        Ok(Desk { pages, codes: Mutex::new(Codes::new()?), limits: Mutex::new(Limits::new(CODES)) })
    }

    fn codes(&self) -> MutexGuard<'_, Codes> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of the request. The same for every address: nothing is looked up. `page` is the path where the code is to
    /// be entered; it may be a link of the person the code goes to, so it is not logged.
    pub async fn send_code(
        &self,
        address: &EmailAddress,
        network: Option<IpNet>,
        (page, errand): (&str, Errand),
        locale: &Locale,
    ) -> Result<String, NoCode> {
        let now = (self.pages.clock)();
        // Spellings that one mailbox answers to have one measure together.
        let mark = self.pages.hash_keys.contact_hash("", &address.objection_key(Width::WIDEST));
        if let Err(Full { wait, .. }) = self.limits().take(mark, network, now) {
            tracing::warn!(minutes = wait.as_mins(), "more codes asked for than are sent");
            return Err(NoCode::TooOften(wait));
        }
        let issued = self.codes().issue(address.clone(), errand, now).map_err(|Unspecified| NoCode::Unavailable)?;
        let page = format!("{}{page}", self.pages.base_url);
        let letter = letter(address.clone(), &issued.code, (&page, errand), locale);
        match (self.pages.post)(Mailing { letter, kind: "rights_reply", controller: None }).await {
            Posting::OnItsWay => Ok(issued.request),
            Posting::NotNow | Posting::Withheld => {
                self.codes().forget(&issued.request);
                self.limits().give_back(&mark, network, now);
                Err(NoCode::NotSent)
            }
        }
    }

    /// As if a code were on its way to somebody of whom no address is known.
    pub fn send_nothing(&self) -> Result<String, NoCode> {
        self.codes().nobodys().map_err(|Unspecified| NoCode::Unavailable)
    }

    pub fn prove(&self, request: &str, code: &str, errand: Errand) -> Proof {
        self.codes().prove(request, code, errand, (self.pages.clock)())
    }
}

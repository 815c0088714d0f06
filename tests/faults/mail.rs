//! The messages these tests send, and the people who get them.

use std::path::Path;

use consentry::consent::event::ConsentEvent;
use consentry::consent::token::HashKeys;
use consentry::store::{KeptText, Store};
use jiff::Timestamp;
use serde_json::json;

pub const SENDER: &str = "bounces@exemple.fr";
pub const ANNA: &str = "anna@x.example";
/// Of whom nothing is known.
pub const CARL: &str = "carl@z.example";

/// Service mail, told apart by its `X-Id`.
pub fn order(id: &str) -> Vec<u8> {
    format!("From: shop@exemple.fr\r\nSubject: Your order\r\nX-Id: {id}\r\n\r\nThank you.\r\n").into_bytes()
}

/// Advertising for `offers/books`.
pub fn newsletter(id: &str) -> Vec<u8> {
    format!("From: news@exemple.fr\r\nSubject: New books\r\nX-Kind: newsletter\r\nX-Id: {id}\r\n\r\nThree novels.\r\nhttps://exemple.fr/desinscription/1\r\n")
        .into_bytes()
}

/// The `X-Id` of a message.
pub fn id_of(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    let line = text.lines().find_map(|line| line.strip_prefix("X-Id: "));
    line.unwrap_or_default().trim().to_owned()
}

/// Makes the store of a gate that has not started yet, in which these people agreed to the offers.
pub fn agree(directory: &Path, addresses: &[&str]) {
    let keys = HashKeys::new(vec![[9; 32]]).unwrap(); // the key of the gate's ledger.key
    let store = Store::open(&directory.join("consentry.db"), keys).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let wording = KeptText::new("newsletter-4", "en", "Yes, send me the offers.\n".into(), Timestamp::now());
    runtime.block_on(store.keep_text(wording)).unwrap();
    for address in addresses {
        runtime.block_on(store.record_event(opt_in(address))).unwrap();
    }
    store.shutdown();
}

fn opt_in(address: &str) -> ConsentEvent {
    let event = json!({
        "address": address, "controller": "shop", "type": "opt_in", "at": "2026-01-10T12:00:00+01:00",
        "topics": ["offers/books"], "mechanism": "unticked_box_ticked", "source": "sign-up form", "text_version": "newsletter-4",
        "actor": "person",
    });
    let mut event = ConsentEvent::from_json(&event.to_string()).unwrap();
    event.recorded_at.get_or_insert(Timestamp::now());
    event
}

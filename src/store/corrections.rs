//! Addresses that something was said against, and the service mail that still went to them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::StoreError;
use super::moment::{micros, moment};
use crate::smtp::address::EmailAddress;

/// Who was ever said to have a wrong address, or bounced for good, at which controller. Whether that still holds is for
/// the policy to say.
pub fn candidates(db: &Connection) -> Result<Vec<(EmailAddress, String)>, StoreError> {
    let mut rows = db.prepare_cached(
        "SELECT DISTINCT c.address, e.controller FROM event e JOIN contact c ON c.id = e.contact
         WHERE e.personal IS NOT NULL AND e.proof IS NOT NULL
             AND (e.type = 'object' AND json_extract (e.proof, '$.evidence.wrong_address') = 1
                 OR e.type = 'bounce' AND json_extract (e.proof, '$.hard') = 1)
         ORDER BY e.controller, c.address",
    )?;
    let columns = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let found = rows.query_map([], columns)?.collect::<Result<Vec<_>, _>>()?;
    // Of somebody forgotten since there is no address any more.
    let named =
        found.into_iter().filter_map(|(address, controller)| Some((EmailAddress::parse(&address).ok()?, controller)));
    Ok(named.collect())
}

/// The last service mail that was let through to them, on behalf of this controller or of nobody that was named.
pub fn last_service_mail(
    db: &Connection,
    recipient_key: &str,
    controller: &str,
    since: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut last = db.prepare_cached(
        "SELECT d.at FROM decision d JOIN message m ON m.id = d.message
         WHERE d.recipient_key = ?1 AND d.at >= ?2 AND d.decision = 'allow' AND m.class = 'service'
             AND (m.controller IS NULL OR m.controller = ?3)
         ORDER BY d.at DESC LIMIT 1",
    )?;
    let at = last.query_row(params![recipient_key, micros(since), controller], |row| row.get(0)).optional()?;
    at.map(moment).transpose()
}

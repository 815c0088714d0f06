//! The stamp a form carries: when it was shown, so that a machine that fills it in at once is known. It names nobody.

use jiff::Timestamp;

use super::token::SealingKeys;

/// For the form `form`, shown at `at`.
pub fn stamp(keys: &SealingKeys, form: &str, at: Timestamp) -> String {
    let second = at.as_second();
    let mac = keys.answers(&said(form, second)).into_iter().next().unwrap_or_default();
    format!("{second}.{mac}")
}

/// When the form was shown; `None`: this stamp was not made here, or for another form.
pub fn shown_at(keys: &SealingKeys, form: &str, stamp: &str) -> Option<Timestamp> {
    let (second, mac) = stamp.split_once('.')?;
    let second: i64 = second.parse().ok()?;
    let ours = keys.answers(&said(form, second));
    // What can be learned from how long a comparison takes is a stamp, and every form gives one away.
    ours.iter().any(|answer| answer == mac).then(|| Timestamp::from_second(second).ok())?
}

/// Not what is answered to strangers: their challenges have letters and digits only.
fn said(form: &str, second: i64) -> String {
    format!("form\0{form}\0{second}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_tells_its_moment_for_its_form_only() {
        let keys = SealingKeys::new(vec![[1; 32]]).unwrap();
        let turned = SealingKeys::new(vec![[2; 32], [1; 32]]).unwrap();
        let at: Timestamp = "2026-05-15T08:00:00Z".parse().unwrap();
        let text = stamp(&keys, "news", at);
        assert_eq!(shown_at(&keys, "news", &text), Some(at));
        assert_eq!(shown_at(&turned, "news", &text), Some(at), "a key may be exchanged while a form is open");
        assert_eq!(shown_at(&keys, "other", &text), None);
        let earlier = text.replacen(&at.as_second().to_string(), &(at.as_second() - 60).to_string(), 1);
        let garbage = ["", ".", "1", "1.", "x.y", "-1.abc", earlier.as_str()];
        for garbage in garbage {
            assert_eq!(shown_at(&keys, "news", garbage), None, "{garbage}");
        }
    }
}

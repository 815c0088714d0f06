//! Topic paths: which topic lies below which.

use std::collections::BTreeSet;

/// Whether `topic` is `scope` or lies below it: `offers` reaches `offers/books`, not `offers-abroad`.
pub fn reaches(scope: &str, topic: &str) -> bool {
    topic.strip_prefix(scope).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The steps from below `scope` down to `topic` itself: for `offers` and `offers/books/comics`, `offers/books` and
/// `offers/books/comics`. Empty when they are the same or one is not below the other.
pub fn steps_below<'a>(scope: &str, topic: &'a str) -> Vec<&'a str> {
    if !reaches(scope, topic) || scope == topic {
        return Vec::new();
    }
    let first = scope.len() + 1;
    let ends = topic[first..].match_indices('/').map(|(at, _)| first + at).chain([topic.len()]);
    ends.map(|end| &topic[..end]).collect()
}

/// Scopes that reach all of `topics`, each shorter to write and wider than the one before: the topics themselves, what
/// they lie below at the top, and none, which is everything.
pub fn widening(topics: &[String]) -> [Vec<String>; 3] {
    let top = |topic: &String| topic.split('/').next().unwrap_or_default().to_owned();
    let tops: BTreeSet<String> = topics.iter().map(top).collect();
    [topics.to_vec(), tops.into_iter().collect(), Vec::new()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_reaches_itself_and_what_lies_below() {
        let table = [
            ("offers", "offers", true),
            ("offers", "offers/books/comics", true),
            ("offers/books", "offers", false),
            ("offers/books", "offers/books-abroad", false),
            ("offers/books", "offers/music", false),
        ];
        for (scope, topic, expected) in table {
            assert_eq!(reaches(scope, topic), expected, "{scope} {topic}");
        }
    }

    #[test]
    fn the_way_down_names_every_step() {
        assert_eq!(steps_below("a", "a/b/c"), ["a/b", "a/b/c"]);
        assert_eq!(steps_below("a/b", "a/b"), Vec::<&str>::new());
        assert_eq!(steps_below("a/b", "a"), Vec::<&str>::new());
        assert_eq!(steps_below("a", "ab/c"), Vec::<&str>::new());
    }

    #[test]
    fn a_wider_scope_reaches_all_that_the_narrower_one_does() {
        let table: [(&[&str], &[&str]); 4] = [
            (&[], &[]),
            (&["offers"], &["offers"]),
            (&["offers/books", "offers/books/comics", "offers/music"], &["offers"]),
            (&["events/paris", "offers/books", "offers-abroad/books"], &["events", "offers", "offers-abroad"]),
        ];
        for (topics, tops) in table {
            let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
            assert_eq!(widening(&topics), [topics.clone(), tops.iter().map(|top| (*top).to_owned()).collect(), vec![]]);
            assert!(topics.iter().all(|topic| tops.iter().any(|top| reaches(top, topic))));
        }
    }
}

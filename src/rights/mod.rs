//! What a person may ask for: everything that is known, as data for programs and as a page for people (access and
//! portability, articles 15 and 20 of the GDPR).

mod document;
mod page;
mod person;
mod words;

pub use document::document;
pub use page::{PageError, page};
pub use person::{Held, Person, Relative};

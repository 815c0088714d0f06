//! Sign-up forms as values: what is asked, in which words, and what is kept of who answered.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::rules::Policy;
use super::word::words;

words! {
    /// The ways of asking the law knows (consent-rules 5.2).
    pub enum FormKind {
        /// An unticked box for each topic (R18).
        Boxes = "boxes",
        /// A question for each topic that must be answered with yes or no (R15).
        YesNo = "yes_no",
        /// One box to refuse; left alone it is no consent, but the person was informed and could refuse (R17).
        RefusalBox = "refusal_box",
        /// A box for the advertising of partners, who are named beside it (R50, R51).
        PartnerBox = "partner_box",
    }
}
words! {
    /// What is kept of the network address and the browser of who answered.
    pub enum Trace { None = "none", Hash = "hash", Full = "full" }
}

/// One form of one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    pub id: String,
    pub controller: String,
    pub kind: FormKind,
    /// In the order in which they are shown.
    pub topics: Vec<String>,
    /// The ids under which a consent names them → the names people read.
    pub partners: BTreeMap<String, String>,
    /// What is asked, by language.
    pub text: BTreeMap<String, String>,
    pub trace: Trace,
    /// Whether a yes counts only once it is confirmed by mail. A refusal needs none.
    pub double_opt_in: bool,
    /// Web sites that show it, as browsers name them in `Origin`.
    pub origins: Vec<String>,
    /// Where the visitor came from and may go back to.
    pub return_url: Option<String>,
}

impl Form {
    /// How a yes on this form is said.
    pub fn mechanism_of_yes(&self) -> &'static str {
        match self.kind {
            FormKind::YesNo => "forced_choice_yes",
            FormKind::Boxes | FormKind::PartnerBox | FormKind::RefusalBox => "unticked_box_ticked",
        }
    }

    /// Where an event says that it was answered.
    pub fn source(&self) -> String {
        format!("{SOURCE}:{}", self.id)
    }

    /// Whether a yes counts only once confirmed: as the form says, and wherever `doi_sources` says so.
    pub fn asks_to_confirm(&self, policy: &Policy) -> bool {
        let named = |word: &str| policy.knobs.doi_sources.iter().any(|source| source == word);
        let gives_consent = self.kind != FormKind::RefusalBox;
        gives_consent && (self.double_opt_in || named(SOURCE) || named(self.mechanism_of_yes()))
    }

    /// The text in this language, else in the first of the controller's that has one.
    pub fn text_in(&self, language: &str, policy: &Policy) -> Option<&str> {
        let preferred = policy.controllers.get(&self.controller).map_or(&[][..], |controller| &controller.languages);
        let in_language = |language: &str| self.text.get(language);
        let found = in_language(language).or_else(|| preferred.iter().find_map(|language| in_language(language)));
        found.or_else(|| self.text.values().next()).map(String::as_str)
    }
}

/// How the sources of all forms begin.
pub const SOURCE: &str = "form";

/// The id of the form in an event's source.
pub fn id_in_source(source: &str) -> Option<&str> {
    source.strip_prefix(SOURCE)?.strip_prefix(':')
}

impl Policy {
    /// The forms of a controller, by id.
    pub fn forms_of(&self, controller: &str) -> impl Iterator<Item = &Form> {
        self.forms.values().filter(move |form| form.controller == controller)
    }

    /// The form a controller shows where none is named: the one that is called like it, else its first, else one with
    /// a box for each of its topics that wants no consent of its own.
    pub fn default_form(&self, controller: &str) -> Option<Cow<'_, Form>> {
        let like_it = self.forms.get(controller).filter(|form| form.controller == controller);
        let first = || self.forms.values().find(|form| form.controller == controller);
        if let Some(form) = like_it.or_else(first) {
            return Some(Cow::Borrowed(form));
        }
        self.controllers.get(controller)?;
        let own = self.topics.values().filter(|topic| topic.controller == controller && !topic.own_consent);
        let topics: Vec<String> = own.map(|topic| topic.path.clone()).collect();
        let form = Form {
            id: controller.to_owned(),
            controller: controller.to_owned(),
            kind: FormKind::Boxes,
            topics,
            partners: BTreeMap::new(),
            text: BTreeMap::new(),
            trace: Trace::None,
            double_opt_in: true,
            origins: Vec::new(),
            return_url: None,
        };
        (!form.topics.is_empty()).then_some(Cow::Owned(form))
    }

    /// The form of this id, of this controller.
    pub fn form(&self, controller: &str, id: &str) -> Option<Cow<'_, Form>> {
        let known = self.forms.get(id).filter(|form| form.controller == controller).map(Cow::Borrowed);
        known.or_else(|| self.default_form(controller).filter(|form| form.id == id))
    }
}

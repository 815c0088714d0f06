//! What each key of a policy means, in the words of an operator. Types and names are checked against the reader.

use super::{REQUIRED, Section, key};

pub const SECTIONS: &[Section] = &[TOP, CONTROLLER, TOPIC, FORM, RULE, CONDITION];

const TOP: Section = Section {
    heading: "",
    path: &[],
    preface: "How strictly the gate acts, what it does in doubt, and the knobs of the consent rules. What is not here cannot be \
              changed: an objection beats every ground, an import lifts none, mail in doubt is advertising unless you say \
              otherwise, and a consent without proof is none.",
    keys: &[
        key("mode", "\"enforce\"", "`monitor` forwards everything untouched and records what would have been withheld"),
        key("time_zone", "\"Europe/Paris\"", "In which days, months and years are counted"),
        key("unknown_class", "\"promotional\"", "What a message is when no rule speaks"),
        key("class_conflict", "\"promotional\"", "What it is when its marks contradict each other"),
        key("service_without_store", "\"pass\"", "Service mail while the store gives no answer"),
        key("mixed_recipients", "\"deliver_permitted\"", "A message that only some of its recipients may get"),
        key("notify_sender", "\"dsn\"", "What the envelope sender learns of withheld recipients"),
        key(
            "refusal",
            "\"reject\"",
            "What the mailer reads when nobody may get its message: 550, or 250 and a row in the journal",
        ),
        key("existing_list_headers", "\"replace\"", "`List-Unsubscribe` fields the mailer wrote itself"),
        key(
            "on_signed",
            "",
            "A message whose signature an edit of the gate would break: left as it is, edited and [signed anew](dkim.md), or refused. Not set: signed anew where the From domain has a key, else left",
        ),
        key(
            "body_optout",
            "\"require\"",
            "A promotional message without a way out in its body: withheld, let through with a note, or given a footer with the recipient's link",
        ),
        key(
            "endpoint_grace",
            "\"24 hours\"",
            "How long the unsubscribe link may be out of order before promotional mail waits (451)",
        ),
        key(
            "b2b_mode",
            "\"inform_and_relevance\"",
            "Professionals: information, a way to refuse and a subject that concerns the job suffice; or `strict_consent`: only their own consent does",
        ),
        key(
            "generic_mode",
            "\"allow\"",
            "`contact@` and its like: allowed, only with a line that names the service addressed, or never without consent",
        ),
        key(
            "non_commercial",
            "false",
            "Whether information and a way to refuse suffice for appeals of a charity or association",
        ),
        key(
            "free_account_counts_as_sale",
            "false",
            "Whether opening a free account makes a customer (CJEU C-654/23) or not (CNIL)",
        ),
        key("quote_counts_as_sale", "false", "Whether a quote makes a customer"),
        key("refunded_counts", "false", "Whether a purchase that was refunded still counts as one"),
        key(
            "cart_requires_same_family",
            "true",
            "A cart reminder needs an earlier purchase of the very family, not of its group",
        ),
        key(
            "doi_sources",
            "[\"oral_delegated\", \"phone\"]",
            "Mechanisms and sources whose opt-ins count only once confirmed by mail",
        ),
        key("doi_window", "\"7 days\"", "What a confirmation may take"),
        key(
            "doi_reminder",
            "\"off\"",
            "After how long who has not answered is asked once more, `\"2 days\"`; it has to lie inside `doi_window`",
        ),
        key(
            "retention_years",
            "3",
            "Calendar years a consent or a customer relation lasts without a sign of life; nobody may keep them longer",
        ),
        key("expiry_margin_days", "0", "Stop so many days before the last one"),
        key("human_click", "true", "A click that looks like a machine's is no sign of life"),
        key("objection_subaddress", "true", "A no of `user+tag@` is a no of `user@`, and the other way round"),
        key("objection_provider_alias", "true", "The same for dots at gmail.com, and its other name"),
        key(
            "complaint_scope",
            "\"*\"",
            "What a complaint to the mailbox provider ends: everything, or the topics of that message",
        ),
        key("unsubscribe_scope", "\"topic\"", "What the link in a message ends"),
        key(
            "unsubscribe_notice",
            "false",
            "Whether who was unsubscribed by a link gets a mail with a way back, once a day at most: for messages that are forwarded",
        ),
        key("review_request_class", "\"service\"", "\"How was your purchase?\""),
        key(
            "mixed_action",
            "\"promotional\"",
            "An order mail with an offer in it: judged as advertising, or let through with a warning to the owner of the template",
        ),
        key(
            "frequency",
            "",
            "All advertising of one controller to one person: `\"3/week\"`, `\"monthly\"`; not set: no limit",
        ),
        key("freq_action", "\"block\"", "A message above a frequency cap: refused (550) or put off (451)"),
        key("evidence_retention", "\"5 years\"", "How long the proof of a consent is kept after its last use"),
        key(
            "suppression_retention",
            "\"unlimited\"",
            "How long the mark of an objection outlives the person's data; at least 3 years",
        ),
        key(
            "retention_notice",
            "\"30 days\"",
            "How long before the last day a person is due for the one notice, and how long they may answer it",
        ),
        key("journal_retention", "\"5 years\"", "How long decisions are kept, or `\"unlimited\"`"),
        key("include", "[]", "Rule packs, in the order in which they are asked: `[\"mailers/*.toml\"]`"),
        key("controller", "", "`[controller.NAME]`, below"),
        key("topic", "", "`[topic.\"PATH\"]`, below"),
        key(
            "family_group",
            "",
            "`[family_group]`: product families that are alike to a customer, `culture = [\"book\", \"dvd\"]`",
        ),
        key("form", "", "`[form.NAME]`, below: sign-up forms; without any a controller has one with its topics"),
        key("rule", "", "`[[rule]]`, below: the first that matches wins; yours, then the packs'"),
    ],
};

const CONTROLLER: Section = Section {
    heading: "[controller.NAME]",
    path: &["controller", "x"],
    preface: "On whose behalf mail is sent. Consent is given to a controller, and counts for no other.",
    keys: &[
        key("name", REQUIRED, "What people know it by"),
        key(
            "domains",
            REQUIRED,
            "Its From: domains; one that nobody owns sends no advertising. The first names its lists",
        ),
        key("languages", "[\"en\"]", "Of its texts, the preferred one first"),
        key("privacy_url", REQUIRED, "Its privacy notice"),
        key("contact", REQUIRED, "The address that answers questions about personal data"),
        key("unsubscribe_mailto", "", "A mailto beside the https link"),
        key("kind", "\"company\"", "Only a charity or an association can send non-commercial mail"),
        key(
            "optout_links",
            "[]",
            "Ways out in a body that count beside the gate's own: everything below these addresses",
        ),
        key(
            "footer",
            "",
            "The words around the link that `body_optout = \"append\"` adds, by language: `{ fr = \"… {link}\" }`",
        ),
        key(
            "logo",
            "",
            "A picture on its pages, a file beside the policy: PNG, JPEG, WebP, GIF or SVG, 256 KiB at most",
        ),
        key(
            "accent",
            "",
            "The colour of links and buttons on its pages, `\"#1b4fb3\"`; legible on light or on dark paper",
        ),
        key(
            "texts",
            "",
            "Its own words on its pages and in its mail, by language and [message](pages-and-languages.md#words): `texts.fr = { \"done-heading\" = \"…\" }`",
        ),
    ],
};

const TOPIC: Section = Section {
    heading: "[topic.\"PATH\"]",
    path: &["topic", "x"],
    preface: "What mail is about: the purpose consent is given for. Consent for `offers` covers `offers/books`.",
    keys: &[
        key("controller", REQUIRED, "Whose topic it is"),
        key("label", "", "What people read, by language: `{ fr = \"…\", en = \"…\" }`"),
        key("families", "[]", "Product families its mail promotes, for the customer exception"),
        key("list_id", "", "Its List-Id; else the path from its end, then the controller's first domain"),
        key("own_consent", "false", "No consent for anything above it covers this one"),
        key("aliases", "[]", "Its former names: old events still carry them"),
        key("frequency", "", "How often one person gets mail on it at most: `\"2/week\"`, `\"weekly\"`"),
    ],
};

const FORM: Section = Section {
    heading: "[form.NAME]",
    path: &["form", "x"],
    preface: "A sign-up form: a page of the gate, a snippet for a web site and a JSON address ([sign-up forms](sign-up-forms.md)). Who asks, what for, how to stop and the privacy notice always stand below \
              it, from the controller's keys.",
    keys: &[
        key("controller", REQUIRED, "Who asks"),
        key(
            "kind",
            "\"boxes\"",
            "`boxes`: an unticked box for each topic; `yes_no`: a question for each that must be answered; `refusal_box`: one box to refuse, left alone it is no consent; `partner_box`: a box for partners, who are named",
        ),
        key(
            "topics",
            "",
            "What may be agreed to, or refused; else all topics of the controller that want no consent of their own",
        ),
        key(
            "partners",
            "",
            "For `partner_box`: `{ id = \"Name people read\" }`; the id of a controller of this policy lets it rely on the consent",
        ),
        key("text", "", "What is asked, by language: `{ fr = \"…\", en = \"…\" }`; kept as it was shown"),
        key(
            "trace",
            "\"none\"",
            "What is kept of the network address and the browser at sign-up and at confirmation: nothing, a keyed hash, or both as they are",
        ),
        key(
            "double_opt_in",
            "",
            "Whether a yes counts only once confirmed by mail: `true`, unless it is a `refusal_box`",
        ),
        key("origins", "[]", "Web sites that may show the form: `[\"https://exemple.fr\"]`"),
        key("return_url", "", "Where the visitor may go back to"),
    ],
};

const RULE: Section = Section {
    heading: "[[rule]]",
    path: &["rule"],
    preface: "What a message looks like, and what it is then. What one rule leaves open a later one may say.",
    keys: &[
        key("id", REQUIRED, "Stands in the journal beside every decision of this rule"),
        key("when", REQUIRED, "The conditions, below"),
        key("class", "", "What the message is"),
        key("controller", "", "On whose behalf it is, where the From domain does not tell"),
        key("topics", "", "What it is about"),
        key("topics_header", "", "A field of the mailer whose words are the topics"),
        key("topics_map", "", "The mailer's words → topics; a word that is not in it is taken for a topic"),
        key("families", "[]", "Product families it promotes; else those of its topics"),
        key("functions", "[]", "The trades its subject concerns, for professionals"),
        key("kind", "", "One or more kinds of message the consent rules know"),
    ],
};

const CONDITION: Section = Section {
    heading: "when",
    path: &["rule", "when"],
    preface: "Everything in one table has to hold. Regular expressions take linear time, whatever they are asked.",
    keys: &[
        key("all", "", "Every one of these"),
        key("any", "", "One of these"),
        key("not", "", "Not this"),
        key(
            "header",
            "",
            "`header.\"X-Name\" = { present = true }`, or `equals`, `contains`, `starts_with`, `ends_with`, `matches`",
        ),
        key("subject", "", "The same tests of the decoded subject"),
        key("from_domain", "", "The domain of the From field"),
        key("from_address", "", "The address of the From field"),
        key("envelope_domain", "", "The domain of MAIL FROM"),
        key("listener", "", "Where it arrived"),
        key("credential", "", "The AUTH user"),
        key("client", "", "The network it came from"),
        key("recipients_over", "", "More recipients than so many"),
    ],
};

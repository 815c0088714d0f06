//! What a fact can say, in every language we speak. A sentence names what happened and leaves places for the day, the
//! topics and the event.

use super::word::words;

words! {
    /// What a fact says. Each has its wording in every language, see `wording`.
    pub enum Sentence {
        MadeByAMailSystem = "made_by_a_mail_system",
        ServiceNeedsNoConsent = "service_needs_no_consent",
        AskedToConfirm = "asked_to_confirm",
        OptedIn = "opted_in",
        OnlyServiceFromHere = "only_service_from_here",
        RecipientHidden = "recipient_hidden",
        NobodysDomain = "nobodys_domain",
        StoreSilent = "store_silent",
        ServiceWaitsForStore = "service_waits_for_store",
        LinkDown = "link_down",
        NoWayOut = "no_way_out",
        NoPagesToLeadTo = "no_pages_to_lead_to",
        BodyIsSecured = "body_is_secured",
        BodyCharset = "body_charset",
        BodyStructure = "body_structure",
        BodyTooLong = "body_too_long",
        BodyWithoutText = "body_without_text",
        AuthorNotTheSenders = "author_not_the_senders",
        ObjectedTo = "objected_to",
        ObjectedToAll = "objected_to_all",
        ComplainedAbout = "complained_about",
        ComplainedAboutAll = "complained_about_all",
        ObjectionMark = "objection_mark",
        ObjectionMarkForAll = "objection_mark_for_all",
        CollectedAs = "collected_as",
        LeftUnanswered = "left_unanswered",
        NothingOnRecord = "nothing_on_record",
        NothingOnRecordFor = "nothing_on_record_for",
        NamesNoTopic = "names_no_topic",
        OptInPending = "opt_in_pending",
        OptInConfirmedLate = "opt_in_confirmed_late",
        OptInOtherChannel = "opt_in_other_channel",
        OptInOtherController = "opt_in_other_controller",
        OptInOtherTopic = "opt_in_other_topic",
        OptInTextUnnamed = "opt_in_text_unnamed",
        OptInTextAwaited = "opt_in_text_awaited",
        OptInUnproven = "opt_in_unproven",
        OptInEnded = "opt_in_ended",
        OptInVoid = "opt_in_void",
        OptInNotByPerson = "opt_in_not_by_person",
        WishReached = "wish_reached",
        WishReachedOverall = "wish_reached_overall",
        CapReached = "cap_reached",
        CapReachedOverall = "cap_reached_overall",
        Paused = "paused",
        BouncedForGood = "bounced_for_good",
        FirstDeletionNotice = "first_deletion_notice",
        LaterDeletionNotice = "later_deletion_notice",
        InformedAtWork = "informed_at_work",
        ProfessionalsConsent = "professionals_consent",
        NeverCollected = "never_collected",
        JobUnknown = "job_unknown",
        SubjectUnknown = "subject_unknown",
        OffTheJob = "off_the_job",
        AddressEnded = "address_ended",
        GenericsConsent = "generics_consent",
        NamesNoFunction = "names_no_function",
        FirmsAddress = "firms_address",
        NotCommercial = "not_commercial",
        Bought = "bought",
        OpenedAnAccount = "opened_an_account",
        NoSale = "no_sale",
        BoughtElsewhere = "bought_elsewhere",
        AddressCameLater = "address_came_later",
        AddressNotGiven = "address_not_given",
        AddressFromSomewhere = "address_from_somewhere",
        ToldNothing = "told_nothing",
        ToldLater = "told_later",
        NoRefusalOffered = "no_refusal_offered",
        MessageNamesNoFamily = "message_names_no_family",
        PurchaseNamesNoFamily = "purchase_names_no_family",
        BoughtNothingLike = "bought_nothing_like",
        KindNeedsOptIn = "kind_needs_opt_in",
        TopicNeedsOptIn = "topic_needs_opt_in",
        RelationEnded = "relation_ended",
    }
}

impl Sentence {
    /// English and French. `{topics}`, `{on}`, `{until}`, `{event}` and `{word}` stand for what the fact holds,
    /// `{rate}` for its word read as a limit.
    pub(super) fn wording(self) -> [&'static str; 2] {
        use Sentence as S;
        match self {
            S::MadeByAMailSystem => ["made by a mail system", "produit par un système de messagerie"],
            S::ServiceNeedsNoConsent => {
                ["service mail needs no consent", "un message de service ne demande pas de consentement"]
            }
            S::AskedToConfirm => [
                "asked to confirm the opt-in of {on} (event {event})",
                "invité à confirmer l’inscription du {on} (événement {event})",
            ],
            S::OptedIn => {
                ["opted in to {topics} on {on} (event {event})", "inscrit à {topics} le {on} (événement {event})"]
            }
            S::OnlyServiceFromHere => [
                "only service mail may be sent from where this message came",
                "seuls des messages de service peuvent partir de l’endroit d’où vient celui-ci",
            ],
            S::RecipientHidden => [
                "the local part holds % or !, which hides whose consent is asked",
                "la partie locale contient % ou !, ce qui cache de qui le consentement est demandé",
            ],
            S::NobodysDomain => [
                "no controller owns the From or the envelope domain",
                "aucun responsable de traitement ne possède le domaine de From ni celui de l’enveloppe",
            ],
            S::StoreSilent => ["the consent store gives no answer", "le registre des consentements ne répond pas"],
            S::ServiceWaitsForStore => [
                "the policy holds service mail while the store gives no answer",
                "la politique retient les messages de service tant que le registre ne répond pas",
            ],
            S::LinkDown => [
                "the unsubscribe link has been out of order since {on}",
                "le lien de désinscription est hors service depuis le {on}",
            ],
            S::NoWayOut => [
                "the message offers no way out in its body",
                "le corps du message n’offre aucun moyen de se désinscrire",
            ],
            S::NoPagesToLeadTo => {
                ["none can be added without [web.public]", "aucun ne peut être ajouté sans [web.public]"]
            }
            S::BodyIsSecured => [
                "none can be added to what is signed or encrypted",
                "aucun ne peut être ajouté à ce qui est signé ou chiffré",
            ],
            S::BodyCharset => [
                "none can be added in the charset its text is in",
                "aucun ne peut être ajouté dans le jeu de caractères de son texte",
            ],
            S::BodyStructure => [
                "none can be added where readers may disagree about its structure",
                "aucun ne peut être ajouté là où sa structure se lit de plusieurs façons",
            ],
            S::BodyTooLong => [
                "none can be added to a text longer than what is looked at",
                "aucun ne peut être ajouté à un texte plus long que ce qui est examiné",
            ],
            S::BodyWithoutText => {
                ["none can be added where there is no text to read", "aucun ne peut être ajouté sans texte à lire"]
            }
            S::AuthorNotTheSenders => {
                ["the From address is not at a domain of {word}", "l’adresse From n’est pas sur un domaine de {word}"]
            }
            S::ObjectedTo => {
                ["objected to {topics} on {on} (event {event})", "s’est opposé à {topics} le {on} (événement {event})"]
            }
            S::ObjectedToAll => [
                "objected to all such mail on {on} (event {event})",
                "s’est opposé à toute prospection le {on} (événement {event})",
            ],
            S::ComplainedAbout => [
                "complained about {topics} on {on} (event {event})",
                "a signalé {topics} comme indésirable le {on} (événement {event})",
            ],
            S::ComplainedAboutAll => [
                "complained about all such mail on {on} (event {event})",
                "a signalé un envoi comme indésirable le {on} (événement {event})",
            ],
            S::ObjectionMark => [
                "an objection to {topics} of {on} is all that is kept of this person",
                "une opposition à {topics} du {on} est tout ce qui reste de cette personne",
            ],
            S::ObjectionMarkForAll => [
                "an objection to all such mail of {on} is all that is kept of this person",
                "une opposition à toute prospection du {on} est tout ce qui reste de cette personne",
            ],
            S::CollectedAs => [
                "the address was collected as {word} on {on} (event {event})",
                "l’adresse a été collectée comme {word} le {on} (événement {event})",
            ],
            S::LeftUnanswered => [
                "left the question unanswered on {on} (event {event})",
                "a laissé la question sans réponse le {on} (événement {event})",
            ],
            S::NothingOnRecord => ["no consent on record", "aucun consentement enregistré"],
            S::NothingOnRecordFor => {
                ["no consent on record for {topics}", "aucun consentement enregistré pour {topics}"]
            }
            S::NamesNoTopic => [
                "opted in to {topics} on {on} (event {event}), but the message names no topic, so no consent covers it",
                "inscrit à {topics} le {on} (événement {event}), mais le message ne nomme aucun thème, donc aucun consentement ne le couvre",
            ],
            S::OptInPending => [
                "the opt-in to {topics} of {on} (event {event}) is not confirmed",
                "l’inscription à {topics} du {on} (événement {event}) n’est pas confirmée",
            ],
            S::OptInConfirmedLate => [
                "the opt-in to {topics} of {on} (event {event}) was confirmed too late",
                "l’inscription à {topics} du {on} (événement {event}) a été confirmée trop tard",
            ],
            S::OptInOtherChannel => [
                "the opt-in to {topics} of {on} (event {event}) is for {word} only",
                "l’inscription à {topics} du {on} (événement {event}) ne vaut que pour le canal {word}",
            ],
            S::OptInOtherController => [
                "the opt-in to {topics} of {on} (event {event}) was given to {word}, which did not name this sender",
                "l’inscription à {topics} du {on} (événement {event}) a été donnée à {word}, qui ne nommait pas cet expéditeur",
            ],
            S::OptInOtherTopic => [
                "the opt-in to {topics} of {on} (event {event}) does not cover this message",
                "l’inscription à {topics} du {on} (événement {event}) ne couvre pas ce message",
            ],
            S::OptInTextUnnamed => [
                "the opt-in to {topics} of {on} (event {event}) does not say which text was shown",
                "l’inscription à {topics} du {on} (événement {event}) ne dit pas quel texte a été montré",
            ],
            S::OptInTextAwaited => [
                "the opt-in to {topics} of {on} (event {event}) names the text {word}, which is not stored yet",
                "l’inscription à {topics} du {on} (événement {event}) nomme le texte {word}, qui n’est pas encore enregistré",
            ],
            S::OptInUnproven => [
                "the opt-in to {topics} of {on} (event {event}) is not proven",
                "l’inscription à {topics} du {on} (événement {event}) n’est pas prouvée",
            ],
            S::OptInEnded => [
                "the opt-in to {topics} of {on} (event {event}) ended on {until}",
                "l’inscription à {topics} du {on} (événement {event}) a pris fin le {until}",
            ],
            S::OptInVoid => [
                "the opt-in to {topics} of {on} (event {event}) is void: {word}",
                "l’inscription à {topics} du {on} (événement {event}) est nulle : {word}",
            ],
            S::OptInNotByPerson => [
                "the opt-in to {topics} of {on} (event {event}) was not given by the person",
                "l’inscription à {topics} du {on} (événement {event}) n’a pas été donnée par la personne",
            ],
            S::WishReached => [
                "asked for {rate} at most about {topics} (event {event}); the last one went on {on}, the next may go from {until}",
                "a demandé au plus {rate} sur {topics} (événement {event}) ; le dernier envoi date du {on}, le prochain peut partir à partir du {until}",
            ],
            S::WishReachedOverall => [
                "asked for {rate} at most in all (event {event}); the last one went on {on}, the next may go from {until}",
                "a demandé au plus {rate} en tout (événement {event}) ; le dernier envoi date du {on}, le prochain peut partir à partir du {until}",
            ],
            S::CapReached => [
                "the policy allows {rate} at most about {topics}; the last one went on {on}, the next may go from {until}",
                "la politique permet au plus {rate} sur {topics} ; le dernier envoi date du {on}, le prochain peut partir à partir du {until}",
            ],
            S::CapReachedOverall => [
                "the policy allows {rate} at most in all; the last one went on {on}, the next may go from {until}",
                "la politique permet au plus {rate} en tout ; le dernier envoi date du {on}, le prochain peut partir à partir du {until}",
            ],
            S::Paused => [
                "asked for a pause until {until} (event {event})",
                "a demandé une pause jusqu’au {until} (événement {event})",
            ],
            S::BouncedForGood => [
                "the address bounced for good on {on} (event {event})",
                "l’adresse a été rejetée définitivement le {on} (événement {event})",
            ],
            S::FirstDeletionNotice => [
                "a neutral notice of deletion, the first to this person",
                "un avis neutre de suppression, le premier à cette personne",
            ],
            S::LaterDeletionNotice => [
                "a notice of deletion went on {on} already, and only the first one is service mail",
                "un avis de suppression est déjà parti le {on}, et seul le premier est un message de service",
            ],
            S::InformedAtWork => [
                "a professional address for {word}, informed on {on} (event {event})",
                "une adresse professionnelle ({word}), informée le {on} (événement {event})",
            ],
            S::ProfessionalsConsent => [
                "a professional address since {on} (event {event}), and the policy wants consent from professionals",
                "une adresse professionnelle depuis le {on} (événement {event}), et la politique demande le consentement des professionnels",
            ],
            S::NeverCollected => [
                "the profile of {on} (event {event}) is all there is: how the address was collected is not on record",
                "le profil du {on} (événement {event}) est tout ce qu’il y a : rien ne dit comment l’adresse a été collectée",
            ],
            S::JobUnknown => [
                "the profile of {on} (event {event}) does not say what the job is about",
                "le profil du {on} (événement {event}) ne dit pas de quel métier il s’agit",
            ],
            S::SubjectUnknown => [
                "the job on record since {on} (event {event}) is {word}, and the message does not say which job it concerns",
                "le métier enregistré le {on} (événement {event}) est {word}, et le message ne dit pas quel métier il concerne",
            ],
            S::OffTheJob => [
                "the job on record since {on} (event {event}) is {word}, and the message is about something else",
                "le métier enregistré le {on} (événement {event}) est {word}, et le message porte sur autre chose",
            ],
            S::AddressEnded => [
                "the address known since {on} (event {event}) could be used until {until}",
                "l’adresse connue depuis le {on} (événement {event}) pouvait servir jusqu’au {until}",
            ],
            S::GenericsConsent => [
                "a generic address since {on} (event {event}), and the policy wants consent for these",
                "une adresse générique depuis le {on} (événement {event}), et la politique demande un consentement pour celles-ci",
            ],
            S::NamesNoFunction => [
                "a generic address since {on} (event {event}), and the message does not say for whose attention it is",
                "une adresse générique depuis le {on} (événement {event}), et le message ne dit pas à l’attention de qui il est",
            ],
            S::FirmsAddress => [
                "a generic address, known since {on} (event {event})",
                "une adresse générique, connue depuis le {on} (événement {event})",
            ],
            S::NotCommercial => [
                "a non-commercial message to somebody informed on {on} (event {event}) who could refuse",
                "un message non commercial à une personne informée le {on} (événement {event}) et qui pouvait refuser",
            ],
            S::Bought => ["bought {word} on {on} (event {event})", "a acheté {word} le {on} (événement {event})"],
            S::OpenedAnAccount => [
                "opened an account for {word} on {on} (event {event})",
                "a ouvert un compte pour {word} le {on} (événement {event})",
            ],
            S::NoSale => [
                "the purchase of {on} (event {event}) is no sale: {word}",
                "l’achat du {on} (événement {event}) n’est pas une vente : {word}",
            ],
            S::BoughtElsewhere => [
                "bought from {word} on {on} (event {event}), which is somebody else",
                "a acheté chez {word} le {on} (événement {event}), qui est une autre personne morale",
            ],
            S::AddressCameLater => [
                "the address had not been collected when something was bought on {on} (event {event})",
                "l’adresse n’avait pas été collectée lors de l’achat du {on} (événement {event})",
            ],
            S::AddressNotGiven => [
                "the address bought with had been collected as {word} on {on} (event {event}), not given to the seller",
                "l’adresse utilisée pour l’achat avait été collectée comme {word} le {on} (événement {event}), et non donnée au vendeur",
            ],
            S::AddressFromSomewhere => [
                "the address bought with was collected on {on} (event {event}), and how is not on record",
                "l’adresse utilisée pour l’achat a été collectée le {on} (événement {event}), et rien ne dit comment",
            ],
            S::ToldNothing => [
                "nothing was said of advertising when the address was collected on {on} (event {event})",
                "rien n’a été dit de la prospection lors de la collecte de l’adresse le {on} (événement {event})",
            ],
            S::ToldLater => [
                "the address was collected on {on} (event {event}), and nothing said of advertising before {until}",
                "l’adresse a été collectée le {on} (événement {event}), et rien n’a été dit de la prospection avant le {until}",
            ],
            S::NoRefusalOffered => [
                "no way to refuse is on record for the collection of the address on {on} (event {event})",
                "aucun moyen de refuser n’est enregistré pour la collecte de l’adresse du {on} (événement {event})",
            ],
            S::MessageNamesNoFamily => [
                "bought on {on} (event {event}), but the message does not say what it offers",
                "a acheté le {on} (événement {event}), mais le message ne dit pas ce qu’il propose",
            ],
            S::PurchaseNamesNoFamily => [
                "the purchase of {on} (event {event}) does not say what was bought",
                "l’achat du {on} (événement {event}) ne dit pas ce qui a été acheté",
            ],
            S::BoughtNothingLike => [
                "bought on {on} (event {event}), but nothing like {word}",
                "a acheté le {on} (événement {event}), mais rien qui ressemble à {word}",
            ],
            S::KindNeedsOptIn => [
                "bought on {on} (event {event}), but mail of the kind {word} needs an opt-in",
                "a acheté le {on} (événement {event}), mais un message de type {word} demande une inscription",
            ],
            S::TopicNeedsOptIn => [
                "bought on {on} (event {event}), but {topics} wants a consent of its own",
                "a acheté le {on} (événement {event}), mais {topics} demande un consentement propre",
            ],
            S::RelationEnded => [
                "the relation that the purchase of {on} (event {event}) belongs to ended on {until}",
                "la relation dont fait partie l’achat du {on} (événement {event}) a pris fin le {until}",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::word::Word;

    #[test]
    fn both_wordings_of_a_sentence_say_the_same_things() {
        let places = |text: &str| {
            let mut names: Vec<String> =
                text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        for (_, sentence) in Sentence::WORDS {
            let [english, french] = sentence.wording();
            assert_eq!(places(english), places(french), "{sentence}");
            assert!(
                places(english)
                    .iter()
                    .all(|name| ["topics", "on", "until", "event", "rate", "word"].contains(&&**name))
            );
        }
    }
}

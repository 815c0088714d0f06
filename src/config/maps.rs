//! The maps for other programs' exports, as they ship under `config/maps/`.

/// Name and text of each.
pub const MAPS: [(&str, &str); 4] = [
    ("brevo", include_str!("../../config/maps/brevo.toml")),
    ("mailchimp-cleaned", include_str!("../../config/maps/mailchimp-cleaned.toml")),
    ("mailchimp-subscribed", include_str!("../../config/maps/mailchimp-subscribed.toml")),
    ("mailchimp-unsubscribed", include_str!("../../config/maps/mailchimp-unsubscribed.toml")),
];

//! The rule packs that come with the program.

/// Declares the packs, each under its file's name.
macro_rules! packs {
    ($($name:literal),* $(,)?) => {
        /// Name and text of every pack in `config/mailers`.
        pub const PACKS: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../config/mailers/", $name)))),*];
    };
}

packs!(
    "civicrm.toml",
    "clouds.toml",
    "cron.toml",
    "dolibarr.toml",
    "forges.toml",
    "listmonk.toml",
    "mailman.toml",
    "mailtrain.toml",
    "mautic.toml",
    "odoo.toml",
    "phplist.toml",
    "postmark.toml",
    "sendgrid.toml",
    "sendy.toml",
    "ses.toml",
    "sparkpost.toml",
    "spip.toml",
    "suitecrm.toml",
    "various.toml",
    "wordpress.toml",
);

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn every_pack_of_the_distribution_is_in_the_program() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/config/mailers");
        let files = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut names: Vec<_> = files.map(|file| file.file_name().into_string().unwrap()).collect();
        names.retain(|name| name.ends_with(".toml"));
        names.sort();
        assert_eq!(super::PACKS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    }
}

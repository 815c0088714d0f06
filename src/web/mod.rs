//! The pages a recipient sees.

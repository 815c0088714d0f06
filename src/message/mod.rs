//! One message: its header section, the edits made to it, the notices sent about it.

pub mod address_list;
pub mod attention;
pub mod edit;
pub mod encoded_word;
pub mod head;
pub mod language;
pub mod list;
pub mod notice;
pub mod own;
pub mod signature;
pub mod trace;

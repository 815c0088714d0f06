//! One message: its header section and its parts, the edits made to them, the notices sent about it.

pub mod address_list;
pub mod attention;
pub mod body;
pub mod body_edit;
pub mod charset;
pub mod dkim;
pub mod edit;
pub mod encoded_word;
pub mod footer;
pub mod head;
pub mod html;
pub mod incoming;
pub mod language;
pub mod list;
pub mod mime;
pub mod notice;
pub mod own;
pub mod signature;
pub mod trace;
pub mod transfer;
pub mod way_out;

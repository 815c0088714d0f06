//! One message: its header section, the edits made to it, the notices sent about it.

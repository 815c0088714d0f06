//! Settings and policy as files: read, check, refuse with the place and the cure.

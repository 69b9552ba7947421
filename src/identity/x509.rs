//! What an X.509 leaf says of itself.

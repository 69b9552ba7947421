//! What was negotiated, as the decision log names it.

use crate::identity::{Channel, Group};
use rustls::{CommonState, NamedGroup, ProtocolVersion};

/// The facts of a finished handshake; `sni` is the server name that the client asked for.
pub(super) fn channel(connection: &CommonState, sni: Option<&str>) -> Channel {
    Channel {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            _ => "",
        },
        cipher: connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default(),
        group: connection.negotiated_key_exchange_group().and_then(|group| named(group.name())),
        alpn: match connection.alpn_protocol() {
            Some(b"h2") => "h2",
            Some(b"http/1.1") => "http/1.1",
            _ => "",
        },
        sni: sni.map(Box::from),
    }
}

/// Others are not offered.
fn named(group: NamedGroup) -> Option<Group> {
    match group {
        NamedGroup::X25519MLKEM768 => Some(Group::X25519MlKem768),
        NamedGroup::X25519 => Some(Group::X25519),
        NamedGroup::secp256r1 => Some(Group::P256),
        _ => None,
    }
}

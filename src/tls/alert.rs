//! Alerts that the peer sent, also after our side of the handshake was done.

use rustls::AlertDescription;

/// The alert that made reading or writing fail; `None`: it failed otherwise.
///
/// In TLS 1.3 the client's handshake is over before the server has judged the client's certificate: its refusal arrives as an alert at the first read.
pub fn peer_alert(error: &std::io::Error) -> Option<&'static str> {
    match tls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) => Some(alert_name(*alert)),
        _ => None,
    }
}

/// The alert's name, as in RFC 8446, section 6.
pub fn alert_name(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::BadCertificate => "bad_certificate",
        AlertDescription::UnsupportedCertificate => "unsupported_certificate",
        AlertDescription::CertificateRevoked => "certificate_revoked",
        AlertDescription::CertificateExpired => "certificate_expired",
        AlertDescription::CertificateUnknown => "certificate_unknown",
        AlertDescription::CertificateRequired => "certificate_required",
        AlertDescription::UnknownCA => "unknown_ca",
        AlertDescription::AccessDenied => "access_denied",
        AlertDescription::HandshakeFailure => "handshake_failure",
        AlertDescription::ProtocolVersion => "protocol_version",
        AlertDescription::NoApplicationProtocol => "no_application_protocol",
        AlertDescription::UnrecognisedName => "unrecognized_name",
        AlertDescription::DecryptError => "decrypt_error",
        AlertDescription::InternalError => "internal_error",
        _ => "other",
    }
}

/// rustls's error inside an I/O error, at whatever depth a library wrapped it.
pub(super) fn tls_error(error: &std::io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    inner.downcast_ref::<rustls::Error>().or_else(|| inner.downcast_ref::<std::io::Error>().and_then(tls_error))
}

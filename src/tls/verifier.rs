//! rustls's verifiers over ours: the chain, and on the client's side the expected identity, inside the handshake.

use super::connect::ExpectedPeer;
use crate::identity::PeerIdentity;
use crate::runtime::clock::Clock;
use crate::trust::{Bundles, RefusedPeer, Usage, verify};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// Verifies callers.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    bundles: Arc<Bundles>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Verifies one peer that we call, and remembers who it is.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    bundles: Arc<Bundles>,
    algorithms: WebPkiSupportedAlgorithms,
    expected: Option<ExpectedPeer>,
    verified: OnceLock<Arc<PeerIdentity>>,
}

/// Our clock as rustls wants it.
#[derive(Debug)]
pub(super) struct WallClock(pub(super) Arc<dyn Clock>);

/// Who was refused, on its way through rustls.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(Arc<RefusedPeer>);

/// Who was refused by our verifier; `None`: the error is another.
pub(super) fn refusal(error: &Error) -> Option<Arc<RefusedPeer>> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            other.downcast_ref::<Refusal>().map(|refusal| Arc::clone(&refusal.0))
        }
        _ => None,
    }
}

impl ClientVerifier {
    pub(super) fn new(bundles: Arc<Bundles>, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { bundles, algorithms }
    }
}

impl ServerVerifier {
    /// Accepts nobody.
    pub(super) fn nobody(bundles: Arc<Bundles>, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { bundles, algorithms, expected: None, verified: OnceLock::new() }
    }

    /// Accepts `expected`; for one connection.
    pub(super) fn expecting(bundles: Arc<Bundles>, algorithms: WebPkiSupportedAlgorithms, expected: ExpectedPeer) -> Self {
        Self { expected: Some(expected), ..Self::nobody(bundles, algorithms) }
    }

    /// Who is there, after the handshake.
    pub(super) fn verified(&self) -> Option<Arc<PeerIdentity>> {
        self.verified.get().cloned()
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Names of CAs would tell strangers whom we trust, and callers have one certificate anyway.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        verify(&self.bundles, end_entity, intermediates, moment(now), Usage::Client).map_err(error)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let peer = verify(&self.bundles, end_entity, intermediates, moment(now), Usage::Server).map_err(error)?;
        let expected = self.expected.as_ref().map(|expected| &expected.0);
        if !expected.is_some_and(|pattern| pattern.matches(&peer.principal)) {
            return Err(error(Arc::new(mismatch(&peer, expected.map_or("nobody", |pattern| pattern.as_str())))));
        }
        self.verified.get_or_init(|| Arc::new(peer));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        self.0.now().duration_since(SystemTime::UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
    }
}

/// The code of a peer that is someone, but not the expected one.
pub(super) const IDENTITY_MISMATCH: &str = "identity_mismatch";

fn mismatch(peer: &PeerIdentity, expected: &str) -> RefusedPeer {
    RefusedPeer {
        code: IDENTITY_MISMATCH,
        detail: format!("it is {}, expected was {expected}", peer.principal),
        id: Some(peer.principal.to_string()),
        serial: Some(peer.serial.clone()),
        fingerprint: Some(peer.fingerprint.clone()),
        issuer: Some(peer.issuer.clone()),
        not_after: Some(peer.not_after),
    }
}

fn error(refused: Arc<RefusedPeer>) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refusal(refused)))))
}

fn moment(now: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(now.as_secs())).unwrap_or(SystemTime::UNIX_EPOCH)
}

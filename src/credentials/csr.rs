//! A request for a certificate, with the key pair that it is for.

use crate::identity::SpiffeId;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize as _, Zeroizing};

/// RFC 5280, appendix A.1, ub-common-name.
const MAX_COMMON_NAME: usize = 64;

/// A certificate signing request (RFC 2986) and its key pair, made here. The key is wiped when this is dropped.
pub struct SigningRequest {
    pem: String,
    key: Zeroizing<Vec<u8>>,
}

/// Why no request can be made; trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningRequestError {
    /// A DNS SAN is no name.
    #[error("workload.dns_names: {0:?} is no DNS name")]
    DnsName(String),
    /// The library makes no key pair or does not sign.
    #[error("no key pair or request can be made: {0}")]
    Library(#[from] rcgen::Error),
}

impl SigningRequest {
    /// Makes a P-256 key pair and asks for `id` as the only URI SAN, and for `dns_names` beside it.
    ///
    /// # Errors
    /// See [`SigningRequestError`].
    pub fn new(id: &SpiffeId, dns_names: &[String]) -> Result<Self, SigningRequestError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        // For people only: nobody decides by it.
        let name: String = id.segments().last().unwrap_or("workload").chars().take(MAX_COMMON_NAME).collect();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names.push(SanType::URI(id.as_str().try_into()?));
        for name in dns_names {
            let san = name.as_str().try_into().map_err(|_| SigningRequestError::DnsName(name.clone()))?;
            params.subject_alt_names.push(SanType::DnsName(san));
        }
        let mut pair = KeyPair::generate()?;
        let key = Zeroizing::new(pair.serialize_der());
        let pem = params.serialize_request(&pair).and_then(|request| request.pem());
        pair.zeroize();
        Ok(Self { pem: pem?, key })
    }

    /// The request in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A copy of the key, PKCS#8; whoever takes it wipes it.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.to_vec()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension};

    fn requested(id: &str, dns_names: &[String]) -> (String, Vec<String>) {
        let request = SigningRequest::new(&SpiffeId::parse(id).unwrap(), dns_names).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(request.pem().as_bytes()).unwrap();
        let (_, csr) = X509CertificationRequest::from_der(&pem.contents).unwrap();
        csr.verify_signature().unwrap();
        let name = csr.certification_request_info.subject.iter_common_name().next().unwrap().as_str().unwrap().to_owned();
        let extensions: Vec<_> = csr.requested_extensions().unwrap().collect();
        let [ParsedExtension::SubjectAlternativeName(names)] = extensions.as_slice() else { panic!("{extensions:?}") };
        let names = names.general_names.iter().map(|name| match name {
            GeneralName::URI(uri) => format!("uri {uri}"),
            GeneralName::DNSName(name) => format!("dns {name}"),
            other => panic!("{other:?}"),
        });
        (name, names.collect())
    }

    #[test]
    fn a_request_names_one_id_and_the_dns_names() {
        let (name, names) = requested("spiffe://d.example/ns/shop/sa/orders", &["orders.shop.internal".into(), "orders".into()]);
        assert_eq!(name, "orders");
        assert_eq!(names, ["uri spiffe://d.example/ns/shop/sa/orders", "dns orders.shop.internal", "dns orders"]);
        let long = format!("spiffe://d.example/{}", "x".repeat(200));
        assert_eq!(requested(&long, &[]).0, "x".repeat(64));
    }

    #[test]
    fn each_request_has_a_key_of_its_own() {
        let id = SpiffeId::parse("spiffe://d.example/a").unwrap();
        let [one, other] = [SigningRequest::new(&id, &[]).unwrap(), SigningRequest::new(&id, &[]).unwrap()];
        assert_ne!(one.key(), other.key());
        assert!(matches!(SigningRequest::new(&id, &["ä".into()]), Err(SigningRequestError::DnsName(_))));
    }
}

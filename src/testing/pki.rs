//! A certificate authority for tests: it issues what a good one does, and what a bad one would.

use crate::identity::x509::DEVELOPMENT_EXTENSION;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints, RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A self-signed authority that may issue anything, also for foreign trust domains.
#[derive(Debug)]
pub struct TestCa {
    domain: String,
    name: String,
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
    above: Vec<CertificateDer<'static>>,
}

/// What a test leaf says; everything but the identity has a default.
#[derive(Debug, Clone)]
pub struct LeafOptions {
    /// Its URI SANs.
    pub uris: Vec<String>,
    /// Its DNS SANs.
    pub dns_names: Vec<String>,
    /// The beginning of its validity; default: a minute ago.
    pub not_before: SystemTime,
    /// The end of its validity; default: in an hour.
    pub not_after: SystemTime,
    /// Whether basic constraints say CA; default: no.
    pub ca: bool,
    /// Whether it is good for servers; default: yes.
    pub server: bool,
    /// Whether it is good for clients; default: yes.
    pub client: bool,
    /// The content of a subject alternative name extension of its own making, instead of `uris` and `dns_names`: (context tag, bytes).
    pub raw_names: Vec<(u8, Vec<u8>)>,
    /// Where its issuer's revocation list is; default: it does not say.
    pub crl_url: Option<String>,
}

/// What a revocation list says; everything has a good default.
#[derive(Debug, Clone)]
pub struct CrlOptions {
    /// Its number; default: 1.
    pub number: u64,
    /// When it was made; default: a minute ago.
    pub this_update: SystemTime,
    /// When the next one is due; default: in an hour.
    pub next_update: SystemTime,
    /// The URL whose certificates alone it speaks for; default: it speaks for all of its issuer's.
    pub partition: Option<String>,
}

impl Default for CrlOptions {
    fn default() -> Self {
        let now = SystemTime::now();
        let (this_update, next_update) = (now - Duration::from_secs(60), now + Duration::from_secs(3_600));
        Self { number: 1, this_update, next_update, partition: None }
    }
}

/// What a test authority below another one says; everything has a good default.
#[derive(Debug, Clone)]
pub struct AuthorityOptions {
    /// The beginning of its validity; default: a minute ago.
    pub not_before: SystemTime,
    /// The end of its validity; default: in an hour.
    pub not_after: SystemTime,
    /// How many authorities may be below it; default: any number.
    pub path_length: Option<u8>,
    /// Whether it may only issue for servers.
    pub server_only: bool,
    /// The only DNS name below which it may issue.
    pub only_below: Option<String>,
}

impl Default for AuthorityOptions {
    fn default() -> Self {
        let now = SystemTime::now();
        let (not_before, not_after) = (now - Duration::from_secs(60), now + Duration::from_secs(3_600));
        Self { not_before, not_after, path_length: None, server_only: false, only_below: None }
    }
}

/// An issued certificate and its key.
#[derive(Debug, Clone)]
pub struct TestCert {
    /// The leaf first, then its issuers without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub key_der: Vec<u8>,
    /// The chain as PEM.
    pub chain_pem: String,
    /// The key as PEM.
    pub key_pem: String,
}

impl LeafOptions {
    /// A leaf with this one URI SAN.
    pub fn id(id: &str) -> Self {
        Self { uris: vec![id.to_owned()], ..Self::nobody() }
    }

    /// A leaf with this one DNS SAN and no URI SAN.
    pub fn dns(name: &str) -> Self {
        Self { dns_names: vec![name.to_owned()], ..Self::nobody() }
    }

    /// A leaf without any subject alternative name.
    pub fn nobody() -> Self {
        let now = SystemTime::now();
        Self {
            uris: Vec::new(),
            dns_names: Vec::new(),
            not_before: now - Duration::from_secs(60),
            not_after: now + Duration::from_secs(3_600),
            ca: false,
            server: true,
            client: true,
            raw_names: Vec::new(),
            crl_url: None,
        }
    }
}

impl TestCa {
    /// An authority for `domain`.
    pub fn new(domain: &str) -> Self {
        Self::root(domain, false)
    }

    /// An authority whose root carries the development extension.
    pub fn development(domain: &str) -> Self {
        Self::root(domain, true)
    }

    fn root(domain: &str, development: bool) -> Self {
        let (key, name) = (KeyPair::generate().unwrap(), format!("test root {domain}"));
        let mut params = authority_params(&name);
        if development {
            params.custom_extensions.push(CustomExtension::from_oid_content(DEVELOPMENT_EXTENSION, vec![0x05, 0x00]));
        }
        let certificate = params.self_signed(&key).unwrap();
        Self { domain: domain.to_owned(), name, certificate, issuer: Issuer::new(params, key), above: Vec::new() }
    }

    /// An authority for `domain` whose root is called `name`.
    pub fn named(domain: &str, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(name);
        let certificate = params.self_signed(&key).unwrap();
        Self { domain: domain.to_owned(), name: name.to_owned(), certificate, issuer: Issuer::new(params, key), above: Vec::new() }
    }

    /// An authority under this one; its leaves' chains carry its certificate.
    pub fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with(name, &AuthorityOptions::default())
    }

    /// An authority under this one that is as `options` say, good or not.
    pub fn intermediate_with(&self, name: &str, options: &AuthorityOptions) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = authority_params(name);
        params.is_ca = IsCa::Ca(options.path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
        params.not_before = options.not_before.into();
        params.not_after = options.not_after.into();
        if options.server_only {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if let Some(name) = &options.only_below {
            let permitted_subtrees = vec![GeneralSubtree::DnsName(name.clone())];
            params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let above = std::iter::once(certificate.der().clone()).chain(self.above.iter().cloned()).collect();
        Self { domain: self.domain.clone(), name: name.to_owned(), certificate, issuer: Issuer::new(params, key), above }
    }

    /// A leaf of this authority, whose chain also carries this authority's key as certified by `other`: it is good under either root.
    pub fn cross_signed(&self, other: &Self, cert: &TestCert) -> TestCert {
        let cross = authority_params(&self.name).signed_by(self.issuer.key(), &other.issuer).unwrap();
        let chain: Vec<_> = cert.chain.iter().cloned().chain([cross.der().clone()]).collect();
        TestCert { chain_pem: pem(&chain), chain, ..cert.clone() }
    }

    /// A list of revoked certificates, DER: leaves, or authorities by [`TestCa::root_der`]. It promises the next one for `next_update`.
    pub fn crl(&self, revoked: &[&CertificateDer<'_>], next_update: SystemTime) -> Vec<u8> {
        self.crl_pem(revoked, next_update).0
    }

    /// The same, DER and PEM.
    pub fn crl_pem(&self, revoked: &[&CertificateDer<'_>], next_update: SystemTime) -> (Vec<u8>, String) {
        let this_update = next_update.min(SystemTime::now()) - Duration::from_secs(60);
        self.crl_with(revoked, &CrlOptions { this_update, next_update, ..CrlOptions::default() })
    }

    /// A list that is as `options` say, DER and PEM.
    pub fn crl_with(&self, revoked: &[&CertificateDer<'_>], options: &CrlOptions) -> (Vec<u8>, String) {
        let entry = |der: &&CertificateDer<'_>| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&raw_serial(der)),
            revocation_time: options.this_update.into(),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: options.this_update.into(),
            next_update: options.next_update.into(),
            crl_number: SerialNumber::from(options.number),
            issuing_distribution_point: options.partition.as_ref().map(|url| CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint { uris: vec![url.clone()] },
                scope: None,
            }),
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let crl = params.signed_by(&self.issuer).unwrap();
        (crl.der().to_vec(), crl.pem().unwrap())
    }

    /// Its trust domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Its own certificate.
    pub fn root_der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// Its own certificate as PEM.
    pub fn root_pem(&self) -> String {
        self.certificate.pem()
    }

    /// Issues a good leaf for a SPIFFE id.
    pub fn issue(&self, id: &str) -> TestCert {
        self.issue_with(&LeafOptions::id(id))
    }

    /// Issues what `options` say, good or not.
    pub fn issue_with(&self, options: &LeafOptions) -> TestCert {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name("a common name is no identity");
        params.not_before = options.not_before.into();
        params.not_after = options.not_after.into();
        params.is_ca = if options.ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if options.server {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if options.client {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        params.crl_distribution_points = options.crl_url.iter().map(|url| CrlDistributionPoint { uris: vec![url.clone()] }).collect();
        if options.raw_names.is_empty() {
            let uris = options.uris.iter().map(|uri| SanType::URI(uri.as_str().try_into().unwrap()));
            let names = options.dns_names.iter().map(|name| SanType::DnsName(name.as_str().try_into().unwrap()));
            params.subject_alt_names = uris.chain(names).collect();
        } else {
            params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], raw_names(&options.raw_names)));
        }
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let chain: Vec<_> = std::iter::once(leaf.der().clone()).chain(self.above.iter().cloned()).collect();
        TestCert { chain_pem: pem(&chain), chain, key_der: key.serialize_der(), key_pem: key.serialize_pem() }
    }

    /// Issues what a request in PEM asks for, for servers and clients; the leaf alone, in PEM.
    pub fn sign(&self, request_pem: &str, not_before: SystemTime, not_after: SystemTime) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(request_pem).unwrap();
        request.params.not_before = not_before.into();
        request.params.not_after = not_after.into();
        request.params.is_ca = IsCa::ExplicitNoCa;
        request.params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        request.signed_by(&self.issuer).unwrap().pem()
    }

    /// Writes the root to `dir/name` as PEM.
    pub fn write_root(&self, dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, self.root_pem()).unwrap();
        path
    }
}

impl TestCert {
    /// The key.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key_der.clone()).unwrap()
    }

    /// Writes chain and key as PEM into `dir`; returns the two paths.
    pub fn write(&self, dir: &Path, stem: &str) -> (PathBuf, PathBuf) {
        let (chain, key) = (dir.join(format!("{stem}.pem")), dir.join(format!("{stem}-key.pem")));
        std::fs::write(&chain, &self.chain_pem).unwrap();
        std::fs::write(&key, &self.key_pem).unwrap();
        (chain, key)
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn raw_serial(der: &CertificateDer<'_>) -> Vec<u8> {
    let hex = crate::identity::x509::Leaf::parse(der).unwrap().serial;
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn pem(chain: &[CertificateDer<'_>]) -> String {
    use base64::Engine as _;
    let one = |der: &CertificateDer<'_>| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    chain.iter().map(one).collect()
}

/// A SEQUENCE of context-tagged strings; every length below 128 bytes.
fn raw_names(names: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let short = |bytes: &[u8]| u8::try_from(bytes.len()).ok().filter(|length| *length < 128).unwrap();
    let body: Vec<u8> = names.iter().flat_map(|(tag, bytes)| [&[0x80 | tag, short(bytes)], bytes.as_slice()].concat()).collect();
    [&[0x30, short(&body)], body.as_slice()].concat()
}

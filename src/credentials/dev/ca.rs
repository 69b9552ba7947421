//! The development CA's two files, and what it issues.

use crate::identity::SpiffeId;
use crate::identity::x509::{DEVELOPMENT_EXTENSION, Leaf};
use crate::runtime::files::replace;
use crate::trust::{DEVELOPMENT_ROOT_FILE, certificates};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use zeroize::{Zeroize as _, Zeroizing};

/// The development CA's key, inside its directory; 0600.
pub const DEVELOPMENT_KEY_FILE: &str = "dev-ca-key-DO-NOT-DEPLOY.pem";

const LOCK_FILE: &str = ".dev-ca.lock";
const CA_VALIDITY: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How far `not_before` is set back, for clocks that differ a little.
const SET_BACK: Duration = Duration::from_secs(60);

/// The development CA, open for issuing.
#[derive(Debug)]
pub struct DevCa {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

/// What a development certificate is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its only URI SAN.
    pub id: SpiffeId,
    /// Its DNS SANs.
    pub dns_names: Vec<String>,
    /// From now to its end; at least a second.
    pub validity: Duration,
}

/// Why the development CA cannot issue.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// A file cannot be read or written; trying again helps once it can.
    #[error("development CA: {}: {error}", .path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The root is there and its key is not, or the two do not belong together.
    #[error("development CA: {} and {DEVELOPMENT_KEY_FILE} do not belong together; delete both to make a new CA", .root.display())]
    Mismatch {
        /// The root's file.
        root: PathBuf,
    },
    /// A DNS SAN is no name.
    #[error("development CA: {0:?} is no DNS name")]
    DnsName(String),
    /// The validity ends after the year 9999.
    #[error("development CA: the validity is too long to be written down")]
    Validity,
    /// The library refuses to sign.
    #[error("development CA: {0}")]
    Signing(#[from] rcgen::Error),
    /// The issuing thread was stopped.
    #[error("development CA: issuing was stopped")]
    Stopped,
}

impl DevCa {
    /// Opens the CA in `dir`; makes directory and CA if they are not there. Blocks for a moment where another process makes it.
    ///
    /// # Errors
    /// See [`DevError`].
    pub fn open(dir: &Path) -> Result<Self, DevError> {
        let (root, key) = (dir.join(DEVELOPMENT_ROOT_FILE), dir.join(DEVELOPMENT_KEY_FILE));
        std::fs::create_dir_all(dir).map_err(failed(dir))?;
        // Of two processes that start at once, the second waits here and then finds what the first made. The kernel frees it on a crash.
        let path = dir.join(LOCK_FILE);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed(&path))?;
        lock.lock().map_err(failed(&path))?;
        // The root is written last: where it is, its key is.
        if !root.try_exists().map_err(failed(&root))? {
            Self::make(&root, &key)?;
        }
        Self::read(&root, &key)
    }

    /// The root certificate.
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// Issues a P-256 certificate that begins a minute before `now`, and gives chain and key.
    ///
    /// # Errors
    /// [`DevError::DnsName`], [`DevError::Validity`], [`DevError::Signing`].
    pub fn issue(&self, request: &Request, now: SystemTime) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), DevError> {
        let mut key = KeyPair::generate()?;
        let mut params = params(request.id.segments().last().unwrap_or("workload"), now, request.validity.max(Duration::from_secs(1)))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names.push(SanType::URI(request.id.as_str().try_into()?));
        for name in &request.dns_names {
            let name = name.as_str().try_into().map_err(|_| DevError::DnsName(name.clone()))?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        let leaf = params.signed_by(&key, &self.issuer)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        key.zeroize();
        Ok((vec![leaf.into()], der))
    }

    fn make(root: &Path, key: &Path) -> Result<(), DevError> {
        let mut pair = KeyPair::generate()?;
        let name = format!("Countersign development CA {:08x}", fastrand::u32(..));
        let mut params = params(&name, SystemTime::now(), CA_VALIDITY)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // The content is an ASN.1 NULL: the extension being there is all that it says.
        params.custom_extensions.push(CustomExtension::from_oid_content(DEVELOPMENT_EXTENSION, vec![0x05, 0x00]));
        let certificate = params.self_signed(&pair)?;
        let pem = Zeroizing::new(pair.serialize_pem());
        pair.zeroize();
        replace(key, pem.as_bytes(), 0o600).map_err(failed(key))?;
        replace(root, certificate.pem().as_bytes(), 0o644).map_err(failed(root))
    }

    fn read(root: &Path, key: &Path) -> Result<Self, DevError> {
        let mismatch = || DevError::Mismatch { root: root.to_owned() };
        let root_pem = std::fs::read_to_string(root).map_err(failed(root))?;
        let key_pem = match std::fs::read_to_string(key) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(mismatch()),
            read => Zeroizing::new(read.map_err(failed(key))?),
        };
        let pair = KeyPair::from_pem(&key_pem).map_err(|_| mismatch())?;
        let der = certificates(root_pem.as_bytes()).ok().and_then(|roots| roots.into_iter().next()).ok_or_else(mismatch)?;
        let marked = Leaf::parse(&der).is_ok_and(|leaf| leaf.is_ca && leaf.is_development);
        if !marked || !belongs(&der, &pair) {
            return Err(mismatch());
        }
        Ok(Self { issuer: Issuer::from_ca_cert_der(&der, pair)?, root: der })
    }
}

fn belongs(root: &CertificateDer<'_>, pair: &KeyPair) -> bool {
    use rcgen::PublicKeyData as _;
    webpki::anchor_from_trusted_cert(root).is_ok_and(|anchor| {
        // webpki gives the SubjectPublicKeyInfo without its outer SEQUENCE.
        pair.subject_public_key_info().ends_with(&anchor.subject_public_key_info)
    })
}

fn params(common_name: &str, now: SystemTime, validity: Duration) -> Result<CertificateParams, DevError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // For people only, and 64 characters at most (RFC 5280, ub-common-name).
    params.distinguished_name.push(DnType::CommonName, common_name.chars().take(64).collect::<String>());
    let moment = time::OffsetDateTime::from(now).replace_nanosecond(0).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    params.not_before = moment.saturating_sub(SET_BACK.try_into().unwrap_or_default());
    params.not_after =
        time::Duration::try_from(validity).ok().and_then(|validity| moment.checked_add(validity)).ok_or(DevError::Validity)?;
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| rcgen::Error::RingUnspecified)?;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> DevError {
    let path = path.to_owned();
    move |error| DevError::File { path, error }
}

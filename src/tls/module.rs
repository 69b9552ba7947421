//! The module that does the cryptography, and whether it may do what the settings ask of it.

use super::provider::{provider, versions};
use super::settings::Settings;
use super::state::BuildError;
use rustls::ServerConfig;
use rustls::server::ResolvesServerCertUsingSni;
use std::fmt;
use std::sync::Arc;

/// The crypto module that this process uses, for everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// The library's version.
    pub version: &'static str,
    /// The version of its FIPS module, where it runs as one: the self-tests at its start passed.
    pub fips: Option<u32>,
}

impl Module {
    /// The module that is linked in.
    pub fn linked() -> Self {
        let fips = aws_lc_rs::try_fips_mode().ok().map(|()| aws_lc_rs::fips_version().unwrap_or_default());
        Self { version: aws_lc_rs::awslc_version(), fips }
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fips {
            Some(module) => write!(f, "AWS-LC FIPS {module}, version {}", self.version),
            None => write!(f, "AWS-LC, version {}, no FIPS module", self.version),
        }
    }
}

/// In a build with the feature `fips`: whether everything that the settings offer is approved and done by the FIPS module. In others there is nothing to say.
///
/// # Errors
/// [`BuildError::NotApproved`], or the settings cannot be used at all.
pub fn approve(settings: &Settings) -> Result<(), BuildError> {
    if !cfg!(feature = "fips") {
        return Ok(());
    }
    let server = ServerConfig::builder_with_provider(provider(settings)?)
        .with_protocol_versions(versions(settings))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    if server.fips() { Ok(()) } else { Err(BuildError::NotApproved) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_one_of_this_build() {
        let module = Module::linked();
        assert_eq!(module.fips.is_some(), cfg!(feature = "fips"), "{module}");
        assert!(module.version.starts_with(|first: char| first.is_ascii_digit()), "{module}");
        assert_eq!(approve(&Settings::default()), Ok(()));
    }
}

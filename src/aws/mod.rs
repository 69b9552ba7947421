//! The only room that speaks to AWS: our certificate from AWS Private CA, and the root above it; keys of KMS.

mod acm_pca;
mod call;
mod chain;
mod client;
pub mod doctor;
mod error;
#[cfg(all(test, feature = "testing"))]
mod hours_tests;
mod kms;
mod pending;
mod remedy;
mod roots;
mod s3;
#[cfg(all(test, feature = "testing"))]
mod tests;

pub use acm_pca::AcmPcaSource;
pub use client::{Aws, Names};
pub use error::AwsError;
pub use kms::{KmsSealer, KmsSigner};
pub use roots::AuthorityRoots;
pub use s3::S3Source;

//! The HTTP client of the control runtime, for what is fetched from elsewhere: small documents, whole, over and over.
//!
//! It asks for exactly what it is told to: it reads no proxy variables, follows no redirect, sends no cookies and nothing that says who asks but what its caller hands it, and connects to no
//! link-local address, where a cloud keeps its metadata service. Size and time are bounded.

mod address;
mod client;
mod error;
mod post;
mod roots;
mod url;

pub use client::{Blob, BlobSource, BoxFuture, Fetcher, Known, Names, Remote};
pub use error::FetchError;
pub use url::Url;

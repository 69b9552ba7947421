//! `grpc` of a rule: sugar for `POST`, an exact path and gRPC's content type.

use super::fields::list_of;
use crate::document::Section;
use crate::policy::pattern::PathPattern;

/// One method of a rule.
#[derive(Debug)]
pub(super) struct GrpcMethod {
    /// As written.
    pub(super) written: Box<str>,
    /// The path that it is.
    pub(super) path: PathPattern<'static>,
}

/// Reads the methods; what is wrong is noted.
pub(super) fn read(section: &Section<'_>) -> Option<Vec<GrpcMethod>> {
    if section.has("grpc") {
        for key in ["methods", "paths"] {
            section.refuse(key, "stands beside grpc, which says both the method and the path", "remove it, or write another rule");
        }
    }
    list_of(section, "grpc", "list at least one method, as in \"shop.Orders/Get\"", method)
}

/// Whether a canonical path is that of one gRPC method.
pub(in crate::policy) fn is_path(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|call| !call.ends_with("/*") && method(call).is_ok())
}

/// `package.Service/Method`, or `package.Service/*` for every method of it.
fn method(text: &str) -> Result<GrpcMethod, (String, String)> {
    let wrong = || ("is no gRPC method".to_owned(), "write \"package.Service/Method\", or \"package.Service/*\"".to_owned());
    let (service, method) = text.split_once('/').ok_or_else(wrong)?;
    let identifier = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && text.starts_with(|first: char| !first.is_ascii_digit())
    };
    if !service.split('.').all(identifier) || !(method == "*" || identifier(method)) {
        return Err(wrong());
    }
    let template = format!("/{service}/{}", if method == "*" { "{method}" } else { method });
    Ok(GrpcMethod { written: text.into(), path: PathPattern::parse(&template)? })
}

//! The class of a content type.

/// The class of a content type, as the decision log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContentType {
    /// `application/grpc`, `application/grpc+…`.
    Grpc,
    /// `application/json`, `…+json`.
    Json,
    /// `application/x-www-form-urlencoded`, `multipart/form-data`.
    Form,
    /// Anything else, and a content type given more than once.
    Other,
    /// No content type.
    #[default]
    None,
}

impl ContentType {
    /// The name in the decision log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Json => "json",
            Self::Form => "form",
            Self::Other => "other",
            Self::None => "none",
        }
    }

    /// The class with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Grpc, Self::Json, Self::Form, Self::Other, Self::None].into_iter().find(|class| class.as_str() == name)
    }

    /// A content type of this class; none for [`ContentType::None`].
    pub fn example(self) -> Option<&'static str> {
        match self {
            Self::Grpc => Some("application/grpc"),
            Self::Json => Some("application/json"),
            Self::Form => Some("application/x-www-form-urlencoded"),
            Self::Other => Some("application/octet-stream"),
            Self::None => None,
        }
    }

    /// The class of a `Content-Type` field's value.
    pub fn of(value: &[u8]) -> Self {
        let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let begins = |text: &[u8]| essence.get(..text.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(text));
        let is = |text: &[u8]| essence.eq_ignore_ascii_case(text);
        let ends_json = essence.len().checked_sub(5).and_then(|at| essence.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(b"+json"));
        if is(b"application/grpc") || begins(b"application/grpc+") {
            Self::Grpc
        } else if is(b"application/json") || ends_json {
            Self::Json
        } else if is(b"application/x-www-form-urlencoded") || is(b"multipart/form-data") {
            Self::Form
        } else {
            Self::Other
        }
    }
}

//! Why a request cannot be made canonical: a closed list with stable codes.

use super::PathError;

/// Why a request cannot be made canonical. Sending the same request again never helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// The target is not in origin-form (or `*` for OPTIONS).
    Target,
    /// An absolute-form target on the inbound listener.
    AbsoluteForm,
    /// An absolute-form target that is not `http://` on the outbound listener.
    AbsoluteScheme,
    /// The HTTP/2 `:scheme` does not fit the listener: `https` on the TLS one, `http` on the plain one.
    Scheme,
    /// A plain CONNECT.
    Connect,
    /// An extended CONNECT for another protocol than `websocket` (RFC 8441).
    ConnectProtocol,
    /// `Connection` names `Upgrade`, and that is no list of protocols.
    Upgrade,
    /// The path is refused.
    Path(PathError),
    /// No Host where the version asks for one.
    HostMissing,
    /// More than one Host field.
    HostRepeated,
    /// Host and the authority of the target disagree.
    HostMismatch,
    /// Host or `:authority` is no `host[:port]`.
    Host,
    /// A header that is decided on, or `authorization`, more than once.
    HeaderRepeated,
    /// A header that is decided on, written with underscores for dashes or the other way round.
    HeaderSpelling,
    /// A header that is decided on has a byte beyond ASCII.
    HeaderObsText,
    /// A field value begins or ends with a blank.
    HeaderBlank,
    /// `Connection` nominates a header that others rely on.
    ConnectionNominates,
    /// `Transfer-Encoding` is something other than exactly `chunked`.
    TransferEncoding,
    /// `Expect` asks for something other than `100-continue` (RFC 9110, section 10.1.1).
    Expect,
    /// More header fields than the limit.
    HeadFields,
    /// The HTTP/1 parser refused the head.
    Http1Parse,
    /// The HTTP/1 head is larger than the limit.
    Http1TooLarge,
    /// The HTTP/2 header list is larger than the limit.
    HeadBytes,
    /// The HTTP/2 library reset the stream.
    H2Stream,
    /// The HTTP/2 library closed the connection.
    H2Connection,
}

impl Malformed {
    /// The stable code: the record's reason is `malformed:<code>`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::AbsoluteForm => "absolute_form",
            Self::AbsoluteScheme => "absolute_scheme",
            Self::Scheme => "scheme",
            Self::Connect => "connect",
            Self::ConnectProtocol => "connect_protocol",
            Self::Upgrade => "upgrade",
            Self::Path(error) => path_code(error),
            Self::HostMissing => "host_missing",
            Self::HostRepeated => "host_repeated",
            Self::HostMismatch => "host_mismatch",
            Self::Host => "host",
            Self::HeaderRepeated => "header_repeated",
            Self::HeaderSpelling => "header_spelling",
            Self::HeaderObsText => "header_obs_text",
            Self::HeaderBlank => "header_blank",
            Self::ConnectionNominates => "connection_nominates",
            Self::TransferEncoding => "transfer_encoding",
            Self::Expect => "expect",
            Self::HeadFields => "head_fields",
            Self::Http1Parse => "http1_parse",
            Self::Http1TooLarge => "http1_too_large",
            Self::HeadBytes => "head_bytes",
            Self::H2Stream => "h2_stream",
            Self::H2Connection => "h2_connection",
        }
    }

    /// The status of the refusal: 400, 405, 417, 431 or 501.
    pub fn status(self) -> u16 {
        match self {
            Self::Connect => 405,
            Self::Expect => 417,
            Self::HeadFields | Self::HeadBytes | Self::Http1TooLarge => 431,
            Self::ConnectProtocol | Self::TransferEncoding => 501,
            _ => 400,
        }
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "malformed:{}", self.code())
    }
}

impl std::error::Error for Malformed {}

impl From<PathError> for Malformed {
    fn from(error: PathError) -> Self {
        match error {
            PathError::NotAbsolute => Self::Target,
            _ => Self::Path(error),
        }
    }
}

fn path_code(error: PathError) -> &'static str {
    match error {
        PathError::NotAbsolute => "target",
        PathError::Byte => "path_byte",
        PathError::InvalidEscape => "path_invalid_escape",
        PathError::ForbiddenEscape => "path_forbidden_escape",
        PathError::Utf8 => "path_utf8",
        PathError::DotSegment => "path_dot_segment",
        PathError::EmptySegment => "path_empty_segment",
        PathError::Params => "path_params",
    }
}

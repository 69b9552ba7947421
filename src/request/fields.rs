//! What one pass over the header fields finds.

use super::{ContentType, Malformed, reserved};
use http::{HeaderMap, HeaderValue};

/// The facts of a request's header fields that decide its form.
#[derive(Debug, Default)]
pub(super) struct Fields<'h> {
    pub(super) host: Option<&'h HeaderValue>,
    pub(super) content_type: ContentType,
    pub(super) framing: Option<&'static str>,
}

impl<'h> Fields<'h> {
    /// Reads every field once.
    pub(super) fn read(headers: &'h HeaderMap) -> Result<Self, Malformed> {
        let mut seen = Seen::default();
        for (name, value) in headers {
            if has_outer_blank(value.as_bytes()) {
                return Err(Malformed::HeaderBlank);
            }
            seen.note(name.as_str(), value)?;
        }
        let framing = (seen.chunked && seen.content_length).then_some("te_cl");
        Ok(Self { host: seen.host, content_type: seen.content_type, framing })
    }
}

#[derive(Default)]
struct Seen<'h> {
    host: Option<&'h HeaderValue>,
    content_type: ContentType,
    authorization: bool,
    chunked: bool,
    content_length: bool,
}

impl<'h> Seen<'h> {
    fn note(&mut self, name: &str, value: &'h HeaderValue) -> Result<(), Malformed> {
        match name {
            "host" if self.host.replace(value).is_some() => return Err(Malformed::HostRepeated),
            "authorization" if std::mem::replace(&mut self.authorization, true) => return Err(Malformed::HeaderRepeated),
            "content-type" => {
                let first = self.content_type == ContentType::None;
                self.content_type = if first { ContentType::of(value.as_bytes()) } else { ContentType::Other };
            }
            "content-length" => self.content_length = true,
            "transfer-encoding" => {
                // Two fields would be one list of two codings.
                let twice = std::mem::replace(&mut self.chunked, true);
                if twice || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed::TransferEncoding);
                }
            }
            "connection" => note_connection(value.as_bytes())?,
            "expect" if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => return Err(Malformed::Expect),
            _ => {}
        }
        Ok(())
    }
}

/// Each option of `Connection` (RFC 9110 section 7.6.1).
fn note_connection(value: &[u8]) -> Result<(), Malformed> {
    let mut options = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    if options.any(reserved::is_never_nominated) { Err(Malformed::ConnectionNominates) } else { Ok(()) }
}

fn has_outer_blank(value: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    blank(value.first()) || blank(value.last())
}

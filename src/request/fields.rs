//! What one pass over the header fields finds.

use super::mentioned::Noting;
use super::{ContentType, Malformed, Mentioned, Noted, Trace, reserved};
use http::{HeaderMap, HeaderValue};

/// The facts of a request's header fields that decide its form.
#[derive(Debug, Default)]
pub(super) struct Fields<'h> {
    pub(super) host: Option<&'h HeaderValue>,
    pub(super) content_type: ContentType,
    pub(super) noted: Noted,
    pub(super) trace: Trace,
}

impl<'h> Fields<'h> {
    /// Reads every field once; those that rules mention are kept.
    pub(super) fn read(headers: &'h HeaderMap, mentioned: &Mentioned) -> Result<Self, Malformed> {
        let mut seen = Seen::default();
        let mut noting = Noting::new(mentioned);
        for (name, value) in headers {
            if has_outer_blank(value.as_bytes()) {
                return Err(Malformed::HeaderBlank);
            }
            seen.note(name.as_str(), value, mentioned)?;
            if noting.is_needed() {
                noting.note(name, value)?;
            }
        }
        Ok(Self { host: seen.host, content_type: seen.content_type, noted: noting.finish(), trace: seen.trace })
    }
}

#[derive(Default)]
struct Seen<'h> {
    host: Option<&'h HeaderValue>,
    content_type: ContentType,
    authorization: bool,
    transfer_encoding: bool,
    trace: Trace,
}

impl<'h> Seen<'h> {
    fn note(&mut self, name: &str, value: &'h HeaderValue, mentioned: &Mentioned) -> Result<(), Malformed> {
        match name {
            "host" if self.host.replace(value).is_some() => return Err(Malformed::HostRepeated),
            "authorization" if std::mem::replace(&mut self.authorization, true) => return Err(Malformed::HeaderRepeated),
            "content-type" => {
                let first = self.content_type == ContentType::None;
                self.content_type = if first { ContentType::of(value.as_bytes()) } else { ContentType::Other };
            }
            "transfer-encoding" => {
                // Two fields would be one list of two codings.
                let twice = std::mem::replace(&mut self.transfer_encoding, true);
                if twice || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed::TransferEncoding);
                }
            }
            "connection" => note_connection(value.as_bytes(), mentioned)?,
            "expect" if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => return Err(Malformed::Expect),
            "traceparent" => self.trace.note(value),
            _ => {}
        }
        Ok(())
    }
}

/// Each option of `Connection` (RFC 9110 section 7.6.1).
fn note_connection(value: &[u8], mentioned: &Mentioned) -> Result<(), Malformed> {
    let mut options = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let refused = options.any(|option| reserved::is_never_nominated(option) || mentioned.is_nominated(option));
    if refused { Err(Malformed::ConnectionNominates) } else { Ok(()) }
}

fn has_outer_blank(value: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    blank(value.first()) || blank(value.last())
}

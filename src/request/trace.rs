//! W3C Trace Context (Recommendation, levels 1 and 2): which trace a request belongs to.
//!
//! Only `traceparent` is read. `tracestate` is the vendors': it is passed on as it came, or removed together with a `traceparent` that is not valid.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// The trace and the caller's place in it.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What the vendors of tracing systems add.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The bit of the flags that says that the caller keeps its spans (section 3.2.2.5.1, "Sampled flag").
const SAMPLED: u8 = 0x01;
/// The bit that says that the trace id is random (level 2, section 3.2.2.5.2).
const RANDOM: u8 = 0x02;
/// The length of a value of version 00, bytes.
const LENGTH: usize = 55;

/// What a request says of its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trace {
    /// Nothing.
    #[default]
    None,
    /// Something that is not valid, or two things: it is not passed on, since the next one would begin a new trace (section 4.3).
    Unusable,
    /// Where it belongs.
    Of(TraceContext),
}

/// A valid `traceparent`. Kept by value: it goes into the record without an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

impl Trace {
    /// One field; a second one makes both unusable.
    pub(super) fn note(&mut self, value: &HeaderValue) {
        *self = match (*self, TraceContext::parse(value.as_bytes())) {
            (Self::None, Some(context)) => Self::Of(context),
            _ => Self::Unusable,
        };
    }

    /// The valid one.
    pub fn context(&self) -> Option<&TraceContext> {
        match self {
            Self::Of(context) => Some(context),
            Self::None | Self::Unusable => None,
        }
    }

    /// Names `span` as the caller's in a head that goes on, where the spans of this trace are kept: what comes next is part of it. Of the flags those pass
    /// that are known (level 2, section 3.2.2.5).
    pub fn enter(&self, headers: &mut HeaderMap, span: [u8; 8]) {
        if let Self::Of(context) = self
            && context.is_sampled()
        {
            let next = TraceContext { parent_id: span, flags: context.flags & (SAMPLED | RANDOM), ..*context };
            if let Ok(value) = HeaderValue::try_from(next.to_string()) {
                headers.insert(TRACEPARENT, value);
            }
        }
    }

    /// Removes what nobody could use from a head that goes on.
    pub fn clean(&self, headers: &mut HeaderMap) {
        if *self == Self::Unusable {
            headers.remove(TRACEPARENT);
            headers.remove(TRACESTATE);
        }
    }
}

impl TraceContext {
    /// Reads a `traceparent`; `None`: it is not valid. A version above 00 is read as far as 00 goes (section 4.3, "A traceparent is received"): its value may
    /// be longer, after another dash. Version ff, a letter that is no lower-case hex digit, and an id of zeros alone are not valid.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (head, rest) = value.split_at_checked(LENGTH)?;
        let mut parts = head.split(|byte| *byte == b'-');
        let mut next = || parts.next();
        let (version, trace_id, parent_id, flags) = (hex::<1>(next()?)?, hex(next()?)?, hex(next()?)?, hex::<1>(next()?)?);
        let longer = match version {
            [0xff] => return None,
            [0] => rest.is_empty(),
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        let valid = longer && parts.next().is_none() && trace_id != [0; 16] && parent_id != [0; 8];
        let [flags] = flags;
        valid.then_some(Self { trace_id, parent_id, flags })
    }

    /// The trace, the same for every request that follows from one.
    pub fn trace_id(&self) -> &[u8; 16] {
        &self.trace_id
    }

    /// The caller's span.
    pub fn parent_id(&self) -> &[u8; 8] {
        &self.parent_id
    }

    /// Whether the caller keeps its spans.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// As version 00 writes it.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [trace_id, parent_id] = [u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.parent_id).into()];
        write!(f, "00-{trace_id:032x}-{parent_id:016x}-{:02x}", self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Exactly `N` bytes as lower-case hex.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_the_recommendation_accepts() {
        let context = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(u128::from_be_bytes(*context.trace_id()), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(u64::from_be_bytes(*context.parent_id()), 0x00f0_67aa_0ba9_02b7);
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), EXAMPLE);
        let same = [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", false),
            // Level 2's random flag, and flags that nobody knows yet.
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", true),
            // A later version, alone and with what it may have beyond.
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", true),
            ("fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what the future brings", true),
        ];
        for (text, sampled) in same {
            let read = TraceContext::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (read.trace_id(), read.parent_id(), read.is_sampled()),
                (context.trace_id(), context.parent_id(), sampled),
                "{text}"
            );
        }
    }

    #[test]
    fn what_the_recommendation_refuses() {
        for text in [
            "",
            "00",
            "-",
            // The version.
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0-04bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ".0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            // Capitals.
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A",
            // Zeros.
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            // Lengths.
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47366-0f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-001",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
            // Dashes and blanks.
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa-ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01,00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_second_one_makes_both_unusable() {
        let value = HeaderValue::from_static(EXAMPLE);
        let mut trace = Trace::None;
        trace.note(&value);
        assert!(trace.context().is_some());
        trace.note(&value);
        assert_eq!(trace, Trace::Unusable);
        trace.note(&value);
        assert_eq!(trace, Trace::Unusable);
    }

    #[test]
    fn who_keeps_spans_is_the_next_ones_parent() {
        let pass = |text: &'static str| {
            let mut headers = HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_static(text))]);
            Trace::Of(TraceContext::parse(text.as_bytes()).unwrap()).enter(&mut headers, [7; 8]);
            headers[TRACEPARENT].to_str().unwrap().to_owned()
        };
        assert_eq!(pass(EXAMPLE), "00-4bf92f3577b34da6a3ce929d0e0e4736-0707070707070707-01");
        // What we do not know of a later version does not go on in our name.
        let future = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more";
        assert_eq!(pass(future), "00-4bf92f3577b34da6a3ce929d0e0e4736-0707070707070707-03");
        let unkept = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02";
        assert_eq!(pass(unkept), unkept);
        let mut headers = HeaderMap::new();
        Trace::None.enter(&mut headers, [7; 8]);
        assert!(headers.is_empty());
    }

    proptest! {
        #[test]
        fn nearly_valid_ones_are_read_as_written_or_not_at_all(text in "(0[01]|fe|ff)-[0-9a-fA]{31,33}-[0-9a-f]{15,17}-[0-9a-fF]{1,3}(-.*)?") {
            let Some(context) = TraceContext::parse(text.as_bytes()) else { return Ok(()) };
            let written = context.to_string();
            prop_assert_eq!(&text[2..LENGTH], &written[2..]);
            prop_assert_eq!(TraceContext::parse(written.as_bytes()), Some(context));
        }
    }
}

//! The part of Cedar's expressions that tables need.

use std::fmt;

/// Something that is true or false of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// The attribute is this text.
    Is(Attribute, String),
    /// The attribute is this port.
    IsPort(u16),
    /// The attribute is like this: texts between which anything may stand.
    Like(Attribute, Vec<String>),
    /// The request has a header of this name.
    Has(String),
    /// The TCP peer is in this network.
    InRange(String),
    Not(Box<Expression>),
    /// All of them.
    All(Vec<Expression>),
    /// One of them.
    Any(Vec<Expression>),
}

/// What a request has, under `context`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attribute {
    Caller,
    Method,
    Path,
    Host,
    /// A header, which has to be there.
    Header(String),
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller => f.write_str("context.caller"),
            Self::Method => f.write_str("context.method"),
            Self::Path => f.write_str("context.path"),
            Self::Host => f.write_str("context.host"),
            Self::Header(name) => write!(f, "context.headers[{}]", quoted(name)),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(attribute, text) => write!(f, "{attribute} == {}", quoted(text)),
            Self::IsPort(port) => write!(f, "context.port == {port}"),
            Self::Like(attribute, texts) => {
                let texts: Vec<String> = texts.iter().map(|text| escaped(text).replace('*', "\\*")).collect();
                write!(f, "{attribute} like \"{}\"", texts.join("*"))
            }
            Self::Has(name) => write!(f, "context.headers has {}", quoted(name)),
            Self::InRange(network) => write!(f, "context.source_ip.isInRange(ip({}))", quoted(network)),
            Self::Not(inner) => write!(f, "!({inner})"),
            Self::All(all) => joined(f, all, " && "),
            Self::Any(any) => joined(f, any, " || "),
        }
    }
}

/// In brackets, so that nothing binds otherwise.
fn joined(f: &mut fmt::Formatter<'_>, all: &[Expression], by: &str) -> fmt::Result {
    if let [one] = all {
        return write!(f, "{one}");
    }
    f.write_str("(")?;
    for (index, one) in all.iter().enumerate() {
        if index > 0 {
            f.write_str(by)?;
        }
        write!(f, "{one}")?;
    }
    f.write_str(")")
}

/// A string literal.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    text.chars().flat_map(char::escape_default).collect()
}

//! What a condition found in a request, for those who ask why it did not hold. Never for records: they hold no values.

use super::{Conditional, Test};
use crate::document;
use crate::identity::Group;
use crate::policy::jwt::{Found, Known};
use crate::policy::moment;
use crate::policy::rule::Question;
use crate::request::Field;
use std::time::Duration;

impl Conditional {
    /// What the request has of what it asks about.
    pub(in crate::policy) fn found(&self, question: &Question<'_>) -> String {
        match &self.test {
            Test::Tls(_) => match &question.caller.channel {
                None => "no TLS".to_owned(),
                Some(channel) => format!("TLS {}, {}", channel.version, channel.group.map_or("no group", Group::as_str)),
            },
            Test::Tag(_) => {
                question.caller.identity.as_ref().map_or_else(|| "nobody".to_owned(), |identity| identity.principal.to_string())
            }
            Test::CertAge(_) => {
                let begin = question.caller.identity.as_ref().map(|identity| identity.not_before);
                let age = begin.and_then(|begin| question.now.duration_since(begin).ok());
                age.map_or_else(|| "not known".to_owned(), |age| document::written(Duration::from_secs(age.as_secs())))
            }
            Test::Time(_) => moment::format(question.now),
            Test::Source(_) => question.caller.source.ip().to_canonical().to_string(),
            Test::Claim(test) => match question.user.known() {
                Known::Nobody => "no token".to_owned(),
                Known::Unclear => "a token that was not verified".to_owned(),
                Known::Claims(claims) => match claims.find(&test.path) {
                    Found::Absent => "absent".to_owned(),
                    Found::Unreadable => "not readable".to_owned(),
                    Found::Value(value) => value.to_string(),
                },
            },
            Test::Header(test) => match question.request.map(|request| request.noted.field(&test.name)) {
                Some(Field::Present(value)) => format!("{:?}", String::from_utf8_lossy(value.as_bytes())),
                Some(Field::Absent) => "absent".to_owned(),
                Some(Field::Unknown) | None => "not known".to_owned(),
            },
        }
    }
}

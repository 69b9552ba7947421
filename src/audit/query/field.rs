//! The fields that a filter may name: one table, of the record's dotted names.

/// What a field holds, which is what may be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text; patterns are globs.
    Text,
    /// A text of a closed set.
    OneOf(&'static [&'static str]),
    /// A SPIFFE id or a DNS name; patterns go by segment or label.
    Id,
    /// An address; patterns may be networks.
    Address,
    /// A whole number.
    Number,
    /// A point in time.
    Time,
    /// Something that is only there or not.
    Part,
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

const fn of(kind: Kind, name: &'static str) -> Known {
    Known { name, kind }
}

const KINDS: Kind = Kind::OneOf(&[
    "decision",
    "handshake",
    "aggregate",
    "gap",
    "boot",
    "checkpoint",
    "footer",
    "policy",
    "action",
    "finding",
    "pruned",
    "trust",
]);

/// Every field, in the record's order.
const FIELDS: &[Known] = &[
    of(Kind::Text, "v"),
    of(Kind::Number, "seq"),
    of(Kind::Number, "shard"),
    of(Kind::Number, "shard_seq"),
    of(Kind::Text, "boot"),
    of(KINDS, "kind"),
    of(Kind::Time, "time"),
    of(Kind::Text, "id"),
    of(Kind::OneOf(&["inbound", "outbound", "egress"]), "dir"),
    of(Kind::OneOf(&["allow", "deny"]), "decision"),
    of(Kind::Text, "reason"),
    of(Kind::Text, "rule"),
    of(Kind::Text, "break_glass"),
    of(Kind::OneOf(&["allow", "deny"]), "would"),
    of(Kind::Text, "would_rule"),
    of(Kind::Text, "would_sha256"),
    of(Kind::Text, "policy"),
    of(Kind::Text, "policy_version"),
    of(Kind::Text, "policy_sha256"),
    of(Kind::Text, "boundary_sha256"),
    of(Kind::Text, "part"),
    of(Kind::Number, "generation"),
    of(Kind::Id, "src.id"),
    of(Kind::Address, "src.ip"),
    of(Kind::Number, "src.port"),
    of(Kind::Text, "cert.serial"),
    of(Kind::Text, "cert.sha256"),
    of(Kind::Time, "cert.not_after"),
    of(Kind::Text, "cert.issuer"),
    of(Kind::Text, "tls.version"),
    of(Kind::Text, "tls.cipher"),
    of(Kind::Text, "tls.group"),
    of(Kind::Text, "tls.alpn"),
    of(Kind::Text, "tls.sni"),
    of(Kind::Id, "dst.id"),
    of(Kind::Text, "dst.host"),
    of(Kind::Number, "dst.port"),
    of(Kind::Text, "http.method"),
    of(Kind::Text, "http.path"),
    of(Kind::Text, "http.template"),
    of(Kind::Text, "http.version"),
    of(Kind::OneOf(&["grpc", "json", "form", "other", "none"]), "http.ctype"),
    of(Kind::Number, "http.status"),
    of(Kind::Text, "framing"),
    of(Kind::Part, "conds"),
    of(Kind::Number, "bytes_in"),
    of(Kind::Number, "bytes_out"),
    of(Kind::Number, "decide_ns"),
    of(Kind::Number, "upstream_us"),
    of(Kind::Number, "total_us"),
    of(Kind::Text, "close_reason"),
    of(Kind::OneOf(&["open", "end"]), "phase"),
    of(Kind::Text, "of"),
    of(Kind::Number, "count"),
    of(Kind::Time, "first"),
    of(Kind::Time, "last"),
    of(Kind::Text, "cause"),
    of(Kind::Number, "connections"),
    of(Kind::Text, "trace_id"),
    of(Kind::Text, "span_id"),
    of(Kind::Text, "user.iss"),
    of(Kind::Text, "user.sub"),
    of(Kind::Text, "detector"),
    of(Kind::Text, "severity"),
    of(Kind::Text, "response"),
    of(Kind::Text, "message"),
    of(Kind::Number, "window_s"),
    of(Kind::Part, "evidence"),
    of(Kind::Number, "suppressed"),
    of(Kind::Text, "action"),
    of(Kind::Text, "refused"),
    of(Kind::Text, "by"),
    of(Kind::Text, "made_by"),
    of(Kind::Time, "until"),
    of(Kind::Number, "first_seq"),
    of(Kind::Number, "last_seq"),
    of(Kind::Text, "last_chain"),
    of(Kind::Part, "previous"),
    of(Kind::Part, "certificate"),
    of(Kind::Part, "pruned"),
    of(Kind::Id, "workload"),
    of(Kind::Text, "version"),
    of(Kind::OneOf(&["true"]), "cut"),
    of(Kind::Text, "chain"),
];

/// What the names of labels begin with: their names are the user's own.
const LABELS: &str = "labels.";

/// A field of the record, by its dotted name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    name: String,
    pub(super) kind: Kind,
}

impl Field {
    /// The field of this name.
    pub fn named(name: &str) -> Option<Self> {
        let kind = match FIELDS.iter().find(|known| known.name == name) {
            Some(known) => known.kind,
            None => name.strip_prefix(LABELS).filter(|label| !label.is_empty()).map(|_| Kind::Text)?,
        };
        Some(Self { name: name.to_owned(), kind })
    }

    /// Its dotted name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The object that it is in, where it is in one, and what it is called there.
    pub(super) fn path(&self) -> (Option<&str>, &str) {
        match self.name.split_once('.') {
            Some((group, name)) => (Some(group), name),
            None => (None, &self.name),
        }
    }
}

fn known_fields() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|known| known.name)
}

/// The field that somebody may have meant by `name`: the only one that ends so (`path` for `http.path`), or one with few other letters.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let mut ends = known_fields().filter(|known| known.rsplit_once('.').is_some_and(|(_, last)| last == name));
    ends.next().filter(|_| ends.next().is_none()).or_else(|| closest(name, known_fields()))
}

/// The one of `all` that differs from `text` in two letters at most, or in a third of its letters where it is long.
pub(super) fn closest<'a>(text: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = all.map(|known| (distance(text, known), known)).min()?;
    let length = text.chars().count();
    (near.0 <= (length / 3).max(2).min(length / 2)).then_some(near.1)
}

/// Levenshtein distance; a long text is cut, since nothing known is as long.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().take(64).enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (cell, known) in row.iter_mut().skip(1).zip(&other) {
            let best = (diagonal + usize::from(letter != *known)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

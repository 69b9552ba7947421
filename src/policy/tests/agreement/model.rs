//! Random rules as the test understands them: what they ask beside who, where and for what is judged here in other words than the program's.

use super::Ask;
use crate::policy::Truth;
use fastrand::Rng;

/// One rule.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// What of its text is read into both tables.
    plain: String,
    wants: Vec<Want>,
    pub(super) percent: u8,
    expires: Option<u64>,
}

/// One condition.
#[derive(Debug, Clone, Copy)]
enum Want {
    Header(&'static str),
    Source(&'static str),
    Tls(&'static str),
    Age(u64),
    Hours(u64, u64),
    Days(&'static str),
    Tag(&'static str, &'static str),
    Claim(&'static str),
}

/// What both tables begin with.
pub(super) const HEAD: &str = "schema = 1\nname = 't'\n[sets.cidrs]\nvpc = ['10.0.0.0/8', '2001:db8::/32']\n[tags]\ntemplate = ['spiffe://{td}/{first}']\n\
     [[jwt_issuer]]\niss = 'https://idp'\naud = ['orders']\njwks = 'https://idp/keys'\nalgs = ['RS256']\n";

impl Model {
    pub(super) fn random(rng: &mut Rng, effect: &'static str, plain: String) -> Self {
        let count = of(rng, &[0, 0, 0, 0, 1, 1, 2]);
        let mut wants: Vec<Want> = Vec::new();
        for _ in 0..count {
            let want = Want::random(rng);
            if !wants.iter().any(|known| known.kind() == want.kind()) {
                wants.push(want);
            }
        }
        let shadow = plain.contains("shadow");
        let percent = if effect == "audit" || shadow { 100 } else { of(rng, &[100, 100, 100, 100, 50, 1]) };
        Self { plain, wants, percent, expires: of(rng, &[None, None, None, None, None, Some(11), Some(13)]) }
    }

    /// The rule without what is judged here.
    pub(super) fn plain(&self) -> String {
        self.plain.clone()
    }

    pub(super) fn text(&self) -> String {
        let mut text = self.plain.clone();
        for want in &self.wants {
            text += &want.text();
        }
        if self.percent != 100 {
            text += &format!("enforce_percent = {}\n", self.percent);
        }
        if let Some(hour) = self.expires {
            text += &format!("expires = '2026-11-21T{hour:02}:00:00Z'\n");
        }
        text
    }

    /// Whether everything that is judged here holds.
    pub(super) fn holds(&self, ask: &Ask) -> Truth {
        let live = self.expires.is_none_or(|hour| (ask.day, ask.hour) < (21, hour));
        self.wants.iter().fold(live.into(), |truth, want| truth.and(want.holds(ask)))
    }
}

impl Want {
    fn random(rng: &mut Rng) -> Self {
        match rng.u8(..8) {
            0 => Self::Header(of(rng, &["eq = 'v'", "prefix = 'v'", "present = true"])),
            1 => Self::Source(of(rng, &["10.0.0.0/8", "@vpc", "192.0.2.0/24", "::/0", "10.1.2.3/32"])),
            2 => Self::Tls(of(rng, &["min = '1.2'", "min = '1.3'", "post_quantum = true"])),
            3 => Self::Age(of(rng, &[1, 3])),
            4 => Self::Hours(of(rng, &[0, 6, 20]), of(rng, &[5, 12, 13, 24])),
            5 => Self::Claim(of(rng, &["sub = { eq = 'a' }", "scope = { has = 'w' }"])),
            6 => Self::Days(of(rng, &["sat", "mon-fri", "fri-sat", "sun"])),
            _ => Self::Tag(of(rng, &["td", "first"]), of(rng, &["a", "b", "d"])),
        }
    }

    fn kind(self) -> u8 {
        match self {
            Self::Header(_) => 0,
            Self::Source(_) => 1,
            Self::Tls(_) => 2,
            Self::Age(_) => 3,
            Self::Hours(..) | Self::Days(_) => 4,
            Self::Tag(..) => 5,
            Self::Claim(_) => 6,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Header(operator) => format!("headers = [{{ name = 'x-a', {operator} }}]\n"),
            Self::Source(network) => format!("when.source_ip = {{ in = ['{network}', '198.51.100.0/24'] }}\n"),
            Self::Tls(what) => format!("when.tls = {{ {what} }}\n"),
            Self::Age(hours) => format!("when.cert_age = {{ max = '{hours}h' }}\n"),
            Self::Hours(from, to) => format!("when.time = {{ tz = 'UTC', between = ['{from:02}:00', '{to:02}:00'] }}\n"),
            Self::Days(days) => format!("when.time = {{ tz = 'UTC', days = '{days}' }}\n"),
            Self::Claim(claim) => format!("claims = {{ {claim} }}\n"),
            Self::Tag(name, value) => format!("when.principal_tag = {{ {name} = '{value}' }}\n"),
        }
    }

    fn holds(self, ask: &Ask) -> Truth {
        match self {
            Self::Header(operator) => match (ask.field, operator) {
                (None, _) => Truth::False,
                (Some(_), "present = true") => Truth::True,
                (Some("v"), _) | (Some("v-1"), "prefix = 'v'") => Truth::True,
                (Some("u,v"), _) => Truth::Unknown,
                (Some(_), _) => Truth::False,
            },
            Self::Source(network) => match (ask.source, network) {
                ("10.1.2.3:1" | "[::ffff:10.1.2.3]:1", "10.0.0.0/8" | "@vpc" | "10.1.2.3/32") => Truth::True,
                ("10.9.9.9:1", "10.0.0.0/8" | "@vpc") => Truth::True,
                ("192.0.2.7:1", "192.0.2.0/24") => Truth::True,
                ("[2001:db8::1]:1", "@vpc" | "::/0") => Truth::True,
                _ => Truth::False,
            },
            Self::Tls(what) => match (ask.tls, what) {
                ("", _) => Truth::Unknown,
                (_, "min = '1.2'") | ("1.3 quantum" | "1.3" | "1.3 ?", "min = '1.3'") | ("1.3 quantum", _) => Truth::True,
                ("1.3 ?", _) => Truth::Unknown,
                _ => Truth::False,
            },
            Self::Age(hours) => match ask.age {
                None => Truth::Unknown,
                Some(minutes) => (minutes <= hours * 60).into(),
            },
            Self::Hours(from, to) if from < to => (from..to).contains(&ask.hour).into(),
            Self::Hours(from, to) => (ask.hour >= from || ask.hour < to).into(),
            // 2026-11-20 is a Friday.
            Self::Days(days) => match (ask.day, days) {
                (20, "mon-fri" | "fri-sat") | (21, "sat" | "fri-sat") | (22, "sun") => Truth::True,
                _ => Truth::False,
            },
            Self::Claim(claim) => match (ask.user, claim.starts_with("sub")) {
                ("garbage" | r#"{"sub":1,"scope":7}"#, _) => Truth::Unknown,
                (r#"{"sub":"a","scope":"r w"}"#, _) | (r#"{"sub":"b","scope":["w"]}"#, false) => Truth::True,
                _ => Truth::False,
            },
            Self::Tag(name, value) => match (ask.id, name) {
                ("spiffe://d/a", "first") => (value == "a").into(),
                ("spiffe://d/b", "first") => (value == "b").into(),
                ("spiffe://e/a", "first") => (value == "a").into(),
                ("spiffe://d/a" | "spiffe://d/b", _) => (value == "d").into(),
                ("spiffe://e/a", _) => Truth::False,
                _ => Truth::Unknown,
            },
        }
    }
}

pub(super) fn of<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.usize(..all.len())]
}

//! Which class of event a record is.

use super::object::{Named, Object};
use super::record::{Record, unquoted};

/// The classes of OCSF that records are mapped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Base Event: nothing of OCSF's fits.
    Base,
    /// Detection Finding.
    Finding,
    /// Network Activity.
    Network,
    /// HTTP Activity.
    Http,
}

impl Class {
    pub(super) fn of(record: &Record<'_>) -> Self {
        let kind = if record.is("", "kind", "aggregate") { "of" } else { "kind" };
        match record.seen("", kind).and_then(unquoted) {
            Some("decision") => Self::Http,
            Some("handshake") => Self::Network,
            Some("finding") => Self::Finding,
            _ => Self::Base,
        }
    }

    /// The class, its category, the activity, and the type, which is both.
    pub(super) fn write(self, event: &mut Object<'_>, record: &Record<'_>) {
        let (uid, name, category, category_name) = match self {
            Self::Base => (0, "Base Event", 0, "Uncategorized"),
            Self::Finding => (2_004, "Detection Finding", 2, "Findings"),
            Self::Network => (4_001, "Network Activity", 4, "Network Activity"),
            Self::Http => (4_002, "HTTP Activity", 4, "Network Activity"),
        };
        event.plain("class_uid", uid);
        event.label("class_name", name);
        event.plain("category_uid", category);
        event.label("category_name", category_name);
        let activity = self.activity(record);
        event.plain("activity_id", activity);
        match (activity_name(self, activity), self) {
            (Some(name), _) => event.label("activity_name", name),
            // Where OCSF has no name, the source's.
            (None, Self::Http) => event.optional("activity_name", record.seen("http", "method")),
            (None, _) => event.optional("activity_name", record.seen("", "kind")),
        }
        event.plain("type_uid", uid * 100 + u32::from(activity));
    }

    fn activity(self, record: &Record<'_>) -> u8 {
        match self {
            Self::Base => OTHER,
            Self::Finding => CREATE,
            Self::Network => REFUSE,
            Self::Http => match record.seen("http", "method").and_then(unquoted) {
                None => UNKNOWN,
                Some(method) => METHODS.iter().find(|Method { name, .. }| *name == method).map_or(OTHER, |known| known.activity.0),
            },
        }
    }
}

const UNKNOWN: u8 = 0;
const OTHER: u8 = 99;
const CREATE: u8 = 1;
const REFUSE: u8 = 5;

/// A method that OCSF knows, and its activity.
struct Method {
    name: &'static str,
    activity: Named,
}

const METHODS: [Method; 9] = [
    Method { name: "CONNECT", activity: Named(1, "Connect") },
    Method { name: "DELETE", activity: Named(2, "Delete") },
    Method { name: "GET", activity: Named(3, "Get") },
    Method { name: "HEAD", activity: Named(4, "Head") },
    Method { name: "OPTIONS", activity: Named(5, "Options") },
    Method { name: "POST", activity: Named(6, "Post") },
    Method { name: "PUT", activity: Named(7, "Put") },
    Method { name: "TRACE", activity: Named(8, "Trace") },
    Method { name: "PATCH", activity: Named(9, "Patch") },
];

/// Whether OCSF has this method, a text in quotes.
pub(super) fn is_known_method(method: &str) -> bool {
    unquoted(method).is_some_and(|method| METHODS.iter().any(|known| known.name == method))
}

fn activity_name(class: Class, activity: u8) -> Option<&'static str> {
    match (class, activity) {
        (_, UNKNOWN) => Some("Unknown"),
        (Class::Finding, CREATE) => Some("Create"),
        (Class::Network, REFUSE) => Some("Refuse"),
        (Class::Http, activity) => METHODS.iter().find(|known| known.activity.0 == activity).map(|known| known.activity.1),
        _ => None,
    }
}

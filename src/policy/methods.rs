//! The methods of a rule.

use http::Method;

/// A set of methods, compared byte-exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Methods {
    /// Every method.
    Any,
    /// These.
    Of {
        /// One bit for each method that has one.
        common: u16,
        /// The others.
        rare: Box<[Method]>,
        /// All of them, as written.
        written: Box<[Box<str>]>,
    },
}

impl Methods {
    /// The set of these methods.
    pub(super) fn of(methods: Vec<Method>) -> Self {
        let written = methods.iter().map(|method| method.as_str().into()).collect();
        let common = methods.iter().fold(0, |bits, method| bits | bit(method));
        Self::Of { common, rare: methods.into_iter().filter(|method| bit(method) == 0).collect(), written }
    }

    /// Whether `method`, whose [`bit`] is `bit`, is in it.
    pub(super) fn contains(&self, method: &Method, bit: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Of { common, rare, .. } => common & bit != 0 || (bit == 0 && rare.contains(method)),
        }
    }
}

/// The bits of all methods that have one.
pub(super) const BITS: [u16; 9] = [1, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8];

/// The method's bit; 0 for a method that has none.
pub(super) fn bit(method: &Method) -> u16 {
    match *method {
        Method::GET => 1,
        Method::HEAD => 1 << 1,
        Method::POST => 1 << 2,
        Method::PUT => 1 << 3,
        Method::DELETE => 1 << 4,
        Method::PATCH => 1 << 5,
        Method::OPTIONS => 1 << 6,
        Method::TRACE => 1 << 7,
        Method::CONNECT => 1 << 8,
        _ => 0,
    }
}

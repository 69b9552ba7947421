//! The methods of a rule.

use http::Method;
use std::sync::Arc;

/// A set of methods, compared byte-exact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Methods {
    /// Every method.
    Any,
    /// These.
    Of(Arc<Written>),
}

/// The methods that rules write, shared by rules that write the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Written {
    /// One bit for each method that has one.
    pub(super) common: u16,
    /// All of them, as written.
    pub(super) all: Box<[Method]>,
}

impl Methods {
    /// The set of these methods.
    pub(super) fn of(methods: Vec<Method>) -> Self {
        let common = methods.iter().fold(0, |bits, method| bits | bit(method));
        Self::Of(Arc::new(Written { common, all: methods.into() }))
    }

    /// Whether `method`, whose [`bit`] is `bit`, is in it.
    pub(super) fn contains(&self, method: &Method, bit: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Of(written) => written.common & bit != 0 || (bit == 0 && written.all.contains(method)),
        }
    }

    /// The place of `method` among them; 0 where there are not several, and `u32::MAX` where it is none of them.
    pub(super) fn place(&self, method: &Method) -> u32 {
        match self {
            Self::Of(written) if written.all.len() > 1 => {
                let place = written.all.iter().position(|known| known == method);
                place.and_then(|place| u32::try_from(place).ok()).unwrap_or(u32::MAX)
            }
            Self::Any | Self::Of(_) => 0,
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

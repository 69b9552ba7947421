//! The choice of an endpoint.

use super::{Endpoint, UpstreamError};
use std::sync::Arc;

/// Further addresses of one name that are tried because nobody listens at the one before.
const FURTHER_ADDRESSES: usize = 3;

/// What speaks against an endpoint, the less the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// Whether it could not be reached a moment ago.
    pub unreachable: bool,
    /// Requests of this shard that use it now.
    pub in_use: usize,
}

/// The endpoints of a route, one after the other, each at most once as long as none declines.
pub struct Attempts<'r> {
    endpoints: &'r [Endpoint],
    /// Indexes; empty for almost every request.
    tried: Vec<usize>,
    last: usize,
    /// How many more may be tried as `retries` says.
    retries: u32,
    /// How many more may be tried because they are addresses of the same name.
    further: usize,
}

impl<'r> Attempts<'r> {
    /// Nothing was tried yet.
    pub fn new(endpoints: &'r [Endpoint], retries: u32) -> Self {
        Self { endpoints, tried: Vec::new(), last: 0, retries, further: FURTHER_ADDRESSES }
    }

    /// The first: the less loaded of two random ones.
    pub fn first(&mut self, load: impl Fn(&Endpoint) -> Load) -> Option<&'r Endpoint> {
        self.pick(|_| true, load)
    }

    /// The next one after the last failed with `error` before a byte was written, and whether it counts as one of `retries`. Where nobody listens at an
    /// address of a name, another one of that name is tried, as every client of a name does; a peer that is not who it must be is not passed over so.
    pub fn next(&mut self, error: &UpstreamError, load: impl Fn(&Endpoint) -> Load) -> Option<(&'r Endpoint, Counts)> {
        let failed = self.endpoints.get(self.last)?;
        self.tried.push(self.last);
        if let (UpstreamError::Connect(_), Some(name)) = (error, &failed.name)
            && self.further > 0
            && let Some(next) = self.pick(|endpoint| endpoint.name.as_ref().is_some_and(|other| Arc::ptr_eq(other, name)), &load)
        {
            self.further -= 1;
            return Some((next, Counts::AsAddress));
        }
        self.retries = self.retries.checked_sub(1)?;
        self.pick(|_| true, load).map(|next| (next, Counts::AsRetry))
    }

    /// Whether `retries` allows another attempt.
    pub fn may_retry(&self) -> bool {
        self.retries > 0
    }

    /// The next one after the last declined a request that it did nothing with; each counts as one of `retries`. Where all were tried, they are tried
    /// again: who declined one stream may take the next, on another connection.
    pub fn again(&mut self, load: impl Fn(&Endpoint) -> Load) -> Option<&'r Endpoint> {
        self.retries = self.retries.checked_sub(1)?;
        self.tried.push(self.last);
        if self.tried.len() >= self.endpoints.len() {
            self.tried.clear();
        }
        self.pick(|_| true, load)
    }

    fn pick(&mut self, may: impl Fn(&Endpoint) -> bool, load: impl Fn(&Endpoint) -> Load) -> Option<&'r Endpoint> {
        /// Endpoints looked at for a reachable one where both random ones are not.
        const LOOKS: usize = 16;
        let first = self.untried(fastrand::usize(..self.endpoints.len().max(1)), None, &may)?;
        let second = if self.endpoints.len() < 2 { None } else { self.untried(fastrand::usize(..self.endpoints.len()), Some(first), &may) };
        self.last = first;
        if let Some(second) = second {
            let (one, other) = (load(self.endpoints.get(first)?), load(self.endpoints.get(second)?));
            if other < one {
                self.last = second;
            }
            if one.unreachable && other.unreachable {
                let mut at = second;
                for _ in 0..LOOKS.min(self.endpoints.len()) {
                    at = self.untried(at + 1, None, &may)?;
                    if !load(self.endpoints.get(at)?).unreachable {
                        self.last = at;
                        break;
                    }
                }
            }
        }
        self.endpoints.get(self.last)
    }

    /// The first from `start` on, around the end, that was not tried and is not `but`.
    fn untried(&self, start: usize, but: Option<usize>, may: impl Fn(&Endpoint) -> bool) -> Option<usize> {
        let all = self.endpoints.len();
        let around = (0..all).map(|step| (start + step) % all);
        around.into_iter().find(|at| Some(*at) != but && !self.tried.contains(at) && self.endpoints.get(*at).is_some_and(&may))
    }
}

/// What a further attempt counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Another address of the same name.
    AsAddress,
    /// One of `retries`.
    AsRetry,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn endpoints(count: u16) -> Vec<Endpoint> {
        (0..count).map(|port| Endpoint { address: ([10, 0, 0, 1], port).into(), name: None }).collect()
    }

    fn idle(_: &Endpoint) -> Load {
        Load { unreachable: false, in_use: 0 }
    }

    fn refused() -> UpstreamError {
        UpstreamError::Connect(Arc::new(std::io::ErrorKind::ConnectionRefused.into()))
    }

    #[test]
    fn the_less_loaded_of_two_is_first() {
        let endpoints = endpoints(2);
        let load = |endpoint: &Endpoint| Load { unreachable: false, in_use: usize::from(endpoint.address.port()) };
        for _ in 0..100 {
            assert_eq!(Attempts::new(&endpoints, 0).first(load).unwrap().address.port(), 0);
        }
    }

    #[test]
    fn the_most_loaded_of_many_is_never_first_and_all_others_are() {
        let endpoints = endpoints(5);
        let load = |endpoint: &Endpoint| Load { unreachable: false, in_use: usize::from(endpoint.address.port() == 4) };
        let chosen: BTreeSet<u16> = (0..1_000).map(|_| Attempts::new(&endpoints, 0).first(load).unwrap().address.port()).collect();
        assert_eq!(chosen, BTreeSet::from([0, 1, 2, 3]));
    }

    #[test]
    fn one_that_cannot_be_reached_is_the_last_choice() {
        let endpoints = endpoints(9);
        let load = |endpoint: &Endpoint| Load { unreachable: endpoint.address.port() != 3, in_use: 1_000 };
        for _ in 0..100 {
            assert_eq!(Attempts::new(&endpoints, 0).first(load).unwrap().address.port(), 3);
        }
        let none = |_: &Endpoint| Load { unreachable: true, in_use: 0 };
        assert!(Attempts::new(&endpoints, 0).first(none).is_some(), "better than nothing");
    }

    #[test]
    fn retries_say_how_many_more_and_each_is_another() {
        let endpoints = endpoints(4);
        for (retries, tried) in [(0, 1), (2, 3), (9, 4)] {
            let mut attempts = Attempts::new(&endpoints, retries);
            let mut seen = vec![attempts.first(idle).unwrap().address];
            while let Some((next, counts)) = attempts.next(&refused(), idle) {
                assert_eq!(counts, Counts::AsRetry);
                seen.push(next.address);
            }
            assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (tried, tried), "{retries}");
        }
        assert!(Attempts::new(&[], 3).first(idle).is_none());
    }
}

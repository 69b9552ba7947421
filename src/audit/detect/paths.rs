//! Distinct paths of a window.

use super::window::Tick;
use std::hash::{BuildHasher, RandomState};

/// The last paths that were denied to one certificate, by hash: as many as it takes to be found, and one more.
#[derive(Debug, Default)]
pub(super) struct Paths {
    last: Vec<(u64, Tick)>,
}

impl Paths {
    /// Notes a path; gives how many distinct ones the window has, of at most `most`.
    pub(super) fn add(&mut self, path: &str, hasher: &RandomState, now: Tick, window: u64, most: usize) -> u64 {
        let hash = hasher.hash_one(path);
        self.last.retain(|(known, at)| *known != hash && now.saturating_sub(*at) < window);
        if self.last.len() >= most && !self.last.is_empty() {
            self.last.remove(0);
        }
        self.last.push((hash, now));
        self.last.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_paths_of_the_window_are_counted() {
        let (mut paths, hasher) = (Paths::default(), RandomState::new());
        let mut add = |path: &str, now| paths.add(path, &hasher, now, 1_000, 4);
        assert_eq!([add("/a", 0), add("/a", 1), add("/b", 500), add("/a", 900)], [1, 1, 2, 2]);
        assert_eq!(add("/c", 1_499), 3);
        assert_eq!(add("/d", 1_500), 3, "/b has left");
        assert_eq!([add("/e", 1_501), add("/f", 1_502), add("/g", 1_503)], [4, 4, 4], "no more than it takes");
    }
}

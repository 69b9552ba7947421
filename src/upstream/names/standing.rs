//! What is known of one name: its last good addresses, how long they are good for, and when to ask again. Pure.

use super::{Answer, Report, Unresolved};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The least time from one answer to the next question, where the answer says less: a zone with no time to live must not make us ask without pause.
pub(super) const TTL_FLOOR: Duration = Duration::from_secs(1);

/// The most: a question a minute costs nothing, and a zone whose time to live is a day can still be changed in a hurry.
pub(super) const TTL_CAP: Duration = Duration::from_secs(60);

/// The most time from a question that had no answer to the next one; the first follows after a second, and each waits twice as long as the one before.
pub(super) const PAUSE_CAP: Duration = Duration::from_secs(10);

/// How long the last good addresses are used while nobody answers (SERVFAIL, silence). Outages of DNS last minutes, rarely an hour; and whoever has
/// such an address by then is not believed to be the peer: its identity is verified in every handshake.
pub(super) const ENDURE_SILENCE: Duration = Duration::from_secs(3_600);

/// How long they are used while the answer is that there is nothing. That may be true, and it may be the moment between the end of the old tasks and
/// the registration of the new ones.
pub(super) const ENDURE_ABSENCE: Duration = Duration::from_secs(60);

/// The standing of one name.
#[derive(Debug)]
pub(super) struct Standing {
    addresses: Arc<[IpAddr]>,
    /// The last good answer.
    answered: Option<Instant>,
    /// The first question since then that had no answer, how many there were, and what the last one said.
    failing: Option<(Instant, u32, Unresolved)>,
}

/// What follows from an outcome.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// When to ask again.
    pub(super) next: Instant,
    /// Whether addresses or problem are other than before, or the name was asked for the first time.
    pub(super) news: bool,
}

impl Default for Standing {
    fn default() -> Self {
        Self { addresses: Arc::new([]), answered: None, failing: None }
    }
}

impl Standing {
    pub(super) fn addresses(&self) -> Arc<[IpAddr]> {
        Arc::clone(&self.addresses)
    }

    pub(super) fn asked(&self) -> bool {
        self.answered.is_some() || self.failing.is_some()
    }

    pub(super) fn report(&self, now: Instant) -> Report {
        Report {
            addresses: self.addresses(),
            age: self.answered.map(|answered| now.duration_since(answered)),
            problem: self.failing.as_ref().map(|(_, _, problem)| problem.to_string()),
            asked: self.asked(),
        }
    }

    /// Takes the outcome of a question.
    pub(super) fn take(&mut self, name: &str, outcome: Result<Answer, Unresolved>, now: Instant) -> Taken {
        match outcome {
            Ok(answer) => self.confirm(name, answer, now),
            Err(problem) => self.endure(name, problem, now),
        }
    }

    fn confirm(&mut self, name: &str, answer: Answer, now: Instant) -> Taken {
        let news = self.failing.take().is_some() | self.answered.replace(now).is_none() | (*self.addresses != *answer.addresses);
        if news {
            let (addresses, before) = (Listed(&answer.addresses), Listed(&self.addresses));
            tracing::info!(name, %addresses, %before, ttl_s = answer.ttl.as_secs(), "a name of an upstream has these addresses");
            self.addresses = answer.addresses.into();
        }
        Taken { next: now + answer.ttl.clamp(TTL_FLOOR, TTL_CAP), news }
    }

    fn endure(&mut self, name: &str, problem: Unresolved, now: Instant) -> Taken {
        let (since, times, said) = match self.failing.take() {
            Some((since, times, before)) => (since, times.saturating_add(1), before.reason() == problem.reason()),
            None => (now, 1, false),
        };
        let limit = if problem.is_an_answer() { ENDURE_ABSENCE } else { ENDURE_SILENCE };
        let over = !self.addresses.is_empty() && now.duration_since(since) >= limit;
        if over {
            tracing::error!(name, %problem, "a name of an upstream has had no answer for too long; its last addresses are given up");
            self.addresses = Arc::new([]);
        } else if !said && self.addresses.is_empty() {
            tracing::warn!(name, %problem, "a name of an upstream has no address");
        } else if !said {
            let kept = Listed(&self.addresses);
            tracing::warn!(name, %problem, %kept, kept_s = limit.as_secs(), "a name of an upstream has no answer; its last addresses are kept for a while");
        }
        self.failing = Some((since, times, problem));
        let pause = Duration::from_secs(1 << times.saturating_sub(1).min(8)).min(PAUSE_CAP);
        Taken { next: now + pause, news: over || !said }
    }
}

/// Addresses with commas between them; the first few.
struct Listed<'a>(&'a [IpAddr]);

impl std::fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 8;
        for (index, address) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{address}", if index == 0 { "" } else { ", " })?;
        }
        match self.0.len().checked_sub(SHOWN) {
            None | Some(0) if self.0.is_empty() => f.write_str("none"),
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(addresses: &[&str], ttl: u64) -> Result<Answer, Unresolved> {
        Ok(Answer { addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(), ttl: Duration::from_secs(ttl) })
    }

    fn seconds(now: Instant, taken: &Taken) -> u64 {
        taken.next.duration_since(now).as_secs()
    }

    #[test]
    fn the_time_to_live_is_kept_between_a_floor_and_a_cap() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        for (ttl, asked_after) in [(0, 1), (1, 1), (7, 7), (60, 60), (86_400, 60)] {
            assert_eq!(seconds(now, &standing.take("n", answer(&["10.0.0.1"], ttl), now)), asked_after, "{ttl}");
        }
    }

    #[test]
    fn only_what_is_new_is_news() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        let outcomes = [
            (answer(&["10.0.0.1"], 5), true),
            (answer(&["10.0.0.1"], 9), false),
            (answer(&["10.0.0.1", "fd00::1"], 5), true),
            (Err(Unresolved::Silence), true),
            (Err(Unresolved::Silence), false),
            (Err(Unresolved::NoSuchName), true),
            (answer(&["10.0.0.1", "fd00::1"], 5), true),
        ];
        for (round, (outcome, news)) in outcomes.into_iter().enumerate() {
            assert_eq!(standing.take("n", outcome, now).news, news, "{round}");
        }
    }

    #[test]
    fn the_last_good_addresses_stay_for_their_time_and_no_longer() {
        for (problem, limit) in [(Unresolved::NoSuchName, ENDURE_ABSENCE), (Unresolved::Silence, ENDURE_SILENCE)] {
            let (mut standing, begun) = (Standing::default(), Instant::now());
            standing.take("n", answer(&["10.0.0.1"], 60), begun);
            // The time runs from the first failure, not from the answer.
            let mut now = begun + TTL_CAP;
            let first = now;
            while now < first + limit {
                let Taken { next, .. } = standing.take("n", Err(problem.clone()), now);
                assert_eq!(standing.addresses().len(), 1, "{problem} after {:?}", now - first);
                now = next.min(now + PAUSE_CAP);
            }
            assert!(standing.take("n", Err(problem.clone()), first + limit).news);
            assert!(standing.addresses().is_empty(), "{problem}");
            assert!(standing.report(now).problem.is_some());
            standing.take("n", answer(&["10.0.0.2"], 60), first + limit);
            assert_eq!(standing.addresses().len(), 1);
            assert!(standing.report(now).problem.is_none());
        }
    }

    #[test]
    fn without_an_answer_it_asks_ever_more_slowly() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        let pauses: Vec<u64> = (0..6).map(|_| seconds(now, &standing.take("n", Err(Unresolved::Silence), now))).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        standing.take("n", answer(&["10.0.0.1"], 60), now);
        assert_eq!(seconds(now, &standing.take("n", Err(Unresolved::Silence), now)), 1);
    }
}

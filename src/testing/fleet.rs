//! A fleet of sidecars in virtual time. What they decide by is the code that runs in each of them: [`Life`], [`Attempts`], [`Budget`]. Only the
//! authority is a model: so many issues a second, and times when it is down.

use crate::credentials::{Attempts, Budget, Ceilings, Life, Renew, Setback};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// What happens to a fleet.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// How many sidecars there are.
    pub sidecars: u32,
    /// What they do at the beginning.
    pub begin: Begin,
    /// From the start of a sidecar to its first request: up to this, at random.
    pub spread: Duration,
    /// From issue to the end of a certificate.
    pub validity: Duration,
    /// When the authority fails, from the beginning of the simulation.
    pub outage: Range<Duration>,
    /// When all of them are restarted without a certificate, and within what time, in order; their budgets count on.
    pub restarts: Vec<(Duration, Duration)>,
    /// Where it ends.
    pub until: Duration,
    /// Of the random numbers.
    pub seed: u64,
}

/// How a fleet begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Begin {
    /// All within this time, without a certificate.
    Within(Duration),
    /// So many at once and then so many a second, without a certificate.
    Launched {
        /// At once.
        burst: u32,
        /// A second, from then on.
        rate: u32,
    },
    /// Long ago: each has a certificate, and they are anywhere in their schedules.
    LongAgo,
}

impl Scenario {
    /// A week of sidecars that have run for long, with what the configuration says by default and nothing to disturb them.
    pub fn week(sidecars: u32) -> Self {
        Self {
            sidecars,
            begin: Begin::LongAgo,
            spread: Duration::from_secs(2),
            validity: Duration::from_secs(86_400),
            outage: Duration::ZERO..Duration::ZERO,
            restarts: Vec::new(),
            until: Duration::from_secs(7 * 86_400),
            seed: 1,
        }
    }
}

/// Issues a second of the authority, and how many it takes at once after a pause.
pub const RATE: f64 = 25.0;

/// One minute of the whole fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minute {
    /// Certificates issued.
    pub issued: u32,
    /// Requests that the authority throttled.
    pub throttled: u32,
    /// Requests that failed in an outage.
    pub failed: u32,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Certificates issued.
    pub certificates: u64,
    /// Requests to the authority.
    pub calls: u64,
    /// Of them, throttled.
    pub throttled: u64,
    /// Of them, failed in an outage.
    pub failed: u64,
    /// Attempts that a budget stopped; no request.
    pub stopped: u64,
    /// Certificates that ended before the next one was there.
    pub expired: u64,
    /// From a start to its first certificate: the longest.
    pub longest_start: Duration,
    /// Sidecars without a certificate at the end.
    pub without: u64,
    /// The least share of its life that a certificate had left when the next one came.
    pub least_left: f64,
    /// Minute by minute.
    pub minutes: Vec<Minute>,
}

impl Outcome {
    /// Requests for each certificate.
    pub fn calls_per_certificate(&self) -> f64 {
        self.calls as f64 / self.certificates.max(1) as f64
    }
}

struct Sidecar {
    attempts: Attempts,
    budget: Budget,
    life: Option<Life>,
    started: Duration,
    /// Counts its processes: what an earlier one had planned is void.
    process: u32,
}

/// Runs a scenario to its end.
pub fn run(scenario: &Scenario) -> Outcome {
    let mut fleet = Fleet::new(scenario);
    while let Some(Reverse((at, number, process))) = fleet.plans.pop() {
        if at >= scenario.until {
            break;
        }
        fleet.attempt(at, number, process);
    }
    fleet.outcome.without = fleet.sidecars.iter().filter(|sidecar| sidecar.life.is_none()).count() as u64;
    fleet.outcome
}

struct Fleet<'s> {
    scenario: &'s Scenario,
    renew: Renew,
    sidecars: Vec<Sidecar>,
    /// When which sidecar does something next, as which of its processes.
    plans: BinaryHeap<Reverse<(Duration, u32, u32)>>,
    authority: Authority,
    random: fastrand::Rng,
    outcome: Outcome,
}

/// The moment at which the simulation begins.
fn zero() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

impl<'s> Fleet<'s> {
    fn new(scenario: &'s Scenario) -> Self {
        let minutes = vec![Minute::default(); scenario.until.as_secs().div_ceil(60) as usize];
        let mut fleet = Self {
            scenario,
            renew: Renew::default(),
            sidecars: Vec::new(),
            plans: BinaryHeap::new(),
            authority: Authority { tokens: RATE, since: Duration::ZERO },
            random: fastrand::Rng::with_seed(scenario.seed),
            outcome: Outcome { least_left: 1.0, minutes, ..Outcome::default() },
        };
        for number in 0..scenario.sidecars {
            fleet.begin(number);
        }
        fleet
    }

    fn begin(&mut self, number: u32) {
        let &Scenario { begin, spread, validity, ref restarts, .. } = self.scenario;
        let started = match begin {
            Begin::Within(time) => time.mul_f64(self.random.f64()),
            Begin::Launched { burst, rate } => Duration::from_secs_f64(f64::from(number.saturating_sub(burst)) / f64::from(rate)),
            Begin::LongAgo => Duration::ZERO,
        };
        let (life, first) = if begin == Begin::LongAgo {
            let (life, first) = self.under_way(validity);
            (Some(life), first)
        } else {
            (None, started + Attempts::first(spread, self.random.f64()))
        };
        let sidecar = Sidecar { attempts: Attempts::default(), budget: Budget::new(Ceilings::default(), []), life, started, process: 0 };
        self.sidecars.push(sidecar);
        self.plans.push(Reverse((first, number, 0)));
        for (process, (at, within)) in (1..).zip(restarts) {
            self.plans.push(Reverse((*at + within.mul_f64(self.random.f64()), number, process)));
        }
    }

    /// A certificate anywhere between its issue and its renewal, and when that comes.
    fn under_way(&mut self, validity: Duration) -> (Life, Duration) {
        let fresh = Life { issued_at: zero(), not_after: zero() + validity };
        let planned = fresh.renew_at(&self.renew, self.random.f64()).duration_since(zero()).unwrap_or_default();
        let age = planned.mul_f64(self.random.f64());
        (Life { issued_at: fresh.issued_at - age, not_after: fresh.not_after - age }, planned - age)
    }

    fn attempt(&mut self, at: Duration, number: u32, process: u32) {
        let Some(sidecar) = self.sidecars.get_mut(number as usize) else { return };
        let pause = match process.cmp(&sidecar.process) {
            Ordering::Less => return,
            Ordering::Greater => {
                let budget = Budget::new(Ceilings::default(), sidecar.budget.issues());
                *sidecar = Sidecar { attempts: Attempts::default(), life: None, started: at, process, budget };
                Attempts::first(self.scenario.spread, self.random.f64())
            }
            Ordering::Equal => {
                let now = zero() + at;
                if sidecar.life.is_some_and(|life| life.left(now).is_none()) {
                    self.outcome.expired += 1;
                    sidecar.life = None;
                }
                match sidecar.budget.take(now) {
                    Err(stop) => {
                        self.outcome.stopped += 1;
                        stop.until.duration_since(now).unwrap_or_default()
                    }
                    Ok(()) => self.ask(at, number),
                }
            }
        };
        self.plans.push(Reverse((at + pause, number, process)));
    }

    /// One request; gives the pause before the next.
    fn ask(&mut self, at: Duration, number: u32) -> Duration {
        let (now, validity) = (zero() + at, self.scenario.validity);
        let answer = if self.scenario.outage.contains(&at) { Err(Setback::Elsewhere) } else { self.authority.ask(at) };
        let (outcome, random) = (&mut self.outcome, self.random.f64());
        count(outcome, at, answer);
        let Some(sidecar) = self.sidecars.get_mut(number as usize) else { return Duration::ZERO };
        let left = sidecar.life.and_then(|life| life.left(now));
        if let Err(setback) = answer {
            return sidecar.attempts.failed(setback, left, random);
        }
        match left {
            Some(left) => outcome.least_left = outcome.least_left.min(left.as_secs_f64() / validity.as_secs_f64()),
            None => outcome.longest_start = outcome.longest_start.max(at - sidecar.started),
        }
        let life = Life { issued_at: now, not_after: now + validity };
        sidecar.life = Some(life);
        sidecar.attempts.succeeded();
        sidecar.budget.spent(now);
        life.renew_at(&self.renew, random).duration_since(now).unwrap_or_default()
    }
}

fn count(outcome: &mut Outcome, at: Duration, answer: Result<(), Setback>) {
    outcome.calls += 1;
    let Some(minute) = outcome.minutes.get_mut((at.as_secs() / 60) as usize) else { return };
    match answer {
        Ok(()) => {
            outcome.certificates += 1;
            minute.issued += 1;
        }
        Err(Setback::Throttled) => {
            outcome.throttled += 1;
            minute.throttled += 1;
        }
        Err(_) => {
            outcome.failed += 1;
            minute.failed += 1;
        }
    }
}

/// A bucket of tokens, as AWS describes its throttling: one for each issue, and what is throttled costs none.
struct Authority {
    tokens: f64,
    since: Duration,
}

impl Authority {
    fn ask(&mut self, at: Duration) -> Result<(), Setback> {
        self.tokens = (self.tokens + (at - self.since).as_secs_f64() * RATE).min(RATE);
        self.since = at;
        if self.tokens < 1.0 {
            return Err(Setback::Throttled);
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

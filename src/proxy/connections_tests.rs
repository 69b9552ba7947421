use super::*;
use std::net::Ipv4Addr;

/// A connection on a clock that the test moves.
struct Fixture {
    connections: Rc<Connections>,
    guard: ConnectionGuard,
    timeouts: Timeouts,
}

impl Fixture {
    fn new(speaks: Speaks) -> Self {
        Self::living(speaks, Lifetime::default())
    }

    fn living(speaks: Speaks, lifetime: Lifetime) -> Self {
        let connections = Connections::new();
        let caller = Caller::new(None, (Ipv4Addr::LOCALHOST, 1).into(), 1, None);
        let guard = connections.admit(Arc::new(caller), None, speaks, lifetime);
        Self { connections, guard, timeouts: Timeouts::default() }
    }

    fn read(&self, bytes: usize) {
        self.guard.connection.activity.read(bytes);
    }

    /// What the connection is told at `seconds` after the start.
    fn told_at(&self, seconds: u64) -> Option<Close> {
        self.told_in(1 + seconds * 1_000)
    }

    /// What it is told when so many milliseconds have passed.
    fn told_in(&self, now: Millis) -> Option<Close> {
        self.connections.clock.set(now);
        self.guard.connection.sweep(now, SystemTime::UNIX_EPOCH + Duration::from_millis(now), &self.timeouts);
        self.guard.connection.told.take()
    }
}

#[test]
fn an_unfinished_head_is_cut() {
    let fixture = Fixture::new(Speaks::Http1);
    fixture.told_at(5);
    fixture.read(1);
    assert_eq!(fixture.told_at(14), None);
    assert_eq!(fixture.told_at(15), Some(Close::Cut("head")));
}

#[test]
fn a_refused_request_leaves_an_idle_connection() {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let fixture = Fixture::new(speaks);
        for seconds in [0, 9, 18, 50] {
            fixture.told_at(seconds);
            fixture.read(100);
            fixture.guard.connection.answered();
        }
        assert_eq!(fixture.told_at(109), None);
        assert_eq!(fixture.told_at(110), Some(Close::Graceful));
    }
}

#[test]
fn an_idle_connection_that_does_not_end_is_cut() {
    let fixture = Fixture::new(Speaks::Http2);
    fixture.read(100);
    assert_eq!(fixture.told_at(60), Some(Close::Graceful));
    assert_eq!(fixture.told_at(64), Some(Close::Graceful));
    assert_eq!(fixture.told_at(65), Some(Close::Cut("idle")));
}

#[test]
fn a_closing_connection_that_does_not_end_is_cut_once_it_is_idle() {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let fixture = Fixture::new(speaks);
        fixture.told_at(1);
        fixture.read(100);
        fixture.guard.connection.begin_closing(1_001);
        fixture.guard.connection.told.take();
        assert_eq!(fixture.told_at(9), (speaks == Speaks::Http2).then_some(Close::Cut("closing")));
        fixture.guard.connection.answered();
        assert_eq!(fixture.told_at(10), Some(Close::Graceful));
        assert_eq!(fixture.told_at(14), Some(Close::Graceful));
        assert_eq!(fixture.told_at(15), Some(Close::Cut("closing")));
    }
}

#[test]
fn a_client_that_goes_on_sending_is_heard_for_two_seconds() {
    let fixture = Fixture::new(Speaks::Http1);
    fixture.told_at(10);
    assert!(fixture.guard.connection.activity.part());
    assert_eq!(fixture.told_at(11), None);
    assert_eq!(fixture.told_at(12), Some(Close::Cut("parting")));
    assert!(!Fixture::new(Speaks::Http2).guard.connection.activity.part());
}

/// However short the rest of a certificate is: a sweep that announces the end is never the one that brings it.
#[test]
fn the_end_of_a_certificate_is_announced_a_tenth_of_its_rest_before() {
    for rest in [60_000, 1_000] {
        let ends = SystemTime::UNIX_EPOCH + Duration::from_millis(rest);
        let lifetime = Lifetime::until(ends, SystemTime::UNIX_EPOCH, Duration::from_secs(30), None);
        let fixture = Fixture::living(Speaks::Http2, lifetime);
        fixture.guard.connection.activity.set(Doing::Busy);
        let (announced, cut) = (rest - rest / 10 - 100, rest - 100);
        let told = [announced - 1, announced, cut - 1, cut].map(|now| fixture.told_in(now));
        assert_eq!(told, [None, Some(Close::Graceful), None, Some(Close::Cut("expired"))], "{rest} ms");
    }
}

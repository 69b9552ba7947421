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
        let connections = Connections::new();
        let caller = Caller::new(None, (Ipv4Addr::LOCALHOST, 1).into(), 1, None);
        let guard = connections.admit(Arc::new(caller), speaks, Lifetime::default());
        Self { connections, guard, timeouts: Timeouts::default() }
    }

    fn read(&self, bytes: usize) {
        self.guard.connection.activity.read(bytes);
    }

    /// What the connection is told at `seconds` after the start.
    fn told_at(&self, seconds: u64) -> Option<Close> {
        let now = 1 + seconds * 1_000;
        self.connections.clock.set(now);
        self.guard.connection.sweep(now, SystemTime::UNIX_EPOCH, &self.timeouts);
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

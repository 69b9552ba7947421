use super::*;
use crate::proxy::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM};
use proptest::prelude::*;

const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

/// One connection's frames, fed as events.
#[derive(Default)]
struct Fixture {
    http2: Http2,
    now: Millis,
}

impl Fixture {
    fn comes(&self, kind: u8, flags: u8, stream: u32, length: u32) {
        let head = Head { length, kind, flags, stream };
        self.http2.came(Event::Began(head), self.now.max(1));
        self.http2.came(Event::Ended(head, [0; 8]), self.now.max(1));
    }

    fn opens(&self, stream: u32) {
        self.comes(HEADERS, END_HEADERS | END_STREAM, stream, 20);
    }

    fn leaves(&self, kind: u8, stream: u32, length: u32, first: [u8; 8]) {
        let head = Head { length, kind, flags: 0, stream };
        self.http2.left(Event::Began(head), self.now);
        self.http2.left(Event::Ended(head, first), self.now);
    }

    fn resets(&self, stream: u32, code: u8) {
        self.leaves(RST_STREAM, stream, 4, [0, 0, 0, code, 0, 0, 0, 0]);
    }

    fn answers(&self, stream: u32) {
        self.leaves(HEADERS, stream, 9, [0; 8]);
    }
}

#[test]
fn what_is_handled_is_not_refused() {
    let fixture = Fixture::default();
    fixture.opens(1);
    fixture.opens(3);
    fixture.http2.handled();
    fixture.http2.handled();
    // The second is reset at once, by us or by the library: its record is its exchange's.
    fixture.resets(3, 3);
    assert_eq!(fixture.http2.settle(), None);
    fixture.answers(1);
    fixture.resets(1, 0);
    assert_eq!(fixture.http2.settle(), None);
}

#[test]
fn what_never_reached_us_is_told_by_how_it_was_refused() {
    let fixture = Fixture::default();
    for stream in [1, 3, 5, 7, 9] {
        fixture.opens(stream);
    }
    fixture.http2.handled();
    fixture.resets(3, 1);
    fixture.answers(5);
    fixture.resets(5, 1);
    fixture.answers(7);
    fixture.resets(9, 7);
    assert_eq!(fixture.http2.settle(), Some(Refused { malformed: 1, too_large: 2, too_many: 1 }));
    assert_eq!(fixture.http2.settle(), None);
    // The next one begins anew.
    fixture.opens(11);
    fixture.resets(11, 1);
    assert_eq!(fixture.http2.settle(), Some(Refused { malformed: 1, ..Refused::default() }));
}

#[test]
fn a_reset_of_a_stream_that_was_settled_is_no_refusal() {
    let fixture = Fixture::default();
    fixture.opens(1);
    fixture.http2.handled();
    fixture.http2.settle();
    fixture.resets(1, 3);
    fixture.opens(3);
    fixture.http2.handled();
    assert_eq!(fixture.http2.settle(), None);
}

#[test]
fn a_reset_of_a_stream_that_was_never_opened_is_one() {
    let fixture = Fixture::default();
    fixture.resets(5, 1);
    assert_eq!(fixture.http2.settle(), Some(Refused { malformed: 1, ..Refused::default() }));
}

#[test]
fn an_open_header_block_is_waited_for() {
    let fixture = Fixture { now: 7, ..Fixture::default() };
    fixture.comes(HEADERS, 0, 1, 20);
    assert_eq!((fixture.http2.block_since(), fixture.http2.settle()), (Some(7), None));
    fixture.comes(CONTINUATION, END_HEADERS, 1, 20);
    fixture.resets(1, 1);
    assert_eq!((fixture.http2.block_since(), fixture.http2.settle().map(|refused| refused.malformed)), (None, Some(1)));
}

#[test]
fn only_a_goaway_with_an_error_is_a_failure() {
    let fixture = Fixture::default();
    fixture.leaves(GOAWAY, 0, 8, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert!(!fixture.http2.failed());
    fixture.leaves(GOAWAY, 0, 8, [0, 0, 0, 1, 0, 0, 0, 11]);
    assert!(fixture.http2.failed());
}

#[test]
fn frames_that_bring_nothing_on_use_the_credit_up() {
    let floods: [(u8, u8, u32, u64); 6] =
        [(PING, 0, 8, 1), (WINDOW_UPDATE, 0, 4, 1), (DATA, 0, 0, 1), (0xfa, 0, 0, 1), (RST_STREAM, 0, 4, 5), (4, 0, 6, 10)];
    for (kind, flags, length, cost) in floods {
        let fixture = Fixture::default();
        for sent in 0..=H2_CREDIT / cost {
            assert!(!fixture.http2.flooded(), "type {kind} after {sent}");
            fixture.comes(kind, flags, 1, length);
        }
        assert!(fixture.http2.flooded(), "type {kind}");
    }
}

#[test]
fn the_credit_comes_back() {
    let mut fixture = Fixture::default();
    for second in 0..100 {
        fixture.now = 1 + second * 1_000;
        (0..H2_CREDIT_PER_SECOND).for_each(|_| fixture.comes(PING, 0, 0, 8));
    }
    assert!(!fixture.http2.flooded());
}

#[test]
fn a_download_pays_for_its_window_updates_and_an_upload_for_its_pings() {
    let fixture = Fixture::default();
    for _ in 0..100_000 {
        fixture.leaves(DATA, 1, 16_384, [0; 8]);
        fixture.comes(WINDOW_UPDATE, 0, 0, 4);
        fixture.comes(WINDOW_UPDATE, 0, 1, 4);
        fixture.comes(DATA, 0, 3, 16_384);
        fixture.comes(PING, 0, 0, 8);
    }
    assert!(!fixture.http2.flooded());
}

/// RFC 9113, section 3.4: SETTINGS come first; what they are like, the library sees to.
#[test]
fn only_settings_begin_a_connection() {
    for (kind, begins) in [(frames::SETTINGS, true), (PING, false), (HEADERS, false), (WINDOW_UPDATE, false)] {
        let (mut observer, http2) = (Observer::new(), Http2::default());
        let preface: Vec<u8> = [&[b'P'; frames::PREFACE as usize][..], &[0, 0, 0, kind, 0, 0, 0, 0, 0]].concat();
        preface.iter().for_each(|byte| observer.read(&[*byte], &http2, 1));
        assert_eq!((http2.failed(), http2.farewell().is_some()), (!begins, !begins), "type {kind}");
        // Whatever comes later.
        observer.read(&[0, 0, 0, PING, 0, 0, 0, 0, 0], &http2, 1);
        assert_eq!(http2.failed(), !begins, "type {kind}");
    }
}

proptest! {
    /// However its frames are cut: the numbers are the same, and nothing panics.
    #[test]
    fn any_bytes_either_way(bytes in prop::collection::vec(any::<u8>(), 0..400), pieces in prop::collection::vec(1_usize..60, 1..20)) {
        let state = |cuts: &[usize]| {
            let (mut observer, http2) = (Observer::new(), Http2::default());
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (piece, later) = rest.split_at((*cut).min(rest.len()));
                observer.read(piece, &http2, 1);
                observer.wrote(piece, &http2, 1);
                rest = later;
                if rest.is_empty() {
                    return format!("{:?}", (http2.newest, http2.fresh, http2.failed, http2.block_since, observer.is_between()));
                }
            }
            unreachable!()
        };
        // Both directions take turns piece by piece, so only what one of them alone decides is compared.
        prop_assert_eq!(state(&pieces), state(&[bytes.len().max(1)]));
    }
}

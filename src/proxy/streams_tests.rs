use super::*;
use crate::proxy::frames::{DATA, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, RST_STREAM, SETTINGS, WINDOW_UPDATE};
use proptest::prelude::*;

fn head(kind: u8, flags: u8, stream: u32, length: u32) -> Event {
    Event::Began(Head { length, kind, flags, stream })
}

/// A connection's window is large here unless a test makes it small.
fn answered(streams: &[u32]) -> Streams {
    let mut all = Streams::new();
    all.came(update(0, 1 << 30), 1);
    for stream in streams {
        all.opened(*stream);
        all.left(head(HEADERS, 0, *stream, 9), 1);
    }
    all
}

fn update(stream: u32, by: u32) -> Event {
    let mut first = [0; 8];
    first[..4].copy_from_slice(&by.to_be_bytes());
    Event::Ended(Head { length: 4, kind: WINDOW_UPDATE, flags: 0, stream }, first)
}

#[test]
fn a_stream_without_a_window_waits() {
    let mut streams = answered(&[1, 3, 5]);
    streams.left(head(DATA, 0, 1, 65_535), 10);
    streams.left(head(DATA, 0, 3, 65_535), 20);
    streams.left(head(DATA, 0, 5, 65_534), 30);
    assert_eq!(streams.stalled(), (2, 10));
    streams.came(update(1, 1), 40);
    assert_eq!(streams.stalled(), (1, 20));
    streams.left(head(DATA, 0, 1, 1), 50);
    assert_eq!(streams.stalled(), (2, 20));
    streams.came(head(RST_STREAM, 0, 3, 4), 60);
    assert_eq!(streams.stalled(), (1, 50));
    streams.left(head(DATA, END_STREAM, 1, 0), 70);
    assert_eq!(streams.stalled(), (0, 0));
}

#[test]
fn a_connection_without_a_window_makes_all_wait() {
    let mut streams = Streams::new();
    streams.opened(1);
    streams.opened(3);
    streams.left(head(HEADERS, 0, 1, 9), 5);
    streams.left(head(DATA, 0, 1, 65_535), 10);
    // The other one is not answered: nothing of it waits.
    assert_eq!(streams.stalled(), (1, 10));
    streams.left(head(HEADERS, 0, 3, 9), 15);
    assert_eq!(streams.stalled(), (2, 10));
    streams.came(update(0, 1), 20);
    assert_eq!(streams.stalled(), (1, 10));
}

#[test]
fn settings_move_the_windows_of_open_streams() {
    let mut streams = answered(&[1]);
    settings(&mut streams, &[0], 10);
    assert_eq!(streams.stalled(), (1, 10));
    streams.opened(3);
    streams.left(head(HEADERS, 0, 3, 9), 20);
    assert_eq!(streams.stalled(), (2, 10));
    settings(&mut streams, &[100], 30);
    assert_eq!(streams.stalled(), (0, 0));
}

#[test]
fn of_one_settings_frame_the_last_value_counts() {
    let mut streams = answered(&[1, 3]);
    streams.left(head(DATA, 0, 1, 65_535), 10);
    // Both ways and back again: the streams were not touched twice, and one that waits has waited all the time.
    settings(&mut streams, &[0, 1 << 20, 0, 1 << 20, 65_535], 40);
    assert_eq!(streams.stalled(), (1, 10));
    settings(&mut streams, &[1 << 20, 0], 50);
    assert_eq!(streams.stalled(), (2, 10));
    settings(&mut streams, &[0, 65_536], 60);
    assert_eq!(streams.stalled(), (0, 0));
}

/// A SETTINGS frame with these initial windows, one after the other.
fn settings(streams: &mut Streams, sizes: &[u32], now: Millis) {
    let length = u32::try_from(6 * sizes.len()).unwrap();
    sizes.iter().for_each(|size| streams.came(Event::Setting(INITIAL_WINDOW_SIZE, *size), now));
    streams.came(Event::Ended(Head { length, kind: SETTINGS, flags: 0, stream: 0 }, [0; 8]), now);
}

#[test]
fn what_comes_after_the_last_goaway_is_not_kept() {
    let mut streams = Streams::new();
    let goaway = Head { length: 8, kind: GOAWAY, flags: 0, stream: 0 };
    streams.left(Event::Ended(goaway, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]), 1);
    streams.opened(1);
    assert_eq!(streams.open.len(), 1);
    streams.left(Event::Ended(goaway, [0, 0, 0, 1, 0, 0, 0, 0]), 1);
    streams.opened(3);
    assert_eq!(streams.open.len(), 1);
}

proptest! {
    /// Whatever comes and goes: the counts are those of the streams.
    #[test]
    fn the_counts_hold(steps in prop::collection::vec((0_u8..7, 0_u32..6, 0_u32..100_000), 0..200)) {
        let mut streams = Streams::new();
        let mut newest = 0_u32;
        for (now, (step, back, number)) in (1..).zip(steps) {
            let stream = newest.saturating_sub(back);
            match step {
                0 => {
                    newest += 1;
                    streams.opened(newest);
                }
                1 => streams.left(head(HEADERS, 0, stream, 9), now),
                2 => streams.left(head(DATA, u8::from(number % 7 == 0), stream, number), now),
                3 => streams.came(update(stream, number), now),
                4 => streams.came(update(0, number), now),
                5 => streams.came(head(RST_STREAM, 0, stream, 4), now),
                6 => settings(&mut streams, &[number], now),
                _ => {}
            }
            let shut = || streams.open.iter().filter(|stream| stream.is_shut());
            prop_assert_eq!(streams.answered, streams.open.iter().filter(|stream| stream.answered).count());
            prop_assert_eq!(streams.shut, shut().count());
            prop_assert_eq!(streams.shut_since, shut().map(|stream| stream.shut_since).min().unwrap_or(0));
            prop_assert!(streams.open.iter().all(|stream| stream.is_shut() == (stream.shut_since != 0)));
        }
    }
}

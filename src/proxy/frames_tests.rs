use super::*;
use proptest::prelude::*;

fn frame(head: Head, payload: &[u8]) -> Vec<u8> {
    let length = head.length.to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], head.kind, head.flags];
    bytes.extend(head.stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The events of `bytes` that come in pieces of these lengths, the last one repeated.
fn events(skip: u32, bytes: &[u8], pieces: &[usize]) -> (Vec<Event>, bool) {
    let (mut frames, mut events, mut rest) = (Frames::after(skip), Vec::new(), bytes);
    let mut pieces = pieces.iter().copied().chain(std::iter::repeat(*pieces.last().unwrap_or(&usize::MAX)));
    while !rest.is_empty() {
        let (mut piece, later) = rest.split_at(pieces.next().unwrap().clamp(1, rest.len()));
        rest = later;
        while let Some(event) = frames.next(&mut piece) {
            events.push(event);
        }
        assert!(piece.is_empty());
    }
    // The end of an empty frame is no byte: it is told with its head.
    events.extend(std::iter::from_fn(|| frames.next(&mut &b""[..])));
    (events, frames.is_between())
}

#[test]
fn a_reset_and_a_goaway() {
    let reset = Head { length: 4, kind: RST_STREAM, flags: 0, stream: 3 };
    let goaway = Head { length: 10, kind: GOAWAY, flags: 0, stream: 0 };
    let ack = Head { length: 0, kind: SETTINGS, flags: 1, stream: 0 };
    let settings = Head { length: 12, flags: 0, ..ack };
    let bytes = [
        vec![0; 24],
        frame(ack, b""),
        frame(settings, &[0, 4, 0, 0, 0, 9, 0, 3, 0, 0, 1, 0]),
        frame(reset, &[0, 0, 0, 1]),
        frame(goaway, &[0, 0, 0, 3, 0, 0, 0, 11, b'n', b'o']),
    ]
    .concat();
    let expected = [
        Event::Began(ack),
        Event::Ended(ack, [0; 8]),
        Event::Began(settings),
        Event::Setting(INITIAL_WINDOW_SIZE, 9),
        Event::Setting(3, 256),
        Event::Ended(settings, [0; 8]),
        Event::Began(reset),
        Event::Ended(reset, [0, 0, 0, 1, 0, 0, 0, 0]),
        Event::Began(goaway),
        Event::Ended(goaway, [0, 0, 0, 3, 0, 0, 0, 11]),
    ];
    for piece in 1..bytes.len() {
        assert_eq!(events(PREFACE, &bytes, &[piece]), (expected.to_vec(), true));
    }
    assert_eq!(events(PREFACE, &bytes[..bytes.len() - 1], &[7]), (expected[..expected.len() - 1].to_vec(), false));
}

#[test]
fn the_reserved_bit_is_no_part_of_the_stream() {
    let (events, _) = events(0, &[0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], &[9]);
    assert_eq!(events[0], Event::Began(Head { length: 0, kind: DATA, flags: 0, stream: 0x7fff_ffff }));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        skip in 0_u32..30,
        frames in prop::collection::vec((prop_oneof![any::<u8>(), Just(SETTINGS)], any::<u8>(), 0_u32..1 << 31, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
        cut in 0_usize..20,
        pieces in prop::collection::vec(1_usize..30, 1..20),
    ) {
        let heads: Vec<_> = frames.iter().map(|(kind, flags, stream, payload)| {
            Head { length: payload.len() as u32, kind: *kind, flags: *flags, stream: *stream }
        }).collect();
        let mut bytes = vec![0xaa; skip as usize];
        let mut expected = Vec::new();
        for (head, (.., payload)) in heads.iter().zip(&frames) {
            bytes.extend(frame(*head, payload));
            let mut first = [0; 8];
            expected.push(Event::Began(*head));
            if head.kind == SETTINGS {
                let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
                let settings = payload.chunks_exact(6).map(|setting| Event::Setting(number(&setting[..2]) as u16, number(&setting[2..])));
                expected.extend(settings);
            } else {
                first.iter_mut().zip(payload).for_each(|(to, from)| *to = *from);
            }
            expected.push(Event::Ended(*head, first));
        }
        prop_assert_eq!(events(skip, &bytes, &pieces), (expected, true));
        let cut = &bytes[..bytes.len().saturating_sub(cut)];
        prop_assert_eq!(events(skip, cut, &pieces), events(skip, cut, &[usize::MAX]));
    }

    #[test]
    fn any_bytes_are_taken(skip in 0_u32..30, bytes in prop::collection::vec(any::<u8>(), 0..200), pieces in prop::collection::vec(1_usize..30, 1..20)) {
        prop_assert_eq!(events(skip, &bytes, &pieces), events(skip, &bytes, &[usize::MAX]));
    }
}

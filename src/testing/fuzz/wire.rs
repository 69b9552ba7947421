//! Bytes on the wire.

use crate::proxy::frames::{Event, Frames, Head, SETTINGS};

/// The frame scanner sees the same frames however the bytes are cut, and the same as a reader that has them all at once.
pub(super) fn http2_frames(data: &[u8]) {
    let Some(([skip, piece], bytes)) = data.split_first_chunk::<2>().map(|(options, bytes)| (*options, bytes)) else { return };
    let skip = u32::from(skip % 25);
    let pieces: Vec<&[u8]> = bytes.chunks(usize::from(piece).max(1)).collect();
    let whole = scanned(skip, &[bytes]);
    assert_eq!(scanned(skip, &pieces), whole);
    // The reader below knows of frames, not of what is in them.
    let frames: Vec<Event> = whole.into_iter().filter(|event| !matches!(event, Event::Setting(..))).collect();
    assert_eq!(frames, all_at_once(bytes.get(skip as usize..).unwrap_or_default()));
}

fn scanned(skip: u32, pieces: &[&[u8]]) -> Vec<Event> {
    let mut frames = Frames::after(skip);
    let mut events = Vec::new();
    for mut piece in pieces.iter().copied() {
        while let Some(event) = frames.next(&mut piece) {
            events.push(event);
        }
        assert!(piece.is_empty(), "bytes are left, and nothing happened");
    }
    events
}

fn all_at_once(bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut rest = bytes;
    while let Some((head, behind)) = rest.split_first_chunk::<9>() {
        let [a, b, c, kind, flags, stream @ ..] = *head;
        let head = Head { length: u32::from_be_bytes([0, a, b, c]), kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff };
        events.push(Event::Began(head));
        let Some(payload) = behind.get(..head.length as usize) else { break };
        let mut first = [0; 8];
        // The beginning of SETTINGS is told as values.
        if kind != SETTINGS {
            first.iter_mut().zip(payload).for_each(|(to, from)| *to = *from);
        }
        events.push(Event::Ended(head, first));
        rest = behind.get(payload.len()..).unwrap_or_default();
    }
    events
}

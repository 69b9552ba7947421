//! HTTP/2 frames as they pass by: where each begins, where it ends, and how its payload begins (RFC 9113, section 4.1). Pure; holds no payload.

/// Frame types (RFC 9113, section 6).
pub const DATA: u8 = 0;
/// See [`DATA`].
pub const HEADERS: u8 = 1;
/// See [`DATA`].
pub const RST_STREAM: u8 = 3;
/// See [`DATA`].
pub const SETTINGS: u8 = 4;
/// See [`DATA`].
pub const GOAWAY: u8 = 7;
/// See [`DATA`].
pub const WINDOW_UPDATE: u8 = 8;
/// See [`DATA`].
pub const CONTINUATION: u8 = 9;

/// The setting of how much a stream may send at first (RFC 9113, section 6.5.2).
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// The flag of DATA and HEADERS that ends a stream.
pub const END_STREAM: u8 = 0x1;
/// The flag of HEADERS and CONTINUATION that ends a header block.
pub const END_HEADERS: u8 = 0x4;

/// Bytes of the client's connection preface (RFC 9113, section 3.4).
pub const PREFACE: u32 = 24;

const HEAD: usize = 9;
/// Bytes of one setting.
const SETTING: usize = 6;

/// The nine bytes before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Bytes of payload.
    pub length: u32,
    /// The frame's type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; zero: the connection.
    pub stream: u32,
}

impl Head {
    fn parse([length_0, length_1, length_2, kind, flags, stream_0, stream_1, stream_2, stream_3]: [u8; HEAD]) -> Self {
        Self {
            length: u32::from_be_bytes([0, length_0, length_1, length_2]),
            kind,
            flags,
            stream: u32::from_be_bytes([stream_0 & 0x7f, stream_1, stream_2, stream_3]),
        }
    }

    /// Whether a flag is set.
    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The head of a frame.
    Began(Head),
    /// One setting of a SETTINGS frame: what, and its value.
    Setting(u16, u32),
    /// The last byte of a frame, with the first eight bytes of its payload; what a shorter one lacks is zero, and so is all of it in SETTINGS.
    Ended(Head, [u8; 8]),
}

/// Finds the frames in one direction's bytes, however these are cut into pieces.
#[derive(Debug)]
pub struct Frames {
    /// Bytes that come before the next frame's head.
    skip: u32,
    /// The beginning of a head that is not complete.
    head: [u8; HEAD],
    have: usize,
    /// The frame whose payload passes, and how much of it is missing.
    current: Option<(Head, u32)>,
    first: [u8; 8],
}

impl Frames {
    /// Frames after `skip` bytes of something else: [`PREFACE`] for what a client sends.
    pub fn after(skip: u32) -> Self {
        Self { skip, head: [0; HEAD], have: 0, current: None, first: [0; 8] }
    }

    /// Takes bytes off `bytes` until something happens; `None` when they are used up.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Event> {
        match self.current {
            Some((head, left)) => self.payload(bytes, head, left),
            None => self.begin(bytes),
        }
    }

    /// Whether the next byte begins a frame.
    pub fn is_between(&self) -> bool {
        self.skip == 0 && self.have == 0 && self.current.is_none()
    }

    fn begin(&mut self, bytes: &mut &[u8]) -> Option<Event> {
        self.skip -= pass(bytes, self.skip);
        let head = match bytes.split_first_chunk::<HEAD>() {
            Some((head, rest)) if self.have == 0 => {
                *bytes = rest;
                *head
            }
            _ => {
                let missing = self.head.get_mut(self.have..).unwrap_or_default();
                let (now, rest) = bytes.split_at(missing.len().min(bytes.len()));
                missing.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
                *bytes = rest;
                self.have += now.len();
                if self.have < HEAD {
                    return None;
                }
                self.have = 0;
                self.head
            }
        };
        let head = Head::parse(head);
        self.current = Some((head, head.length));
        self.first = [0; 8];
        Some(Event::Began(head))
    }

    fn payload(&mut self, bytes: &mut &[u8], head: Head, left: u32) -> Option<Event> {
        let at = usize::try_from(head.length - left).unwrap_or(usize::MAX);
        let is_settings = head.kind == SETTINGS;
        let (at, most) = if is_settings { (at % SETTING, left.min((SETTING - at % SETTING) as u32)) } else { (at, left) };
        let now = bytes.get(..most as usize).unwrap_or(bytes);
        self.first.get_mut(at..).unwrap_or_default().iter_mut().zip(now).for_each(|(to, from)| *to = *from);
        let (filled, left) = (at + now.len(), left - pass(bytes, most));
        self.current = Some((head, left));
        if is_settings && filled == SETTING {
            let [id_0, id_1, value @ .., _, _] = self.first;
            return Some(Event::Setting(u16::from_be_bytes([id_0, id_1]), u32::from_be_bytes(value)));
        }
        if left != 0 {
            return None;
        }
        self.current = None;
        Some(Event::Ended(head, if is_settings { [0; 8] } else { self.first }))
    }
}

/// Drops at most `most` bytes; how many.
fn pass(bytes: &mut &[u8], most: u32) -> u32 {
    let passed = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(most);
    *bytes = bytes.get(passed as usize..).unwrap_or_default();
    passed
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;

//! Where one request ends and the next one begins, told from the bytes of a connection as they come.
//!
//! hyper frames the requests itself; this follows it, for two questions that it does not answer: whether the bytes that
//! came are a request's head or a body, and whether a head has both a `Content-Length` and a `Transfer-Encoding`, of which
//! hyper drops the first without a word. What is no valid framing need not be followed: hyper ends such a connection.

/// As much of a line is kept as names a header and its value; spaces are not kept at all.
const LINE_BYTES: usize = 64;

/// What was seen in some bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// A request's head begins in them.
    pub head_begins: bool,
    /// A head ended in them that says its body's length in two ways, or in none that can be read.
    pub ambiguous: bool,
}

/// A connection's framing so far.
#[derive(Debug, Default)]
pub struct Framing {
    at: At,
    line: HeadLine,
    /// Of the head that is being read: whether there was any line of it, and what it says of its body.
    begun: bool,
    length: Length,
    encoded: bool,
}

/// What `Content-Length` says.
#[derive(Debug, Default)]
enum Length {
    #[default]
    Unsaid,
    /// So many bytes.
    Bytes(u64),
    /// Nothing that can be understood.
    Unreadable,
}

#[derive(Debug, Default)]
enum At {
    /// In a head, or before one.
    #[default]
    Head,
    /// So many bytes of a body are to come.
    Body(u64),
    /// In the line that says a chunk's size.
    Size { size: u64, over: bool },
    /// So many bytes of a chunk are to come, its line's end included.
    Chunk(u64),
    /// In the lines behind the last chunk.
    Trailers,
}

/// The beginning of a line, without its spaces.
#[derive(Debug)]
struct HeadLine {
    kept: [u8; LINE_BYTES],
    length: usize,
    /// Whether there was more than is kept.
    cut: bool,
}

impl Framing {
    /// Follows the next bytes of the connection.
    pub fn read(&mut self, mut bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = match &mut self.at {
                At::Body(left) | At::Chunk(left) => {
                    let passed = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= passed as u64;
                    if *left == 0 {
                        self.at = if matches!(self.at, At::Body(_)) {
                            At::Head
                        } else {
                            At::Size { size: 0, over: false }
                        };
                    }
                    &bytes[passed..]
                }
                At::Size { size, over } => {
                    self.at = size_after(*size, *over, byte);
                    rest
                }
                At::Head | At::Trailers => {
                    let end = bytes.iter().position(|&byte| byte == b'\n');
                    self.line.push(&bytes[..end.unwrap_or(bytes.len())]);
                    if matches!(self.at, At::Head) && !self.begun && self.line.length > 0 {
                        (self.begun, seen.head_begins) = (true, true);
                    }
                    let Some(end) = end else { break };
                    self.end_line(&mut seen);
                    &bytes[end + 1..]
                }
            };
        }
        seen
    }

    /// Whether a part of a head has come, and not yet all of it.
    #[must_use]
    pub const fn in_head(&self) -> bool {
        self.begun && matches!(self.at, At::Head)
    }

    fn end_line(&mut self, seen: &mut Seen) {
        match (&self.at, self.line.length) {
            (At::Trailers, 0) => self.at = At::Head,
            (At::Head, 0) if self.begun => self.end_head(seen),
            (At::Head, 1..) => self.header(),
            // Further trailers; empty lines before a head.
            _ => {}
        }
        self.line.clear();
    }

    fn header(&mut self) {
        let line = &self.line.kept[..self.line.length];
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encoded = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let value = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            self.length = value.filter(|_| !self.line.cut).map_or(Length::Unreadable, Length::Bytes);
        }
    }

    fn end_head(&mut self, seen: &mut Seen) {
        self.begun = false;
        let (length, encoded) = (std::mem::take(&mut self.length), std::mem::take(&mut self.encoded));
        seen.ambiguous |= match length {
            Length::Unsaid => false,
            Length::Bytes(_) => encoded,
            Length::Unreadable => true,
        };
        self.at = match length {
            // The last encoding of a request must be `chunked`; hyper refuses any other.
            _ if encoded => At::Size { size: 0, over: false },
            Length::Bytes(length @ 1..) => At::Body(length),
            _ => At::Head,
        };
    }
}

/// Behind `byte` in the line that says a chunk's size: hexadecimal digits, and then any extensions.
fn size_after(size: u64, over: bool, byte: u8) -> At {
    match (byte, char::from(byte).to_digit(16)) {
        (b'\n', _) if size == 0 => At::Trailers,
        // The chunk and the end of its line.
        (b'\n', _) => At::Chunk(size.saturating_add(2)),
        (_, Some(digit)) if !over => {
            At::Size { size: size.saturating_mul(16).saturating_add(digit.into()), over }
        }
        _ => At::Size { size, over: true },
    }
}

impl HeadLine {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes.iter().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) {
            let Some(place) = self.kept.get_mut(self.length) else {
                self.cut = true;
                return;
            };
            *place = byte;
            self.length += 1;
        }
    }

    const fn clear(&mut self) {
        (self.length, self.cut) = (0, false);
    }
}

impl Default for HeadLine {
    fn default() -> Self {
        Self { kept: [0; LINE_BYTES], length: 0, cut: false }
    }
}

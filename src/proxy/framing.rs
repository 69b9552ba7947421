//! Whether a head that comes in has a length beside its transfer coding: the HTTP library reads such a message well, closes after it, and drops the
//! length before anybody sees it (RFC 9112, section 6.3). The record shall say that somebody sent one.

const CODING: &[u8] = b"transfer-encoding";
const LENGTH: &[u8] = b"content-length";

/// How far to go on after a byte that stands where the last one of [`CODING`] should (Horspool); zero: it is that one.
const SKIP: [u8; 256] = {
    let mut skip = [CODING.len() as u8; 256];
    let mut at = 0;
    while at < CODING.len() {
        let left = (CODING.len() - 1 - at) as u8;
        skip[CODING[at] as usize] = left;
        skip[CODING[at].to_ascii_uppercase() as usize] = left;
        at += 1;
    }
    skip
};

/// Whether `bytes`, read while a head was awaited, hold a head with both fields. A head that comes in several pieces is not put together for this.
pub fn has_both(bytes: &[u8]) -> bool {
    let mut end = CODING.len() - 1;
    while let Some(byte) = bytes.get(end) {
        match SKIP[usize::from(*byte)] {
            0 => {
                let begin = end + 1 - CODING.len();
                let found = bytes.get(begin..=end).is_some_and(|found| found.eq_ignore_ascii_case(CODING));
                let is_name = bytes.get(end + 1) == Some(&b':') && begin.checked_sub(1).and_then(|at| bytes.get(at)) == Some(&b'\n');
                if found && is_name && has_length(bytes, begin) {
                    return true;
                }
                end += CODING.len();
            }
            skip => end += usize::from(skip),
        }
    }
    false
}

/// Whether the head around `at` has a length. Only requests with a transfer coding get here.
fn has_length(bytes: &[u8], at: usize) -> bool {
    let (before, after) = bytes.split_at_checked(at).unwrap_or_default();
    let end = |byte: &u8| *byte == b'\n';
    // A blank line is where one message ends and another begins.
    let within = |line: &&[u8]| !line.trim_ascii_end().is_empty();
    let mut lines = before.rsplit(end).skip(1).take_while(within).chain(after.split(end).take_while(within));
    lines
        .any(|line| line.get(..LENGTH.len()).is_some_and(|name| name.eq_ignore_ascii_case(LENGTH)) && line.get(LENGTH.len()) == Some(&b':'))
}

#[cfg(test)]
mod tests {
    use super::has_both;

    #[test]
    fn both_fields_of_one_head() {
        let table = [
            ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n", true),
            ("POST / HTTP/1.1\r\nContent-Length: 5\r\nx: y\r\nTRANSFER-ENCODING: chunked\r\n\r\n0\r\n\r\n", true),
            ("POST / HTTP/1.1\ncontent-length:5\ntransfer-encoding:chunked\n\n", true),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\ncontent-length: 5\r\n\r\n", false),
            ("POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nok\r\n\r\nPOST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", false),
            ("GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n", true),
            ("POST / HTTP/1.1\r\nx-content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", false),
            ("POST / HTTP/1.1\r\ncontent-lengths: 5\r\ntransfer-encoding: chunked\r\n\r\n", false),
            ("POST /transfer-encodingtransfer-encoding HTTP/1.1\r\ntransfer-encodin: g\r\ncontent-length: 5\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nx-transfer-encoding: a\r\ncontent-length: 5\r\n\r\n", false),
            ("", false),
            ("transfer-encoding", false),
        ];
        for (bytes, expected) in table {
            assert_eq!(has_both(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}

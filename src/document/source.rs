//! Where a text comes from: a file, or an environment variable where there are no files.

use super::Problems;
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::io::ErrorKind;

/// Reads the text of `source`: a path, or `env:NAME` for the value of a variable, plain or base64.
///
/// # Errors
/// One problem: nothing is there, it cannot be read, or it is no text.
pub fn read(source: &str) -> Result<String, Problems> {
    let Some(name) = source.strip_prefix("env:") else { return read_file(source) };
    match std::env::var(name) {
        Ok(value) => decode(source, value),
        Err(std::env::VarError::NotPresent) => Err(Problems::of_file(source, "is not set", format!("set the environment variable {name}"))),
        Err(std::env::VarError::NotUnicode(_)) => Err(not_utf8(source)),
    }
}

/// Decodes a text that may be base64: one that has no other characters than base64 has. TOML with a table or a quoted string never looks so.
///
/// # Errors
/// One problem: it looks like base64 and is none, or what it holds is no UTF-8.
pub fn decode(source: &str, text: String) -> Result<String, Problems> {
    let compact: String = text.split_ascii_whitespace().collect();
    let symbol = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if compact.is_empty() || !compact.trim_end_matches('=').bytes().all(symbol) {
        return Ok(text);
    }
    let padding = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, padding)
        .decode(compact)
        .map_err(|_| Problems::of_file(source, "is neither TOML nor base64", "put the TOML there, plain or in standard base64"))?;
    String::from_utf8(bytes).map_err(|_| not_utf8(source))
}

fn read_file(path: &str) -> Result<String, Problems> {
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Problems::of_file(path, "does not exist", "give the path of a file that does, or env:NAME for a variable"),
        ErrorKind::InvalidData => not_utf8(path),
        _ => Problems::of_file(path, format!("cannot be read ({error})"), "give the path of a readable file"),
    })
}

fn not_utf8(source: &str) -> Problems {
    Problems::of_file(source, "is not UTF-8", "save it as UTF-8 text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_and_base64_give_the_same() {
        let plain = "[log]\nlevel = \"info\"\n";
        for text in [plain, "W2xvZ10KbGV2ZWwgPSAiaW5mbyIK", "W2xvZ10KbGV2\nZWwgPSAiaW5mbyIK\n"] {
            assert_eq!(decode("env:X", text.to_owned()).unwrap(), plain);
        }
        assert_eq!(decode("env:X", String::new()).unwrap(), "");
    }

    #[test]
    fn what_cannot_be_read_names_the_source() {
        let table = [
            (
                read("/nonexistent/c.toml"),
                "/nonexistent/c.toml: does not exist; give the path of a file that does, or env:NAME for a variable",
            ),
            (read("env:COUNTERSIGN_NOT_SET"), "env:COUNTERSIGN_NOT_SET: is not set; set the environment variable COUNTERSIGN_NOT_SET"),
            (decode("env:X", "abcde".into()), "env:X: is neither TOML nor base64; put the TOML there, plain or in standard base64"),
            (decode("env:X", "//8=".into()), "env:X: is not UTF-8; save it as UTF-8 text"),
        ];
        for (result, message) in table {
            assert_eq!(result.unwrap_err().to_string(), message);
        }
    }
}

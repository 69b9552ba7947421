use crate::request::{Authority, Escapes, Listener, Mentioned, PathParams, Strictness, canonical_path, canonicalize};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use proptest::prelude::*;

fn strictness() -> impl Strategy<Value = Strictness> {
    (any::<bool>(), any::<bool>()).prop_map(|(params, opaque)| Strictness {
        path_params: if params { PathParams::Allow } else { PathParams::Reject },
        escapes: if opaque { Escapes::Opaque } else { Escapes::Reject },
        head_fields: 100,
    })
}

/// Paths out of the pieces that matter, so that many are accepted and many nearly.
fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z0-9._~-]{1,3}",
        2 => Just("/".to_owned()),
        1 => "%[0-9a-fA-F]{2}",
        1 => prop::sample::select(vec!["%2f", "%25", "%2e", "..", ".", ";", "%c3%a9", "%C3%A9", "[", "%5b", "@", "%40", "*", "%2A"]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// Percent-decodes everything, as an app would.
fn decoded(path: &str) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let wide = bytes[at] == b'%';
        out.push(if wide { u8::from_str_radix(&path[at + 1..at + 3], 16).unwrap() } else { bytes[at] });
        at += if wide { 3 } else { 1 };
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn a_canonical_path_is_its_own_canonical_path(path in path(), strictness in strictness()) {
        if let Ok(once) = canonical_path(&path, &strictness) {
            let twice = canonical_path(&once, &strictness);
            prop_assert!(matches!(&twice, Ok(std::borrow::Cow::Borrowed(same)) if *same == once), "{once} {twice:?}");
        }
    }

    #[test]
    fn a_canonical_path_means_the_same_to_everyone(path in path(), strictness in strictness()) {
        let Ok(canonical) = canonical_path(&path, &strictness) else { return Ok(()) };
        prop_assert!(canonical.starts_with('/') && canonical.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert!(!canonical.contains("//"));
        prop_assert_eq!(decoded(&canonical), decoded(&path));
        let text = String::from_utf8(decoded(&canonical)).unwrap();
        prop_assert!(!text.contains(|c: char| c.is_ascii_control() || c == '\\'));
        if strictness.escapes == Escapes::Reject {
            prop_assert!(!canonical.to_ascii_lowercase().contains("%2f"));
            prop_assert_eq!(text.matches('/').count(), canonical.matches('/').count());
        }
        let name = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
        prop_assert!(text.split('/').all(|segment| !matches!(name(segment).as_str(), "." | "..")));
    }

    #[test]
    fn paths_that_an_app_tells_apart_stay_apart(a in path(), b in path()) {
        let strictness = Strictness::default();
        if let (Ok(x), Ok(y)) = (canonical_path(&a, &strictness), canonical_path(&b, &strictness)) {
            prop_assert_eq!(x == y, decoded(&a) == decoded(&b), "{} {}", a, b);
        }
    }

    #[test]
    fn an_authority_is_its_own_authority(text in "[A-Za-z0-9.:\\[\\]_-]{0,20}") {
        if let Ok(once) = Authority::parse_str(&text) {
            prop_assert_eq!(Authority::parse(once.header_value()), Ok(once));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        target in prop::collection::vec(any::<u8>(), 0..40),
        names in prop::collection::vec((prop::sample::select(vec!["host", "connection", "transfer-encoding", "content-type", "upgrade", "x"]), prop::collection::vec(any::<u8>(), 0..20)), 0..4),
        h2 in any::<bool>(),
        outbound in any::<bool>(),
        strictness in strictness(),
    ) {
        let slashed = [b"/".as_slice(), &target].concat();
        for target in [target, slashed] {
            let Ok(uri) = Uri::try_from(target) else { continue };
            let mut headers = HeaderMap::new();
            for (name, value) in &names {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    headers.append(HeaderName::from_static(name), value);
                }
            }
            let version = if h2 { Version::HTTP_2 } else { Version::HTTP_11 };
            let listener = if outbound { Listener::Outbound } else { Listener::Inbound };
            if let Ok(request) = canonicalize(&Method::GET, &uri, version, &headers, &strictness, listener, &Mentioned::default()) {
                prop_assert!(request.path().starts_with('/') && request.authority.is_some());
            }
        }
    }
}

use super::*;

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())).collect()
}

#[test]
fn nominated_fields_end_here() {
    let mut headers = map(&[("connection", "close, x-other"), ("x-other", "1"), ("x-more", "2"), ("keep-alive", "timeout=5")]);
    clean_response(&mut headers, Length::None, false);
    assert_eq!(headers, map(&[("x-more", "2")]));
}

#[test]
fn a_peer_keeps_its_decision_and_nothing_else_of_ours() {
    let fields = [("x-countersign-decision", "1"), ("x-countersign-reason", "r"), ("x-countersign-anything", "a"), ("server", "s")];
    let mut from_peer = map(&fields);
    clean_response(&mut from_peer, Length::None, true);
    assert_eq!(from_peer, map(&[("x-countersign-decision", "1"), ("server", "s")]));
    let mut from_app = map(&fields);
    clean_response(&mut from_app, Length::None, false);
    assert_eq!(from_app, map(&[("server", "s")]));
}

#[test]
fn many_forged_fields_are_all_removed() {
    let mut headers = HeaderMap::new();
    for index in 0..50 {
        headers.insert(HeaderName::try_from(format!("x-forwarded-{index}")).unwrap(), HeaderValue::from_static("forged"));
    }
    assert_eq!(strip_request(&mut headers, &Reserved::default()), 50);
    assert!(headers.is_empty());
}

#[test]
fn hops_are_counted_and_garbage_is_a_loop() {
    assert_eq!(next_hop(&HeaderMap::new()), Ok(HeaderValue::from_static("1")));
    assert_eq!(next_hop(&map(&[("x-countersign-hop", "4")])), Ok(HeaderValue::from_static("5")));
    assert_eq!(next_hop(&map(&[("x-countersign-hop", "15")])), Ok(HeaderValue::from_static("16")));
    assert_eq!(next_hop(&map(&[("x-countersign-hop", "16")])), Err(()));
    assert_eq!(next_hop(&map(&[("x-countersign-hop", "one")])), Err(()));
}

#[test]
fn keep_alive_is_read_with_a_second_to_spare() {
    assert_eq!(keep_alive(&map(&[("keep-alive", "timeout=5, max=100")])), Some(std::time::Duration::from_secs(4)));
    assert_eq!(keep_alive(&map(&[("keep-alive", "max=100")])), None);
}

#[test]
fn the_length_of_an_unsent_body_is_kept_where_there_is_one() {
    let cleaned = |fields: &[(&str, &str)]| {
        let mut headers = map(fields);
        clean_response(&mut headers, Length::Unsent, false);
        headers
    };
    assert_eq!(cleaned(&[("content-length", "5")]), map(&[("content-length", "5")]));
    assert!(cleaned(&[("content-length", "+5")]).is_empty());
    let mut twice = HeaderMap::new();
    twice.append(CONTENT_LENGTH, HeaderValue::from_static("5"));
    twice.append(CONTENT_LENGTH, HeaderValue::from_static("6"));
    clean_response(&mut twice, Length::Unsent, false);
    assert!(twice.is_empty());
}

#[test]
fn the_length_of_a_body_is_kept_where_it_is_that_of_the_body() {
    let keeps = |text: &str, length: Length| {
        let mut headers = map(&[("content-length", text)]);
        clean_response(&mut headers, length, false);
        headers.contains_key(CONTENT_LENGTH)
    };
    assert!(keeps("5", Length::Body(5)));
    for wrong in ["6", "+5", "5 ", "0x5", "", "18446744073709551621"] {
        assert!(!keeps(wrong, Length::Body(5)), "{wrong}");
    }
    assert!(!keeps("5", Length::None));
}

#[test]
fn fields_nominated_beside_an_unreadable_byte_end_here() {
    let mut headers = map(&[("x-other", "1")]);
    headers.insert(CONNECTION, HeaderValue::from_bytes(b"\xff, x-other").unwrap());
    strip_request(&mut headers, &Reserved::default());
    assert!(headers.is_empty());
}

#[test]
fn split_cookies_are_joined() {
    let mut headers = HeaderMap::new();
    for cookie in ["a=1", "b=2", "c=3"] {
        headers.append(COOKIE, HeaderValue::from_static(cookie));
    }
    strip_request(&mut headers, &Reserved::default());
    assert_eq!(headers, map(&[("cookie", "a=1; b=2; c=3")]));
}

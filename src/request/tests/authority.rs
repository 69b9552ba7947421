use crate::request::{Authority, AuthorityError};
use http::HeaderValue;

fn parse(text: &str) -> Result<Authority, AuthorityError> {
    let by_header = Authority::parse(&HeaderValue::from_bytes(text.as_bytes()).unwrap());
    assert_eq!(by_header, Authority::parse_str(text), "{text:?}");
    by_header
}

#[test]
fn authorities_have_one_spelling() {
    let table = [
        ("a.foo", "a.foo", "a.foo", None),
        ("A.Foo", "a.foo", "a.foo", None),
        ("a.foo.", "a.foo", "a.foo", None),
        ("A.foo.:8443", "a.foo:8443", "a.foo", Some(8_443)),
        ("a_b-c", "a_b-c", "a_b-c", None),
        ("10.0.0.1:80", "10.0.0.1:80", "10.0.0.1", Some(80)),
        ("[::1]", "[::1]", "[::1]", None),
        ("[0:0:0:0:0:0:0:1]:80", "[::1]:80", "[::1]", Some(80)),
        ("[2001:DB8::1]", "[2001:db8::1]", "[2001:db8::1]", None),
    ];
    for (text, canonical, host, port) in table {
        let authority = parse(text).unwrap();
        assert_eq!((authority.as_str(), authority.host(), authority.port()), (canonical, host, port), "{text}");
        assert_eq!(authority.header_value(), canonical);
    }
}

#[test]
fn everything_else_is_refused() {
    use AuthorityError::*;
    let table = [
        ("", Host),
        (".", Host),
        ("..", Host),
        ("a..b", Host),
        (".a", Host),
        ("a.foo..", Host),
        ("user@a.foo", Host),
        ("a.foo/x", Host),
        ("a.foo,b.foo", Host),
        ("a foo", Host),
        ("a%2efoo", Host),
        ("*.foo", Host),
        (":80", Host),
        ("a.foo:", Port),
        ("a.foo:0", Port),
        ("a.foo:080", Port),
        ("a.foo:65536", Port),
        ("a.foo:+80", Port),
        ("a.foo:80:80", Port),
        ("::1", Host),
        ("[::1", Ipv6),
        ("[::1]x", Ipv6),
        ("[::1%25eth0]", Ipv6),
        ("[a.foo]", Ipv6),
        ("a.foo[::1]", Host),
        ("\u{e9}.foo", Host),
    ];
    for (text, error) in table {
        assert_eq!(parse(text), Err(error), "{text:?}");
    }
}

use super::Ask;
use crate::request::ContentType;
use http::Version;

#[test]
fn what_is_canonical_is_shared() {
    let ask = Ask::get("/a/b?q=%2f//../");
    let request = ask.answer().unwrap();
    assert_eq!(request.target.as_str().as_ptr(), ask.uri.path_and_query().unwrap().as_str().as_ptr());
    let host = request.authority.unwrap();
    assert_eq!(host.header_value().as_bytes().as_ptr(), ask.headers["host"].as_bytes().as_ptr());
}

#[test]
fn the_query_is_forwarded_untouched() {
    for (target, forwarded) in
        [("/%61?%61=//../;&?", "/a?%61=//../;&?"), ("/secret?", "/secret?"), ("/a?b#c", "/a?b"), ("/admin/x#frag", "/admin/x")]
    {
        let request = Ask::get(target).answer().unwrap();
        assert_eq!(request.target.as_str(), forwarded, "{target}");
        assert_eq!(request.path(), forwarded.split('?').next().unwrap());
    }
}

#[test]
fn refusals_have_stable_codes() {
    let table = [
        (Ask::get("/public/../admin"), "path_dot_segment", 400),
        (Ask::get("/a;b"), "path_params", 400),
        (Ask::get("*"), "target", 400),
        (Ask::get("*").method("OPTIONS"), "ok", 200),
        (Ask::get("a.foo:443").method("CONNECT"), "connect", 405),
        (Ask::get("a.foo:443"), "target", 400),
        (Ask::h2("https://a.foo/ws").method("CONNECT"), "connect", 405),
        (Ask::get("/").without_host(), "host_missing", 400),
        (Ask::get("/").with("host", b"a.foo"), "host_repeated", 400),
        (Ask::get("/").without_host().with("host", b"a foo"), "host", 400),
        (Ask::get("/").without_host().with("host", b""), "host", 400),
        (Ask::get("/").with("transfer-encoding", b"Chunked"), "ok", 200),
        (Ask::get("/").with("x", b"\xff"), "ok", 200),
        (Ask::get("/").with("x", b""), "ok", 200),
    ];
    for (ask, code, status) in table {
        assert_eq!(ask.refusal(), (code, status), "{} {} {:?}", ask.method, ask.uri, ask.headers);
    }
}

#[test]
fn absolute_form_is_refused_inbound() {
    assert_eq!(Ask::get("http://other/").refusal(), ("absolute_form", 400));
    assert_eq!(Ask::get("https://a.foo/").refusal(), ("absolute_form", 400));
}

#[test]
fn absolute_form_is_taken_apart_outbound() {
    for (target, path) in [("http://A.foo", "/"), ("http://a.foo/x?y", "/x?y"), ("http://a.foo?y=1", "/?y=1"), ("HTTP://a.foo/%61", "/a")] {
        let request = Ask::get(target).outbound().answer().unwrap();
        assert_eq!((request.target.as_str(), request.host()), (path, "a.foo"), "{target}");
    }
    assert_eq!(Ask::get("http://b.foo/").outbound().refusal(), ("host_mismatch", 400));
    assert_eq!(Ask::get("http://a.foo:81/").outbound().refusal(), ("host_mismatch", 400));
    assert_eq!(Ask::get("http://u:p@a.foo/").outbound().refusal(), ("host", 400));
    assert_eq!(Ask::get("http://a.foo/").without_host().outbound().refusal(), ("host_missing", 400));
    assert_eq!(Ask::get("https://a.foo/").outbound().refusal(), ("absolute_scheme", 400));
    assert_eq!(Ask::get("/x").outbound().refusal().0, "ok");
}

#[test]
fn scheme() {
    assert_eq!(Ask::h2("http://a.foo/").refusal(), ("scheme", 400));
    assert_eq!(Ask::h2("https://a.foo/").refusal().0, "ok");
    assert_eq!(Ask::h2("https://a.foo/").outbound().refusal(), ("scheme", 400));
    assert_eq!(Ask::h2("http://a.foo/").outbound().refusal().0, "ok");
}

#[test]
fn host_and_authority_agree() {
    assert_eq!(Ask::h2("https://A.foo./").answer().unwrap().host(), "a.foo");
    assert_eq!(Ask::h2("https://a.foo:8443/").answer().unwrap().authority.unwrap().as_str(), "a.foo:8443");
    assert_eq!(Ask::h2("https://a.foo/").with("host", b"A.FOO").refusal().0, "ok");
    assert_eq!(Ask::h2("https://a.foo/").with("host", b"b.foo").refusal(), ("host_mismatch", 400));
    assert_eq!(Ask::h2("/x").refusal(), ("host_missing", 400));
    assert_eq!(Ask::h2("/x").with("host", b"a.foo").refusal().0, "ok");
}

#[test]
fn only_http_1_0_may_lack_a_host() {
    let mut ask = Ask::get("/").without_host();
    ask.version = Version::HTTP_10;
    let request = ask.answer().unwrap();
    assert!(request.authority.is_none());
    assert_eq!(request.host(), "");
}

#[test]
fn cve_2021_32777_authorization_twice() {
    assert_eq!(Ask::get("/").with("authorization", b"a").with("authorization", b"b").refusal(), ("header_repeated", 400));
    assert_eq!(Ask::get("/").with("authorization", b"a").refusal().0, "ok");
}

#[test]
fn cve_2023_27488_obs_text_in_any_header_is_decided() {
    assert_eq!(Ask::get("/").with("x-any", b"a\xffb").refusal().0, "ok");
}

#[test]
fn cve_2026_105299_connection_nominates_what_others_rely_on() {
    for option in ["x-forwarded-client-cert", "close, X_Forwarded_Client_Cert", "x-countersign-peer", "Host", "authorization", "cookie"] {
        assert_eq!(Ask::get("/").with("connection", option.as_bytes()).refusal(), ("connection_nominates", 400), "{option}");
    }
    let long = format!("x-countersign-{}", "a".repeat(100));
    assert_eq!(Ask::get("/").with("connection", long.as_bytes()).refusal().0, "connection_nominates");
    for option in ["x-other", "keep-alive", "close", "TE", ", ,", "forwarded-x"] {
        assert_eq!(Ask::get("/").with("connection", option.as_bytes()).refusal().0, "ok", "{option}");
    }
}

#[test]
fn te_double() {
    for value in ["chunked, chunked", "gzip, chunked", "identity", "chunked,", "xchunked"] {
        assert_eq!(Ask::get("/").with("transfer-encoding", value.as_bytes()).refusal(), ("transfer_encoding", 501), "{value}");
    }
    let twice = Ask::get("/").with("transfer-encoding", b"chunked").with("transfer-encoding", b"chunked");
    assert_eq!(twice.refusal(), ("transfer_encoding", 501));
}

#[test]
fn h2_blanks() {
    for value in [&b" admin"[..], b"admin ", b"\tadmin", b"admin\t", b" "] {
        assert_eq!(Ask::h2("https://a.foo/").with("x-role", value).refusal(), ("header_blank", 400), "{value:?}");
    }
    assert_eq!(Ask::h2("https://a.foo/").with("x-role", b"a b").refusal().0, "ok");
}

#[test]
fn one_field_more_than_the_limit_is_refused() {
    let mut ask = (0..99).fold(Ask::get("/"), |ask, _| ask.with("x", b"y"));
    assert_eq!(ask.refusal().0, "ok");
    ask = ask.with("x", b"y");
    assert_eq!(ask.refusal(), ("head_fields", 431));
}

#[test]
fn content_types_have_classes() {
    let table = [
        ("application/grpc", ContentType::Grpc),
        ("application/grpc+proto", ContentType::Grpc),
        ("application/grpc-web", ContentType::Other),
        ("Application/JSON; charset=utf-8", ContentType::Json),
        ("application/problem+json", ContentType::Json),
        ("multipart/form-data; boundary=x", ContentType::Form),
        ("text/plain", ContentType::Other),
        ("", ContentType::Other),
    ];
    for (value, class) in table {
        assert_eq!(Ask::get("/").with("content-type", value.as_bytes()).answer().unwrap().content_type, class, "{value}");
    }
    assert_eq!(Ask::get("/").answer().unwrap().content_type, ContentType::None);
    let twice = Ask::get("/").with("content-type", b"application/json").with("content-type", b"application/grpc");
    assert_eq!(twice.answer().unwrap().content_type, ContentType::Other);
}

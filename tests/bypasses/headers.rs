//! What a header says, and who says it.

use super::WEB;
use super::{Field, Fortress, broad, denying, rule, usual};
use crate::support::raw_http2::Outcome;

const ROLE: &str = "paths = ['/**']\nheaders = [{ name = 'x-role', eq = 'admin' }]";

/// Every name that some app server or proxy believes a path, a host, a method or an identity from.
const FORGED: [&str; 24] = [
    "x-envoy-original-path",
    "x-envoy-internal",
    "x-forwarded-uri",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-client-cert",
    "forwarded",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-rewrite-url",
    "x-real-ip",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-countersign-peer",
    "x-amzn-mtls-clientcert-subject",
    "x-ssl-client-s-dn",
    "ssl-client-verify",
    "client-cert",
    "l5d-client-id",
    "x-spiffe-id",
];

#[tokio::test]
async fn cve_2020_25017_and_2026_26308() {
    let fortress = Fortress::under(&denying(ROLE)).await;
    for values in [["admin", "user"], ["user", "admin"], ["user", "user"]] {
        let fields = values.map(|value| ("x-role", value.as_bytes()));
        fortress.malformed(fortress.get("/app/x", &fields).await, "header_repeated").await;
    }
    // Another spelling, which many app servers take for the same.
    fortress.malformed(fortress.get("/app/x", &[("x_role", b"admin")]).await, "header_spelling").await;
    for value in ["admin", "user,admin", "admin , user"] {
        let answers = fortress.get("/app/x", &[("x-role", value.as_bytes())]).await;
        for answer in answers {
            let record = fortress.refused(&answer, 403, "explicit_deny").await;
            let expected = if value == "admin" { "t" } else { "u" };
            assert_eq!(
                (record["conds"][0]["name"].as_str(), record["conds"][0]["result"].as_str()),
                (Some("header:x-role"), Some(expected))
            );
        }
    }
    for came in fortress.arrives("/app/x", &[("x-role", b"user")]).await {
        assert_eq!(came.all("x-role"), [b"user"]);
    }
}

#[tokio::test]
async fn header_conditions_of_an_allow() {
    let fortress = Fortress::under(&rule("admins", "allow", WEB, &format!("methods = ['GET']\n{ROLE}"))).await;
    for fields in [&[][..], &[("x-role", b"user")], &[("x-role", b"user,admin")], &[("x-role", b"Admin")]] as [&[Field<'_>]; 4] {
        fortress.unmatched(fortress.get("/app/x", fields).await, "/app/x").await;
    }
    for came in fortress.arrives("/app/x", &[("x-role", b"admin")]).await {
        assert_eq!(came.all("x-role"), [b"admin"]);
    }
}

#[tokio::test]
async fn cve_2021_32777() {
    let fortress = Fortress::under(&broad()).await;
    for values in [["Bearer a", "Bearer b"], ["Bearer b", "Bearer a"]] {
        let fields = values.map(|value| ("authorization", value.as_bytes()));
        fortress.malformed(fortress.get("/app/x", &fields).await, "header_repeated").await;
    }
}

#[tokio::test]
async fn cve_2026_73552() {
    let fortress = Fortress::under(&denying(ROLE)).await;
    for value in [&b"admin\xff"[..], b"\xffadmin", b"\xc3\xa4"] {
        fortress.malformed(fortress.get("/app/x", &[("x-role", value)]).await, "header_obs_text").await;
    }
}

#[tokio::test]
async fn cve_2023_27488() {
    let fortress = Fortress::under(
        &(usual() + &rule("marked", "allow", WEB, "paths = ['/marked']\nheaders = [{ name = 'x-mark', eq = 'secret-mark' }]")),
    )
    .await;
    let fields: [Field<'_>; 2] = [("x-any", b"secret\xffvalue"), ("x-mark", b"secret-mark")];
    fortress.denied(fortress.get("/admin/x", &fields).await, "no-admin", "/admin/x").await;
    for (path, rule) in [("/app/x", "read"), ("/marked", "marked")] {
        for came in fortress.arrives(path, &fields).await {
            assert_eq!(came.all("x-any"), [b"secret\xffvalue"]);
        }
        let ours = |record: &&serde_json::Value| record["rule"] == rule && record["http"]["path"] == path;
        fortress.sidecar.record(path, |record| ours(&record)).await;
    }
    for record in fortress.sidecar.records() {
        assert!(!record.to_string().contains("secret"), "{record}");
    }
}

#[tokio::test]
async fn cve_2023_27487_and_2024_45806() {
    // The test itself asks from a private address.
    forged("x-envoy-original-path", "/public/x").await;
}

#[tokio::test]
async fn cve_2026_40575() {
    forged("x-forwarded-uri", "/public/x").await;
}

async fn forged(name: &str, value: &str) {
    let fortress = Fortress::under(&(usual() + &broad())).await;
    for spelling in [name.to_owned(), name.replace('-', "_"), name.replacen('-', "_", 1)] {
        let fields = [(spelling.as_str(), value.as_bytes())];
        fortress.denied(fortress.get("/admin/x", &fields).await, "no-admin", "/admin/x").await;
        for came in fortress.arrives("/app/x", &fields).await {
            assert!(!came.has(name), "{spelling}: {came:?}");
        }
    }
}

#[tokio::test]
async fn forged_names_end_here_however_they_are_written() {
    let fortress = Fortress::configured(&broad(), |setup| {
        setup.set("inbound.reserved_headers", "['x-team']").set("inbound.identity_headers", "[]").set("inbound.forwarded_headers", "false");
    })
    .await;
    let spelled = |name: &str| [name.to_owned(), name.replace('-', "_")];
    let names: Vec<String> = FORGED.iter().chain(&["x-team"]).flat_map(|name| spelled(name)).collect();
    let fields: Vec<Field<'_>> =
        names.iter().flat_map(|name| [(name.as_str(), &b"forged"[..]), (name.as_str(), b"forged again")]).collect();
    // No more than the limit at once.
    for fields in fields.chunks(60) {
        for came in fortress.arrives("/app/x", fields).await {
            assert!(!came.fields.iter().any(|(_, value)| value.starts_with(b"forged")), "{came:?}");
        }
    }
    // Over HTTP/1.1 names come in any case.
    let mut connection = fortress.http1().await;
    connection.send("GET /app/x HTTP/1.1\r\nHOST: orders\r\nX-Envoy-Original-PATH: forged\r\nX_FORWARDED_FOR: forged\r\n\r\n").await;
    assert_eq!(connection.response().await.unwrap().status, 200);
    assert!(!fortress.app.take().fields.iter().any(|(_, value)| value == b"forged"));
}

#[tokio::test]
async fn cve_2026_105299() {
    let fortress = Fortress::under(&denying(ROLE)).await;
    for option in
        ["x-forwarded-client-cert", "close, X_Forwarded_Client_Cert", "x-countersign-peer", "host", "Authorization", "x-role", "X_ROLE"]
    {
        fortress.malformed([fortress.get_http1("/app/x", &[("connection", option.as_bytes())]).await], "connection_nominates").await;
    }
    let fields: [Field<'_>; 3] = [("connection", b"x-other, keep-alive"), ("x-other", b"1"), ("x-forwarded-client-cert", b"forged")];
    assert_eq!(fortress.get_http1("/app/x", &fields).await.status, 200);
    let came = fortress.app.take();
    assert!(!came.has("x-other") && !came.has("connection"), "{came:?}");
    let ours = came.all("x-forwarded-client-cert");
    assert!(ours.len() == 1 && String::from_utf8_lossy(ours[0]).ends_with(&format!("URI={WEB}")), "{came:?}");
    // HTTP/2 has no such field (RFC 9113, section 8.2.2).
    assert!(matches!(fortress.get_http2("/app/x", &[("connection", b"x-other")]).await, Outcome::Reset(_)));
    assert!(fortress.app.seen().is_empty());
}

#[tokio::test]
async fn h2_blanks() {
    let fortress = Fortress::under(&denying(ROLE)).await;
    for value in [&b" admin"[..], b"admin ", b"\tadmin", b"admin\t", b" "] {
        let Outcome::Answer(answer) = fortress.get_http2("/app/x", &[("x-role", value)]).await else { panic!("{value:?}") };
        fortress.malformed([answer], "header_blank").await;
        // Also where no rule asks.
        let Outcome::Answer(answer) = fortress.get_http2("/app/x", &[("x-any", value)]).await else { panic!("{value:?}") };
        fortress.malformed([answer], "header_blank").await;
    }
    // Over HTTP/1.1 blanks around a value are no part of it.
    fortress.denied([fortress.get_http1("/app/x", &[("x-role", b"  admin\t")]).await], "no", "/app/x").await;
}

#[tokio::test]
async fn upgrade_without_connection() {
    let fortress = Fortress::under(&broad()).await;
    for value in [&b"websocket"[..], b"h2c", b"h2c, websocket"] {
        assert_eq!(fortress.get_http1("/app/x", &[("upgrade", value)]).await.status, 200);
        let came = fortress.app.take();
        assert!(!came.has("upgrade") && !came.has("connection"), "{came:?}");
    }
    // RFC 9113, section 3.1: clients no longer upgrade to h2c, and nobody does behind us.
    let fields: [Field<'_>; 3] = [("connection", b"Upgrade, HTTP2-Settings"), ("upgrade", b"h2c"), ("http2-settings", b"AAMAAABkAAQAAP__")];
    assert_eq!(fortress.get_http1("/app/x", &fields).await.status, 200);
    let came = fortress.app.take();
    assert!(!came.has("upgrade") && !came.has("connection") && !came.has("http2-settings"), "{came:?}");
}

#[tokio::test]
async fn fields_of_one_connection_end_here() {
    let fortress = Fortress::under(&broad()).await;
    let fields: [Field<'_>; 4] = [
        ("keep-alive", b"timeout=100"),
        ("proxy-connection", b"keep-alive"),
        ("http2-settings", b"AAMAAABk"),
        ("proxy-authorization", b"Basic eDp5"),
    ];
    assert_eq!(fortress.get_http1("/app/x", &fields).await.status, 200);
    let came = fortress.app.take();
    for (name, _) in fields {
        assert!(!came.has(name), "{name}: {came:?}");
    }
    // That we take trailers is ours to say, because the client does; its codings are nobody else's.
    for (te, ours) in [(&b"gzip, trailers"[..], &[&b"trailers"[..]][..]), (b"gzip", &[])] {
        assert_eq!(fortress.get_http1("/app/x", &[("te", te)]).await.status, 200);
        assert_eq!(fortress.app.take().all("te"), ours);
    }
}

#[tokio::test]
async fn several_cookies_are_one_field_of_http1() {
    let fortress = Fortress::under(&broad()).await;
    for came in fortress.arrives("/app/x", &[("cookie", b"a=1"), ("cookie", b"b=2"), ("cookie", b"c=3")]).await {
        assert_eq!(came.all("cookie"), [b"a=1; b=2; c=3"]);
    }
}

//! One host, two spellings.

use super::{Fortress, denying};

const DENIED: &str = "paths = ['/**']\nhosts = ['a.foo']";

#[tokio::test]
async fn cve_2021_39155() {
    let fortress = Fortress::under(&denying(DENIED)).await;
    for host in ["A.Foo", "a.FOO", "a.foo.", "A.foo."] {
        fortress.denied(fortress.get("/", &[("host", host.as_bytes())]).await, "no", "/").await;
    }
}

#[tokio::test]
async fn cve_2019_18802() {
    let fortress = Fortress::under(&denying(DENIED)).await;
    for host in [&b"a.foo "[..], b" \ta.foo\t ", b"A.FOO. "] {
        fortress.denied([fortress.get_http1("/", &[("host", host)]).await], "no", "/").await;
    }
    for host in [
        &b"a foo"[..],
        b"a.foo b",
        b"a.foo,b.foo",
        b"u@a.foo",
        b"a.foo/x",
        b"a.foo:0",
        b"a.foo:",
        b"[a.foo]",
        b"a..foo",
        b"",
        b"a.foo#b",
        b"a.foo\xff",
    ] {
        fortress.malformed([fortress.get_http1("/", &[("host", host)]).await], "host").await;
    }
    // HTTP/2 keeps the blanks of a field; the next leg would trim them.
    let mut connection = fortress.http2().await;
    let head = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "a.foo ")];
    connection.headers(1, &head, true).await;
    fortress.malformed([connection.response(1).await], "header_blank").await;
}

#[tokio::test]
async fn host_port() {
    let fortress = Fortress::under(&denying(DENIED)).await;
    for host in ["a.foo:8443", "a.foo.:80", "A.foo:65535"] {
        fortress.denied(fortress.get("/", &[("host", host.as_bytes())]).await, "no", "/").await;
    }
}

#[tokio::test]
async fn two_hosts() {
    let fortress = Fortress::under(&denying(DENIED)).await;
    for hosts in [["a.foo", "b.foo"], ["b.foo", "a.foo"], ["b.foo", "b.foo"]] {
        let fields = hosts.map(|host| ("host", host.as_bytes()));
        fortress.malformed([fortress.get_http1("/", &fields).await], "host_repeated").await;
    }
    let mut connection = fortress.http1().await;
    connection.send("GET / HTTP/1.1\r\nx: y\r\n\r\n").await;
    fortress.malformed([connection.response().await.unwrap()], "host_missing").await;
    let mut connection = fortress.http2().await;
    let head = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "b.foo"), ("host", "a.foo")];
    connection.headers(1, &head, true).await;
    fortress.malformed([connection.response(1).await], "host_mismatch").await;
}

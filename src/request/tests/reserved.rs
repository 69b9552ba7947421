use crate::request::reserved::{Reserved, is_hop_by_hop};
use http::HeaderName;

fn name(text: &str) -> HeaderName {
    HeaderName::from_bytes(text.as_bytes()).unwrap()
}

#[test]
fn forgeable_names_are_reserved() {
    let table = [
        "x-countersign-peer",
        "x-countersign-hop",
        "X-Forwarded-Client-Cert",
        "x-forwarded-for",
        "x-forwarded-uri",
        "x-forwarded",
        "forwarded",
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-envoy-original-path",
        "x-amzn-mtls-clientcert",
        "x-ssl-client-dn",
        "ssl-client-verify",
        "client-cert",
        "client-cert-chain",
        "client-certificate",
        "x-client-cert-dn",
        "l5d-client-id",
        "x-spiffe-id",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x_forwarded_for",
        "ssl_client_cert",
        "X_Countersign-Peer",
        "x-real_ip",
        "client_cert",
    ];
    for text in table {
        assert!(Reserved::default().contains(&name(text)), "{text}");
    }
}

#[test]
fn other_names_are_not() {
    let table = [
        "host",
        "accept",
        "x",
        "x-",
        "x-request-id",
        "x-real-ips",
        "x-http-method-overrides",
        "x-forwarder",
        "forwarded-x",
        "client-ip",
        "cookie",
        "content-length",
        "ssl-client",
        "l5",
        "x-amzn-trace-id",
        "x-sslx",
        "traceparent",
        "x-countersign",
    ];
    for text in table {
        assert!(!Reserved::default().contains(&name(text)), "{text}");
    }
}

#[test]
fn the_configuration_adds_names() {
    let reserved = Reserved::new(vec![name("x-tenant-id")]);
    assert!(reserved.contains(&name("x-tenant-id")) && reserved.contains(&name("X_Tenant_ID")) && reserved.contains(&name("forwarded")));
    assert!(!reserved.contains(&name("x-tenant")));
}

#[test]
fn trailer_identity() {
    let reserved = Reserved::new(vec![name("x-tenant-id")]);
    for text in
        ["x-forwarded-client-cert", "host", "authorization", "content-length", "content-type", "transfer-encoding", "te", "x_tenant_id"]
    {
        assert!(reserved.drops_trailer(&name(text)), "{text}");
    }
    for text in ["grpc-status", "grpc-message", "x-checksum", "server-timing", "digest"] {
        assert!(!reserved.drops_trailer(&name(text)), "{text}");
    }
}

#[test]
fn hop_by_hop_names_end_here() {
    for text in
        ["connection", "Keep-Alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "http2-settings", "proxy-authorization"]
    {
        assert!(is_hop_by_hop(&name(text)), "{text}");
    }
    assert!(!is_hop_by_hop(&name("host")) && !is_hop_by_hop(&name("trailer")));
}

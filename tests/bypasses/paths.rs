//! One path, two readings.

use super::WEB;
use super::{Fortress, broad, denying, everybody, rule, usual};

#[tokio::test]
async fn cve_2019_9901() {
    let fortress = Fortress::under(&usual()).await;
    for path in ["/public/../admin", "/public/../admin/x", "/public/./x", "/public/..", "/public/."] {
        fortress.malformed(fortress.get(path, &[]).await, "path_dot_segment").await;
    }
}

#[tokio::test]
async fn cve_2021_29492() {
    let fortress = Fortress::under(&(usual() + &broad())).await;
    for path in ["/admin%2fx", "/admin%2Fx", "/admin%5Cx", "/admin%5cx", "/a/%2fadmin/x"] {
        fortress.malformed(fortress.get(path, &[]).await, "path_forbidden_escape").await;
    }
}

#[tokio::test]
async fn cve_2021_31920() {
    let fortress = Fortress::under(&(usual() + &broad())).await;
    for path in ["//admin", "//admin/x", "/a//admin", "///"] {
        fortress.malformed(fortress.get(path, &[]).await, "path_empty_segment").await;
    }
}

#[tokio::test]
async fn cve_2021_32779_and_39156() {
    let fortress = Fortress::under(&(usual() + &broad())).await;
    fortress.denied(fortress.get("/admin/x#frag", &[]).await, "no-admin", "/admin/x").await;
    fortress.denied(fortress.get("/admin/x#/../../public/x", &[]).await, "no-admin", "/admin/x").await;
    for came in fortress.arrives("/app/x?q#frag", &[]).await {
        assert_eq!(came.line, "GET /app/x?q HTTP/1.1");
    }
}

#[tokio::test]
async fn cve_2020_8595() {
    let secret = "methods = ['GET']\npaths = ['/secret']\nheaders = [{ name = 'x-claim', eq = 'yes' }]";
    let fortress = Fortress::under(&rule("secret", "allow", WEB, secret)).await;
    for path in ["/secret", "/secret?", "/secret?x=/public"] {
        fortress.unmatched(fortress.get(path, &[]).await, "/secret").await;
    }
    for path in ["/secret", "/secret?", "/secret?x=/public"] {
        for came in fortress.arrives(path, &[("x-claim", b"yes")]).await {
            assert_eq!(came.line, format!("GET {path} HTTP/1.1"));
        }
    }
}

#[tokio::test]
async fn cve_2025_46821() {
    let fortress = Fortress::under(&denying("paths = ['/admin/{x}']")).await;
    fortress.denied(fortress.get("/admin/a*b", &[]).await, "no", "/admin/a*b").await;
    fortress.denied(fortress.get("/admin/%2A", &[]).await, "no", "/admin/*").await;
}

#[tokio::test]
async fn cve_2024_10005() {
    let fortress = Fortress::under(&(usual() + &broad())).await;
    for path in ["/%61dmin/x", "/%61%64%6D%69%6e/x", "/admin%2F..%2fadmin/x"] {
        if path.contains("..") {
            fortress.malformed(fortress.get(path, &[]).await, "path_forbidden_escape").await;
        } else {
            fortress.denied(fortress.get(path, &[]).await, "no-admin", "/admin/x").await;
        }
    }
}

#[tokio::test]
async fn cve_2026_73551_73553_and_39852() {
    let fortress = Fortress::under(&(usual() + &broad())).await;
    for (path, code) in [
        ("/user/..;a=b/admin", "path_dot_segment"),
        ("/user/..;/admin", "path_dot_segment"),
        ("/admin;x=y/z", "path_params"),
        ("/admin;", "path_params"),
        ("/;/admin/x", "path_params"),
        ("/admin%3bx/z", "path_forbidden_escape"),
    ] {
        fortress.malformed(fortress.get(path, &[]).await, code).await;
    }
}

#[tokio::test]
async fn cve_2013_4547() {
    let fortress = Fortress::under(&(usual() + &broad())).await;
    let mut connection = fortress.http1().await;
    connection.send("GET /public/a /../../admin/x HTTP/1.1\r\nhost: orders\r\n\r\n").await;
    assert_eq!(connection.response().await.unwrap().status, 400);
    drop(connection);
    fortress.library_refused("malformed:http1_parse").await;
}

#[tokio::test]
async fn cve_2025_47952() {
    let fortress = Fortress::under(&(usual() + &broad())).await;
    for path in ["/public/%2e%2e/admin/x", "/public/%2E./admin/x", "/public/.%2e/admin/x", "/public/%2e/x"] {
        fortress.malformed(fortress.get(path, &[]).await, "path_dot_segment").await;
    }
    // Escaped twice.
    fortress.malformed(fortress.get("/public/%252e%252e/admin/x", &[]).await, "path_forbidden_escape").await;
}

#[tokio::test]
async fn absolute_form() {
    let fortress = Fortress::under(&broad()).await;
    for target in ["http://other/", "https://orders/app/x", "http://orders/"] {
        fortress.malformed([fortress.get_http1(target, &[]).await], "absolute_form").await;
        fortress.malformed([fortress.get_http1(target, &[("host", b"other")]).await], "absolute_form").await;
    }
}

#[tokio::test]
async fn escaped_sub_delim() {
    let fortress = Fortress::under(&denying("paths = ['/users/@admin', '/v/a!b']")).await;
    fortress.denied(fortress.get("/users/%40admin", &[]).await, "no", "/users/@admin").await;
    fortress.denied(fortress.get("/v/a%21b", &[]).await, "no", "/v/a!b").await;
    // What is forwarded has the spelling that was decided on.
    for came in fortress.arrives("/users/%40alice%2C", &[]).await {
        assert_eq!(came.line, "GET /users/@alice, HTTP/1.1");
    }
}

#[tokio::test]
async fn escape_case() {
    let fortress = Fortress::under(&denying("paths = ['/caf%C3%A9']")).await;
    for path in ["/caf%c3%a9", "/caf%C3%A9", "/caf%c3%A9"] {
        fortress.denied(fortress.get(path, &[]).await, "no", "/caf%C3%A9").await;
    }
}

/// What a listener may be told to let pass is decided on as it is forwarded, and hides nothing.
#[tokio::test]
async fn opaque_escapes_and_path_parameters() {
    let rules = everybody("no", "deny", "paths = ['/admin/**', '/p;v=1']") + &broad();
    let fortress = Fortress::configured(&rules, |setup| {
        setup.set("inbound.escapes", "'opaque'").set("inbound.path_params", "'allow'");
    })
    .await;
    fortress.denied(fortress.get("/admin/a%2fb", &[]).await, "no", "/admin/a%2Fb").await;
    fortress.denied(fortress.get("/p;v=1", &[]).await, "no", "/p;v=1").await;
    for path in ["/a%2f../admin/x", "/a/..;v=1/admin/x", "/a/..%2Fadmin"] {
        fortress.malformed(fortress.get(path, &[]).await, "path_dot_segment").await;
    }
    for came in fortress.arrives("/x%2fy;v=1/%25", &[]).await {
        assert_eq!(came.line, "GET /x%2Fy;v=1/%25 HTTP/1.1");
    }
}

//! An app that listens on more than loopback can be reached past the sidecar: it is said everywhere, and `require_private_app` waits for its end.

use crate::support::{Setup, Sidecar, eventually};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::{TcpListener, UnixListener};

#[tokio::test]
async fn an_app_on_every_address_is_said() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let (app, port) = listening(listen).await;
        let mut setup = Setup::new();
        setup.in_front_of(([127, 0, 0, 1], port).into());
        let sidecar = Sidecar::start(&setup).await;
        let note = eventually("a note", async || text(&sidecar.status().await?["notes"]["app_exposed"])).await;
        let address = app.local_addr().unwrap().to_string();
        assert!(note.contains(&address), "{note}");
        sidecar.log_line("app_exposed").await;
        sidecar.metric_reaches("countersign_app_exposed", &[], 1.0).await;
        // Told, and ready all the same.
        let said = sidecar.ask(sidecar.health, "/ready").await;
        assert!(said.is_success() && said.body == format!("ready\napp_exposed: {note}\n"), "{said:?}");
        assert_eq!(sidecar.status().await.unwrap()["app"]["exposed"], true);
    }
}

#[tokio::test]
async fn a_private_app_is_not() {
    let unix = Setup::new();
    let socket = unix.path("app.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let mut cases = vec![(unix, format!("unix:{}", socket.display()), None)];
    for listen in ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"] {
        let (listener, port) = listening(listen).await;
        let address = SocketAddr::new(listener.local_addr().unwrap().ip(), port);
        cases.push((Setup::new(), format!("http://{address}"), Some(listener)));
    }
    for (mut setup, app, _listener) in cases {
        setup.set("inbound.app", &format!("'{app}'")).set("inbound.require_private_app", "true");
        // Ready: it was looked at, and there is nothing to say.
        let sidecar = Sidecar::start(&setup).await;
        let status = sidecar.status().await.unwrap();
        assert_eq!(status["notes"], serde_json::json!({}), "{app}");
        assert_ne!(status["app"]["exposed"], true, "{app}");
        assert_eq!(sidecar.metric("countersign_app_exposed", &[]).await, 0.0, "{app}");
    }
}

/// From "not there" to "exposed" to "private", without a restart.
#[tokio::test]
async fn a_required_private_app_keeps_the_readiness_red() {
    let (app, port) = listening("127.0.0.1:0").await;
    drop(app);
    let mut setup = Setup::new();
    setup.in_front_of(([127, 0, 0, 1], port).into()).set("inbound.require_private_app", "true");
    let sidecar = Sidecar::start_unready(&setup).await;
    let waits_for = async |what: &str| {
        eventually(what, async || {
            let status = sidecar.status().await?;
            assert_eq!(status["ready"], false);
            let only = status["pending"].as_object()?.len() == 1;
            text(&status["pending"]["app_exposed"]).filter(|detail| only && detail.contains(what))
        })
        .await
    };
    waits_for("nobody listens").await;
    let exposed = TcpListener::bind(("0.0.0.0", port)).await.unwrap();
    waits_for("past the sidecar").await;
    assert_eq!(sidecar.ask(sidecar.health, "/ready").await.status, 503);
    drop(exposed);
    let _private = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    eventually("readiness", async || sidecar.is_ready().await.filter(|ready| *ready)).await;
    sidecar.log_line("the app is no longer exposed").await;
    assert_eq!(sidecar.metric("countersign_app_exposed", &[]).await, 0.0);
}

/// Our own listener at the app's port is not the app.
#[tokio::test]
async fn our_own_listener_at_the_same_port_is_no_app() {
    let Some(own) = other_address() else { return };
    let (app, port) = listening("127.0.0.1:0").await;
    let mut setup = Setup::new();
    setup.in_front_of(app.local_addr().unwrap()).set("inbound.require_private_app", "true");
    setup.set("inbound.listen", &format!("'{}'", SocketAddr::new(own, port)));
    let sidecar = Sidecar::start(&setup).await;
    assert_eq!(sidecar.status().await.unwrap()["app"]["exposed"], false);
}

async fn listening(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// An address of this machine that is not loopback; none in a namespace without a network.
fn other_address() -> Option<std::net::IpAddr> {
    assert!(Path::new("/proc/self/net/tcp").exists(), "these tests need Linux");
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().unwrap().ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

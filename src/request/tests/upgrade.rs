//! What a request offers to switch to, and what an answer chose of it.

use super::super::{Malformed, Offered};
use http::{HeaderMap, HeaderValue, header};

fn fields(connection: &[&str], upgrade: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in [(header::CONNECTION, connection), (header::UPGRADE, upgrade)] {
        for value in values {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
    }
    headers
}

fn offered(connection: &[&str], upgrade: &[&str]) -> Result<Option<String>, Malformed> {
    let offered = Offered::read(&fields(connection, upgrade))?;
    Ok(offered.map(|offered| offered.field().to_str().unwrap().to_owned()))
}

#[test]
fn only_what_connection_names_is_an_upgrade() {
    let websocket = Ok(Some("websocket".to_owned()));
    assert_eq!(offered(&["Upgrade"], &["websocket"]), websocket);
    assert_eq!(offered(&["keep-alive, upgrade"], &["websocket"]), websocket);
    assert_eq!(offered(&["keep-alive", "UPGRADE"], &["websocket"]), websocket);
    for connection in [&[][..], &["keep-alive"], &["upgrades"], &["x-upgrade"], &["upgrade;q=1"]] {
        assert_eq!(offered(connection, &["websocket"]), Ok(None), "{connection:?}");
    }
    assert_eq!(offered(&["upgrade"], &[]), Ok(None));
}

#[test]
fn what_carries_undecided_requests_ends_here() {
    for upgrade in ["h2c", "H2C", "h2", "HTTP/2.0", "http/1.1", "TLS/1.2", "h2c, tls/1.0"] {
        assert_eq!(offered(&["upgrade"], &[upgrade]), Ok(None), "{upgrade}");
    }
    assert_eq!(offered(&["upgrade"], &["h2c, SPDY/3.1", "websocket"]), Ok(Some("SPDY/3.1, websocket".into())));
}

#[test]
fn a_list_that_is_none_is_refused() {
    for upgrade in ["web socket", "a/b/c", "/1", "websocket/", "\"websocket\"", "web;socket"] {
        assert_eq!(offered(&["upgrade"], &[upgrade]), Err(Malformed::Upgrade), "{upgrade}");
        assert_eq!(offered(&[], &[upgrade]), Ok(None), "{upgrade}");
    }
    assert_eq!(offered(&["upgrade"], &[", websocket,,"]), Ok(Some("websocket".into())));
}

#[test]
fn an_answer_chooses_one_of_what_was_offered() {
    let offered = Offered::read(&fields(&["upgrade"], &["SPDY/3.1, websocket"])).unwrap().unwrap();
    let chosen = |upgrade: &[&str]| offered.chosen(&fields(&[], upgrade)).map(|chosen| chosen.to_str().unwrap().to_owned());
    assert_eq!(chosen(&["WebSocket"]).as_deref(), Some("WebSocket"));
    assert_eq!(chosen(&["spdy/3.1"]).as_deref(), Some("spdy/3.1"));
    for upgrade in [&[][..], &["tcp"], &["spdy"], &["websocket, spdy/3.1"], &["websocket", "websocket"], &[""]] {
        assert_eq!(chosen(upgrade), None, "{upgrade:?}");
    }
}

//! How long a connection lasts, and which answer belongs to which request: RFC 9112, section 9.

use crate::support::conformance::{Conformance, Target};
use crate::support::raw::RawHttp1;

/// Requests that are sent together are answered one by one, in their order (section 9.3.2).
#[tokio::test]
async fn answers_come_in_the_order_of_their_requests() {
    each(async |conformance, mut connection, target| {
        let requests: Vec<_> = (0..20).map(|number| format!("GET /pipelined/{number} HTTP/1.1\r\nhost: orders\r\n\r\n")).collect();
        let denied = "GET //refused HTTP/1.1\r\nhost: orders\r\n\r\n";
        connection.send(format!("{}{denied}{}", requests[..10].concat(), requests[10..].concat())).await;
        for number in 0..21 {
            let status = connection.response().await.unwrap().status;
            assert_eq!(status, if number == 10 { 400 } else { 200 }, "{target:?} {number}");
        }
        let of = |path: &String| path.strip_prefix("/pipelined/").map(|number| number.parse::<u32>().unwrap());
        let seen: Vec<_> = conformance.seen_by(target).iter().filter_map(of).collect();
        assert_eq!(seen, (0..20).collect::<Vec<_>>(), "{target:?}");
    })
    .await;
}

/// A client that says `close` gets one answer that says it as well, and nothing it sends after that is read (section 9.6).
#[tokio::test]
async fn close_is_the_end() {
    each(async |conformance, mut connection, target| {
        for option in ["close", "Close", "x-a, close"] {
            connection
                .send(format!(
                    "GET /last HTTP/1.1\r\nhost: orders\r\nconnection: {option}\r\n\r\nGET /bad HTTP/1.1\r\nhost: orders\r\n\r\n"
                ))
                .await;
            let answer = connection.response().await.unwrap();
            assert_eq!((answer.status, answer.header("connection")), (200, "close"), "{target:?} {option}");
            assert_eq!(connection.rest().await.0, b"", "{target:?} {option}");
            connection = conformance.connect_http1(target).await;
        }
        assert!(!conformance.seen_by(target).contains(&"/bad".to_owned()), "{target:?}");
    })
    .await;
}

/// HTTP/1.0 ends after one answer, unless the client asks otherwise and is told so (section 9.3).
#[tokio::test]
async fn http_1_0_lasts_for_one_answer_unless_asked() {
    each(async |conformance, mut connection, target| {
        let next = "GET /bad HTTP/1.0\r\nhost: orders\r\n\r\n";
        connection.send(format!("GET /old HTTP/1.0\r\nhost: orders\r\n\r\n{next}")).await;
        assert_eq!(connection.response().await.unwrap().status, 200);
        assert_eq!(connection.rest().await.0, b"", "{target:?}");
        let mut connection = conformance.connect_http1(target).await;
        connection.send("GET /old HTTP/1.0\r\nhost: orders\r\nconnection: keep-alive\r\n\r\n").await;
        let answer = connection.response().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, "keep-alive"), "{target:?}");
        connection.send("GET /old HTTP/1.0\r\nhost: orders\r\n\r\n").await;
        assert_eq!(connection.response().await.unwrap().status, 200, "{target:?}");
        assert_eq!(connection.rest().await.0, b"", "{target:?}");
        assert!(!conformance.seen_by(target).contains(&"/bad".to_owned()), "{target:?}");
    })
    .await;
}

async fn each(hold: impl AsyncFn(&Conformance, RawHttp1, Target)) {
    let conformance = Conformance::start().await;
    for target in [Target::Inbound, Target::Outbound] {
        let connection = conformance.connect_http1(target).await;
        hold(&conformance, connection, target).await;
    }
}

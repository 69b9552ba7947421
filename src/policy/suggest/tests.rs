use super::class::Class;
use super::*;
use crate::policy::{Listeners, Snapshot, decide, parse};
use fastrand::Rng;
use std::fmt::Write as _;
use std::sync::Arc;

const WEB: &str = "spiffe://d/web";

/// One request that was allowed.
#[derive(Debug, Clone)]
struct Request {
    caller: &'static str,
    method: &'static str,
    host: &'static str,
    path: String,
    ctype: &'static str,
}

fn get(path: &str) -> Request {
    Request { caller: WEB, method: "GET", host: "a.d", path: path.to_owned(), ctype: "none" }
}

impl Request {
    fn line(&self) -> String {
        let Self { caller, method, host, path, ctype } = self;
        format!(
            r#"{{"kind":"decision","id":"1","time":"2026-11-21T12:00:00Z","dir":"inbound","decision":"allow","reason":"rule","rule":"r","src":{{"id":"{caller}"}},"dst":{{"host":"{host}","port":1}},"http":{{"method":"{method}","path":"{path}","ctype":"{ctype}"}}}}"#
        )
    }

    fn passes(&self, tables: &Snapshot) -> bool {
        let (text, now) = (self.line(), SystemTime::now());
        let line = Line::read(text.as_bytes()).unwrap();
        decide(tables, &line.asker(now).unwrap(), &line.request().unwrap(), now).is_ok()
    }
}

fn suggested(requests: &[Request]) -> Suggestion {
    let mut learner = Learner::default();
    for request in requests {
        learner.record(&Line::read(request.line().as_bytes()).unwrap()).unwrap();
    }
    learner.suggest()
}

fn templates(paths: impl IntoIterator<Item = String>) -> Vec<String> {
    let suggestion = suggested(&paths.into_iter().map(|path| get(&path)).collect::<Vec<_>>());
    let path = |rule: &rules::Rule| match &rule.what {
        rules::What::Http { path, .. } => path.text(),
        rules::What::Grpc { service, .. } => service.clone(),
    };
    suggestion.rules.iter().map(path).collect()
}

#[test]
fn siblings_of_one_class_become_one_placeholder_at_the_eighth_value() {
    assert_eq!(templates((0..7).map(|id| format!("/o/{id}"))).len(), 7);
    assert_eq!(templates((0..8).map(|id| format!("/o/{id}"))), ["/o/{id}"]);
    assert_eq!(
        templates((0..8).map(|id| format!("/o/{id}/{}", id % 3)).chain(["/o/export".into()])),
        ["/o/export", "/o/{id}/0", "/o/{id}/1", "/o/{id}/2"]
    );
    // What stands below them is united, and folds then.
    assert_eq!(templates((0..64).map(|id| format!("/o/{}/{}", id / 8 + 100, id))), ["/o/{id}/{id}"]);
    assert_eq!(templates((0..8).map(|id| format!("/r/2026-11-{:02}/sum", id + 1))), ["/r/{date}/sum"]);
    // Digits alone are hexadecimal as well where others beside them are, and words too.
    let hex = (0..8).map(|id| format!("/f/{id}a7c3e1"));
    assert_eq!(templates(["/f/1234567", "/f/defaced", "/f/facade"].map(String::from).into_iter().chain(hex)), ["/f/facade", "/f/{hex}"]);
    // Two classes at one place are one placeholder.
    let mixed = (0..8).flat_map(|id| [format!("/m/{id}"), format!("/m/{id}a7c3e1/x")]);
    assert_eq!(templates(mixed), ["/m/{id}", "/m/{id}/x"]);
    assert_eq!(templates(["/", "/a/", "/a", "/a/*", "/a/%7Bb%7D"].map(String::from)), ["/", "/a", "/a/", "/a/%2A", "/a/%7Bb%7D"]);
}

#[test]
fn what_no_rule_can_name_alone_is_left_out() {
    let mut learner = Learner::default();
    let mut record = |request: Request| learner.record(&Line::read(request.line().as_bytes()).unwrap()).map_err(|error| error.to_string());
    record(Request { method: "OPTIONS", ..get("*") }).unwrap();
    assert_eq!(record(get("*")), Err("has a http.path that no sidecar writes".into()));
    assert_eq!(record(Request { host: "*.d", ..get("/a") }), Err("has a dst.host that no sidecar writes".into()));
    assert_eq!(record(Request { caller: "spiffe://d/*", ..get("/a") }), Err("has a src.id that no sidecar writes".into()));
    record(Request { caller: "*.billing.example", ..get("/a") }).unwrap();
    record(Request { method: "get", ..get("/a") }).unwrap();
    let suggestion = learner.suggest();
    assert_eq!((suggestion.rules(), suggestion.left_out.get("unwritable")), (1, Some(&2)));
    parse("t.toml", &suggestion.toml("t"), &Listeners::default()).unwrap();
}

#[test]
fn words_without_a_class_are_a_crowd_and_the_suggestion_says_so() {
    let paths = (0..1_000).map(|user: u32| format!("/users/name{user}/x")).chain(["/users".into(), "/o".into()]);
    let suggestion = suggested(&paths.map(|path| get(&path)).collect::<Vec<_>>());
    assert_eq!((suggestion.rules(), suggestion.learnt(), suggestion.is_whole()), (2, 2, false));
    let [unlearnt] = &suggestion.unlearnt[..] else { panic!("{:?}", suggestion.unlearnt) };
    assert_eq!((&*unlearnt.pattern, unlearnt.requests), ("/users", 1_000));
    let text = suggestion.toml("t");
    assert!(
        text.contains(
            "# NOT LEARNT: /users has more than 256 different children of no class: write this template by hand (1000 requests, GET by"
        ),
        "{text}"
    );
}

#[test]
fn a_caller_that_asks_for_a_million_paths_takes_no_more_room_than_others_leave() {
    let mut learner = Learner::default();
    let mut rng = Rng::with_seed(3);
    let mut requests = 0;
    for _ in 0..60_000 {
        let path: String = (0..6).map(|_| format!("/w{}", rng.u8(..200))).collect();
        learner.record(&Line::read(get(&path).line().as_bytes()).unwrap()).unwrap();
        requests += 1;
    }
    assert!(learner.places <= OF_CALLER, "{}", learner.places);
    let other = Request { caller: "spiffe://d/other", ..get("/o") };
    learner.record(&Line::read(other.line().as_bytes()).unwrap()).unwrap();
    let suggestion = learner.suggest();
    let left_out: u64 = suggestion.left_out.values().sum();
    assert_eq!(suggestion.learnt() + left_out + suggestion.unlearnt.iter().map(|unlearnt| unlearnt.requests).sum::<u64>(), requests + 1);
    assert!(left_out > 0 && !suggestion.is_whole());
    assert!(suggestion.rules.iter().any(|rule| rule.callers.contains("spiffe://d/other")));
}

#[test]
fn callers_with_equal_rights_share_a_rule_and_hosts_are_told_apart_where_there_are_several() {
    let mut requests = vec![get("/a"), Request { method: "HEAD", ..get("/a") }];
    requests.extend([Request { caller: "spiffe://d/app", ..get("/a") }, Request { caller: "spiffe://d/app", method: "HEAD", ..get("/a") }]);
    let text = suggested(&requests).toml("t");
    assert!(
        text.contains("from = { spiffe = [\"spiffe://d/app\",\"spiffe://d/web\"] }\nmethods = [\"GET\",\"HEAD\"]\npaths = [\"/a\"]\n"),
        "{text}"
    );
    assert!(!text.contains("hosts"), "{text}");
    requests.push(Request { host: "b.d", ..get("/b") });
    let text = suggested(&requests).toml("t");
    assert_eq!((text.matches("hosts = [\"a.d\"]").count(), text.matches("hosts = [\"b.d\"]").count()), (1, 1), "{text}");
    let grpc = ["/shop.Orders/Get", "/shop.Orders/List"].map(|path| Request { method: "POST", ctype: "grpc", ..get(path) });
    let text = suggested(&grpc).toml("t");
    assert!(text.contains("id = \"web-grpc-shop-orders\"") && text.contains("grpc = [\"shop.Orders/Get\",\"shop.Orders/List\"]"), "{text}");
}

/// Random requests, and whether the table that is suggested for them allows them and nothing that no template of theirs covers.
#[test]
fn a_suggestion_allows_what_was_learnt_and_what_looks_the_same() {
    let mut rng = Rng::with_seed(11);
    let segment = |rng: &mut Rng| match rng.u8(..9) {
        0..3 => rng.u32(..40).to_string(),
        3 => format!("{:x}a7c3e1", rng.u32(16..64)),
        4 => format!("2026-11-{:02}", rng.u8(1..31)),
        5 => "*".to_owned(),
        6 => "%7Bx%7D".to_owned(),
        _ => ["orders", "lines", "a", "img-1.png", "defaced"][rng.usize(..5)].to_owned(),
    };
    let request = |rng: &mut Rng| {
        let mut path = String::new();
        (0..rng.u8(1..4)).for_each(|_| write!(path, "/{}", segment(rng)).unwrap());
        if rng.u8(..20) == 0 {
            path.push('/');
        }
        let grpc = rng.u8(..6) == 0;
        Request {
            caller: ["spiffe://d/web", "spiffe://d/app", "spiffe://d/z"][rng.usize(..3)],
            method: if grpc { "POST" } else { ["GET", "HEAD", "POST"][rng.usize(..3)] },
            host: ["a.d", "b.d"][rng.usize(..2)],
            path: if grpc { format!("/shop.Orders/{}", ["Get", "List"][rng.usize(..2)]) } else { path },
            ctype: if grpc { "grpc" } else { ["none", "json"][rng.usize(..2)] },
        }
    };
    for _ in 0..60 {
        let learnt: Vec<Request> = (0..rng.usize(1..400)).map(|_| request(&mut rng)).collect();
        let suggestion = suggested(&learnt);
        assert_eq!((suggestion.learnt(), suggestion.is_whole()), (learnt.len() as u64, true));
        let text = suggestion.toml("t");
        let table = parse("t.toml", &text, &Listeners::default()).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        let tables: Snapshot = Some(Arc::new(table.into()));
        let mut shuffled = learnt.clone();
        rng.shuffle(&mut shuffled);
        assert_eq!(suggested(&shuffled).toml("t"), text, "the order of the log has no part in it");
        for request in &learnt {
            assert!(request.passes(&tables), "{request:?}\n{text}");
        }
        let is_several = learnt.iter().any(|request| request.host != learnt[0].host);
        for _ in 0..400 {
            let asked = request(&mut rng);
            // Somebody asked the same but for values of a class, of which there were enough.
            let alike = learnt.iter().any(|known| {
                let segments = || known.path.split('/').zip(asked.path.split('/'));
                let same = segments().all(|(one, other)| one == other || Class::ALL.into_iter().any(|class| class.takes(one)));
                (known.caller, known.method) == (asked.caller, asked.method)
                    && (!is_several || known.host == asked.host)
                    && known.path.split('/').count() == asked.path.split('/').count()
                    && same
            });
            assert!(alike || !asked.passes(&tables), "{asked:?}\n{text}");
        }
    }
}

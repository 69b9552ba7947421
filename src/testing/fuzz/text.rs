//! What operators write.

use crate::audit::query::{Filter, Scan};
use crate::config::{self, Environment};
use crate::document::Problems;
use crate::identity::{PeerIdentity, Principal, SpiffeId};
use crate::policy::import::{Chosen, Origin, import};
use crate::policy::{self, Caller, Listeners, Tables};
use crate::request::{Listener, Strictness, canonicalize};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A configuration is valid, or every problem has a place and a remedy.
pub(super) fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match config::parse("fuzz.toml", text, &Environment::fixed(&[("A", "x")])) {
        Ok(loaded) => assert!(!loaded.config.trust.is_empty() && (loaded.config.inbound.is_some() || loaded.config.outbound.is_some())),
        Err(problems) => told(&problems, text),
    }
}

/// A filter is written so that it is read as the same one, and finds in the lines after it what it lets pass; or its mistake has a place.
pub(super) fn audit_filter(data: &[u8]) {
    let (filter, lines) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let Ok(filter) = std::str::from_utf8(filter) else { return };
    let read = |text: &str| Filter::parse(text, SystemTime::UNIX_EPOCH);
    let filter = match read(filter) {
        Ok(filter) => filter,
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with("the filter, column ") && told.lines().count() == 3, "{told}");
            return;
        }
    };
    let written = filter.to_string();
    assert_eq!(read(&written).as_ref(), Ok(&filter), "{written}");
    let (extract, mut values) = (filter.extract(&[]), Vec::new());
    let lines = [lines, b"\n"].concat();
    let all = lines.split(|byte| *byte == b'\n');
    let wanted: Vec<&[u8]> = all.filter(|line| extract.read(line, &mut values).is_some() && filter.matches(&values)).collect();
    let mut found = Vec::new();
    let _ = Scan::new(filter.clone(), &[]).lines(&lines, |hit| {
        found.push(hit.line.to_vec());
        ControlFlow::Continue(())
    });
    assert_eq!(found, wanted);
}

/// What is imported loads, and what cannot be said has a place; or every problem has one.
pub(super) fn policy_import(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let chosen = Chosen { trust_domains: vec!["d".to_owned()], root_namespace: "istio-system".to_owned(), ..Chosen::default() };
    for origin in [Origin::Istio(chosen), Origin::EnvoyRbac] {
        match import("fuzz.yaml", text, &origin, "fuzz") {
            Ok(imported) => {
                assert!(imported.gaps.iter().all(|gap| !gap.problem.what.is_empty() && !gap.problem.instead.is_empty()));
            }
            // A table that was made and does not load is called otherwise.
            Err(problems) => assert!(problems.iter().all(|problem| problem.file == "fuzz.yaml"), "{problems}"),
        }
    }
}

/// A table is valid, means the same each time it is read, and decides; or every problem has a place and a remedy.
pub(super) fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let listeners = Listeners { ports: vec![8_443], ..Listeners::default() };
    let read = || policy::parse("fuzz.toml", text, &listeners);
    match (read(), read()) {
        (Ok(table), Ok(again)) => {
            assert_eq!(table.facts, again.facts);
            decides(table.into());
        }
        (Err(problems), Err(again)) => {
            assert_eq!(problems, again);
            told(&problems, text);
        }
        (first, second) => panic!("read twice: {:?} and {:?}", first.err(), second.err()),
    }
}

fn told(problems: &Problems, text: &str) {
    assert!(problems.iter().count() > 0);
    let lines = text.lines().count().max(1) + 1;
    for problem in problems.iter() {
        assert!(!problem.what.is_empty() && problem.place.line <= lines, "{problem}");
    }
}

fn decides(tables: Tables) {
    let id = SpiffeId::parse("spiffe://prod.example/ns/web/sa/frontend").expect("a valid id");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let identity = PeerIdentity {
        principal: Principal::Spiffe(id),
        serial: "01".into(),
        fingerprint: String::new(),
        issuer: String::new(),
        subject: String::new(),
        dns_names: Vec::new(),
        not_after: now + Duration::from_secs(60),
        not_before: now - Duration::from_secs(60),
    };
    let caller = Caller::new(Some(Arc::new(identity)), ([127, 0, 0, 1], 40_000).into(), 8_443, None);
    let headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("orders.internal"))]);
    let snapshot = Some(Arc::new(tables));
    let mentioned = policy::mentioned(&snapshot);
    for target in ["/", "/api/v1/orders", "/api/v1/orders/17", "/admin/x", "/a/b/c/"] {
        let request = canonicalize(
            &Method::GET,
            &Uri::from_static(target),
            Version::HTTP_11,
            &headers,
            &Strictness::default(),
            Listener::Inbound,
            &mentioned,
        );
        let request = request.expect("a plain request");
        let verdict = || match policy::decide(&snapshot, &caller, &request, now) {
            Ok(permit) => (true, permit.facts().reason, permit.facts().rule.clone()),
            Err(denial) => (false, denial.facts.reason, denial.facts.rule),
        };
        assert_eq!(verdict(), verdict());
    }
}

//! What `countersign trust report` asks for.

use super::status::rfc3339;
use crate::proxy::Plan;
use crate::trust::{Fetching, PeerUse, RemoteLists, report};
use serde_json::{Value, json};
use std::sync::Arc;

/// Peers that are listed by name for each root and direction; the others are counted.
const LISTED: usize = 200;

/// The answer to `GET /trust`. It verifies chains: not for a thread that answers others.
pub fn reporter(plan: &Arc<Plan>, remote_lists: RemoteLists) -> Arc<dyn Fn() -> Value + Send + Sync> {
    let plan = Arc::clone(plan);
    Arc::new(move || {
        let lists = lists(&plan, &remote_lists);
        let Some(tls) = plan.tls.current() else { return json!({ "generation": 0, "roots": [], "revocation_lists": lists }) };
        let roots = report(&plan.live_peers, tls.bundles(), plan.clock.now()).into_iter().map(|root| {
            json!({
                "domain": root.domain,
                "subject": root.subject,
                "sha256": root.fingerprint,
                "not_after": rfc3339(root.not_after),
                "inbound": side(&root.inbound),
                "outbound": side(&root.outbound),
            })
        });
        json!({ "generation": tls.bundles().generation, "roots": roots.collect::<Vec<_>>(), "revocation_lists": lists })
    })
}

/// The revocation lists in force, with how those stand that are fetched, and those that never were there.
pub fn lists(plan: &Plan, remote: &RemoteLists) -> Value {
    let standing = remote.standing();
    let fetched = |domain: &str, origin: &str| standing.iter().find(|one| one.domain == domain && one.url == origin);
    let current = plan.tls.current();
    let bundles: Vec<_> = current.iter().flat_map(|tls| tls.bundles().iter()).collect();
    let in_force = bundles.iter().flat_map(|bundle| bundle.revocation().crls().lists().iter().map(|crl| (bundle.domain().as_str(), crl)));
    let mut listed: Vec<Value> = Vec::new();
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (domain, crl) in in_force {
        let fetching = fetched(domain, &crl.origin);
        seen.push((domain, &crl.origin));
        listed.push(json!({
            "domain": domain,
            "from": crl.origin,
            "issuer": crl.issuer,
            "number": crl.number(),
            "sha256": crl.fingerprint,
            "this_update": rfc3339(crl.this_update),
            "next_update": rfc3339(crl.next_update),
            "confirmed": crl.is_confirmed(),
            "age_s": fetching.and_then(|one| one.age).map(|age| age.as_secs()),
            "problem": fetching.and_then(|one| one.problem.as_deref()),
        }));
    }
    let absent = |one: &&Fetching| !seen.contains(&(&one.domain, &one.url));
    listed.extend(
        standing
            .iter()
            .filter(absent)
            .map(|one| json!({ "domain": one.domain, "from": one.url, "age_s": one.age.map(|age| age.as_secs()), "problem": one.problem })),
    );
    listed.sort_by_key(|list| [list["domain"].to_string(), list["from"].to_string()]);
    json!(listed)
}

fn side(peers: &[PeerUse]) -> Value {
    let listed = peers
        .iter()
        .take(LISTED)
        .map(|peer| json!({ "id": peer.id, "certificates": peer.certificates, "connections": peer.connections, "ending": peer.ending }));
    json!({
        "peers": peers.len(),
        "connections": peers.iter().map(|peer| peer.connections).sum::<usize>(),
        "ending": peers.iter().map(|peer| peer.ending).sum::<usize>(),
        "most": listed.collect::<Vec<_>>(),
    })
}

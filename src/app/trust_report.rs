//! What `countersign trust report` asks for.

use super::status::rfc3339;
use crate::proxy::Plan;
use crate::trust::{PeerUse, report};
use serde_json::{Value, json};
use std::sync::Arc;

/// Peers that are listed by name for each root and direction; the others are counted.
const LISTED: usize = 200;

/// The answer to `GET /trust`. It verifies chains: not for a thread that answers others.
pub fn reporter(plan: &Arc<Plan>) -> Arc<dyn Fn() -> Value + Send + Sync> {
    let plan = Arc::clone(plan);
    Arc::new(move || {
        let Some(tls) = plan.tls.current() else { return json!({ "generation": 0, "roots": [] }) };
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
        json!({ "generation": tls.bundles().generation, "roots": roots.collect::<Vec<_>>() })
    })
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

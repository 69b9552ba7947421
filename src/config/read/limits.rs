//! `[runtime]`, `[limits]` and `[timeouts]`.

use crate::config::keys::{Keys, Size};
use crate::runtime::Settings;
use crate::runtime::limits::{Limits, Timeouts};
use std::time::Duration;

pub(super) fn runtime(root: &Keys<'_>) -> Settings {
    let keys = root.table("runtime");
    let shards = keys.within("shards", 0, 0..=1_024);
    keys.close();
    if shards == 0 { Settings::default() } else { Settings { shards } }
}

pub(super) fn limits(root: &Keys<'_>) -> Limits {
    let keys = root.table("limits");
    let default = Limits::default();
    let limits = Limits {
        connections: keys.within("connections", default.connections, 1..=1_000_000),
        handshakes: keys.within("handshakes", default.handshakes, 1..=100_000),
        in_flight: keys.within("in_flight", default.in_flight, 1..=1_000_000),
        in_flight_per_identity: keys.within("in_flight_per_identity", default.in_flight_per_identity, 0.0..=1.0),
        head_bytes: head_bytes(&keys, default.head_bytes),
        head_fields: keys.within("head_fields", default.head_fields, 8..=1_000),
        max_body: keys.or("max_body", Size(default.max_body)).0,
        h2_streams: keys.within("h2_streams", default.h2_streams, 1..=10_000),
        buffered_bytes: keys.within("buffered_bytes", Size(default.buffered_bytes), Size(1 << 20)..=Size(1 << 40)).0,
        max_connection_age: keys.or("max_connection_age", default.max_connection_age),
    };
    if limits.in_flight_per_identity == 0.0 {
        keys.problem(
            "in_flight_per_identity",
            "is 0, which refuses every request",
            "write a share above 0, such as 0.5; 1.0 sets no bound",
        );
    }
    keys.close();
    limits
}

/// The HTTP/1 parser's buffer begins at 8 KiB.
fn head_bytes(keys: &Keys<'_>, default: usize) -> usize {
    let default_size = Size(u64::try_from(default).unwrap_or(u64::MAX));
    let size = keys.within("head_bytes", default_size, Size(8 << 10)..=Size(1 << 20));
    usize::try_from(size.0).unwrap_or(default)
}

pub(super) fn timeouts(root: &Keys<'_>) -> Timeouts {
    let keys = root.table("timeouts");
    let default = Timeouts::default();
    let timeouts = Timeouts {
        handshake: positive(&keys, "handshake", default.handshake),
        head: positive(&keys, "head", default.head),
        idle: positive(&keys, "idle", default.idle),
        pool_idle: positive(&keys, "pool_idle", default.pool_idle),
        app_pool_idle: positive(&keys, "app_pool_idle", default.app_pool_idle),
        body_idle: positive(&keys, "body_idle", default.body_idle),
        stream_idle: keys.or("stream_idle", default.stream_idle),
        tunnel_idle: positive(&keys, "tunnel_idle", default.tunnel_idle),
        response_head: keys.or("response_head", default.response_head),
        connect: positive(&keys, "connect", default.connect),
        pre_drain: keys.or("pre_drain", default.pre_drain),
        drain: keys.or("drain", default.drain),
        drain_grace: positive(&keys, "drain_grace", default.drain_grace),
    };
    keys.close();
    timeouts
}

fn positive(keys: &Keys<'_>, key: &'static str, default: Duration) -> Duration {
    let value = keys.or(key, default);
    if value.is_zero() {
        keys.problem(key, "is zero, and this time-out cannot be switched off", "write a time above zero, such as \"30s\"");
    }
    value
}

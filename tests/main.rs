//! Black-box tests, one property a file: the real binary, real sockets, real TLS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod admin_tcp_is_read_only;
mod app_down_is_502;
mod bad_certificate_file_keeps_old;
mod bad_policy_keeps_old;
mod config_examples_load;
mod configuration_problems_all_at_once;
mod connection_cap_recovers;
mod denials_are_in_the_ring_before_the_response;
mod dev_root_refused_in_production;
mod drain_finishes_in_flight;
mod foreign_trust_domain_rejected;
mod full_disk_is_loud;
mod handshake_stall_times_out;
mod in_flight_limits_shed;
mod large_bodies_stream_in_constant_memory;
mod loops_are_refused;
mod messages_pass_unchanged;
mod own_expiry_cuts_connection;
mod panics_are_contained;
mod peer_expiry_cuts_connection;
mod policy_reload_reaches_open_connections;
mod pool_never_crosses_identity;
mod pooled_connections_are_replaced;
mod records_are_complete;
mod refused_handshake_is_logged;
mod reload_is_named;
mod renewal_keeps_in_flight;
mod slow_head_times_out;
mod spoofed_identity_headers_replaced;
mod support;
mod two_uri_sans_rejected;
mod wrong_peer_identity_sends_nothing;

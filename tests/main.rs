//! Black-box tests, one property a file: the real binary, real sockets, real TLS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod abandoned_streams_are_bounded;
#[cfg(feature = "aws")]
mod acm_pca_rotates_without_a_failure;
mod admin_tcp_is_read_only;
mod app_check_rules_readiness;
mod app_down_is_502;
mod app_over_h2c;
mod audit_page_lists_every_field;
mod audit_tail_follows_the_log;
mod audit_verify_finds_tampering;
mod audit_why_tells_what_kept_a_request_out;
#[cfg(feature = "aws")]
mod authority_rolls_over_without_a_drop;
#[cfg(feature = "aws")]
mod authority_roots_outlive_aws;
#[cfg(feature = "aws")]
mod aws_doctor_names_the_fix;
mod bad_certificate_file_keeps_old;
mod bad_policy_keeps_old;
mod boot_keys_are_certified;
mod boundary_caps_the_policy;
mod broken_glass_is_loud;
mod buffered_bytes_bounds_memory;
#[cfg(feature = "aws")]
mod bundles_come_from_s3;
mod bundles_come_from_servers;
mod bypasses;
mod candidate_is_tried_and_promoted;
mod chains_are_judged_whole;
#[cfg(feature = "aws")]
mod check_forecasts_costs;
mod conditions_of_the_caller_are_decided;
mod config_examples_load;
mod configuration_problems_all_at_once;
mod connection_cap_recovers;
mod crypto_module_is_named;
#[cfg(feature = "aws")]
mod data_keys_of_kms_open_for_their_context_alone;
mod decision_log_is_asked;
mod declined_streams_are_tried_again;
mod denials_are_in_the_ring_before_the_response;
mod denied_peers_are_cut;
mod detectors_find_and_act;
mod dev_root_refused_in_production;
mod drain_finishes_in_flight;
mod drain_waits_for_handshakes;
mod end_users_are_recorded_by_verified_tokens;
mod events_fit_the_published_schema;
mod exposed_app_is_reported;
mod extended_connect;
mod findings_reach_the_webhook;
mod fleet_renews_without_a_herd;
mod foreign_trust_domain_rejected;
mod full_disk_is_loud;
mod grpc_calls_pass;
mod grpc_errors_are_grpc;
mod handshake_stall_times_out;
mod head_with_two_lengths_is_answered;
mod header_bombs_are_refused;
mod header_bytes_pass_unchanged;
mod hostile_strings_stay_in_their_line;
mod http1_bodies;
mod http1_connections;
mod http1_heads;
mod http1_manners;
mod http2_floods_are_cut;
mod http2_flow_control;
mod http2_frames;
mod http2_header_blocks;
mod http2_messages;
mod http2_streams;
mod iam_policies_allow_what_is_called;
mod identity_comes_from_the_surroundings;
mod in_flight_limits_shed;
#[cfg(feature = "aws")]
mod issuing_budget_stops_loudly;
#[cfg(feature = "aws")]
mod kept_certificates_are_sealed_by_kms;
#[cfg(feature = "aws")]
mod kept_certificates_outlive_restarts;
mod labels_come_from_the_surroundings;
mod large_bodies_stream_in_constant_memory;
#[cfg(feature = "aws")]
mod last_certificate_serves_through_aws_faults;
#[cfg(feature = "aws")]
mod last_certificate_serves_through_surroundings;
mod latencies_begin_when_requests_are_due;
mod less_loaded_endpoint_is_chosen;
mod library_refusals_are_recorded;
mod loops_are_refused;
mod messages_pass_unchanged;
mod metrics_reach_standard_output;
mod names_need_no_c_library;
mod own_expiry_cuts_connection;
mod own_listener_shows_the_certificate;
mod panics_are_contained;
mod peer_connections_end_with_certificates;
mod peer_expiry_cuts_connection;
mod peer_refuses_us;
mod percentages_are_by_identity;
mod policy_check_finds_slips;
mod policy_diff_finds_what_is_wider;
mod policy_explain_tells_why;
mod policy_import_is_exact_or_says_so;
mod policy_reload_reaches_open_connections;
mod policy_replay_tells_what_would_change;
mod policy_sign_makes_what_verify_accepts;
mod pool_never_crosses_identity;
mod pooled_connections_are_replaced;
mod post_quantum_groups_can_be_required;
mod quarantine_reaches_open_connections;
mod rapid_reset_is_bounded;
mod readers_that_stop_stop_nobody_else;
mod records_are_complete;
mod refused_handshake_is_logged;
mod refused_requests_keep_their_connection;
mod reload_is_named;
mod removed_roots_cut_connections;
mod renewal_keeps_in_flight;
mod requests_at_random_are_decided;
mod revocation_lists_come_from_servers;
mod revoked_certificates_are_refused;
mod rules_are_counted_exactly;
#[cfg(feature = "aws")]
mod signatures_of_kms_are_verified;
mod signed_bundles_alone_are_accepted;
mod silent_http2_peer_does_not_hold_the_drain;
mod slow_head_times_out;
#[cfg(feature = "otlp")]
mod spans_reach_a_collector;
mod spoofed_identity_headers_replaced;
mod stalled_readers_are_cut;
mod stdout_of_the_log_costs_no_request;
#[cfg(feature = "aws")]
mod stock_moto_issues;
mod suggested_tables_are_least_privilege;
mod support;
#[cfg(feature = "aws")]
mod task_credentials_reach_aws;
mod token_keys_follow_their_issuer;
mod traces_go_through;
mod trailers_pass;
mod tunnels_end;
mod two_uri_sans_rejected;
mod unreachable_peer_does_not_queue;
mod unread_uploads_get_their_answer;
mod upgrades_begin_with_the_answer;
mod upstream_names_follow_dns;
mod upstream_names_outlive_dns;
mod upstream_names_reload;
mod websockets_pass_two_sidecars;
mod websockets_pass_unchanged;
#[cfg(feature = "aws")]
mod workloads_of_one_private_ca_talk;
mod wrong_peer_identity_sends_nothing;

//! What valid texts give.

use super::{LEAST, load};
use crate::config::{Environment, Origin, parse};
use crate::credentials::Source;
use crate::proxy::App;
use crate::upstream::Address;
use crate::{admin, audit, policy, runtime, telemetry, tls};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn the_least_gives_the_defaults() {
    let config = load("").unwrap().config;
    assert_eq!(config.runtime, runtime::Settings::default());
    assert_eq!(config.tls, tls::Settings::default());
    assert_eq!(config.credentials.source, Source::default());
    assert_eq!(config.inbound, Some(crate::proxy::Inbound::default()));
    assert_eq!(config.outbound, None);
    assert_eq!(config.audit, audit::Settings::default());
    assert_eq!(config.limits, runtime::limits::Limits::default());
    assert_eq!(config.timeouts, runtime::limits::Timeouts::default());
    assert_eq!(config.admin, admin::Settings::default());
    assert_eq!(config.log, telemetry::log::Settings::default());
    assert_eq!(config.policy.source, policy::Source::File("policy.toml".into()));
}

#[test]
fn the_log_is_signed_by_what_is_written() {
    let signing = |keys: &str| load(&format!("[audit.signing]\n{keys}")).unwrap().config.audit.signing;
    assert_eq!(signing(""), None);
    assert_eq!(signing("key_file = '/k'"), Some(audit::Signing::File("/k".into())));
    #[cfg(feature = "aws")]
    {
        let arn = "arn:aws:kms:eu-west-1:123456789012:key/a";
        let key = crate::runtime::key_arn::KeyArn::parse(arn).unwrap();
        assert_eq!(signing(&format!("kms_key = '{arn}'")), Some(audit::Signing::Kms(key)));
    }
}

#[test]
fn values_arrive_where_they_belong() {
    let text = r#"
[inbound]
app = "http://localhost:3000"
app_protocol = "h2c"
escapes = "opaque"
[outbound]
protocol = "h2c"
[[upstream]]
hosts = ["a", "b.c", "[::1]"]
address = ["10.0.0.1:1", "Peer.internal:2"]
id = "spiffe://d/**"
response_head = 0
[limits]
head_fields = 50
max_body = "10MiB"
[runtime]
shards = 3
[policy]
file = "env:P"
"#;
    let config = load(text).unwrap().config;
    let inbound = config.inbound.unwrap();
    assert_eq!(inbound.app, App::Tcp("127.0.0.1:3000".parse().unwrap()));
    assert_eq!(inbound.app_protocol, crate::upstream::Protocol::Http2);
    assert_eq!(inbound.strictness.escapes, crate::request::Escapes::Opaque);
    assert_eq!(inbound.strictness.head_fields, 50);
    assert_eq!(config.outbound.unwrap().strictness.head_fields, 50);
    let upstream = config.upstreams.first().unwrap();
    assert_eq!(upstream.addresses, [Address::Socket("10.0.0.1:1".parse().unwrap()), Address::Name("peer.internal".into(), 2)]);
    assert_eq!(upstream.response_head, Some(Duration::ZERO));
    assert_eq!(config.limits.max_body, 10 << 20);
    assert_eq!(config.runtime.shards, 3);
    assert_eq!(config.policy.source, policy::Source::Env("P".into()));
}

#[test]
fn bundles_are_accepted_as_it_is_written() {
    use crate::policy::{Accepted, Signed};
    use crate::runtime::signer::PublicKey;
    let pem = rcgen::KeyPair::generate().unwrap().public_key_pem();
    let signed = |keys: &str| load(&format!("[policy]\nfile = 'p'\nboundary = 'b'\n{keys}")).unwrap().config.policy.signed;
    assert_eq!(signed(""), None);
    let public_key = PublicKey::from_file(pem.as_bytes()).unwrap();
    let text = format!("public_key = \"\"\"\n{pem}\"\"\"\n");
    let bare = Signed { public_key: public_key.clone(), own: Accepted::default(), boundary: Accepted::default() };
    assert_eq!(signed(&text), Some(bare));
    let own = Accepted { name: Some("orders".into()), min_sequence: 7 };
    let boundary = Accepted { name: Some("platform".into()), min_sequence: 3 };
    let keys = "name = 'orders'\nmin_sequence = 7\nboundary_name = 'platform'\nboundary_min_sequence = 3\n";
    assert_eq!(signed(&format!("{text}{keys}")), Some(Signed { public_key: public_key.clone(), own, boundary }));
    let loaded = load(&format!("[policy]\nfile = 'p'\n{text}")).unwrap();
    assert_eq!(loaded.effective.entry("policy.public_key").unwrap().value, format!("\"sha256:{}\"", public_key.fingerprint()));
}

#[cfg(feature = "aws")]
#[test]
fn a_private_ca_issues_and_is_believed() {
    use crate::credentials::{AcmPca, Ceilings, SealingKey, SigningAlgorithm, Template};
    use crate::runtime::key_arn::KeyArn;
    use crate::trust::{self, Authority};
    let [own, other] = [
        "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/a",
        "arn:aws:acm-pca:eu-west-1:210987654321:certificate-authority/b",
    ];
    let text = format!(
        "[credentials]\nsource = 'acm-pca'\n[credentials.acm_pca]\nauthority = '{own}'\nvalidity = '8h'\nsigning_algorithm = 'SHA384WITHECDSA'\n\
         max_issues_per_hour = 7\nprice_per_certificate = 0.75\nstart_spread = '400s'\n[credentials.cache]\ndir = '/var/cache/countersign'\nsealing_key_file = '/etc/sealing.key'\n\
         [[trust]]\ndomain = 'd'\nsource = 'acm-pca'\n[[trust]]\ndomain = 'e'\nsource = 'acm-pca'\nauthority = '{other}'\n"
    );
    let loaded = load(&text).unwrap();
    let [own, other] = [own, other].map(|arn| Authority::parse(arn).unwrap());
    let expected = AcmPca {
        authority: own.clone(),
        template: Template::default(),
        validity: Duration::from_secs(8 * 3_600),
        signing_algorithm: SigningAlgorithm::Sha384WithEcdsa,
        ceilings: Ceilings { per_hour: 7, ..Ceilings::default() },
        price: 0.75,
        start_spread: Duration::from_secs(400),
        cache: Some("/var/cache/countersign".into()),
        sealing_key: Some(SealingKey::File("/etc/sealing.key".into())),
    };
    assert_eq!(loaded.config.credentials.source, Source::AcmPca(expected));
    let sources: Vec<_> = loaded.config.trust.into_iter().map(|trust| trust.source).collect();
    assert_eq!(sources, [trust::Source::AcmPca(own), trust::Source::AcmPca(other)]);
    assert_eq!(loaded.warnings, []);
    for resource in ["key/6cb1e2c9-0f0e-4f9a-8f65-9c2b1f3a7d10", "alias/sealer"] {
        let arn = format!("arn:aws:kms:eu-west-1:123456789012:{resource}");
        let loaded = load(&text.replace("sealing_key_file = '/etc/sealing.key'", &format!("kms_key = '{arn}'"))).unwrap();
        let Source::AcmPca(pca) = loaded.config.credentials.source else { panic!() };
        assert_eq!(pca.sealing_key, Some(SealingKey::Kms(KeyArn::parse(&arn).unwrap())));
        assert_eq!(loaded.effective.entry("credentials.cache.kms_key").unwrap().value, format!("{arn:?}"));
    }
}

#[test]
fn every_key_is_listed_exactly_once() {
    let loaded = load("[outbound]\n[[upstream]]\nhosts = ['p']\naddress = 'p:1'\nid = 'spiffe://d/p'\n").unwrap();
    let keys: Vec<&str> = loaded.effective.iter().map(|entry| entry.key.as_str()).collect();
    let once: BTreeSet<&str> = keys.iter().copied().collect();
    assert_eq!(keys.len(), once.len(), "{keys:?}");
    for key in ["workload.labels", "credentials.file.chain", "trust[0].dns_names", "upstream[0].dns_san", "timeouts.idle", "log.format"] {
        assert!(once.contains(key), "{key}");
    }
}

#[test]
fn the_listing_says_where_values_come_from() {
    let environment = Environment::fixed(&[("POD", "orders")]);
    let text = LEAST.replace("d/app", "d/${POD}") + "[log]\nlevel = \"warn\"\n";
    let loaded = parse("c.toml", &text, &environment).unwrap();
    let entry = |key: &str| loaded.effective.entry(key).unwrap();
    assert_eq!(entry("workload.id").value, "\"spiffe://d/orders\"");
    assert_eq!(entry("workload.id").origin.to_string(), "line 3 with POD");
    assert_eq!(entry("log.level").origin.to_string(), "line 12");
    assert_eq!(entry("log.format").origin, Origin::Default);
    assert_eq!(entry("outbound").value, "absent");
    let listing = loaded.effective.to_string();
    let columns: BTreeSet<Option<usize>> = listing.lines().take(4).map(|line| line.rfind("  ")).collect();
    assert!(listing.contains("log.level"), "{listing}");
    assert_eq!(columns.len(), 1, "{listing}");
}

#[test]
fn warnings_do_not_refuse() {
    let table = [
        ("[timeouts]\npre_drain = '30s'\ndrain = '100s'", "timeouts.drain: and timeouts.pre_drain add up to 130 s"),
        ("[audit]\nsink = 'none'", "audit.sink: keeps no record of any decision"),
        ("[inbound]\napp = 'http://10.0.0.1:80'", "inbound.app: is not loopback"),
        ("[[upstream]]\nhosts = ['p']\naddress = 'p:1'\nid = 'spiffe://d/p'", "upstream[0].hosts: is of no use without [outbound]"),
        (
            "[credentials]\nsource = 'dev'\n[credentials.cache]\ndir = 'c'",
            "credentials.cache.dir: is of no use with this credentials.source; leave it out, or change the source",
        ),
        (
            "[credentials]\nsource = 'dev'\n[credentials.file]\nkey = 'k'",
            "credentials.file.key: is of no use with this credentials.source; leave it out, or change the source",
        ),
        (
            "[credentials]\nsource = 'file'\n[credentials.file]\nchain = 'c'\nkey = 'k'\n[credentials.dev]\ndir = 'd'\nvalidity = '1h'",
            "credentials.dev.validity: is of no use",
        ),
        (
            "[credentials]\nsource = 'dev'\n[credentials.acm_pca]\nauthority = 'arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/a'",
            "credentials.acm_pca.authority: is of no use with this credentials.source; leave it out, or change the source",
        ),
    ];
    for (text, warning) in table {
        let warnings: Vec<String> = load(text).unwrap().warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 1, "{text}: {warnings:?}");
        assert!(warnings.concat().contains(warning), "{text}: {warnings:?}");
    }
}

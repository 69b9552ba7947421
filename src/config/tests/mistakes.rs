//! Every mistake has its message.

use super::{LEAST, load};
use crate::config::{Environment, parse};

const UP: &str = "[outbound]\n[[upstream]]\nhosts = ['p']\naddress = 'p:1'\nid = 'spiffe://d/p'\n";

/// What to write for an address.
const ADDRESS: &str = "write an address and a port, such as \"10.0.0.7:8443\", or a name, such as \"dns://payments.shop.internal:8443\"";

/// Each text has exactly this problem.
fn expect(table: &[(&str, &str)]) {
    for (text, problem) in table {
        match load(text) {
            Ok(_) => panic!("{text}: is accepted"),
            Err(problems) => assert_eq!(problems, [*problem], "{text}"),
        }
    }
}

#[test]
fn all_problems_come_at_once_with_their_places() {
    let text = "[workload]\nid = 'web'\n[credentials]\nsource = 'dev'\n[[trust]]\ndomain = 'd'\n[inbound]\nlisten = ':8443'\nlisen = 1\n[timeouts]\nidle = 30\n";
    let problems = parse("c.toml", text, &Environment::fixed(&[])).unwrap_err().to_string();
    let expected = [
        "c.toml: policy.file: is missing; write file = \"policy.toml\"",
        "c.toml:2:1: workload.id: \"web\" does not begin with spiffe://; write spiffe://<trust domain>/<path>, such as \"spiffe://prod.example/ns/shop/sa/orders\"",
        "c.toml:8:1: inbound.listen: is \":8443\"; write an IP address and a port, such as \"127.0.0.1:8443\" or \"[::]:8443\"",
        "c.toml:9:1: inbound.lisen: unknown key; did you mean `listen`?",
        "c.toml:11:1: timeouts.idle: is 30 without a unit; write it with its unit, such as \"30s\"; units are ms, s, m, h and d",
    ];
    assert_eq!(problems, expected.join("\n"));
}

#[test]
fn an_empty_text_names_what_is_needed() {
    let problems = parse("c", "", &Environment::fixed(&[])).unwrap_err().to_string();
    let expected = [
        "c: workload.id: is missing; write id = \"spiffe://prod.example/ns/shop/sa/orders\"",
        if cfg!(feature = "aws") {
            "c: credentials.source: is missing; write source = \"dev\" or \"file\" or \"acm-pca\""
        } else {
            "c: credentials.source: is missing; write source = \"dev\" or \"file\""
        },
        "c: trust: is missing; add [[trust]] with the trust domain of [workload] id",
        "c: policy.file: is missing; write file = \"policy.toml\"",
        "c: inbound: is absent, and so is outbound: there is nothing to do; add [inbound] with app = \"http://127.0.0.1:8080\"",
    ];
    let sorted = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(sorted(&problems), sorted(&expected.join("\n")));
}

#[test]
fn unknown_keys_are_refused_in_every_section() {
    let sections = [
        "[tls]",
        "[runtime]",
        "[audit]",
        "[limits]",
        "[timeouts]",
        "[health]",
        "[admin]",
        "[log]",
        "[inbound]",
        "[credentials.dev]",
        "[credentials.file]",
        "[credentials.acm_pca]",
        "[credentials.cache]",
        "[credentials.renew]",
    ];
    for section in sections {
        let text = format!("{section}\nxyzzy = 1\n");
        let text = if section.starts_with("[credentials.") { format!("[credentials]\nsource = 'dev'\n{text}") } else { text };
        let problems = load(&text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems.concat().contains("xyzzy: unknown key; known here: "), "{problems:?}");
    }
    for text in [format!("{UP}xyzzy = 1\n"), "[workload]\nid = 'spiffe://d/a'\nxyzzy = 1".into(), "[xyzzy]".into()] {
        assert!(load(&text).unwrap_err().concat().contains("xyzzy: unknown key"), "{text}");
    }
}

#[test]
fn detectors_quarantine_and_webhook_are_read_strictly() {
    let hook = "secret_file = '/s'\nspool_dir = '/d'\n";
    let http = format!("[webhook]\n{hook}url = 'http://alerts.example/'");
    let silent = format!("[webhook]\n{hook}url = 'https://a.example/'\n[audit]\nsink = 'none'");
    let table: [(&str, &str); 8] = [
        ("[detect.flood]\nmode = 'off'", "detect.flood: unknown key"),
        ("[detect.new_edge]\nmode = 'act'", "detect.new_edge.mode: is \"act\"; write \"off\" or \"advise\""),
        ("[detect.scanning]\npaths = 101", "detect.scanning.paths: is 101; write a value from 1 to 100"),
        ("[detect.denial_burst]\nwindow = '1ms'", "detect.denial_burst.window"),
        ("[quarantine]\nnever = ['*']", "quarantine.never"),
        ("[webhook]\nurl = 'https://a.example/'", "webhook.secret_file: is missing, and url is written"),
        (&http, "is http to another machine"),
        (&silent, "webhook.url: is of no use: nothing is recorded, so nothing is told"),
    ];
    for (text, needle) in table {
        let problems = load(text).unwrap_err().concat();
        assert!(problems.contains(needle), "{text}: {problems}");
    }
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let keys = [("[inbound]\nproxy_protocol = 'off'", "inbound.proxy_protocol"), ("[inbound]\nproxy_from = []", "inbound.proxy_from")];
    for (text, key) in keys {
        assert_eq!(load(text).unwrap_err(), [format!("{key}: is not built yet; leave it out")], "{text}");
    }
    expect(&[
        ("[audit]\nhash_user_key_file = 'k'", "audit.hash_user_key_file: is of no use; write hash_user = true, or leave it out"),
        ("[audit]\nformat = 'cef'", "audit.format: is \"cef\"; write \"countersign\" or \"ocsf\""),
    ]);
}

#[test]
#[cfg(not(feature = "otlp"))]
fn a_collector_needs_a_build_that_makes_spans() {
    expect(&[(
        "[trace]\notlp = 'http://127.0.0.1:4318'",
        "trace.otlp: is \"http://127.0.0.1:4318\", and this build makes no spans; build with --features otlp, or leave it out",
    )]);
}

#[test]
#[cfg(feature = "otlp")]
fn a_collector_is_on_this_machine() {
    for fine in ["http://127.0.0.1:4318", "http://127.0.0.1:4318/", "http://[::1]:4318", ""] {
        assert!(load(&format!("[trace]\notlp = '{fine}'")).is_ok(), "{fine}");
    }
    for text in [
        "127.0.0.1:4318",
        "https://127.0.0.1:4318",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://10.0.0.1:4318",
        "http://collector:4318",
        "http://127.0.0.1:4318/v1/traces",
        "http://169.254.169.254:80",
    ] {
        let problems = load(&format!("[trace]\notlp = '{text}'")).unwrap_err();
        assert!(problems.len() == 1 && problems[0].starts_with(&format!("trace.otlp: is {text:?}; write ")), "{problems:?}");
    }
}

#[test]
fn what_is_wrong_with_revocation_lists_is_said() {
    expect(&[
        (
            "[[trust]]\ndomain = 'd'\n[trust.revocation]\nmode = 'require'",
            "trust[0].revocation.crl: is missing, and mode is not \"off\"; write crl = [\"/path/to/list.crl\"], the paths or URLs of the lists",
        ),
        (
            "[[trust]]\ndomain = 'd'\n[trust.revocation]\ncrl = ['a']",
            "trust[0].revocation.crl: is of no use while mode is \"off\"; write mode = \"best_effort\" or \"require\"",
        ),
        (
            "[[trust]]\ndomain = 'd'\n[trust.revocation]\ncrl = ['https://a/b.crl', 's3://a/b.crl']",
            "trust[0].revocation.crl[1]: \"s3://a/b.crl\" is no http or https URL; write https://<bucket>.s3.<region>.amazonaws.com/<key>",
        ),
        (
            "[[trust]]\ndomain = 'd'\n[trust.revocation]\ncrl = ['http://169.254.169.254/a.crl']",
            "trust[0].revocation.crl[0]: \"http://169.254.169.254/a.crl\" is link-local, where metadata services are; write http://<host>/<path>, the same with https, or a path",
        ),
    ]);
}

/// An authority's ARN.
const ARN: &str = "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/a";

#[test]
fn what_is_wrong_with_a_private_ca_is_said() {
    let pca = |keys: &str| format!("[credentials]\nsource = 'dev'\n[credentials.acm_pca]\n{keys}");
    let arn = "write the authority's ARN, arn:aws:acm-pca:<region>:<account>:certificate-authority/<id>";
    let template = "write a template's name, such as \"EndEntityCertificate/V1\"";
    let table = [
        (pca("authority = 'prod'"), format!("credentials.acm_pca.authority: \"prod\" is no ARN; {arn}")),
        (
            pca("template = 'EndEntityCertificate'"),
            format!("credentials.acm_pca.template: \"EndEntityCertificate\" has no version; {template}"),
        ),
        (
            pca("template = 'SubordinateCACertificate_PathLen0/V1'"),
            format!(
                "credentials.acm_pca.template: \"SubordinateCACertificate_PathLen0/V1\" makes authorities, and a workload is none; {template}"
            ),
        ),
        (pca("template = 'a b/V1'"), format!("credentials.acm_pca.template: \"a b/V1\" is no template of AWS Private CA; {template}")),
        (pca("validity = '1s'"), "credentials.acm_pca.validity: is \"1s\"; write a value from \"2s\" to \"8760h\"".to_owned()),
        (
            format!("[[trust]]\ndomain = 'd'\nauthority = '{ARN}'"),
            "trust[0].authority: is of no use while source is \"dev\"; write source = \"acm-pca\", or leave authority out".to_owned(),
        ),
    ];
    for (text, problem) in &table {
        expect(&[(text, problem)]);
    }
}

/// A key's ARN.
#[cfg(feature = "aws")]
const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/a";

#[cfg(feature = "aws")]
#[test]
fn one_key_seals_what_is_kept() {
    let cache = |keys: &str| format!("[credentials]\nsource = 'dev'\n[credentials.cache]\n{keys}");
    let arn = "write the key's whole ARN, arn:aws:kms:<region>:<account>:key/<id>, or an alias's, …:alias/<name>";
    let no_dir =
        |key| format!("credentials.cache.{key}: is of no use without dir; write dir = \"/var/cache/countersign\", or leave it out");
    let table = [
        (cache("dir = 'c'\nkms_key = 'alias/sealer'"), format!("credentials.cache.kms_key: \"alias/sealer\" is no ARN; {arn}")),
        (cache(&format!("dir = 'c'\nkms_key = '{ARN}'")), format!("credentials.cache.kms_key: {ARN:?} is no ARN of AWS KMS; {arn}")),
        (cache(&format!("kms_key = '{KEY}'")), no_dir("kms_key")),
        (cache("sealing_key_file = 'k'"), no_dir("sealing_key_file")),
        (
            cache(&format!("dir = 'c'\nsealing_key_file = 'k'\nkms_key = '{KEY}'")),
            "credentials.cache.kms_key: and sealing_key_file both seal; write one of them".to_owned(),
        ),
    ];
    for (text, problem) in &table {
        expect(&[(text, problem)]);
    }
}

#[cfg(feature = "aws")]
#[test]
fn one_key_signs_for_the_log() {
    let signing = |keys: &str| format!("[audit]\nsink = 'stdout'\n[audit.signing]\n{keys}");
    let arn = "write the key's whole ARN, arn:aws:kms:<region>:<account>:key/<id>, or an alias's, …:alias/<name>";
    expect(&[
        (&signing("kms_key = 'alias/audit'"), &format!("audit.signing.kms_key: \"alias/audit\" is no ARN; {arn}")),
        (&signing(&format!("kms_key = '{KEY}'\nkey_file = 'k'")), "audit.signing.kms_key: and key_file both sign; write one of them"),
        (
            "[audit]\nsink = 'none'\n[audit.signing]\nkey_file = 'k'",
            "audit.signing.key_file: is of no use; write sink = \"file\" or \"stdout\", or leave it out",
        ),
    ]);
}

#[cfg(not(feature = "aws"))]
#[test]
fn keys_of_kms_are_left_out_by_name() {
    expect(&[(
        "[audit.signing]\nkms_key = 'arn:aws:kms:eu-west-1:123456789012:key/a'",
        "audit.signing.kms_key: is left out of this build, which is one without the feature `aws`; write key_file instead",
    )]);
    expect(&[(
        "[credentials]\nsource = 'dev'\n[credentials.cache]\ndir = 'c'\nkms_key = 'arn:aws:kms:eu-west-1:123456789012:key/a'",
        "credentials.cache.kms_key: is left out of this build, which is one without the feature `aws`; write sealing_key_file instead",
    )]);
}

#[cfg(feature = "aws")]
#[test]
fn a_source_in_aws_needs_its_authority() {
    expect(&[
        (
            "[credentials]\nsource = 'acm-pca'",
            "credentials.acm_pca.authority: is missing, and credentials.source is \"acm-pca\"; \
             write authority = \"arn:aws:acm-pca:<region>:<account>:certificate-authority/<id>\"",
        ),
        (
            "[[trust]]\ndomain = 'd'\nsource = 'acm-pca'",
            "trust[0].authority: is missing, and source is \"acm-pca\"; write authority here, or in [credentials.acm_pca]",
        ),
    ]);
}

/// The schedule must fit into the budget twice: who has too little of it learns that before, and what to write.
#[cfg(feature = "aws")]
#[test]
fn a_budget_that_the_schedule_needs_alone_is_refused() {
    let text = |validity: &str, keys: &str| {
        format!(
            "[credentials]\nsource = 'acm-pca'\n[credentials.acm_pca]\nauthority = '{ARN}'\nvalidity = '{validity}'\n{keys}\n\
             [credentials.renew]\nafter = 0.5\n"
        )
    };
    let day = "credentials.acm_pca.max_issues_per_day: is 48, and the schedule of credentials.acm_pca.validity alone needs 48 a day; \
               write max_issues_per_day = 96, or a longer validity";
    expect(&[(&text("1h", ""), day)]);
    let hour = "credentials.acm_pca.max_issues_per_hour: is 12, and the schedule of credentials.acm_pca.validity alone needs 24 an hour; \
                write max_issues_per_hour = 48, or a longer validity";
    expect(&[(&text("5m", "max_issues_per_day = 2000"), hour)]);
    for (validity, keys) in
        [("24h", ""), ("2h", ""), ("1h", "max_issues_per_day = 96"), ("7d", "max_issues_per_hour = 1\nmax_issues_per_day = 1")]
    {
        assert!(load(&text(validity, keys)).is_ok(), "{validity} {keys}");
    }
}

#[cfg(not(feature = "aws"))]
#[test]
fn what_is_left_out_of_the_build_is_said() {
    let left_out = "\"acm-pca\" is left out of this build, which is one without the feature `aws`; write \"dev\" or \"file\"";
    for (text, key) in
        [("[credentials]\nsource = 'acm-pca'", "credentials.source"), ("[[trust]]\ndomain = 'd'\nsource = 'acm-pca'", "trust[0].source")]
    {
        assert_eq!(load(text).unwrap_err(), [format!("{key}: {left_out}")]);
    }
}

#[test]
fn wrong_values_say_what_to_write() {
    expect(&[
        ("[log]\nlevel = 'loud'", "log.level: is \"loud\"; write one of error, warn, info, debug, trace"),
        ("[log]\nformat = 3", "log.format: is an integer; write a string in quotes"),
        ("[tls]\nmin = '1.1'", "tls.min: is \"1.1\"; write \"1.3\" or \"1.2\""),
        ("[tls]\ngroups = ['X25519', 'X25519']", "tls.groups[1]: \"X25519\" is written twice; write it once"),
        ("[health]\napp_check = 'healthz'", "health.app_check: is \"healthz\"; write a path, such as \"/healthz\", or \"\" for none"),
        (
            "[health]\napp_check = 'http://127.0.0.1/healthz'",
            "health.app_check: is \"http://127.0.0.1/healthz\"; write a path, such as \"/healthz\", or \"\" for none",
        ),
        (
            "[health]\napp_check = '/a b'",
            "health.app_check: is \"/a b\": invalid uri character; write a path, such as \"/healthz\", or \"\" for none",
        ),
        (
            "[inbound]\napp = 'http://10.0.0.7:80'\nrequire_private_app = true",
            "inbound.require_private_app: is true, and inbound.app is 10.0.0.7:80, which is not loopback; write a loopback address in inbound.app, or leave this out",
        ),
        ("[inbound]\nrequire_private_app = 1", "inbound.require_private_app: is an integer; write true or false"),
        ("[audit]\nsample = 1.5", "audit.sample: is 1.5; write a value from 0.0 to 1.0"),
        ("[audit]\nsample = nan", "audit.sample: is NaN; write a value from 0.0 to 1.0"),
        (
            "[audit]\nmax_bytes = '1KB'",
            "audit.max_bytes: is \"1KB\"; write a whole number and a unit, such as \"64KiB\" or \"1GiB\"; units are B, KiB, MiB and GiB",
        ),
        ("[limits]\nhead_bytes = '1KiB'", "limits.head_bytes: is \"1KiB\"; write a value from \"8KiB\" to \"1MiB\""),
        (
            "[limits]\nmax_body = 1024",
            "limits.max_body: is 1024 without a unit; write it with its unit, such as \"1024B\"; units are B, KiB, MiB and GiB",
        ),
        ("[limits]\nh2_streams = 0", "limits.h2_streams: is 0; write a value from 1 to 10000"),
        ("[limits]\nconnections = -1", "limits.connections: is -1; write a number that is not negative"),
        ("[limits]\nconnections = 99999999999999999999", "limits.connections: is beyond 64 bits; write a smaller number"),
        (
            "[limits]\nin_flight_per_identity = 0",
            "limits.in_flight_per_identity: is 0, which refuses every request; write a share above 0, such as 0.5; 1.0 sets no bound",
        ),
        (
            "[timeouts]\nidle = '0s'",
            "timeouts.idle: is zero, and this time-out cannot be switched off; write a time above zero, such as \"30s\"",
        ),
        ("[timeouts]\nidle = '400d'", "timeouts.idle: is \"400d\", more than 365 days; write less; units are ms, s, m, h and d"),
        (
            "[credentials]\nsource = 'dev'\n[credentials.dev]\nvalidity = '1s'",
            "credentials.dev.validity: is \"1s\"; write a value from \"2s\" to \"720h\"",
        ),
        (
            "[credentials]\nsource = 'dev'\n[credentials.renew]\nafter = 0.9",
            "credentials.renew.after: lets a certificate end before it is renewed; write after and jitter so that they add up to less than 1.0",
        ),
        (
            "[inbound]\napp = 'https://127.0.0.1:1'",
            "inbound.app: \"https://127.0.0.1:1\" asks for TLS, which the app beside us does not need; write \"http://127.0.0.1:8080\" or \"unix:/run/app.sock\"",
        ),
        (
            "[inbound]\napp = 'http://127.0.0.1:1/x'",
            "inbound.app: \"http://127.0.0.1:1/x\" is no IP address and port without a path; write \"http://127.0.0.1:8080\" or \"unix:/run/app.sock\"",
        ),
        (
            "[inbound]\napp = 'unix:app.sock'",
            "inbound.app: \"unix:app.sock\" has no absolute path; write \"http://127.0.0.1:8080\" or \"unix:/run/app.sock\"",
        ),
        (
            "[inbound]\nreserved_headers = ['host']",
            "inbound.reserved_headers[0]: \"host\" cannot be stripped: a request does not work without it; leave it out",
        ),
        (
            "[inbound]\nidentity_headers = ['x']",
            "inbound.identity_headers[0]: is \"x\"; write \"x-forwarded-client-cert\" or \"x-countersign-peer\"",
        ),
        (
            "[workload]\nid = 'spiffe://d/a'\ndns_names = ['*.d']",
            "workload.dns_names[0]: \"*.d\" has a wildcard; write an exact name such as \"orders.shop.internal\"",
        ),
        (
            "[[trust]]\ndomain = 'D'",
            "trust[0].domain: \"D\" has a trust domain with something other than a-z, 0-9, dot, dash and underscore; write the trust domain alone, such as \"prod.example\"",
        ),
        (
            "[workload]\nid = 'spiffe://d/${POD}'",
            "workload.id: cannot be expanded; the environment variable POD is not set: set it, or write the value",
        ),
        (
            "[policy]\nfile = 'p'\npublic_key = 'k'",
            "policy.public_key: holds no public key of P-256 in PEM; write the key itself, -----BEGIN PUBLIC KEY----- and so on, as `openssl pkey -pubout` prints it",
        ),
        (
            "[policy]\nfile = 'p'\nmin_sequence = 1",
            "policy.min_sequence: is about signed bundles, and nothing says whose signature counts; write public_key, or leave it out",
        ),
        ("[policy]\nfile = 'p'\nname = ''", "policy.name: is empty; write the name of the table, or leave the key out"),
        (
            "[policy]\nfile = 'env:A-B'",
            "policy.file: \"env:A-B\" names no environment variable; write a path such as \"policy.toml\", \"env:NAME\", \"https://…\", or \"s3://bucket/key\"",
        ),
        (
            "[policy]\nfile = 'https://tables.example/orders.json'",
            "policy.file: is elsewhere, and a plain table is not taken from there; write public_key, and put a signed bundle there",
        ),
        (
            "[policy]\nfile = 'http://tables.example/orders.json'",
            "policy.file: \"http://tables.example/orders.json\" is http: who asks there tells everybody on the way which table it has, and can be kept from the next one unseen; write a path such as \"policy.toml\", \"env:NAME\", \"https://…\", or \"s3://bucket/key\"",
        ),
        (
            "[policy]\nfile = 'https://u:p@tables.example/'",
            "policy.file: \"https://u:p@tables.example/\" has a user in it, and nothing is sent that proves who asks; write a path such as \"policy.toml\", \"env:NAME\", \"https://…\", or \"s3://bucket/key\"",
        ),
    ]);
}

#[test]
fn upstreams_are_read_strictly() {
    let changed = |from: &str, to: &str| UP.replace(from, to);
    expect(&[
        (
            &changed("'p']", "'P.x:80']"),
            "upstream[0].hosts[0]: \"P.x:80\" is not how requests are matched; write \"p.x\": lower case, no port, no last dot",
        ),
        (&changed("'p']", "'a b']"), "upstream[0].hosts[0]: \"a b\" is no host; write a host name such as \"payments\", without a port"),
        (&changed("'p']", "]"), "upstream[0].hosts: is empty; write at least one host, such as [\"payments\"]"),
        (&changed("'p:1'", "[]"), "upstream[0].address: is empty; write at least one"),
        (&changed("'p:1'", "'p'"), &format!("upstream[0].address: \"p\" has no port; {ADDRESS}")),
        (&changed("p:1", "dns://p"), &format!("upstream[0].address: \"dns://p\" has no port; {ADDRESS}")),
        (&changed("p:1", "dns://p:0"), &format!("upstream[0].address: \"dns://p:0\" is no name and port; {ADDRESS}")),
        (&changed("p:1", "dns://:1"), &format!("upstream[0].address: \"dns://:1\" is no name and port; {ADDRESS}")),
        (&changed("p:1", "dns://*.p:1"), &format!("upstream[0].address: \"dns://*.p:1\" is no name and port; {ADDRESS}")),
        (&changed("p:1", "dns://p:1/x"), &format!("upstream[0].address: \"dns://p:1/x\" is no name and port; {ADDRESS}")),
        (&changed("p:1", "srv://p:1"), &format!("upstream[0].address: \"srv://p:1\": there is no srv:// here; {ADDRESS}")),
        (&changed("p:1", "https://p:1"), &format!("upstream[0].address: \"https://p:1\": there is no https:// here; {ADDRESS}")),
        (&changed("p:1", "dns://10.0.0.7:1"), "upstream[0].address: \"dns://10.0.0.7:1\" is no name; write the address without dns://"),
        (
            &changed("id = 'spiffe://d/p'", ""),
            "upstream[0].id: is missing; write who must be there: id = \"spiffe://prod.example/ns/shop/sa/payments\"",
        ),
        (
            &format!("{UP}dns_san = 'p'"),
            "upstream[0].dns_san: stands beside id; write one of them: a peer has either a SPIFFE id or a DNS name",
        ),
        (
            &changed("id = 'spiffe://d/p'", "dns_san = 'p'"),
            "upstream[0].dns_san: is a DNS name, and no [[trust]] accepts any; write dns_names in the [[trust]] whose roots sign \"p\"",
        ),
        (&changed("//d/p", "//e/p"), "upstream[0].id: is in \"e\", which has no [[trust]]; add [[trust]] with domain = \"e\""),
        (&format!("{UP}retries = 11"), "upstream[0].retries: is 11; write a value from 0 to 10"),
        (
            &format!("{UP}{}", UP.trim_start_matches("[outbound]\n")),
            "upstream[1].hosts: has \"p\", which upstream[0] has already; write each host once",
        ),
    ]);
}

#[test]
fn sections_are_compared() {
    expect(&[
        (
            "[[trust]]\ndomain = 'e'",
            "workload.id: is in \"d\", which has no [[trust]]; add [[trust]] with domain = \"d\": our own certificate is verified like any other",
        ),
        (
            "[[trust]]\ndomain = 'd'\n[[trust]]\ndomain = 'd'",
            "trust[1].domain: \"d\" has a [[trust]] already, trust[0]; put its roots into one file",
        ),
        (
            "[[trust]]\ndomain = 'd'\nsource = 'file'",
            "trust[0].file: is missing, and source is \"file\"; write file = \"/path/to/roots.pem\"",
        ),
        (
            "[[trust]]\ndomain = 'd'\nfile = 'x'",
            "trust[0].file: is of no use while source is \"dev\"; write source = \"file\", or leave file out",
        ),
        (
            "[credentials]\nsource = 'file'\n[credentials.file]\nchain = 'c'",
            "credentials.file.key: is missing, and credentials.source is \"file\"; write key = \"/path/to/key.pem\"",
        ),
        ("[audit]\nsink = 'file'", "audit.dir: is missing, and sink is \"file\"; write dir = \"/var/log/countersign\""),
        ("[audit]\ndir = 'x'", "audit.dir: is of no use; write sink = \"file\", or leave dir out"),
        (
            "[tls]\nrequire_post_quantum = true\ngroups = ['X25519']",
            "tls.require_post_quantum: is true and groups has no post-quantum one; add \"X25519MLKEM768\" to groups",
        ),
        (
            "[tls]\nrequire_post_quantum = true\nmin = '1.2'",
            "tls.require_post_quantum: is true and min is \"1.2\", which has no post-quantum groups; write min = \"1.3\"",
        ),
        ("[outbound]", "outbound.listen: leads nowhere; add [[upstream]] with hosts, address and id, or leave [outbound] out"),
        (
            &UP.replace("[outbound]", "[outbound]\nlisten = '0.0.0.0:1'"),
            "outbound.listen: is not loopback; write \"127.0.0.1:1\", or allow_remote = true: whoever reaches it then speaks in this workload's name",
        ),
        ("[inbound]\nlisten = '127.0.0.1:9900'", "health.listen: [::]:9900 is taken by inbound.listen, 127.0.0.1:9900; write another port"),
        (
            "[inbound]\napp = 'http://127.0.0.1:8443'",
            "inbound.app: 127.0.0.1:8443 is our own inbound.listen; write the address that the app listens on",
        ),
        (
            "[inbound]\napp = 'http://[::ffff:127.0.0.1]:9901'",
            "inbound.app: [::ffff:127.0.0.1]:9901 is our own admin.listen; write the address that the app listens on",
        ),
        (
            &UP.replace("p:1", "localhost:15001"),
            "upstream[0].address: leads back to our own outbound.listen, 127.0.0.1:15001; write the address of the peer's sidecar",
        ),
    ]);
}

#[test]
fn what_only_looks_wrong_is_accepted() {
    let remote = UP.replace("[outbound]", "[outbound]\nlisten = '0.0.0.0:1'\nallow_remote = true");
    let table = [
        UP.replace("p:1", "10.0.0.9:8443"),
        UP.replace("p:1", "127.0.0.1:8443"),
        UP.replace("p:1", "10.0.0.9:15001"),
        UP.replace("'p']", "'${HOST}', '[::1]']"),
        remote,
        "[inbound]\nlisten = '[::]:0'\n[health]\nlisten = '[::]:0'\n[admin]\nlisten = '127.0.0.1:0'".into(),
        "[timeouts]\nstream_idle = 0\nresponse_head = '0s'\npre_drain = '0ms'\n[limits]\nmax_connection_age = 0".into(),
        "[workload]\nid = 'spiffe://d/${NAME}'".into(),
    ];
    for text in table {
        if let Err(problems) = load(&text) {
            panic!("{text}: {problems:?}");
        }
    }
}

#[test]
fn a_syntax_error_has_its_place() {
    let problems = parse("c", &format!("{LEAST}\n[log\n"), &Environment::fixed(&[])).unwrap_err();
    assert!(problems.iter().all(|problem| problem.place.line == 12), "{problems}");
}

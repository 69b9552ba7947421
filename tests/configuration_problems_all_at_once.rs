//! Everything that is wrong is said at once, with file, line, key and what to write instead; and then nothing was started.

use crate::support::setup::replace;
use crate::support::sidecar::run;
use crate::support::{BOB, Setup};
use std::net::TcpListener;
use std::path::Path;

/// A malformed policy: a misspelled key and a missing one, in lines 3 and 4.
const POLICY: &str = "schema = 1\nname = 'test'\n[[rule]]\nidd = 'x'\neffect = 'allow'\nwhy = 'test'\n";

#[tokio::test]
async fn mistakes_in_every_file() {
    let mut setup = Setup::new();
    setup
        .set("timeouts.idle", "'60 seconds'")
        .set("timeouts.hed", "'10s'")
        .set("limits.connections", "'many'")
        .set("inbound.app_protocol", "'h3'")
        .set("credentials.cache.kms_key", "'alias/sealer'")
        .set("nonsense.key", "1")
        .table("upstream", "hosts = ['UPPER']\naddress = 'nowhere'\nid = 'spiffe://elsewhere.example/x'");
    setup.write_policy(POLICY);
    replace(&setup.path("orders.pem"), "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n");
    replace(&setup.path("roots.pem"), "no PEM at all\n");
    let said = refused(&mut setup).await;
    let keys = ["timeouts.idle", "timeouts.hed", "limits.connections", "inbound.app_protocol", "credentials.cache.kms_key", "nonsense"];
    let keys = keys.into_iter().chain(["upstream[0].hosts", "upstream[0].address"]);
    for key in keys {
        let line = said.lines().find(|line| line.contains(key)).unwrap_or_else(|| panic!("{key} is not named:\n{said}"));
        let place = line.strip_prefix(setup.path("countersign.toml").to_str().unwrap()).and_then(|rest| rest.strip_prefix(':'));
        let number = place.and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
        let number = number.unwrap_or_else(|| panic!("no line in: {line}"));
        let named = key.rsplit('.').next().unwrap().trim_end_matches("[0]");
        let text = setup.config();
        assert!(text.lines().nth(number - 1).unwrap().contains(named), "line {number} is not about {key}: {line}");
    }
    for (file, what) in [("policy.toml:4", "idd"), ("orders.pem", "credentials.file.chain"), ("roots.pem", "trust[0].file")] {
        assert!(said.lines().any(|line| line.contains(file) && line.contains(what)), "{file}, {what}:\n{said}");
    }
}

#[tokio::test]
async fn one_malformed_file_is_enough() {
    let files = [
        ("policy.toml", POLICY),
        ("orders.pem", "-----BEGIN CERTIFICATE-----\n"),
        ("orders-key.pem", "no key\n"),
        ("roots.pem", ""),
        ("countersign.toml", "[inbound\n"),
    ];
    for (file, text) in files {
        let mut setup = Setup::new();
        replace(&setup.path(file), text);
        let said = if file == "countersign.toml" { exit(&setup, "run", &setup.path(file)).await } else { refused(&mut setup).await };
        assert!(said.contains(file), "{file}:\n{said}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_ours_is_named() {
    let mut setup = Setup::new();
    setup.cert(BOB).write(setup.dir.path(), "orders");
    let said = refused(&mut setup).await;
    assert!(said.contains("orders.pem") && said.contains(BOB), "{said}");
}

/// `run` refuses it with exit code 2, and leaves nothing behind; `check` says the same.
async fn refused(setup: &mut Setup) -> String {
    // Taken by us: whoever tries to listen there fails with another exit code.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    setup.set("inbound.listen", &format!("'{}'", taken.local_addr().unwrap()));
    let config = setup.write_config();
    let said = exit(setup, "run", &config).await;
    assert_eq!(exit(setup, "check", &config).await, said);
    said
}

async fn exit(setup: &Setup, command: &str, config: &Path) -> String {
    let (code, said) = run(&[command, "--config", config.to_str().unwrap()], setup.dir.path()).await;
    assert_eq!(code, 2, "{said}");
    for left in ["decisions", "control.sock"] {
        assert!(!setup.path(left).exists(), "{left} was made:\n{said}");
    }
    said
}

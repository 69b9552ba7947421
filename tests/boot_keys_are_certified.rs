//! The key that signs the log's checkpoints is certified once a start, by a key that outlives starts; where that cannot be asked, the log begins without.

use crate::support::sidecar::run;
use crate::support::{App, Setup, Sidecar};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use countersign::audit::verify::Holder;
use countersign::runtime::signer::{DigestSigner as _, FileSigner, PublicKey};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A key of P-256 in PEM.
fn key_file(setup: &Setup) -> PathBuf {
    let path = setup.path("audit-key.pem");
    std::fs::write(&path, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

async fn certified(sidecar: &Sidecar) -> Value {
    sidecar.record("a checkpoint with a certificate", |record| record["kind"] == "checkpoint" && record["certificate"].is_object()).await
}

/// The certificate is of this boot, workload, task and key, and by that signer.
fn verify(checkpoint: &Value, signer: &PublicKey, task: Option<&str>) {
    let certificate = &checkpoint["certificate"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let holder = Holder {
        boot: text(&checkpoint["boot"]),
        workload: text(&certificate["workload"]),
        task: certificate["task"].as_str().map(str::to_owned),
        key: text(&checkpoint["key"]),
    };
    assert_eq!((holder.task.as_deref(), text(&certificate["signer"])), (task, signer.fingerprint()));
    let signature = BASE64_STANDARD.decode(text(&certificate["signature"])).unwrap();
    signer.verified(&holder.digest(&text(&certificate["time"])), signature).unwrap();
}

#[tokio::test]
async fn by_a_key_in_a_file() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let path = key_file(&setup);
    setup.set("audit.signing.key_file", &format!("'{}'", path.display())).set("workload.labels.task", "'t-1'");
    let sidecar = setup.start(&app).await;
    let checkpoint = certified(&sidecar).await;
    let signer = FileSigner::read(&path).unwrap();
    verify(&checkpoint, &signer.public_key().await.unwrap(), Some("t-1"));
    assert_eq!(checkpoint["certificate"]["workload"], sidecar.record("the boot", |record| record["kind"] == "boot").await["workload"]);
}

#[tokio::test]
async fn a_key_file_that_is_none_ends_the_start() {
    let mut setup = Setup::new();
    let path = key_file(&setup);
    setup.set("audit.signing.key_file", &format!("'{}'", path.display()));
    let config = setup.write_config();
    let faults: [(&str, &dyn Fn()); 2] = [
        ("can be read by others (mode 644)", &|| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap()),
        ("cannot be read", &|| std::fs::remove_file(&path).unwrap()),
    ];
    for (wanted, make) in faults {
        make();
        for command in ["run", "check"] {
            let (code, said) = run(&[command, "--config", config.to_str().unwrap()], setup.dir.path()).await;
            assert!(code == 2 && said.contains(wanted) && said.contains("audit-key.pem"), "{command} {code}: {said}");
        }
    }
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn by_kms_once_it_answers() {
    use crate::support::aws::{Aws, double_of};
    use crate::support::eventually;
    use countersign::aws::KmsSigner;
    use countersign::runtime::key_arn::KeyArn;
    use serde_json::json;

    let (aws, app, mut setup) = (Aws::start().await, App::start().await, Setup::new());
    let arn = aws.key("ECC_NIST_P256").await;
    aws.lead(&mut setup);
    setup.set("audit.signing.kms_key", &format!("'{arn}'"));
    aws.turn(json!({ "refuse": { "Sign": { "name": "AccessDeniedException", "message": "as ordered", "times": 1 } } })).await;
    let sidecar = setup.start(&app).await;
    let line = sidecar.log_line("checkpoints is not certified").await;
    assert!(line.contains("kms:Sign"), "{line}");
    let signer = KmsSigner::new(double_of(&aws).await, KeyArn::parse(&arn).unwrap());
    verify(&certified(&sidecar).await, &signer.public_key().await.unwrap(), None);
    eventually("no note", async || sidecar.status().await?["notes"]["audit_signing"].is_null().then_some(())).await;
}

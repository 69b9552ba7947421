//! Where a container platform says that this is production, no development root is believed, unless someone insists.

use crate::support::client::is_taken;
use crate::support::setup::replace;
use crate::support::sidecar::run_with;
use crate::support::{ALICE, App, Peer, Setup, Sidecar};
use countersign::testing::pki::{LeafOptions, TestCa};

/// What a platform sets.
const PRODUCTION: [&str; 4] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "ECS_CONTAINER_METADATA_URI_V4",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// A sidecar whose roots file holds a development root.
fn with_development_root() -> Setup {
    let mut setup = Setup::new();
    setup.ca = TestCa::development("test.example");
    setup.ca.write_root(setup.dir.path(), "roots.pem");
    setup.own_certificate(&LeafOptions::id(crate::support::setup::ORDERS));
    setup
}

/// It does not start, and says which variable makes this production and what to do.
async fn refuses_to_start(setup: &mut Setup, variable: &str) {
    setup.in_front_of(([127, 0, 0, 1], 9).into()).env(variable, "/var/run/anything");
    let mut sidecar = Sidecar::spawn(setup);
    assert_eq!(sidecar.exit().await.code(), Some(2));
    let said = sidecar.log();
    assert!(said.contains(variable) && said.contains("--allow-development-roots"), "{said}");
    let config = setup.path("countersign.toml");
    let (code, said) = run_with(&["check", "--config", config.to_str().unwrap()], setup.dir.path(), &[(variable, "x")]).await;
    assert_eq!(code, 2, "`check` says so beforehand: {said}");
}

#[tokio::test]
async fn a_file_with_a_development_root_is_refused_on_each_platform() {
    for variable in PRODUCTION {
        refuses_to_start(&mut with_development_root(), variable).await;
    }
}

#[tokio::test]
async fn one_development_root_among_others_refuses_the_bundle() {
    let mut setup = Setup::new();
    let both = setup.ca.root_pem() + &TestCa::development("test.example").root_pem();
    std::fs::write(setup.path("roots.pem"), both).unwrap();
    refuses_to_start(&mut setup, PRODUCTION[0]).await;
}

#[tokio::test]
async fn the_development_source_is_refused() {
    let mut setup = Setup::new();
    setup.unset("credentials").set("credentials.source", "'dev'").without_tables().table("trust", "domain = 'test.example'");
    refuses_to_start(&mut setup, PRODUCTION[1]).await;
}

#[tokio::test]
async fn one_that_is_slipped_in_later_is_not_believed() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.env(PRODUCTION[0], "/var/run/anything");
    let sidecar = setup.start(&app).await;
    let slipped = TestCa::development("test.example");
    replace(&setup.path("roots.pem"), &(setup.ca.root_pem() + &slipped.root_pem()));
    sidecar.log_line("the trust bundles were not replaced").await;
    assert!(!is_taken(sidecar.inbound(), Some(&slipped.issue(ALICE))).await);
    assert!(is_taken(sidecar.inbound(), Some(&setup.cert(ALICE))).await, "the old bundle stays");
}

#[tokio::test]
async fn whoever_insists_is_served() {
    let app = App::start().await;
    let mut setup = with_development_root();
    setup.env(PRODUCTION[0], "/var/run/anything").argument("--allow-development-roots");
    let sidecar = setup.start(&app).await;
    assert_eq!(Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await.get("/").await.status, 200);
    sidecar.log_line("trusting a development CA").await;
}

#[tokio::test]
async fn a_laptop_is_served() {
    let app = App::start().await;
    let mut setup = with_development_root();
    // Set and empty is as good as not set; a laptop's own credentials say nothing.
    setup.env(PRODUCTION[0], "").env("AWS_PROFILE", "me").env("AWS_ACCESS_KEY_ID", "AKIA");
    let sidecar = setup.start(&app).await;
    assert_eq!(Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await.get("/").await.status, 200);
}

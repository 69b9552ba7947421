//! `countersign check --tasks N` says what a month of certificates costs, before anybody pays.

use crate::support::Setup;
use crate::support::sidecar::run;

#[tokio::test]
async fn from_validity_renewal_and_price() {
    let mut setup = Setup::new();
    let arn = "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/a";
    setup.unset("credentials").set("credentials.source", "'acm-pca'").set("credentials.acm_pca.authority", &format!("'{arn}'"));
    // 200 × 30 days / (24 h × 0.6); at most 48 a day.
    assert_eq!(
        forecast(&setup, "200").await,
        "forecast for 200 sidecars: 10000 certificates in 30 days, $580.00 at $0.058 each; each start adds one, and the ceilings allow $16704.00"
    );
    setup.set("credentials.acm_pca.validity", "'7d'").set("credentials.acm_pca.price_per_certificate", "0.75");
    setup.set("credentials.acm_pca.max_issues_per_day", "2").set("credentials.renew.after", "0.4");
    assert_eq!(
        forecast(&setup, "1").await,
        "forecast for 1 sidecar: 9 certificates in 30 days, $6.43 at $0.75 each; each start adds one, and the ceilings allow $45.00"
    );
}

#[tokio::test]
async fn nothing_where_nothing_is_paid_for() {
    assert_eq!(forecast(&Setup::new(), "200").await, "forecast: nothing is paid for with this credentials.source");
}

async fn forecast(setup: &Setup, tasks: &str) -> String {
    let config = setup.write_config();
    let (code, said) = run(&["check", "--config", config.to_str().unwrap(), "--tasks", tasks], setup.dir.path()).await;
    assert_eq!(code, 0, "{said}");
    said.lines().find(|line| line.starts_with("forecast")).unwrap().to_owned()
}

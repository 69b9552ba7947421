//! Status and metrics say which crypto module is in use, and whether it is a FIPS module.

use crate::support::{App, Setup};

#[tokio::test]
async fn it_is_the_one_of_the_build() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let fips = cfg!(feature = "fips");
    let said = sidecar.status().await.unwrap()["crypto"].as_str().unwrap().to_owned();
    assert!(said.starts_with("AWS-LC") && said.contains("no FIPS module") != fips, "{said}");
    let labels = ["module=\"AWS-LC\"", "version=\"", &format!("fips=\"{fips}\"")];
    assert_eq!(sidecar.metric("countersign_crypto_module_info", &labels).await, 1.0);
}

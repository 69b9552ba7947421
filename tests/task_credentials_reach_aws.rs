//! In a task, AWS is asked with the credentials that the platform gives the task.

use crate::support::aws::Aws;
use crate::support::{ALICE, App, Peer, Setup};

#[tokio::test]
async fn from_the_agent_beside_it() {
    let (aws, app, mut setup) = (Aws::start().await, App::start().await, Setup::new());
    let authority = aws.authority("task").await;
    aws.certify(&mut setup, &authority, "1h");
    // An empty variable is none.
    setup.env("AWS_ACCESS_KEY_ID", "").env("AWS_SECRET_ACCESS_KEY", "");
    setup.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &aws.task_credentials());
    let sidecar = setup.start(&app).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(peer.get("/").await.status, 200);
    assert_eq!((aws.calls("task").await, aws.issued().await), (1, 1));
}

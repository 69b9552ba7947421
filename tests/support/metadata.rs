//! The metadata endpoint of an ECS task, in the test's process.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The variable that says where it is.
pub const METADATA: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// A metadata endpoint that says this; `None`: it takes connections and is silent. Dropping it ends it.
pub struct Metadata {
    /// What the platform puts into [`METADATA`].
    pub url: String,
    /// What it answers.
    pub says: Arc<Mutex<Option<String>>>,
    /// The heads of the requests that came.
    pub asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Metadata {
    /// Listens on loopback.
    pub async fn start(says: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v4/abc", listener.local_addr().unwrap());
        let (says, asked) = (Arc::new(Mutex::new(says.map(str::to_owned))), Arc::<Mutex<Vec<String>>>::default());
        let (saying, noting) = (Arc::clone(&says), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap_or(b'\n'));
                }
                noting.lock().unwrap().push(String::from_utf8(head).unwrap());
                let answer = saying.lock().unwrap().clone();
                match answer {
                    Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                    None => drop(stream.read_u8().await),
                }
            }
        });
        Self { url, says, asked, task }
    }

    /// From now on it answers this.
    pub fn say(&self, says: &str) {
        *self.says.lock().unwrap() = Some(says.to_owned());
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// As the agent answers HTTP/1.0.
pub fn task(cluster: &str, family: &str) -> String {
    let body =
        format!(r#"{{"Cluster":"{cluster}","TaskARN":"arn:aws:ecs:r:1:task/c/t","Family":"{family}","Revision":"3","Containers":[]}}"#);
    format!("HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{body}")
}

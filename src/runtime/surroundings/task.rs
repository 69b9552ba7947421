//! What the metadata endpoint says of the ECS task (task metadata version 4).

use super::{Fact, Labels, Said, Unsaid, label, variable};
use serde_json::Value;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Where the endpoint is: the platform sets it, to an address on the link.
const VARIABLE: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// From a question to the end of its answer.
const ANSWER: Duration = Duration::from_millis(1_500);

/// Questions, and the pause between two: an endpoint that was just started may not know the task yet.
const QUESTIONS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);

/// Bytes of an answer; a container has about two thousand.
const LONGEST: u64 = 1 << 20;

pub(super) fn ask(fact: Fact) -> Result<Said, Unsaid> {
    let (by, task) = task()?;
    let value = match fact {
        // Its name, or its ARN, which ends with it.
        Fact::EcsCluster => task["Cluster"].as_str().and_then(|cluster| cluster.rsplit('/').next()),
        _ => task["Family"].as_str(),
    };
    let Some(value) = value.map(str::to_owned) else {
        return Err(Unsaid::Unreadable { source_name: by, problem: "does not say it".into() });
    };
    Ok(Said { by, value })
}

/// The task, its account, and where it runs.
pub(super) fn labels() -> Result<Labels, Unsaid> {
    let (_, task) = task()?;
    // arn:aws:ecs:eu-west-1:123456789012:task/cluster/158d1c8083dd49d6b527399fd6414f5c
    let arn = task["TaskARN"].as_str();
    let id = arn.and_then(|arn| arn.rsplit('/').next());
    let account = arn.and_then(|arn| arn.split(':').nth(4));
    Ok(label("task", id).chain(label("account", account)).chain(label("zone", task["AvailabilityZone"].as_str())).collect())
}

/// The answer to everything, and who gave it.
fn task() -> Result<(String, Value), Unsaid> {
    let base = variable(VARIABLE).ok_or(Unsaid::Elsewhere("this is no ECS task: ECS_CONTAINER_METADATA_URI_V4 is not set"))?;
    let by = format!("{}/task", base.trim_end_matches('/'));
    let unreadable = |problem: String| Unsaid::Unreadable { source_name: by.clone(), problem };
    let (address, path) = endpoint(&by).ok_or_else(|| unreadable("is no http URL with an IP address".into()))?;
    let task = patiently(address, &path).map_err(unreadable)?;
    Ok((by, task))
}

fn patiently(address: SocketAddr, path: &str) -> Result<Value, String> {
    let mut last = String::new();
    for question in 0..QUESTIONS {
        if question > 0 {
            pause();
        }
        match get(address, path).map(|body| serde_json::from_slice(&body)) {
            Ok(Ok(task)) => return Ok(task),
            Ok(Err(_)) => last = "answers no JSON".into(),
            Err(error) => last = format!("cannot be asked ({error})"),
        }
    }
    Err(last)
}

#[expect(clippy::disallowed_methods, reason = "the configuration is read before there is a shard, and again on a thread for what blocks")]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Without a runtime, which there is not yet; and without chunks, which HTTP/1.0 does not have.
fn get(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + ANSWER;
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece)? {
            0 => break,
            count => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
        if answer.len() as u64 > LONGEST {
            return Err(io::Error::other("its answer is too long"));
        }
    }
    body(&answer).map_err(io::Error::other)
}

/// The body of an answer with status 200.
fn body(answer: &[u8]) -> Result<Vec<u8>, String> {
    const END: &[u8] = b"\r\n\r\n";
    let at = answer.windows(END.len()).position(|window| window == END).ok_or("its answer has no end of the head")?;
    let (head, body) = answer.split_at(at);
    let line = String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    match line.split(' ').nth(1) {
        Some("200") if line.starts_with("HTTP/1.") => Ok(body.get(END.len()..).unwrap_or_default().to_vec()),
        Some(status) if line.starts_with("HTTP/1.") => Err(format!("it answers {}", status.chars().take(20).collect::<String>())),
        _ => Err("it answers no HTTP".into()),
    }
}

/// Address and path of an http URL.
fn endpoint(url: &str) -> Option<(SocketAddr, String)> {
    let uri: http::Uri = url.parse().ok()?;
    let (authority, path) = (uri.authority()?, uri.path_and_query()?.as_str());
    let host = authority.host();
    let address: IpAddr = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()?;
    (uri.scheme_str() == Some("http")).then(|| (SocketAddr::new(address, authority.port_u16().unwrap_or(80)), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_an_address() {
        let table = [
            ("http://169.254.170.2/v4/abc/task", Some(("169.254.170.2:80", "/v4/abc/task"))),
            ("http://[::1]:8/task", Some(("[::1]:8", "/task"))),
            ("http://metadata/task", None),
            ("https://169.254.170.2/task", None),
            ("/task", None),
        ];
        for (url, expected) in table {
            let expected = expected.map(|(address, path)| (address.parse().unwrap(), path.to_owned()));
            assert_eq!(endpoint(url), expected, "{url}");
        }
    }

    #[test]
    fn only_a_whole_answer_counts() {
        assert_eq!(body(b"HTTP/1.0 200 OK\r\na: b\r\n\r\n{}").unwrap(), b"{}");
        for (answer, problem) in [
            ("", "its answer has no end of the head"),
            ("HTTP/1.0 200 OK\r\n", "its answer has no end of the head"),
            ("HTTP/1.1 404 Not Found\r\n\r\n", "it answers 404"),
            ("SSH-2.0 200\r\n\r\n", "it answers no HTTP"),
        ] {
            assert_eq!(body(answer.as_bytes()).unwrap_err(), problem);
        }
    }
}

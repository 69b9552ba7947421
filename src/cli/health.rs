//! `countersign health`: asks the health port, for container health checks that have no curl.

use super::{ConfigSource, Outcome};
use crate::admin::client::{self, Answer, ClientError};
use crate::config;
use std::net::SocketAddr;

/// What `health` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: ConfigSource,
    /// Asks /ready, not /live
    #[arg(long)]
    ready: bool,
}

/// Asks and says what came back. Exit code 0 or 1, nothing else: that is what a health check understands.
///
/// A configuration with problems breaks nothing here: the running process read it before somebody changed it. The health port is then the one that
/// can still be read from it, or the default one.
pub fn run(args: &Args) -> Outcome {
    let survey = config::survey_source(&args.source.config);
    let address = survey.admin.health;
    if let Err(problems) = &survey.loaded {
        let first = problems.iter().next().map(ToString::to_string).unwrap_or_default();
        eprintln!("countersign: the configuration has problems, asking {address} all the same ({first})");
    }
    judge(address, client::get_tcp(address, if args.ready { "/ready" } else { "/live" }))
}

fn judge(address: SocketAddr, answer: Result<Answer, ClientError>) -> Outcome {
    match answer {
        Ok(answer) if answer.is_success() => {
            println!("{}", answer.body.trim());
            Outcome::Fine
        }
        Ok(answer) => {
            eprintln!("{}", answer.body.trim());
            Outcome::Findings
        }
        Err(_) if address.port() == 0 => {
            eprintln!("countersign: health.listen has port 0, so nobody knows which port the kernel chose; write one");
            Outcome::Findings
        }
        Err(error) => {
            eprintln!("countersign: {error}");
            Outcome::Findings
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// Answers one request.
    fn server(answer: &'static str) -> (SocketAddr, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 512];
            let count = stream.read(&mut head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&head[..count]).into_owned()
        });
        (address, thread)
    }

    fn ask(text: &str, ready: bool) -> Outcome {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        run(&Args { source: ConfigSource { config: file.path().display().to_string() }, ready })
    }

    #[test]
    fn a_broken_configuration_does_not_break_the_check() {
        let (address, thread) = server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nlive\n");
        let outcome = ask(&format!("nonsense = 1\n[health]\nlisten = \"{address}\"\n"), false);
        assert_eq!(outcome, Outcome::Fine);
        assert!(thread.join().unwrap().starts_with("GET /live HTTP/1.1\r\n"));
    }

    #[test]
    fn not_ready_and_nobody_there_are_findings() {
        let (address, thread) = server("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 8\r\n\r\npolicy:\n");
        assert_eq!(ask(&format!("[health]\nlisten = \"{address}\"\n"), true), Outcome::Findings);
        assert!(thread.join().unwrap().starts_with("GET /ready HTTP/1.1\r\n"));
        assert_eq!(ask(&format!("[health]\nlisten = \"{address}\"\n"), true), Outcome::Findings);
    }
}

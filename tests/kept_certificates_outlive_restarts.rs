//! A certificate that was kept, sealed, is used again after a restart: a crash loop has none issued. What is kept and of no use costs one more and no request.

use crate::support::aws::{Aws, life};
use crate::support::{App, Setup};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const ID: &str = "spiffe://test.example/orders";

fn write_key(path: &Path, digits: &str) {
    std::fs::write(path, digits.repeat(32)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

async fn keeping(aws: &Aws, app: &App) -> (Setup, PathBuf) {
    let mut setup = Setup::new();
    setup.in_front_of(app.address);
    write_key(&setup.path("sealing.key"), "7b");
    certify(aws, &mut setup, "kept").await;
    let file = setup.path("cache").join("certificate.sealed");
    (setup, file)
}

/// An authority of its own for certificates that are kept.
async fn certify(aws: &Aws, setup: &mut Setup, name: &str) {
    aws.certify(setup, &aws.authority(name).await, "1h");
    for (key, file) in [("dir", "cache"), ("sealing_key_file", "sealing.key")] {
        let path = setup.path(file);
        setup.set(&format!("credentials.cache.{key}"), &format!("'{}'", path.display()));
    }
}

#[tokio::test]
async fn a_crash_loop_has_one_issued() {
    let (aws, app) = (Aws::start().await, App::start().await);
    let (setup, file) = keeping(&aws, &app).await;
    let (serial, ..) = life(&setup).await;
    for _ in 0..3 {
        assert_eq!(life(&setup).await.0, serial);
    }
    assert_eq!(aws.issued().await, 1);
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.contains(ID) && !kept.contains("PRIVATE") && !kept.contains(&serial), "{kept}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Damaged, sealed under another key or for another workload, for other names, or no longer believed.
#[tokio::test]
async fn what_is_of_no_use_is_issued_anew() {
    let (aws, app) = (Aws::start().await, App::start().await);
    let (mut setup, file) = keeping(&aws, &app).await;
    let (mut serial, ..) = life(&setup).await;
    let mut issued = 1;
    for (what, words) in [
        ("damage", "it is no sealed file, or it is damaged"),
        ("another key", "sealed under another key"),
        ("another workload", "it was sealed for certificate of spiffe://test.example/elsewhere"),
        ("other names", "its DNS names are not those of [workload]"),
        ("another root", "is not used; another one is issued"),
    ] {
        match what {
            "damage" => std::fs::write(&file, &std::fs::read(&file).unwrap()[1..]).unwrap(),
            "another key" => write_key(&setup.path("sealing.key"), "7c"),
            "another workload" => {
                let kept = std::fs::read_to_string(&file).unwrap();
                std::fs::write(&file, kept.replace(ID, "spiffe://test.example/elsewhere")).unwrap();
            }
            "other names" => drop(setup.set("workload.dns_names", "['orders.test.example']")),
            _ => certify(&aws, &mut setup, "other").await,
        }
        issued += 1;
        let (next, log, _) = life(&setup).await;
        assert!(log.contains(words), "{what}: {log}");
        assert_ne!(next, serial, "{what}");
        assert_eq!((aws.issued().await, life(&setup).await.0), (issued, next.clone()), "{what}: and kept again");
        serial = next;
    }
}

/// A key that others can read, and a place that takes no file: the certificate serves, and what is wrong is told.
#[tokio::test]
async fn what_cannot_be_kept_is_told_of() {
    let (aws, app) = (Aws::start().await, App::start().await);
    let (setup, file) = keeping(&aws, &app).await;
    let key = setup.path("sealing.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (_, log, notes) = life(&setup).await;
    assert!(notes.contains("the certificate is not kept") && notes.contains("can be read by others (mode 644)"), "{notes}");
    assert!(log.contains("a restart has another one issued"), "{log}");

    write_key(&key, "7b");
    // Something else is where the file would be.
    std::fs::create_dir_all(file.join("something else")).unwrap();
    let (_, _, notes) = life(&setup).await;
    assert!(notes.contains("the certificate is not kept"), "{notes}");
}

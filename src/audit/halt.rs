//! A hook for tests: the writer stands still while a file exists.

#[cfg(feature = "testing")]
mod hook {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::time::Duration;

    /// Names the file; read once.
    const VARIABLE: &str = "COUNTERSIGN_TEST_HALT_WRITER";

    /// Returns once the file is gone.
    pub(crate) fn wait() {
        static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
        let Some(file) = FILE.get_or_init(|| std::env::var_os(VARIABLE).map(PathBuf::from)) else { return };
        while file.exists() {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

#[cfg(not(feature = "testing"))]
mod hook {
    pub(crate) fn wait() {}
}

pub(super) use hook::wait;

//! The process log: standard error only; standard output belongs to decision records.

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// How lines look.
    pub format: Format,
}

/// How lines of the process log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Readable on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

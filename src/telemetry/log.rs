//! The process log: standard error only; standard output belongs to decision records.

use std::io::IsTerminal;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// The levels, from quiet to loud.
pub const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug` or `trace`. Reloadable.
    pub level: String,
    /// How lines look.
    pub format: Format,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: "info".into(), format: Format::Auto }
    }
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

/// Why the log cannot do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The level is none of [`LEVELS`]; the one before stays.
    #[error("`{0}` is no level; write error, warn, info, debug or trace")]
    UnknownLevel(String),
    /// A process has one log, and it is there already.
    #[error("the process log is already installed")]
    Installed,
    /// The log that this handle belonged to is gone.
    #[error("the process log is gone")]
    Gone,
}

/// Changes the level of the running log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogLevel(reload::Handle<Targets, Registry>);

impl LogLevel {
    /// Changes the level, for every thread at once.
    ///
    /// # Errors
    /// [`LogError::UnknownLevel`], and [`LogError::Gone`] where there is no log any more.
    pub fn set(&self, level: &str) -> Result<(), LogError> {
        let filter = filter(level)?;
        self.0.reload(filter).map_err(|_| LogError::Gone)
    }
}

/// Installs the process log on standard error. Once per process.
///
/// # Errors
/// [`LogError::UnknownLevel`] and [`LogError::Installed`].
pub fn install(settings: &Settings) -> Result<LogLevel, LogError> {
    let terminal = std::io::stderr().is_terminal();
    let json = match settings.format {
        Format::Json => true,
        Format::Text => false,
        Format::Auto => !terminal,
    };
    let (filter, handle) = reload::Layer::new(filter(&settings.level)?);
    let lines = if json {
        fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false).with_writer(std::io::stderr).boxed()
    } else {
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        fmt::layer().with_ansi(colour).with_writer(std::io::stderr).boxed()
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|_| LogError::Installed)?;
    Ok(LogLevel(handle))
}

/// What passes at `level`. Libraries stay at `info` below `trace`: their `debug` is a line per HTTP/2 frame.
fn filter(level: &str) -> Result<Targets, LogError> {
    let unknown = || LogError::UnknownLevel(level.to_owned());
    if !LEVELS.contains(&level) {
        return Err(unknown());
    }
    let own: LevelFilter = level.parse().map_err(|_| unknown())?;
    let libraries = if own == LevelFilter::TRACE { own } else { own.min(LevelFilter::INFO) };
    Ok(Targets::new().with_default(libraries).with_target("countersign", own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn libraries_are_quieter_than_we_are() {
        let table = [
            ("error", "countersign::proxy", Level::WARN, false),
            ("info", "countersign::proxy", Level::INFO, true),
            ("info", "h2", Level::INFO, true),
            ("debug", "countersign::proxy", Level::DEBUG, true),
            ("debug", "h2", Level::DEBUG, false),
            ("trace", "h2", Level::TRACE, true),
        ];
        for (level, target, line, passes) in table {
            assert_eq!(filter(level).unwrap().would_enable(target, &line), passes, "{level} {target} {line}");
        }
    }

    #[test]
    fn an_unknown_level_is_refused() {
        for level in ["", "off", "INFO", "3", "verbose"] {
            assert_eq!(filter(level).unwrap_err(), LogError::UnknownLevel(level.to_owned()));
        }
    }

    #[test]
    fn the_level_changes_while_running() {
        let (layer, handle) = reload::Layer::new(filter("info").unwrap());
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let level = LogLevel(handle);
        assert!(!tracing::enabled!(target: "countersign", Level::DEBUG));
        level.set("debug").unwrap();
        assert!(tracing::enabled!(target: "countersign", Level::DEBUG));
        assert!(level.set("loud").is_err());
        assert!(tracing::enabled!(target: "countersign", Level::DEBUG));
    }
}

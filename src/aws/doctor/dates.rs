//! AWS's clock, as the `Date` of its answers tells it.

use aws_sdk_acmpca::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_acmpca::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_acmpca::primitives::{DateTime, DateTimeFormat};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use time::OffsetDateTime;

/// The first answer's `Date`, and when it came by our clock.
#[derive(Debug, Clone, Default)]
pub struct Dates(Arc<Mutex<Option<(SystemTime, SystemTime)>>>);

impl Dates {
    /// How many seconds AWS's clock is ahead of ours; negative: behind. `None` while there was no answer with a date.
    pub fn ahead(&self) -> Option<i64> {
        let (theirs, ours) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let (theirs, ours) = (OffsetDateTime::from(theirs), OffsetDateTime::from(ours));
        Some((theirs - ours).whole_seconds())
    }

    fn saw(&self, date: &str, ours: SystemTime) {
        let date = DateTime::from_str(date, DateTimeFormat::HttpDate).ok();
        let Some(theirs) = date.and_then(|date| SystemTime::try_from(date).ok()) else { return };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((theirs, ours));
    }
}

impl Intercept for Dates {
    fn name(&self) -> &'static str {
        "dates of answers"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let ours = components.time_source().map_or_else(SystemTime::now, |source| source.now());
        if let Some(date) = context.response().headers().get("date") {
            self.saw(date, ours);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_date_counts() {
        let dates = Dates::default();
        assert_eq!(dates.ahead(), None);
        let ours = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        dates.saw("yesterday", ours);
        assert_eq!(dates.ahead(), None);
        dates.saw("Sun, 06 Nov 1994 08:59:37 GMT", ours);
        dates.saw("Sun, 06 Nov 1994 08:49:37 GMT", ours);
        assert_eq!(dates.ahead(), Some(600));
        let behind = Dates::default();
        behind.saw("Sun, 06 Nov 1994 08:49:36 GMT", ours);
        assert_eq!(behind.ahead(), Some(-1));
    }
}

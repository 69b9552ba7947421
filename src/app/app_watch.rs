//! What is watched of the app beside us: whether it is private, and whether it is well.

use super::Addresses;
use crate::proxy::{App, AppCheck, AppCheckWatch, Inbound};
use crate::runtime::drain::Drain;
use crate::runtime::exposure::{Exposure, ExposureWatch};
use crate::runtime::readiness::Readiness;
use crate::runtime::tasks::spawn;
use serde_json::{Value, json};

/// Both watches, as far as they are of use. Cheap to clone.
#[derive(Clone)]
pub struct AppWatch {
    exposure: Option<ExposureWatch>,
    check: Option<AppCheckWatch>,
}

impl AppWatch {
    /// What `inbound` asks for. An app on a Unix socket is out of the network's reach; who may open the socket's file is the operator's choice, and in
    /// containers often everybody.
    pub fn new(inbound: Option<&Inbound>, addresses: &Addresses, readiness: &Readiness) -> Self {
        let own = [addresses.inbound, addresses.outbound].into_iter().flatten().collect();
        let exposure = inbound.and_then(|inbound| match inbound.app {
            App::Tcp(app) => Some(ExposureWatch::new(app, own, inbound.private_app, readiness.clone())),
            App::Unix(_) => None,
        });
        let check = inbound.and_then(|inbound| {
            let path = inbound.app_check.clone()?;
            Some(AppCheckWatch::new(AppCheck { app: inbound.app.clone(), protocol: inbound.app_protocol, path }, readiness.clone()))
        });
        Self { exposure, check }
    }

    /// Begins both on the current runtime, the control runtime.
    pub fn run(&self, drain: &Drain) {
        if let Some(exposure) = self.exposure.clone() {
            spawn("exposure", exposure.run());
        }
        if let Some(check) = self.check.clone() {
            let drain = drain.clone();
            spawn("app check", check.run(move || drain.requested()));
        }
    }

    /// For `countersign status`; `exposed` is null where it is not known, `well` where nothing is asked.
    pub fn status(&self) -> Value {
        let (exposed, listening) = match self.exposure.as_ref().and_then(ExposureWatch::last) {
            Some(Exposure::Exposed(addresses)) => (Some(true), addresses.iter().map(ToString::to_string).collect()),
            Some(Exposure::Private | Exposure::Absent) => (Some(false), Vec::new()),
            Some(Exposure::Unknown(_)) | None => (None, Vec::new()),
        };
        let check = self.check.as_ref().and_then(AppCheckWatch::last);
        json!({ "exposed": exposed, "listening": listening, "well": check.map(|check| check.is_ok()) })
    }
}

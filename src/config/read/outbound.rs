//! `[outbound]`.

use crate::config::keys::Keys;
use crate::proxy::Outbound;

pub(super) fn read(root: &Keys<'_>) -> Option<Outbound> {
    let keys = root.table_if_present("outbound")?;
    let default = Outbound::default();
    let listen = keys.or("listen", default.listen);
    let allow_remote = keys.or("allow_remote", false);
    let protocol = keys.or("protocol", default.protocol);
    if !allow_remote && !listen.ip().to_canonical().is_loopback() {
        let instead = format!(
            "write \"127.0.0.1:{}\", or allow_remote = true: whoever reaches it then speaks in this workload's name",
            listen.port()
        );
        keys.problem("listen", "is not loopback", instead);
    }
    keys.close();
    Some(Outbound { listen, protocol, strictness: default.strictness })
}

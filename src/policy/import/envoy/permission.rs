//! What is asked for.

use super::super::expr::Expr;
use super::super::fields::At;
use super::super::terms;
use super::text::Reading;

impl Reading<'_> {
    pub(super) fn permission(&self, at: &At<'_>) -> Expr {
        let Some((kind, inner)) = self.only(at) else { return Expr::Gap };
        match kind.as_str() {
            "and_rules" => Expr::all(self.inside(&inner, "rules", Self::permission)),
            "or_rules" => Expr::any(self.inside(&inner, "rules", Self::permission)),
            "not_rule" => self.permission(&inner).not(),
            "any" => self.any(&inner),
            "header" => self.header(&inner),
            "url_path" => self.url_path(&inner),
            "destination_port" => {
                let number = inner.node.number();
                self.said(&inner, number.map(|number| number.to_string()).as_deref(), terms::port(number))
            }
            "destination_ip" => self.gap(&inner, "is about the address that the caller wanted", "write hosts or ports"),
            "destination_port_range" => self.gap(&inner, "is a range of ports", "list the ports of the listeners that are meant"),
            "requested_server_name" => self.gap(&inner, "is about the name in the handshake", "write hosts, which the request names"),
            "uri_template" => self.gap(&inner, "is a matcher of its own", "write it as paths, where {name} is one segment"),
            "metadata" | "sourced_metadata" => self.gap(&inner, "is about what a filter of Envoy left", "decide it in the app"),
            "matcher" => self.gap(&inner, "is an extension of Envoy", "write what it stands for by hand"),
            _ => self.unknown(&inner),
        }
    }
}

//! Who asks.

use super::super::expr::Expr;
use super::super::fields::At;
use super::super::terms::{self, Said, Text};
use super::text::Reading;

impl Reading<'_> {
    pub(super) fn principal(&self, at: &At<'_>) -> Expr {
        const REMOTE: &str = "write when.source_ip where the TCP peer is meant; what x-forwarded-for says is never decided on";
        let Some((kind, inner)) = self.only(at) else { return Expr::Gap };
        match kind.as_str() {
            "and_ids" => Expr::all(self.inside(&inner, "ids", Self::principal)),
            "or_ids" => Expr::any(self.inside(&inner, "ids", Self::principal)),
            "not_id" => self.principal(&inner).not(),
            "any" => self.any(&inner),
            "authenticated" => self.authenticated(&inner),
            "source_ip" | "direct_remote_ip" => self.network(&inner),
            "header" => self.header(&inner),
            "url_path" => self.url_path(&inner),
            "remote_ip" => self.gap(&inner, "is about an address that a header may name", REMOTE),
            "metadata" | "sourced_metadata" | "filter_state" => {
                self.gap(&inner, "is about what a filter of Envoy left", "decide it in the app; claims of tokens are [rule.claims]")
            }
            "custom" | "mtls_authenticated" => self.gap(&inner, "is an extension of Envoy", "write what it stands for by hand"),
            _ => self.unknown(&inner),
        }
    }

    /// Everybody here has a certificate.
    fn authenticated(&self, at: &At<'_>) -> Expr {
        let Some(fields) = at.fields(self.findings) else { return Expr::Gap };
        let name = fields.take_either("principal_name");
        fields.close();
        let Some(name) = name else { return Expr::ALWAYS };
        let Some((at, text)) = self.text(&name) else { return Expr::Gap };
        let said = principal(text);
        self.said(&at, at.node.string(), said)
    }

    fn network(&self, at: &At<'_>) -> Expr {
        let Some(fields) = at.fields(self.findings) else { return Expr::Gap };
        let prefix = fields.take_either("address_prefix");
        let address = prefix.as_ref().and_then(|prefix| prefix.string(self.findings));
        let len = fields.take_either("prefix_len");
        fields.close();
        let (Some(prefix), Some(address)) = (&prefix, address) else {
            self.findings.problem(at.position(), "has no address_prefix", "write address_prefix and prefix_len");
            return Expr::Gap;
        };
        // Without a length it is zero, which is every address.
        let number = len.as_ref().map_or(Some(0), |len| len.node.number());
        let Some(number) = number else {
            self.findings.problem(at.position(), "has a prefix_len that is no number", "write 0 to 32, or to 128");
            return Expr::Gap;
        };
        self.said(prefix, Some(address), terms::network(address, Some(&number.to_string())))
    }
}

/// A URI of the certificate, or a DNS name of one without.
fn principal(text: Text<'_>) -> Said {
    match text {
        Text::Exact(name) if !name.contains("://") => terms::dns(name),
        other => terms::spiffe(other),
    }
}

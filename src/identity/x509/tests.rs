use super::*;

/// The test PKI lives behind the feature; the binary of these tests always has it.
#[cfg(feature = "testing")]
mod with_pki {
    use super::*;
    use crate::testing::pki::{LeafOptions, TestCa};

    const ID: &str = "spiffe://a.example/sa/web";

    fn leaf(options: &LeafOptions) -> Result<Leaf, LeafError> {
        Leaf::parse(&TestCa::new("a.example").issue_with(options).chain[0])
    }

    #[test]
    fn facts_come_from_the_der() {
        let ca = TestCa::new("a.example");
        let cert = ca.issue_with(&LeafOptions { dns_names: vec!["Web.example".into()], ..LeafOptions::id(ID) });
        let leaf = Leaf::parse(&cert.chain[0]).unwrap();
        assert_eq!(leaf.spiffe_id().unwrap().unwrap().as_str(), ID);
        assert_eq!(leaf.dns_names, ["web.example"]);
        assert_eq!(leaf.issuer, "CN=test root a.example");
        assert_eq!(leaf.fingerprint.len(), 64);
        assert!(!leaf.is_ca && !leaf.is_development);
        assert!(!leaf.serial.starts_with("00") && !leaf.serial.is_empty());
        assert!(Leaf::parse(&ca.root_der()).unwrap().is_ca);
        assert!(Leaf::parse(&TestCa::development("d").root_der()).unwrap().is_development);
    }

    #[test]
    fn a_common_name_is_no_identity() {
        assert_eq!(leaf(&LeafOptions::nobody()).unwrap().spiffe_id(), Ok(None));
    }

    #[test]
    fn two_uri_sans_are_no_identity() {
        let options = LeafOptions { uris: vec![ID.into(), ID.into()], ..LeafOptions::nobody() };
        assert_eq!(leaf(&options).unwrap().spiffe_id(), Err(UriError::Several(2)));
    }

    #[test]
    fn a_foreign_uri_never_falls_back_to_dns() {
        let options = LeafOptions { uris: vec!["https://a.example/".into()], ..LeafOptions::dns("a.example") };
        assert_eq!(leaf(&options).unwrap().spiffe_id(), Err(UriError::NotSpiffe(SpiffeIdError::Scheme)));
    }

    #[test]
    fn nul_and_other_bytes_in_a_name_are_refused() {
        for (tag, bytes) in
            [(6, &b"spiffe://a.example/sa/web\0x"[..]), (6, b"spiffe://a.example/\xc3\xa9"), (2, b"a.example\0.b"), (2, b"\xff")]
        {
            let options = LeafOptions { raw_names: vec![(tag, bytes.to_vec())], ..LeafOptions::nobody() };
            assert_eq!(leaf(&options), Err(LeafError::AlternativeName), "{bytes:?}");
        }
    }

    #[test]
    fn bytes_after_the_certificate_are_refused() {
        let mut der = TestCa::new("a.example").issue(ID).chain[0].to_vec();
        der.push(0);
        assert_eq!(Leaf::parse(&der), Err(LeafError::Encoding));
    }
}

#[test]
fn serials_lose_leading_zeros_only() {
    assert_eq!(serial(&[0, 0x0a, 0]), "0a00");
    assert_eq!(serial(&[0]), "00");
    assert_eq!(serial(&[]), "");
}

#[test]
fn arbitrary_bytes_are_refused_without_a_panic() {
    for bytes in [&b""[..], b"\x30", b"\x30\x82\xff\xff", &[0x30; 64]] {
        assert_eq!(Leaf::parse(bytes), Err(LeafError::Encoding));
    }
}

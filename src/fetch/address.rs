//! Addresses that nothing is fetched from, whoever's name leads there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why nothing is fetched from an address; `None`: it may be.
///
/// Loopback is allowed: a mirror may run beside us, and whoever lets a name of theirs lead there gets one GET whose path the operator wrote and whose answer
/// they never see.
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| v6(address), v4),
    }
}

fn v4(address: Ipv4Addr) -> Option<&'static str> {
    match () {
        // 169.254.169.254 and 169.254.170.2 are in here: the metadata of machines and tasks, with their credentials.
        () if address.is_link_local() => Some("is link-local, where metadata services are"),
        () if address.is_unspecified() || address.is_multicast() || address.is_broadcast() => Some("is nobody's"),
        () => None,
    }
}

fn v6(address: Ipv6Addr) -> Option<&'static str> {
    // Where AWS keeps on IPv6 what it keeps in 169.254.0.0/16 on IPv4: fd00:ec2::254, fd00:ec2::23.
    const AWS: [u16; 2] = [0xfd00, 0x0ec2];
    match address.segments() {
        segments if segments[..2] == AWS => Some("is a metadata service's"),
        _ if address.is_unicast_link_local() => Some("is link-local, where metadata services are"),
        _ if address.is_unspecified() || address.is_multicast() => Some("is nobody's"),
        _ => None,
    }
}

/// The IPv4 address that the network makes of an IPv6 one: mapped and compatible (RFC 4291, section 2.5.5), NAT64 (RFC 6052, section 2.1), 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let at = |offset: usize| octets.get(offset..offset + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()).map(Ipv4Addr::from);
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => at(12),
        [0x2002, ..] => at(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_refused_in_every_spelling() {
        let refused = [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.0.0",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "0.0.0.0",
            "::",
            "::ffff:0.0.0.0",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ];
        for text in refused {
            assert!(refusal(text.parse().unwrap()).is_some(), "{text}");
        }
        for text in
            ["127.0.0.1", "::1", "10.0.0.1", "169.253.0.1", "::ffff:10.0.0.1", "fd00:ec3::254", "fec0::1", "2001:db8::1", "52.216.0.1"]
        {
            assert_eq!(refusal(text.parse().unwrap()), None, "{text}");
        }
    }
}

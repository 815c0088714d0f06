//! Where a visitor comes from, as far as it can be known.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// What one customer of a provider usually has, so that a new address in it is not a new visitor.
const NETWORK_V4: u8 = 24;
const NETWORK_V6: u8 = 56;

/// The network of the visitor.
pub fn network_of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpNet> {
    address_of(peer, headers, trusted).and_then(network)
}

/// The visitor's address: the peer, or where that is a trusted proxy, the last address in `X-Forwarded-For` that is
/// none. `None` where the proxy does not say.
pub fn address_of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_proxy = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let peer = peer.to_canonical();
    if !is_proxy(&peer) {
        return Some(peer);
    }
    let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let told: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    // From the right: what stands further left was written by whoever came first, and may be invented.
    let read = told.iter().rev().map_while(|text| text.parse::<IpAddr>().ok()).map(|address| address.to_canonical());
    read.into_iter().find(|address| !is_proxy(address))
}

fn network(address: IpAddr) -> Option<IpNet> {
    let length = if address.is_ipv4() { NETWORK_V4 } else { NETWORK_V6 };
    IpNet::new(address, length).ok().map(|network| network.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_about_who_came_to_it() {
        let trusted: Vec<IpNet> = ["127.0.0.0/8", "::1/128", "10.0.0.0/8"].map(|net| net.parse().unwrap()).to_vec();
        let table = [
            ("203.0.113.9", "", Some("203.0.113.0/24")),
            ("203.0.113.9", "192.0.2.1", Some("203.0.113.0/24")),
            ("127.0.0.1", "192.0.2.1", Some("192.0.2.0/24")),
            ("::ffff:127.0.0.1", "192.0.2.1", Some("192.0.2.0/24")),
            ("127.0.0.1", "198.51.100.7, 192.0.2.1", Some("192.0.2.0/24")),
            ("127.0.0.1", "192.0.2.1, 10.1.2.3", Some("192.0.2.0/24")),
            ("127.0.0.1", "2001:db8:1:2ff::7", Some("2001:db8:1:200::/56")),
            ("127.0.0.1", "::ffff:192.0.2.1", Some("192.0.2.0/24")),
            ("127.0.0.1", "192.0.2.1, unknown", None),
            ("127.0.0.1", "", None),
        ];
        for (peer, told, expected) in table {
            let mut headers = HeaderMap::new();
            if !told.is_empty() {
                headers.insert("x-forwarded-for", told.parse().unwrap());
            }
            let expected = expected.map(|network| network.parse().unwrap());
            assert_eq!(network_of(peer.parse().unwrap(), &headers, &trusted), expected, "{peer} {told}");
        }
    }
}

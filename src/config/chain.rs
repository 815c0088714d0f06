//! Where an unsubscribe may be passed on to: which addresses of mailers, which machines behind them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

use super::settings::ChainSettings;

/// Longer is no link that anybody made.
const LONGEST: usize = 4096;

/// One address of a mailer that may be asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    pub port: u16,
    pub encrypted: bool,
    /// Path and query.
    pub path: String,
}

/// The path tells who somebody is.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Why an address is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTarget {
    NoAddress,
    NotHttps,
    /// A login, or a port of something else.
    Unusual,
    HostNotAllowed,
}

impl fmt::Display for NoTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoTarget::NoAddress => "not a web address",
            NoTarget::NotHttps => "not https",
            NoTarget::Unusual => "a login or an unusual port in it",
            NoTarget::HostNotAllowed => "its host is not among chain.hosts",
        })
    }
}

impl std::error::Error for NoTarget {}

impl Target {
    /// https on its own port to a host that is allowed; on loopback, where tests are, http and any port.
    pub fn read(address: &str, chain: &ChainSettings) -> Result<Target, NoTarget> {
        let url = Url::parse(address).ok().filter(|_| address.len() <= LONGEST).ok_or(NoTarget::NoAddress)?;
        let host = url.host().ok_or(NoTarget::NoAddress)?;
        let loopback = match host {
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
            Host::Domain(_) => false,
        };
        let encrypted = match url.scheme() {
            "https" => true,
            "http" if loopback => false,
            "http" => return Err(NoTarget::NotHttps),
            _ => return Err(NoTarget::NoAddress),
        };
        let port = url.port_or_known_default().ok_or(NoTarget::NoAddress)?;
        if !url.username().is_empty() || url.password().is_some() || (port != 443 && !loopback) {
            return Err(NoTarget::Unusual);
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if !chain.allows(&host) {
            return Err(NoTarget::HostNotAllowed);
        }
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        Ok(Target { host, port, encrypted, path: format!("{}{query}", url.path()) })
    }
}

impl ChainSettings {
    /// Whether this machine may be connected to: one of the public internet, or of a network that was named. A name
    /// that leads into our own network is an attack, or somebody's mistake.
    pub fn reaches(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_public(ip) || self.networks.iter().any(|network| network.contains(&ip))
    }
}

/// Not of the special-purpose registries (RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => {
            let [first, second, .., seventh, eighth] = ip.segments();
            let [third, ..] = [ip.segments()[2]];
            let embedded = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
            match (first, second) {
                (0x64, 0xff9b) => is_public_v4(embedded(seventh, eighth)), // NAT64
                (0x2002, _) => is_public_v4(embedded(second, third)),      // 6to4
                (0x2001, 0x0db8 | 0..=0x01ff) => false,                    // documentation; Teredo and others
                _ => (0x2000..0x4000).contains(&first),                    // global unicast is 2000::/3
            }
        }
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || matches!((a, b, c), (0 | 224.., ..) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18 | 19, _));
    !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(networks: &[&str]) -> ChainSettings {
        ChainSettings {
            hosts: ["links.mailer.example", "*.other.example", "127.0.0.1"].map(str::to_owned).into(),
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            ..ChainSettings::default()
        }
    }

    #[test]
    fn only_https_to_a_host_that_was_named_is_a_target() {
        let table = [
            ("https://links.mailer.example/u?a=b", Ok("/u?a=b")),
            ("https://LINKS.mailer.example", Ok("/")),
            ("https://links.mailer.example:443/u", Ok("/u")),
            ("https://a.b.other.example/u", Ok("/u")),
            ("http://127.0.0.1:8080/u", Ok("/u")),
            ("https://other.example/u", Err(NoTarget::HostNotAllowed)),
            ("https://xother.example/u", Err(NoTarget::HostNotAllowed)),
            ("https://mailer.example/u", Err(NoTarget::HostNotAllowed)),
            ("https://links.mailer.example.evil.example/u", Err(NoTarget::HostNotAllowed)),
            ("https://links.mailer.example@evil.example/u", Err(NoTarget::Unusual)),
            ("https://evil.example\\@links.mailer.example/u", Err(NoTarget::HostNotAllowed)),
            ("https://links.mailer.example:25/u", Err(NoTarget::Unusual)),
            ("http://links.mailer.example/u", Err(NoTarget::NotHttps)),
            ("ftp://links.mailer.example/u", Err(NoTarget::NoAddress)),
            ("mailto:out@links.mailer.example", Err(NoTarget::NoAddress)),
            ("https://", Err(NoTarget::NoAddress)),
        ];
        for (address, expected) in table {
            let read = Target::read(address, &chain(&[]));
            assert_eq!(read.as_ref().map(|target| target.path.as_str()).map_err(|error| *error), expected, "{address}");
        }
    }

    #[test]
    fn only_machines_of_the_public_internet_are_reached() {
        let table = [
            ("93.184.216.34", true),
            ("2606:2800:220:1::1", true),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("198.18.0.1", false),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fc00::1", false),
            ("ff02::1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:93.184.216.34", true),
            ("64:ff9b::a00:1", false),
            ("64:ff9b::5db8:d822", true),
            ("2002:a00:1::1", false),
            ("2001:db8::1", false),
        ];
        for (ip, expected) in table {
            assert_eq!(chain(&[]).reaches(ip.parse().unwrap()), expected, "{ip}");
        }
        assert!(chain(&["10.0.0.0/8"]).reaches("10.1.2.3".parse().unwrap()));
        assert!(chain(&["10.0.0.0/8"]).reaches("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!chain(&["10.0.0.0/8"]).reaches("192.168.1.1".parse().unwrap()));
    }
}

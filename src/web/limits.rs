//! How often mail is asked for: for one address, from one network, and by everybody.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

/// So many within so long.
#[derive(Clone, Copy, Debug)]
struct Window {
    most: usize,
    within: SignedDuration,
}

const fn at_most(most: usize, within: SignedDuration) -> Window {
    Window { most, within }
}

/// How much of one kind of mail may be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    for_an_address: &'static [Window],
    from_a_network: &'static [Window],
    by_everybody: &'static [Window],
}

/// Nobody's mailbox is filled by strangers, and a code cannot be guessed by asking for many. A network may be an office.
pub const CODES: Measure = Measure {
    for_an_address: &[at_most(3, SignedDuration::from_mins(15)), at_most(10, SignedDuration::from_hours(24))],
    from_a_network: &[at_most(20, SignedDuration::from_hours(1))],
    by_everybody: BY_EVERYBODY,
};

/// Who signs up means it once; what fills mailboxes signs somebody up everywhere, so all forms count together.
pub const SIGN_UPS: Measure = Measure {
    for_an_address: &[at_most(3, SignedDuration::from_hours(24))],
    from_a_network: &[at_most(20, SignedDuration::from_hours(1)), at_most(100, SignedDuration::from_hours(24))],
    by_everybody: BY_EVERYBODY,
};

/// Bounds memory, and what upstream is asked to send.
const BY_EVERYBODY: &[Window] = &[at_most(1000, SignedDuration::from_hours(1))];

/// An address under a keyed hash.
pub type AddressMark = [u8; 16];

/// That no more is to be sent for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    pub wait: SignedDuration,
    /// Nothing but this address had enough.
    pub of_this_address: bool,
}

/// What was asked for lately.
pub struct Limits {
    measure: Measure,
    addresses: Times<AddressMark>,
    networks: Times<IpNet>,
    everybody: Times<()>,
}

impl Limits {
    pub fn new(measure: Measure) -> Limits {
        Limits { measure, addresses: Times::default(), networks: Times::default(), everybody: Times::default() }
    }

    /// Counts one more, or says how long to wait.
    pub fn take(&mut self, address: AddressMark, network: Option<IpNet>, now: Timestamp) -> Result<(), Full> {
        let Measure { for_an_address, from_a_network, by_everybody } = self.measure;
        let own = self.addresses.wait(&address, for_an_address, now);
        let others = [
            network.and_then(|network| self.networks.wait(&network, from_a_network, now)),
            self.everybody.wait(&(), by_everybody, now),
        ];
        let others = others.into_iter().flatten().max();
        if let Some(wait) = own.max(others) {
            return Err(Full { wait, of_this_address: others.is_none() });
        }
        self.addresses.add(address, now);
        self.count(network, now);
        Ok(())
    }

    /// Counts something that asks for no mail to an address.
    pub fn count(&mut self, network: Option<IpNet>, now: Timestamp) {
        network.into_iter().for_each(|network| self.networks.add(network, now));
        self.everybody.add((), now);
    }

    /// For what could not be sent.
    pub fn give_back(&mut self, address: &AddressMark, network: Option<IpNet>, taken: Timestamp) {
        self.addresses.remove(address, taken);
        network.iter().for_each(|network| self.networks.remove(network, taken));
        self.everybody.remove(&(), taken);
    }
}

struct Times<K>(HashMap<K, VecDeque<Timestamp>>);

impl<K> Default for Times<K> {
    fn default() -> Times<K> {
        Times(HashMap::new())
    }
}

impl<K: Hash + Eq> Times<K> {
    /// How long until every window has room.
    fn wait(&mut self, key: &K, windows: &[Window], now: Timestamp) -> Option<SignedDuration> {
        let longest = windows.iter().map(|window| window.within).max()?;
        self.0.retain(|_, times| {
            while times.front().is_some_and(|first| *first + longest <= now) {
                times.pop_front();
            }
            !times.is_empty()
        });
        let times = self.0.get(key)?;
        let wait = |window: &Window| {
            let nth_last = times.len().checked_sub(window.most)?;
            let free = *times.get(nth_last)? + window.within;
            (free > now).then(|| free.duration_since(now))
        };
        windows.iter().filter_map(wait).max()
    }

    fn add(&mut self, key: K, now: Timestamp) {
        self.0.entry(key).or_default().push_back(now);
    }

    fn remove(&mut self, key: &K, taken: Timestamp) {
        if let Some(times) = self.0.get_mut(key)
            && let Some(position) = times.iter().rposition(|time| *time == taken)
        {
            times.remove(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap()
    }

    /// Full for so many minutes: the address, or all.
    fn minutes(minutes: i64, of_this_address: bool) -> Result<(), Full> {
        Err(Full { wait: SignedDuration::from_mins(minutes), of_this_address })
    }

    fn network(text: &str) -> Option<IpNet> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_gets_three_codes_in_a_quarter_of_an_hour_and_ten_a_day() {
        let mut limits = Limits::new(CODES);
        for minute in [0, 1, 2] {
            assert_eq!(limits.take([1; 16], None, moment(minute)), Ok(()));
        }
        assert_eq!(limits.take([1; 16], None, moment(3)), minutes(12, true));
        assert_eq!(limits.take([2; 16], None, moment(3)), Ok(()), "somebody else is not held up");
        for minute in [15, 20, 25, 40, 60, 80, 100] {
            assert_eq!(limits.take([1; 16], None, moment(minute)), Ok(()), "{minute}");
        }
        assert_eq!(limits.take([1; 16], None, moment(200)), minutes(24 * 60 - 200, true));
        assert_eq!(limits.take([1; 16], None, moment(24 * 60)), Ok(()));
    }

    #[test]
    fn a_network_and_everybody_are_held_to_a_measure() {
        let mut limits = Limits::new(CODES);
        let mark = |n: u32| {
            let mut mark = [0; 16];
            mark[..4].copy_from_slice(&n.to_be_bytes());
            mark
        };
        for n in 0..20 {
            assert_eq!(limits.take(mark(n), network("192.0.2.0/24"), moment(0)), Ok(()));
        }
        assert_eq!(limits.take(mark(20), network("192.0.2.0/24"), moment(10)), minutes(50, false));
        for n in 20..1000 {
            assert_eq!(limits.take(mark(n), None, moment(20)), Ok(()));
        }
        assert_eq!(limits.take(mark(1000), network("2001:db8::/56"), moment(30)), minutes(30, false));
        assert_eq!(limits.take(mark(1000), network("2001:db8::/56"), moment(60)), Ok(()));
        assert!(limits.everybody.0[&()].len() < 1000, "the old ones are forgotten");
    }

    #[test]
    fn an_address_is_asked_three_times_a_day_whichever_form_it_stands_in() {
        let mut limits = Limits::new(SIGN_UPS);
        for minute in [0, 1, 600] {
            assert_eq!(limits.take([1; 16], network("192.0.2.0/24"), moment(minute)), Ok(()));
        }
        assert_eq!(limits.take([1; 16], network("198.51.100.0/24"), moment(601)), minutes(24 * 60 - 601, true));
        assert_eq!(limits.take([1; 16], None, moment(24 * 60)), Ok(()));
    }

    #[test]
    fn what_could_not_be_sent_is_not_counted() {
        let mut limits = Limits::new(CODES);
        for minute in 0..30 {
            assert_eq!(limits.take([1; 16], network("192.0.2.0/24"), moment(minute)), Ok(()));
            limits.give_back(&[1; 16], network("192.0.2.0/24"), moment(minute));
        }
    }
}

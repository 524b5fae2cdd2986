//! The yardstick: `cards-18` and `cards-30` as a Rust programmer writes them by hand for this one work. A ring buffer per card, heads per
//! window, running sums that are compensated (Neumaier), monotonic deques for the extremes, maps of counts for the distinct merchants.
//! It takes events in order alone, knows no nulls, checks nothing and never lets a card go.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::Contender;
use crate::events::Payment;

const HOUR_US: i64 = 3_600_000_000;
const WINDOWS_US: [i64; 3] = [HOUR_US, 24 * HOUR_US, 168 * HOUR_US];

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// A running sum that what is added and taken away leaves little rounding error in.
#[derive(Default)]
struct Sum {
    sum: f64,
    rest: f64,
}

impl Sum {
    fn add(&mut self, x: f64) {
        let sum = self.sum + x;
        self.rest += if self.sum.abs() >= x.abs() { (self.sum - sum) + x } else { (x - sum) + self.sum };
        self.sum = sum;
    }

    fn value(&self) -> f64 {
        self.sum + self.rest
    }
}

/// Payments of a ring from one place on: how many, their sum, their squares, their extremes.
#[derive(Default)]
struct Window {
    /// Number of the first payment inside, counted over all of the card.
    head: u64,
    sum: Sum,
    squares: Sum,
    /// Numbers and amounts, each better than all after it.
    lowest: VecDeque<(u64, f64)>,
    highest: VecDeque<(u64, f64)>,
    merchants: Map<u32, u32>,
    declined: u32,
}

struct Entry {
    ts: i64,
    amount: f64,
    merchant: u32,
    declined: bool,
}

#[derive(Default)]
struct Card {
    ring: VecDeque<Entry>,
    /// Number of the ring's first payment.
    first: u64,
    windows: [Window; 3],
}

#[derive(Default)]
struct Merchant {
    ring: VecDeque<(i64, f64)>,
    first: u64,
    heads: [u64; 2],
    sums: [Sum; 2],
}

/// `FULL` is cards-30, otherwise it is cards-18.
#[derive(Default)]
pub struct Plain<const FULL: bool> {
    card_ids: Map<String, u32>,
    cards: Vec<Card>,
    merchant_ids: Map<String, u32>,
    merchants: Vec<Merchant>,
    row: Vec<f64>,
}

fn id<T: Default>(ids: &mut Map<String, u32>, states: &mut Vec<T>, name: &str) -> u32 {
    if let Some(&id) = ids.get(name) {
        return id;
    }
    let id = states.len() as u32;
    ids.insert(name.to_owned(), id);
    states.push(T::default());
    id
}

impl Window {
    fn leave(&mut self, entry: &Entry, distinct: bool) {
        self.head += 1;
        self.sum.add(-entry.amount);
        self.squares.add(-entry.amount * entry.amount);
        self.declined -= u32::from(entry.declined);
        if distinct {
            let count = self.merchants.get_mut(&entry.merchant).expect("it was counted");
            *count -= 1;
            if *count == 0 {
                self.merchants.remove(&entry.merchant);
            }
        }
    }

    fn enter(&mut self, number: u64, entry: &Entry, distinct: bool) {
        let amount = entry.amount;
        self.sum.add(amount);
        self.squares.add(amount * amount);
        self.declined += u32::from(entry.declined);
        while self.lowest.front().is_some_and(|first| first.0 < self.head) {
            self.lowest.pop_front();
        }
        while self.highest.front().is_some_and(|first| first.0 < self.head) {
            self.highest.pop_front();
        }
        while self.lowest.back().is_some_and(|last| last.1 >= amount) {
            self.lowest.pop_back();
        }
        while self.highest.back().is_some_and(|last| last.1 <= amount) {
            self.highest.pop_back();
        }
        self.lowest.push_back((number, amount));
        self.highest.push_back((number, amount));
        if distinct {
            *self.merchants.entry(entry.merchant).or_insert(0) += 1;
        }
    }
}

impl<const FULL: bool> Contender for Plain<FULL> {
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for window in ["1h", "24h", "7d"] {
            names.extend(
                ["count", "sum", "mean", "std", "min", "max"].map(|kind| format!("amount_{kind}_card_{window}")),
            );
        }
        if FULL {
            names.extend(["merchants_24h", "merchants_7d", "declines_1h", "declines_24h"].map(str::to_owned));
            names.extend(
                ["previous_amount", "seconds_since_previous", "amount_vs_week", "amount_z_week"].map(str::to_owned),
            );
            names.extend(
                ["merchant_count_1h", "merchant_mean_1h", "merchant_count_24h", "merchant_mean_24h"].map(str::to_owned),
            );
        }
        names
    }

    fn push(&mut self, payment: &Payment) -> &[f64] {
        let Self { card_ids, cards, merchant_ids, merchants, row } = self;
        row.clear();
        let place = id(card_ids, cards, &payment.card) as usize;
        let seller = if FULL { id(merchant_ids, merchants, &payment.merchant) } else { 0 };
        let Card { ring, first, windows } = &mut cards[place];
        let number = *first + ring.len() as u64;
        let before = ring.back().map(|entry| (entry.ts, entry.amount));
        ring.push_back(Entry { ts: payment.ts, amount: payment.amount, merchant: seller, declined: payment.declined });
        let (mut mean, mut std) = (f64::NAN, f64::NAN);
        for (index, window) in windows.iter_mut().enumerate() {
            let (edge, distinct) = (payment.ts - WINDOWS_US[index], FULL && index > 0);
            while ring[(window.head - *first) as usize].ts <= edge {
                window.leave(&ring[(window.head - *first) as usize], distinct);
            }
            window.enter(number, &ring[ring.len() - 1], distinct);
            let count = (number + 1 - window.head) as f64;
            let sum = window.sum.value();
            mean = sum / count;
            let moment = (window.squares.value() - sum * mean).max(0.0);
            std = if count > 1.0 { (moment / (count - 1.0)).sqrt() } else { f64::NAN };
            let extremes = [window.lowest[0].1, window.highest[0].1];
            row.extend([count, sum, mean, std, extremes[0], extremes[1]]);
        }
        if FULL {
            row.extend([windows[1].merchants.len() as f64, windows[2].merchants.len() as f64]);
            row.extend([f64::from(windows[0].declined), f64::from(windows[1].declined)]);
            let seconds = before.map_or(f64::NAN, |(ts, _)| (payment.ts - ts) as f64 / 1e6);
            row.extend([before.map_or(f64::NAN, |(_, amount)| amount), seconds]);
            let score = if std == 0.0 { f64::NAN } else { (payment.amount - mean) / std };
            row.extend([payment.amount / mean, score]);
        }
        while *first < windows[2].head {
            ring.pop_front();
            *first += 1;
        }
        if FULL {
            let Merchant { ring, first, heads, sums } = &mut merchants[seller as usize];
            ring.push_back((payment.ts, payment.amount));
            for index in 0..2 {
                let edge = payment.ts - WINDOWS_US[index];
                while ring[(heads[index] - *first) as usize].0 <= edge {
                    sums[index].add(-ring[(heads[index] - *first) as usize].1);
                    heads[index] += 1;
                }
                sums[index].add(payment.amount);
                let count = (*first + ring.len() as u64 - heads[index]) as f64;
                row.extend([count, sums[index].value() / count]);
            }
            while *first < heads[1] {
                ring.pop_front();
                *first += 1;
            }
        }
        row
    }

    fn state_bytes(&self) -> Option<u64> {
        None
    }

    fn final_bits(&mut self, _cards: usize, _ts: i64) -> Option<u64> {
        None
    }
}

//! Payments by column, as `workloads.Cards.save` writes them: `FFCARDS1`, the count as u64, then the columns ts (i64), amount (f64),
//! card (u32), merchant (u32), country (u8), declined (u8), all little-endian.

use std::fmt::Write;

const MAGIC: &[u8; 8] = b"FFCARDS1";

#[derive(Default)]
pub struct Events {
    ts: Vec<i64>,
    amount: Vec<f64>,
    card: Vec<u32>,
    merchant: Vec<u32>,
    country: Vec<u8>,
    declined: Vec<u8>,
}

/// One payment as a service has it when it has read the bytes.
#[derive(Clone, Default)]
pub struct Payment {
    pub ts: i64,
    pub card: String,
    pub merchant: String,
    pub country: String,
    pub amount: f64,
    pub declined: bool,
}

impl Events {
    pub fn read(path: &str) -> Self {
        let bytes = std::fs::read(path).expect("a file of events");
        assert_eq!(&bytes[..8], MAGIC, "{path} is no file of events; benches/workloads.py writes them");
        let count = u64::from_le_bytes(bytes[8..16].try_into().expect("eight bytes")) as usize;
        let mut rest = &bytes[16..];
        let mut column = |width: usize| {
            let (column, tail) = rest.split_at(count * width);
            rest = tail;
            column
        };
        let (ts, amount, card, merchant) = (column(8), column(8), column(4), column(4));
        let (country, declined) = (column(1), column(1));
        let u32s = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|&four| u32::from_le_bytes(four)).collect();
        Self {
            ts: ts.as_chunks().0.iter().map(|&eight| i64::from_le_bytes(eight)).collect(),
            amount: amount.as_chunks().0.iter().map(|&eight| f64::from_le_bytes(eight)).collect(),
            card: u32s(card),
            merchant: u32s(merchant),
            country: country.to_vec(),
            declined: declined.to_vec(),
        }
    }

    /// A handful without a file; some cards and merchants come again.
    pub fn few(count: usize) -> Self {
        let places = 0..count as u32;
        Self {
            ts: places.clone().map(|place| i64::from(place) * 60_000_000).collect(),
            amount: places.clone().map(|place| f64::from(place % 97) + 0.25).collect(),
            card: places.clone().map(|place| place * 7 % 31).collect(),
            merchant: places.clone().map(|place| place * 5 % 13).collect(),
            country: places.clone().map(|place| (place % 40) as u8).collect(),
            declined: places.map(|place| u8::from(place % 25 == 0)).collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// The newest time; events need not be in order.
    pub fn newest(&self) -> i64 {
        self.ts.iter().copied().max().unwrap_or(0)
    }

    pub fn fill(&self, place: usize, payment: &mut Payment) {
        payment.ts = self.ts[place];
        payment.amount = self.amount[place];
        payment.declined = self.declined[place] != 0;
        text(&mut payment.card, 'c', self.card[place]);
        text(&mut payment.merchant, 'm', self.merchant[place]);
        text(&mut payment.country, 'k', u32::from(self.country[place]));
    }
}

pub fn text(out: &mut String, prefix: char, number: u32) {
    out.clear();
    write!(out, "{prefix}-{number}").expect("a text takes what is written");
}

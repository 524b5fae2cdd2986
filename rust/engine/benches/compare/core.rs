//! The engine as a Rust service calls it: a checked event in, a row out.

use std::sync::Arc;

use fastfeat_engine::engine::Engine;
use fastfeat_engine::event::Event;
use fastfeat_engine::plan::Plan;
use fastfeat_engine::schema::Raw;

use crate::Contender;
use crate::events::{Payment, text};

pub struct Core {
    engine: Engine,
    event: Event,
    columns: [usize; 6],
}

impl Core {
    pub fn new(definition: &str) -> Self {
        let definition = serde_json::from_str(definition).expect("a definition");
        let plan = Plan::compile(&definition).expect("a definition that compiles");
        let column = |name: &str| plan.streams[0].schema.column(name).expect("the columns of a payment");
        let columns = ["ts", "card", "merchant", "country", "amount", "declined"].map(column);
        Self { engine: Engine::new(Arc::new(plan)), event: Event::default(), columns }
    }

    fn fill(&mut self, payment: &Payment) {
        let [ts, card, merchant, country, amount, declined] = self.columns;
        let mut filling = self.engine.plan().streams[0].schema.begin(&mut self.event);
        filling.set(ts, Raw::Int(payment.ts));
        filling.set(card, Raw::Text(&payment.card));
        filling.set(merchant, Raw::Text(&payment.merchant));
        filling.set(country, Raw::Text(&payment.country));
        filling.set(amount, Raw::Float(payment.amount));
        filling.set(declined, Raw::Bool(payment.declined));
        filling.finish().expect("a valid payment");
    }
}

impl Contender for Core {
    fn names(&self) -> Vec<String> {
        self.engine.plan().streams[0].outputs.iter().map(|output| output.name.clone()).collect()
    }

    fn push(&mut self, payment: &Payment) -> &[f64] {
        self.fill(payment);
        self.engine.push(0, &mut self.event).expect("not too late");
        &self.engine.row().values
    }

    fn state_bytes(&self) -> Option<u64> {
        Some(self.engine.stats().state_bytes)
    }

    fn final_bits(&mut self, cards: usize, ts: i64) -> Option<u64> {
        let mut bits = 0_u64;
        let mut payment =
            Payment { ts, merchant: "m-0".into(), country: "k-0".into(), amount: 1.0, ..Payment::default() };
        for card in 0..cards {
            text(&mut payment.card, 'c', card as u32);
            self.fill(&payment);
            self.engine.peek(0, &mut self.event).expect("not too late");
            // FNV-1a over words: any bit that differs shows.
            for value in &self.engine.row().values {
                bits = (bits ^ value.to_bits()).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(29);
            }
        }
        Some(bits)
    }
}

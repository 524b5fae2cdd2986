//! Some thousand events side by side: a column per value that state depends on, and the bytes of that.

use crate::encode::{Broken, Encode, Input};
use crate::event::{Event, Value};

/// An op beyond all streams: a key was let go, so that an event had room.
pub(crate) const EVICTED: u8 = 255;
/// In place of one tag for a whole column: each value has its own.
const MIXED: u8 = 255;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const FLOAT: u8 = 3;
const INT: u8 = 4;
const TIME: u8 = 5;
const TEXT: u8 = 6;

/// What a slot of an event may hold, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Anything,
    /// Text or null.
    Texts,
    /// Anything else.
    NoText,
}

/// A slot that state depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub slot: usize,
    pub holds: Holds,
}

/// Values of one slot.
#[derive(Clone, Debug, Default)]
struct Column {
    tags: Vec<u8>,
    /// Of floats, whole numbers and times.
    words: Vec<u64>,
    lengths: Vec<u32>,
    text: Vec<u8>,
}

/// Events of one stream.
#[derive(Clone, Debug, Default)]
struct Rows {
    times: Vec<i64>,
    columns: Vec<Column>,
}

/// Events of all streams in the order in which they were accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    /// A stream's number, or `EVICTED`.
    ops: Vec<u8>,
    streams: Vec<Rows>,
}

impl Column {
    fn like(before: &Self) -> Self {
        Self {
            tags: Vec::with_capacity(before.tags.len()),
            words: Vec::with_capacity(before.words.len()),
            lengths: Vec::with_capacity(before.lengths.len()),
            text: Vec::with_capacity(before.text.len()),
        }
    }

    #[inline]
    fn push(&mut self, value: Value, event: &Event) {
        let (tag, word) = match value {
            Value::Null => return self.tags.push(NULL),
            Value::Bool(x) => return self.tags.push(if x { TRUE } else { FALSE }),
            Value::Float(x) => (FLOAT, x.to_bits()),
            Value::Int(x) => (INT, x as u64),
            Value::Time(x) => (TIME, x as u64),
            Value::Text(text) => {
                let text = event.text(text).as_bytes();
                self.tags.push(TEXT);
                self.lengths.push(text.len() as u32);
                return self.text.extend_from_slice(text);
            }
        };
        self.tags.push(tag);
        self.words.push(word);
    }

    fn bytes(&self) -> usize {
        self.tags.capacity() + self.words.capacity() * 8 + self.lengths.capacity() * 4 + self.text.capacity()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self.tags.first() {
            Some(&first) if self.tags.iter().all(|&tag| tag == first) => out.push(first),
            _ => {
                out.push(MIXED);
                out.extend_from_slice(&self.tags);
            }
        }
        self.words.iter().for_each(|word| word.encode(out));
        self.lengths.iter().for_each(|length| length.encode(out));
        out.extend_from_slice(&self.text);
    }

    fn decode(count: usize, holds: Holds, input: &mut Input<'_>) -> Result<Self, Broken> {
        let tags = match input.read()? {
            MIXED => input.take(count)?.to_vec(),
            tag => vec![tag; count],
        };
        let fits = |tag: u8| match holds {
            Holds::Anything => tag <= TEXT,
            Holds::Texts => tag == NULL || tag == TEXT,
            Holds::NoText => tag < TEXT,
        };
        if let Some(tag) = tags.iter().find(|&&tag| !fits(tag)) {
            return Err(Broken(format!("a value of the kind {tag} stands where there is none")));
        }
        let texts = tags.iter().filter(|&&tag| tag == TEXT).count();
        let wide = tags.iter().filter(|&&tag| (FLOAT..=TIME).contains(&tag)).count();
        let words = numbers(wide, input, u64::from_le_bytes)?;
        let lengths: Vec<u32> = numbers(texts, input, u32::from_le_bytes)?;
        let text = input.take(lengths.iter().map(|&length| length as usize).sum())?;
        let (mut at, whole) = (0, std::str::from_utf8(text).map_err(|_| Broken::new("a text is not UTF-8"))?);
        for &length in &lengths {
            at += length as usize;
            if !whole.is_char_boundary(at) {
                return Err(Broken::new("a text ends within a character"));
            }
        }
        Ok(Self { tags, words, lengths, text: text.to_vec() })
    }
}

fn numbers<T, const N: usize>(count: usize, input: &mut Input<'_>, read: fn([u8; N]) -> T) -> Result<Vec<T>, Broken> {
    let bytes = input.take(count.saturating_mul(N))?;
    let number = |bytes: &[u8]| read(bytes.try_into().expect("pieces of N bytes"));
    Ok(bytes.chunks_exact(N).map(number).collect())
}

/// Where a reader stands in a column.
#[derive(Clone, Copy, Debug, Default)]
struct At {
    word: usize,
    text: usize,
    byte: usize,
}

/// What happened, one thing at a time.
#[derive(Debug)]
pub(crate) enum Op {
    /// The event at hand is the next one of this stream, at this time.
    Event(usize, i64),
    /// A key was let go.
    Evicted,
}

impl Chunk {
    /// For the slots of each stream, as large as the one before became.
    pub fn new(streams: &[Vec<Slot>], before: Option<&Self>) -> Self {
        let rows = |(index, slots): (usize, &Vec<Slot>)| match before {
            Some(before) => Rows {
                times: Vec::with_capacity(before.streams[index].times.len()),
                columns: before.streams[index].columns.iter().map(Column::like).collect(),
            },
            None => Rows { times: Vec::new(), columns: vec![Column::default(); slots.len()] },
        };
        Self {
            ops: Vec::with_capacity(before.map_or(0, |before| before.ops.len())),
            streams: streams.iter().enumerate().map(rows).collect(),
        }
    }

    #[inline]
    pub fn event(&mut self, stream: usize, slots: &[Slot], time: i64, event: &Event) {
        self.ops.push(stream as u8);
        let rows = &mut self.streams[stream];
        rows.times.push(time);
        for (column, slot) in rows.columns.iter_mut().zip(slots) {
            column.push(event.values[slot.slot], event);
        }
    }

    pub fn evict(&mut self) {
        self.ops.push(EVICTED);
    }

    pub fn ops(&self) -> usize {
        self.ops.len()
    }

    /// Events in it.
    pub fn events(&self) -> usize {
        self.streams.iter().map(|rows| rows.times.len()).sum()
    }

    /// Bytes of all texts.
    pub fn text_bytes(&self, stream: usize) -> usize {
        self.streams[stream].columns.iter().map(|column| column.text.len()).sum()
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        let rows = |rows: &Rows| rows.times.capacity() * 8 + rows.columns.iter().map(Column::bytes).sum::<usize>();
        self.ops.capacity() + self.streams.iter().map(rows).sum::<usize>()
    }
}

impl Encode for Chunk {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.ops.len() as u64).encode(out);
        out.extend_from_slice(&self.ops);
        for rows in &self.streams {
            let mut last = 0_i64;
            for &time in &rows.times {
                time.wrapping_sub(last).encode(out);
                last = time;
            }
            rows.columns.iter().for_each(|column| column.encode(out));
        }
    }
}

impl Chunk {
    /// Reads it back for these slots.
    pub fn decode(streams: &[Vec<Slot>], input: &mut Input<'_>) -> Result<Self, Broken> {
        let count = input.count(1)?;
        let ops = input.take(count)?.to_vec();
        let mut counts = vec![0_usize; 256];
        ops.iter().for_each(|&op| counts[usize::from(op)] += 1);
        if let Some(op) = ops.iter().find(|&&op| op != EVICTED && usize::from(op) >= streams.len()) {
            return Err(Broken(format!("an event is of stream {op}, and there are {}", streams.len())));
        }
        let mut read = Vec::with_capacity(streams.len());
        for (stream, slots) in streams.iter().enumerate() {
            let mut times = numbers(counts[stream], input, i64::from_le_bytes)?;
            let mut last = 0_i64;
            for time in &mut times {
                *time = time.wrapping_add(last);
                last = *time;
            }
            let columns = slots.iter().map(|slot| Column::decode(times.len(), slot.holds, input));
            read.push(Rows { columns: columns.collect::<Result<_, _>>()?, times });
        }
        input.end()?;
        Ok(Self { ops, streams: read })
    }

    /// Goes through what happened; before each event `event` holds its values in these slots.
    pub fn each(&self, streams: &[Vec<Slot>], event: &mut Event, mut happened: impl FnMut(Op, &mut Event)) {
        let mut rows = vec![0; self.streams.len()];
        let mut at: Vec<Vec<At>> = streams.iter().map(|slots| vec![At::default(); slots.len()]).collect();
        let lengths: Vec<usize> =
            streams.iter().map(|slots| slots.iter().map(|slot| slot.slot + 1).max().unwrap_or(0)).collect();
        for &op in &self.ops {
            if op == EVICTED {
                happened(Op::Evicted, event);
                continue;
            }
            let stream = usize::from(op);
            let row = rows[stream];
            rows[stream] += 1;
            event.reset(lengths[stream]);
            let of = &self.streams[stream];
            for ((column, slot), at) in of.columns.iter().zip(&streams[stream]).zip(&mut at[stream]) {
                event.values[slot.slot] = column.value(row, at, event);
            }
            happened(Op::Event(stream, of.times[row]), event);
        }
    }
}

impl Column {
    #[inline]
    fn value(&self, row: usize, at: &mut At, event: &mut Event) -> Value {
        let tag = self.tags[row];
        match tag {
            FALSE | TRUE => Value::Bool(tag == TRUE),
            FLOAT | INT | TIME => {
                let word = self.words[at.word];
                at.word += 1;
                match tag {
                    FLOAT => Value::Float(f64::from_bits(word)),
                    INT => Value::Int(word as i64),
                    _ => Value::Time(word as i64),
                }
            }
            TEXT => {
                let length = self.lengths[at.text] as usize;
                let bytes = &self.text[at.byte..at.byte + length];
                (at.text, at.byte) = (at.text + 1, at.byte + length);
                Value::Text(event.store(std::str::from_utf8(bytes).expect("checked as it was read")))
            }
            _ => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> Vec<Vec<Slot>> {
        let slot = |slot, holds| Slot { slot, holds };
        vec![vec![slot(3, Holds::Texts), slot(1, Holds::NoText)], vec![slot(0, Holds::Anything)]]
    }

    fn event(values: [Value; 2], text: &str) -> Event {
        let mut event = Event::default();
        event.reset(4);
        event.values[1] = values[0];
        event.values[0] = values[1];
        event.values[3] = Value::Text(event.store(text));
        event
    }

    fn told(chunk: &Chunk) -> Vec<String> {
        let mut told = Vec::new();
        chunk.each(&slots(), &mut Event::default(), |op, event| {
            let text = match event.values.get(3) {
                Some(&Value::Text(text)) => event.text(text).to_owned(),
                _ => String::new(),
            };
            told.push(format!("{op:?} {:?} {text}", event.values));
        });
        told
    }

    #[test]
    fn what_happened_comes_back_in_its_order() {
        let mut chunk = Chunk::new(&slots(), None);
        let values = [Value::Null, Value::Float(-0.0), Value::Int(i64::MIN), Value::Time(7), Value::Bool(true)];
        for (place, &value) in values.iter().enumerate() {
            chunk.event(place % 2, &slots()[place % 2], place as i64 * -9, &event([value, value], &"é".repeat(place)));
            chunk.evict();
        }
        let mut bytes = Vec::new();
        chunk.encode(&mut bytes);
        let read = Chunk::decode(&slots(), &mut Input::new(&bytes)).expect("as written");
        assert_eq!(told(&read), told(&chunk));
        assert_eq!(told(&read).len(), 10);
        assert!(told(&read)[4].starts_with("Event(0, -18) [Null, Int(-9223372036854775808), Null, Text("));
        let mut again = Vec::new();
        read.encode(&mut again);
        assert_eq!(again, bytes);
        assert!(Chunk::decode(&slots()[..1], &mut Input::new(&bytes)).is_err(), "a stream that is not there");
        for cut in 0..bytes.len() {
            assert!(Chunk::decode(&slots(), &mut Input::new(&bytes[..cut])).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn kinds_that_a_slot_cannot_hold_are_refused() {
        let mut chunk = Chunk::new(&slots(), None);
        chunk.event(0, &slots()[0], 1, &event([Value::Int(1), Value::Null], "a"));
        let mut bytes = Vec::new();
        chunk.encode(&mut bytes);
        let mut other = slots();
        other[0][1].holds = Holds::Texts;
        assert!(Chunk::decode(&other, &mut Input::new(&bytes)).is_err());
        other[0][1].holds = Holds::Anything;
        other[0][0].holds = Holds::NoText;
        assert!(Chunk::decode(&other, &mut Input::new(&bytes)).is_err());
    }
}

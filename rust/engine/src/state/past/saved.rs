//! What is kept of the past as bytes: parts in the order of the plan, texts by their place in the order of all texts.

use std::collections::VecDeque;

use super::{Part, Past, Slice, parts_bytes, tally_column};
use crate::aggregate::extreme::Best;
use crate::definition::FieldKind;
use crate::encode::{Broken, Decode, Encode, Input};
use crate::plan::{LanePlan, PartPlan, Selection, TablePlan};
use crate::state::cursor::Cursor;
use crate::state::interner::{TextOrder, Texts};

impl Past {
    /// Appends everything but what follows from the rest.
    pub fn save(&self, plan: &TablePlan, order: &TextOrder, out: &mut Vec<u8>) {
        (self.folded, self.floor).encode(out);
        self.newest.encode(out);
        for (part, part_plan) in self.all.iter().zip(&plan.all) {
            part.save(plan, part_plan, order, out);
        }
        for (slices, hop) in self.hops.iter().zip(&plan.hops) {
            (slices.slices.len() as u64).encode(out);
            for slice in &slices.slices {
                slice.begin.encode(out);
                for (part, part_plan) in slice.parts.iter().zip(&hop.parts) {
                    part.save(plan, part_plan, order, out);
                }
            }
        }
    }

    /// Appends the parts that another plan's table has.
    pub fn save_chosen(&self, plan: &TablePlan, chosen: &Selection, order: &TextOrder, out: &mut Vec<u8>) {
        (self.folded, self.floor).encode(out);
        self.newest.encode(out);
        for part in &chosen.all {
            self.all[part.place].save(plan, &part.plan, order, out);
        }
        for hop in &chosen.hops {
            let slices = &self.hops[hop.place].slices;
            (slices.len() as u64).encode(out);
            for slice in slices {
                slice.begin.encode(out);
                for part in &hop.parts {
                    slice.parts[part.place].save(plan, &part.plan, order, out);
                }
            }
        }
    }

    /// Reads it back for a log of these positions, and holds its texts.
    pub fn load(
        plan: &TablePlan,
        (first, end): (u64, u64),
        input: &mut Input<'_>,
        texts: &mut Texts<'_>,
    ) -> Result<Self, Broken> {
        let mut past = Self::new(plan);
        (past.folded, past.floor) = input.read()?;
        past.newest = input.read()?;
        if !(first..=end).contains(&past.folded) || past.floor > past.folded {
            let (folded, floor) = (past.folded, past.floor);
            return Err(Broken(format!("a key has folded up to {folded} from {floor} of a log of {first} to {end}")));
        }
        past.all = load_parts(plan, &plan.all, input, texts)?;
        for (slices, hop) in past.hops.iter_mut().zip(&plan.hops) {
            let count = input.count(8)?;
            let mut loaded: VecDeque<Slice> = VecDeque::new();
            for _ in 0..count {
                let begin = input.read()?;
                if loaded.back().is_some_and(|slice| slice.begin >= begin) {
                    return Err(Broken::new("the slices of a hopping window are not in order"));
                }
                loaded.push_back(Slice { begin, parts: load_parts(plan, &hop.parts, input, texts)? });
            }
            past.slice_bytes += loaded.iter().map(|slice| parts_bytes(&slice.parts)).sum::<usize>();
            slices.slices = loaded;
            for (part, whole) in slices.wholes.iter_mut().enumerate() {
                let Some(whole) = whole else { continue };
                for tally in slices.slices.iter().filter_map(|slice| slice.parts[part].tally()) {
                    tally.iter().for_each(|(value, count)| whole.put(value, count));
                }
            }
        }
        Ok(past)
    }
}

fn load_parts(
    plan: &TablePlan,
    parts: &[PartPlan],
    input: &mut Input<'_>,
    texts: &mut Texts<'_>,
) -> Result<Box<[Part]>, Broken> {
    parts.iter().map(|part| Part::load(plan, part, input, texts)).collect()
}

impl Part {
    fn save(&self, plan: &TablePlan, part: &PartPlan, order: &TextOrder, out: &mut Vec<u8>) {
        let place = |value: u64| u64::from(order.place(value as u32));
        match self {
            Self::Count(sum) => sum.0.encode(out),
            Self::Moments(sum) => sum.encode(out),
            Self::Higher(sum) => sum.encode(out),
            Self::Pair(sum) => sum.encode(out),
            Self::Extreme(best) => {
                let mut best = **best;
                if best.any && beside_is_text(plan, part) {
                    best.beside = place(best.beside);
                }
                best.encode(out);
            }
            Self::Registers(sum) => sum.encode(out),
            Self::Decay(sum) => sum.encode(out),
            Self::Tally(cursor) => {
                let is_text = tally_column(plan, part.lane).kind == FieldKind::String;
                let value = |value| if is_text { place(value) } else { value };
                let mut counts: Vec<_> = cursor.tally().iter().map(|(met, count)| (value(met), count)).collect();
                counts.sort_unstable();
                (counts.len() as u64).encode(out);
                counts.iter().for_each(|met| met.encode(out));
            }
            Self::Entries(entries) => {
                let is_text = entry_is_text(plan, part);
                entries.save(part.depth, |value| if is_text { place(value) } else { value }, out);
            }
        }
    }

    fn load(plan: &TablePlan, part: &PartPlan, input: &mut Input<'_>, texts: &mut Texts<'_>) -> Result<Self, Broken> {
        let empty = Self::new(plan, part);
        Ok(match empty {
            Self::Count(mut count) => {
                count.0 = input.read()?;
                Self::Count(count)
            }
            Self::Moments(_) => Self::Moments(input.read()?),
            Self::Higher(_) => Self::Higher(input.read()?),
            Self::Pair(_) => Self::Pair(input.read()?),
            Self::Extreme(_) => {
                let mut best = Best::decode(input)?;
                if best.any && beside_is_text(plan, part) {
                    best.beside = texts.hold(best.beside)?.into();
                }
                Self::Extreme(Box::new(best))
            }
            Self::Registers(_) => Self::Registers(input.read()?),
            Self::Decay(_) => Self::Decay(input.read()?),
            Self::Tally(mut cursor) => {
                load_counts(&mut cursor, tally_column(plan, part.lane).kind, input, texts)?;
                Self::Tally(cursor)
            }
            Self::Entries(mut entries) => {
                entries.load(part.depth, input)?;
                if entry_is_text(plan, part) {
                    entries.values_mut().try_for_each(|value| {
                        *value = texts.hold(*value)?.into();
                        Ok(())
                    })?;
                }
                Self::Entries(entries)
            }
        })
    }
}

fn load_counts(
    cursor: &mut Cursor,
    kind: FieldKind,
    input: &mut Input<'_>,
    texts: &mut Texts<'_>,
) -> Result<(), Broken> {
    let (mut last, mut total) = (None, 0_u64);
    for _ in 0..input.count(16)? {
        let (value, count): (u64, u64) = input.read()?;
        total = total.checked_add(count).ok_or_else(|| Broken::new("a tally counts more than there can be"))?;
        if count == 0 || last.is_some_and(|last| last >= value) {
            return Err(Broken::new("the values of a tally are not in order, or counted as none"));
        }
        let here = if kind == FieldKind::String { texts.hold(value)?.into() } else { value };
        cursor.put(here, count);
        last = Some(value);
    }
    Ok(())
}

fn beside_is_text(plan: &TablePlan, part: &PartPlan) -> bool {
    matches!(plan.lanes[part.lane], LanePlan::Extreme { beside: Some(beside), .. } if is_text(plan, beside))
}

fn entry_is_text(plan: &TablePlan, part: &PartPlan) -> bool {
    matches!(plan.lanes[part.lane], LanePlan::Entry { column: Some(column), .. } if is_text(plan, column))
}

fn is_text(plan: &TablePlan, column: usize) -> bool {
    plan.columns[column].kind == FieldKind::String
}

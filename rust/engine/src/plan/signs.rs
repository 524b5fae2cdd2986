//! What a column, a mask or a table is, by a hash: so that two plans know what they have in common.

use std::fmt::Write as _;

/// Equal where the same values of the same events are meant.
pub(crate) type Sign = u128;

/// The sign of a thing that is made of others.
pub(crate) fn sign(tag: &str, parts: &[Sign]) -> Sign {
    let mut text = format!("{} {tag}", tag.len());
    for part in parts {
        write!(text, " {part:032x}").expect("a text takes what is written");
    }
    let hash = blake3::hash(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    Sign::from_le_bytes(bytes)
}

/// The signs of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableSigns {
    /// Its stream, generation and key.
    pub key: Sign,
    /// By column of its log.
    pub columns: Vec<Sign>,
    /// By mask of its log; masks are the first flags.
    pub masks: Vec<Sign>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_tells_tags_and_parts_apart() {
        let all = [sign("a", &[]), sign("b", &[]), sign("a", &[1]), sign("a", &[1, 2]), sign("a", &[2, 1])];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one), "sign {place}");
        }
        assert_eq!(sign("a", &[1, 2]), sign("a", &[1, 2]));
    }
}

//! Whether the children of a tree's splits make a tree. LightGBM walks from child to child without looking: one that is out of
//! range is read from beyond the array, and two splits that are each other's children are walked for ever.

/// Splits between the root and the deepest leaf of a tree with `left.len() + 1` leaves, or what is wrong with it.
///
/// A child of 0 or more is a split, and not the root; one below is leaf `-1 - child`.
pub(super) fn depth(left: &[i32], right: &[i32]) -> Result<usize, String> {
    let splits = left.len();
    let mut split_seen = vec![false; splits];
    let mut leaf_seen = vec![false; splits + 1];
    let mut deepest = 0;
    let mut open = if splits == 0 { vec![] } else { vec![(0, 1)] };
    while let Some((split, depth)) = open.pop() {
        for child in [left[split], right[split]] {
            let (seen, place, what) = match usize::try_from(child) {
                Ok(place) => (&mut split_seen, place, "split"),
                Err(_) => (&mut leaf_seen, !child as usize, "leaf"),
            };
            match seen.get_mut(place) {
                None => {
                    return Err(format!(
                        "child {child} of split {split} is {what} {place}: a tree of {splits} splits has no such"
                    ));
                }
                Some(seen) if *seen || child == 0 => {
                    return Err(format!("{what} {place} has more than one parent, or is the root"));
                }
                Some(seen) => *seen = true,
            }
            match child {
                0.. => open.push((place, depth + 1)),
                _ => deepest = deepest.max(depth),
            }
        }
    }
    // Each split reached has two children of its own: all splits reached is all leaves reached.
    match split_seen.iter().skip(1).position(|seen| !seen) {
        None => Ok(deepest),
        Some(place) => Err(format!("split {} cannot be reached from the root", place + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_depth_counts_the_splits_to_the_deepest_leaf() {
        assert_eq!(depth(&[], &[]), Ok(0));
        assert_eq!(depth(&[-1], &[-2]), Ok(1));
        assert_eq!(depth(&[1, -1, -2], &[2, -3, -4]), Ok(2));
        assert_eq!(depth(&[-1, -2, -3], &[1, 2, -4]), Ok(3));
    }

    #[test]
    fn test_what_is_not_a_tree_is_refused() {
        for (left, right, reason) in [
            (vec![-1], vec![-1], "leaf 0 has more than one parent"),
            (vec![0], vec![-2], "is the root"),
            (vec![1], vec![-2], "has no such"),
            (vec![-1], vec![-3], "has no such"),
            (vec![-1], vec![i32::MIN], "has no such"),
            (vec![-1], vec![i32::MAX], "has no such"),
            (vec![-1, 1], vec![-2, -3], "split 1 cannot be reached"),
            (vec![-1, 2, 1], vec![-2, -3, -4], "split 1 cannot be reached"),
            (vec![1, 2, 1], vec![-1, -2, -3], "split 1 has more than one parent"),
            (vec![1, -1], vec![1, -2], "split 1 has more than one parent"),
        ] {
            let refused = depth(&left, &right).expect_err("not a tree");
            assert!(refused.contains(reason), "{left:?} {right:?}: {refused}");
        }
    }

    #[test]
    fn test_a_chain_of_a_hundred_thousand_splits_needs_no_stack() {
        let splits = 100_000;
        let left: Vec<i32> = (0..splits).map(|split| -1 - split).collect();
        let right: Vec<i32> = (1..splits).chain([-1 - splits]).collect();
        assert_eq!(depth(&left, &right), Ok(100_000));
    }
}

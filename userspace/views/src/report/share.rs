//! Shares of a whole that add up to it.

/// Divides `whole` among the parts by their sizes: each gets its share rounded down, and what is left goes to those
/// that lost most by it, one each. Nothing is divided among parts that are all zero.
pub fn apportion(parts: &[u64], whole: u64) -> Vec<u64> {
    let sum: u128 = parts.iter().map(|part| u128::from(*part)).sum();
    if sum == 0 {
        return vec![0; parts.len()];
    }
    let scaled = |part: u64| u128::from(part) * u128::from(whole);
    let mut shares: Vec<u64> = parts.iter().map(|part| (scaled(*part) / sum) as u64).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(scaled(parts[*at]) % sum));
    let missing = whole - shares.iter().sum::<u64>();
    order.into_iter().take(missing as usize).for_each(|at| shares[at] += 1);
    shares
}

/// A share of a whole in whole percent; 0 of nothing.
pub fn percent(part: u64, whole: u64) -> u64 {
    let (part, whole) = (u128::from(part), u128::from(whole));
    if whole == 0 { 0 } else { ((part * 200 + whole) / (whole * 2)) as u64 }
}

/// The same in words: what happened at all is never shown as 0%.
pub fn percent_words(part: u64, whole: u64) -> String {
    words(percent(part, whole), part)
}

/// Shares of a whole in words that add up to 100%, but for those that are too small to be one.
pub fn percents_words(parts: &[u64]) -> Vec<String> {
    let percents = apportion(parts, 100);
    percents.iter().zip(parts).map(|(percent, part)| words(*percent, *part)).collect()
}

fn words(percent: u64, part: u64) -> String {
    if percent == 0 && part > 0 { "<1%".to_owned() } else { format!("{percent}%") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_whole() {
        assert_eq!(apportion(&[1, 1, 1], 100), [34, 33, 33]);
        assert_eq!(apportion(&[0, 999, 1], 100), [0, 100, 0]);
        assert_eq!(apportion(&[u64::MAX, u64::MAX, 0], 31), [16, 15, 0]);
        for parts in [[3, 5, 7, 11], [1_000_000_007, 1, 2, 3], [0, 0, 0, 1]] {
            assert_eq!(apportion(&parts, 100).iter().sum::<u64>(), 100);
        }
    }

    #[test]
    fn shares_in_words_add_up_too() {
        assert_eq!(percents_words(&[1, 1, 1]), ["34%", "33%", "33%"]);
        assert_eq!(percents_words(&[999, 1, 0]), ["100%", "<1%", "0%"]);
    }

    #[test]
    fn nothing_has_no_shares() {
        assert_eq!(apportion(&[0, 0], 100), [0, 0]);
        assert!(apportion(&[], 100).is_empty());
        assert_eq!((percent(0, 0), percent(1, 3), percent(2, 3), percent(1, 2)), (0, 33, 67, 50));
        assert_eq!((percent_words(1, 1000), percent_words(0, 9)), ("<1%".to_owned(), "0%".to_owned()));
    }
}

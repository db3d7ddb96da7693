//! Words that the program has built in, sent from one of its processes to another.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A word that is there for as long as the program runs.
pub type Fixed = &'static str;

/// Words that may arrive, all together: more than there are, and few enough to be kept for good.
const MOST: usize = 256;
/// Longest of them.
const LONGEST: usize = 128;

/// The word, for as long as the process lives.
fn kept(word: &str) -> Option<&'static str> {
    static KEPT: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.iter().find(|known| **known == word) {
        return Some(known);
    }
    if kept.len() == MOST || word.len() > LONGEST {
        return None;
    }
    let word: &'static str = Box::leak(word.to_owned().into_boxed_str());
    kept.push(word);
    Some(word)
}

/// A word.
pub fn serialize<S: Serializer>(word: &str, to: S) -> Result<S::Ok, S::Error> {
    word.serialize(to)
}

/// A word.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<&'static str, D::Error> {
    let word = String::deserialize(from)?;
    kept(&word).ok_or_else(|| D::Error::custom("too many words"))
}

#[derive(Serialize, Deserialize)]
struct Word(#[serde(with = "self")] Fixed);

/// Several of them.
pub mod list {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Word};

    /// All.
    pub fn serialize<S: Serializer>(words: &[&'static str], to: S) -> Result<S::Ok, S::Error> {
        words.serialize(to)
    }

    /// All.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<&'static str>, D::Error> {
        Ok(Vec::<Word>::deserialize(from)?.into_iter().map(|Word(word)| word).collect())
    }
}

/// Something for each of several.
pub mod pairs {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Word};

    /// All.
    pub fn serialize<S: Serializer, T: Serialize>(
        pairs: &[(&'static str, T)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        pairs.serialize(to)
    }

    /// All.
    pub fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        from: D,
    ) -> Result<Vec<(&'static str, T)>, D::Error> {
        let pairs = Vec::<(Word, T)>::deserialize(from)?.into_iter();
        Ok(pairs.map(|(Word(word), of)| (word, of)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_words_is_refused() {
        assert_eq!(kept("glibc"), Some("glibc"));
        assert_eq!(kept(&"x".repeat(LONGEST + 1)), None);
        let kept = (0..2 * MOST).filter(|number| kept(&number.to_string()).is_some()).count();
        assert!(kept < MOST, "{kept}");
    }
}

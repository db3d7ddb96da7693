//! Words that the program has built in, sent from one of its processes to another: of what arrives, only those are taken.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::locate::{
    glibc::{COND_LOCK, MUTEX_LOCK},
    instruction, runtimes,
};

/// A word that is there for as long as the program runs.
pub type Fixed = &'static str;

/// The program's own form of a word.
fn known(word: &str) -> Option<Fixed> {
    let functions = [MUTEX_LOCK, COND_LOCK];
    let mut all = runtimes::NAMES.into_iter().chain(instruction::REFUSALS).chain(functions);
    all.find(|known| *known == word)
}

/// Writes a word.
pub fn serialize<S: Serializer>(word: &str, to: S) -> Result<S::Ok, S::Error> {
    word.serialize(to)
}

/// Reads a word.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Fixed, D::Error> {
    let word = String::deserialize(from)?;
    known(&word).ok_or_else(|| D::Error::custom("a word that the program does not have"))
}

#[derive(Serialize, Deserialize)]
struct Word(#[serde(with = "self")] Fixed);

/// Several of them.
pub mod list {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Word};

    /// Writes a list of words.
    pub fn serialize<S: Serializer>(words: &[&'static str], to: S) -> Result<S::Ok, S::Error> {
        words.serialize(to)
    }

    /// Reads a list of words, each kept for as long as the process lives.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<&'static str>, D::Error> {
        Ok(Vec::<Word>::deserialize(from)?.into_iter().map(|Word(word)| word).collect())
    }
}

/// Something for each of several.
pub mod pairs {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Word};

    /// Writes pairs of a word and a value.
    pub fn serialize<S: Serializer, T: Serialize>(
        pairs: &[(&'static str, T)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        pairs.serialize(to)
    }

    /// Reads pairs of a word and a value; the words are kept for as long as the process lives.
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
    fn only_words_of_the_program_arrive() {
        let sent = postcard::to_stdvec(&Word("glibc")).unwrap();
        assert_eq!(postcard::from_bytes::<Word>(&sent).unwrap().0, "glibc");
        let sent = postcard::to_stdvec("another").unwrap();
        assert!(postcard::from_bytes::<Word>(&sent).is_err());
    }
}

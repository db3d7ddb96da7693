//! Every error reads "cannot VERB OBJECT: CAUSE; REMEDY".

use std::fmt::{self, Display};

/// An error in the project's wording.
#[derive(Debug)]
pub struct Refusal {
    what: String,
    cause: String,
    remedy: String,
}

/// Builds a [`Refusal`]: `what` starts with a verb ("open /dev/shm/x"), `remedy` says what to do now.
pub fn cannot(what: impl Display, cause: impl Display, remedy: impl Display) -> Refusal {
    Refusal { what: what.to_string(), cause: cause.to_string(), remedy: remedy.to_string() }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}; {}", self.what, self.cause, self.remedy)
    }
}

impl std::error::Error for Refusal {}

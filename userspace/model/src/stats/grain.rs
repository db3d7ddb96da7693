//! Resolution of a number.

/// Resolution of a number: rounds that agree to the grain may differ by less.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Grain {
    /// Half the width of a histogram's bucket, as a share of the value.
    pub share: f64,
    /// Distance between neighbouring values: one call, one message.
    pub step: f64,
}

impl Grain {
    /// A number that is read exactly.
    pub const EXACT: Self = Self { share: 0.0, step: 0.0 };

    /// Variance that hides below the grain of a value: that of a uniform distribution over its bucket or step.
    pub(super) fn variance(self, value: f64) -> f64 {
        ((2.0 * self.share * value).powi(2) + self.step.powi(2)) / 12.0
    }
}

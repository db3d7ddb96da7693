//! Random numbers of the trials.

pub use crate::random::Random as Luck;

impl Luck {
    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A value of the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }

    /// Poisson, of a mean below some hundreds (Knuth).
    pub fn poisson(&mut self, mean: f64) -> f64 {
        let (limit, mut product, mut count) = ((-mean).exp(), self.share(), 0.0);
        while product > limit {
            product *= self.share();
            count += 1.0;
        }
        count
    }

    /// As rounds on a shared machine are: skewed, and one in twenty is disturbed.
    pub fn round(&mut self, spread: f64) -> f64 {
        let disturbed = if self.share() < 0.05 { 1.0 + 5.0 * spread } else { 1.0 };
        (spread * self.normal()).exp() * disturbed
    }
}

//! Random numbers of the trials.

/// Random numbers that a seed brings back.
pub struct Luck(pub u64);

impl Luck {
    /// From 0 to 1.
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.next()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.next()).cos()
    }

    /// Poisson, of a mean below some hundreds (Knuth).
    pub fn poisson(&mut self, mean: f64) -> f64 {
        let (limit, mut product, mut count) = ((-mean).exp(), self.next(), 0.0);
        while product > limit {
            product *= self.next();
            count += 1.0;
        }
        count
    }

    /// As rounds on a shared machine are: skewed, and one in twenty is disturbed.
    pub fn round(&mut self, spread: f64) -> f64 {
        let disturbed = if self.next() < 0.05 { 1.0 + 5.0 * spread } else { 1.0 };
        (spread * self.normal()).exp() * disturbed
    }
}

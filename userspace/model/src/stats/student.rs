//! Distribution of Student's t.

/// Terms after which the continued fraction has long converged for what is asked here.
const TERMS: u32 = 300;

/// Probability that |T| exceeds `t`, with `degrees` degrees of freedom.
pub fn two_sided(t: f64, degrees: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    regularised_beta(degrees / (degrees + t * t), degrees / 2.0, 0.5)
}

/// The t that is exceeded, on either side, with this probability.
pub fn critical(probability: f64, degrees: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while two_sided(high, degrees) > probability && high < 1e12 {
        high *= 2.0;
    }
    // Each step halves what is left: these take it to the last digit.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if two_sided(middle, degrees) > probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// I_x(a, b), by Lentz's method for its continued fraction.
fn regularised_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast on one side only.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - regularised_beta(1.0 - x, b, a);
    }
    let front = a * x.ln() + b * (1.0 - x).ln() - (ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b));
    front.exp() * fraction(x, a, b) / a
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let away_from_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut sum = d;
    for term in 1..=TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut step = 1.0;
        for coefficient in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + coefficient * d);
            c = away_from_zero(1.0 + coefficient / c);
            step = d * c;
            sum *= step;
        }
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    sum
}

/// Logarithm of the gamma function, after Lanczos.
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 6] = [
        76.180_091_729_471_46,
        -86.505_320_329_416_77,
        24.014_098_240_830_91,
        -1.231_739_572_450_155,
        0.120_865_097_386_617_9e-2,
        -0.539_523_938_495_3e-5,
    ];
    let base = x + 5.5;
    let series: f64 = (1u32..).zip(TERMS).map(|(nth, term)| term / (x + f64::from(nth))).sum();
    (x + 0.5) * base.ln() - base + (2.506_628_274_631_000_5 * (1.000_000_000_190_015 + series) / x).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_tables_are_met() {
        let table = [
            (0.05, 1.0, 12.7062),
            (0.05, 4.0, 2.7764),
            (0.05, 8.0, 2.3060),
            (0.01, 8.0, 3.3554),
            (0.001, 8.0, 5.0413),
            (0.05, 100.0, 1.9840),
        ];
        for (probability, degrees, expected) in table {
            let found = critical(probability, degrees);
            assert!((found - expected).abs() < 1e-4, "{probability} {degrees}: {found}");
            assert!((two_sided(expected, degrees) - probability).abs() < 1e-5);
        }
        assert_eq!((two_sided(f64::INFINITY, 4.0), two_sided(0.0, 4.0)), (0.0, 1.0));
    }

    /// The same distribution as another implementation has it, far into the tails.
    #[test]
    fn the_distribution_is_that_of_statrs() {
        use statrs::distribution::{ContinuousCDF as _, StudentsT};
        for degrees in [1.0, 1.7, 2.0, 4.0, 8.0, 17.3, 60.0, 1000.0] {
            let theirs = StudentsT::new(0.0, 1.0, degrees).unwrap();
            for t in [0.01, 0.5, 1.0, 2.0, 3.5, 6.0, 12.0, 40.0] {
                let (ours, expected) = (two_sided(t, degrees), 2.0 * theirs.sf(t));
                assert!(
                    (ours - expected).abs() <= 1e-6 * expected + 1e-15,
                    "{degrees} {t}: {ours} {expected}"
                );
            }
            for probability in [0.5, 0.05, 0.01, 4e-4] {
                let expected = theirs.inverse_cdf(1.0 - probability / 2.0);
                let ours = critical(probability, degrees);
                assert!(
                    (ours - expected).abs() <= 1e-5 * expected,
                    "{degrees} {probability}: {ours} {expected}"
                );
            }
        }
    }
}

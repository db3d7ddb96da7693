//! Colours and characters, for any kind of terminal.

use ratatui::style::{Color, Modifier, Style};

/// Number of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// None: weight and reversal only.
    None,
    /// The terminal's own sixteen.
    Sixteen,
    /// A palette of 256.
    Indexed,
    /// All of them.
    True,
}

/// Meaning of a text; the look decides how it is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Text without a special meaning.
    Plain,
    /// The heading of a part.
    Title,
    /// Less important than what stands around it.
    Faint,
    /// Something is wrong with the numbers.
    Alarm,
    /// Worth a look: held, marked, chosen.
    Accent,
    /// The selected row, the current view.
    Selected,
    /// Bars and lines of ordinary charts, and side A.
    First,
    /// Bars and lines of side B.
    Second,
    /// Running outside of calls.
    User,
    /// Running inside of calls.
    Kernel,
    /// Waiting for a CPU.
    Queue,
    /// Page faults, where they are measured.
    Faults,
    /// Waiting for something else.
    Blocked,
    /// Stopped, traced or frozen.
    Stopped,
    /// Time in an unknown state.
    Unknown,
}

/// Abilities of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colours that it shows.
    pub depth: Depth,
    /// True if only ASCII is safe.
    pub ascii: bool,
}

/// From little to much, 256 colours: dark blue over green to yellow.
const INDEXED: [u8; 10] = [17, 18, 24, 30, 36, 42, 78, 114, 185, 226];
/// The same in true colour; between them it is mixed.
const TRUE: [(u8, u8, u8); 6] =
    [(30, 30, 80), (59, 82, 139), (33, 145, 140), (94, 201, 98), (190, 220, 50), (253, 231, 37)];
const SHADES: [&str; 5] = [" ", "\u{2591}", "\u{2592}", "\u{2593}", "\u{2588}"];
const ASCII_SHADES: [&str; 6] = [" ", ".", ":", "+", "*", "#"];
const EIGHTHS_UP: [&str; 9] =
    [" ", "\u{2581}", "\u{2582}", "\u{2583}", "\u{2584}", "\u{2585}", "\u{2586}", "\u{2587}", "\u{2588}"];
const EIGHTHS_RIGHT: [&str; 9] =
    [" ", "\u{258f}", "\u{258e}", "\u{258d}", "\u{258c}", "\u{258b}", "\u{258a}", "\u{2589}", "\u{2588}"];

impl Look {
    /// The look that the environment promises. `None` for colours leaves it to the environment.
    #[must_use]
    pub fn of_environment(colour: Option<bool>) -> Self {
        let var = |name: &str| std::env::var(name).unwrap_or_default();
        let term = var("TERM");
        let colour = colour.unwrap_or_else(|| var("NO_COLOR").is_empty());
        let depth = match colour {
            false => Depth::None,
            true if ["truecolor", "24bit"].contains(&var("COLORTERM").as_str()) => Depth::True,
            true if term.contains("256color") || term.contains("direct") => Depth::Indexed,
            true => Depth::Sixteen,
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(var).into_iter().find(|it| !it.is_empty());
        let locale = locale.unwrap_or_default().to_lowercase();
        Self { depth, ascii: !(locale.contains("utf-8") || locale.contains("utf8")) }
    }

    /// Style of a tone.
    #[must_use]
    pub fn style(self, tone: Tone) -> Style {
        let plain = Style::default();
        if self.depth == Depth::None {
            return match tone {
                Tone::Title | Tone::Accent => plain.add_modifier(Modifier::BOLD),
                Tone::Alarm => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
                Tone::Selected => plain.add_modifier(Modifier::REVERSED),
                _ => plain,
            };
        }
        let rich = self.depth != Depth::Sixteen;
        let pick = |index: u8, named: Color| plain.fg(if rich { Color::Indexed(index) } else { named });
        match tone {
            Tone::Plain => plain,
            Tone::Title => plain.add_modifier(Modifier::BOLD),
            Tone::Faint => pick(245, Color::DarkGray),
            Tone::Alarm => pick(203, Color::Red).add_modifier(Modifier::BOLD),
            Tone::Accent => pick(220, Color::Yellow).add_modifier(Modifier::BOLD),
            Tone::Selected if rich => {
                plain.bg(Color::Indexed(24)).fg(Color::Indexed(255)).add_modifier(Modifier::BOLD)
            }
            Tone::Selected => plain.add_modifier(Modifier::REVERSED),
            Tone::First => pick(39, Color::Cyan),
            Tone::Second => pick(208, Color::Magenta),
            Tone::User => pick(71, Color::Green),
            Tone::Kernel => pick(39, Color::Cyan),
            Tone::Queue => pick(203, Color::Red),
            Tone::Faults => pick(178, Color::Yellow),
            Tone::Blocked => pick(241, Color::Blue),
            Tone::Stopped => pick(133, Color::Magenta),
            Tone::Unknown => pick(236, Color::DarkGray),
        }
    }

    /// A cell of a heat map of a strength from 0 to 1.
    #[must_use]
    pub fn heat(self, strength: f64) -> (&'static str, Style) {
        let plain = Style::default();
        if strength <= 0.0 {
            return (" ", plain);
        }
        let shades: &[&str] = if self.ascii { &ASCII_SHADES } else { &SHADES };
        let shade = shades[1 + ((strength * (shades.len() - 1) as f64) as usize).min(shades.len() - 2)];
        match self.depth {
            Depth::None => (shade, plain),
            Depth::Sixteen => {
                let steps = [Color::Blue, Color::Cyan, Color::Green, Color::Yellow, Color::Red];
                (shade, plain.fg(steps[((strength * 5.0) as usize).min(4)]))
            }
            Depth::Indexed => {
                let at = ((strength * INDEXED.len() as f64) as usize).min(INDEXED.len() - 1);
                self.full(Color::Indexed(INDEXED[at]), shade)
            }
            Depth::True => self.full(mixed(strength), shade),
        }
    }

    /// A filled cell: where colour tells everything, the character only fills it.
    fn full(self, colour: Color, shade: &'static str) -> (&'static str, Style) {
        if self.ascii {
            return (shade, Style::default().fg(colour));
        }
        ("\u{2588}", Style::default().fg(colour))
    }

    /// A column of a height from 0 to 8 eighths.
    #[must_use]
    pub fn column(self, eighths: usize) -> &'static str {
        match (self.ascii, eighths) {
            (false, _) => EIGHTHS_UP[eighths.min(8)],
            (true, 0) => " ",
            (true, 1..=3) => ".",
            (true, 4..=6) => ":",
            (true, _) => "#",
        }
    }

    /// A bar of a length in cells.
    #[must_use]
    pub fn bar(self, cells: f64) -> String {
        let whole = cells.max(0.0).floor() as usize;
        let rest = ((cells - whole as f64) * 8.0).round() as usize;
        if self.ascii {
            return "#".repeat(whole + usize::from(rest >= 4 || whole == 0 && cells > 0.0));
        }
        let rest = if whole == 0 && cells > 0.0 { rest.max(1) } else { rest };
        "\u{2588}".repeat(whole) + if rest > 0 { EIGHTHS_RIGHT[rest.min(8)] } else { "" }
    }

    /// A part of a bar that is told from others by colour, or by its character where there is none.
    #[must_use]
    pub fn part(self, tone: Tone) -> &'static str {
        if self.depth != Depth::None && !self.ascii {
            return "\u{2588}";
        }
        match tone {
            Tone::User => "u",
            Tone::Kernel => "k",
            Tone::Faults => "f",
            Tone::Queue => "q",
            Tone::Blocked => ".",
            Tone::Stopped => "t",
            _ => "?",
        }
    }

    /// A horizontal line.
    #[must_use]
    pub fn rule(self) -> &'static str {
        if self.ascii { "-" } else { "\u{2500}" }
    }

    /// A vertical line.
    #[must_use]
    pub fn wall(self) -> &'static str {
        if self.ascii { "|" } else { "\u{2502}" }
    }
}

fn mixed(strength: f64) -> Color {
    let place = strength.clamp(0.0, 1.0) * (TRUE.len() - 1) as f64;
    let at = (place as usize).min(TRUE.len() - 2);
    let share = place - at as f64;
    let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share) as u8;
    let (from, to) = (TRUE[at], TRUE[at + 1]);
    Color::Rgb(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { depth: Depth::None, ascii: true };

    #[test]
    fn without_colours_there_are_none() {
        for tone in [Tone::Alarm, Tone::Selected, Tone::First, Tone::Queue, Tone::Faint] {
            let style = PLAIN.style(tone);
            assert_eq!((style.fg, style.bg), (None, None));
        }
        assert_eq!(PLAIN.heat(1.0), ("#", Style::default()));
        assert_eq!(PLAIN.heat(0.0).0, " ");
    }

    #[test]
    fn sixteen_colours_are_the_terminals_own() {
        let look = Look { depth: Depth::Sixteen, ascii: false };
        assert_eq!(look.style(Tone::Alarm).fg, Some(Color::Red));
        assert_eq!(look.heat(0.01), ("\u{2591}", Style::default().fg(Color::Blue)));
        assert_eq!(look.heat(1.0), ("\u{2588}", Style::default().fg(Color::Red)));
    }

    #[test]
    fn more_is_brighter_in_every_depth() {
        let indexed = Look { depth: Depth::Indexed, ascii: false };
        let rich = Look { depth: Depth::True, ascii: false };
        assert_eq!(indexed.heat(1.0).1.fg, Some(Color::Indexed(226)));
        assert_eq!(rich.heat(0.0001).1.fg, Some(Color::Rgb(30, 30, 80)));
        assert_eq!(rich.heat(1.0).1.fg, Some(Color::Rgb(253, 231, 37)));
    }

    #[test]
    fn bars_have_the_length_that_they_mean_and_never_vanish() {
        let look = Look { depth: Depth::True, ascii: false };
        assert_eq!(look.bar(2.5), "\u{2588}\u{2588}\u{258c}");
        assert_eq!(look.bar(0.01), "\u{258f}");
        assert_eq!((PLAIN.bar(2.6), PLAIN.bar(0.01), PLAIN.bar(0.0)), ("###".into(), "#".into(), "".into()));
    }
}

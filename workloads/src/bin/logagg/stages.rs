//! Where each message was, and for how long: what the processes note, and what that adds up to.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A call that receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The thread that made it, by its number.
    pub receiver: u32,
    /// Before it.
    pub begun_ns: u64,
    /// After it.
    pub ended_ns: u64,
}

/// A message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Who sent it.
    pub producer: u32,
    /// Which of its messages.
    pub seq: u64,
    /// When it was composed.
    pub sent_ns: u64,
    /// The call that brought it, by its place among all.
    pub reading: usize,
}

/// A call that sends, with its waiting for room: before and after it.
pub type Sending = (u64, u64);

/// What the aggregator noted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Noted {
    /// Every call that brought anything, in the order of their ends.
    pub readings: Vec<Reading>,
    /// Every message.
    pub arrivals: Vec<Arrival>,
}

/// The time of all messages from their composing to the return of the call that brought them, cut into stages that meet
/// without gap or overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stages {
    /// Messages in it.
    pub messages: u64,
    /// All of their time.
    pub whole_ns: u64,
    /// From the composing to the call that sends.
    pub composing_ns: u64,
    /// In that call, until it returned or the message was there.
    pub sending_ns: u64,
    /// Then, with the receiver in the call that brought it since before: it had waited, and was woken.
    pub waiting_ns: u64,
    /// Then, with the receiver in an earlier call, or in the one that brought it, begun when the message was there already.
    pub receiving_ns: u64,
    /// Then, with the receiver outside of its calls, busy with earlier messages.
    pub between_ns: u64,
}

impl Stages {
    /// Adds a round; messages of which one side knows nothing are left out.
    pub fn add(&mut self, noted: &Noted, sendings: &HashMap<u32, &[Sending]>) {
        let mut of_receiver: HashMap<u32, Vec<Reading>> = HashMap::new();
        for reading in &noted.readings {
            of_receiver.entry(reading.receiver).or_default().push(*reading);
        }
        for arrival in &noted.arrivals {
            let sending = sendings.get(&arrival.producer).and_then(|all| all.get(arrival.seq as usize));
            let reading = noted.readings.get(arrival.reading);
            let (Some(sending), Some(reading)) = (sending, reading) else { continue };
            let all = of_receiver.get(&reading.receiver).map(Vec::as_slice).unwrap_or_default();
            self.add_message(arrival.sent_ns, *sending, *reading, all);
        }
    }

    fn add_message(&mut self, sent: u64, sending: Sending, reading: Reading, all: &[Reading]) {
        let end = reading.ended_ns;
        // A message can be there before the call that sent it has returned: the rest of that call is not its time.
        let begun = sending.0.clamp(sent, end.max(sent));
        let away = sending.1.clamp(begun, end.max(begun));
        self.messages += 1;
        self.whole_ns += end.saturating_sub(sent);
        self.composing_ns += begun - sent;
        self.sending_ns += away - begun;
        if away >= reading.begun_ns {
            self.waiting_ns += end.saturating_sub(away);
            return;
        }
        let in_calls = overlap(all, away, end);
        self.receiving_ns += in_calls;
        self.between_ns += end - away - in_calls;
    }
}

/// How much of a time a receiver was in its calls, which follow one another.
fn overlap(readings: &[Reading], from: u64, to: u64) -> u64 {
    let first = readings.partition_point(|reading| reading.ended_ns <= from);
    let within = readings[first..].iter().take_while(|reading| reading.begun_ns < to);
    within.map(|reading| reading.ended_ns.min(to) - reading.begun_ns.max(from)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(sent: u64, sending: Sending, readings: &[(u64, u64)]) -> Stages {
        let readings =
            readings.iter().map(|&(begun_ns, ended_ns)| Reading { receiver: 0, begun_ns, ended_ns });
        let readings: Vec<Reading> = readings.collect();
        let reading = readings.len() - 1;
        let arrivals = vec![Arrival { producer: 3, seq: 0, sent_ns: sent, reading }];
        let mut stages = Stages::default();
        stages.add(&Noted { readings, arrivals }, &HashMap::from([(3, [sending].as_slice())]));
        stages
    }

    fn parts(it: Stages) -> [u64; 5] {
        let parts = [it.composing_ns, it.sending_ns, it.waiting_ns, it.receiving_ns, it.between_ns];
        assert_eq!(parts.iter().sum::<u64>(), it.whole_ns);
        parts
    }

    #[test]
    fn a_receiver_that_waits_is_woken_by_the_message() {
        assert_eq!(parts(stages(100, (110, 150), &[(50, 180)])), [10, 40, 30, 0, 0]);
    }

    #[test]
    fn a_message_that_is_there_before_its_call_returns_has_no_time_after_it() {
        assert_eq!(parts(stages(100, (110, 250), &[(50, 180)])), [10, 70, 0, 0, 0]);
    }

    #[test]
    fn a_busy_receiver_is_in_calls_and_between_them() {
        let busy = stages(100, (110, 120), &[(90, 130), (150, 170), (200, 230)]);
        assert_eq!(parts(busy), [10, 10, 0, 10 + 20 + 30, 20 + 30]);
    }

    #[test]
    fn what_only_one_side_knows_is_left_out() {
        let mut stages = Stages::default();
        let noted = Noted {
            readings: vec![Reading { receiver: 0, begun_ns: 1, ended_ns: 2 }],
            arrivals: vec![Arrival { producer: 9, seq: 0, sent_ns: 0, reading: 0 }],
        };
        stages.add(&noted, &HashMap::new());
        assert_eq!(stages, Stages::default());
    }
}

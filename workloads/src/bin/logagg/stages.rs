//! Time of each message by stage: the processes' notes, and their sums.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A call that receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The thread that made it, by its number.
    pub receiver: u32,
    /// Time before the call.
    pub begun_ns: u64,
    /// Time after the call.
    pub ended_ns: u64,
}

/// A message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Producer that sent it.
    pub producer: u32,
    /// Number of the message in its producer's sequence.
    pub seq: u64,
    /// When it was composed.
    pub sent_ns: u64,
    /// The call that brought it, by its place among all.
    pub reading: usize,
}

/// A call that sends, with its waiting for room: before and after it.
pub type Sending = (u64, u64);

/// The aggregator's notes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Noted {
    /// Every call that brought anything, in the order of their ends.
    pub readings: Vec<Reading>,
    /// Every message that arrived.
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
    /// Then, with the receiver in a call that had found nothing, so that it waited and was woken.
    pub waiting_ns: u64,
    /// Then, with the receiver in a call that found something at once.
    pub receiving_ns: u64,
    /// Then, with the receiver outside of its calls, busy with earlier messages.
    pub between_ns: u64,
    /// Of every call that had found nothing, once, for all that it brought: from the return of the call that sent the
    /// first message to its own.
    pub woken_ns: u64,
}

/// A call that receives, and when the first message that it brought was on its way.
#[derive(Clone, Copy)]
struct Call {
    begun_ns: u64,
    ended_ns: u64,
    first_away_ns: Option<u64>,
}

impl Call {
    fn has_waited(&self) -> bool {
        self.first_away_ns.is_some_and(|away| away >= self.begun_ns)
    }
}

impl Stages {
    /// Adds a round; messages of which one side knows nothing are left out.
    pub fn add(&mut self, noted: &Noted, sendings: &HashMap<u32, &[Sending]>) {
        let sending = |arrival: &Arrival| sendings.get(&arrival.producer)?.get(arrival.seq as usize).copied();
        let mut first_away: HashMap<usize, u64> = HashMap::new();
        for arrival in &noted.arrivals {
            if let Some((_, away)) = sending(arrival) {
                first_away
                    .entry(arrival.reading)
                    .and_modify(|first| *first = away.min(*first))
                    .or_insert(away);
            }
        }
        let mut calls: HashMap<u32, Vec<Call>> = HashMap::new();
        for (nth, reading) in noted.readings.iter().enumerate() {
            let Reading { receiver, begun_ns, ended_ns } = *reading;
            let call = Call { begun_ns, ended_ns, first_away_ns: first_away.get(&nth).copied() };
            let away = call.first_away_ns.filter(|_| call.has_waited());
            self.woken_ns += away.map_or(0, |away| ended_ns.saturating_sub(away));
            calls.entry(receiver).or_default().push(call);
        }
        for arrival in &noted.arrivals {
            let (Some(sending), Some(reading)) = (sending(arrival), noted.readings.get(arrival.reading))
            else {
                continue;
            };
            let all = calls.get(&reading.receiver).map(Vec::as_slice).unwrap_or_default();
            self.add_message(arrival.sent_ns, sending, reading.ended_ns, all);
        }
    }

    fn add_message(&mut self, sent: u64, sending: Sending, end: u64, calls: &[Call]) {
        // A message can be there before the call that sent it has returned: the rest of that call is not its time.
        let end = end.max(sent);
        let begun = sending.0.clamp(sent, end);
        let away = sending.1.clamp(begun, end);
        let (waiting, receiving) = in_calls(calls, away, end);
        self.messages += 1;
        self.whole_ns += end - sent;
        self.composing_ns += begun - sent;
        self.sending_ns += away - begun;
        self.waiting_ns += waiting;
        self.receiving_ns += receiving;
        self.between_ns += end - away - waiting - receiving;
    }
}

/// Time that a receiver spent in calls that waited, and in those that did not. Calls follow one another.
fn in_calls(calls: &[Call], from: u64, to: u64) -> (u64, u64) {
    let first = calls.partition_point(|call| call.ended_ns <= from);
    let (mut waiting, mut receiving) = (0, 0);
    for call in calls[first..].iter().take_while(|call| call.begun_ns < to) {
        let within = call.ended_ns.min(to) - call.begun_ns.max(from);
        *(if call.has_waited() { &mut waiting } else { &mut receiving }) += within;
    }
    (waiting, receiving)
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
        let woken = stages(100, (110, 150), &[(50, 180)]);
        assert_eq!((parts(woken), woken.woken_ns), ([10, 40, 30, 0, 0], 30));
    }

    #[test]
    fn a_message_that_is_there_before_its_call_returns_has_no_time_after_it() {
        assert_eq!(parts(stages(100, (110, 250), &[(50, 180)])), [10, 70, 0, 0, 0]);
    }

    #[test]
    fn a_busy_receiver_is_in_calls_and_between_them() {
        let busy = stages(100, (110, 120), &[(90, 130), (150, 170), (200, 230)]);
        assert_eq!(parts(busy), [10, 10, 0, 10 + 20 + 30, 20 + 30]);
        assert_eq!(busy.woken_ns, 0);
    }

    #[test]
    fn messages_that_come_together_share_one_wakeup() {
        let reading = |begun_ns, ended_ns| Reading { receiver: 0, begun_ns, ended_ns };
        let arrival = |producer, reading| Arrival { producer, seq: 0, sent_ns: 100, reading };
        let noted = Noted {
            readings: vec![reading(50, 180), reading(190, 200)],
            arrivals: vec![arrival(1, 0), arrival(2, 1)],
        };
        let (first, second) = ([(110, 120)], [(110, 130)]);
        let sendings = HashMap::from([(1, first.as_slice()), (2, second.as_slice())]);
        let mut stages = Stages::default();
        stages.add(&noted, &sendings);
        assert_eq!(parts(stages), [20, 10 + 20, 60 + 50, 10, 10]);
        assert_eq!(stages.woken_ns, 60);
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

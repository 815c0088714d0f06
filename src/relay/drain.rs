//! Planned shutdown as sessions see it (R11).

use tokio::sync::watch;

/// How far the gate is with leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    Running,
    /// No new sessions; idle ones end, a message in progress is finished.
    Draining,
    /// The time set for that is over.
    Over,
}

/// The switch, held by whoever runs the gate.
pub struct DrainSwitch(watch::Sender<Phase>);

/// One session's view of it.
#[derive(Clone)]
pub struct Drain(watch::Receiver<Phase>);

impl DrainSwitch {
    pub fn new() -> (DrainSwitch, Drain) {
        let (sender, receiver) = watch::channel(Phase::Running);
        (DrainSwitch(sender), Drain(receiver))
    }

    pub fn drain(&self) {
        let _ = self.0.send(Phase::Draining);
    }

    pub fn end(&self) {
        let _ = self.0.send(Phase::Over);
    }
}

impl Drain {
    /// Resolves when no new work is wanted.
    pub async fn draining(&mut self) {
        self.reached(Phase::Draining).await;
    }

    /// Resolves when work in progress is to be given up.
    pub async fn over(&mut self) {
        self.reached(Phase::Over).await;
    }

    async fn reached(&mut self, phase: Phase) {
        // A switch that is gone has gone with the gate.
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }
}

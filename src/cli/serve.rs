//! `consentry serve`: the gate, until it is told to stop.

use std::process::ExitCode;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{CliError, Globals};
use crate::config;
use crate::server::Server;
use crate::server::control::Control;
use crate::server::sockets::Sockets;
use crate::telemetry;

/// Run the gate.
///
/// SIGHUP loads the policy again; a bad file changes nothing. SIGTERM and SIGINT
/// drain: no new sessions, running ones finish within `drain_timeout`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    telemetry::start(settings.log.format);
    raise_descriptor_limit();
    // Before anybody can know that the gate runs: a SIGHUP that nobody listens to ends a process.
    let mut signals = Signals::listen()?;
    let control = settings.control.clone();
    let warnings = config::warnings(&settings, &policy);
    let hash = policy.hash.clone();
    let server = Server::start(settings, policy, Sockets::from_systemd())
        .map_err(|error| CliError::Failed(error.to_string()))?;
    let _control = control.map(|path| {
        Control::open(&path, server.gate().clone())
            .map_err(|error| CliError::Failed(format!("control socket {}: {error}", path.display())))
    });
    let _control = _control.transpose()?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    for (name, address) in &server.addresses {
        tracing::info!(listener = name, address = %address, "listening");
    }
    tracing::info!(policy = hash, "policy in force");
    let _ = sd_notify::notify(false, &[NotifyState::Ready]);
    signals.wait_for_the_end(&server);
    let _ = sd_notify::notify(false, &[NotifyState::Stopping]);
    tracing::info!("draining");
    server.stop();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Two descriptors for each session: the soft limit is for programs that use select.
fn raise_descriptor_limit() {
    if let Ok((_, hard)) = rlimit::Resource::NOFILE.get() {
        let _ = rlimit::Resource::NOFILE.set(hard, hard);
    }
}

/// What the outside may ask of a process, from the moment this exists.
struct Signals {
    runtime: Runtime,
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

#[derive(PartialEq, Eq)]
enum Asked {
    Reload,
    End,
}

impl Signals {
    fn listen() -> Result<Signals, CliError> {
        let failed = |error: std::io::Error| CliError::Failed(format!("signals cannot be received: {error}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let inside = runtime.enter();
        let listen = |kind| signal(kind).map_err(failed);
        let (hangup, terminate) = (listen(SignalKind::hangup())?, listen(SignalKind::terminate())?);
        let interrupt = listen(SignalKind::interrupt())?;
        drop(inside);
        Ok(Signals { runtime, hangup, terminate, interrupt })
    }

    /// Reloads on SIGHUP, feeds the watchdog, returns on SIGTERM or SIGINT.
    fn wait_for_the_end(&mut self, server: &Server) {
        // Outside the runtime: a reload waits for the store in one of its own.
        while self.next() == Asked::Reload {
            reload(server);
        }
    }

    fn next(&mut self) -> Asked {
        self.runtime.block_on(async {
            let mut watchdog = tokio::time::interval(watchdog_interval());
            loop {
                tokio::select! {
                    _ = self.terminate.recv() => return Asked::End,
                    _ = self.interrupt.recv() => return Asked::End,
                    _ = self.hangup.recv() => return Asked::Reload,
                    _ = watchdog.tick() => { let _ = sd_notify::notify(false, &[NotifyState::Watchdog]); }
                }
            }
        })
    }
}

/// Half of what systemd waits; without a watchdog the notice goes nowhere.
fn watchdog_interval() -> Duration {
    let mut micros = 0;
    if sd_notify::watchdog_enabled(false, &mut micros) && micros > 1 {
        return Duration::from_micros(micros / 2);
    }
    Duration::from_secs(60)
}

fn reload(server: &Server) {
    if let Err(error) = server.reload() {
        for line in error.to_string().lines() {
            tracing::error!("reload refused, the policy in force stays: {line}");
        }
    }
}

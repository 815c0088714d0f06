//! The systemd units that ship: well-formed, as tight as promised, and fitting the program.

use std::path::PathBuf;
use std::process::{Command, Output};

use clap::Parser;
use consentry::cli::Cli;

/// What `systemd-analyze security` may say at most, on its scale from 0 (best) to 10.
const EXPOSURE_LIMIT: f64 = 1.5;

fn unit(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// None, with a message, where there is no systemd-analyze and nobody promised one.
fn systemd_analyze(arguments: &[&str]) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).output() {
        Ok(output) => Some(output),
        Err(_) if std::env::var_os("CI").is_none() => {
            eprintln!("SKIPPED: systemd-analyze is not installed; scripts/setup-test-peers brings it");
            None
        }
        Err(error) => panic!("systemd-analyze cannot be run: {error}; scripts/setup-test-peers brings it"),
    }
}

fn settings_of(name: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(unit(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn has(settings: &[(String, String)], key: &str, value: &str) -> bool {
    settings.iter().any(|(k, v)| k == key && v == value)
}

#[test]
fn the_sandboxes_of_the_services_leave_little_exposed() {
    for name in ["consentry.service", "consentry-retention.service"] {
        leaves_little_exposed(name);
    }
}

fn leaves_little_exposed(name: &str) {
    let service = unit(name);
    let Some(output) = systemd_analyze(&["security", "--offline=true", "--no-pager", service.to_str().unwrap()]) else {
        return;
    };
    let report = String::from_utf8_lossy(&output.stdout);
    let summary = report.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| {
        panic!("systemd-analyze gave no verdict: {report}{}", String::from_utf8_lossy(&output.stderr))
    });
    let level = summary.split(':').nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    assert!(level.parse::<f64>().unwrap() <= EXPOSURE_LIMIT, "{summary}\n{report}");
}

#[test]
fn systemd_reads_the_units_without_a_complaint_of_its_own() {
    let names = ["consentry.service", "consentry.socket", "consentry-retention.service", "consentry-retention.timer"];
    let units = names.map(|name| unit(name).to_str().unwrap().to_owned());
    let arguments: Vec<&str> = std::iter::once("verify").chain(units.iter().map(String::as_str)).collect();
    let Some(output) = systemd_analyze(&arguments) else {
        return;
    };
    let complaints = String::from_utf8_lossy(&output.stderr);
    // The program is not installed where the tests run; everything else said about our files is a fault.
    let of_ours =
        complaints.lines().filter(|line| line.contains("consentry")).filter(|line| !line.contains("is not executable"));
    assert_eq!(of_ours.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn the_service_tells_systemd_how_it_is_and_reloads_by_a_signal() {
    let service = settings_of("consentry.service");
    assert!(has(&service, "Type", "notify"));
    assert!(service.iter().any(|(key, _)| key == "WatchdogSec"));
    assert!(has(&service, "ExecReload", "/bin/kill -HUP $MAINPID"));
    assert!(has(&service, "DynamicUser", "yes"));
    assert!(has(&service, "StateDirectory", "consentry") && has(&service, "RuntimeDirectory", "consentry"));
}

#[test]
fn every_socket_carries_the_name_of_its_listener() {
    let socket = settings_of("consentry.socket");
    assert!(has(&socket, "FileDescriptorName", "submission"));
    assert!(has(&socket, "Service", "consentry.service"));
    assert_eq!(socket.iter().filter(|(key, _)| key == "FileDescriptorName").count(), 1, "one unit, one name");
}

#[test]
fn retention_runs_every_day_as_the_user_who_owns_the_store_and_without_a_network() {
    let timer = settings_of("consentry-retention.timer");
    assert!(timer.iter().any(|(key, _)| key == "OnCalendar") && has(&timer, "Persistent", "yes"));
    let (gate, retention) = (settings_of("consentry.service"), settings_of("consentry-retention.service"));
    for key in ["User", "DynamicUser", "StateDirectory", "ConfigurationDirectory"] {
        let value = |unit: &[(String, String)]| unit.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
        assert_eq!(value(&gate), value(&retention), "{key}");
    }
    let secrets = |unit: &[(String, String)]| unit.iter().filter(|(key, _)| key == "LoadCredential").count();
    assert_eq!(secrets(&gate), secrets(&retention));
    assert!(has(&retention, "PrivateNetwork", "yes") && has(&retention, "Type", "oneshot"));
    let command = &retention.iter().find(|(key, _)| key == "ExecStart").unwrap().1;
    let mut words = command.split(' ').skip(1);
    let parsed = Cli::try_parse_from(std::iter::once("consentry").chain(&mut words));
    assert!(parsed.is_ok(), "{command}: {:?}", parsed.err());
}

//! Mail servers and clients that nobody here wrote, each in a directory of its own.
//!
//! They cannot be handed a socket, so no test shares an address with another one: every process has loopback
//! addresses made of its own number, and counts ports up on them.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::DEADLINE;

/// An address no other test process uses: 127.64.0.0/10 holds one for each possible process number.
pub fn own_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(2500);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, 64 | high, middle, low), NEXT.fetch_add(1, Ordering::SeqCst)))
}

/// The program, or the reason why this test ends here. Under CI a missing peer is a failure.
pub fn program(name: &str) -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/unpacked");
    let places = match name {
        "opensmtpd" => vec![unpacked.join("opensmtpd/usr/sbin/smtpd")],
        "exim" => vec![unpacked.join("exim4-daemon-light/usr/sbin/exim4")],
        _ => {
            let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
            path.split(':').map(|directory| Path::new(directory).join(name)).collect()
        }
    };
    let found = places.into_iter().find(|path| path.is_file());
    if found.is_none() {
        missing(&format!("{name} is not installed"));
    }
    found
}

/// Servers that change their user need to be started by root.
pub fn may_start_servers() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !root {
        missing("mail servers can be started by root only");
    }
    root
}

pub fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}; scripts/setup-test-peers brings what the tests need");
    eprintln!("SKIPPED: {what}; scripts/setup-test-peers brings what the tests need");
}

/// A server in a process group of its own, with its log line by line.
struct Server {
    child: Child,
    log: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Server {
    fn start(mut command: Command) -> Server {
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (stderr, kept) = (child.stderr.take().unwrap(), Arc::clone(&log));
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.0.lock().unwrap().push(line);
                kept.1.notify_all();
            }
        });
        Server { child, log }
    }

    fn wait_for_log(&self, what: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let waited = self.log.1.wait_timeout_while(self.log.0.lock().unwrap(), DEADLINE, |lines| !wanted(lines));
        let (lines, result) = waited.unwrap();
        assert!(!result.timed_out(), "the log never told of {what}:\n{}", lines.join("\n"));
        lines.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The whole group: a mail server is many processes.
        let _ = Command::new("kill").args(["-TERM", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
        let _ =
            Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).stderr(Stdio::null()).status();
    }
}

/// Asks again until it is so: files and sockets of other programs send no signal of their own.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        thread::park_timeout(Duration::from_millis(10));
    }
}

pub fn wait_until_it_listens(address: SocketAddr) {
    until(&format!("a server at {address}"), || TcpStream::connect(address).ok());
}

/// Readable for the users that servers change to.
fn open_directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    directory
}

/// A Postfix of its own: stock settings but for where its files lie and where mail goes.
pub struct Postfix {
    pub address: SocketAddr,
    directory: TempDir,
    server: Server,
}

impl Postfix {
    /// Takes mail for every address at example.net into one mailbox.
    pub fn with_a_mailbox() -> Option<Postfix> {
        Self::start(
            "virtual_mailbox_domains = example.net\nvirtual_mailbox_maps = static:mailbox/\n\
             virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nvirtual_minimum_uid = 1\n",
        )
    }

    /// Sends everything on to the next hop.
    pub fn relaying_to(next: SocketAddr) -> Option<Postfix> {
        Self::start(&format!("relayhost = [{}]:{}\n", next.ip(), next.port()))
    }

    pub fn start(settings: &str) -> Option<Postfix> {
        if !may_start_servers() {
            return None;
        }
        let postconf = program("postconf")?;
        let (address, directory) = (own_address(), open_directory());
        let root = directory.path();
        for name in ["etc", "queue", "data", "mail"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        let answer = Command::new(postconf).args(["-d", "-h", "daemon_directory"]).output().unwrap();
        let daemons = String::from_utf8(answer.stdout).unwrap();
        chown("postfix", &root.join("data"));
        chown("nobody", &root.join("mail"));
        std::fs::write(root.join("etc/main.cf"), main_cf(root, settings)).unwrap();
        std::fs::write(root.join("etc/master.cf"), master_cf(address)).unwrap();

        let etc = root.join("etc").into_os_string().into_string().unwrap();
        let checked = Command::new(program("postfix")?).args(["-c", &etc, "check"]).output().unwrap();
        assert!(
            checked.status.success(),
            "{}{}",
            String::from_utf8_lossy(&checked.stderr),
            std::fs::read_to_string(root.join("log")).unwrap_or_default()
        );
        let mut master = Command::new(Path::new(daemons.trim()).join("master"));
        master.args(["-d", "-c", &etc]);
        let server = Server::start(master);
        wait_until_it_listens(address);
        Some(Postfix { address, directory, server })
    }

    /// Every message in the mailbox, once the queue is empty.
    pub fn mailbox(&self) -> Vec<Vec<u8>> {
        self.wait_until_quiet();
        self.delivered()
    }

    /// Waits for so many messages in the mailbox.
    pub fn wait_for_mailbox(&self, wanted: usize) -> Vec<Vec<u8>> {
        until(&format!("{wanted} messages in the mailbox"), || Some(self.delivered()).filter(|all| all.len() >= wanted))
    }

    fn delivered(&self) -> Vec<Vec<u8>> {
        let directory = self.directory.path().join("mail/mailbox/new");
        let entries =
            std::fs::read_dir(directory).map(|entries| entries.flatten().collect()).unwrap_or_else(|_| Vec::new());
        entries.into_iter().map(|entry| std::fs::read(entry.path()).unwrap()).collect()
    }

    /// No session is open and no message waits, so nothing can arrive any more.
    pub fn wait_until_quiet(&self) {
        until("an idle Postfix", || {
            let log = self.log();
            let count = |what: &str| log.lines().filter(|line| line.contains("/smtpd[") && line.contains(what)).count();
            (count(": connect from") == count(": disconnect from") && self.queue_is_empty()).then_some(())
        });
    }

    fn queue_is_empty(&self) -> bool {
        let queues = ["maildrop", "incoming", "active", "deferred"];
        queues.iter().all(|queue| !holds_a_file(&self.directory.path().join("queue").join(queue)))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

fn holds_a_file(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.path().is_file() || holds_a_file(&entry.path())))
    })
}

fn chown(user: &str, path: &Path) {
    assert!(Command::new("chown").arg(user).arg(path).status().unwrap().success());
}

fn main_cf(root: &Path, settings: &str) -> String {
    let root = root.display();
    format!(
        "compatibility_level = 3.6\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = postfix.example\n\
         mydestination =\nmynetworks = 127.0.0.0/8\nalias_maps =\nalias_database =\n\
         queue_directory = {root}/queue\ndata_directory = {root}/data\nvirtual_mailbox_base = {root}/mail\n\
         maillog_file = {root}/log\nmaillog_file_prefixes = {root}\ndisable_dns_lookups = yes\n\
         smtpd_peername_lookup = no\nsmtpd_tls_security_level = none\nsmtp_tls_security_level = none\n\
         message_size_limit = 104857600\nvirtual_mailbox_limit = 0\nbiff = no\n{settings}"
    )
}

fn master_cf(address: SocketAddr) -> String {
    format!(
        "{address} inet n - n - - smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\n\
         smtp unix - - n - - smtp\nlmtp unix - - n - - lmtp\nrelay unix - - n - - smtp\nerror unix - - n - - error\nretry unix - - n - - error\n\
         discard unix - - n - - discard\nvirtual unix - n n - - virtual\nanvil unix - - n - 1 anvil\n\
         scache unix - - n - 1 scache\nproxymap unix - - n - - proxymap\npostlog unix-dgram n - n - 1 postlogd\n"
    )
}

/// Runs a command among private mounts: the users the packages would have made, and the fixed places of their files.
fn among_private_mounts(root: &Path, script: &str) -> Command {
    let passwd = "root:x:0:0:root:/root:/bin/sh\nopensmtpd:x:990:990::/:/bin/false\nopensmtpq:x:991:991::/:/bin/false\n\
                  Debian-exim:x:992:992::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n";
    let group = "root:x:0:\nopensmtpd:x:990:\nopensmtpq:x:991:\nDebian-exim:x:992:\nmail:x:8:\nnogroup:x:65534:\n";
    std::fs::write(root.join("passwd"), passwd).unwrap();
    std::fs::write(root.join("group"), group).unwrap();
    let users = "mount --bind passwd /etc/passwd && mount --bind group /etc/group";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", &format!("{users} && {script}")]).current_dir(root);
    command
}

/// Debian's OpenSMTPD, accepting everything and sending it on.
pub struct OpenSmtpd {
    pub address: SocketAddr,
    _directory: TempDir,
    server: Server,
}

impl OpenSmtpd {
    pub fn relaying_to(next: SocketAddr) -> Option<OpenSmtpd> {
        if !may_start_servers() {
            return None;
        }
        let smtpd = program("opensmtpd")?;
        let (address, directory) = (own_address(), open_directory());
        let root = directory.path();
        let settings = format!(
            "smtp limit max-mails 100000\nlisten on {ip} port {port} hostname opensmtpd.example\n\
             action \"on\" relay host smtp://{next}\nmatch from any for any action \"on\"\n",
            ip = address.ip(),
            port = address.port(),
        );
        std::fs::write(root.join("smtpd.conf"), settings).unwrap();
        for name in ["spool/smtpd", "run", "lib/opensmtpd/empty"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::set_permissions(root.join("spool/smtpd"), PermissionsExt::from_mode(0o711)).unwrap();
        let script = format!(
            "mount --bind spool /var/spool && mount --bind run /run && mount --bind lib /var/lib && exec {} -d -f smtpd.conf",
            smtpd.display()
        );
        let server = Server::start(among_private_mounts(root, &script));
        wait_until_it_listens(address);
        Some(OpenSmtpd { address, _directory: directory, server })
    }

    /// The envelope senders of all messages it has taken, once every session has ended.
    pub fn accepted_senders(&self) -> Vec<String> {
        let count = |lines: &[String], what: &str| lines.iter().filter(|line| line.contains(what)).count();
        let lines = self.server.wait_for_log("the end of every session", |lines| {
            count(lines, " smtp connected ") > 1
                && count(lines, " smtp connected ") == count(lines, " smtp disconnected ")
        });
        let taken = lines.iter().filter(|line| line.contains(" smtp envelope "));
        taken.filter_map(|line| Some(line.split("from=<").nth(1)?.split('>').next()?.to_owned())).collect()
    }
}

/// Debian's Exim, taking everything into its queue and leaving it there.
pub struct Exim {
    pub address: SocketAddr,
    directory: TempDir,
    _server: Server,
}

impl Exim {
    pub fn queueing() -> Option<Exim> {
        if !may_start_servers() {
            return None;
        }
        let exim = program("exim")?;
        let (address, directory) = (own_address(), open_directory());
        let root = directory.path();
        std::fs::create_dir(root.join("spool")).unwrap();
        let settings = format!(
            "primary_hostname = exim.example\nlocal_interfaces = {ip}\ndaemon_smtp_ports = {port}\n\
             spool_directory = {root}/spool\nlog_file_path = {root}/spool/log-%slog\npid_file_path = {root}/spool/pid\n\
             log_selector = +smtp_connection\ntls_advertise_hosts =\nhost_lookup =\nrfc1413_hosts =\nqueue_only = true\n\
             message_size_limit = 100M\nacl_smtp_rcpt = take\nacl_smtp_data = take\nbegin acl\ntake:\n  accept\n\
             begin routers\nall:\n  driver = manualroute\n  route_list = * {ip} byname\n  transport = out\n\
             begin transports\nout:\n  driver = smtp\n",
            ip = address.ip(),
            port = address.port(),
            root = root.display(),
        );
        std::fs::write(root.join("exim.conf"), settings).unwrap();
        let libraries =
            exim.ancestors().nth(3).unwrap().join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
        let script = format!(
            "chown -R Debian-exim spool && LD_LIBRARY_PATH={} exec {} -bdf -C {}/exim.conf",
            libraries.display(),
            exim.display(),
            root.display()
        );
        let server = Server::start(among_private_mounts(root, &script));
        wait_until_it_listens(address);
        Some(Exim { address, directory, _server: server })
    }

    /// The envelope senders of all messages it has taken, once every session has ended.
    pub fn accepted_senders(&self) -> Vec<String> {
        let log = until("an idle Exim", || {
            let log = std::fs::read_to_string(self.directory.path().join("spool/log-mainlog")).ok()?;
            let count = |what: &str| log.matches(what).count();
            let ended = count(" closed by QUIT") + count(" lost") + count(" closed by DROP") + count(" closed after");
            (count("SMTP connection from") >= 2 && count("SMTP connection from") == 2 * ended).then_some(log)
        });
        log.lines().filter_map(|line| Some(line.split(" <= ").nth(1)?.split(' ').next()?.to_owned())).collect()
    }
}

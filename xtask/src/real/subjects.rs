//! The programs: how each is started, and what loads it.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{
    load,
    window::{Load, Server, wait},
};
use crate::{
    process::{capture, command, which},
    workspace,
};

/// A program that other people wrote.
pub struct Subject {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// Programs that it needs.
    pub programs: &'static [&'static str],
    /// Starts it, and waits until it serves.
    pub start: fn(&Path) -> Result<Server>,
    /// Puts it under load.
    pub load: Load,
}

/// All of them.
pub const SUBJECTS: &[Subject] = &[
    Subject {
        name: "redis",
        programs: &["redis-server", "redis-benchmark"],
        start: redis,
        load: load::redis,
    },
    Subject { name: "memcached", programs: &["memcached"], start: memcached, load: load::memcached },
    Subject { name: "nginx", programs: &["nginx"], start: nginx, load: load::http },
    Subject {
        name: "postgres",
        programs: &["initdb", "postgres", "psql", "pgbench", "setpriv"],
        start: postgres,
        load: load::postgres,
    },
    Subject { name: "python", programs: &["python3"], start: python, load: load::http },
    Subject { name: "node", programs: &["node"], start: node, load: load::http },
    Subject { name: "go", programs: &["go"], start: go, load: load::http },
    Subject { name: "java", programs: &["java", "javac"], start: java, load: load::http },
    Subject { name: "stress-ng", programs: &["stress-ng"], start: stress, load: load::itself },
];

/// A port that is free now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn source(name: &str) -> PathBuf {
    workspace::root().join("xtask/src/real/programs").join(name)
}

/// Starts a server, and waits until it answers.
fn serving(program: &mut Command, port: u16) -> Result<Server> {
    let child = load::silent(program).spawn().context("cannot start the program")?;
    let server = Server { child, port };
    load::answers(port)?;
    Ok(server)
}

fn redis(dir: &Path) -> Result<Server> {
    let port = free_port()?;
    let mut redis = command("redis-server");
    redis.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string(), "--dir"]).arg(dir);
    serving(&mut redis, port)
}

fn memcached(_dir: &Path) -> Result<Server> {
    let port = free_port()?;
    let mut memcached = command("memcached");
    memcached.args(["-u", "root", "-l", "127.0.0.1", "-t", "4", "-p", &port.to_string()]);
    serving(&mut memcached, port)
}

fn nginx(dir: &Path) -> Result<Server> {
    let port = free_port()?;
    let place = dir.display();
    let configuration = format!(
        "daemon off; user root; worker_processes 2; pid {place}/pid; error_log {place}/error.log; events {{}}\n\
         http {{ access_log off; server {{ listen 127.0.0.1:{port}; location / {{ return 200 hello; }} }} }}\n"
    );
    let file = dir.join("nginx.conf");
    fs::write(&file, configuration)?;
    serving(command("nginx").arg("-c").arg(&file), port)
}

/// Path of a program. Debian keeps PostgreSQL's out of the path, but for wrappers that know its own clusters only.
pub fn installed(name: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin").join(name));
    programs.filter(|path| path.is_file()).max().or_else(|| which(name))
}

/// The same of a program that is looked for before its subject is tried.
pub fn program(name: &str) -> Result<PathBuf> {
    installed(name).with_context(|| format!("cannot find {name}"))
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let mut setpriv = command("setpriv");
    setpriv.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    // It may not enter where root is.
    setpriv.current_dir("/");
    setpriv
}

fn postgres(dir: &Path) -> Result<Server> {
    capture(command("chown").arg("postgres:postgres").arg(dir))?;
    let data = dir.join("data");
    let mut create = as_postgres(&program("initdb")?);
    capture(create.args(["--no-sync", "-A", "trust", "-U", "postgres", "-D"]).arg(&data))?;
    let port = free_port()?;
    let mut postgres = as_postgres(&program("postgres")?);
    postgres.arg("-D").arg(&data).arg("-k").arg(dir).args([
        "-c",
        "listen_addresses=",
        "-p",
        &port.to_string(),
    ]);
    let server =
        Server { child: load::silent(&mut postgres).spawn().context("cannot start PostgreSQL")?, port };
    let client = |name: &str| -> Result<Command> {
        let mut client = command(program(name)?);
        client.arg("-h").arg(dir).args(["-p", &port.to_string(), "-U", "postgres"]);
        Ok(client)
    };
    let mut ask = client("psql")?;
    ask.args(["-c", "select 1", "postgres"]);
    wait("PostgreSQL to serve", || capture(&mut ask).is_ok())?;
    capture(client("pgbench")?.args(["-i", "-q", "postgres"]))?;
    Ok(server)
}

fn python(_dir: &Path) -> Result<Server> {
    let port = free_port()?;
    serving(command(python_itself()).arg(source("server.py")).arg(port.to_string()), port)
}

/// Not a shell script that chooses one.
fn python_itself() -> PathBuf {
    let debians = PathBuf::from("/usr/bin/python3");
    if debians.is_file() { debians } else { PathBuf::from("python3") }
}

fn node(_dir: &Path) -> Result<Server> {
    let port = free_port()?;
    serving(command("node").arg(source("server.js")).arg(port.to_string()), port)
}

fn go(dir: &Path) -> Result<Server> {
    let program = dir.join("server");
    let mut go = command("go");
    go.args(["build", "-o"]).arg(&program).arg(source("server.go"));
    let cache = workspace::target()?.join("go-cache");
    capture(go.env("GOCACHE", cache).env("CGO_ENABLED", "0").env("GO111MODULE", "off"))?;
    let port = free_port()?;
    serving(command(program).arg(port.to_string()), port)
}

fn java(dir: &Path) -> Result<Server> {
    capture(command("javac").arg("-d").arg(dir).arg(source("Server.java")))?;
    let port = free_port()?;
    serving(command("java").arg("-cp").arg(dir).arg("Server").arg(port.to_string()), port)
}

/// Pipes, futexes, switches, signals and forks, so many of each. It stands still before its first call.
fn stress(dir: &Path) -> Result<Server> {
    const WORDS: &str = "--pipe 1 --pipe-ops 20000 --futex 1 --futex-ops 3000 --switch 1 --switch-ops 5000 \
                         --fork 1 --fork-ops 100 --sigq 1 --sigq-ops 2000 --eventfd 1 --eventfd-ops 2000";
    let mut stress = command("sh");
    stress.args(["-c", "kill -STOP $$; exec \"$@\"", "sh", "stress-ng"]).args(WORDS.split_whitespace());
    let child = load::silent(stress.arg("--temp-path").arg(dir)).spawn().context("cannot start stress-ng")?;
    let stat = format!("/proc/{}/stat", child.id());
    wait("the shell to stop", || fs::read_to_string(&stat).is_ok_and(|text| text.contains(") T ")))?;
    Ok(Server { child, port: 0 })
}

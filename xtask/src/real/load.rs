//! Load: so many requests over a few connections that stay open, each answered before the next.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Stdio,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::window::{Server, wait};
use crate::process::{capture, command};

const CONNECTIONS: u32 = 4;
const REQUESTS: u32 = 500;

/// Sends a request over a connection, and reads the answer.
type Exchange = fn(&mut BufReader<TcpStream>) -> Result<()>;

fn connect(port: u16) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(BufReader::new(stream))
}

/// Waits until a server answers.
pub fn answers(port: u16) -> Result<()> {
    wait("the server to listen", || connect(port).is_ok())
}

fn requests(port: u16, exchange: Exchange) -> Result<()> {
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            thread::spawn(move || -> Result<()> {
                let mut stream = connect(port)?;
                (0..REQUESTS).try_for_each(|_| exchange(&mut stream))
            })
        })
        .collect();
    connections.into_iter().try_for_each(|connection| match connection.join() {
        Ok(done) => done,
        Err(_) => bail!("cannot load the server: a connection panicked"),
    })
}

/// The next line of an answer.
fn line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        bail!("cannot load the server: it hung up");
    }
    Ok(line)
}

/// GET requests of HTTP.
pub fn http(server: &mut Server, _dir: &Path) -> Result<()> {
    requests(server.port, |stream| {
        stream.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let status = line(stream)?;
        if !status.contains(" 200 ") {
            bail!("cannot load the server: it answers `{}`", status.trim());
        }
        let (mut header, mut length) = (status, 0);
        while header != "\r\n" {
            header = line(stream)?.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        Ok(stream.read_exact(&mut vec![0; length])?)
    })
}

/// Sets and gets of memcached's text protocol.
pub fn memcached(server: &mut Server, _dir: &Path) -> Result<()> {
    requests(server.port, |stream| {
        stream.get_mut().write_all(b"set key 0 0 5\r\nhello\r\nget key\r\n")?;
        while line(stream)? != "END\r\n" {}
        Ok(())
    })
}

/// Redis's own load generator.
pub fn redis(server: &mut Server, _dir: &Path) -> Result<()> {
    let port = server.port.to_string();
    capture(command("redis-benchmark").args(["-p", &port, "-n", "10000", "-c", "8", "-t", "set,get", "-q"]))
        .map(drop)
}

/// PostgreSQL's own load generator; each client is a process of the server.
pub fn postgres(server: &mut Server, dir: &Path) -> Result<()> {
    let port = server.port.to_string();
    let mut bench = command(super::subjects::program("pgbench")?);
    bench.arg("-h").arg(dir).args(["-p", &port, "-U", "postgres", "-n", "-c", "4", "-t", "150", "postgres"]);
    capture(&mut bench).map(drop)
}

/// No load: the program loads itself until its end.
pub fn itself(server: &mut Server, _dir: &Path) -> Result<()> {
    let status = server.child.wait().context("cannot wait for the program")?;
    if !status.success() {
        bail!("cannot load the machine: the program ended with {status}");
    }
    Ok(())
}

/// Standard streams that go nowhere.
pub fn silent(program: &mut std::process::Command) -> &mut std::process::Command {
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

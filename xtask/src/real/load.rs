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

/// One connection's view of a protocol: sends a request and takes in its answer.
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

/// GET requests of HTTP.
pub fn http(server: &mut Server, _dir: &Path) -> Result<()> {
    requests(server.port, |stream| {
        stream.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let (mut line, mut length, mut chunked) = (String::new(), 0, false);
        stream.read_line(&mut line)?;
        if !line.contains(" 200 ") {
            bail!("cannot load the server: it answers `{}`", line.trim());
        }
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line)?;
            let header = line.to_ascii_lowercase();
            chunked |= header.starts_with("transfer-encoding: chunked");
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        if chunked {
            // One chunk of five bytes and the empty one: `5\r\nhello\r\n0\r\n\r\n`.
            length = 15;
        }
        stream.read_exact(&mut vec![0; length])?;
        Ok(())
    })
}

/// Sets and gets of memcached's text protocol.
pub fn memcached(server: &mut Server, _dir: &Path) -> Result<()> {
    requests(server.port, |stream| {
        stream.get_mut().write_all(b"set key 0 0 5\r\nhello\r\nget key\r\n")?;
        let mut line = String::new();
        while line != "END\r\n" {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                bail!("cannot load memcached: it hung up");
            }
        }
        Ok(())
    })
}

/// What Redis brings along for this.
pub fn redis(server: &mut Server, _dir: &Path) -> Result<()> {
    let port = server.port.to_string();
    capture(command("redis-benchmark").args(["-p", &port, "-n", "10000", "-c", "8", "-t", "set,get", "-q"]))
        .map(drop)
}

/// What PostgreSQL brings along for this; each client is a process of the server.
pub fn postgres(server: &mut Server, dir: &Path) -> Result<()> {
    let port = server.port.to_string();
    let mut bench = command(super::subjects::postgres_program("pgbench")?);
    bench.arg("-h").arg(dir).args(["-p", &port, "-U", "postgres", "-n", "-c", "4", "-t", "150", "postgres"]);
    capture(&mut bench).map(drop)
}

/// A program that is its own load: its end.
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

//! The chat server that one would write today: tokio, a task a client, a broadcast channel a room.
//!
//! It speaks what there is to measure of Parlance's line dialect (`LOGIN`, `MSG`, `PING`), in one room whose speakers do not
//! hear themselves; with `--rooms`, of the slash dialect: a name, `/join #<room>`, and lines for all of the room.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};

/// A chat server with a task a client and a broadcast channel a room.
#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:4000")]
    addr: SocketAddr,
    /// Have rooms, in lines of the slash dialect; without, one room in lines of the line dialect.
    #[arg(long)]
    rooms: bool,
}

/// Messages that a room keeps for a member that is slow. Whoever is slower misses some.
const CAPACITY: usize = 1024;

/// A line, and whose it is.
#[derive(Clone)]
struct Said {
    client: usize,
    line: Arc<str>,
}

type Rooms = Arc<Mutex<HashMap<String, Sender<Said>>>>;

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let (_, limit) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit)?;
    let listener = TcpListener::bind(args.addr).await?;
    let rooms = Rooms::default();
    for client in 0.. {
        let (stream, _) = listener.accept().await?;
        let (room, heard) = join(&rooms, "lobby");
        let client = Client { id: client, rooms: Arc::clone(&rooms), room, name: String::new() };
        tokio::spawn(async move {
            if let Err(error) = client.serve(stream, heard, args.rooms).await {
                // Where standard error is closed, nobody reads it.
                let _ = writeln!(io::stderr(), "a client: {error}");
            }
        });
    }
    Ok(())
}

fn join(rooms: &Rooms, name: &str) -> (Sender<Said>, Receiver<Said>) {
    let mut rooms = rooms.lock().expect("nobody panics with it");
    let room = rooms.entry(name.to_owned()).or_insert_with(|| broadcast::channel(CAPACITY).0);
    (room.clone(), room.subscribe())
}

struct Client {
    id: usize,
    rooms: Rooms,
    room: Sender<Said>,
    /// Empty until it has one.
    name: String,
}

impl Client {
    async fn serve(mut self, stream: TcpStream, mut heard: Receiver<Said>, slash: bool) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (from, mut to) = stream.into_split();
        let mut lines = BufReader::new(from).lines();
        loop {
            tokio::select! {
                line = lines.next_line() => match line? {
                    None => return Ok(()),
                    Some(line) if slash => self.slash(&line, &mut heard, &mut to).await?,
                    Some(line) => self.line(&line, &mut to).await?,
                },
                said = heard.recv() => match said {
                    Ok(said) if said.client == self.id && !slash => {}
                    Ok(said) => to.write_all(said.line.as_bytes()).await?,
                    Err(RecvError::Lagged(count)) if slash => {
                        to.write_all(format!("*** {count} messages missed\n").as_bytes()).await?;
                    }
                    Err(RecvError::Lagged(count)) => {
                        to.write_all(format!("INFO {count} messages missed\n").as_bytes()).await?;
                    }
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
        }
    }

    async fn line(&mut self, line: &str, to: &mut OwnedWriteHalf) -> io::Result<()> {
        match line.split_once(' ') {
            Some(("LOGIN", name)) => {
                name.clone_into(&mut self.name);
                to.write_all(b"OK\n").await
            }
            Some(("MSG", text)) => {
                self.say(format!("MSG {} {text}\n", self.name));
                Ok(())
            }
            _ => to.write_all(b"PONG\n").await,
        }
    }

    async fn slash(
        &mut self,
        line: &str,
        heard: &mut Receiver<Said>,
        to: &mut OwnedWriteHalf,
    ) -> io::Result<()> {
        if self.name.is_empty() {
            line.clone_into(&mut self.name);
            return to.write_all(format!("Welcome {line}! You are in #lobby\n").as_bytes()).await;
        }
        if let Some(room) = line.strip_prefix("/join #") {
            (self.room, *heard) = join(&self.rooms, room);
            return to.write_all(format!("You joined #{room}\n").as_bytes()).await;
        }
        self.say(format!("[00:00:00] {}: {line}\n", self.name));
        Ok(())
    }

    fn say(&self, line: String) {
        // There is one who hears it, at least: whoever says it.
        let _ = self.room.send(Said { client: self.id, line: line.into() });
    }
}

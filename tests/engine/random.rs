//! Random people in three rooms, of both dialects, with sockets that take a little now and then. What each of them got is
//! held against what witnesses saw, who read everything at once, and what the witnesses saw against what was said.

use std::collections::HashMap;

use parlance::engine::{Metrics, Settings};
use parlance::limits::{LOG_BYTES_LIMIT_MIN, OUTBOX_BYTES_HIGH};
use parlance::wire::Dialect;

use crate::dice::Dice;
use crate::world::{Client, World, settings};

const ROOMS: [&str; 3] = ["lobby", "red", "blue"];
const PEOPLE: usize = 14;
const STEPS: usize = 2500;
const SEEDS: [u64; 8] = [1, 2, 3, 5, 8, 13, 21, 34];

/// One of the people, and what it did, as far as it can know itself.
struct Person {
    client: Client,
    dialect: Dialect,
    name: String,
    /// It calls itself `<name>-b` for now.
    renamed: bool,
    room: usize,
    /// What it said, and in which room.
    said: Vec<(usize, String)>,
    /// To whom it said what in private.
    whispered: Vec<(usize, String)>,
    pings: usize,
    /// It quit, or its connection broke.
    gone: bool,
    vanished: bool,
}

struct Scene {
    world: World,
    dice: Dice,
    line_witness: Client,
    /// One a room.
    witnesses: [Client; 3],
    people: Vec<Person>,
    texts: usize,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let never = Settings { login_timeout: 0, line_idle_timeout: 0, slash_idle_timeout: 0, ..settings() };
        let mut world = World::with(never);
        world.holds_back(seed);
        let line_witness = world.line("line-witness");
        let witnesses = ROOMS.map(|room| world.slash(&format!("witness-{room}")));
        for (witness, room) in witnesses.into_iter().zip(ROOMS).skip(1) {
            world.types(witness, &format!("/join {room}"));
        }
        for witness in witnesses {
            world.hears(witness);
        }
        let people = (0..PEOPLE)
            .map(|index| {
                let dialect = if index % 2 == 0 { Dialect::Line } else { Dialect::Slash };
                let name = format!("person{index}");
                let client = world.connects(dialect);
                world.types(
                    client,
                    &if dialect == Dialect::Line { format!("LOGIN {name}") } else { name.clone() },
                );
                Person {
                    client,
                    dialect,
                    name,
                    renamed: false,
                    room: 0,
                    said: Vec::new(),
                    whispered: Vec::new(),
                    pings: 0,
                    gone: false,
                    vanished: false,
                }
            })
            .collect::<Vec<_>>();
        for person in &people[PEOPLE / 2..] {
            world.reads_only(person.client, 0);
        }
        Self { world, dice: Dice(seed), line_witness, witnesses, people, texts: 0 }
    }

    fn step(&mut self) {
        let who = self.dice.below(PEOPLE);
        if !self.people[who].gone {
            match self.dice.below(1000) {
                0 => self.vanishes(who),
                1 => self.quits(who),
                2..100 => self.moves(who),
                100..150 => self.renames(who),
                150..250 => self.whispers(who),
                250..350 => self.asks(who),
                350..500 => self.reads(who),
                _ => self.says(who),
            }
        }
        if self.dice.below(2) == 0 {
            let visits = 1 + self.dice.below(8);
            self.world.turn_of(visits);
        }
        let held = self.world.held_bytes();
        let bound = 4 * LOG_BYTES_LIMIT_MIN + PEOPLE * (2 * OUTBOX_BYTES_HIGH + LOG_BYTES_LIMIT_MIN);
        assert!(held <= bound, "{held} bytes are held");
    }

    /// A line arrives in one piece or in two.
    fn types(&mut self, who: usize, line: &str) {
        let client = self.people[who].client;
        let line = format!("{line}\n");
        let (head, tail) = line.as_bytes().split_at(self.dice.below(line.len()));
        self.world.sends(client, head);
        if self.dice.below(2) == 0 {
            self.world.turn_of(3);
        }
        self.world.sends(client, tail);
    }

    fn text(&mut self) -> String {
        self.texts += 1;
        let length = if self.dice.below(3) == 0 { self.dice.below(3500) } else { self.dice.below(40) };
        format!("{} {}", self.texts, "x".repeat(1 + length))
    }

    fn says(&mut self, who: usize) {
        let text = self.text();
        let person = &mut self.people[who];
        person.said.push((person.room, text.clone()));
        let line = if person.dialect == Dialect::Line { format!("MSG {text}") } else { text };
        self.types(who, &line);
    }

    fn whispers(&mut self, who: usize) {
        let to = self.dice.below(PEOPLE);
        let text = format!("{}!", self.texts);
        self.texts += 1;
        let person = &mut self.people[who];
        person.whispered.push((to, text.clone()));
        let word = if person.dialect == Dialect::Line { "DM" } else { "/msg" };
        self.types(who, &format!("{word} person{to} {text}"));
    }

    fn moves(&mut self, who: usize) {
        let room = self.dice.below(ROOMS.len());
        let person = &mut self.people[who];
        if person.dialect == Dialect::Slash {
            person.room = room;
            self.types(who, &if room == 0 { "/leave".to_owned() } else { format!("/join {}", ROOMS[room]) });
        }
    }

    fn renames(&mut self, who: usize) {
        let person = &mut self.people[who];
        if person.dialect == Dialect::Slash {
            person.renamed = !person.renamed;
            let line = format!("/nick {}{}", person.name, if person.renamed { "-b" } else { "" });
            self.types(who, &line);
        }
    }

    fn asks(&mut self, who: usize) {
        let person = &mut self.people[who];
        if person.dialect == Dialect::Line {
            person.pings += 1;
            self.types(who, "PING");
            self.types(who, "WHO");
        } else {
            self.types(who, "/users");
            self.types(who, "/rooms");
        }
    }

    fn reads(&mut self, who: usize) {
        let bytes = if self.dice.below(2) == 0 { self.dice.below(100) } else { self.dice.below(100_000) };
        self.world.reads(self.people[who].client, bytes);
    }

    fn quits(&mut self, who: usize) {
        if self.people[who].dialect == Dialect::Slash {
            self.people[who].gone = true;
            self.types(who, "/quit");
        }
    }

    fn vanishes(&mut self, who: usize) {
        let person = &mut self.people[who];
        (person.gone, person.vanished) = (true, true);
        self.world.vanishes(person.client);
    }

    /// Everybody reads until there is nothing more.
    fn drains(&mut self) {
        for person in &self.people {
            self.world.reads_everything(person.client);
        }
        self.world.settles();
        assert_eq!(self.world.held_bytes(), 0);
    }
}

/// A line that a client got.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    /// Something that happened in the room.
    Frame(Frame),
    Missed(usize),
    /// It came into the room of that index.
    Entered(usize),
    Whisper {
        from: String,
        text: String,
    },
    Pong,
    /// An answer of no interest here.
    Other,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Frame {
    Message { from: String, text: String },
    Joined(String),
    Left(String),
    Renamed(String),
}

/// A person has two names.
fn person(name: &str) -> String {
    name.strip_suffix("-b").unwrap_or(name).to_owned()
}

fn line_seen(line: &str) -> Seen {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "MSG" => {
            let (from, text) = rest.split_once(' ').expect(line);
            Seen::Frame(Frame::Message { from: person(from), text: text.to_owned() })
        }
        "DM" => {
            let (from, text) = rest.split_once(' ').expect(line);
            Seen::Whisper { from: person(from), text: text.to_owned() }
        }
        "INFO" => match rest.strip_suffix(" disconnected") {
            Some(name) => Seen::Frame(Frame::Left(person(name))),
            None => {
                Seen::Missed(rest.strip_suffix(" messages missed").and_then(|n| n.parse().ok()).expect(line))
            }
        },
        "PONG" => Seen::Pong,
        "OK" | "USER" => Seen::Other,
        "ERR" if rest.starts_with("user-not-found person") => Seen::Other,
        _ => panic!("no line of the dialect: {line}"),
    }
}

fn slash_seen(line: &str) -> Seen {
    if let Some(rest) = line.strip_prefix("[12:34:56] [Private from ") {
        let (from, text) = rest.split_once("]: ").expect(line);
        return Seen::Whisper { from: person(from), text: text.to_owned() };
    }
    if let Some(rest) = line.strip_prefix("[12:34:56] ") {
        let (from, text) = rest.split_once(": ").expect(line);
        return Seen::Frame(Frame::Message { from: person(from), text: text.to_owned() });
    }
    if let Some(rest) = line.strip_prefix("*** ") {
        let (name, words) = rest.split_once(' ').expect(line);
        return match words {
            "joined the room" => Seen::Frame(Frame::Joined(person(name))),
            "left the room" => Seen::Frame(Frame::Left(person(name))),
            "messages missed" => Seen::Missed(name.parse().expect(line)),
            _ if words.starts_with("is now known as ") => Seen::Frame(Frame::Renamed(person(name))),
            _ => panic!("no notice: {line}"),
        };
    }
    let entered = line.strip_prefix("You joined #").or(line.strip_prefix("You returned to #")).or(line
        .strip_prefix("Welcome ")
        .and_then(|rest| rest.split_once("! You are in #"))
        .map(|(_, room)| room));
    if let Some(room) = entered {
        return Seen::Entered(ROOMS.iter().position(|&r| r == room).expect(line));
    }
    let answers = ["  ", "Users in #", "Available rooms:", "[Private to ", "You are now known as "];
    let errors = ["ERROR: User not found", "ERROR: Already in that room", "Goodbye!"];
    let greeting = ["Welcome to the chat server!", "Type /help"];
    let known = answers.iter().chain(&errors).chain(&greeting).any(|start| line.starts_with(start));
    assert!(known, "no line of the dialect: {line}");
    Seen::Other
}

fn seen(dialect: Dialect, heard: &str) -> Vec<Seen> {
    let prompt = "Enter your nickname: ";
    match dialect {
        Dialect::Line => heard.lines().map(line_seen).collect(),
        Dialect::Slash => heard.replace(prompt, "").lines().map(slash_seen).collect(),
        _ => unreachable!("nobody here speaks it"),
    }
}

/// What a witness saw of its room, with nothing missing.
fn witnessed(dialect: Dialect, heard: &str) -> Vec<Frame> {
    let seen = seen(dialect, heard);
    assert!(!seen.iter().any(|seen| matches!(seen, Seen::Missed(_))), "a witness keeps up");
    seen.into_iter()
        .filter_map(|seen| if let Seen::Frame(frame) = seen { Some(frame) } else { None })
        .collect()
}

/// Checks one stay in a room: every frame in its place, but for those of which it was told.
fn check_stay(stay: &[Seen], expected: &[Frame], until_the_end: bool, whose: &str) {
    let mut next = 0;
    for seen in stay {
        match seen {
            Seen::Frame(frame) => {
                assert_eq!(Some(frame), expected.get(next), "{whose} at {next} of {}", expected.len());
                next += 1;
            }
            Seen::Missed(count) => next += count,
            Seen::Entered(_) | Seen::Whisper { .. } | Seen::Pong | Seen::Other => {}
        }
    }
    assert!(next <= expected.len(), "{whose} was told of more than there was");
    if until_the_end {
        assert_eq!(next, expected.len(), "{whose} got everything, or was told");
    }
}

/// What the line witness saw, for a line user: all but its own, until it left.
fn expected_by_line(witnessed: &[Frame], name: &str) -> Vec<Frame> {
    let own = |frame: &&Frame| matches!(frame, Frame::Message { from, .. } if from == name);
    let here = |frame: &&Frame| !matches!(frame, Frame::Left(who) if who == name);
    witnessed.iter().take_while(here).filter(|frame| !own(frame)).cloned().collect()
}

/// What the room's witness saw while a slash user was there for the nth time, but for its own changes of name. Its own
/// arrival is seen only by who logs in.
fn expected_by_slash(witnessed: &[Frame], name: &str, nth: usize, login: bool) -> Vec<Frame> {
    let joined = Frame::Joined(name.to_owned());
    let own = |frame: &&Frame| matches!(frame, Frame::Renamed(who) if who == name);
    let here = |frame: &&Frame| !matches!(frame, Frame::Left(who) if who == name);
    let arrivals = witnessed.iter().enumerate().filter(|(_, frame)| **frame == joined);
    let (arrival, _) = arrivals.clone().nth(nth).expect("an arrival for each stay");
    let start = if login { arrival } else { arrival + 1 };
    witnessed[start..].iter().take_while(here).filter(|frame| !own(frame)).cloned().collect()
}

fn check_slash_user(person: &Person, seen: &[Seen], witnessed: &[Vec<Frame>; 3]) {
    let starts: Vec<_> = (0..seen.len()).filter(|&index| matches!(seen[index], Seen::Entered(_))).collect();
    let mut stays_in = [0; 3];
    for (stay, &start) in starts.iter().enumerate() {
        let Seen::Entered(room) = seen[start] else { unreachable!("looked for") };
        let end = starts.get(stay + 1).copied().unwrap_or(seen.len());
        let expected = expected_by_slash(&witnessed[room], &person.name, stays_in[room], stay == 0);
        stays_in[room] += 1;
        let whose = format!("{} in #{}, stay {stay}", person.name, ROOMS[room]);
        check_stay(&seen[start..end], &expected, end < seen.len() || !person.vanished, &whose);
    }
}

/// Holds what the witnesses saw against what was said.
fn check_witnesses(people: &[Person], witnessed: &[Vec<Frame>; 3], line_witnessed: &[Frame]) {
    let messages = |frames: &[Frame]| -> Vec<(String, String)> {
        let message = |frame: &Frame| match frame {
            Frame::Message { from, text } => Some((from.clone(), text.clone())),
            Frame::Joined(_) | Frame::Left(_) | Frame::Renamed(_) => None,
        };
        frames.iter().filter_map(message).collect()
    };
    assert_eq!(messages(&witnessed[0]), messages(line_witnessed), "both dialects see one order");
    for person in people {
        for (room, frames) in witnessed.iter().enumerate() {
            let seen: Vec<_> = messages(frames)
                .into_iter()
                .filter(|(from, _)| *from == person.name)
                .map(|(_, text)| text)
                .collect();
            let said: Vec<_> =
                person.said.iter().filter(|(r, _)| *r == room).map(|(_, text)| text.clone()).collect();
            assert!(said.starts_with(&seen), "{} in #{}", person.name, ROOMS[room]);
            assert!(person.vanished || said.len() == seen.len(), "{} in #{}", person.name, ROOMS[room]);
        }
    }
}

/// Direct messages come in order and once; those to a line user, who never changes its name and is still there, all.
fn check_whispers(people: &[Person], to: usize, seen: &[Seen]) {
    let mut heard: HashMap<&str, Vec<&str>> = HashMap::new();
    for seen in seen {
        if let Seen::Whisper { from, text } = seen {
            heard.entry(from).or_default().push(text);
        }
    }
    for person in people {
        let mut heard = heard.remove(&*person.name).unwrap_or_default().into_iter().peekable();
        for (_, text) in person.whispered.iter().filter(|(recipient, _)| *recipient == to) {
            let arrived = heard.next_if_eq(&&**text).is_some();
            let certain = people[to].dialect == Dialect::Line && !people[to].gone && !person.vanished;
            assert!(arrived || !certain, "{} to person{to}: {text}", person.name);
        }
        assert_eq!(heard.next(), None, "out of order, or twice, from {} to person{to}", person.name);
    }
    assert!(heard.is_empty(), "from nobody: {heard:?}");
}

fn play(seed: u64) -> Metrics {
    let mut scene = Scene::new(seed);
    for _ in 0..STEPS {
        scene.step();
    }
    scene.drains();
    let Scene { mut world, line_witness, witnesses, people, .. } = scene;
    let witnessed_by = witnesses.map(|witness| witnessed(Dialect::Slash, &world.took(witness)));
    let line_witnessed = witnessed(Dialect::Line, &world.took(line_witness));
    check_witnesses(&people, &witnessed_by, &line_witnessed);
    for (index, person) in people.iter().enumerate() {
        let mut heard = world.took(person.client);
        if person.vanished {
            // Its last line may be half of one.
            heard.truncate(heard.rfind('\n').map_or(0, |end| end + 1));
        }
        let lines = seen(person.dialect, &heard);
        match person.dialect {
            Dialect::Line => {
                let expected = expected_by_line(&line_witnessed, &person.name);
                check_stay(&lines, &expected, !person.vanished, &person.name);
                let pongs = lines.iter().filter(|seen| **seen == Seen::Pong).count();
                assert!(pongs == person.pings || person.vanished && pongs < person.pings, "{}", person.name);
            }
            Dialect::Slash => check_slash_user(person, &lines, &witnessed_by),
            _ => unreachable!("nobody here speaks it"),
        }
        check_whispers(&people, index, &lines);
    }
    world.metrics()
}

#[test]
fn random_people_see_what_happened_in_the_order_in_which_it_happened() {
    let mut lagged = 0;
    let mut missed = 0;
    for seed in SEEDS {
        println!("seed {seed}");
        let metrics = play(seed);
        lagged += metrics.lagged;
        missed += metrics.missed;
    }
    assert!(
        lagged > 10 && missed > 1000,
        "the dice make somebody fall behind: {lagged} times, {missed} messages"
    );
}

#[test]
fn the_same_calls_give_the_same_results() {
    let [first, second] = [play(89), play(89)];
    assert_eq!(first, second);
}

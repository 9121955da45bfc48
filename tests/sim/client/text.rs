//! Line and slash.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Around, Client, WRONG_PASSWORD, account_name, direct_name, name_of, other_name};
use crate::book::{Fact, number_of};
use crate::owners::Ask;
use crate::script::{Act, Kind, ROOMS};
use crate::trace;

/// Something that has one answer.
#[derive(Clone, Debug)]
enum Asked {
    /// A login with a password.
    LogIn(Sent),
    Make(Sent),
    /// The old password, and the new one.
    Change(Sent, String),
    End(Sent),
    /// Mail, of one or of all.
    Mail,
}

/// A password that was sent for a name.
#[derive(Clone, Debug)]
struct Sent {
    name: String,
    password: String,
    /// When it was sent.
    at: Duration,
}

/// What an error says of a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Wrong,
    TooMany,
    /// Something else.
    Other,
}

/// What a client of line or slash waits for.
#[derive(Debug, Default)]
pub(crate) struct TextState {
    asked: VecDeque<Asked>,
    /// The lines that it hears, in an audit.
    pub(crate) heard: Option<Vec<String>>,
    /// It was told something that may be the answer to what has none otherwise: it no longer knows which answer is whose.
    is_unsure: bool,
}

impl TextState {
    pub(super) fn stream_ends(&mut self) {
        *self = Self::default();
    }

    pub(super) fn check_at_rest(&self, client: usize) {
        assert!(self.asked.is_empty(), "client {client} waits for answers: {:?}", self.asked);
    }

    pub(super) fn is_unsure(&mut self) {
        self.is_unsure = true;
        self.asked.clear();
    }

    fn asks(&mut self, asked: Asked) {
        if !self.is_unsure {
            self.asked.push_back(asked);
        }
    }
}

impl Asked {
    fn password(&self) -> Option<&Sent> {
        match self {
            Self::LogIn(password)
            | Self::Make(password)
            | Self::Change(password, _)
            | Self::End(password) => Some(password),
            Self::Mail => None,
        }
    }
}

impl Client {
    fn types(&mut self, line: &str, around: &mut Around<'_>) {
        self.sends(format!("{line}\n").as_bytes(), around);
    }

    pub(super) fn text_logs_in(&mut self, around: &mut Around<'_>) {
        let wanted = self.wanted.clone();
        self.may_be(&wanted);
        match self.kind {
            // Where there is no account, a stranger may have the name.
            Kind::Line if around.book.has_account(&wanted) => {
                let password = self.password_of(&wanted, self.conn, around);
                self.types(&format!("LOGIN {wanted} {password}"), around);
                self.text.asks(Asked::LogIn(Sent { name: wanted, password, at: around.now }));
            }
            Kind::Line => self.types(&format!("LOGIN {wanted}"), around),
            _ => self.types(&wanted, around),
        }
    }

    pub(super) fn text_acts(&mut self, act: &Act, clients: usize, around: &mut Around<'_>) {
        let is_line = self.kind == Kind::Line;
        match act {
            Act::Ask if is_line => {
                self.pings += 1;
                self.types("PING", around);
                self.types("WHO", around);
            }
            // What comes before the login is no command there.
            _ if !self.is_logged_in => {}
            Act::MakeAccount
            | Act::ChangePassword
            | Act::EndAccount
            | Act::Mail
            | Act::ReadMail(_)
            | Act::ClearMail(_) => self.account_acts(act, around),
            Act::Say { count, bytes } => {
                let mut lines = String::new();
                for _ in 0..*count {
                    let text = self.says(*bytes, around);
                    lines.push_str(if is_line { "MSG " } else { "" });
                    lines.push_str(&text);
                    lines.push('\n');
                }
                self.sends(lines.as_bytes(), around);
            }
            Act::Direct { to, bytes } => {
                let to = direct_name(*to, clients);
                let text = self.says_to(&to, *bytes, around);
                let word = if is_line { "DM" } else { "/msg" };
                self.types(&format!("{word} {to} {text}"), around);
            }
            Act::Ask => {
                self.types("/users", around);
                self.types("/rooms", around);
            }
            Act::Quit if !is_line => {
                self.types("/quit", around);
                self.leaves();
            }
            Act::Join(room) if !is_line => {
                let room = ROOMS[*room];
                self.rooms.push(room);
                self.types(&format!("/join {room}"), around);
            }
            Act::Leave if !is_line => {
                self.rooms.push(ROOMS[0]);
                self.types("/leave", around);
            }
            Act::Rename(which) if !is_line => {
                let name = name_of(self.index, *which);
                self.may_be(&name);
                // It may have it before it hears so.
                self.name = None;
                if let Some(conn) = self.conn {
                    around.book.renames(conn);
                }
                self.types(&format!("/nick {name}"), around);
            }
            _ => {}
        }
    }

    /// Line: connects and guesses.
    pub(super) fn guesses(&mut self, account: usize, count: usize, around: &mut Around<'_>) {
        let name = account_name(account);
        if self.kind != Kind::Line || !around.book.has_account(&name) {
            return;
        }
        self.open(around);
        self.wanted.clone_from(&name);
        self.may_be(&name);
        for index in 0..=count {
            let password =
                if index < count { WRONG_PASSWORD.to_owned() } else { around.book.password(&name) };
            around.book.shows(self.index, self.conn, &name, &password);
            self.types(&format!("LOGIN {name} {password}"), around);
            self.text.asks(Asked::LogIn(Sent { name: name.clone(), password, at: around.now }));
        }
    }

    /// Does something with the account of its name.
    fn account_acts(&mut self, act: &Act, around: &mut Around<'_>) {
        let Some((name, conn)) = self.name.clone().zip(self.conn) else { return };
        if !name.starts_with("acc") {
            return;
        }
        let is_line = self.kind == Kind::Line;
        let word = |line: &'static str, slash: &'static str| if is_line { line } else { slash };
        let at = around.now;
        let sent = |password: &str| Sent { name: name.clone(), password: password.to_owned(), at };
        match act {
            Act::MakeAccount => {
                let password = around.book.new_password(&name);
                self.text.asks(Asked::Make(sent(&password)));
                around.book.shows(self.index, Some(conn), &name, &password);
                around.book.asks(conn, &name, Ask::Make(password.clone()));
                self.types(&format!("{} {password}", word("REGISTER", "/register")), around);
            }
            Act::ChangePassword => {
                let new = around.book.new_password(&name);
                let old = self.password_of(&name, Some(conn), around);
                self.text.asks(Asked::Change(sent(&old), new.clone()));
                around.book.asks(conn, &name, Ask::Password(new.clone()));
                self.types(&format!("{} {old} {new}", word("PASSWD", "/password")), around);
            }
            Act::EndAccount => {
                let password = self.password_of(&name, Some(conn), around);
                self.text.asks(Asked::End(sent(&password)));
                around.book.asks(conn, &name, Ask::End);
                self.types(&format!("{} {password}", word("UNREGISTER", "/unregister")), around);
            }
            Act::Mail => {
                self.text.asks(Asked::Mail);
                self.types(word("MAIL", "/mail"), around);
            }
            Act::ReadMail(other) => {
                self.text.asks(Asked::Mail);
                self.types(&format!("{} {}", word("MAIL", "/mail"), other_name(*other)), around);
            }
            Act::ClearMail(other) => {
                let with = other_name(*other);
                self.text.asks(Asked::Mail);
                around.book.asks(conn, &name, Ask::Clear(with.clone()));
                self.types(&format!("{} {with}", word("MAIL CLEAR", "/mail clear")), around);
            }
            _ => {}
        }
    }

    /// It is told that something was done that it asked for.
    fn is_done(&mut self, around: &mut Around<'_>) {
        let (Some(asked), Some(conn)) = (self.text.asked.pop_front(), self.conn) else { return };
        let whose = format!("client {}", self.index);
        if let Some(Sent { name, password, at }) = asked.password() {
            around.book.is_told_of_password((self.index, conn), name, password, (*at, true));
        }
        match asked {
            Asked::Make(Sent { password: new, .. }) | Asked::Change(_, new) => {
                around.book.is_promised(&Fact::Password(new), &whose);
            }
            Asked::End(Sent { name, .. }) => around.book.is_promised(&Fact::Ended(conn, name), &whose),
            Asked::LogIn(Sent { name, .. }) => around.book.is_let_in(conn, &name),
            Asked::Mail => {}
        }
    }

    /// It is told that something was not done.
    fn is_not_done(&mut self, verdict: Verdict, around: &mut Around<'_>) {
        let (Some(asked), Some(conn)) = (self.text.asked.pop_front(), self.conn) else { return };
        let Some(Sent { name, password, at }) = asked.password() else {
            assert_eq!(verdict, Verdict::Other, "client {} has sent no password", self.index);
            return;
        };
        match verdict {
            Verdict::Wrong => {
                around.book.is_told_of_password((self.index, conn), name, password, (*at, false));
            }
            Verdict::TooMany => around.book.is_locked_out(self.index, name, *at),
            Verdict::Other => {}
        }
    }

    /// It reads a letter, under the name that it goes by.
    fn reads_mail(&mut self, sender: &str, text: &str, around: &mut Around<'_>) {
        let (Some(number), Some(conn)) = (number_of(text), self.conn) else { return };
        let Some(name) = &self.name else { return };
        around.book.sees_letter_of(conn, name, sender, number);
    }

    pub(super) fn text_hears(&mut self, around: &mut Around<'_>) {
        loop {
            // Prompts have no line end.
            for (prompt, is_password) in [("Enter your nickname: ", false), ("Password: ", true)] {
                if self.kind == Kind::Slash && self.input.starts_with(prompt.as_bytes()) {
                    self.input.drain(..prompt.len());
                    if is_password {
                        let name = self.wanted.clone();
                        let password = self.password_of(&name, self.conn, around);
                        self.types(&password, around);
                        self.text.asks(Asked::LogIn(Sent { name, password, at: around.now }));
                    }
                }
            }
            let Some(end) = self.input.iter().position(|&byte| byte == b'\n') else { return };
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let line = std::str::from_utf8(&line[..end]).expect("the server's lines are UTF-8");
            trace!("client {} hears: {line:.100}", self.index);
            if self.kind == Kind::Line {
                self.line_hears(line, around);
            } else {
                self.slash_hears(line, around);
            }
            line.clone_into(&mut self.last_heard);
        }
    }

    /// Logs in to an account with line, and asks for its mail.
    pub(crate) fn audits_in_line(&mut self, account: &str, around: &mut Around<'_>) {
        self.open(around);
        self.text.heard = Some(Vec::new());
        account.clone_into(&mut self.wanted);
        self.may_be(account);
        self.text_logs_in(around);
        self.types("MAIL", around);
        self.text.asks(Asked::Mail);
    }

    /// Reads conversations, clears the first one and reads that again.
    pub(crate) fn audits_conversations(&mut self, names: &[String], around: &mut Around<'_>) {
        let (Some(first), Some(conn)) = (names.first(), self.conn) else { return };
        self.text.heard = Some(Vec::new());
        around.book.asks(conn, &self.wanted, Ask::Clear(first.clone()));
        let reads = names.iter().map(|name| format!("MAIL {name}"));
        for line in reads.chain([format!("MAIL CLEAR {first}"), format!("MAIL {first}")]) {
            self.types(&line, around);
            self.text.asks(Asked::Mail);
        }
    }

    fn line_hears(&mut self, line: &str, around: &mut Around<'_>) {
        if let Some(lines) = &mut self.text.heard {
            lines.push(line.to_owned());
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "OK" if self.is_logged_in => self.is_done(around),
            "OK" => {
                self.is_done(around);
                self.is_logged_in = true;
                let wanted = self.wanted.clone();
                self.is_told_name(&wanted);
                self.enters(ROOMS[0], around);
            }
            "MSG" | "DM" => {
                let (sender, text) = rest.split_once(' ').unwrap_or_else(|| panic!("no text in {line}"));
                if word == "MSG" {
                    self.sees(sender, text, around);
                } else {
                    self.sees_direct(sender, text, around);
                }
            }
            "INFO" => {
                if let Some(count) = rest.strip_suffix(" messages missed") {
                    self.misses(count.parse().expect("a count"));
                } else {
                    let is_known = rest.ends_with(" disconnected")
                        || rest.ends_with(" messages wait: MAIL")
                        || rest == "server shutting down";
                    assert!(is_known, "no line of the dialect: {line}");
                }
            }
            "PONG" => self.pongs += 1,
            "ERR" => self.line_hears_error(rest, around),
            "FROM" => {
                let (sender, text) = rest
                    .split_once(' ')
                    .and_then(|(_, rest)| rest.split_once(' '))
                    .unwrap_or_else(|| panic!("no text in {line}"));
                self.reads_mail(sender, text, around);
            }
            "USER" | "MAIL" => {}
            _ => panic!("no line of the dialect: {line}"),
        }
    }

    fn line_hears_error(&mut self, error: &str, around: &mut Around<'_>) {
        match error.split(' ').next().unwrap_or_default() {
            "wrong-password" => self.is_not_done(Verdict::Wrong, around),
            "too-many-attempts" => self.is_not_done(Verdict::TooMany, around),
            "no-account"
            | "account-exists"
            | "no-mailbox"
            | "too-many-accounts"
            | "too-many-new-accounts" => {
                self.is_not_done(Verdict::Other, around);
            }
            // Behind one that was let in.
            "already-logged-in" => self.is_not_done(Verdict::Other, around),
            "too-fast" => {
                self.refused += 1;
                self.text.is_unsure();
            }
            "busy" | "not-kept" | "username-taken" => self.text.is_unsure(),
            _ => {}
        }
    }

    fn slash_hears_error(&mut self, error: &str, around: &mut Around<'_>) {
        match error {
            "Wrong password" => self.is_not_done(Verdict::Wrong, around),
            "Too many wrong passwords, try again later" => self.is_not_done(Verdict::TooMany, around),
            "You have no account"
            | "No such account"
            | "Account already exists"
            | "Too many accounts"
            | "Only accounts have a mailbox" => self.is_not_done(Verdict::Other, around),
            "Too fast, this was not done" => {
                self.refused += 1;
                self.text.is_unsure();
            }
            "Server is busy, try again later" | "Nothing can be kept at the moment, try again later" => {
                self.text.is_unsure();
            }
            _ if error.starts_with("Too many new accounts") => self.is_not_done(Verdict::Other, around),
            _ => {}
        }
    }

    fn slash_hears(&mut self, line: &str, around: &mut Around<'_>) {
        if let Some((_, rest)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            if let Some(rest) = rest.strip_prefix("[Private from ") {
                let (sender, text) = rest.split_once("]: ").expect("a sender and a text");
                return self.sees_direct(sender, text, around);
            }
            if let Some((sender, text)) = rest.split_once(": ") {
                return self.sees(sender, text, around);
            }
        }
        if let Some(notice) = line.strip_prefix("*** ") {
            if let Some(count) = notice.strip_suffix(" messages missed") {
                self.misses(count.parse().expect("a count"));
            }
            return;
        }
        if let Some(rest) = line.strip_prefix("Welcome ")
            && let Some((name, room)) = rest.split_once("! You are in #")
        {
            if matches!(self.text.asked.front(), Some(Asked::LogIn(_))) {
                self.is_done(around);
            }
            self.is_logged_in = true;
            self.is_told_name(name);
            return self.enters(room, around);
        }
        let entered = line.strip_prefix("You joined #").or(line.strip_prefix("You returned to #"));
        if let Some(room) = entered {
            return self.enters(room, around);
        }
        if let Some(name) = line.strip_prefix("You are now known as ") {
            return self.is_told_name(name);
        }
        let refusals = ["ERROR: ", "Registration failed: ", "Login failed: "];
        if let Some(error) = refusals.into_iter().find_map(|start| line.strip_prefix(start)) {
            return self.slash_hears_error(error, around);
        }
        if ["Account created", "Password changed", "Account deleted", "End of mail"].contains(&line) {
            return self.is_done(around);
        }
        if let Some((_, rest)) = line.strip_prefix("  [").and_then(|rest| rest.split_once("] "))
            && let Some((sender, text)) = rest.split_once(": ")
        {
            return self.reads_mail(sender, text, around);
        }
        let known = [
            "  ",
            "Users in #",
            "Available rooms:",
            "[Private to ",
            "Your mail:",
            "Your messages:",
            "Invalid nickname: ",
            "Goodbye!",
            "Welcome to the chat server!",
            "Type /help",
        ];
        assert!(known.iter().any(|start| line.starts_with(start)), "no line of the dialect: {line}");
    }
}

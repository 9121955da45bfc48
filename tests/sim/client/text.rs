//! Line and slash.

use super::{Around, Client, direct_name, name_of};
use crate::script::{Act, Kind, ROOMS};
use crate::trace;

impl Client {
    fn types(&mut self, line: &str, around: &mut Around<'_>) {
        self.sends(format!("{line}\n").as_bytes(), around);
    }

    pub(super) fn text_logs_in(&mut self, around: &mut Around<'_>) {
        let wanted = self.wanted.clone();
        self.may_be(&wanted);
        match self.kind {
            Kind::Line if wanted.starts_with("acc") => {
                let password = self.password_of(&wanted, self.conn, around);
                self.types(&format!("LOGIN {wanted} {password}"), around);
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

    pub(super) fn text_hears(&mut self, around: &mut Around<'_>) {
        loop {
            // Prompts have no line end.
            for (prompt, is_password) in [("Enter your nickname: ", false), ("Password: ", true)] {
                if self.kind == Kind::Slash && self.input.starts_with(prompt.as_bytes()) {
                    self.input.drain(..prompt.len());
                    if is_password {
                        let password = self.password_of(&self.wanted.clone(), self.conn, around);
                        self.types(&password, around);
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

    fn line_hears(&mut self, line: &str, around: &mut Around<'_>) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "OK" => {
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
            "ERR" => self.refused += usize::from(rest == "too-fast"),
            "USER" => {}
            _ => panic!("no line of the dialect: {line}"),
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
        self.refused += usize::from(line == "ERROR: Too fast, this was not done");
        let known = [
            "  ",
            "Users in #",
            "Available rooms:",
            "[Private to ",
            "ERROR: ",
            "Registration failed: ",
            "Invalid nickname: ",
            "Goodbye!",
            "Welcome to the chat server!",
            "Type /help",
        ];
        assert!(known.iter().any(|start| line.starts_with(start)), "no line of the dialect: {line}");
    }
}

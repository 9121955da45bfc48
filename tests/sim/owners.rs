//! Who owns which account: what clients have sent to prove it and asked for, held against the accounts that are stored.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parlance::chat::{OpId, PasswordHash};

use crate::book::password_in;

/// What a password was sent on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum On {
    Stream(usize),
    /// A client's handshakes.
    Handshake(usize),
}

/// A password that was right for an account.
#[derive(Clone, Copy, Debug)]
struct Right {
    account: OpId,
    /// It ended with another password or with the account, after this number of changes.
    until: Option<usize>,
}

/// A password that was sent for a name.
#[derive(Clone, Debug)]
struct Shown {
    password: String,
    right: Vec<Right>,
    /// The server that it was sent to is gone. What that has answered may still be read.
    is_over: bool,
}

/// What a stream asks for under the name of an account.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Ask {
    /// An account, with a password.
    Make(String),
    /// Another password.
    Password(String),
    /// The end of the account.
    End,
    /// A conversation to be cleared.
    Clear(String),
}

/// What is known of owners. A stream that has renamed itself is left out where it speaks: it can lose a name and take it
/// again.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    shown: HashMap<(On, String), Vec<Shown>>,
    asked: HashMap<(String, Ask), Vec<usize>>,
    /// The passwords of the account of a name, with the time of each; none, where the name has no account.
    passwords: HashMap<String, Vec<(Duration, Option<String>)>>,
    /// The accounts of a name that were deleted.
    deletions: HashMap<String, usize>,
    passwords_made: usize,
    /// The number of logins to each account.
    logins: HashMap<OpId, usize>,
    renamed: HashSet<usize>,
    /// The stream that last spoke under each name, while the name has its account.
    last: HashMap<String, usize>,
    /// Names whose seats were at several addresses after a crash.
    apart: HashSet<String>,
    /// Streams that spoke before another one did, before a new password, or before the account was deleted.
    ended: HashSet<(usize, String)>,
}

impl Owners {
    pub(crate) fn shows(
        &mut self,
        client: usize,
        conn: Option<usize>,
        name: &str,
        password: &str,
        stored: Option<(OpId, &PasswordHash)>,
    ) {
        let on = conn.map_or(On::Handshake(client), On::Stream);
        let account = stored.filter(|(_, hash)| password_in(hash) == password).map(|(account, _)| account);
        let right = account.map(|account| Right { account, until: None }).into_iter().collect();
        let shown = Shown { password: password.to_owned(), right, is_over: false };
        self.shown.entry((on, name.to_owned())).or_default().push(shown);
    }

    pub(crate) fn asks(&mut self, conn: usize, name: &str, ask: Ask) {
        self.asked.entry((name.to_owned(), ask)).or_default().push(conn);
    }

    pub(crate) fn renames(&mut self, conn: usize) {
        _ = self.renamed.insert(conn);
    }

    /// The password that a login makes the next account of a name with.
    pub(crate) fn first_password(&self, name: &str) -> String {
        format!("w-{name}-d{}", self.deletions.get(name).copied().unwrap_or(0))
    }

    pub(crate) fn new_password(&mut self, name: &str) -> String {
        self.passwords_made += 1;
        format!("w-{name}-p{}", self.passwords_made)
    }

    pub(crate) fn old_password(&self, name: &str) -> Option<String> {
        let passwords = self.passwords.get(name)?;
        let (_, now) = passwords.last()?;
        passwords.iter().rev().map(|(_, password)| password).find(|password| *password != now)?.clone()
    }

    /// The account of a name has a password from now on, or there is none.
    pub(crate) fn stores(&mut self, name: &str, stored: Option<(OpId, &PasswordHash)>, now: Duration) {
        let password = stored.map(|(_, hash)| password_in(hash).to_owned());
        self.passwords.entry(name.to_owned()).or_default().push((now, password.clone()));
        let Some((account, password)) = stored.map(|(account, _)| account).zip(password) else { return };
        for ((_, other), shown) in &mut self.shown {
            let is_it = |shown: &&mut Shown| other == name && shown.password == password && !shown.is_over;
            for shown in shown.iter_mut().filter(is_it) {
                if !shown.right.iter().any(|right| right.account == account && right.until.is_none()) {
                    shown.right.push(Right { account, until: None });
                }
            }
        }
    }

    /// Whether an account was proved, and has the same password still.
    fn has_proved_on(&self, on: On, name: &str, account: OpId) -> bool {
        let shown = self.shown.get(&(on, name.to_owned())).into_iter().flatten();
        let mut rights = shown.filter(|shown| !shown.is_over).flat_map(|shown| &shown.right);
        rights.any(|right| right.account == account && right.until.is_none())
    }

    fn has_proved(&self, conn: usize, name: &str, account: OpId) -> bool {
        self.has_proved_on(On::Stream(conn), name, account)
    }

    pub(crate) fn has_proved_in_handshake(&self, client: usize, name: &str, account: OpId) -> bool {
        self.has_proved_on(On::Handshake(client), name, account)
    }

    /// Whether a stream may be shown a letter of an account, the change of this number: it has proved the account, and that
    /// proof was good for what came then.
    pub(crate) fn may_read(&self, conn: usize, name: &str, account: OpId, index: usize) -> bool {
        let shown = self.shown.get(&(On::Stream(conn), name.to_owned())).into_iter().flatten();
        let mut rights = shown.flat_map(|shown| &shown.right);
        rights.any(|right| right.account == account && right.until.is_none_or(|until| index < until))
    }

    /// Whether a password that a stream sent was right at any time since.
    pub(crate) fn was_right(&self, conn: usize, name: &str, password: &str) -> bool {
        let shown = self.shown.get(&(On::Stream(conn), name.to_owned()));
        let mut shown = shown.into_iter().flatten().filter(|shown| shown.password == password);
        shown.any(|shown| !shown.right.is_empty())
    }

    /// A stream was let in with what it has sent for a name.
    pub(crate) fn is_let_in(&mut self, conn: usize, name: &str) {
        let shown = self.shown.get(&(On::Stream(conn), name.to_owned())).into_iter().flatten();
        let accounts: HashSet<_> = shown
            .flat_map(|shown| &shown.right)
            .filter(|right| right.until.is_none())
            .map(|right| right.account)
            .collect();
        for account in accounts {
            *self.logins.entry(account).or_default() += 1;
        }
    }

    /// The number of logins to an account.
    pub(crate) fn logins(&self, account: OpId) -> usize {
        self.logins.get(&account).copied().unwrap_or(0)
    }

    /// Whether a password was that of a name all the time since.
    pub(crate) fn has_been_right_since(&self, name: &str, password: &str, since: Duration) -> bool {
        let Some(passwords) = self.passwords.get(name) else { return false };
        let is_it = |(_, other): &(Duration, Option<String>)| other.as_deref() == Some(password);
        // What was stored at that very moment may have come after it.
        let before = passwords.iter().rfind(|(at, _)| *at < since);
        before.is_some_and(is_it) && passwords.iter().filter(|(at, _)| *at >= since).all(is_it)
    }

    /// Whether an account of a name has had a password.
    pub(crate) fn had(&self, name: &str, password: &str) -> bool {
        let mut passwords = self.passwords.get(name).into_iter().flatten();
        passwords.any(|(_, other)| other.as_deref() == Some(password))
    }

    /// Whether a client has sent a password for a name.
    pub(crate) fn is_shown(&self, name: &str, password: &str) -> bool {
        let mut all = self.shown.iter().filter(|((_, other), _)| other == name);
        all.any(|(_, shown)| shown.iter().any(|shown| shown.password == password))
    }

    /// Whether a session has asked for an account of its name with a password.
    pub(crate) fn registers(&self, name: &str, password: &str) -> bool {
        self.asked.contains_key(&(name.to_owned(), Ask::Make(password.to_owned())))
    }

    /// The streams that have asked for something of a name.
    pub(crate) fn who_asked(&self, name: &str, ask: Ask) -> &[usize] {
        self.asked.get(&(name.to_owned(), ask)).map_or(&[], Vec::as_slice)
    }

    /// A stream says something in a room under a name.
    pub(crate) fn speaks(&mut self, conn: usize, name: &str, account: Option<OpId>) {
        if self.renamed.contains(&conn) {
            return;
        }
        let holder = (conn, name.to_owned());
        assert!(!self.ended.contains(&holder), "stream {conn} speaks as {name}, which it has lost");
        if let Some(account) = account {
            let has_proved = self.has_proved(conn, name, account);
            assert!(has_proved, "stream {conn} speaks as {name}, which it has not proved");
            if let Some(before) = self.last.insert(name.to_owned(), conn)
                && before != conn
            {
                _ = self.ended.insert((before, name.to_owned()));
            }
        }
    }

    /// Whether a stream that has proved an account asked for its end.
    pub(crate) fn deletes(&self, name: &str, account: OpId) -> bool {
        self.who_asked(name, Ask::End).iter().any(|&conn| self.has_proved(conn, name, account))
    }

    /// An account is gone, after this number of changes. Whether the session that last spoke under its name asked for that:
    /// it goes on as a stranger.
    pub(crate) fn deleted(&mut self, name: &str, index: usize) -> bool {
        *self.deletions.entry(name.to_owned()).or_default() += 1;
        let last = self.last.remove(name);
        let is_own = last.is_some_and(|last| self.who_asked(name, Ask::End).contains(&last));
        if let Some(last) = last.filter(|_| !is_own) {
            _ = self.ended.insert((last, name.to_owned()));
        }
        self.proofs_end(name, None, index);
        is_own
    }

    /// The account of a name gets a password after this number of changes. Whether a session that has proved it asked for
    /// that: then the proofs of all others end.
    pub(crate) fn changes_password(
        &mut self,
        name: &str,
        account: OpId,
        password: &str,
        index: usize,
    ) -> bool {
        let asked = self.who_asked(name, Ask::Password(password.to_owned()));
        let Some(&conn) = asked.first() else { return false };
        if self.had(name, password) {
            // It is the same one that comes back.
            return false;
        }
        assert!(self.has_proved(conn, name, account), "stream {conn} changes the password of {name}");
        let has_lost = self.ended.contains(&(conn, name.to_owned())) && !self.renamed.contains(&conn);
        assert!(!has_lost, "stream {conn} changes the password of {name}, which it has lost");
        if let Some(last) = self.last.insert(name.to_owned(), conn)
            && last != conn
        {
            _ = self.ended.insert((last, name.to_owned()));
        }
        self.proofs_end(name, Some(conn), index);
        true
    }

    /// What was proved of a name holds for nothing that comes now, but for one stream.
    fn proofs_end(&mut self, name: &str, except: Option<usize>, index: usize) {
        let except = except.map(On::Stream);
        for ((on, other), shown) in &mut self.shown {
            if other == name && Some(*on) != except {
                let rights = shown.iter_mut().flat_map(|shown| &mut shown.right);
                rights.for_each(|right| right.until = right.until.or(Some(index)));
            }
        }
    }

    /// Whether a stream that has proved an account asked to clear a conversation.
    pub(crate) fn clears(&self, name: &str, account: OpId, with: &str) -> bool {
        // A stranger's name needs no mark while it has no account.
        let plain = with.strip_suffix(" (no account)").unwrap_or(with);
        [with, plain].into_iter().any(|with| {
            let asked = self.who_asked(name, Ask::Clear(with.to_owned()));
            asked.iter().any(|&conn| self.has_proved(conn, name, account))
        })
    }

    pub(crate) fn are_apart(&self, name: &str) -> bool {
        self.apart.contains(name)
    }

    /// All streams are gone. `apart`: names whose seats are at several addresses.
    pub(crate) fn restarts(&mut self, apart: Vec<String>) {
        self.apart.extend(apart);
        self.shown.values_mut().flatten().for_each(|shown| shown.is_over = true);
        self.asked.clear();
        self.last.clear();
    }
}

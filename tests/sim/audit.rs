//! What an account is shown of its mailbox, held against what is kept.

use parlance::chat::{Kept, OpId};
use parlance::limits::{MAIL_BYTES_AROUND, MAIL_LISTED_BYTES_MAX};

use crate::client::{Audit, Letter};

fn letter_of(letter: &parlance::chat::Letter) -> Letter {
    Letter {
        id: letter.id.to_string(),
        sender: letter.sender.to_string(),
        recipient: letter.recipient.to_string(),
        content: letter.content.to_string(),
        unread: letter.unread,
    }
}

/// The other side of a conversation: an account by its id, or the strangers of a name.
#[derive(PartialEq)]
enum With<'a> {
    Account(OpId),
    Stranger(&'a str),
}

/// Behind the name of a stranger whose name an account has.
const STRANGER_SUFFIX: &str = " (no account)";

/// The user behind a name in a list or in a request.
fn with<'a>(name: &'a str, kept: &[Kept]) -> With<'a> {
    if let Some(name) = name.strip_suffix(STRANGER_SUFFIX) {
        return With::Stranger(name);
    }
    let id = kept.iter().find_map(|part| match part {
        Kept::Account { name: there, id, .. } if **there == *name => *id,
        Kept::Account { .. } | Kept::Letter(_) | Kept::Seat { .. } => None,
    });
    id.map_or(With::Stranger(name), With::Account)
}

/// Returns how many letters were compared. `others`: with whom conversations were asked for, in that order.
pub(crate) fn check(account: &str, audit: &Audit, kept: &[Kept], others: &[String]) -> u64 {
    let mut compared = 0;
    let letters = || {
        kept.iter().filter_map(|part| match part {
            Kept::Letter(letter) => Some(letter),
            Kept::Account { .. } | Kept::Seat { .. } => None,
        })
    };
    let With::Account(own) = with(account, kept) else { panic!("{account} is no account") };
    let is_from = |letter: &&parlance::chat::Letter, other: &With<'_>| match (letter.sender_account, other) {
        (Some(sender), With::Account(other)) => sender == *other,
        (None, With::Stranger(other)) => *letter.sender == **other,
        (Some(_), With::Stranger(_)) | (None, With::Account(_)) => false,
    };
    let is_to = |letter: &&parlance::chat::Letter, id| letter.recipient_account == Some(id);
    for (name, unread) in &audit.unread {
        let other = with(name, kept);
        let wanted = letters()
            .filter(|letter| is_to(letter, own) && is_from(letter, &other))
            .filter(|letter| letter.recipient_sees && letter.unread)
            .count();
        assert_eq!(*unread as usize, wanted, "{account} is told what is unread of {name}");
    }
    // Nothing is left out of the list.
    let listed: usize = audit.unread.iter().map(|(_, unread)| *unread as usize).sum();
    let unread = letters().filter(|letter| is_to(letter, own) && letter.recipient_sees && letter.unread);
    assert_eq!(listed, unread.count(), "{account} is told of all that is unread");
    assert_eq!(audit.conversations.len(), others.len(), "{account} asked for conversations");
    for (name, shown) in others.iter().zip(&audit.conversations) {
        let other = with(name, kept);
        let is_shown = |letter: &&parlance::chat::Letter| {
            let is_its = match other {
                With::Account(other) => {
                    letter.sender_account == Some(own) && is_to(letter, other) && letter.sender_sees
                }
                With::Stranger(_) => false,
            };
            is_its || (is_from(letter, &other) && is_to(letter, own) && letter.recipient_sees)
        };
        let mut wanted: Vec<_> = letters().filter(is_shown).map(letter_of).collect();
        let bytes: usize = wanted.iter().map(|letter| letter.content.len() + MAIL_BYTES_AROUND).sum();
        if bytes > MAIL_LISTED_BYTES_MAX {
            // The newest ones are shown.
            wanted = wanted.split_off(wanted.len().saturating_sub(shown.len()));
        }
        assert_eq!(*shown, wanted, "{account} is shown its letters with {name}");
        compared += shown.len() as u64;
    }
    compared
}

/// What an account was told by the commands for mail of line.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// What was behind the login.
    pub(crate) waiting: u32,
    /// The conversations, with the numbers of unread messages.
    pub(crate) list: Vec<(String, u32)>,
}

/// Reads the answers to `LOGIN` and `MAIL`. None: it was not let in.
pub(crate) fn told(lines: &[String]) -> Option<Told> {
    let mut told = Told::default();
    let mut lines = lines.iter().skip_while(|line| *line != "OK");
    lines.next()?;
    for line in lines {
        if let Some(rest) = line.strip_prefix("MAIL ") {
            let (name, unread) = rest.rsplit_once(' ').expect("a name and a number");
            told.list.push((name.to_owned(), unread.parse().expect("a number")));
        } else if let Some(count) =
            line.strip_prefix("INFO ").and_then(|rest| rest.strip_suffix(" messages wait: MAIL"))
        {
            told.waiting = count.parse().expect("a number");
        }
    }
    Some(told)
}

/// The letters that an account sees of a conversation, oldest first.
fn shown_of<'a>(
    own: OpId,
    name: &str,
    kept: &'a [Kept],
) -> impl Iterator<Item = &'a parlance::chat::Letter> + use<'a> {
    let other = with_owned(name, kept);
    kept.iter().filter_map(move |part| {
        let Kept::Letter(letter) = part else { return None };
        let is_received = letter.recipient_account == Some(own)
            && letter.recipient_sees
            && match &other {
                Ok(id) => letter.sender_account == Some(*id),
                Err(name) => letter.sender_account.is_none() && *letter.sender == **name,
            };
        let is_sent = letter.sender_account == Some(own)
            && letter.sender_sees
            && other.as_ref().is_ok_and(|id| letter.recipient_account == Some(*id));
        (is_received || is_sent).then_some(letter)
    })
}

/// An account, or the name of a stranger.
fn with_owned(name: &str, kept: &[Kept]) -> Result<OpId, String> {
    match with(name, kept) {
        With::Account(id) => Ok(id),
        With::Stranger(name) => Err(name.to_owned()),
    }
}

fn own_id(account: &str, kept: &[Kept]) -> OpId {
    with_owned(account, kept).unwrap_or_else(|_| panic!("{account} is no account"))
}

/// Holds a list against what is kept: each conversation with messages is there once, with those that are unread.
pub(crate) fn check_list(account: &str, told: &Told, kept: &[Kept]) {
    let own = own_id(account, kept);
    let is_unread = |letter: &&parlance::chat::Letter| letter.unread && letter.recipient_account == Some(own);
    for (name, unread) in &told.list {
        let wanted = shown_of(own, name, kept).filter(is_unread).count();
        assert_eq!(*unread as usize, wanted, "{account} is told by line what is unread of {name}");
    }
    let mut names: Vec<_> = told.list.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), told.list.len(), "each conversation is listed once");
    let seen: usize = names.iter().map(|name| shown_of(own, name, kept).count()).sum();
    let is_seen = |letter: &parlance::chat::Letter| {
        (letter.recipient_account == Some(own) && letter.recipient_sees)
            || (letter.sender_account == Some(own) && letter.sender_sees)
    };
    let all = kept.iter().filter(|part| matches!(part, Kept::Letter(letter) if is_seen(letter))).count();
    assert_eq!(seen, all, "{account} is told of all conversations: {names:?}");
    let unread: u32 = told.list.iter().map(|(_, unread)| unread).sum();
    assert_eq!(told.waiting, unread, "{account} is told how many messages wait");
}

/// Holds conversations against what is kept. `lines`: the answers, each with its end. Returns the number of compared
/// letters.
pub(crate) fn check_read(account: &str, names: &[String], lines: &[String], kept: &[Kept]) -> u64 {
    let own = own_id(account, kept);
    let mut answers = lines.split(|line| line == "OK");
    let mut compared = 0;
    for name in names {
        let answer = answers.next().unwrap_or_default();
        let shown: Vec<_> = answer.iter().filter_map(|line| line.strip_prefix("FROM ")).collect();
        let wanted: Vec<_> = shown_of(own, name, kept)
            .map(|letter| format!("{} {} {}", letter.at.0, letter.sender, letter.content))
            .collect();
        assert_eq!(shown, wanted, "{account} reads its mail with {name} in line");
        compared += shown.len() as u64;
    }
    compared
}

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

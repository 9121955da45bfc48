//! What an account is shown of its mailbox, held against what is kept.

use parlance::chat::Kept;
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

/// Returns how many letters were compared. `others`: with whom conversations were asked for, in that order.
pub(crate) fn check(account: &str, audit: &Audit, kept: &[Kept], others: &[String]) -> u64 {
    let mut compared = 0;
    let letters = || {
        kept.iter().filter_map(|part| match part {
            Kept::Letter(letter) => Some(letter),
            Kept::Account { .. } | Kept::Seat { .. } => None,
        })
    };
    for (name, unread) in &audit.unread {
        let wanted = letters()
            .filter(|letter| &*letter.recipient == account && &*letter.sender == name)
            .filter(|letter| letter.recipient_sees && letter.unread)
            .count();
        assert_eq!(*unread as usize, wanted, "{account} is told what is unread of {name}");
    }
    assert_eq!(audit.conversations.len(), others.len(), "{account} asked for conversations");
    for (other, shown) in others.iter().zip(&audit.conversations) {
        let is_shown = |letter: &&parlance::chat::Letter| {
            let is_its = &*letter.sender == account && &*letter.recipient == other && letter.sender_sees;
            let is_others =
                &*letter.sender == other && &*letter.recipient == account && letter.recipient_sees;
            is_its || is_others
        };
        let mut wanted: Vec<_> = letters().filter(is_shown).map(letter_of).collect();
        let bytes: usize = wanted.iter().map(|letter| letter.content.len() + MAIL_BYTES_AROUND).sum();
        if bytes > MAIL_LISTED_BYTES_MAX {
            // The newest ones are shown.
            wanted = wanted.split_off(wanted.len().saturating_sub(shown.len()));
        }
        assert_eq!(*shown, wanted, "{account} is shown its letters with {other}");
        compared += shown.len() as u64;
    }
    compared
}

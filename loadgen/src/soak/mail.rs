//! The mail from one of a pair to the other, from when it is written to when it is deleted, so that mailboxes stay small.

use std::collections::VecDeque;

/// Mail that waits for a partner who is away is as much at most; its writer is silent then.
const WAITING_MAX: usize = 64;

/// What was written and is not yet deleted, oldest first.
#[derive(Default)]
pub(super) struct Mail {
    letters: VecDeque<Letter>,
}

struct Letter {
    number: u32,
    /// By which the server calls it, once it has said that it is kept.
    id: Option<String>,
    /// Its recipient has seen it, and has said so.
    is_read: bool,
}

impl Mail {
    pub(super) fn is_full(&self) -> bool {
        self.letters.len() >= WAITING_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    pub(super) fn write(&mut self, number: u32) {
        self.letters.push_back(Letter { number, id: None, is_read: false });
    }

    /// Whether all of it is known to be kept.
    pub(super) fn is_kept(&self) -> bool {
        self.letters.iter().all(|letter| letter.id.is_some())
    }

    /// The server says that a letter is kept. Whether there is one that it had not said that of.
    pub(super) fn keep(&mut self, number: u32, id: &str) -> bool {
        let unkept = |letter: &&mut Letter| letter.number == number && letter.id.is_none();
        let Some(letter) = self.letters.iter_mut().find(unkept) else { return false };
        letter.id = Some(id.to_owned());
        true
    }

    pub(super) fn read(&mut self, number: u32) {
        if let Some(letter) = self.letters.iter_mut().find(|letter| letter.number == number) {
            letter.is_read = true;
        }
    }

    /// The numbers of what must be in a mailbox by now.
    pub(super) fn kept(&self) -> impl Iterator<Item = u32> {
        self.letters.iter().filter(|letter| letter.id.is_some()).map(|letter| letter.number)
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        self.letters.iter().any(|letter| letter.number == number)
    }

    /// Forgets what is kept and read, and gives the ids by which that is to be deleted.
    pub(super) fn take_read(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        self.letters.retain_mut(|letter| match letter.id.take_if(|_| letter.is_read) {
            Some(id) => {
                ids.push(id);
                false
            }
            None => true,
        });
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_deleted_when_it_is_kept_and_read() {
        let mut mail = Mail::default();
        for number in [3, 5, 8] {
            mail.write(number);
        }
        assert!(mail.keep(3, "a") && !mail.keep(3, "a") && mail.keep(5, "b") && !mail.keep(4, "c"));
        assert!(!mail.is_kept());
        mail.read(5);
        mail.read(8);
        assert_eq!(mail.take_read(), ["b"]);
        assert!(mail.keep(8, "c") && mail.is_kept());
        assert_eq!(mail.take_read(), ["c"]);
        assert!(mail.kept().eq([3]) && mail.contains(3) && !mail.contains(5));
    }
}

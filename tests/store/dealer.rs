//! Random ops, of few people and in few rooms, so that they meet.

use std::net::IpAddr;

use parlance::chat::{
    Change, HistoryRule, HistoryRules, Op, OpId, PasswordHash, RoomPattern, Seat, Token, UnixMillis,
};

use crate::dice::Dice;
use crate::model::Model;

pub(crate) const ROOMS: [&str; 5] = ["lobby", "den", "den-2", "a \"room\" with 'quotes' %_\\", "комната"];
const PEOPLE: [&str; 7] = ["alice", "Alice", "bob", "BOB", "Zoë", "zoË", "mallory"];
const WORDS: [&str; 25] = [
    "hello",
    "Hello",
    "world",
    "Zoë",
    "ZOE",
    "e\u{301}te\u{301}",
    "été",
    "ÉTÉ",
    "42",
    "NEAR",
    "or",
    "AND",
    "naïve",
    "日本",
    "日本語",
    "本",
    "本日",
    "วันนี้",
    "ΟΔΌΣ",
    "οδός",
    "🎉",
    "🎉🎉",
    "don't",
    "привет",
    "ПРИВЕТ",
];
const BETWEEN: [&str; 13] = [" ", " ", "", ", ", "\n", "\"", "-", "*", "'", " (", ":", "\t^", "\0"];

/// Deals ops, each with a higher id than the one before.
pub(crate) struct Dealer {
    pub(crate) dice: Dice,
    at: UnixMillis,
    sequence: u16,
    dealt: u64,
    /// Ids of everything that was ever sent or said.
    past: Vec<OpId>,
    past_tokens: Vec<Token>,
    past_accounts: Vec<OpId>,
}

pub(crate) fn pick<'a, T>(dice: &mut Dice, of: &'a [T]) -> &'a T {
    &of[dice.below(of.len())]
}

pub(crate) fn hash(number: u64) -> PasswordHash {
    PasswordHash::new(&format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$hash{number}")).expect("a hash")
}

pub(crate) fn token(number: u64) -> Token {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Token::from_random(bytes)
}

impl Dealer {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            at: UnixMillis(1_700_000_000_000),
            sequence: 0,
            dealt: 0,
            past: Vec::new(),
            past_tokens: Vec::new(),
            past_accounts: Vec::new(),
        }
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.at
    }

    /// The next id: often in the same millisecond as the last one, at times half a day later.
    pub(crate) fn id(&mut self) -> OpId {
        let later = *pick(&mut self.dice, &[0, 0, 0, 0, 1, 1, 20, 20, 5000, 12 * 60 * 60 * 1000]);
        self.sequence = if later == 0 { self.sequence + 1 } else { 0 };
        self.at = UnixMillis(self.at.0 + later);
        OpId::new(self.at, self.sequence, self.dice.next())
    }

    pub(crate) fn op(&mut self, change: Change) -> Op {
        let id = self.id();
        // At times the clock has gone back, and ids are ahead of it.
        let back = *pick(&mut self.dice, &[0, 0, 0, 1, 700, 3 * 24 * 60 * 60 * 1000]);
        Op { id, at: UnixMillis(id.at().0 - back), change }
    }

    pub(crate) fn text(&mut self) -> Box<str> {
        let mut text = String::new();
        for _ in 0..self.dice.below(6) {
            text += pick::<&str>(&mut self.dice, &WORDS);
            text += pick::<&str>(&mut self.dice, &BETWEEN);
        }
        text.into()
    }

    fn person(&mut self) -> Box<str> {
        (*pick(&mut self.dice, &PEOPLE)).into()
    }

    fn room(&mut self) -> Box<str> {
        (*pick(&mut self.dice, &ROOMS)).into()
    }

    fn seat(&mut self) -> Seat {
        let ips: [IpAddr; 2] = [[127, 0, 0, 1].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()];
        let token = token(self.dealt);
        self.past_tokens.push(token);
        Seat { name: self.person(), token, ip: *pick(&mut self.dice, &ips) }
    }

    /// A message that is there, or was, or never was.
    pub(crate) fn message(&mut self, there: &[OpId]) -> OpId {
        match self.dice.below(10) {
            0 => OpId::new(self.at, 0xfff, self.dice.next()),
            1 | 2 if !self.past.is_empty() => *pick(&mut self.dice, &self.past),
            _ if !there.is_empty() => *pick(&mut self.dice, there),
            _ => OpId::new(UnixMillis(5), 0, 0),
        }
    }

    /// The id of a name's account; at times none, as in ops of earlier versions, or that of an account that
    /// is gone.
    fn account_of(&mut self, model: &Model, name: &str) -> Option<OpId> {
        let id = model.account_id(name)?;
        self.past_accounts.push(id);
        match self.dice.below(6) {
            0 => None,
            1 => Some(*pick(&mut self.dice, &self.past_accounts)),
            _ => Some(id),
        }
    }

    fn mail(&mut self, model: &Model) -> Change {
        let (sender, recipient) = (self.person(), self.person());
        let account = model.account_name(&sender);
        // Whoever has no account has no keys. The engine never lets a key be used twice.
        let key = format!("k{}", self.dice.below(20));
        let key =
            (account.is_some() && self.dice.below(2) == 0 && !model.has_key(&sender, &key)).then_some(key);
        // Somebody may also have laid the account's name down, and speak as a stranger.
        let sender_has_account = account.is_some() && (key.is_some() || self.dice.below(5) > 0);
        let content = self.text();
        let sender_account = self.account_of(model, &sender).filter(|_| sender_has_account);
        let recipient_account = self.account_of(model, &recipient);
        Change::MailSent {
            sender,
            sender_has_account,
            sender_account,
            recipient,
            recipient_account,
            content,
            key: key.map(Into::into),
        }
    }

    /// The next op, which may also change nothing.
    pub(crate) fn deal(&mut self, model: &Model) -> Op {
        self.dealt += 1;
        let change = match self.dice.below(100) {
            0..8 => Change::AccountCreated {
                name: self.person(),
                password: hash(self.dealt),
                is_unused: self.dice.below(2) == 0,
            },
            8 | 9 => {
                let name = self.person();
                Change::AccountUsed { account: self.account_of(model, &name), name }
            }
            10..12 => {
                let name = self.person();
                let account = self.account_of(model, &name);
                Change::PasswordChanged { name, account, password: hash(self.dealt) }
            }
            12..15 => {
                let name = self.person();
                Change::AccountDeleted { account: self.account_of(model, &name), name }
            }
            15..40 => self.mail(model),
            40..48 => {
                let there = model.letter_ids();
                let count = self.dice.below(6);
                let messages = (0..count).map(|_| self.message(&there)).collect();
                Change::MailRead { reader: self.person(), messages }
            }
            48 | 49 => {
                let there = model.letter_ids();
                let count = self.dice.below(6);
                let messages = (0..count).map(|_| self.message(&there)).collect();
                Change::ConversationCleared { by: self.person(), messages }
            }
            50..56 => {
                let there = model.letter_ids();
                Change::MailDeleted { by: self.person(), message: self.message(&there) }
            }
            56..86 => Change::Said { room: self.room(), sender: self.person(), text: self.text() },
            86..93 => {
                let (room, seat) = (self.room(), self.seat());
                if &*room == "lobby" || model.has_seats_in(&room) {
                    Change::SeatTaken { room, seat }
                } else {
                    Change::RoomMade { room, host: seat }
                }
            }
            93..98 => {
                let there = model.tokens();
                let token = match self.dice.below(5) {
                    0 => token(u64::MAX),
                    1 if !self.past_tokens.is_empty() => *pick(&mut self.dice, &self.past_tokens),
                    _ if !there.is_empty() => *pick(&mut self.dice, &there),
                    _ => token(u64::MAX - 1),
                };
                Change::SeatLeft { token }
            }
            _ => {
                let room = self.room();
                let made = match self.dice.below(4) {
                    0 => None,
                    1 if !self.past.is_empty() => Some(*pick(&mut self.dice, &self.past)),
                    _ => model.made(&room),
                };
                Change::RoomClosed { room, made }
            }
        };
        let op = self.op(change);
        if matches!(op.change, Change::MailSent { .. } | Change::Said { .. }) {
            self.past.push(op.id);
        }
        op
    }

    pub(crate) fn rules(&mut self) -> HistoryRules {
        let mut rule = || HistoryRule {
            keep_messages: *pick(&mut self.dice, &[0, 1, 3, 10, 30, 1000]),
            keep_days: *pick(&mut self.dice, &[0, 0, 1, 5, 30]),
            on_join: 0,
        };
        let pattern = |text: &str| RoomPattern::from(text.to_owned());
        HistoryRules {
            default: rule(),
            rooms: vec![(pattern("den-?"), rule()), (pattern("*\"*"), rule()), (pattern("den*"), rule())],
        }
    }

    /// Something to search for, also what a database might take for more than words.
    pub(crate) fn question(&mut self) -> String {
        const CUNNING: [&str; 14] = [
            "\"",
            "\"hello\" OR",
            "he*",
            "words:hello",
            "NEAR(hello world)",
            "-hello",
            "^hello",
            "hello AND",
            "%",
            "'; --",
            "hello\0world",
            "(",
            "hell",
            "e\u{308}",
        ];
        let mut question = String::new();
        for _ in 0..=self.dice.below(3) {
            let words = if self.dice.below(4) == 0 { &CUNNING[..] } else { &WORDS };
            question += pick::<&str>(&mut self.dice, words);
            question.push(' ');
        }
        question
    }
}

//! Direct messages: live to whoever is here, and into the mailbox of whoever has an account.

use super::Engine;
use super::network::Network;
use super::promise::Promise;
use crate::chat::{Change, ConnId, Event, Folded, Mail, Name, OP_ID_BYTES, OpId, Problem, Usage};
use crate::limits::{MAIL_KEY_BYTES_MAX, TEXT_BYTES_MAX};
use crate::state::AccountId;
use crate::wire::Transport;

/// What became of a message.
struct Delivered {
    /// Its id in the recipient's mailbox, if it is in one.
    kept: Option<OpId>,
    /// It was there already.
    is_old: bool,
    /// The recipient's name.
    to: Name,
}

impl Engine {
    /// Who of those that hold a name is told something: of several seats the first that can be. A seat that was never heard
    /// has nowhere to be told anything: nobody is there.
    fn listener(&self, folded: &Folded) -> Option<ConnId> {
        let hears =
            |id: &ConnId| self.conn(*id).dialect.transport() != Transport::Datagram || self.seat_hears(*id);
        self.roster.all_holders(&self.connections, folded).find(hears)
    }

    /// A direct message from a dialect that shows it at once.
    pub(super) fn direct(&mut self, id: ConnId, to: &str, text: &str) {
        if to.is_empty() || text.is_empty() {
            return self.reply(id, &Event::Error(Problem::Usage(Usage::Direct)));
        }
        match self.deliver(id, to, text, None) {
            Ok(Delivered { to, .. }) => self.reply(id, &Event::DirectSent { to: to.as_str(), text }),
            Err(problem) => self.reply(id, &Event::Error(problem)),
        }
    }

    /// A message from a dialect of mailboxes; only one with a key is acknowledged.
    pub(super) fn send(&mut self, id: ConnId, to: &str, text: &str, key: Option<&str>) {
        match (self.deliver(id, to, text, key), key) {
            (Ok(Delivered { kept: Some(mail), is_old, .. }), Some(key)) => {
                let promise = Promise::Mail((!is_old).then_some(mail));
                self.promise(id, Some(mail), promise, |_, answer| {
                    answer(&Event::Kept { key, id: mail.text(&mut [0; OP_ID_BYTES]) });
                });
            }
            (Ok(Delivered { kept: Some(mail), .. }), None) => {
                self.promise(id, Some(mail), Promise::Mail(Some(mail)), |_, _| {});
            }
            // Live only: nothing is kept, and nothing promised.
            (Ok(Delivered { kept: None, .. }), Some(_)) => {
                self.reply(id, &Event::Error(Problem::UserNotFound(to)));
            }
            (Ok(Delivered { kept: None, .. }), None) => {}
            (Err(problem), _) => self.reply(id, &Event::Error(problem)),
        }
    }

    /// Delivers a message: into the mailbox of an account, and live. Where it cannot be kept, because the
    /// store fails or the mailbox takes no more from the sender, it is delivered live only. It is refused if
    /// the recipient is not there, or if the sender's dialect says that messages are kept.
    fn deliver<'a>(
        &mut self,
        id: ConnId,
        to: &'a str,
        text: &str,
        key: Option<&str>,
    ) -> Result<Delivered, Problem<'a>> {
        let unknown = Problem::UserNotFound(to);
        let Some(sender) = self.conn(id).name else { return Err(Problem::MustLogin) };
        let Ok((to_name, folded)) = Name::parse(to) else { return Err(unknown) };
        let (account, holder) = (self.ledger.find(&folded), self.listener(&folded));
        if account.is_none() && (holder.is_none() || key.is_some()) {
            return Err(unknown);
        }
        if text.len() > TEXT_BYTES_MAX || key.is_some_and(|key| key.len() > MAIL_KEY_BYTES_MAX) {
            return Err(Problem::TextTooLong);
        }
        let sender_account = self.account_of(id);
        // An empty one tells nothing apart.
        let distinct_key = key.filter(|key| !key.is_empty());
        if let (Some(account), Some(key)) = (sender_account, distinct_key)
            && let Some(sent) = self.ledger.sent_with(account, key)
        {
            return Ok(Delivered { kept: Some(sent), is_old: true, to: to_name });
        }
        if holder.is_some_and(|holder| self.has_enough_to_pace(holder)) {
            return Err(Problem::Busy);
        }
        let mut kept = None;
        let mut name = holder.and_then(|holder| self.conn(holder).name).unwrap_or(to_name);
        let charged = self.charged_to(id);
        let origin = charged.map(Network::origin);
        let problem = match account {
            Some(_) if !self.can_keep(id) => Some(self.unkept_problem()),
            Some(account) => self.ledger.full_for(origin, sender_account, account, text),
            None => None,
        };
        if let (Some(Problem::MailboxFull), Some(account)) = (problem, account) {
            let has_space = self.ledger.has_space(None, sender_account, account, text);
            self.metrics.shares_refused += u64::from(has_space);
        }
        let keeps = problem.is_none();
        if let Some(problem) = problem
            && (holder.is_none() || self.conn(id).dialect.answers_when_kept())
        {
            return Err(problem);
        }
        if let Some(account) = account.filter(|_| keeps) {
            if let Some(stored) = self.ledger.account(account)
                && let Ok((stored, _)) = Name::parse(&stored.name)
            {
                name = stored;
            }
            let id_of = |account| self.ledger.account(account).map(|account| account.id);
            let recipient_account = id_of(account);
            let sender_has_account = sender_account.is_some();
            let sender_account = sender_account.and_then(id_of);
            let sent = Change::MailSent {
                sender: sender.as_str().into(),
                sender_has_account,
                sender_account,
                recipient: name.as_str().into(),
                recipient_account,
                content: text.into(),
                key: distinct_key.map(Into::into),
            };
            kept = Some(self.commit_for(charged, sent));
        }
        self.metrics.directs += 1;
        if let (Some(account), Some(mail)) = (account, kept) {
            self.tell_subscribers(account, mail);
        }
        if let Some(holder) = holder {
            let at = self.now.unix.seconds();
            self.keep_alive(holder, self.now.monotonic);
            self.reply(holder, &Event::Direct { sender: sender.as_str(), text, at });
        }
        Ok(Delivered { kept, is_old: false, to: name })
    }

    fn tell_subscribers(&mut self, account: AccountId, id: OpId) {
        let open = self.mailboxes.get(&account).cloned().unwrap_or_default();
        for conn in open {
            if self.conn(conn).more.as_ref().is_some_and(|more| more.subscribed) {
                self.tell_with(conn, |engine, answer| {
                    if let Some(mail) = engine.ledger.mail(id) {
                        answer(&Event::MailArrived(Mail { id: id.text(&mut [0; OP_ID_BYTES]), ..mail }));
                    }
                });
            }
        }
    }
}

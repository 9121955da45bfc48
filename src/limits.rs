//! Every bound: its unit, its reason, and what happens when it is hit.
//!
//! `_MAX` is fixed here; what an operator may change is in [`Config`](crate::config::Config), and its own bounds are here.

// Names.

/// Bytes of a person's name. Long enough for people, short enough to stand inline in a session and in front of every
/// message. Longer: the name is refused.
pub const NAME_BYTES_MAX: usize = 32;
/// Bytes of a folded name: lower case grows a text by at most half, composition by at most twice. Longer: refused.
pub const NAME_FOLDED_BYTES_MAX: usize = 3 * NAME_BYTES_MAX;
/// Bytes of a room's name: as many as TCRP, whose programs use them, has space for. Longer: the name is refused.
pub const ROOM_NAME_BYTES_MAX: usize = 255;

// Passwords.

/// Bytes of a password. Longer: refused before anybody hashes it. Far more than people type; what a password manager makes
/// fits.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Bytes of a password's hash as a text. With the longest salt and output that the library reads an argon2id hash has some
/// 220; a bcrypt hash has 60. Longer: it is taken for no hash.
pub const PASSWORD_HASH_BYTES_MAX: usize = 256;
/// Threads that hash, once there is something to hash. Each takes a core for tens of milliseconds and the memory of a hash.
/// More tasks: they wait.
pub const PASSWORD_THREADS_MAX: usize = 2;
/// Password checks that wait: for a thread, for the turn of their network, or for the end of a delay. A
/// server with 10,000 clients reaches this when half of them reconnect at once; with the longest passwords
/// they take 6 MB. More: the login is refused as busy. (The last tenth is for networks that hold less than 1
/// %: [`PLACES_KEPT_DIVISOR`].)
pub const PASSWORD_QUEUE_MAX: usize = 1 << 12;
/// Password checks handed out at once: each thread has one in work and one ready. More: they wait in the
/// engine, where networks take turns.
pub const PASSWORD_AT_WORK_MAX: usize = 2 * PASSWORD_THREADS_MAX;
/// Hashes of one network a second, in the long run. 200 people behind one address who log in within a few
/// minutes wait for seconds. More: the checks of that network wait, and are not refused.
pub const PASSWORD_HASHES_PER_SECOND: u32 = 4;
/// Hashes of one network at once after a pause: a class or an office can log in without a wait.
pub const PASSWORD_HASHES_HELD: usize = 100;
/// Hashes that a wrong password is counted for. One network has 4 × 86,400 / 16 = 21,600 guesses a day, over
/// all names (and the held 100 / 16 once), while one mistyped password delays its network by four seconds at
/// most.
pub const PASSWORD_WRONG_HASHES: usize = 16;
/// Networks whose hashes are counted at once: the threads hash for fewer networks in the half minute in which
/// a bucket fills. More: the hashes of new networks are not counted until some buckets are full.
pub const PASSWORD_BUCKETS_MAX: usize = 1 << 14;
/// Delayed password checks of one network, because of an attack on their name ([`ATTEMPTS_OF_NAME_MAX`]):
/// more than the wrong passwords that block the network for the name. More: the login is refused as busy.
pub const PASSWORD_DELAYED_OF_NETWORK_MAX: usize = 8;
/// Delayed password checks of all networks: 256 networks are needed to hold them all, and the other half of
/// the queue is for names that are not under attack. More: the login is refused as busy.
pub const PASSWORD_DELAYED_MAX: usize = PASSWORD_QUEUE_MAX / 2;
/// What a thread that hashes adds to the process's nice value: it gets a tenth of a core that the shard needs all of, and
/// all of one that nobody needs.
pub const PASSWORD_NICENESS: i32 = 10;
/// Memory of a hash made today, in KiB. This and the two below are what OWASP's cheat sheet on
/// password storage wants at least of argon2id.
pub const PASSWORD_MEMORY_KIB: u32 = 19 << 10;
/// Passes over that memory.
pub const PASSWORD_PASSES: u32 = 2;
/// Lanes in it.
pub const PASSWORD_LANES: u32 = 1;
/// Memory that a stored hash may ask for, in KiB: what the libraries of other languages take by default. More: no password
/// is compared with it.
pub const PASSWORD_MEMORY_KIB_MAX: u32 = 64 << 10;
/// Passes that a stored hash may ask for: about a second over the most memory. More: as for the memory.
pub const PASSWORD_PASSES_MAX: u32 = 16;
/// The cost of an imported bcrypt hash, a power of two: about a second. Higher: as for the memory.
pub const PASSWORD_BCRYPT_COST_MAX: u32 = 14;

const _: () =
    assert!(PASSWORD_MEMORY_KIB <= PASSWORD_MEMORY_KIB_MAX && PASSWORD_PASSES <= PASSWORD_PASSES_MAX);

// The wire.

/// Bytes at the start of a connection that are compared with the starts of other protocols. More: they say
/// nothing new.
pub const OPENING_BYTES_MAX: usize = 8;
/// Bytes of a line with its end, in the text dialects. Longer: the sender is told, and the line is skipped unread.
pub const LINE_BYTES_MAX: usize = 4096;
/// Bytes of a Telnet subnegotiation. Nothing is kept of one; the longest in use, an environment, has some
/// hundred bytes. Longer: the connection is closed, since all that it says would be swallowed.
pub const TELNET_SUBNEGOTIATION_BYTES_MAX: usize = LINE_BYTES_MAX;
/// Bytes of a line with its end from the server, as a client reads it: a text of [`LINE_BYTES_MAX`], each byte of which
/// may have become a replacement character of three, and a time, a name and a few words in front. Longer: the client
/// skips it.
pub const SERVER_LINE_BYTES_MAX: usize = 3 * LINE_BYTES_MAX + 256;
/// Characters of a slash user's nickname, at least. Shorter: refused.
pub const SLASH_NAME_CHARS_MIN: u8 = 3;
/// Characters of a slash user's nickname, at most. Longer: refused.
pub const SLASH_NAME_CHARS_MAX: u8 = 20;

// The room log.

/// Lines of a text that line and slash show as lines of their own, each with a copy of the prefix. More than
/// people write at once; a frame stays within a block of a log. More: the line ends behind them become U+23CE.
pub const TEXT_LINES_MAX: usize = 32;
/// Bytes of the prefix of such a line: a time, a name and a few words.
const LINE_PREFIX_BYTES_MAX: usize = NAME_BYTES_MAX + 64;
/// Bytes of a log's blocks, smallest first. A room that says a line a minute holds the smallest; a write of
/// [`WRITE_SLICES_MAX`] of the largest is 256 KiB, more than a socket takes at once.
pub const LOG_BLOCK_BYTES: [usize; 3] = [1 << 10, 4 << 10, 16 << 10];
/// Bytes of an encoded frame: no dialect's longest frame is longer, and a block of the largest size holds it.
pub const FRAME_BYTES_MAX: usize = SERVER_LINE_BYTES_MAX + (TEXT_LINES_MAX - 1) * LINE_PREFIX_BYTES_MAX;
/// Bytes of blocks of one size kept for reuse when no log needs them. More: given back to the allocator.
pub const LOG_POOL_BYTES_MAX: usize = 4 << 20;
/// Bytes of a block for each frame in it, at least: a block is full when it has more frames than that, so that the marks
/// of its frames take no more memory than its bytes.
pub const LOG_FRAME_BYTES_MIN: usize = 16;
/// Bytes of the blocks in all logs together, unless the operator says otherwise; each shard has its part. More: the room that
/// was least recently read gives way, which means that who stands still there lags, and so on until there is space. Where
/// nobody stands still, a log that grows is held to [`LOG_BYTES_LIMIT_MIN`], and its members lag accordingly, until there is
/// less.
pub const LOG_TOTAL_BYTES_DEFAULT: usize = 512 << 20;
/// What an operator may allow of them, at least: one log of the default size, or sixteen of the smallest.
pub const LOG_TOTAL_BYTES_LIMIT_MIN: usize = 1 << 20;
/// What an operator may allow of them, at most.
pub const LOG_TOTAL_BYTES_LIMIT_MAX: usize = 1 << 40;
/// Milliseconds that nothing of a log was given back before it may give way: whoever reads has read something by then, even
/// from far away. It also bounds how often a log is looked at in vain.
pub const LOG_STILL_MILLIS: u64 = 200;
/// The part of a log's bound that members who are not blocked may be behind. More: publishers in the room wait until it
/// is flushed. A block may be half empty, so that this is half of what the bound may hold.
pub const LOG_BACKLOG_DIVISOR: usize = 4;
/// Bytes of a room's log a dialect, at least: a few blocks of the largest size.
pub const LOG_BYTES_LIMIT_MIN: usize = 64 << 10;
/// Bytes of a room's log a dialect, at most.
pub const LOG_BYTES_LIMIT_MAX: usize = 1 << 30;
/// Slices of one `writev`. More: the rest goes with the next one.
pub const WRITE_SLICES_MAX: usize = 16;

const _: () = assert!(FRAME_BYTES_MAX <= LOG_BLOCK_BYTES[LOG_BLOCK_BYTES.len() - 1]);
const _: () = assert!(LOG_BYTES_LIMIT_MIN >= 4 * LOG_BLOCK_BYTES[LOG_BLOCK_BYTES.len() - 1]);

// Rooms.

/// Rooms at once. More, or more than its [share](PLACES_KEPT_DIVISOR) for a network: the request is refused.
pub const ROOMS_MAX: usize = 1 << 14;
/// Rooms in an answer to a list of rooms, so that one command costs at most some 90 kB. The rest is given as a number.
pub const ROOMS_LISTED_MAX: usize = 1000;
/// Bytes of their names in such an answer: with what stands around them, no more than [`ANSWER_BYTES_MAX`].
/// More: as for [`ROOMS_LISTED_MAX`].
pub const ROOMS_LISTED_BYTES_MAX: usize = ANSWER_BYTES_MAX / 4 * 3;
/// Members in a list of a room's members: the number of slots in half of [`ANSWER_BYTES_MAX`]. More: the
/// further members are left out.
pub const USERS_LISTED_MAX: usize = ANSWER_BYTES_MAX / 2 / size_of::<u32>();
/// Messages of a room's history when none are asked for by number.
pub const HISTORY_COUNT_DEFAULT: usize = 20;
/// Bytes of a room's history, in two halves of which the older is dropped when the newer is full.
pub const HISTORY_BYTES_MAX: usize = 32 << 10;

// Shares of totals. Each total of the whole server that a peer can fill for long has shares: connections,
// rooms, seats, accounts, mail, password checks, look-ups, ops and answers that wait for the store.
// docs/operations.md lists them, and the totals that protect small holders in another way. The table of a
// total has an entry of 16 bytes for each network that holds a part. So the total also bounds its table.

/// The part of a total that is kept for networks with a small share of it, so that one network, or a few,
/// never fill it for all. Any other network gets the error of a full total.
pub const PLACES_KEPT_DIVISOR: usize = 10;
/// The part of a total below which a network's share is small: ten such networks fill the kept part. A
/// network that holds nothing has a small share of any total.
pub const PLACES_SMALL_DIVISOR: usize = 100;

// Accounts and mailboxes.

/// Accounts at once. More, or more than its [share](PLACES_KEPT_DIVISOR) for a network: the request is
/// refused. Each takes some 700 bytes of memory, 40 more until its first use, and 32 for the network that
/// made it since the start.
pub const ACCOUNTS_MAX: usize = 100_000;
/// New accounts of one network (an IPv4 address, a /64 of IPv6) a day, unless the operator says otherwise:
/// enough for a household. Half of them can be made at once. More: refused, with the time of the next one.
pub const ADDRESS_ACCOUNTS_DEFAULT: u32 = 10;
/// Factor between the limit of one network and that of its /24 (IPv6: /48). One person often has the whole
/// range, but it may also be an office. More: refused, with the time of the next one.
pub const ACCOUNTS_WIDE_FACTOR: u32 = 3;
/// Networks whose new accounts are counted at once, and the same number of wide ones: 3 MB together. An entry
/// is forgotten once its bucket is full again. More: networks without an entry share one bucket of the size
/// of a wide network's.
pub const ACCOUNT_NETWORKS_MAX: usize = 1 << 16;
/// Seconds between two searches of the full table for full buckets: each reads the whole table.
pub const ACCOUNT_NETWORKS_SWEEP_SECONDS: u64 = 60;
/// Days after which an account is deleted that was never used again: no second login, and no message from or
/// to it. Other accounts stay.
pub const UNUSED_ACCOUNT_DAYS: u64 = 30;
/// Seconds for which the wall clock must have run in step with the monotonic one, in this process, before
/// such accounts go: a clock that is ahead for a while makes no account old.
pub const UNUSED_CLOCK_SECONDS: u64 = 24 * 60 * 60;
/// Seconds between two looks for such accounts.
pub const UNUSED_LOOK_SECONDS: u64 = 60 * 60;
/// Accounts checked each time, oldest first: some milliseconds. More: the rest a second later.
pub const UNUSED_PER_LOOK_MAX: usize = 256;
/// Nicknames that a slash connection may try, at most, before it is closed: a slip or two. The time for a
/// login goes on through all of them.
pub const SLASH_NICK_TRIES_MAX: u8 = 10;
/// Wrong passwords for one name from one network in [`ATTEMPTS_SECONDS`], unless the operator says otherwise:
/// people mistype. More: no password for that name from that network is checked until that time has passed.
pub const ATTEMPTS_DEFAULT: u8 = 5;
/// What an operator may allow of them, at most: a weak password is guessed in days with more.
pub const ATTEMPTS_LIMIT_MAX: u8 = 100;
/// Seconds in which wrong passwords are counted, and for which too many of them are refused.
pub const ATTEMPTS_SECONDS: u64 = 60;
/// Pairs of a name and a network whose wrong passwords are counted at once: more than the passwords compared
/// in a minute. More: the wrong passwords of new pairs are not counted until some pairs are forgotten.
pub const ATTEMPTS_KEPT_MAX: usize = 1 << 14;
/// Wrong passwords for one name from all networks in [`ATTEMPTS_OF_NAME_SECONDS`]: no person mistypes that
/// often. More: each check of the name waits, one second at first and twice as long with each further wrong
/// password. Networks that proved the name do not wait ([`PROOF_SECONDS`]).
pub const ATTEMPTS_OF_NAME_MAX: u32 = 100;
/// Seconds in which the wrong passwords for a name are counted together.
pub const ATTEMPTS_OF_NAME_SECONDS: u64 = 60 * 60;
/// Parts of that time with counts of their own. When a part begins, the oldest is forgotten.
pub const ATTEMPTS_OF_NAME_PARTS: usize = 12;
/// Seconds of the longest such wait: the owner can still log in from a new network.
pub const ATTEMPTS_WAIT_SECONDS_MAX: u64 = 30;
/// Names whose wrong passwords are counted at once, in 3 MB. More: the names with the fewest are forgotten,
/// so an attack on many names does not hide an attack on one.
pub const ATTEMPTS_NAMES_MAX: usize = 1 << 14;
/// Seconds for which a network's proof of a name, by its password, is remembered: 30 days.
pub const PROOF_SECONDS: u64 = 30 * 24 * 60 * 60;
/// Remembered proofs of one name, one for each network: a home, an office, a mobile network that changes its
/// addresses. More: the least recent one is forgotten.
pub const PROOFS_OF_NAME_MAX: usize = 8;
/// Remembered proofs of all names, in some 20 MB. More: each name with several proofs loses its least recent
/// one. No name loses its last proof, so a user with many accounts cannot remove another user's.
pub const PROOFS_MAX: usize = 1 << 17;
const _: () = assert!(PROOFS_MAX > ACCOUNTS_MAX, "each account has one");
const _: () = assert!(ATTEMPTS_OF_NAME_SECONDS.is_multiple_of(ATTEMPTS_OF_NAME_PARTS as u64));

/// Seconds for which a bare name resumes a login from the same address, where that is allowed.
pub const RESUME_SECONDS_MAX: u64 = 600;
/// Bytes of a message's text, in the dialects that could carry more than a line: what every other dialect can take. Longer:
/// refused.
pub const TEXT_BYTES_MAX: usize = LINE_BYTES_MAX;
/// Bytes that a client may call a message by, to send it once. Longer: refused.
pub const MAIL_KEY_BYTES_MAX: usize = 128;
/// Bytes that a message in a mailbox is counted for beside its text: ids, names, flags, and its places in two lists.
pub const MAIL_BYTES_AROUND: usize = 256;
/// Bytes of the messages that one account has sent and received. More: who would add one is told that the mailbox is full.
pub const MAILBOX_BYTES_MAX: usize = 16 << 20;
/// The part of a mailbox for all messages from people without an account. More: the message is refused,
/// because the mailbox is full for people that its owner has not written to.
pub const MAILBOX_STRANGERS_BYTES_MAX: usize = MAILBOX_BYTES_MAX / 8;
/// The part of a mailbox for messages from one account. More: the message is refused, because the mailbox is
/// full for its sender.
pub const MAILBOX_SENDER_BYTES_MAX: usize = MAILBOX_BYTES_MAX / 8;
/// The part of a mailbox for messages from people without an account and from accounts that its owner has not
/// written to. The rest is for the owner and the people that it wrote to. More: as for
/// [`MAILBOX_STRANGERS_BYTES_MAX`].
pub const MAILBOX_UNKNOWN_BYTES_MAX: usize = MAILBOX_BYTES_MAX / 2;
/// Bytes of all messages in all mailboxes. More, or more than its [share](PLACES_KEPT_DIVISOR) for a network:
/// as for [`MAILBOX_BYTES_MAX`].
pub const MAIL_TOTAL_BYTES_MAX: usize = 512 << 20;
/// Messages that one op marks as read or clears, so that a line of a log or a transaction stays small. More:
/// further ops.
pub const MAIL_READ_MAX: usize = 1000;
/// Bytes of the messages in an answer to a list of them, counted as in the mailbox, so that a reply holds them. More: the
/// newest ones are listed.
pub const MAIL_LISTED_BYTES_MAX: usize = TYPED_REPLY_BYTES_MAX / 2;
/// Counted bytes of a conversation in a list of conversations, besides its name. More than
/// [`MAIL_LISTED_BYTES_MAX`]: the list ends. Conversations with unread messages come first.
pub const MAIL_LISTED_BYTES_AROUND: usize = 32;

// The store.

/// Ops that wait for the store: the number that the fastest store commits in a second. More, or more than its
/// [share](PLACES_KEPT_DIVISOR) for a network: a request that needs an op is refused as busy. The shares take
/// 24 bytes an op.
pub const STORE_QUEUE_OPS_MAX: usize = 1 << 17;
/// Bytes of the ops that wait for the store. More: as for [`STORE_QUEUE_OPS_MAX`].
pub const STORE_QUEUE_BYTES_MAX: usize = 64 << 20;
/// The part of that queue which what was said in rooms may fill; the rest is for what somebody waits to hear of. More: it
/// is not kept, and counted.
pub const STORE_RESERVE_DIVISOR: usize = 2;
/// Seconds in which the store commits nothing of what waits, after which it is taken to fail.
pub const STORE_PATIENCE_SECONDS: u64 = 10;
/// Ops that the store commits in one group. More: with the next group. It bounds what a group takes when the disk is fast.
pub const STORE_GROUP_OPS_MAX: usize = 8192;
/// Milliseconds that what was said in rooms waits for more of it, so that a quiet server does not sync for each message.
/// What somebody waits to hear of is committed at once, and takes along what waits.
pub const STORE_LINGER_MILLIS: u64 = 20;
/// Pages of rooms' history that are looked up between two groups: some milliseconds. More: behind the next group, so that
/// whoever asks for many holds nobody's acknowledgement up.
pub const STORE_LOOK_UPS_MAX: usize = 8;
/// Milliseconds between two attempts of a store that fails: the first is short, the later ones longer.
pub const STORE_RETRY_MILLIS_MIN: u64 = 50;
/// Those of the longest.
pub const STORE_RETRY_MILLIS_MAX: u64 = 1000;
/// Milliseconds without a task after which the store does what can wait, step by step until it is done or a task comes. The
/// turns of a busy shard are shorter.
pub const STORE_REST_MILLIS: u64 = 200;
/// Milliseconds between two such steps while tasks never cease: enough for an hour of a lively server, and nothing that its
/// users feel.
pub const STORE_TIDY_MILLIS: u64 = 1000;
/// Ops that may wait so, some 100 MB. More: steps get the part of the time that [`STORE_TIDY_DIVISOR`] says, so that what is to
/// be forgotten does not fill the disk.
pub const STORE_UNTIDY_OPS_MAX: u64 = 500_000;
/// The part of the store's time that steps get then.
pub const STORE_TIDY_DIVISOR: u32 = 4;
/// Seconds between two looks at what can wait, and between two at how large the store is, when nothing changes.
pub const STORE_IDLE_SECONDS: u64 = 60;
/// Bytes of the operating system's randomness that are taken in stock, so that 64 ops cost one system call.
pub const RANDOM_STOCK_BYTES: usize = 512;
/// Bytes of answers that wait for the store, for all connections together. More, or more than its
/// [share](PLACES_KEPT_DIVISOR) for a network: connections with waiting answers are not read.
pub const HELD_TOTAL_BYTES_MAX: usize = 64 << 20;
/// Messages of a room's history in an answer to a datagram: as many as people read at once. Each is a datagram.
pub const UCRP_HISTORY_MESSAGES: usize = HISTORY_COUNT_DEFAULT;
/// Messages of a room's history in one answer, at most. More are asked for: the newest so many are shown.
pub const HISTORY_COUNT_MAX: usize = 1000;
/// Bytes of the texts in such an answer: with names, times and the room's messages in memory, no more than
/// [`ANSWER_BYTES_MAX`]. More: the newest messages are shown.
pub const HISTORY_ANSWER_BYTES_MAX: usize = ANSWER_BYTES_MAX / 4 * 3;
/// Messages that the store reads at once for such an answer, to bound memory: 256 KiB of the longest
/// messages.
pub const HISTORY_PAGE_MESSAGES: usize = 64;
/// Connections that wait for a page of history at once. More: the request is refused as busy. (The last tenth
/// is for networks that hold less than 1 %: [`PLACES_KEPT_DIVISOR`].)
pub const HISTORY_TASKS_MAX: usize = 256;
/// Look-ups of pages handed to the store at once: twice the number that it does between two groups. More:
/// they wait in the engine, where networks take turns.
pub const HISTORY_AT_WORK_MAX: usize = 2 * STORE_LOOK_UPS_MAX;

/// Bytes of a line of the log that people can read, with its end. The longest that is written here is that of a text each
/// byte of which JSON spells in six, or of [`MAIL_READ_MAX`] ids; texts of other programs' logs may be longer. A change
/// that would take a longer one: it is not committed. A longer one in a log: it is broken.
pub const JSONL_LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes of a log that are read at once where it is read from one end to the other.
pub const JSONL_SCAN_BYTES: usize = 256 << 10;
/// Bytes of a log that are read at once for a page of history: its lines stand far from each other.
pub const JSONL_PAGE_BYTES: usize = 4 << 10;
/// Bytes of the buffer for what is committed at once that stay reserved. A larger group: the rest is given back.
pub const JSONL_BUFFER_BYTES_MAX: usize = 4 << 20;
/// Bytes of a log below which it is not compacted by itself: it is read within a second.
pub const JSONL_COMPACT_BYTES_MIN: u64 = 64 << 20;
/// Bytes of a log that one step of a compaction reads: some ms. More: with the next step.
pub const JSONL_STEP_BYTES: usize = 1 << 20;
/// Accounts and seats that one step of a compaction writes: some ms. More: with the next step.
pub const JSONL_STEP_PARTS: usize = 5_000;
/// Bytes of a new log that may wait to be synced, so that no sync takes long. More: they are synced with the step.
pub const JSONL_UNSYNCED_BYTES_MAX: u64 = 2 << 20;
/// Messages of rooms that are forgotten in one step: a few ms. More: with the next step.
pub const JSONL_FORGOTTEN_PER_STEP_MAX: u64 = 10_000;

const _: () =
    assert!(6 * (TEXT_BYTES_MAX + MAIL_KEY_BYTES_MAX + 2 * NAME_BYTES_MAX) < JSONL_LINE_BYTES_MAX / 2);
const _: () = assert!(MAIL_READ_MAX * 40 < JSONL_LINE_BYTES_MAX / 2);

// Seats.

/// Seats at once, with or without an address: more than 10,000 rooms of ten. More, or more than its
/// [share](PLACES_KEPT_DIVISOR) for a network: the client is refused as full.
pub const SEATS_MAX: usize = 200_000;
/// Seats of one person, in as many rooms, whatever the operator says: they are looked through. More: whoever wants one is told.
pub const SEATS_OF_NAME_MAX: usize = 64;
/// Bytes sent to an unproved IP address for each byte received from it, for all its seats of a shard
/// together: the factor of RFC 9000, section 8.1. More: nothing is sent until a datagram arrives. It bounds
/// the traffic that a sender with a forged address can cause.
pub const UCRP_UNPROVED_FACTOR: u64 = 3;
/// Bytes of the random number that proves an address: too many to guess while a seat lasts.
pub const UCRP_CHALLENGE_BYTES: usize = 8;
/// Seconds between two such questions to a seat, each in answer to a datagram.
pub const UCRP_CHALLENGE_SECONDS: u64 = 1;
/// The highest number behind the name of somebody whose own is taken, in the dialects that cannot refuse one. None free: the
/// login is refused.
pub const NAME_NUMBER_MAX: u32 = 1 << 16;

// The store.

/// Messages that a room keeps, unless the operator says otherwise: weeks of a lively room, and some MB.
pub const HISTORY_KEEP_MESSAGES_DEFAULT: u64 = 10_000;
/// Messages that an operator may have a room keep, at most: some GB. Whoever wants more keeps an archive, by `export`.
pub const HISTORY_KEEP_MESSAGES_MAX: u64 = 10_000_000;
/// Days for which an operator may have them kept, at most: a hundred years. Whoever wants longer means "for ever", which
/// is 0.
pub const HISTORY_KEEP_DAYS_MAX: u32 = 36_500;
/// Messages that an operator may have shown to whoever joins a room, at most: more than a screen, and far less than what
/// may wait for a connection. All members may come back at once.
pub const HISTORY_ON_JOIN_MAX: u32 = 100;
/// Tables that say what is kept of rooms of some names. More: refused. They are looked through in order.
pub const HISTORY_ROOMS_MAX: usize = 100;

/// Messages of a room, or found by a search, that a command shows at most, all of which are in memory then. More: page by page, or by
/// `export`.
pub const HISTORY_SHOWN_MAX: u64 = 100_000;
/// Bytes of the text of a search: as many as the longest message has. Longer: the search is refused.
pub const SEARCH_BYTES_MAX: usize = TEXT_BYTES_MAX;
/// Terms of a search that are looked up in the index, each with some KiB of memory: far more than people
/// type. More: the further ones are only compared with the texts of the messages that these find.
pub const SEARCH_TERMS_MAX: usize = 64;
/// Bytes of a line of a log that is imported: the longest text that can be kept, each byte of which JSON may spell in six,
/// and far more than that around it. Longer: it is skipped, and reported.
pub const IMPORT_LINE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a file that is one JSON object, which is in memory as a whole, some ten times as large. Larger: refused.
pub const IMPORT_JSON_BYTES_MAX: u64 = 256 << 20;
/// Bytes of all files that are imported at once, as what they say is compared in memory and committed as a whole. More:
/// refused; they can be imported one by one.
pub const IMPORT_BYTES_MAX: u64 = 2 << 30;
/// Maximum seconds by which an imported message's time may exceed this machine's clock: the clock of the
/// server that kept it may have been ahead. New ids rise from the highest one, and end in the year 10889.
/// Beyond it, the message is left out, and the import says so.
pub const IMPORT_AHEAD_SECONDS_MAX: u64 = 100 * 366 * 24 * 60 * 60;
/// Maximum seconds by which an imported id's time may exceed the message's time, for the same reason. Beyond
/// it, the message gets a new id.
pub const IMPORT_ID_AHEAD_SECONDS_MAX: u64 = 100 * 366 * 24 * 60 * 60;
/// Reasons for leaving something that are told apart, as some have a name in them. More: counted as one.
pub const IMPORT_REASONS_MAX: usize = 100;
/// Examples shown for a reason.
pub const IMPORT_EXAMPLES_MAX: usize = 3;
/// Messages of a room that are read at once, where all are.
pub const ARCHIVE_PAGE_MESSAGES: usize = 1000;

const _: () = assert!(6 * TEXT_BYTES_MAX < IMPORT_LINE_BYTES_MAX as usize / 8);
const _: () = assert!(HISTORY_KEEP_MESSAGES_DEFAULT <= HISTORY_KEEP_MESSAGES_MAX);

/// Rooms that the database remembers beside its file, so that what is said in them costs no look-up. More: all are
/// forgotten at the end of a group, and looked up again as they are needed.
pub const STORE_ROOMS_CACHED_MAX: usize = 1 << 14;
/// Messages of a room between two marks, from which a page of its past or the oldest of it is found: as many as are read in
/// vain at most. Not to be changed without a migration.
pub const STORE_MARK_MESSAGES: u64 = 64;
/// Messages of rooms that are forgotten in one step of tidying: about 6 ms where each is in another page. More: with the
/// next one.
pub const STORE_FORGOTTEN_PER_STEP_MAX: usize = 150;
/// Bytes of an indexed text that count as one more forgotten message: each of its terms leaves the index.
pub const STORE_FORGOTTEN_TEXT_BYTES: usize = 512;
/// Messages that are indexed in one step of tidying: about 6 ms. More: with the next one.
pub const STORE_INDEXED_PER_STEP_MAX: u32 = 1000;
/// Bytes of their terms: twice those of as many messages of common length. More: with the next step. A step
/// with the longest message of a script without blanks, which has most terms, has 8 KiB more.
pub const STORE_INDEXED_BYTES_PER_STEP_MAX: usize = 128 << 10;
/// Rooms that are looked at in one step of tidying, for whether they have messages that are too many or too old. More: with
/// the next one.
pub const STORE_ROOMS_PER_STEP_MAX: usize = 500;
/// Letters that are looked at in one step of tidying after an account was deleted. More: with the next one.
pub const STORE_LETTERS_PER_STEP_MAX: u32 = 5000;
/// Milliseconds between two looks at all rooms for messages that have become too old: what is to go after days may stay a
/// minute longer.
pub const STORE_AGE_SWEEP_MILLIS: u64 = 60_000;
/// The wall clock has jumped when it is this far from where it should be by the monotonic one. Then that is
/// logged.
pub const CLOCK_JUMP_MILLIS: u64 = 5000;
/// The drift or slew of a clock that is not yet a jump: one part in this many, 2 in 1000.
pub const CLOCK_DRIFT_DIVISOR: u64 = 500;
/// History does not grow old by a jump of the clock before the clock has stood there for so long: time for an
/// operator, or for a time server, to set it right. Then what is too old by it is forgotten.
pub const CLOCK_BELIEF_SECONDS: u64 = 60 * 60;
/// Tolerance, in milliseconds, before a start warns that the store's last change is in the future.
pub const CLOCK_AHEAD_MILLIS: u64 = 60_000;
/// Interval, in seconds, of the store name check when idle.
pub const STORE_NAMES_SECONDS: u64 = 10;
/// Messages of a room that a step of tidying reads to find one whose time is not later than now. They are
/// there only where the clock was ahead. More: those behind are not looked at, and stay until some of these
/// are forgotten as too many.
pub const STORE_AHEAD_LOOKED_MAX: usize = 10_000;
/// Milliseconds that a step of the store waits for another program that writes to the database. Longer: it is refused, and
/// tried again as after any other error.
pub const STORE_BUSY_MILLIS_MAX: u64 = 2000;
/// Milliseconds between two looks at a database during the checkpoint of another program: the system does not
/// signal its end.
pub const STORE_LOOK_MILLIS: u64 = 10;
/// KiB of pages that a writer keeps in memory: the ends of all rooms, and those of the index.
pub const STORE_CACHE_KIB: u32 = 64 << 10;
/// Pages of the write-ahead log beyond which a commit moves them into the database, 64 MiB: enough for a page that changes
/// often to be moved once for many changes, and few enough to be moved in a tenth of a second.
pub const STORE_WAL_PAGES_MAX: u32 = 16384;

// Connections.

/// Bytes waiting for one connection beyond which it is not read from: whoever asks must read the answers.
pub const OUTBOX_BYTES_HIGH: usize = 64 << 10;
/// Bytes waiting for one connection, at most, apart from one answer to its own command. More (direct messages to
/// somebody who does not read): the connection is closed as too slow; a seat misses what is more.
pub const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Bytes of memory for one long answer: its parts below, and the outbox of its connection. A list of 100,000
/// accounts needs no more memory than a list of ten.
pub const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Bytes of a long answer that are made at once. More: the rest is made when the connection's outbox holds no
/// more than half of [`OUTBOX_BYTES_HIGH`].
pub const ANSWER_PIECE_BYTES: usize = 64 << 10;
/// Bytes of the kept entries for senders without an account in a list of accounts; the senders may be gone
/// before their piece. More: entries are left out.
pub const ANSWER_STRANGERS_BYTES_MAX: usize = 80 << 10;
/// Bytes of entries that a list keeps because they were deleted after its size was sent. More: the connection
/// is closed as too slow.
pub const ANSWER_RESCUED_BYTES_MAX: usize = 64 << 10;
/// Bytes of all long answers, without outboxes. More: the connections with the largest answers are closed.
pub const ANSWERS_TOTAL_BYTES_MAX: usize = 64 << 20;
/// Bytes of long answers that are made in one turn, half a millisecond of work. More: the others are made in
/// the next turns, by networks in turn; commands with short answers do not wait for that.
pub const ANSWERS_TURN_BYTES_MAX: usize = 256 << 10;
/// Lanes in which connections wait for their turn. Two networks may share a lane by chance, and then share
/// one visit a round.
pub const LANES: usize = 1 << 10;

const _: () = assert!(
    OUTBOX_BYTES_HIGH / 2
        + ANSWER_PIECE_BYTES
        + ANSWER_STRANGERS_BYTES_MAX
        + ANSWER_RESCUED_BYTES_MAX
        + FRAME_BYTES_MAX
        <= ANSWER_BYTES_MAX
);
const _: () = assert!(OUTBOX_BYTES_HIGH / 2 + ANSWER_PIECE_BYTES + 4 * USERS_LISTED_MAX <= ANSWER_BYTES_MAX);

/// Bytes put into outboxes in one turn, long answers not counted. More: senders wait until the outboxes are
/// flushed, so that a reading client is not taken for a stalled one.
pub const OUTBOX_TURN_BYTES_MAX: usize = OUTBOX_BYTES_MAX / 2;
/// The same, for what comes in datagrams, which cannot wait: more is dropped. There is a share for it that connections do not
/// take, though they send all the time, and fill theirs in each turn.
pub const OUTBOX_TURN_BYTES_MAX_FOR_DATAGRAMS: usize = OUTBOX_TURN_BYTES_MAX + OUTBOX_BYTES_MAX / 4;
/// Bytes of a log that a blocked member takes along when it leaves its room. More: it skips them, and is told so.
pub const OWED_BYTES_BLOCKED_MAX: usize = 64 << 10;
/// Bytes waiting for all connections together; each shard has its part. More: those with the most give way, and are closed,
/// until there are no more than [`OUTBOX_TOTAL_LOW_EIGHTHS`] of it.
pub const OUTBOX_TOTAL_BYTES_MAX: usize = 256 << 20;
/// Where giving way ends: far enough below for its cost to be rare.
pub const OUTBOX_TOTAL_LOW_EIGHTHS: usize = 7;
/// Outboxes kept for reuse, so that an answer costs no allocation. More: given back to the allocator.
pub const OUTBOX_POOL_MAX: usize = 64;
/// Bytes of an outbox that is kept for reuse. Larger: given back to the allocator.
pub const OUTBOX_POOL_BYTES_MAX: usize = 4 << 10;
/// Refused connections, beyond the limit on clients or the [share](PLACES_KEPT_DIVISOR) of their network,
/// that stay open until they have the notice that the server is full. They take no place of a client. More:
/// closed with the part of the notice that the socket takes at once.
pub const REFUSED_MAX: usize = 64;
/// Connections and seats of one address at once, unless the operator says otherwise: a school or an office behind one address
/// fits, and it takes many addresses to fill a server.
pub const ADDRESS_CLIENTS_DEFAULT: usize = 256;
/// Rooms at once that one address made, unless the operator says otherwise: 256 addresses are needed to make all there may be.
pub const ADDRESS_ROOMS_DEFAULT: usize = 64;
/// Rooms at once that one person is in or has made, unless the operator says otherwise: more than anybody follows.
pub const SESSION_ROOMS_DEFAULT: usize = 32;
/// New connections of one address a second, unless the operator says otherwise. A room behind one address that comes back
/// after a pause has ten seconds' worth at once.
pub const ADDRESS_CONNECTS_DEFAULT: u32 = 20;
/// Messages of one session a second, unless the operator says otherwise: more than anybody types, and than a bot has reason
/// to. What is more is refused, each with an error.
pub const SESSION_MESSAGES_DEFAULT: u32 = 100;
/// Bytes from one session a second, unless the operator says otherwise. Whoever sends more is not read from until it has not.
pub const SESSION_BYTES_DEFAULT: u32 = 64 << 10;
/// What an operator may allow of them, at least: a read waits for 16 seconds at most, so that nobody is taken for silent who
/// is not read from.
pub const SESSION_BYTES_LIMIT_MIN: u32 = 1 << 10;
/// What an operator may allow of them, at most: as good as no limit.
pub const SESSION_BYTES_LIMIT_MAX: u32 = 1 << 29;
/// Bytes that a session may send at once, at least: the longest frame or line of a dialect is never held back by itself.
pub const SESSION_BYTES_HELD_MIN: usize = RECEIVE_BUFFER_BYTES;
/// Seconds between two errors to a seat whose datagrams come too fast: they cannot be held back, and none is answered by
/// itself.
pub const SEAT_ERROR_SECONDS: u64 = 1;
/// Seconds' worth that may come at once of what is bounded a second: people and programs send in bursts.
pub const RATE_SECONDS_HELD: u64 = 10;
/// What an operator may allow a second of connections or messages, at most: more than a shard carries out.
pub const RATE_MAX: u32 = 1_000_000;
/// Addresses that are known though nothing is there that came from them, because they connected a moment ago: 7 MB. More:
/// those that were there longest ago are forgotten, and may connect as if they never had. Whoever has so many addresses is not
/// held by what each of them may.
pub const ADDRESSES_IDLE_MAX: usize = 1 << 16;
/// Names that an operator may reserve besides the built-in ones. More: refused. Each login of a stranger
/// compares its name with a sorted list of them.
pub const RESERVED_NAMES_MAX: usize = 1024;

/// Networks that an operator may exempt, in general and for one listener. More: refused. Each connection
/// searches them.
pub const EXEMPT_MAX: usize = 64;
/// Addresses that `bind` may name. More: refused. Each is a listening socket for every dialect on every
/// shard.
pub const BIND_MAX: usize = 16;
/// Attempts to find one free port for all addresses of a listener with port 0. After the last one the server
/// does not start. A port that is free on one address is nearly always free on the others.
pub const SHARED_PORT_ATTEMPTS_MAX: usize = 16;
/// Seconds that a connection has to read what is still owed to it, and to close its side, after the server decided to
/// close it. Longer: it is dropped.
pub const LINGER_SECONDS_MAX: u64 = 2;

// A turn of the loop.

/// Batches of datagrams read in a turn, from all sockets together. More: they wait for the next turn, behind
/// other input.
pub const UDP_BATCHES_PER_TURN_MAX: usize = 8;
/// Members of one room that are written to before the next room has its turn. An answer may go out after each of them, so
/// that the next room waits for 200 writes, which is a millisecond at 4 to 5 µs a write. More: the round goes on when the
/// other rooms have had their turn.
pub const ROOM_VISITS_MAX: usize = WRITES_PER_TURN_MAX / 2;

/// Members of rooms that their hosts closed who move on in a turn. More: with the next ones.
pub const ROOM_LEAVERS_PER_TURN_MAX: usize = 256;

/// Remembered names of closed rooms. They keep a look-up from before a room's close out of the next room of
/// that name. When more rooms close during one look-up, its result is dropped: a new member gets no history
/// on joining, and can use `/history`.
pub const ROOMS_CLOSED_KNOWN_MAX: usize = 256;

// What an operator may ask for.

/// Seconds of a timeout, at most: 30 days. Whoever wants longer means "never", which is 0.
pub const TIMEOUT_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;
/// Seconds to flush at shutdown, at most. Supervisors lose their patience after about as long.
pub const DRAIN_SECONDS_MAX: u64 = 60;
/// Clients at once, at most. The limit on open files is met long before.
pub const CLIENTS_MAX: u32 = 1_000_000;
/// The highest number of a core: the kernel's own `CPU_SETSIZE`, less one.
pub const CORE_MAX: usize = 1023;
/// Shards, at most: the first of them decides everything, and would be the limit long before.
pub const SHARDS_MAX: usize = 64;
/// Bytes of a log that another shard has read before it says so: little enough for a publisher that waits for the smallest
/// of logs, where it waits for a [`LOG_BACKLOG_DIVISOR`]th; enough not to say so of each message.
pub const READ_REPORT_BYTES_MIN: usize = LOG_BYTES_LIMIT_MIN / LOG_BACKLOG_DIVISOR / 2;
/// A shard's part of a bound on memory that all share, at least: one answer may take a megabyte.
pub const SHARD_BYTES_MIN: usize = 32 << 20;
/// Batches on their way between two shards, one a turn at most. More: they become larger.
pub const LINK_BATCHES_MAX: usize = 256;
/// Empty batches kept for reuse, a link: as many as are mostly on their way at once. More: given back to the allocator.
pub const LINK_SPARES_MAX: usize = 4;
/// Bytes of a batch that is kept for reuse. Larger: given back to the allocator.
pub const LINK_SPARE_BYTES_MAX: usize = 64 << 10;
/// Milliseconds until a shard tries again to pass on what another has no space for.
pub const LINK_RETRY_MILLIS: u64 = 1;
/// Bytes on their way between two shards. More: nobody is listened to until there are fewer.
pub const LINK_BYTES_MAX: usize = 16 << 20;
/// The same, for datagrams: those that come then wait in the kernel, where a flood of them is lost. Few enough that what
/// connections send does not wait long behind them: the engine takes [`READ_BYTES_PER_TURN_MAX`] a turn.
pub const LINK_BYTES_MAX_FOR_DATAGRAMS: usize = 1 << 20;
/// Milliseconds that a turn of the loop may take: its other bounds keep it far below. Longer: it is logged, with what took
/// the time, and counted.
pub const TURN_MILLIS_MAX: u64 = 100;
/// Readiness events taken from the kernel at once. More: they come with the next turn.
pub const EVENTS_PER_TURN_MAX: usize = 1024;
/// Connections accepted in a turn, at all listeners together. More: they wait for the next one, behind those that are there.
/// Each costs some 15 µs until it is taken in or refused, so that who speaks meanwhile waits a quarter of a millisecond: with
/// 256, an address that connected as fast as it could had others wait three times as long as when it was quiet
/// (`benches/hostile`), while 10,000 came in as fast.
pub const ACCEPTS_PER_TURN_MAX: usize = 16;
/// Connections read from in a turn. More: the rest is read from in the next one, first come first served.
pub const READS_PER_TURN_MAX: usize = 1024;
/// Reads of one connection, one after another, while each fills the buffer. More: the rest waits for the next turn. What
/// comes in one write should be said in one turn, so that it goes out in one write a member: with one read, publishers who
/// send 35 kB at once fell into pieces, and a room of 1000 cost a sixth more (`loadgen --clients 1000 --window 512`). (Where
/// the engine is on another shard, one read at a time is on its way there.)
pub const READS_PER_VISIT_MAX: usize = 4;
/// Writes in a turn: a millisecond at 4 to 5 µs a write. More: the rest is written in the next one, after what was read
/// meanwhile.
pub const WRITES_PER_TURN_MAX: usize = 200;
/// Bytes read in a turn. More: as for [`READS_PER_TURN_MAX`]. It bounds what a turn executes.
pub const READ_BYTES_PER_TURN_MAX: usize = 512 << 10;
/// Bytes of the one buffer that a shard reads into. What one connection sends beyond it waits for its next read. A
/// connection that has to wait keeps one such read at most.
pub const RECEIVE_BUFFER_BYTES: usize = 16 << 10;
/// Bytes of a connection's inbox that may stay reserved once what it held is done with. More: given back.
pub const INBOX_SPARE_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;

// Sockets.

/// Connections that wait to be accepted, a listener; the kernel may allow fewer. More: their handshake is repeated.
pub const ACCEPT_BACKLOG_MAX: i32 = 4096;
/// Milliseconds without accepting after the kernel lacked memory or the like for it.
pub const ACCEPT_PAUSE_MILLIS: u64 = 100;
/// Open files that are not for clients: listeners, the readiness queue, the waker, the spare one, standard streams, and
/// what libraries open.
pub const DESCRIPTORS_RESERVED: u64 = 64;
/// Listening sockets among `DESCRIPTORS_RESERVED`: one for each dialect, and two to spare. Each further one
/// (`bind` with several addresses) takes an open file from the clients.
pub const LISTENING_SOCKETS_RESERVED: usize = 8;
/// Open files of a shard, without its listeners and clients: the readiness queue, the timer, the alarm, the
/// spare one, and four more in reserve. Each further shard with the same table of open files takes this
/// number from the clients.
pub const DESCRIPTORS_OF_SHARD: u64 = 8;
/// Open files where the system does not tell the limit: the least that systems have by default. If it is
/// less, clients are refused one by one.
pub const OPEN_FILES_ASSUMED: u64 = 1024;
/// Seconds of silence after which the kernel asks whether a peer is still there.
pub const KEEPALIVE_IDLE_SECONDS: u64 = 60;
/// Seconds between two such questions.
pub const KEEPALIVE_INTERVAL_SECONDS: u64 = 15;
/// Such questions without an answer after which the connection is gone.
pub const KEEPALIVE_PROBES_MAX: u32 = 4;
/// Seconds that what was sent may stay unacknowledged, or a peer take nothing at all. Longer: the connection is gone.
pub const UNACKNOWLEDGED_SECONDS_MAX: u64 = 120;

/// Datagrams of one `recvmmsg` or `sendmmsg`: some more than it takes for the call itself to cost next to nothing. More:
/// they go with the next one.
pub const UDP_BATCH_MAX: usize = 64;
/// Bytes that one datagram is received into. A longer datagram is cut there, and seen to be too long. One byte beyond
/// [`UCRP_DATAGRAM_BYTES_MAX`] would do for that; with a line of cache, the beginnings of the buffers do not all compete
/// for the same lines, as they would 4096 bytes apart.
pub const UDP_RECEIVE_BYTES: usize = UCRP_DATAGRAM_BYTES_MAX + 64;
/// Sockets of a shard that send from one local address each, in addition to a socket that receives for all
/// addresses. A machine has a few addresses. More: a socket that was idle for [`UDP_SOURCE_IDLE_SECONDS`] is
/// replaced; if all are busy, the answer leaves from the address that the kernel chooses.
pub const UDP_SOURCES_MAX: usize = 64;
/// Seconds without an answer after which such a socket may be replaced.
pub const UDP_SOURCE_IDLE_SECONDS: u64 = 60;
/// Seconds without another attempt after the system refused such a socket: until then, answers that would
/// need a new one leave from the address that the kernel chooses.
pub const UDP_SOURCE_RETRY_SECONDS: u64 = 1;
/// Datagrams of one message that the kernel cuts into them (`UDP_SEGMENT`): as many as it takes. (Since 6.9 it takes 128.)
/// More: they go with the next message.
pub const UDP_SEGMENTS_MAX: usize = 64;
/// Bytes of such a message: what one IP packet holds behind its header, of 20 bytes, and that of UDP, of 8. More: as for
/// [`UDP_SEGMENTS_MAX`].
pub const UDP_MESSAGE_BYTES_MAX: usize = (1 << 16) - 1 - 20 - 8;
/// Bytes of a datagram that is sent as a part of such a message: what a packet of 1500 bytes holds, as most networks carry.
/// A longer one would be refused there, because only a datagram by itself can be fragmented. Longer: it goes by itself.
/// Where a way allows less, the kernel says so, and what it refused is the bound from then on.
pub const UDP_SEGMENT_BYTES_MAX: usize = 1500 - 20 - 8;
/// Datagrams that a member is sent in one visit, so that they may be segments of one message: with 16 one costs half of
/// what it does by itself, and with 64 little less. More: in its next visit, after the others had theirs.
pub const UDP_VISIT_DATAGRAMS_MAX: usize = 16;
/// Bytes of datagrams asked to wait in the kernel until they are read, as Linux counts them 10 000 short ones or 1000 of the
/// longest: what comes in a tenth of a second in which 100 000 do, far longer than a turn takes. The kernel may allow
/// less, which is logged. More: they are lost before anybody here has seen them, and counted.
pub const UDP_RECEIVE_QUEUE_BYTES: usize = 4 << 20;
/// Bytes of datagrams asked to wait in the kernel for the network, a dozen batches of the longest as Linux counts: the
/// device should have something to send until the next turn. The kernel may allow less. More: they wait in the batch, and
/// behind it in their rooms' logs.
pub const UDP_SEND_QUEUE_BYTES: usize = 4 << 20;

const _: () = assert!(UDP_RECEIVE_BYTES > UCRP_DATAGRAM_BYTES_MAX);

/// Seconds between two log lines about the same trouble. More often: counted, and told with the next line.
pub const LOG_REPEAT_SECONDS: u64 = 10;

// Standard error and standard output.

/// Lines of the log that wait for standard error: a burst of a second at the level `debug`, in some 2 MB.
/// More: the newest are dropped and counted, so that no thread ever waits for the reader of the log.
pub const STDERR_QUEUE_LINES_MAX: usize = 1 << 13;
/// Bytes of a line of the log. Longer: the line is cut.
pub const STDERR_LINE_BYTES_MAX: usize = 8 << 10;
/// Bytes that the log's thread gathers for one write while more lines wait.
pub const STDERR_WRITE_BYTES: usize = 16 << 10;
/// Milliseconds for which a process that ends waits for its last lines to be written. Longer: they are lost.
pub const STDERR_FLUSH_MILLIS_MAX: u64 = 2000;
/// Milliseconds after a signal to stop in which further ones count as the same: `timeout` sends one to its
/// process and one to the whole group, and a terminal and a supervisor can send one each. Later: the process
/// ends at once.
pub const STOP_REPEAT_MILLIS: u64 = 200;
/// Milliseconds for which the start waits until its table is on standard output. Longer: the start goes on,
/// and the table follows when the reader reads.
pub const STDOUT_WAIT_MILLIS_MAX: u64 = 1000;

// gob.

/// Bytes of one gob message behind its length, inwards, and of a definition and value together, outwards: what programs
/// in use read at once. Longer inwards: refused, and skipped unread. Longer outwards: the text is cut.
pub const GOB_MESSAGE_BYTES_MAX: usize = 4096;
/// Bytes that a decoder may ask to be kept until a frame is whole: a gob message, the nine bytes that its length may take,
/// and those of a length behind it, if the value goes on there. A value of several gob messages that is longer than one
/// may be: refused, and its last one skipped.
pub const GOB_FRAME_BYTES_MAX: usize = 9 + GOB_MESSAGE_BYTES_MAX + 9;
/// Bytes of a gob message that is skipped for its length: a large text pasted by mistake costs its sender that text, and
/// nothing else. Longer: what looks like a length is none, and the stream ends there.
pub const GOB_SKIPPED_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a sender, outwards, so that a text has space behind it. No [name](NAME_BYTES_MAX) is as long. Longer: cut.
pub const GOB_SENDER_BYTES_MAX: usize = 1024;
/// Types defined on a connection: a message needs one, and one more for each type of field that is not built in. More:
/// the definition is refused.
pub const GOB_TYPES_MAX: usize = 32;
/// Fields of a struct; a message needs three. More: the definition is refused.
pub const GOB_FIELDS_MAX: usize = 64;
/// Fields of all structs defined on a connection, which with [`GOB_TYPES_MAX`] makes the definitions of a connection
/// 4 KiB at most (the names of types and fields are compared as they come, and not kept). More: the definition is refused.
pub const GOB_FIELDS_TOTAL_MAX: usize = 256;
/// Values inside of each other, in a field that is skipped. Deeper: the message is refused.
pub const GOB_DEPTH_MAX: u8 = 32;

const _: () = assert!(GOB_SENDER_BYTES_MAX < GOB_MESSAGE_BYTES_MAX / 2);
const _: () = assert!(GOB_FIELDS_MAX <= GOB_FIELDS_TOTAL_MAX);

// TCRP and UCRP.

/// Bytes of a room's name in a TCRP or UCRP frame: its length is one byte. Longer: the client is told that it cannot be
/// said. (What the server takes for a room's name is [`ROOM_NAME_BYTES_MAX`].)
pub const TCRP_ROOM_BYTES_MAX: usize = u8::MAX as usize;
/// Bytes of a TCRP payload: a name of [`NAME_BYTES_MAX`] and a password of [`PASSWORD_BYTES_MAX`], each byte of which
/// JSON may spell in six, with 1 KiB at least to spare for what surrounds them. Announced longer: refused as too long, from
/// the header alone.
pub const TCRP_PAYLOAD_BYTES_MAX: usize = 8 << 10;
/// Bytes of a TCRP frame: what a connection that shakes hands may keep. No frame is longer.
pub const TCRP_FRAME_BYTES_MAX: usize = 32 + TCRP_ROOM_BYTES_MAX + TCRP_PAYLOAD_BYTES_MAX;
/// Bytes of a UCRP datagram, both ways: clients read no more at once. Longer from a client: dropped and counted; a text
/// that would make the server's longer is cut.
pub const UCRP_DATAGRAM_BYTES_MAX: usize = 4096;

const _: () = assert!(6 * (NAME_BYTES_MAX + PASSWORD_BYTES_MAX) + 1024 <= TCRP_PAYLOAD_BYTES_MAX);

// The typed dialect.

/// Bytes of a request's payload: twice the longest text of the other dialects, so that a text which is somewhat too long
/// is still read, and answered with an error of its own. Longer: refused from the header alone, and the connection ends.
pub const TYPED_REQUEST_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;
/// Bytes of a reply's payload: what may wait for one connection. The next entry of a list would be beyond it: the entry is
/// not added, and whoever lists is told. A client that has a longer one announced to it takes it for none.
pub const TYPED_REPLY_BYTES_MAX: usize = OUTBOX_BYTES_MAX;
/// Lists, dicts and chat messages around each other. What clients send needs one, what servers send two. Deeper: refused,
/// and the connection ends.
pub const TYPED_DEPTH_MAX: usize = 32;

/// Bytes of a chat message around its content: keys, tags, counts, header, id and two names, rounded up.
const TYPED_MESSAGE_BYTES_AROUND: usize = 512;
const _: () = assert!(TYPED_REQUEST_BYTES_MAX + TYPED_MESSAGE_BYTES_AROUND <= FRAME_BYTES_MAX);
// Every bound fits the four bytes of a length, with its header.
const _: () = assert!(TYPED_REPLY_BYTES_MAX < u32::MAX as usize / 2);

const _: () = assert!(
    SESSION_BYTES_HELD_MIN >= LINE_BYTES_MAX
        && SESSION_BYTES_HELD_MIN >= TCRP_FRAME_BYTES_MAX
        && SESSION_BYTES_HELD_MIN >= UCRP_DATAGRAM_BYTES_MAX
        && SESSION_BYTES_HELD_MIN >= GOB_FRAME_BYTES_MAX
        && SESSION_BYTES_HELD_MIN >= 2 * TYPED_REQUEST_BYTES_MAX - TYPED_MESSAGE_BYTES_AROUND
);

// Pace.

/// Microseconds between two writes to a connection whose programs lose what comes together, unless the operator says
/// otherwise: with half of it none was lost.
pub const GOB_GAP_MICROS_DEFAULT: u64 = 200;
/// Microseconds of that gap, at most: a second.
pub const GOB_GAP_MICROS_MAX: u64 = 1_000_000;

// The client library.

/// Seconds that a client waits for the server to take what it sends, in one write. Longer: the write fails.
pub const CLIENT_SEND_SECONDS_MAX: u64 = 30;
/// Bytes that a client reads at once from a stream.
pub const CLIENT_READ_BYTES: usize = 16 << 10;
/// Bytes that a client reads a datagram into: no datagram is longer.
pub const CLIENT_DATAGRAM_BYTES: usize = 1 << 16;
/// Bytes of messages that came unasked while a typed client waited for an answer, and are kept for when it asks. More: the
/// oldest go; they are in the mailbox.
pub const CLIENT_ARRIVED_BYTES_MAX: usize = TYPED_REPLY_BYTES_MAX;
/// Seconds after which a UCRP client that waits says for the first time again where it is: datagrams are lost. The next
/// wait is twice as long, and so on.
pub const CLIENT_REGISTER_SECONDS_MIN: u64 = 1;
/// Seconds of the longest such wait: routers forget where datagrams go after half a minute.
pub const CLIENT_REGISTER_SECONDS_MAX: u64 = 20;
/// Addresses of one name that a client tries. More: the rest is not tried.
pub const CLIENT_ADDRESSES_MAX: usize = 16;
/// Milliseconds that a client gives an attempt to connect before it starts the next one beside it: the delay
/// that RFC 8305 section 5 recommends.
pub const CLIENT_ATTEMPT_DELAY_MILLIS: u64 = 250;
/// Seconds that a client waits for the addresses of a name. Longer: the name counts as not found. (The
/// system's resolver asks each of up to three servers twice, five seconds each.)
pub const CLIENT_RESOLVE_SECONDS_MAX: u64 = 10;
/// Bytes of the name of a machine (RFC 1035 section 2.3.4, without the length bytes). Longer: it is refused.
pub const HOST_NAME_BYTES_MAX: usize = 253;
/// First bytes from a server that a client looks at to tell what answered: enough for the longest greeting
/// that it knows. What comes later is not looked at.
pub const CLIENT_FIRST_BYTES_MAX: usize = 64;
/// Bytes of an unknown binary answer that a client shows. More: `…` stands there.
pub const CLIENT_SHOWN_BINARY_BYTES_MAX: usize = 16;
/// Messages a second of a client that paces itself. A server refuses 100 by default; half of that leaves room
/// for other requests of the session.
pub const CLIENT_MESSAGES_PER_SECOND: u32 = 50;
/// Messages that such a client sends at once before the pace counts: half of what a server takes by default.
pub const CLIENT_MESSAGES_AT_ONCE: u32 = 500;
/// Bytes of another's text that are shown on a terminal: twice the longest message. More is cut, and `…`
/// stands there.
pub const SHOWN_TEXT_BYTES_MAX: usize = 16 << 10;
/// Copies of old configuration files that `config --write` leaves next to the file. Each write looks for a
/// free name among them. Beyond it, the write is refused, and the error asks for some to be removed.
pub const CONFIG_COPIES_MAX: u16 = 100;

//! Stores to import into, and what is in them.

use std::collections::BTreeMap;

use parlance::archive::{Format, Material, Plan, Report};
use parlance::chat::{Kept, Letter, Op, OpId, RoomMessage, UnixMillis};
use parlance::store::memory::MemoryStore;
use parlance::store::{self, Options, Reader, Store, StoreSpec};
use tempfile::TempDir;

pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// Each kind of store, empty.
pub(crate) fn stores() -> Vec<(&'static str, Box<dyn Store>, TempDir)> {
    let directory = || tempfile::tempdir().expect("a directory");
    let memory: Box<dyn Store> = Box::new(MemoryStore::new());
    let mut stores = vec![("memory", memory, directory())];
    let on_disk = directory();
    let spec = StoreSpec::Sqlite(on_disk.path().join("kept/parlance.db"));
    let sqlite = store::open(&spec, &Options::default()).expect("a new store");
    stores.push(("sqlite", sqlite, on_disk));
    let on_disk = directory();
    let spec = StoreSpec::Jsonl(on_disk.path().join("kept"));
    let jsonl = store::open(&spec, &Options::default()).expect("a new store");
    stores.push(("jsonl", jsonl, on_disk));
    stores
}

pub(crate) fn material(files: &[(&str, &[u8])]) -> Material {
    let mut material = Material::new();
    for (name, bytes) in files {
        material.read(name, *bytes, Format::Auto).expect(name);
    }
    material
}

/// Imports files, and says what came of it and how many ops that took.
pub(crate) fn import(store: &mut dyn Store, files: &[(&str, &[u8])]) -> (Report, usize) {
    let Plan { ops, report } = plan(store, files);
    store.commit(&ops).expect("committed");
    assert_eq!(store.check().expect("checked"), [""; 0]);
    (report, ops.len())
}

pub(crate) fn plan(store: &mut dyn Reader, files: &[(&str, &[u8])]) -> Plan {
    let mut number = 0;
    let mut random = || {
        number += 1;
        number
    };
    material(files).plan(store, NOW, &mut random).expect("planned")
}

/// All that is in a store.
#[derive(PartialEq, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) accounts: Vec<(String, String)>,
    pub(crate) letters: Vec<Letter>,
    /// Room, name, token, address, whether it is the host's.
    pub(crate) seats: Vec<(String, String, String, String, bool)>,
    /// By room: the op that made it.
    pub(crate) made: BTreeMap<String, OpId>,
    pub(crate) rooms: BTreeMap<String, Vec<RoomMessage>>,
}

pub(crate) fn contents(store: &mut dyn Reader) -> Contents {
    let mut contents = Contents::default();
    let visit = &mut |kept| match kept {
        Kept::Account { name, password } => {
            contents.accounts.push((name.into(), password.as_str().to_owned()));
        }
        Kept::Letter(letter) => contents.letters.push(letter),
        Kept::Seat { room, seat, is_host, made } => {
            contents.made.extend(made.map(|made| (room.to_string(), made)));
            let (token, ip) = (seat.token.reveal().to_string(), seat.ip.to_string());
            contents.seats.push((room.into(), seat.name.into(), token, ip, is_host));
        }
    };
    store.load(visit).expect("loaded");
    let mut rooms = Vec::new();
    store.rooms(&mut |summary| rooms.push(summary.room)).expect("listed");
    for room in rooms {
        let messages = store.history(&room, None, 1_000_000).expect("read");
        contents.rooms.insert(room.into(), messages);
    }
    contents
}

pub(crate) fn commit(store: &mut dyn Store, ops: &[Op]) {
    store.commit(ops).expect("committed");
}

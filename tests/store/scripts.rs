//! Searches in many scripts: the messages that each must find, and no others, in every store.

use parlance::chat::{Change, HistoryRules};
use parlance::limits::{SEARCH_BYTES_MAX, SEARCH_TERMS_MAX, TEXT_BYTES_MAX};
use parlance::store::{Reader, StoreError};

use crate::dealer::Dealer;
use crate::on_each_store;
use crate::shelf::Shelf;

on_each_store!(
    searches_find_what_they_must_and_nothing_else,
    cunning_searches_find_messages_or_nothing,
    a_search_with_more_terms_than_are_looked_up_wants_all_of_them,
    a_forgotten_message_is_not_found_any_more,
);

/// Messages, each with a name.
const MESSAGES: [(&str, &str); 41] = [
    ("café", "Café CRÈME at the Straße"),
    ("build", "the build is out, see user_name's notes"),
    ("viet", "Đà Nẵng, Việt Nam"),
    ("wide", "ﬁle ＡＢＣ１２３ e\u{301}te\u{301}"),
    ("soft", "co\u{ad}operation\u{200b}al"),
    ("odysseus", "Ο Οδυσσέας, ὁ ΟΔΥΣΣΕΎΣ"),
    ("way", "ἡ ὁδός"),
    ("fir", "Ещё ЁЛКА и Йод"),
    ("armenian", "Բարեւ ձեզ"),
    ("armenian ligature", "բարև"),
    ("georgian", "საქართველო"),
    ("georgian capitals", "ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ"),
    ("pointed", "שָׁלוֹם עולם"),
    ("plain hebrew", "שלום לכולם"),
    ("vowels", "السَّلَامُ عليكم أحمد"),
    ("stretched", "مـــرحبا احمد"),
    ("hindi", "हिन्दी में बात करो"),
    ("other vowels", "हन्दा में बीत"),
    ("nukta", "ज़रा"),
    ("thai weather", "วันนี้อากาศดีมาก"),
    ("thai letters", "อากร กาศ"),
    ("lao", "ສະບາຍດີຕອນເຊົ້າ"),
    ("khmer", "សួស្តី\u{200b}ពិភពលោក"),
    ("burmese", "မင်္ဂလာပါကမ္ဘာ"),
    ("weather", "今天天气很好，我们去公园吧"),
    ("sky", "天空和气球"),
    ("good", "好"),
    ("mixed", "用Rust写的，版本２"),
    ("tower", "明日は東京タワーに行きます"),
    ("half width", "ｶﾞｽﾀﾝﾄﾞ"),
    ("gas", "ガス"),
    ("key", "かぎ"),
    ("oyster", "かき"),
    ("bopomofo", "ㄅㄆㄇ"),
    ("korean", "한국어를 배우고 싶어요"),
    ("korean decomposed", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8} 하늘"),
    ("rocket", "🚀🌕 liftoff"),
    ("thumb", "👍🏽 done"),
    ("family", "👨\u{200d}👩\u{200d}👧"),
    ("heart", "I ❤\u{fe0f} 1\u{fe0f}\u{20e3}"),
    ("signs", "C++ & C#, 100 % «…» !?"),
];

/// Searches: a script, a text, and the names of the messages that it finds.
const SEARCHES: [(&str, &str, &[&str]); 74] = [
    ("Latin", "cafe creme", &["café"]),
    ("Latin", "STRASSE", &["café"]),
    ("Latin", "caf", &[]),
    ("Latin", "crème\u{327}", &["café"]),
    ("Latin", "nang viet", &["viet"]),
    ("Latin", "file abc123 ÉTÉ", &["wide"]),
    ("Latin", "ﬁ", &[]),
    ("Latin", "Cooperational", &["soft"]),
    ("Latin", "name notes", &["build"]),
    ("Latin", "notes build moon", &[]),
    ("Greek", "οδυσσευς", &["odysseus"]),
    ("Greek", "Οδυσσεύσ", &["odysseus"]),
    ("Greek", "ΟΔΟΣ", &["way"]),
    ("Greek", "η οδος", &["way"]),
    ("Greek", "οδυσσ", &[]),
    ("Cyrillic", "еще елка", &["fir"]),
    ("Cyrillic", "ИОД", &["fir"]),
    ("Cyrillic", "елк", &[]),
    ("Armenian", "ԲԱՐԵՒ", &["armenian", "armenian ligature"]),
    ("Armenian", "ձե", &[]),
    ("Georgian", "საქართველო", &["georgian", "georgian capitals"]),
    ("Georgian", "საქართველ", &[]),
    ("Hebrew", "שלום", &["pointed", "plain hebrew"]),
    ("Hebrew", "עוֹלָם", &["pointed"]),
    ("Hebrew", "לכול", &[]),
    ("Arabic", "السلام", &["vowels"]),
    ("Arabic", "أَحْمَد", &["vowels", "stretched"]),
    ("Arabic", "مرحبا", &["stretched"]),
    ("Arabic", "سلام", &[]),
    ("Devanagari", "हिन्दी", &["hindi"]),
    ("Devanagari", "में", &["hindi", "other vowels"]),
    ("Devanagari", "हन्दी", &[]),
    ("Devanagari", "बात", &["hindi"]),
    ("Devanagari", "जरा", &["nukta"]),
    ("Thai", "อากาศ", &["thai weather"]),
    ("Thai", "วันนี้ ดี", &["thai weather"]),
    ("Thai", "กาศ", &["thai weather", "thai letters"]),
    ("Thai", "ก", &["thai weather", "thai letters"]),
    ("Thai", "วันนี", &["thai weather"]),
    ("Thai", "วนนี้", &[]),
    ("Lao", "ສະບາຍດີ", &["lao"]),
    ("Lao", "ເຊົ້າ ຕອນ", &["lao"]),
    ("Lao", "ດີສະ", &[]),
    ("Khmer", "ពិភពលោក", &["khmer"]),
    ("Khmer", "សួស្តីពិភព", &["khmer"]),
    ("Khmer", "លោកពិ", &[]),
    ("Myanmar", "ကမ္ဘာ", &["burmese"]),
    ("Myanmar", "မင်္ဂလာ", &["burmese"]),
    ("Myanmar", "ဘာမင်", &[]),
    ("Han", "天气", &["weather"]),
    ("Han", "天", &["weather", "sky"]),
    ("Han", "气", &["weather", "sky"]),
    ("Han", "好", &["weather", "good"]),
    ("Han", "今天天气很好 公园", &["weather"]),
    ("Han", "今天气", &[]),
    ("Han", "好我们", &[]),
    ("Han", "rust 写 2", &["mixed"]),
    ("Kana", "東京", &["tower"]),
    ("Kana", "タワー", &["tower"]),
    ("Kana", "ﾀﾜｰ", &["tower"]),
    ("Kana", "ガス", &["half width", "gas"]),
    ("Kana", "かき", &["oyster"]),
    ("Kana", "か", &["key", "oyster"]),
    ("Bopomofo", "ㄆㄇ", &["bopomofo"]),
    ("Hangul", "한국", &["korean", "korean decomposed"]),
    ("Hangul", "하", &["korean decomposed"]),
    ("Hangul", "배우 한국어", &["korean"]),
    ("Emoji", "🚀", &["rocket"]),
    ("Emoji", "🌕", &["rocket"]),
    ("Emoji", "👍", &["thumb"]),
    ("Emoji", "👩", &["family"]),
    ("Emoji", "❤ 1", &["heart"]),
    ("Emoji", "👍🚀", &[]),
    ("None", "+ #", &[]),
];

fn say(dealer: &mut Dealer, texts: impl IntoIterator<Item = String>) -> Vec<parlance::chat::Op> {
    let said = |text: String| Change::Said { room: "den".into(), sender: "alice".into(), text: text.into() };
    texts.into_iter().map(|text| dealer.op(said(text))).collect()
}

/// The texts that a search finds, newest first.
fn found(reader: &mut dyn Reader, text: &str) -> Vec<String> {
    let found = reader.search(text, usize::MAX).expect("a search");
    found.into_iter().map(|(_, message)| message.text.into()).collect()
}

fn name(text: &str) -> &'static str {
    MESSAGES.iter().find(|(_, message)| *message == text).expect("it was said").0
}

/// All searches, when the first `count` messages were said.
#[track_caller]
fn search_all(reader: &mut dyn Reader, count: usize, when: &str) {
    let is_said = |wanted: &str| MESSAGES[..count].iter().any(|&(name, _)| name == wanted);
    for (script, text, expected) in SEARCHES {
        let expected: Vec<_> = expected.iter().copied().filter(|name| is_said(name)).collect();
        let names: Vec<_> = found(reader, text).iter().rev().map(|text| name(text)).collect();
        assert_eq!(names, expected, "{when}, {script}: {text}");
    }
}

fn searches_find_what_they_must_and_nothing_else(shelf: &Shelf) {
    let mut store = shelf.open();
    let mut dealer = Dealer::new(1);
    let ops = say(&mut dealer, MESSAGES.map(|(_, text)| text.to_owned()));
    let (first, second) = ops.split_at(ops.len() / 2);
    store.commit(first).expect("it commits");
    search_all(store.as_mut(), first.len(), "not indexed");
    while store.tidy(&HistoryRules::default(), dealer.now()).expect("it is tidied") {}
    store.commit(second).expect("it commits");
    search_all(store.as_mut(), ops.len(), "some indexed");
    while store.tidy(&HistoryRules::default(), dealer.now()).expect("it is tidied") {}
    search_all(store.as_mut(), ops.len(), "indexed");
    store.compact().expect("it compacts");
    search_all(store.as_mut(), ops.len(), "compacted");
    if shelf.is_on_disk() {
        search_all(shelf.reader().as_mut(), ops.len(), "a reader");
        drop(store);
        search_all(shelf.open().as_mut(), ops.len(), "opened again");
    }
}

fn cunning_searches_find_messages_or_nothing(shelf: &Shelf) {
    let mut store = shelf.open();
    let mut dealer = Dealer::new(1);
    let texts = ["hello world", "or and not near", "天气", "a\0b", "words rowid 1"];
    store.commit(&say(&mut dealer, texts.map(str::to_owned))).expect("it commits");
    for indexed in [false, true] {
        let nothing = [
            "",
            " ",
            "\0",
            "\0\0\0",
            "\"",
            "\"\"",
            "'",
            "''; --",
            "*",
            "**",
            "^",
            "()",
            "(",
            ")",
            "{}",
            "-",
            "+",
            ":",
            "%",
            "_",
            "\\",
            "«»",
            "。、！",
            "\u{fffd}",
            "\u{301}",
            "\u{200d}",
            "\u{fe0f}",
            "\u{feff}",
            "\u{202e}",
            "\r\n",
            "he*",
            "hell",
            "\u{10ffff}",
            "\u{e0001}",
            "天 *a",
        ];
        for text in nothing {
            assert_eq!(found(store.as_mut(), text), [""; 0], "{text:?}");
        }
        for (text, expected) in [
            ("\"hello", "hello world"),
            ("hello\"", "hello world"),
            ("\"hello\" \"world\"", "hello world"),
            ("hello OR", ""),
            ("OR", "or and not near"),
            ("NOT AND", "or and not near"),
            ("near(and or)", "or and not near"),
            ("^hello", "hello world"),
            ("hello*", "hello world"),
            ("-hello", "hello world"),
            ("\0hello\0", "hello world"),
            ("a\0b", "a\0b"),
            ("words:rowid", "words rowid 1"),
            ("{words}:1", "words rowid 1"),
            ("天\"", "天气"),
            ("\"天\" *", "天气"),
            ("\u{200d}气\u{fe0f}", "天气"),
        ] {
            let expected: Vec<_> = Some(expected).filter(|text| !text.is_empty()).into_iter().collect();
            assert_eq!(found(store.as_mut(), text), expected, "{text:?}");
        }
        let fill = |text: &str| text.repeat(SEARCH_BYTES_MAX / text.len());
        for text in ["a ", "\"", "天", "天 ", "\u{301}", "*", "(", "ﷺ", "🚀", "a天"] {
            found(store.as_mut(), &fill(text));
        }
        for text in ["a".repeat(SEARCH_BYTES_MAX + 1), " ".repeat(1 << 20), "天".repeat(SEARCH_BYTES_MAX)] {
            let refused = store.search(&text, 1);
            assert!(matches!(refused, Err(StoreError::SearchTooLong { bytes }) if bytes == text.len()));
        }
        if !indexed {
            while store.tidy(&HistoryRules::default(), dealer.now()).expect("it is tidied") {}
        }
    }
}

fn a_search_with_more_terms_than_are_looked_up_wants_all_of_them(shelf: &Shelf) {
    let mut store = shelf.open();
    let mut dealer = Dealer::new(1);
    let numbers = |count: usize| (1000..1000 + count).map(|number| format!("{number} ")).collect::<String>();
    let run: String = (0..TEXT_BYTES_MAX as u32 / 3).filter_map(|at| char::from_u32(0x4e00 + at)).collect();
    let all = numbers(10 * SEARCH_TERMS_MAX);
    let but_one = all.replace("1600 ", "");
    store.commit(&say(&mut dealer, [all.clone(), but_one.clone(), run.clone()])).expect("it commits");
    while store.tidy(&HistoryRules::default(), dealer.now()).expect("it is tidied") {}
    assert_eq!(found(store.as_mut(), &all), [all.as_str()]);
    assert_eq!(found(store.as_mut(), &but_one), [but_one.as_str(), all.as_str()]);
    assert_eq!(found(store.as_mut(), &run), [run.as_str()]);
    let end = run.chars().rev().take(2).collect::<String>();
    assert_eq!(found(store.as_mut(), &end), [""; 0], "the other way round");
}

fn a_forgotten_message_is_not_found_any_more(shelf: &Shelf) {
    let mut store = shelf.open();
    let mut dealer = Dealer::new(1);
    store.commit(&say(&mut dealer, MESSAGES.map(|(_, text)| text.to_owned()))).expect("it commits");
    while store.tidy(&HistoryRules::default(), dealer.now()).expect("it is tidied") {}
    let closed = dealer.op(Change::RoomClosed { room: "den".into(), made: None });
    store.commit(&[closed]).expect("it commits");
    store.commit(&say(&mut dealer, ["天气".to_owned()])).expect("it commits");
    while store.tidy(&HistoryRules::default(), dealer.now()).expect("it is tidied") {}
    for (script, text, _) in SEARCHES {
        let expected: &[&str] = if ["天气", "天", "气"].contains(&text) { &["天气"] } else { &[] };
        assert_eq!(found(store.as_mut(), text), expected, "{script}: {text}");
    }
    assert_eq!(store.check().expect("a check"), [""; 0]);
}

//! The codecs: one message, in each dialect, in each of the four directions.
//!
//! The sizes are those of a message's text. The largest stands for the longest text whose line still fits
//! [`LINE_BYTES_MAX`]: a few bytes less than 4096, by what the dialect's command and the line end take. Throughput counts
//! the bytes of the whole line, as it is on the wire in the direction measured.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parlance::chat::{Command, Event, Phase, UnixSeconds};
use parlance::limits::LINE_BYTES_MAX;
use parlance::wire::{Codec, Dialect, Frame};

const TEXT_BYTES: [usize; 4] = [16, 64, 512, LINE_BYTES_MAX];
/// As long as names mostly are.
const SENDER: &str = "alice";
/// 13:46:40, for dialects that say when.
const AT: UnixSeconds = UnixSeconds(1_700_056_000);

/// A text of so many bytes, or of as many as its line has space for.
fn text(dialect: Dialect, bytes: usize) -> String {
    let around = command_line(dialect, "").len();
    "x".repeat(bytes.min(LINE_BYTES_MAX - around))
}

fn command_line(dialect: Dialect, text: &str) -> Vec<u8> {
    let mut line = Vec::new();
    dialect.encode_command(&Command::Say(text), &mut line).expect("every dialect can say something");
    line
}

fn event_line(dialect: Dialect, text: &str) -> Vec<u8> {
    let mut line = Vec::new();
    let _ =
        dialect.encode_event(&Codec::default(), &Event::Message { sender: SENDER, text, at: AT }, &mut line);
    line
}

fn on_the_server(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode_command");
    for (dialect, bytes) in cases() {
        let text = text(dialect, bytes);
        let line = command_line(dialect, &text);
        let mut codec = Codec::default();
        let frame = dialect.decode_command(&mut codec, Phase::Chat, &line).frame;
        assert_eq!(frame, Frame::Whole(Command::Say(&text)));
        bench(&mut group, dialect, bytes, line.len(), || {
            black_box(dialect.decode_command(&mut codec, Phase::Chat, black_box(&line)));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("encode_event");
    for (dialect, bytes) in cases() {
        let text = text(dialect, bytes);
        let event = Event::Message { sender: SENDER, text: &text, at: AT };
        let mut out = event_line(dialect, &text);
        bench(&mut group, dialect, bytes, out.len(), || {
            out.clear();
            let _ = dialect.encode_event(&Codec::default(), black_box(&event), &mut out);
            black_box(&out);
        });
    }
    group.finish();
}

fn on_the_client(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode_command");
    for (dialect, bytes) in cases() {
        let text = text(dialect, bytes);
        let command = Command::Say(&text);
        let mut out = command_line(dialect, &text);
        bench(&mut group, dialect, bytes, out.len(), || {
            out.clear();
            black_box(dialect.encode_command(black_box(&command), &mut out).is_ok());
            black_box(&out);
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("decode_event");
    for (dialect, bytes) in cases() {
        let said = text(dialect, bytes);
        let line = event_line(dialect, &said);
        let mut codec = Codec::default();
        let frame = dialect.decode_event(&mut codec, &line).frame;
        let whole =
            matches!(frame, Frame::Whole(Event::Message { sender: SENDER, text, .. }) if text == said);
        assert!(whole, "the client understands what the server says: {frame:?}");
        bench(&mut group, dialect, bytes, line.len(), || {
            black_box(dialect.decode_event(&mut codec, black_box(&line)));
        });
    }
    group.finish();
}

fn cases() -> impl Iterator<Item = (Dialect, usize)> {
    [Dialect::Line, Dialect::Slash].into_iter().flat_map(|dialect| TEXT_BYTES.map(|bytes| (dialect, bytes)))
}

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    dialect: Dialect,
    text_bytes: usize,
    line_bytes: usize,
    mut routine: impl FnMut(),
) {
    group.throughput(Throughput::Bytes(line_bytes as u64));
    group.bench_function(BenchmarkId::new(dialect.name(), text_bytes), |bencher| bencher.iter(&mut routine));
}

/// What takes nanoseconds settles soon; with the defaults of five and three seconds all cases would take minutes.
fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = codec;
    config = short();
    targets = on_the_server, on_the_client
}
criterion_main!(codec);

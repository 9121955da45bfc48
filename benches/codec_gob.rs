//! The gob codec: one message in each direction, both of which are the same.
//!
//! The sizes are those of a message's text; the largest stands for the longest that fits. Throughput counts all bytes on
//! the wire. A fresh encoder defines the type with each message, a long-lived one has done so before.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parlance::limits::GOB_MESSAGE_BYTES_MAX;
use parlance::wire::Fit;
use parlance::wire::gob::{Decoder, Frame, Kind, Message, encode};

const TEXT_BYTES: [usize; 4] = [16, 64, 512, GOB_MESSAGE_BYTES_MAX];
/// As long as names mostly are.
const SENDER: &str = "alice";

fn message(text: &str) -> Message<'_> {
    Message { kind: Kind::Text, sender: SENDER, content: text }
}

fn encoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(encode(&message(text), &mut out), Fit::Whole);
    out
}

/// A text of so many bytes, or of as many as fit.
fn text(bytes: usize) -> String {
    // A text of 512 bytes has lengths of as many digits as the longest.
    let around = encoded(&"x".repeat(512)).len() - 512;
    "x".repeat(bytes.min(GOB_MESSAGE_BYTES_MAX - around))
}

fn decode(criterion: &mut Criterion) {
    for (encoder, definitions) in [("fresh", true), ("long_lived", false)] {
        let mut group = criterion.benchmark_group(format!("gob_decode/{encoder}"));
        for bytes in TEXT_BYTES {
            let text = text(bytes);
            let stream = encoded(&text);
            let mut decoder = Decoder::default();
            assert_eq!(decoder.decode(&stream).frame, Frame::Whole(message(&text)));
            // The length of the definition is its first byte.
            let start = if definitions { 0 } else { 1 + usize::from(stream[0]) };
            let stream = &stream[start..];
            assert_eq!(decoder.decode(stream).frame, Frame::Whole(message(&text)));
            group.throughput(Throughput::Bytes(stream.len() as u64));
            group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
                bencher.iter(|| {
                    black_box(decoder.decode(black_box(stream)));
                });
            });
        }
        group.finish();
    }
}

fn encode_fresh(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gob_encode");
    for bytes in TEXT_BYTES {
        let text = text(bytes);
        let mut out = encoded(&text);
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
            bencher.iter(|| {
                out.clear();
                let _ = black_box(encode(black_box(&message(&text)), &mut out));
                black_box(&out);
            });
        });
    }
    group.finish();
}

/// What takes nanoseconds settles soon; with the defaults of five and three seconds all cases would take minutes.
fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = codec_gob;
    config = short();
    targets = decode, encode_fresh
}
criterion_main!(codec_gob);

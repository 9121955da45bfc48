//! The typed codec: one message, in both tag sets, in each of the four directions.
//!
//! The sizes are those of a message's text. Throughput counts the bytes of the whole frame.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parlance::wire::typed::{Decoder, Frame, Message, MessagesFrame, Reply, Request, TagSet, UnixMillis};

const TEXT_BYTES: [usize; 4] = [16, 64, 512, 4096];
const TAG_SETS: [(TagSet, &str); 2] = [(TagSet::Document, "document"), (TagSet::InUse, "in-use")];

fn request(content: &str) -> Request<'_> {
    Request::Send { recipient: "alice", content }
}

fn message(content: &str) -> Message<'_> {
    Message {
        id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        at: UnixMillis(1_700_000_000_250),
        sender: "alice",
        recipient: "bob",
        content,
        unread: true,
    }
}

fn requests(criterion: &mut Criterion) {
    for (tags, name) in TAG_SETS {
        for bytes in TEXT_BYTES {
            let content = "x".repeat(bytes);
            let request = request(&content);
            let mut frame = Vec::new();
            request.encode(tags, &mut frame).expect("it fits");
            let mut decoder = Decoder::default();
            assert_eq!(decoder.decode(&frame).frame, Frame::Whole(request));
            let throughput = Throughput::Bytes(frame.len() as u64);

            let mut group = criterion.benchmark_group("decode_request");
            group.throughput(throughput.clone());
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                bencher.iter(|| black_box(decoder.decode(black_box(&frame))));
            });
            group.finish();

            let mut group = criterion.benchmark_group("encode_request");
            group.throughput(throughput);
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                let mut out = frame.clone();
                bencher.iter(|| {
                    out.clear();
                    black_box(black_box(&request).encode(tags, &mut out).is_ok());
                    black_box(&out);
                });
            });
            group.finish();
        }
    }
}

fn replies(criterion: &mut Criterion) {
    for (tags, name) in TAG_SETS {
        for bytes in TEXT_BYTES {
            let content = "x".repeat(bytes);
            let reply = Reply::Message(message(&content));
            let mut frame = Vec::new();
            reply.encode(tags, &mut frame).expect("it fits");
            assert_eq!(Reply::decode(tags, &frame).frame, Frame::Whole(reply.clone()));
            let throughput = Throughput::Bytes(frame.len() as u64);

            let mut group = criterion.benchmark_group("encode_reply");
            group.throughput(throughput.clone());
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                let mut out = frame.clone();
                bencher.iter(|| {
                    out.clear();
                    black_box(black_box(&reply).encode(black_box(tags), &mut out).is_ok());
                    black_box(&out);
                });
            });
            group.finish();

            let mut group = criterion.benchmark_group("decode_reply");
            group.throughput(throughput);
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                bencher.iter(|| black_box(Reply::decode(tags, black_box(&frame))));
            });
            group.finish();
        }
    }
}

/// A conversation of one message: decoded, which checks it, and gone through, which hands it out.
fn lists(criterion: &mut Criterion) {
    for (tags, name) in TAG_SETS {
        for bytes in TEXT_BYTES {
            let content = "x".repeat(bytes);
            let mut frame = Vec::new();
            MessagesFrame::begin(tags, &mut frame).push(&message(&content)).expect("it fits");
            let Frame::Whole(Reply::Messages(messages)) = Reply::decode(tags, &frame).frame else {
                panic!("messages");
            };
            assert!(messages.clone().eq([message(&content)]));
            let throughput = Throughput::Bytes(frame.len() as u64);

            let mut group = criterion.benchmark_group("decode_list");
            group.throughput(throughput.clone());
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                bencher.iter(|| black_box(Reply::decode(tags, black_box(&frame))));
            });
            group.finish();

            let mut group = criterion.benchmark_group("go_through_list");
            group.throughput(throughput);
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                bencher.iter(|| {
                    black_box(&messages).clone().for_each(|message| {
                        black_box(message);
                    });
                });
            });
            group.finish();
        }
    }
}

/// What takes nanoseconds settles soon; with the defaults of five and three seconds all cases would take minutes.
fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = codec_typed;
    config = short();
    targets = requests, replies, lists
}
criterion_main!(codec_typed);

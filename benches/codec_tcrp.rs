//! The codecs of TCRP and UCRP: a handshake, and a message in each of its four steps.
//!
//! The sizes are those of a message's text; the largest is the longest that a client can say. Throughput counts the bytes
//! of the whole datagram.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parlance::chat::Token;
use parlance::limits::UCRP_DATAGRAM_BYTES_MAX;
use parlance::wire::Fit;
use parlance::wire::tcrp::{Decoded, Operation, Reply, Request, encode_answer, encode_request};
use parlance::wire::ucrp::{Datagram, Delivery, Message};

/// As long as they mostly are.
const ROOM: &str = "lobby";
const SENDER: &str = "alice";

fn token() -> Token {
    Token::from_random([0xa5; 16])
}

fn datagrams(criterion: &mut Criterion) {
    let token = token().reveal();
    let around = 2 + ROOM.len() + token.len();
    for text_bytes in [16, 64, 512, UCRP_DATAGRAM_BYTES_MAX - around] {
        let text = "x".repeat(text_bytes);
        let datagram = Datagram { room: ROOM, token: &token, message: Message::Chat(&text) };
        let mut said = Vec::new();
        datagram.encode(&mut said).expect("sayable");
        assert_eq!(Datagram::decode(&said), Ok(datagram));
        let delivery = Delivery::Relay { sender: SENDER, text: &text };
        let mut relayed = Vec::new();
        assert_eq!(delivery.encode(&mut relayed), Fit::Whole);
        assert_eq!(Delivery::decode(&relayed), Ok(delivery));

        let mut group = criterion.benchmark_group("ucrp");
        group.throughput(Throughput::Bytes(said.len() as u64));
        group.bench_function(BenchmarkId::new("decode_command", text_bytes), |bencher| {
            bencher.iter(|| Datagram::decode(black_box(&said)));
        });
        let mut out = Vec::with_capacity(UCRP_DATAGRAM_BYTES_MAX);
        group.bench_function(BenchmarkId::new("encode_command", text_bytes), |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(black_box(&datagram).encode(&mut out).is_ok());
                black_box(&out);
            });
        });
        group.throughput(Throughput::Bytes(relayed.len() as u64));
        group.bench_function(BenchmarkId::new("encode_event", text_bytes), |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(black_box(&delivery).encode(&mut out) == Fit::Whole);
                black_box(&out);
            });
        });
        group.bench_function(BenchmarkId::new("decode_event", text_bytes), |bencher| {
            bencher.iter(|| Delivery::decode(black_box(&relayed)));
        });
        group.finish();
    }
}

fn handshake(criterion: &mut Criterion) {
    let token = token();
    let mut group = criterion.benchmark_group("tcrp");
    let mut asked = Vec::new();
    encode_request(ROOM, Operation::Join, SENDER, None, &mut asked).expect("sayable");
    let Decoded::Whole { frame: request, .. } = Request::decode(&asked) else { panic!("whole") };
    let (echo, mut answer) = (request.echo(), Vec::new());
    encode_answer(echo, Ok(&token), &mut answer);

    group.bench_function("decode_request", |bencher| bencher.iter(|| Request::decode(black_box(&asked))));
    group.bench_function("credentials", |bencher| bencher.iter(|| black_box(&request).credentials()));
    let mut out = Vec::with_capacity(answer.len());
    group.bench_function("encode_answer", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_answer(black_box(echo), Ok(black_box(&token)), &mut out);
            black_box(&out);
        });
    });
    group.bench_function("decode_reply", |bencher| bencher.iter(|| Reply::decode(black_box(&answer))));
    let text = token.reveal();
    group.bench_function("parse_token", |bencher| bencher.iter(|| Token::parse(black_box(&text))));
    group.finish();
}

/// What takes nanoseconds settles soon; with the defaults of five and three seconds all cases would take minutes.
fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = codec_tcrp;
    config = short();
    targets = datagrams, handshake
}
criterion_main!(codec_tcrp);

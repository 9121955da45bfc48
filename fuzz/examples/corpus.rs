//! Writes what each target begins with to `corpus/TARGET`, for libFuzzer: `cargo run --example corpus`.

use std::fs;
use std::path::Path;

use parlance_fuzz::{TARGETS, corpus};

fn main() -> std::io::Result<()> {
    for target in TARGETS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        fs::create_dir_all(&directory)?;
        let inputs = corpus::of(target.name);
        for (number, input) in inputs.iter().enumerate() {
            fs::write(directory.join(format!("begin-{number:04}")), input)?;
        }
        println!("{}: {} inputs", target.name, inputs.len());
    }
    Ok(())
}

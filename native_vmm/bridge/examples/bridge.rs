//! Bridges a file: `cargo run --example bridge -- INPUT OUTPUT` writes OUTPUT and OUTPUT.json.

use std::{env, error::Error, fs, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        return Err("usage: bridge INPUT OUTPUT".into());
    };
    let input = fs::read(input)?;
    let start = Instant::now();
    let bridged = component_bridge::bridge(&input, &component_bridge::Options::default())?;
    eprintln!(
        "{} bytes -> {} bytes in {:?}",
        input.len(),
        bridged.component.len(),
        start.elapsed()
    );
    fs::write(output, &bridged.component)?;
    fs::write(format!("{output}.json"), &bridged.description)?;
    Ok(())
}

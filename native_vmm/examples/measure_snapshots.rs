//! Measures what snapshots are made of: restores by dirtied pages, copies of a guest, and
//! the bare hypervisor operations below them. Prints JSON, times in nanoseconds.
//!
//! `cargo run --release -p native_vmm --example measure_snapshots`

use std::error::Error;
use std::time::{Duration, Instant};

use host_guest_abi::command::COMMAND_EXITS;
use host_guest_abi::layout::{RAM_DEFAULT_BYTES, STACK_TOP};
use host_guest_abi::transfer::DEFAULT_BYTES;
use native_vmm::embedded_guest;
use native_vmm::hypervisor::kvm::{System, Vcpu, Vm};
use native_vmm::hypervisor::{Driver, MachineExit, Registers};
use native_vmm::memory::{GuestMemory, Plan};
use native_vmm::sandbox::{Config, Exit, Sandbox, Snapshot, vm_pool};

const WINDOWS: [u64; 3] = [DEFAULT_BYTES, DEFAULT_BYTES, 4 * DEFAULT_BYTES];

fn main() -> Result<(), Box<dyn Error>> {
    let original = Sandbox::new(Config::new(Driver::Kvm, RAM_DEFAULT_BYTES, &WINDOWS)?)?;
    let snapshot = original.snapshot()?;
    let mut rows: Vec<(String, u128)> = Vec::new();

    let exits = 1000;
    let exit = lower_quartile(20, || {
        let started = Instant::now();
        let mut exit = original.command(COMMAND_EXITS, &[exits])?;
        while let Exit::Interrupted { .. } = exit {
            exit = original.resume()?;
        }
        Ok(started.elapsed() / u32::try_from(exits)?)
    })?;
    rows.push(("exit".to_owned(), exit));

    let sandbox = Sandbox::from_snapshot(&snapshot)?;
    for pages in [0_u64, 16, 256, 1000] {
        let Some((window, _)) = sandbox.transfer_window(1)? else {
            return Err("no transfer window".into());
        };
        let touch = || {
            for page in 0..pages {
                // SAFETY: inside the window, which is accessible while the sandbox exists.
                unsafe {
                    window
                        .add(4096 * usize::try_from(page).unwrap_or(0))
                        .write(1)
                };
            }
        };
        let mut both = Vec::new();
        let alone = lower_quartile(300, || {
            touch();
            let started = Instant::now();
            sandbox.restore(&snapshot, true)?;
            let restored = started.elapsed();
            sandbox.command(COMMAND_EXITS, &[0])?;
            both.push(started.elapsed());
            Ok(restored)
        })?;
        both.sort_unstable();
        rows.push((format!("restore_{pages}"), alone));
        rows.push((
            format!("restore_call_{pages}"),
            both[both.len() / 4].as_nanos(),
        ));
    }
    let counters = sandbox.counters();
    rows.push(("scans_of_1200".to_owned(), counters.restore_scans.into()));

    for (kept, suffix) in [(0, ""), (16, "_pooled")] {
        vm_pool::limit(Some(kept));
        measure_copies(&snapshot, suffix, &mut rows)?;
    }
    let rows: Vec<_> = rows.iter().map(|(n, v)| format!("\"{n}\": {v}")).collect();
    println!("{{{}}}", rows.join(", "));
    Ok(())
}

fn measure_copies(
    snapshot: &Snapshot,
    suffix: &str,
    rows: &mut Vec<(String, u128)>,
) -> Result<(), Box<dyn Error>> {
    let mut clones = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..60 {
        while vm_pool::limit(None).waiting > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let started = Instant::now();
        let copy = Sandbox::from_snapshot(snapshot)?;
        let made = started.elapsed();
        copy.command(COMMAND_EXITS, &[0])?;
        clones.0.push(made);
        clones.1.push(started.elapsed());
        let started = Instant::now();
        drop(copy);
        clones.2.push(started.elapsed());
        clones.3.push(floor()?);
    }
    for (name, times) in [
        ("clone", &mut clones.0),
        ("clone_call", &mut clones.1),
        ("free", &mut clones.2),
        ("floor", &mut clones.3),
    ] {
        times.sort_unstable();
        rows.push((format!("{name}{suffix}"), times[times.len() / 4].as_nanos()));
    }
    Ok(())
}

/// The least that a VM of this size can cost: make it, its slot and its vCPU, one exit.
fn floor() -> Result<Duration, Box<dyn Error>> {
    let system = System::shared()?;
    let image = embedded_guest::image()?;
    let memory = GuestMemory::new(Plan::new(RAM_DEFAULT_BYTES, &WINDOWS)?, &image, None)?;
    let started = Instant::now();
    let mut vm = Vm::new(system)?;
    let mut vcpu = Vcpu::new(system, &vm)?;
    // SAFETY: the memory outlives the VM.
    unsafe { vm.map(&memory.region)? };
    vcpu.rewind(&Registers::at_start(image.entry, STACK_TOP));
    match vcpu.run()? {
        MachineExit::Request(_) => {}
        other => return Err(format!("{other:?}").into()),
    }
    let took = started.elapsed();
    drop((vcpu, vm));
    Ok(took)
}

fn lower_quartile(
    rounds: usize,
    mut body: impl FnMut() -> Result<Duration, Box<dyn Error>>,
) -> Result<u128, Box<dyn Error>> {
    let mut times = (0..rounds).map(|_| body()).collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    Ok(times[rounds / 4].as_nanos())
}

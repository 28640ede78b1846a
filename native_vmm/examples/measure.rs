//! Measures what everything else is made of: bare exits and the making of a sandbox.
//!
//! `cargo run --release -p native_vmm --example measure [rounds]`

use std::error::Error;
use std::time::{Duration, Instant};

use host_guest_abi::command::COMMAND_EXITS;
use host_guest_abi::layout::{RAM_DEFAULT_BYTES, STACK_TOP};
use host_guest_abi::transfer::DEFAULT_BYTES;
use native_vmm::embedded_guest;
use native_vmm::hypervisor::kvm::{System, Vcpu, Vm};
use native_vmm::hypervisor::{Driver, MachineExit, Registers};
use native_vmm::memory::{GuestMemory, Plan};
use native_vmm::sandbox::{Config, Exit, Sandbox};

/// One component memory of 64 MiB beside the transfer windows.
const WINDOWS: [u64; 3] = [DEFAULT_BYTES, DEFAULT_BYTES, DEFAULT_BYTES];
const EXITS: u64 = 20_000;

/// Times of one kind, by step.
#[derive(Default)]
struct Steps(Vec<(&'static str, Vec<Duration>)>);

impl Steps {
    fn time<T>(&mut self, name: &'static str, body: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = body();
        let took = start.elapsed();
        match self.0.iter_mut().find(|step| step.0 == name) {
            Some(step) => step.1.push(took),
            None => self.0.push((name, vec![took])),
        }
        result
    }

    fn print(&mut self) {
        for (name, times) in &mut self.0 {
            times.sort_unstable();
            let (median, best) = (times[times.len() / 2], times[0]);
            println!("  {name:<32} {median:>10.1?} median {best:>10.1?} best");
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::args()
        .nth(1)
        .map_or(Ok(50), |rounds| rounds.parse::<u32>())?;
    let mut steps = Steps::default();
    steps.time("open /dev/kvm (once)", System::shared)?;
    for _ in 0..rounds {
        make_by_steps(&mut steps)?;
        let sandbox = steps.time("sandbox, in one", || {
            Sandbox::new(Config::new(Driver::Kvm, RAM_DEFAULT_BYTES, &WINDOWS)?)
        })?;
        steps.time("free it", || drop(sandbox));
    }
    println!("making a sandbox, {rounds} rounds");
    steps.print();

    let sandbox = Sandbox::new(Config::new(Driver::Kvm, RAM_DEFAULT_BYTES, &WINDOWS)?)?;
    for _ in 0..3 {
        let start = Instant::now();
        let mut exit = sandbox.command(COMMAND_EXITS, &[EXITS])?;
        while let Exit::Interrupted { .. } = exit {
            exit = sandbox.resume()?;
        }
        let nanoseconds = start.elapsed().as_nanos() / u128::from(EXITS);
        assert!(matches!(exit, Exit::Done { .. }), "{exit:?}");
        println!("bare exit: {nanoseconds} ns");
    }
    Ok(())
}

fn make_by_steps(steps: &mut Steps) -> Result<(), Box<dyn Error>> {
    let system = System::shared()?;
    let image = embedded_guest::image()?;
    let plan = Plan::new(RAM_DEFAULT_BYTES, &WINDOWS)?;
    let memory = steps.time("memory, tables, image", || {
        GuestMemory::new(plan, &image, None)
    })?;
    let mut vm = steps.time("create VM", || Vm::new(system))?;
    let mut vcpu = steps.time("create vCPU", || Vcpu::new(system, &vm))?;
    // SAFETY: the memory outlives the VM.
    steps.time("memory slot", || unsafe { vm.map(&memory.region) })?;
    vcpu.rewind(&Registers::at_start(image.entry, STACK_TOP));
    let booted = steps.time("boot", || {
        loop {
            match vcpu.run() {
                Ok(MachineExit::Request(1)) => return Ok(()),
                Ok(MachineExit::Request(_) | MachineExit::Interrupted) => {}
                Ok(other) => return Err(format!("{other:?}").into()),
                Err(error) => return Err(Box::<dyn Error>::from(error)),
            }
        }
    });
    booted?;
    steps.time("free vCPU and VM", || drop((vcpu, vm)));
    steps.time("free memory", || drop(memory));
    Ok(())
}

//! The component: load, instantiate, call.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::ptr::NonNull;

use host_guest_abi::exit::EXIT_HOST_CALL;
use host_guest_abi::layout::{ARTIFACT, ARTIFACT_MAX_BYTES, WINDOW_EXPORT_BRIDGE};
use host_guest_abi::transfer::{CURSOR, WASM_PAGE_BYTES};
use wasmtime::component::{Component, Instance, InstancePre, Linker, TypedFunc};
use wasmtime::error::Context;
use wasmtime::{ExternRef, ResourceLimiter, Result, Store, Trap, bail};

use crate::engine;
use crate::exit::request;
use crate::fuel;
use crate::limits::{self, LimitReached};
use crate::units::size;
use crate::windows::{self, Expected};

const HOST: &str = "hlwasm:bridge/host";
const GUEST: &str = "hlwasm:bridge/guest";

/// The host answered a host call with failure.
#[derive(Debug)]
pub struct HostCallFailed;

impl fmt::Display for HostCallFailed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a host function failed")
    }
}

impl core::error::Error for HostCallFailed {}

/// Arguments of an instantiation.
pub struct InstantiateArguments {
    /// Number of `call-k` exports.
    pub call_count: u64,
    /// Pages of the import bridge's memory, 0 if there is none.
    pub import_pages: u64,
    /// Pages of the export bridge's memory.
    pub export_pages: u64,
    /// Most elements of each table.
    pub table_elements: u64,
    /// What instantiating may use, where fuel is counted.
    pub fuel: u64,
}

/// Everything that lives from command to command.
pub struct Guest {
    loaded: Option<Loaded>,
    running: Option<Running>,
}

struct Loaded {
    pre: InstancePre<Limiter>,
    memories: u64,
    /// Whether its code counts fuel.
    fuel: bool,
}

struct Running {
    store: Store<Limiter>,
    calls: Vec<TypedFunc<(), ()>>,
}

struct Limiter {
    table_elements: usize,
    /// Memories may be made but not grow.
    growth_refused: bool,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        // Capacity is checked where address space is placed and made accessible.
        windows::announce(desired, maximum);
        Ok(!self.growth_refused || desired == 0)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        let fits = desired <= self.table_elements;
        if !fits && current == 0 {
            limits::refuse(LimitReached::Table {
                needed: desired as u64,
                allowed: self.table_elements as u64,
            });
        }
        Ok(fits)
    }
}

impl Guest {
    pub const fn new() -> Self {
        Self {
            loaded: None,
            running: None,
        }
    }

    /// Makes the artifact ready to be instantiated, in place. Answers how many linear
    /// memories it will create.
    ///
    /// The engine is made here and not at boot, because it is one with or without fuel.
    pub fn load(&mut self, address: u64, bytes: u64, fuel: u64) -> Result<u64> {
        if address != ARTIFACT || bytes == 0 || bytes > ARTIFACT_MAX_BYTES {
            bail!("not an artifact: {bytes} bytes at {address:#x}");
        }
        if fuel > 1 {
            bail!("unknown options of an artifact: {fuel:#x}");
        }
        let fuel = fuel == 1;
        self.running = None;
        self.loaded = None;
        let start = core::ptr::with_exposed_provenance_mut(size(address));
        let artifact =
            NonNull::slice_from_raw_parts(NonNull::new(start).context("no artifact")?, size(bytes));
        let engine = engine::new(fuel)?;
        // SAFETY: the artifact is mapped read-only and executable for the whole life of the
        // guest. That it is what a compiler wrote cannot be known; if it is not, it can
        // harm this guest only.
        let component = unsafe { Component::deserialize_raw(&engine, artifact) }?;
        let needed = component
            .resources_required()
            .context("the component instantiates modules that it imports")?;
        let mut linker = Linker::new(&engine);
        let mut host = linker.instance(HOST)?;
        if fuel {
            host.func_wrap("host-call", |store, (function, pointer): (u32, u32)| {
                fuel::check(store.get_fuel()?)?;
                host_call(function, pointer).map(|result| (result,))
            })?;
        } else {
            host.func_wrap("host-call", |_, (function, pointer): (u32, u32)| {
                host_call(function, pointer).map(|result| (result,))
            })?;
        }
        self.loaded = Some(Loaded {
            pre: linker.instantiate_pre(&component)?,
            memories: u64::from(needed.num_memories),
            fuel,
        });
        Ok(u64::from(needed.num_memories))
    }

    /// Makes an instance in place of the previous one, and finds its exports.
    pub fn instantiate(&mut self, arguments: &InstantiateArguments) -> Result<()> {
        self.running = None;
        let loaded = self.loaded.as_ref().context("nothing is loaded")?;
        windows::expect(Expected {
            import_bytes: arguments.import_pages * WASM_PAGE_BYTES,
            export_bytes: arguments.export_pages * WASM_PAGE_BYTES,
            memories: loaded.memories,
        });
        let limiter = Limiter {
            table_elements: size(arguments.table_elements),
            growth_refused: false,
        };
        let mut store = Store::new(loaded.pre.engine(), limiter);
        store.limiter(|limiter| limiter);
        if loaded.fuel {
            store.set_fuel(fuel::tank(arguments.fuel))?;
        }
        windows::place_gc_heap(|| make_gc_heap(&mut store));
        let instance = match loaded.pre.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => return Err(with_refusal(error)),
        };
        if !windows::bridges_found() {
            bail!("the artifact's bridges do not have the memories that the host announced");
        }
        let calls = find_calls(&mut store, &instance, arguments.call_count)?;
        if loaded.fuel {
            fuel::check(store.get_fuel()?)?;
        }
        self.running = Some(Running { store, calls });
        Ok(())
    }

    /// Runs `call-k`.
    #[inline]
    pub fn call(&mut self, index: u64) -> Result<()> {
        let running = self.running.as_mut().context("nothing is instantiated")?;
        match running.calls.get(size(index)) {
            Some(call) => call.call(&mut running.store, ()),
            None => no_such_call(index),
        }
    }

    /// Runs `call-k` with so much fuel.
    pub fn call_with_fuel(&mut self, index: u64, fuel: u64) -> Result<()> {
        let running = self.running.as_mut().context("nothing is instantiated")?;
        running.store.set_fuel(fuel::tank(fuel))?;
        self.call(index)?;
        fuel::check(self.in_tank())
    }

    /// Fuel that the last command left, 0 where none is counted.
    pub fn fuel_left(&self) -> u64 {
        fuel::left(self.in_tank())
    }

    fn in_tank(&self) -> u64 {
        let running = self.running.as_ref();
        running.map_or(0, |running| running.store.get_fuel().unwrap_or(0))
    }

    /// Runs `call-k` many times, with the same parameters.
    pub fn repeat_call(&mut self, index: u64, count: u64, cursor: u64) -> Result<()> {
        let cursor = u32::try_from(cursor).context("cursor")?;
        let word = size(windows::memory_start(WINDOW_EXPORT_BRIDGE) + CURSOR);
        let word = core::ptr::with_exposed_provenance_mut::<u32>(word);
        for _ in 0..count {
            // The first pass finds out whether there is an instance, and so a bridge memory.
            self.call(index)?;
            // SAFETY: the window of the export bridge is always accessible, and no reference
            // into it exists between calls.
            unsafe { word.write_volatile(cursor) };
        }
        Ok(())
    }

    /// Drops the instance and its memories.
    pub fn drop_instance(&mut self) {
        self.running = None;
    }
}

/// Makes the heap of garbage-collected objects, empty, before all memories. Left to itself,
/// wasmtime makes it when code first needs it, and then it looks like a memory.
fn make_gc_heap(store: &mut Store<Limiter>) {
    store.data_mut().growth_refused = true;
    // There is no other way to ask for it than to ask for an object, for which an empty
    // heap has no room: the failure is expected.
    let _ = ExternRef::new(&mut *store, ());
    store.data_mut().growth_refused = false;
}

#[cold]
fn no_such_call(index: u64) -> Result<()> {
    bail!("there is no call {index}")
}

fn host_call(function: u32, pointer: u32) -> Result<u32> {
    let answer = request(EXIT_HOST_CALL, [u64::from(function), u64::from(pointer)]);
    if answer.status != 0 {
        return Err(HostCallFailed.into());
    }
    u32::try_from(answer.value).context("the host answered more than 32 bits")
}

fn find_calls(
    store: &mut Store<Limiter>,
    instance: &Instance,
    count: u64,
) -> Result<Vec<TypedFunc<(), ()>>> {
    let mut calls = Vec::new();
    if count == 0 {
        return Ok(calls);
    }
    let exports = instance
        .get_export_index(&mut *store, None, GUEST)
        .context("the artifact exports no bridge")?;
    for index in 0..count {
        let name = format!("call{index}");
        let call = instance
            .get_export_index(&mut *store, Some(&exports), &name)
            .with_context(|| format!("the artifact's bridge has no {name}"))?;
        calls.push(instance.get_typed_func(&mut *store, call)?);
    }
    Ok(calls)
}

/// The limit behind a failed instantiation, where there is one.
fn with_refusal(error: wasmtime::Error) -> wasmtime::Error {
    match limits::last_refused() {
        // A component may trap because something was refused to it: that is its own end.
        Some(limit) if !error.is::<Trap>() && !error.is::<HostCallFailed>() => limit.into(),
        _ => error,
    }
}

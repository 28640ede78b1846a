//! Errors as the host wants them: status, trap code, and text with wasm frames.

use alloc::string::ToString;
use core::fmt::{self, Write};

use host_guest_abi::status::*;
use wasmtime::{
    Error, GcHeapOutOfMemory, Module, OutOfMemory, ThrownException, Trap, WasmBacktrace,
    WasmtimeBug,
};

use crate::component::HostCallFailed;
use crate::heap;
use crate::limits::LimitReached;
use crate::mailbox::Outcome;
use crate::text::TextWriter;

/// How names of the bridges' modules start.
const OWN_MODULES: &str = "hlwasm ";
const FIELD: char = '\u{1f}';

/// Writes the report of a failed command into the text area.
#[cold]
pub fn failure(error: &Error) -> Outcome {
    let mut text = TextWriter::new();
    let (status, code) = classify(error);
    // The writer never fails; a failing Display loses its own part only.
    let _ = message(&mut text, error);
    if let Some(trace) = error.downcast_ref::<WasmBacktrace>() {
        let _ = frames(&mut text, trace);
    }
    Outcome {
        status,
        values: [code, 0],
        text_bytes: text.len(),
    }
}

fn classify(error: &Error) -> (u64, u64) {
    if error.is::<HostCallFailed>() {
        return (STATUS_HOST_FAILED, 0);
    }
    if let Some(limit) = error.downcast_ref::<LimitReached>() {
        return (STATUS_LIMIT, limit.code());
    }
    if error.is::<GcHeapOutOfMemory<()>>() {
        return (STATUS_LIMIT, LIMIT_GC_HEAP);
    }
    if error.is::<OutOfMemory>() {
        return (STATUS_LIMIT, LIMIT_RUNTIME_MEMORY);
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return (STATUS_TRAP, trap_code(*trap));
    }
    if error.is::<ThrownException>() {
        // Nobody caught it.
        return (STATUS_TRAP, TRAP_OTHER);
    }
    match canonical_abi_code(error) {
        Some(code) => (STATUS_TRAP, code),
        None => (STATUS_ERROR, 0),
    }
}

fn trap_code(trap: Trap) -> u64 {
    match trap {
        Trap::StackOverflow => TRAP_STACK_OVERFLOW,
        Trap::MemoryOutOfBounds => TRAP_MEMORY_OUT_OF_BOUNDS,
        Trap::HeapMisaligned => TRAP_HEAP_MISALIGNED,
        Trap::TableOutOfBounds => TRAP_TABLE_OUT_OF_BOUNDS,
        Trap::IndirectCallToNull => TRAP_INDIRECT_CALL_TO_NULL,
        Trap::BadSignature => TRAP_BAD_SIGNATURE,
        Trap::IntegerOverflow => TRAP_INTEGER_OVERFLOW,
        Trap::IntegerDivisionByZero => TRAP_INTEGER_DIVISION_BY_ZERO,
        Trap::BadConversionToInteger => TRAP_BAD_CONVERSION_TO_INTEGER,
        Trap::UnreachableCodeReached => TRAP_UNREACHABLE,
        Trap::Interrupt => TRAP_INTERRUPT,
        Trap::OutOfFuel => TRAP_OUT_OF_FUEL,
        Trap::NullReference => TRAP_NULL_REFERENCE,
        Trap::ArrayOutOfBounds => TRAP_ARRAY_OUT_OF_BOUNDS,
        Trap::AllocationTooLarge => TRAP_ALLOCATION_TOO_LARGE,
        Trap::CastFailure => TRAP_CAST_FAILURE,
        Trap::CannotEnterComponent => TRAP_CANNOT_ENTER_COMPONENT,
        Trap::CannotLeaveComponent => TRAP_CANNOT_LEAVE_COMPONENT,
        Trap::InvalidChar
        | Trap::StringOutOfBounds
        | Trap::ListOutOfBounds
        | Trap::InvalidDiscriminant
        | Trap::UnalignedPointer
        | Trap::DebugAssertStringEncodingFinished
        | Trap::DebugAssertEqualCodeUnits
        | Trap::DebugAssertPointerAligned
        | Trap::DebugAssertUpperBitsUnset => TRAP_CANONICAL_ABI,
        // Atomics on shared memories, stack switching and asynchronous components, none of
        // which hlwasm runs; and what later versions add.
        _ => TRAP_OTHER,
    }
}

/// What wasmtime reports as a plain error although the component is the cause: its
/// string transcoders and its handle tables have no traps of their own.
fn canonical_abi_code(error: &Error) -> Option<u64> {
    // Only what happened while wasm ran has a backtrace.
    if !error.is::<WasmBacktrace>() || error.is::<WasmtimeBug>() {
        return None;
    }
    let cause = error.root_cause().to_string();
    let names = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    let code = if names(&["utf8", "utf16"]) {
        TRAP_INVALID_STRING
    } else if names(&["handle", "resource", "borrow", "lend"]) {
        TRAP_BAD_HANDLE
    } else {
        TRAP_CANONICAL_ABI
    };
    Some(code)
}

fn message(text: &mut TextWriter, error: &Error) -> fmt::Result {
    let trap = error.downcast_ref::<Trap>();
    if let Some(trap) = trap {
        // The host says that it is a trap.
        let name = trap.to_string();
        writeln!(
            text,
            "{}",
            name.strip_prefix("wasm trap: ").unwrap_or(&name)
        )?;
    }
    let links = error.chain().count();
    for (index, cause) in error.chain().enumerate() {
        if trap.is_some() && index + 1 == links {
            break;
        }
        let mark = text.len();
        write!(text, "{cause}")?;
        // The frames follow in a form of their own.
        if text
            .since(mark)
            .starts_with(b"error while executing at wasm backtrace")
        {
            text.rewind(mark);
        } else {
            text.write_char('\n')?;
        }
    }
    if error.is::<OutOfMemory>() {
        writeln!(
            text,
            "the guest runtime has a heap of {} bytes",
            heap::bytes()
        )?;
    }
    Ok(())
}

fn frames(text: &mut TextWriter, trace: &WasmBacktrace) -> fmt::Result {
    for frame in trace.frames() {
        if is_ours(frame.module()) {
            continue;
        }
        let module = frame.module().name().unwrap_or("");
        let mark = text.len();
        writeln!(
            text,
            "{FIELD}{}{FIELD}{:x}{FIELD}{}{FIELD}{}",
            frame.func_index(),
            frame.module_offset().unwrap_or(0),
            Clean(module),
            Clean(frame.func_name().unwrap_or("")),
        )?;
        if !text.since(mark).ends_with(b"\n") {
            // No room for the whole line.
            text.rewind(mark);
            break;
        }
    }
    Ok(())
}

/// Whether a module is not the component's: a bridge, or an adapter that the compiler made
/// for calls between components, which has no name and exports nothing but adapters.
fn is_ours(module: &Module) -> bool {
    match module.name() {
        Some(name) => name.starts_with(OWN_MODULES),
        None => {
            let mut exports = module.exports().peekable();
            exports.peek().is_some() && exports.all(|export| export.name().starts_with("adapter"))
        }
    }
}

/// A name from the component, without the characters that structure a report.
struct Clean<'a>(&'a str);

impl fmt::Display for Clean<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 512;
        let name = &self.0[..self.0.floor_char_boundary(LONGEST)];
        for part in name.split_inclusive(char::is_control) {
            match part.strip_suffix(char::is_control) {
                Some(clean) => write!(out, "{clean}\u{fffd}")?,
                None => out.write_str(part)?,
            }
        }
        Ok(())
    }
}

//! Panics of the crates that decode untrusted input become errors.
//!
//! wit-parser and wit-component panic where they find what WIT cannot express; what is
//! known to make them recurse without end is refused before, see `packages`.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::error::{BridgeError, Result};

thread_local! {
    /// How many guards of third-party code the thread is in.
    static EXPECTED: Cell<u32> = const { Cell::new(0) };
}

/// Runs code of those crates on `item`. Their panics are no news for standard error.
pub(crate) fn third_party<T>(item: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    quieten();
    EXPECTED.set(EXPECTED.get() + 1);
    let outcome = catch(run, |message| {
        let message = format!("wit-component cannot make sense of it: {message}");
        BridgeError::unsupported(item, message)
    });
    EXPECTED.set(EXPECTED.get() - 1);
    outcome
}

/// Has the messages of expected panics left out, from now on.
fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if EXPECTED.get() == 0 {
                before(panic);
            }
        }));
    });
}

/// Runs everything; what panics here is a bug of ours.
pub(crate) fn whole<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch(run, |message| {
        BridgeError::internal("the input", format!("panic: {message}"))
    })
}

fn catch<T>(run: impl FnOnce() -> Result<T>, error: impl FnOnce(&str) -> BridgeError) -> Result<T> {
    // Nothing that a panic can leave half-done is looked at afterwards.
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|cause| Err(error(text(&*cause))))
}

fn text(cause: &(dyn Any + Send)) -> &str {
    if let Some(text) = cause.downcast_ref::<String>() {
        return text;
    }
    cause.downcast_ref::<&str>().copied().unwrap_or_default()
}

//! The end of the guest: panics, and faults that nobody handles.

use core::cell::Cell;
use core::fmt::Write;
use core::panic::PanicInfo;

use host_guest_abi::exit::EXIT_PANIC;

use crate::exit::request;
use crate::heap;
use crate::text::TextWriter;
use crate::units::Single;

static IN_PROGRESS: Single<Cell<bool>> = Single::new(Cell::new(false));

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if IN_PROGRESS.replace(true) {
        abort("a panic inside a panic");
    }
    let mut text = TextWriter::new();
    // The writer never fails; a failing Display loses its own part only.
    let _ = write!(text, "{}", info.message());
    if let Some(place) = info.location() {
        let _ = write!(text, "\nat {}:{}", place.file(), place.line());
    }
    if heap::last_refused() != 0 {
        let _ = write!(
            text,
            "\nthe guest runtime's heap of {} bytes had no room for {} bytes",
            heap::bytes(),
            heap::last_refused()
        );
    }
    leave(text.len())
}

/// Ends the guest with a text that needs no formatting: safe in any state.
pub fn abort(message: &str) -> ! {
    IN_PROGRESS.set(true);
    let mut text = TextWriter::new();
    let _ = text.write_str(message);
    leave(text.len())
}

/// Whether the guest is already ending.
pub fn in_progress() -> bool {
    IN_PROGRESS.get()
}

fn leave(text_bytes: usize) -> ! {
    loop {
        // Never resumed by a host that keeps the contract.
        request(EXIT_PANIC, [text_bytes as u64]);
    }
}

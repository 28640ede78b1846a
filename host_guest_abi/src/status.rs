//! How a command ended.
//!
//! With any status but `STATUS_OK` the text area holds a report in UTF-8:
//! the message, then one line per wasm frame, innermost first. A frame line starts
//! with U+001F and has four fields separated by U+001F:
//! function index, offset in the module (hex), module name, function name
//! (names are empty where the module has none).

constants! {
    /// Done.
    STATUS_OK = 0;
    /// Failed without a trap; the text says why.
    STATUS_ERROR = 1;
    /// WebAssembly trapped; `DONE_VALUES[0]` is one of the `TRAP_` codes.
    STATUS_TRAP = 2;
    /// The host answered a host call with failure.
    STATUS_HOST_FAILED = 3;
    /// The component needs more than a limit allows; `DONE_VALUES[0]` is one of the `LIMIT_` codes.
    STATUS_LIMIT = 4;

    /// A linear memory starts larger than its window.
    LIMIT_MEMORY = 1;
    /// More linear memories than windows.
    LIMIT_MEMORIES = 2;
    /// No window, or too small a one, for the heap of garbage-collected objects.
    LIMIT_GC_HEAP = 3;
    /// A table starts with too many elements.
    LIMIT_TABLE_ELEMENTS = 4;
    /// The runtime's own heap is used up.
    LIMIT_RUNTIME_MEMORY = 5;

    /// A trap without a code of its own.
    TRAP_OTHER = 0;
    /// Call stack exhausted.
    TRAP_STACK_OVERFLOW = 1;
    /// Load or store outside a linear memory.
    TRAP_MEMORY_OUT_OF_BOUNDS = 2;
    /// Misaligned atomic access.
    TRAP_HEAP_MISALIGNED = 3;
    /// Access outside a table.
    TRAP_TABLE_OUT_OF_BOUNDS = 4;
    /// Indirect call through a null element.
    TRAP_INDIRECT_CALL_TO_NULL = 5;
    /// Indirect call of a function of another type.
    TRAP_BAD_SIGNATURE = 6;
    /// Integer overflow.
    TRAP_INTEGER_OVERFLOW = 7;
    /// Integer division by zero.
    TRAP_INTEGER_DIVISION_BY_ZERO = 8;
    /// Float that fits no integer.
    TRAP_BAD_CONVERSION_TO_INTEGER = 9;
    /// An `unreachable` instruction.
    TRAP_UNREACHABLE = 10;
    /// Interrupted by an epoch.
    TRAP_INTERRUPT = 11;
    /// Fuel used up.
    TRAP_OUT_OF_FUEL = 12;
    /// Null reference.
    TRAP_NULL_REFERENCE = 13;
    /// Access outside a GC array.
    TRAP_ARRAY_OUT_OF_BOUNDS = 14;
    /// Allocation too large.
    TRAP_ALLOCATION_TOO_LARGE = 15;
    /// Failed cast.
    TRAP_CAST_FAILURE = 16;
    /// A component instance was entered while it may not be.
    TRAP_CANNOT_ENTER_COMPONENT = 17;
    /// A component instance was left while it may not be.
    TRAP_CANNOT_LEAVE_COMPONENT = 18;
    /// Invalid discriminant, list bounds, alignment or the like at a component boundary.
    TRAP_CANONICAL_ABI = 19;
    /// A string that is not valid in its encoding crossed a component boundary.
    TRAP_INVALID_STRING = 20;
    /// An unknown, stale or misused resource handle.
    TRAP_BAD_HANDLE = 21;
}

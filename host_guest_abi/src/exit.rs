//! What the guest asks of the host: a 32-bit `out` of the code to [`PORT_REQUEST`],
//! with arguments in mailbox words `REQUEST_ARGUMENTS..`. Every address and length
//! among them is checked by the host before use.

constants! {
    /// Port of requests.
    PORT_REQUEST = 0x500;
    /// Port that the exception stubs write to.
    PORT_EXCEPTION = 0x501;

    /// Boot or a command is done; the guest waits for the next one.
    EXIT_READY = 1;
    /// Call a host function: (function, pointer in the import bridge's memory) → pointer.
    /// A failed answer unwinds the component and ends the command with `STATUS_HOST_FAILED`.
    EXIT_HOST_CALL = 2;
    /// Emit a log record: (level, bytes of text in the text area).
    EXIT_LOG = 3;
    /// The guest runtime panicked: (bytes of text). Never resumed.
    EXIT_PANIC = 4;
    /// Where CPU exceptions resume: (address of `extern "C" fn(ip, fp, has_address, address)`).
    EXIT_TRAP_ENTRY = 5;
    /// Make window bytes accessible: (address, bytes, protection) → errno.
    EXIT_PROTECT = 6;
    /// Replace window bytes with zero pages: (address, bytes, protection) → errno.
    EXIT_REMAP = 7;
    /// Forget a whole window: (index) → errno.
    EXIT_RELEASE = 8;
    /// Map artifact bytes copy-on-write into a window: (artifact address, window address, bytes) → errno.
    EXIT_IMAGE = 9;
    /// Nothing: a bare exit.
    EXIT_NOP = 10;

    /// Protection bit: readable.
    PROTECT_READ = 1;
    /// Protection bit: writable.
    PROTECT_WRITE = 2;

    /// Log level, as in Python's `logging`.
    LOG_ERROR = 40;
    /// Log level, as in Python's `logging`.
    LOG_WARNING = 30;
    /// Log level, as in Python's `logging`.
    LOG_INFO = 20;
    /// Log level, as in Python's `logging`.
    LOG_DEBUG = 10;
}

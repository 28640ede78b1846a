//! The mailbox page and the boot info page.
//!
//! The mailbox is made of cache lines of eight `u64` words; each line has one
//! writer. Sequence numbers let either side poll instead of exiting (DESIGN 3.6);
//! the exit-based path writes them too, so both paths share one layout.
//! Constants are word indices from [`crate::layout::MAILBOX`] or, where the name
//! says so, from [`crate::layout::BOOT_INFO`].

constants! {
    /// Host: number of the current command, counted from 1.
    COMMAND_SEQUENCE = 0;
    /// Host: the command, see [`crate::command`].
    COMMAND = 1;
    /// Host: first of six arguments.
    COMMAND_ARGUMENTS = 2;

    /// Guest: number of the last command that ended.
    DONE_SEQUENCE = 8;
    /// Guest: how it ended, see [`crate::status`].
    DONE_STATUS = 9;
    /// Guest: first of two values.
    DONE_VALUES = 10;
    /// Guest: bytes of text in the text area.
    DONE_TEXT_BYTES = 12;

    /// Guest: number of the last request.
    REQUEST_SEQUENCE = 16;
    /// Guest: first of six arguments of the request; its code is what `out` carries.
    REQUEST_ARGUMENTS = 17;

    /// Host: number of the last request that was answered.
    ANSWER_SEQUENCE = 24;
    /// Host: 0, or why the request failed (an errno, or 1 for a failed host call).
    ANSWER_STATUS = 25;
    /// Host: the value of the answer.
    ANSWER_VALUE = 26;

    /// Boot info: bytes of RAM.
    BOOT_RAM_BYTES = 0;
    /// Boot info: number of windows.
    BOOT_WINDOW_COUNT = 1;
    /// Boot info: first of one word per window, its capacity in bytes (without guards).
    BOOT_WINDOW_BYTES = 8;
}

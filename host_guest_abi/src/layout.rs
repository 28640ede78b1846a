//! Where everything lies.
//!
//! ```text
//! guest-physical                         guest-virtual (ring 3 unless said otherwise)
//! 0x0000_0000  page 0                    not present: wasm null-element traps fault here
//! 0x0010_0000  mailbox, boot info, text  same, RW NX
//! 0x0020_0000  IST stack, GDT TSS IDT,   same, supervisor only; the page tables are
//!              stubs, page tables        not present
//! 0x0040_0000  guest image (ELF)         same, per segment: RX / R / RW
//! 0x0080_0000  stack guard               not present
//! 0x00a0_0000  stack                     same, RW NX
//! 0x00c0_0000  heap … ram_bytes          same, RW NX
//! ram_bytes    arena: linear memories    window i at WINDOW_BASE + i × WINDOW_STRIDE,
//!                                        first byte of the memory after WINDOW_GUARD
//! behind it    artifact (.cwasm), RO    0x8_0000_0000: text RX, the rest R NX
//! ```
//! All of it is one host mapping and one memslot: a second one costs a wait for all
//! CPUs. Page tables are static: protection changes happen host-side.

constants! {
    /// Size of the smallest page.
    PAGE_BYTES = 0x1000;
    /// Size of the pages that map heap, artifact and arena.
    LARGE_PAGE_BYTES = 0x20_0000;

    /// The shared command page, see [`crate::mailbox`].
    MAILBOX = 0x10_0000;
    /// What the host tells the guest at boot, see [`crate::mailbox`].
    BOOT_INFO = 0x10_1000;
    /// Text from guest to host: error messages with backtraces, log records.
    TEXT = 0x10_2000;
    /// Capacity of the text area.
    TEXT_BYTES = 0xe000;

    /// First byte of the supervisor-only area.
    SYSTEM = 0x20_0000;
    /// Top of the stack that exceptions are taken on (IST 1): the area's first page. Nothing
    /// changes in the pages behind it.
    EXCEPTION_STACK_TOP = 0x20_1000;
    /// Global descriptor table.
    GDT = 0x20_1000;
    /// Task state segment with its I/O permission bitmap.
    TSS = 0x20_2000;
    /// Interrupt descriptor table.
    IDT = 0x20_3000;
    /// Exception stubs, 16 bytes each, and their common tail.
    EXCEPTION_STUBS = 0x20_4000;
    /// First page table (PML4); the others follow.
    PAGE_TABLES = 0x20_5000;
    /// End of the supervisor-only area and limit of the page tables.
    SYSTEM_END = 0x40_0000;

    /// Link address of the guest image.
    IMAGE = 0x40_0000;
    /// The code that every call runs comes first in the image, in so many bytes.
    HOT_CODE_BYTES = 0x8000;
    /// Limit of the guest image, and start of the stack guard.
    IMAGE_END = 0x80_0000;
    /// Lowest byte of the guest's stack.
    STACK = 0xa0_0000;
    /// One past the highest byte of the guest's stack.
    STACK_TOP = 0xc0_0000;
    /// First byte of the guest's heap, which ends where RAM ends.
    HEAP = 0xc0_0000;

    /// Least RAM with which a guest boots.
    RAM_MIN_BYTES = 0x200_0000;
    /// RAM unless the host chooses otherwise.
    RAM_DEFAULT_BYTES = 0x400_0000;
    /// Upper limit of RAM plus arena in guest-physical space.
    ARENA_END = 0x8_0000_0000;

    /// Where the artifact lies, guest-virtual.
    ARTIFACT = 0x8_0000_0000;
    /// Largest artifact.
    ARTIFACT_MAX_BYTES = 0x4000_0000;

    /// Guest-virtual address of window 0.
    WINDOW_BASE = 0x100_0000_0000;
    /// Distance from window to window: wasmtime reserves 4 GiB and a guard on either side.
    WINDOW_STRIDE = 0x2_0000_0000;
    /// Guard before the first byte of each linear memory (wasmtime's `memory_guard_size`).
    WINDOW_GUARD = 0x200_0000;
    /// Most windows in one sandbox.
    WINDOWS_MAX = 64;
    /// Window of the import bridge's transfer memory.
    WINDOW_IMPORT_BRIDGE = 0;
    /// Window of the export bridge's transfer memory.
    WINDOW_EXPORT_BRIDGE = 1;
    /// First window of the component's own memories, in order of instantiation. A window
    /// behind them is for the heap of garbage-collected objects (also needed by wasm
    /// exceptions); without it components that use one are refused.
    WINDOW_COMPONENT = 2;
}

//! The C functions that compiled Rust code calls. There is no libc.
//!
//! `rep movsb` and `rep stosb` are fast for long runs but start slowly, so short runs
//! use overlapping vector accesses: two that cover n to 2n bytes need no loop.

use core::arch::asm;
use core::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_set1_epi8, _mm_storeu_si128, _mm256_loadu_si256,
    _mm256_set1_epi8, _mm256_storeu_si256,
};
use core::ffi::{c_char, c_int};

/// Longest run that is copied without `rep`.
const SHORT: usize = 128;

// SAFETY: replaces libc's function of that name and keeps its contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller promises both ranges; each access below stays inside them.
    unsafe {
        if bytes <= SHORT {
            copy_short(to, from, bytes);
        } else {
            asm!(
                "rep movsb",
                inout("rcx") bytes => _, inout("rdi") to => _, inout("rsi") from => _,
                options(nostack, preserves_flags),
            );
        }
    }
    to
}

// SAFETY: replaces libc's function of that name and keeps its contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: as in `memcpy`. `copy_short` loads all before it stores; `copy_backward` is
    // for ranges of which the target is the higher one.
    unsafe {
        if bytes <= SHORT {
            copy_short(to, from, bytes);
        } else if to.addr().wrapping_sub(from.addr()) >= bytes {
            memcpy(to, from, bytes);
        } else {
            copy_backward(to, from, bytes);
        }
    }
    to
}

/// Copies from the end. `rep movsb` would do so byte by byte.
///
/// # Safety
/// Both ranges are valid for `bytes`, at least 32, and `to` is above `from`.
unsafe fn copy_backward(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: `left` stays between 0 and `bytes`. Each store lies above everything that is
    // still to be loaded, but for the first 32 bytes, which are loaded before all.
    unsafe {
        let head = _mm256_loadu_si256(from.cast());
        let mut left = bytes;
        while left > 128 {
            left -= 128;
            let (to, from) = (to.add(left), from.add(left));
            let a = _mm256_loadu_si256(from.cast());
            let b = _mm256_loadu_si256(from.add(32).cast());
            let c = _mm256_loadu_si256(from.add(64).cast());
            let d = _mm256_loadu_si256(from.add(96).cast());
            _mm256_storeu_si256(to.add(96).cast(), d);
            _mm256_storeu_si256(to.add(64).cast(), c);
            _mm256_storeu_si256(to.add(32).cast(), b);
            _mm256_storeu_si256(to.cast(), a);
        }
        while left > 32 {
            left -= 32;
            let next = _mm256_loadu_si256(from.add(left).cast());
            _mm256_storeu_si256(to.add(left).cast(), next);
        }
        _mm256_storeu_si256(to.cast(), head);
    }
}

/// Copies up to `SHORT` bytes, loading everything before storing anything.
///
/// # Safety
/// Both ranges are valid for `bytes`, which is at most `SHORT`.
#[inline(always)]
unsafe fn copy_short(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: in each branch every access starts at offset 0 or 32, or ends at `bytes`
    // or `bytes - 32`, and is no longer than the branch's least `bytes` allows.
    unsafe {
        if bytes <= 16 {
            if bytes >= 8 {
                let head = from.cast::<u64>().read_unaligned();
                let tail = from.add(bytes - 8).cast::<u64>().read_unaligned();
                to.cast::<u64>().write_unaligned(head);
                to.add(bytes - 8).cast::<u64>().write_unaligned(tail);
            } else if bytes >= 4 {
                let head = from.cast::<u32>().read_unaligned();
                let tail = from.add(bytes - 4).cast::<u32>().read_unaligned();
                to.cast::<u32>().write_unaligned(head);
                to.add(bytes - 4).cast::<u32>().write_unaligned(tail);
            } else if bytes > 0 {
                let (first, middle, last) = (*from, *from.add(bytes / 2), *from.add(bytes - 1));
                *to = first;
                *to.add(bytes / 2) = middle;
                *to.add(bytes - 1) = last;
            }
        } else if bytes <= 32 {
            let head = _mm_loadu_si128(from.cast());
            let tail = _mm_loadu_si128(from.add(bytes - 16).cast());
            _mm_storeu_si128(to.cast(), head);
            _mm_storeu_si128(to.add(bytes - 16).cast(), tail);
        } else {
            let head = _mm256_loadu_si256(from.cast());
            let tail = _mm256_loadu_si256(from.add(bytes - 32).cast());
            if bytes > 64 {
                let second = _mm256_loadu_si256(from.add(32).cast());
                let third = _mm256_loadu_si256(from.add(bytes - 64).cast());
                _mm256_storeu_si256(to.add(32).cast(), second);
                _mm256_storeu_si256(to.add(bytes - 64).cast(), third);
            }
            _mm256_storeu_si256(to.cast(), head);
            _mm256_storeu_si256(to.add(bytes - 32).cast(), tail);
        }
    }
}

// SAFETY: replaces libc's function of that name and keeps its contract.
#[unsafe(no_mangle)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the contract: only the low byte counts"
)]
unsafe extern "C" fn memset(to: *mut u8, value: c_int, bytes: usize) -> *mut u8 {
    let byte = value as u8;
    // SAFETY: the caller promises the range; each access below stays inside it.
    unsafe {
        if bytes > SHORT {
            asm!(
                "rep stosb",
                inout("rcx") bytes => _, inout("rdi") to => _, in("al") byte,
                options(nostack, preserves_flags),
            );
        } else if bytes > 32 {
            let pattern: __m256i = _mm256_set1_epi8(byte.cast_signed());
            if bytes > 64 {
                _mm256_storeu_si256(to.add(32).cast(), pattern);
                _mm256_storeu_si256(to.add(bytes - 64).cast(), pattern);
            }
            _mm256_storeu_si256(to.cast(), pattern);
            _mm256_storeu_si256(to.add(bytes - 32).cast(), pattern);
        } else if bytes >= 16 {
            let pattern: __m128i = _mm_set1_epi8(byte.cast_signed());
            _mm_storeu_si128(to.cast(), pattern);
            _mm_storeu_si128(to.add(bytes - 16).cast(), pattern);
        } else if bytes >= 4 {
            let pattern = u32::from(byte) * 0x0101_0101;
            to.cast::<u32>().write_unaligned(pattern);
            to.add(bytes - 4).cast::<u32>().write_unaligned(pattern);
            if bytes > 8 {
                to.add(4).cast::<u32>().write_unaligned(pattern);
                to.add(bytes - 8).cast::<u32>().write_unaligned(pattern);
            }
        } else if bytes > 0 {
            *to = byte;
            *to.add(bytes / 2) = byte;
            *to.add(bytes - 1) = byte;
        }
    }
    to
}

// SAFETY: replaces libc's function of that name and keeps its contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, bytes: usize) -> c_int {
    let mut at = 0;
    // SAFETY: the caller promises both ranges; `at` stays below `bytes`.
    unsafe {
        while at + 8 <= bytes {
            let a = left.add(at).cast::<u64>().read_unaligned();
            let b = right.add(at).cast::<u64>().read_unaligned();
            if a != b {
                return if a.swap_bytes() < b.swap_bytes() {
                    -1
                } else {
                    1
                };
            }
            at += 8;
        }
        while at < bytes {
            // Volatile, or the compiler makes this loop a call of memcmp.
            let a = left.add(at).read_volatile();
            let b = right.add(at).read_volatile();
            if a != b {
                return c_int::from(a) - c_int::from(b);
            }
            at += 1;
        }
    }
    0
}

// SAFETY: replaces libc's function of that name and keeps its contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, bytes: usize) -> c_int {
    // SAFETY: the caller's promises are passed on.
    unsafe { memcmp(left, right, bytes) }
}

// SAFETY: replaces libc's function of that name and keeps its contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const c_char) -> usize {
    let mut length = 0;
    // SAFETY: the caller promises a terminating zero. Volatile, or the compiler makes this
    // loop a call of strlen.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}

// Referenced by the prebuilt core and alloc, never called: panics abort.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

// Referenced by the prebuilt core and alloc, never called: panics abort.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() {}

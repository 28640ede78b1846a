//! The signal behind kicks: it does nothing but make system calls return.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::fork;

/// Real-time signals count from here; the first ones are popular.
const DEFAULT_OFFSET: i32 = 11;

/// Why a signal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// Not a real-time signal.
    #[error("signal {0} is not a real-time signal")]
    NotRealTime(i32),
    /// Sandboxes exist already.
    #[error("the signal must be chosen before the first sandbox is made")]
    TooLate,
    /// The kernel refused the handler.
    #[error("the signal handler cannot be installed: {0}")]
    Install(io::Error),
}

/// The chosen signal, 0 before a choice.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// The handler that was there before ours. Set once the choice is final.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
static INSTALLING: Mutex<()> = Mutex::new(());

thread_local! {
    /// The thread's id, 0 if not yet asked for.
    static THREAD: Cell<i32> = const { Cell::new(0) };
}

/// Chooses the signal, which must be a real-time one.
///
/// # Errors
/// See [`SignalError`].
pub fn choose(signal: i32) -> Result<(), SignalError> {
    let _lock = fork::lock(&INSTALLING);
    if !(libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&signal) {
        return Err(SignalError::NotRealTime(signal));
    }
    if PREVIOUS.get().is_some() {
        return Err(SignalError::TooLate);
    }
    SIGNAL.store(signal, Ordering::Relaxed);
    Ok(())
}

/// Installs the handler, once per process.
pub(super) fn install() -> Result<(), SignalError> {
    if PREVIOUS.get().is_some() {
        return Ok(());
    }
    let _lock = fork::lock(&INSTALLING);
    if PREVIOUS.get().is_some() {
        return Ok(());
    }
    if SIGNAL.load(Ordering::Relaxed) == 0 {
        SIGNAL.store(libc::SIGRTMIN() + DEFAULT_OFFSET, Ordering::Relaxed);
    }
    let signal = SIGNAL.load(Ordering::Relaxed);
    let mut previous = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only asks; `previous` has room for the answer.
    check(unsafe { libc::sigaction(signal, ptr::null(), previous.as_mut_ptr()) })?;
    // SAFETY: filled in by the call above. Ours would chain to itself.
    let previous = unsafe { previous.assume_init() };
    // SAFETY: all zeros is a valid `sigaction`.
    let mut action = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    action.sa_sigaction = handler as extern "C" fn(_, _, _) as usize;
    // Without SA_RESTART: system calls are to return.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler is async-signal-safe: it reads a cell that is set once.
    check(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) })?;
    fork::install();
    PREVIOUS.get_or_init(|| previous);
    Ok(())
}

/// Id of the calling thread, which from now on can be signalled.
pub fn thread() -> i32 {
    let known = THREAD.get();
    if known != 0 {
        return known;
    }
    unblock();
    // SAFETY: only asks.
    let thread = unsafe { libc::gettid() };
    THREAD.set(thread);
    thread
}

/// Lets the signal through to the calling thread.
pub fn unblock() {
    // SAFETY: these calls only read and change the calling thread's own state.
    unsafe {
        let mut set = MaybeUninit::zeroed();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), SIGNAL.load(Ordering::Relaxed));
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut());
    }
}

/// Signals a thread of this process. One that has ended meanwhile is no error; one that
/// has gone on to other things sees an interrupted system call.
pub(super) fn send(thread: i32) {
    // SAFETY: signals only threads of our own, which have a handler for it.
    unsafe {
        let process = libc::c_long::from(libc::getpid());
        let signal = libc::c_long::from(SIGNAL.load(Ordering::Relaxed));
        libc::syscall(
            libc::SYS_tgkill,
            process,
            libc::c_long::from(thread),
            signal,
        );
    }
}

/// In the child of a fork the surviving thread has a new id.
pub fn forget_thread() {
    THREAD.set(0);
}

extern "C" fn handler(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(previous) = PREVIOUS.get() else {
        return;
    };
    let function = previous.sa_sigaction;
    if function == libc::SIG_DFL || function == libc::SIG_IGN {
        return;
    }
    // SAFETY: the previous owner of the signal installed this function for such calls.
    unsafe {
        if previous.sa_flags & libc::SA_SIGINFO != 0 {
            let call: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                std::mem::transmute(function);
            call(signal, info, context);
        } else {
            let call: extern "C" fn(i32) = std::mem::transmute(function);
            call(signal);
        }
    }
}

fn check(result: i32) -> Result<(), SignalError> {
    if result == 0 {
        Ok(())
    } else {
        Err(SignalError::Install(io::Error::last_os_error()))
    }
}

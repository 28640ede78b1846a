//! System calls that the kernel refuses to one thread: a seccomp filter.

/// What is refused: a system call, and its second argument if it is to be that only.
#[derive(Clone, Copy)]
pub struct Refused {
    pub name: &'static str,
    call: libc::c_long,
    request: Option<u32>,
}

/// A request of `ioctl`.
pub const fn ioctl(name: &'static str, request: u32) -> Refused {
    Refused {
        name,
        call: libc::SYS_ioctl,
        request: Some(request),
    }
}

/// A whole system call.
pub const fn call(name: &'static str, call: libc::c_long) -> Refused {
    Refused {
        name,
        call,
        request: None,
    }
}

/// Runs `body` in a thread in which the call is refused with this errno.
pub fn refusing<T: Send>(
    refused: Refused,
    errno: i32,
    body: impl FnOnce() -> T + Send,
) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            // What a thread needs for itself it gets before the filter is there.
            drop(Box::new([0_u8; 100_000]));
            install(refused, errno).map(|()| body())
        });
        thread.join().map_err(|_| "it panicked".to_owned())?
    })
    .map_err(|error| format!("{}: {error}", refused.name))
}

/// Installs the filter for the calling thread.
fn install(refused: Refused, errno: i32) -> Result<(), String> {
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    let statement = |code, k| libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    };
    let otherwise_skip = |k, jf| libc::sock_filter {
        code: JUMP_IF_EQUAL,
        jt: 0,
        jf,
        k,
    };
    let number = u32::try_from(refused.call).map_err(|error| error.to_string())?;
    let refusal = ERRNO | u32::try_from(errno).unwrap_or(0);
    let mut program = vec![statement(LOAD, 0)];
    match refused.request {
        Some(request) => program.extend([
            otherwise_skip(number, 3),
            // The low half of the second argument.
            statement(LOAD, 24),
            otherwise_skip(request, 1),
            statement(RETURN, refusal),
        ]),
        None => program.extend([otherwise_skip(number, 1), statement(RETURN, refusal)]),
    }
    program.push(statement(RETURN, ALLOW));
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|error| error.to_string())?,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the filter is a valid program, which only makes calls of this thread fail.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error().to_string())
    }
}

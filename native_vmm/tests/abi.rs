//! The C ABI: pointers, statuses, messages, and that nothing unwinds.

mod common;

use std::ffi::{CStr, CString};
use std::ptr;
use std::slice;

use common::{MIB, TestResult, WINDOWS};
use host_guest_abi::exit::{EXIT_LOG, EXIT_PANIC, EXIT_READY};
use host_guest_abi::layout::{MAILBOX, TEXT};
use host_guest_abi::mailbox::{DONE_SEQUENCE, DONE_VALUES, REQUEST_ARGUMENTS};
use native_vmm::abi::{
    HlwBuffer, HlwConfig, HlwCounters, HlwExit, HlwHypervisorInfo, HlwSandbox, Status,
    hlw_abi_constants, hlw_answer, hlw_bridge, hlw_buffer_free, hlw_call, hlw_command,
    hlw_constants, hlw_counters_read, hlw_describe_wit, hlw_hypervisor_query, hlw_kick,
    hlw_kick_signal, hlw_last_error, hlw_last_exit, hlw_print_wit, hlw_resume, hlw_sandbox_free,
    hlw_sandbox_new, hlw_script_step, hlw_script_write, hlw_text, hlw_version, hlw_window,
    hlw_wit_package_item,
};

const SCRIPTED: u32 = 2;

fn last_error() -> String {
    let mut buffer = [0_u8; 512];
    // SAFETY: the buffer has the size that is passed.
    let length = unsafe { hlw_last_error(buffer.as_mut_ptr().cast(), buffer.len()) };
    String::from_utf8_lossy(&buffer[..length.min(511)]).into_owned()
}

fn config(windows: &[u64]) -> HlwConfig {
    HlwConfig {
        driver: SCRIPTED,
        window_count: u32::try_from(windows.len()).unwrap_or(u32::MAX),
        window_bytes: windows.as_ptr(),
        ram_bytes: 32 * MIB,
        artifact_fd: -1,
        artifact_bytes: 0,
        total_memory_bytes: 0,
    }
}

fn new(config: &HlwConfig) -> Result<Owned, (i32, String)> {
    let mut sandbox = ptr::null_mut();
    // SAFETY: both pointers are valid.
    match unsafe { hlw_sandbox_new(config, &raw mut sandbox) } {
        0 => Ok(Owned(sandbox)),
        status => {
            assert!(sandbox.is_null());
            Err((status, last_error()))
        }
    }
}

/// A scripted sandbox, freed in the end.
struct Owned(*mut HlwSandbox);

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: from `hlw_sandbox_new`, freed once.
        unsafe { hlw_sandbox_free(self.0) }
    }
}

impl Owned {
    fn scripted() -> Result<Self, (i32, String)> {
        new(&config(&WINDOWS))
    }

    fn write(&self, address: u64, data: &[u8]) -> i32 {
        // SAFETY: the sandbox exists and the data is readable.
        unsafe { hlw_script_write(self.0, address, data.as_ptr(), data.len()) }
    }

    fn step(&self, words: &[(u64, u64)], kind: u32, code: u64) {
        for (index, value) in words {
            assert_eq!(self.write(MAILBOX + 8 * index, &value.to_le_bytes()), 0);
        }
        let code = u32::try_from(code).unwrap_or(u32::MAX);
        // SAFETY: the sandbox exists.
        assert_eq!(unsafe { hlw_script_step(self.0, kind, code) }, 0);
    }

    fn exit(&self) -> HlwExit {
        // SAFETY: valid while the sandbox exists.
        unsafe { *hlw_last_exit(self.0) }
    }

    fn text(&self) -> String {
        let length = usize::try_from(self.exit().text_bytes).unwrap_or(0);
        // SAFETY: so many bytes are there.
        let bytes = unsafe { slice::from_raw_parts(hlw_text(self.0), length) };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

#[test]
fn commands_exits_and_answers() -> Result<(), (i32, String)> {
    let sandbox = Owned::scripted()?;
    let words = [(REQUEST_ARGUMENTS, 5), (REQUEST_ARGUMENTS + 1, 80)];
    sandbox.step(&words, 0, 2);
    assert_eq!(sandbox.write(TEXT, b"note"), 0);
    sandbox.step(
        &[(REQUEST_ARGUMENTS, 30), (REQUEST_ARGUMENTS + 1, 4)],
        0,
        EXIT_LOG,
    );
    sandbox.step(&[], 1, 0);
    sandbox.step(&[(DONE_SEQUENCE, 1), (DONE_VALUES, 42)], 0, EXIT_READY);
    sandbox.step(&[(REQUEST_ARGUMENTS, 2)], 0, EXIT_PANIC);
    // SAFETY: the sandbox exists throughout.
    unsafe {
        assert_eq!(hlw_call(sandbox.0, 0), 1);
        assert_eq!((sandbox.exit().value0, sandbox.exit().value1), (5, 80));
        assert_eq!(hlw_answer(sandbox.0, 0, 0), 4);
        assert_eq!(
            (sandbox.exit().value0, sandbox.text().as_str()),
            (30, "note")
        );
        assert_eq!(hlw_resume(sandbox.0), 3);
        assert_eq!(sandbox.exit().code, 0);
        assert_eq!(hlw_resume(sandbox.0), 0);
        assert_eq!((sandbox.exit().kind, sandbox.exit().value0), (0, 42));
        assert_eq!(hlw_kick(sandbox.0), 0);
        assert_eq!(hlw_command(sandbox.0, 5, [1_u64].as_ptr(), 1), 3);
        assert_eq!(sandbox.exit().code, 1);
        assert_eq!(hlw_resume(sandbox.0), 5);
        assert_eq!(sandbox.text(), "no");
        assert_eq!(hlw_resume(sandbox.0), Status::State as i32);
    }
    assert!(last_error().contains("poisoned"), "{}", last_error());
    let mut counters = HlwCounters::default();
    // SAFETY: both pointers are valid.
    unsafe { hlw_counters_read(sandbox.0, &raw mut counters) };
    assert_eq!(
        (counters.exits, counters.host_calls, counters.interrupts),
        (7, 1, 2)
    );
    Ok(())
}

#[test]
fn windows_are_shared_memory() -> Result<(), (i32, String)> {
    let sandbox = new(&config(&[0, MIB, MIB]))?;
    let mut bytes = 7;
    // SAFETY: all pointers are valid.
    unsafe {
        assert!(hlw_window(sandbox.0, 0, &raw mut bytes).is_null());
        assert_eq!(bytes, 0);
        assert!(hlw_window(sandbox.0, 2, &raw mut bytes).is_null());
        assert!(hlw_window(sandbox.0, u32::MAX, &raw mut bytes).is_null());
        let export = hlw_window(sandbox.0, 1, &raw mut bytes);
        assert_eq!(bytes, MIB);
        export.write_bytes(9, 1 << 20);
        assert_eq!(export.add((1 << 20) - 1).read(), 9);
    }
    Ok(())
}

#[test]
fn bad_configurations_are_refused() {
    let refused = |config: &HlwConfig, wanted: Status, part: &str| {
        let Err((status, message)) = new(config) else {
            panic!("{config:?} was accepted")
        };
        assert_eq!(status, wanted as i32, "{message}");
        assert!(message.contains(part), "{message}");
    };
    let good = config(&WINDOWS);
    let argument = Status::Argument;
    refused(
        &HlwConfig { driver: 0, ..good },
        argument,
        "0 is not a driver",
    );
    refused(
        &HlwConfig {
            window_bytes: ptr::null(),
            ..good
        },
        argument,
        "window_bytes is null",
    );
    refused(
        &HlwConfig {
            window_count: 1,
            ..good
        },
        argument,
        "1 windows",
    );
    refused(
        &HlwConfig {
            ram_bytes: 4096,
            ..good
        },
        argument,
        "ram_bytes 0x1000",
    );
    refused(
        &HlwConfig {
            artifact_fd: i32::MAX,
            ..good
        },
        argument,
        "artifact_fd",
    );
    let windows = [0; 100];
    refused(&config(&windows), argument, "100 windows");
    refused(&config(&[1, 0]), argument, "window 0 has 0x1 bytes");
}

#[test]
fn bad_artifacts_are_refused() -> TestResult {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let path = std::env::temp_dir().join(format!("hlwasm-abi-{}", std::process::id()));
    let mut file = std::fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    let mut refused = |content: &[u8], bytes: u64, part: &str| -> TestResult {
        file.set_len(0)?;
        std::io::Seek::rewind(&mut file)?;
        file.write_all(content)?;
        let artifact_fd = file.as_raw_fd();
        let windows = WINDOWS;
        let config = HlwConfig {
            artifact_fd,
            artifact_bytes: bytes,
            ..config(&windows)
        };
        let Err((status, message)) = new(&config) else {
            panic!("{part}: accepted")
        };
        assert_eq!(status, Status::Input as i32, "{message}");
        assert!(message.contains(part), "{message}");
        Ok(())
    };
    refused(b"", 0, "0 bytes of a file of 0")?;
    refused(b"text", 5, "5 bytes of a file of 4")?;
    refused(b"text", 4, "reading failed")?;
    refused(&[0; 5000], 5000, "not an ELF64 file")?;
    let mut elf = vec![0; 5000];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[18] = 62;
    elf[58] = 64;
    refused(&elf, 5000, "0 sections hold code")?;
    // One section with code that starts in the middle of a page, or ends behind the file.
    (elf[40], elf[60], elf[68], elf[72]) = (64, 1, 1, 6);
    (elf[88], elf[96]) = (1, 1);
    refused(&elf, 5000, "code at 0x1, 0x1 bytes, is misplaced")?;
    elf[88..90].copy_from_slice(&0x1000_u16.to_le_bytes());
    elf[96..104].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(&elf, 5000, "is misplaced")?;
    elf[40..48].copy_from_slice(&4990_u64.to_le_bytes());
    refused(&elf, 5000, "section headers are damaged")?;
    Ok(())
}

#[test]
fn null_is_refused_everywhere() {
    let null = ptr::null_mut::<HlwSandbox>();
    let argument = Status::Argument as i32;
    let mut sandbox = ptr::null_mut();
    let config = config(&WINDOWS);
    // SAFETY: all of these accept null.
    unsafe {
        assert_eq!(hlw_sandbox_new(ptr::null(), &raw mut sandbox), argument);
        assert_eq!(
            hlw_sandbox_new(&raw const config, ptr::null_mut()),
            argument
        );
        hlw_sandbox_free(null);
        assert!(hlw_last_exit(null).is_null() && hlw_text(null).is_null());
        assert_eq!(hlw_command(null, 0, ptr::null(), 0), argument);
        assert_eq!(hlw_call(null, 0), argument);
        assert_eq!(hlw_answer(null, 0, 0), argument);
        assert_eq!(hlw_resume(null), argument);
        assert_eq!(hlw_kick(null), argument);
        assert!(hlw_window(null, 0, ptr::null_mut()).is_null());
        hlw_counters_read(null, ptr::null_mut());
        assert_eq!(hlw_script_step(null, 0, 0), argument);
        assert_eq!(hlw_script_write(null, 0, ptr::null(), 0), argument);
        assert_eq!(hlw_hypervisor_query(ptr::null_mut()), argument);
        let (input, options) = (ptr::null(), ptr::null());
        assert_eq!(
            hlw_bridge(input, 0, options, ptr::null_mut(), ptr::null_mut()),
            argument
        );
        assert_eq!(hlw_describe_wit(input, 0, ptr::null_mut()), argument);
        assert_eq!(hlw_print_wit(input, 0, ptr::null_mut()), argument);
        assert_eq!(hlw_constants(input, 0, ptr::null_mut()), argument);
        hlw_buffer_free(HlwBuffer {
            data: ptr::null_mut(),
            length: 0,
        });
    }
    assert!(last_error().contains("is null"));
}

#[test]
fn arguments_are_checked() -> Result<(), (i32, String)> {
    let sandbox = Owned::scripted()?;
    let argument = Status::Argument as i32;
    // SAFETY: the sandbox exists; too many arguments are refused before they are read.
    unsafe {
        assert_eq!(hlw_command(sandbox.0, 0, ptr::null(), 1), argument);
        assert_eq!(hlw_command(sandbox.0, 0, [0_u64; 6].as_ptr(), 7), argument);
        assert_eq!(hlw_script_step(sandbox.0, 5, 0), argument);
    }
    assert_eq!(sandbox.write(u64::MAX, b"x"), argument);
    assert_eq!(hlw_kick_signal(0), argument);
    // Sandboxes exist.
    assert_eq!(hlw_kick_signal(libc::SIGRTMAX()), Status::State as i32);
    Ok(())
}

#[test]
fn messages_are_cut_to_the_buffer_and_belong_to_a_thread() {
    let mut buffer = [b'?'; 8];
    // SAFETY: null is refused, the buffer has the size that is passed.
    unsafe {
        assert_eq!(hlw_call(ptr::null_mut(), 0), Status::Argument as i32);
        assert_eq!(hlw_last_error(ptr::null_mut(), 0), "sandbox is null".len());
        assert_eq!(
            hlw_last_error(buffer.as_mut_ptr().cast(), 5),
            "sandbox is null".len()
        );
    }
    assert_eq!(&buffer, b"sand\0???");
    let other = std::thread::spawn(last_error).join();
    assert_eq!(other.ok(), Some(String::new()));
}

#[test]
fn library_entries() -> TestResult {
    // SAFETY: both return strings that live for ever.
    let (version, constants) = unsafe {
        (
            CStr::from_ptr(hlw_version()),
            CStr::from_ptr(hlw_abi_constants()),
        )
    };
    assert_eq!(version.to_str()?, env!("CARGO_PKG_VERSION"));
    assert!(constants.to_str()?.contains("\nEXIT_HOST_CALL = 0x2\n"));
    let mut info = HlwHypervisorInfo::default();
    // SAFETY: a valid pointer.
    assert_eq!(unsafe { hlw_hypervisor_query(&raw mut info) }, 0);
    assert!(info.device != 0 || info.api_version == 12, "{info:?}");
    Ok(())
}

#[test]
fn bridging_a_module() -> TestResult {
    let wat = br#"(module (func (export "add") (param i32 i32) (result i32)
        (i32.add (local.get 0) (local.get 1))))"#;
    let bridge = |input: &[u8], options: Option<&str>| {
        let options = options.map(CString::new).transpose()?;
        let options = options
            .as_ref()
            .map_or(ptr::null(), |options| options.as_ptr());
        let empty = HlwBuffer {
            data: ptr::null_mut(),
            length: 0,
        };
        let (mut component, mut description) = (empty, empty);
        // SAFETY: all pointers are valid; the buffers are freed once.
        let (status, outputs) = unsafe {
            let status = hlw_bridge(
                input.as_ptr(),
                input.len(),
                options,
                &raw mut component,
                &raw mut description,
            );
            let outputs = [component, description].map(|buffer| {
                let bytes = (buffer.length > 0)
                    .then(|| slice::from_raw_parts(buffer.data, buffer.length).to_vec());
                hlw_buffer_free(buffer);
                bytes.unwrap_or_default()
            });
            (status, outputs)
        };
        Ok::<_, Box<dyn std::error::Error>>((status, outputs))
    };
    let (status, [component, description]) = bridge(wat, None)?;
    assert_eq!(status, 0, "{}", last_error());
    assert!(component.starts_with(b"\0asm") && description.starts_with(b"{"));
    let (status, [_, smaller]) = bridge(wat, Some(r#"{"transfer_bytes": 65536}"#))?;
    assert_eq!(status, 0, "{}", last_error());
    assert_ne!(description, smaller);

    assert_eq!(bridge(b"(module", None)?.0, Status::Input as i32);
    assert_eq!(bridge(wat, Some("7"))?.0, Status::Argument as i32);
    assert_eq!(
        bridge(wat, Some(r#"{"unknown": 1}"#))?.0,
        Status::Argument as i32
    );
    let reserved = br#"(component (import "hlwasm:bridge/host" (instance)))"#;
    assert_eq!(bridge(reserved, None)?.0, Status::Unsupported as i32);
    assert!(last_error().contains('\u{1f}'), "{}", last_error());
    Ok(())
}

#[test]
fn describing_wit() -> TestResult {
    let describe = |sources: &str| {
        let mut buffer = HlwBuffer {
            data: ptr::null_mut(),
            length: 0,
        };
        // SAFETY: all pointers are valid; the buffer is freed once.
        unsafe {
            let status = hlw_describe_wit(sources.as_ptr(), sources.len(), &raw mut buffer);
            let text = (buffer.length > 0)
                .then(|| slice::from_raw_parts(buffer.data, buffer.length).to_vec());
            hlw_buffer_free(buffer);
            (status, text.unwrap_or_default())
        }
    };
    let (status, text) = describe(
        r#"{"main": [{"path": "a.wit", "text": "package a:b; world w { export f: func(); }"}]}"#,
    );
    assert_eq!(status, 0, "{}", last_error());
    let text: serde_json::Value = serde_json::from_slice(&text)?;
    assert_eq!(text["exports"][0]["name"], "f");

    let wrong = r#"{"main": [{"path": "a.wit", "text": "package a:b;\nworld w { x }"}]}"#;
    assert_eq!(describe(wrong).0, Status::Input as i32);
    let report: serde_json::Value = serde_json::from_str(&last_error())?;
    let place = ["path", "line", "column", "source"].map(|key| report[key].to_string());
    assert_eq!(place, ["\"a.wit\"", "2", "11", "\"world w { x }\""]);

    let binary = r#"{"main": {"path": "a.wasm", "wasm": "0061736d01000000"}}"#;
    assert_eq!(describe(binary).0, Status::Input as i32);
    let report: serde_json::Value = serde_json::from_str(&last_error())?;
    assert_eq!(report["path"], "a.wasm");
    assert_eq!(report["line"], serde_json::Value::Null);

    assert_eq!(describe("7").0, Status::Argument as i32);
    assert_eq!(describe(r#"{"unknown": 1}"#).0, Status::Argument as i32);
    for digits in ["0", "0g", "é0"] {
        let sources = format!(r#"{{"main": {{"path": "a.wasm", "wasm": "{digits}"}}}}"#);
        assert_eq!(describe(&sources).0, Status::Argument as i32);
    }
    let stream = r#"{"main": [{"path": "a.wit",
        "text": "package a:b; world w { export f: func() -> stream<u8>; }"}]}"#;
    assert_eq!(describe(stream).0, Status::Unsupported as i32);
    assert!(last_error().contains('\u{1f}'), "{}", last_error());
    Ok(())
}

#[test]
fn printing_a_wit_package() -> TestResult {
    let print = |input: &[u8]| {
        let mut buffer = HlwBuffer {
            data: ptr::null_mut(),
            length: 0,
        };
        // SAFETY: all pointers are valid; the buffer is freed once.
        unsafe {
            let status = hlw_print_wit(input.as_ptr(), input.len(), &raw mut buffer);
            let text = (buffer.length > 0)
                .then(|| slice::from_raw_parts(buffer.data, buffer.length).to_vec());
            hlw_buffer_free(buffer);
            (status, text.unwrap_or_default())
        }
    };
    let package = br#"(component (type (component
        (type (instance (export "t" (type (sub resource)))))
        (export "demo:ops/types" (instance (type 0))))) (export "types" (type 0)))"#;
    let (status, text) = print(package);
    assert_eq!(status, 0, "{}", last_error());
    let text = String::from_utf8(text)?;
    assert_eq!(
        text,
        "package demo:ops;\n\ninterface types {\n  resource t;\n}\n\n"
    );

    assert_eq!(print(b"(module)").0, Status::Input as i32);
    let report: serde_json::Value = serde_json::from_str(&last_error())?;
    let message = "this is a core module, and not a WIT package";
    assert_eq!(report, serde_json::json!({ "message": message }));

    let mut buffers = [HlwBuffer {
        data: ptr::null_mut(),
        length: 0,
    }; 2];
    let [component, description] = &mut buffers;
    // SAFETY: all pointers are valid; nothing is put into the buffers.
    let status = unsafe {
        hlw_bridge(
            package.as_ptr(),
            package.len(),
            ptr::null(),
            component,
            description,
        )
    };
    assert_eq!(status, Status::Unsupported as i32);
    // SAFETY: a string that is never freed.
    let item = unsafe { CStr::from_ptr(hlw_wit_package_item()) }.to_str()?;
    assert!(
        last_error().starts_with(&format!("{item}\u{1f}")),
        "{}",
        last_error()
    );
    Ok(())
}

#[test]
fn finding_constants() -> TestResult {
    let find = |input: &[u8]| {
        let mut buffer = HlwBuffer {
            data: ptr::null_mut(),
            length: 0,
        };
        // SAFETY: all pointers are valid; the buffer is freed once.
        unsafe {
            let status = hlw_constants(input.as_ptr(), input.len(), &raw mut buffer);
            let text = (buffer.length > 0)
                .then(|| slice::from_raw_parts(buffer.data, buffer.length).to_vec());
            hlw_buffer_free(buffer);
            (status, text.unwrap_or_default())
        }
    };
    let (status, text) = find(
        br#"(module (func (param i32 f32)
            (drop (i32.eq (local.get 0) (i32.const 77)))
            (drop (f32.const 0.5))))"#,
    );
    assert_eq!(status, 0, "{}", last_error());
    let found: serde_json::Value = serde_json::from_slice(&text)?;
    let expected = serde_json::json!(
        {"compared": [77], "integers": [], "floats": [0.5], "texts": []}
    );
    assert_eq!(found, expected);
    assert_eq!(find(b"(module").0, Status::Input as i32);
    Ok(())
}

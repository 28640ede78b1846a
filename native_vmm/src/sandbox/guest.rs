//! One guest: its machine, its memory, and the loop that runs it.

use std::ops::Range;

use host_guest_abi::layout::{STACK_TOP, TEXT_BYTES};
use host_guest_abi::transfer::CURSOR;

use super::config::Config;
use super::counters::Counters;
use super::error::SandboxError;
use super::exit::{Exit, State};
use super::mailbox::ARGUMENTS_MAX;
use super::requests::Violation;
use super::witness::Witness;
use crate::deadline::{Alarm, TimeLimits};
use crate::fork;
use crate::hypervisor::{self, Driver, Machine, MachineExit, Registers};
use crate::memory::{GuestMemory, host_size};

/// Requests served here in a row before the caller gets a turn: a signal that comes while
/// one is served interrupts no run, and the caller wants to know of it within milliseconds.
const SERVED_IN_A_ROW: u32 = 256;

/// Commands from one trimming of the transfer windows to the next, which costs as much as a
/// tenth of an exit.
const CALLS_TO_TRIM: u32 = 64;

/// All that only one thread at a time may touch.
pub(super) struct Guest {
    // Dropped before the memory that it has mapped.
    pub(super) machine: Box<dyn Machine>,
    pub(super) memory: GuestMemory,
    pub(super) driver: Driver,
    /// The process in which its VM works.
    pub(super) process: i32,
    pub(super) state: State,
    /// Number of the last command.
    pub(super) sequence: u64,
    /// Commands so far; unlike `sequence`, no restore turns this back.
    pub(super) commands: u64,
    /// Time limits of each command.
    pub(super) limits: TimeLimits,
    /// Whether the guest is in a run, or interrupted in one that may go on.
    in_run: bool,
    /// Commands until transfer windows are trimmed.
    pub(super) calls_to_trim: u32,
    /// CPU time that the present command has used, in nanoseconds.
    pub(super) cpu_used: u64,
    /// Number of the last request.
    pub(super) request_sequence: u64,
    /// Where faults of wasm code resume, once the guest has said so.
    pub(super) trap_entry: Option<u64>,
    /// Whether the guest was sent to its trap entry and has asked for nothing since.
    pub(super) trapping: bool,
    pub(super) counters: Counters,
    /// Whether the guest runtime is surely ours; see [`super::snapshot::Snapshot`].
    pub(super) genuine: bool,
    /// Addresses of the guest image.
    pub(super) image: Range<u64>,
    /// Whether the last exit was the end of a command that ended well.
    pub(super) clean: bool,
    /// Who has touched memory since the last restore.
    pub(super) witness: Witness,
    /// Text of the last exit. Never grows beyond the capacity that it starts with.
    pub(super) text: Vec<u8>,
}

impl Guest {
    /// Makes machine and memory; nothing has run yet.
    pub(super) fn new(config: Config) -> Result<Self, SandboxError> {
        let image = config.image;
        let mut memory = GuestMemory::new(config.plan, &image, config.artifact)?;
        memory.limit_total(config.total_memory_bytes);
        let mut machine = hypervisor::create(config.driver)?;
        // SAFETY: `memory` outlives `machine`: fields drop in order.
        unsafe { machine.map(&memory.region)? };
        machine.rewind(&Registers::at_start(image.entry, STACK_TOP));
        if let Some(script) = machine.script() {
            script.boot();
        }
        Ok(Self::with(machine, memory, config.driver, image.range()))
    }

    /// A guest of which nothing has run.
    pub(super) fn with(
        machine: Box<dyn Machine>,
        memory: GuestMemory,
        driver: Driver,
        image: Range<u64>,
    ) -> Self {
        Self {
            machine,
            memory,
            driver,
            process: fork::process(),
            state: State::Booting,
            sequence: 0,
            commands: 0,
            limits: TimeLimits::default(),
            in_run: false,
            calls_to_trim: CALLS_TO_TRIM,
            cpu_used: 0,
            request_sequence: 0,
            trap_entry: None,
            trapping: false,
            counters: Counters::default(),
            genuine: true,
            image,
            clean: false,
            witness: Witness::default(),
            text: Vec::with_capacity(host_size(TEXT_BYTES)),
        }
    }

    /// Runs the guest to its first ready.
    pub(super) fn boot(&mut self, alarm: &Alarm) -> Result<(), SandboxError> {
        loop {
            match self.run(alarm)? {
                Exit::Done { .. } => return Ok(()),
                // There is nobody to tell yet.
                Exit::Interrupted { .. } | Exit::Log { .. } => self.state = State::Booting,
                Exit::Panic | Exit::Fault(_) | Exit::Failed { .. } | Exit::HostCall { .. } => {
                    let text = String::from_utf8_lossy(&self.text).into_owned();
                    return Err(SandboxError::Boot(text));
                }
            }
        }
    }

    /// Gives a command and runs until the next exit.
    pub(super) fn command(
        &mut self,
        alarm: &Alarm,
        command: u64,
        arguments: &[u64],
    ) -> Result<Exit, SandboxError> {
        if arguments.len() > ARGUMENTS_MAX {
            return Err(SandboxError::Arguments(arguments.len()));
        }
        self.require(State::Ready, "a command")?;
        self.trim();
        // A snapshot file may say any number.
        self.sequence = self.sequence.wrapping_add(1);
        self.mailbox()
            .write_command(self.sequence, command, arguments);
        self.commands += 1;
        self.cpu_used = 0;
        if self.limits != TimeLimits::default() {
            alarm.begin(self.commands, self.limits);
        }
        self.run(alarm)
    }

    /// Now and then gives back what large calls have left in the transfer windows. Between
    /// calls nothing there is in use but the parameters of the call to come, which end at the
    /// cursor.
    fn trim(&mut self) {
        self.calls_to_trim = self.calls_to_trim.saturating_sub(1);
        if self.calls_to_trim > 0 {
            return;
        }
        self.calls_to_trim = CALLS_TO_TRIM;
        if let Some((window, bytes)) = self.memory.transfer_window(1)
            && bytes > 0
        {
            // SAFETY: the word is in the window, which is accessible; fetched once.
            let cursor = unsafe { window.add(host_size(CURSOR)).cast::<u32>().read_volatile() };
            // Memory that cannot be given back now is given back later.
            let _ = self.memory.trim(u64::from(cursor));
        }
    }

    /// Answers a host call and runs until the next exit.
    pub(super) fn answer(
        &mut self,
        alarm: &Alarm,
        status: u64,
        value: u64,
    ) -> Result<Exit, SandboxError> {
        self.require(State::HostCall, "an answer")?;
        self.answer_request(status, value);
        self.run(alarm)
    }

    /// Goes on after an interruption or a log record, until the next exit.
    pub(super) fn resume(&mut self, alarm: &Alarm) -> Result<Exit, SandboxError> {
        self.require(State::Suspended, "resuming")?;
        self.run(alarm)
    }

    pub(super) fn require(&self, state: State, wanted: &'static str) -> Result<(), SandboxError> {
        if self.state == state {
            return Ok(());
        }
        Err(self.refusal(wanted))
    }

    /// Why something is not possible now.
    pub(super) const fn refusal(&self, wanted: &'static str) -> SandboxError {
        let present = match self.state {
            State::Booting => "has not booted",
            State::Ready => "is waiting for a command",
            State::HostCall => "is waiting for the answer to a host call",
            State::Suspended => "was interrupted and has to be resumed",
            State::Poisoned => "is poisoned",
            State::Broken => "is unusable after a failure of the hypervisor",
        };
        SandboxError::State { wanted, present }
    }

    fn run(&mut self, alarm: &Alarm) -> Result<Exit, SandboxError> {
        if self.limits.cpu == 0 {
            return self.run_unlimited(alarm);
        }
        let left = self.limits.cpu.saturating_sub(self.cpu_used);
        let began = alarm.begin_run(left);
        let result = self.run_unlimited(alarm);
        self.cpu_used = self.cpu_used.saturating_add(alarm.end_run(began));
        result
    }

    fn run_unlimited(&mut self, alarm: &Alarm) -> Result<Exit, SandboxError> {
        self.text.clear();
        self.clean = false;
        self.witness.see();
        if !self.in_run {
            self.in_run = true;
            alarm.enter_run();
        } else {
            alarm.go_on();
        }
        let result = self.run_in_turn(alarm);
        if !matches!(result, Ok(Exit::Interrupted { reason: None })) {
            self.leave_run(alarm);
        } else {
            alarm.kick().turn.pause();
        }
        result
    }

    /// The guest does not go on where it was.
    pub(super) fn leave_run(&mut self, alarm: &Alarm) {
        if std::mem::take(&mut self.in_run) {
            alarm.leave_run();
        }
    }

    fn run_in_turn(&mut self, alarm: &Alarm) -> Result<Exit, SandboxError> {
        let turn = &alarm.kick().turn;
        for _ in 0..SERVED_IN_A_ROW {
            if turn.is_over() {
                turn.wait();
            }
            let stopped = if turn.is_over() {
                // A signal came.
                MachineExit::Interrupted
            } else {
                self.machine
                    .run()
                    .inspect_err(|_| self.state = State::Broken)?
            };
            self.counters.exits += 1;
            if let Some(exit) = self.handle(stopped, alarm) {
                self.state = exit.state();
                self.clean = matches!(exit, Exit::Done { .. });
                if matches!(self.state, State::Ready | State::Poisoned) {
                    // Whatever the limits are by now.
                    alarm.end();
                }
                return Ok(exit);
            }
        }
        self.state = State::Suspended;
        Ok(Exit::Interrupted { reason: None })
    }

    /// `None` if the guest may go on at once.
    fn handle(&mut self, stopped: MachineExit, alarm: &Alarm) -> Option<Exit> {
        match stopped {
            MachineExit::Request(code) => self.request(code).unwrap_or_else(|Violation(rule)| {
                let rip = self.machine.registers().rip;
                let what = format!("the guest broke the protocol by {rule} (request {code})");
                Some(self.fault(&what, -1, rip, 0))
            }),
            MachineExit::Exception => self.exception(),
            MachineExit::Interrupted => {
                self.counters.interrupts += 1;
                Some(Exit::Interrupted {
                    reason: alarm.kick().take(self.commands),
                })
            }
            MachineExit::AccessFault => self.access_fault(),
            MachineExit::Shutdown => {
                let rip = self.machine.registers().rip;
                Some(self.fault("triple fault", -1, rip, 0))
            }
            MachineExit::Unexpected(what) => {
                let rip = self.machine.registers().rip;
                Some(self.fault(&format!("unexpected exit: {what},"), -1, rip, 0))
            }
        }
    }

    /// Replaces the text, cut to its capacity.
    pub(super) fn set_text(&mut self, text: &str) {
        self.text.clear();
        let end = text.floor_char_boundary(self.text.capacity());
        self.text.extend_from_slice(&text.as_bytes()[..end]);
    }
}

//! What each command does.

use host_guest_abi::command::{
    COMMAND_CALL, COMMAND_CALL_WITH_FUEL, COMMAND_DROP_INSTANCE, COMMAND_EXITS,
    COMMAND_INSTANTIATE, COMMAND_LOAD, COMMAND_REPEAT_CALL,
};
use host_guest_abi::exit::EXIT_NOP;
use host_guest_abi::status::STATUS_OK;
use wasmtime::{Result, bail};

use crate::component::{Guest, InstantiateArguments};
use crate::exit;
use crate::mailbox::{Command, Outcome};
use crate::report;

const DONE: Outcome = Outcome {
    status: STATUS_OK,
    values: [0, 0],
    text_bytes: 0,
};

/// Runs a command to its end.
pub fn run(guest: &mut Guest, command: &Command) -> Outcome {
    // First, because it is the one that must be fast.
    if command.code == COMMAND_CALL {
        return match guest.call(command.arguments[0]) {
            Ok(()) => DONE,
            Err(error) => report::failure(&error),
        };
    }
    let mut outcome = match run_other(guest, command) {
        Ok(value) => Outcome {
            values: [value, 0],
            ..DONE
        },
        Err(error) => report::failure(&error),
    };
    if matches!(command.code, COMMAND_CALL_WITH_FUEL | COMMAND_INSTANTIATE) {
        outcome.values[1] = guest.fuel_left();
    }
    outcome
}

fn run_other(guest: &mut Guest, command: &Command) -> Result<u64> {
    let [a, b, c, d, e, _] = command.arguments;
    match command.code {
        COMMAND_CALL_WITH_FUEL => guest.call_with_fuel(a, b)?,
        COMMAND_LOAD => return guest.load(a, b, c),
        COMMAND_INSTANTIATE => guest.instantiate(&InstantiateArguments {
            call_count: a,
            import_pages: b,
            export_pages: c,
            table_elements: d,
            fuel: e,
        })?,
        COMMAND_REPEAT_CALL => guest.repeat_call(a, b, c)?,
        COMMAND_EXITS => (0..a).for_each(|_| exit::notify(EXIT_NOP)),
        COMMAND_DROP_INSTANCE => guest.drop_instance(),
        unknown => bail!("unknown command {unknown}"),
    }
    Ok(0)
}

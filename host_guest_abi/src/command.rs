//! What the host asks of the guest. Arguments are mailbox words
//! `COMMAND_ARGUMENTS..`; each command ends with an `EXIT_READY`.

constants! {
    /// Load the artifact: (guest address, bytes, 1 where its code counts fuel, else 0)
    /// → (linear memories it will create).
    COMMAND_LOAD = 1;
    /// Instantiate it: (number of `call-k` exports, pages of the import bridge's memory or 0
    /// where there is no import bridge, pages of the export bridge's memory, table element limit,
    /// fuel). Fuel, and what is left of it, as for `COMMAND_CALL_WITH_FUEL`.
    COMMAND_INSTANTIATE = 2;
    /// Run `call-k`: (k). Parameters and result lie in the export bridge's transfer memory.
    COMMAND_CALL = 3;
    /// Run `call-k` n times without an exit, rewinding the cursor: (k, n, cursor). For benchmarks.
    COMMAND_REPEAT_CALL = 4;
    /// Make n bare exits (`EXIT_NOP`): (n). For measurements.
    COMMAND_EXITS = 5;
    /// Drop the instance and its memories: ().
    COMMAND_DROP_INSTANCE = 6;
    /// Like `COMMAND_CALL` where the artifact counts fuel: (k, fuel) → (0, fuel that is left),
    /// and `DONE_VALUES[1]` is what is left however the command ends.
    COMMAND_CALL_WITH_FUEL = 7;

    /// The most fuel that can be given: more than is ever used.
    FUEL_UNLIMITED = 0xffff_ffff_ffff_fffe;
}

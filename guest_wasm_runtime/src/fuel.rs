//! Fuel: counted work, exact to the unit.
//!
//! wasmtime looks at its counter where functions and loops begin, so code between two looks
//! may use more than there is. One unit more than allowed goes into its tank: whoever
//! has used up that one, too, has used more than allowed, wherever this is noticed.

use host_guest_abi::command::FUEL_UNLIMITED;
use wasmtime::{Result, Trap};

/// What to put into wasmtime's tank so that `fuel` units may be used.
pub const fn tank(fuel: u64) -> u64 {
    const { assert!(FUEL_UNLIMITED == u64::MAX - 1) };
    fuel.saturating_add(1)
}

/// What of the allowed fuel is left when so much is in the tank.
pub const fn left(in_tank: u64) -> u64 {
    in_tank.saturating_sub(1)
}

/// Fails if more was used than allowed.
pub fn check(in_tank: u64) -> Result<()> {
    if in_tank == 0 {
        return Err(Trap::OutOfFuel.into());
    }
    Ok(())
}

//! The canonical ABI: how WIT values lie in a 32-bit linear memory, and how the bridges
//! move them between memory and the flat parameters of core functions.

mod flat;
mod handles;
mod layout;

pub(crate) use handles::{HandleConversion, HandleRewriter, definition};
pub(crate) use layout::{Layout, Record, align_up, core_types};

use crate::core_module::{Body, Local};

/// A place in memory: a fixed offset, from the start or from an address in a local.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Local that holds the address; none for the start of memory.
    pub(crate) base: Option<Local>,
    /// Bytes from there.
    pub(crate) offset: u32,
}

impl Place {
    /// A fixed address.
    pub(crate) fn at(offset: u32) -> Self {
        Self { base: None, offset }
    }

    /// The address in a local.
    pub(crate) fn in_local(base: Local) -> Self {
        Self {
            base: Some(base),
            offset: 0,
        }
    }

    /// A place further on.
    pub(crate) fn plus(self, offset: u32) -> Self {
        Self {
            offset: self.offset.saturating_add(offset),
            ..self
        }
    }

    /// Pushes the address without the offset, which the access adds.
    fn push_base(self, body: &mut Body) {
        match self.base {
            Some(local) => body.emit().local_get(local),
            None => body.emit().i32_const(0),
        };
    }

    /// Pushes the whole address.
    pub(crate) fn push(self, body: &mut Body) {
        let offset = self.offset.cast_signed();
        match self.base {
            Some(local) if offset == 0 => body.emit().local_get(local),
            Some(local) => body.emit().local_get(local).i32_const(offset).i32_add(),
            None => body.emit().i32_const(offset),
        };
    }
}

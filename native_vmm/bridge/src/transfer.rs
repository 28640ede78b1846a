//! What both bridges do with their transfer memory; see `host_guest_abi::transfer`.

use host_guest_abi::transfer;
use wasm_encoder::{BlockType, MemArg, ValType};

use crate::core_module::{Body, CoreModule, FunctionIndex};

/// First data byte, where the parameters of a guest call lie.
pub(crate) const DATA: u32 = 64;
const _: () = assert!(transfer::DATA == DATA as u64);

/// Log2 of the bytes in a wasm page.
const PAGE_SHIFT: i64 = 16;
const _: () = assert!(transfer::WASM_PAGE_BYTES == 1 << PAGE_SHIFT);

/// Emits: the first free byte is the first data byte again.
pub(crate) fn rewind(body: &mut Body) {
    body.emit()
        .i32_const(0)
        .i32_const(DATA.cast_signed())
        .i32_store(header_word(transfer::CURSOR));
}

/// Defines the function that adapters call for memory:
/// `(old address, old size, alignment, new size) -> address`.
///
/// Nothing is ever freed: the host rewinds the cursor before each guest call, the import
/// bridge after each host call. Blocks are 16-byte aligned, so the alignment is not looked at.
/// The last block grows and shrinks in place, as transcoders of strings like to.
pub(crate) fn define_realloc(module: &mut CoreModule) -> FunctionIndex {
    const OLD_ADDRESS: u32 = 0;
    const OLD_SIZE: u32 = 1;
    const NEW_SIZE: u32 = 3;
    let mut body = Body::new(4);
    let address = body.local(ValType::I32);
    let is_last = body.local(ValType::I32);
    let end = body.local(ValType::I64);
    let overflow = header_word(transfer::OVERFLOW);
    let cursor = header_word(transfer::CURSOR);

    // is_last = old_size != 0 && old_address + old_size == cursor
    let mut emit = body.emit();
    emit.local_get(OLD_ADDRESS)
        .local_get(OLD_SIZE)
        .i32_add()
        .i32_const(0)
        .i32_load(cursor)
        .i32_eq()
        .i32_const(0)
        .local_get(OLD_SIZE)
        .select()
        .local_set(is_last);
    // A block in the middle shrinks where it is.
    emit.local_get(NEW_SIZE)
        .local_get(OLD_SIZE)
        .i32_le_u()
        .i32_const(0)
        .local_get(OLD_SIZE)
        .select()
        .local_get(is_last)
        .i32_eqz()
        .i32_and()
        .if_(BlockType::Empty)
        .local_get(OLD_ADDRESS)
        .return_()
        .end();
    // end = address + new_size in 64 bits, address = old_address or the aligned cursor
    emit.local_get(OLD_ADDRESS)
        .i64_extend_i32_u()
        .i32_const(0)
        .i64_load32_u(cursor)
        .i64_const(15)
        .i64_add()
        .i64_const(-16)
        .i64_and()
        .local_get(is_last)
        .select()
        .local_tee(end)
        .i32_wrap_i64()
        .local_set(address)
        .local_get(end)
        .local_get(NEW_SIZE)
        .i64_extend_i32_u()
        .i64_add()
        .local_set(end);
    // What does not fit ends the call: the overflow word tells the host how much was wanted.
    emit.local_get(end)
        .memory_size(0)
        .i64_extend_i32_u()
        .i64_const(PAGE_SHIFT)
        .i64_shl()
        .i64_gt_u()
        .if_(BlockType::Empty)
        .i32_const(0)
        .local_get(end)
        .i64_const(i64::from(u32::MAX))
        .local_get(end)
        .i64_const(i64::from(u32::MAX))
        .i64_lt_u()
        .select()
        .i64_store32(overflow)
        .unreachable()
        .end();
    // A block that grows elsewhere takes its contents along.
    emit.i32_const(0)
        .local_get(OLD_SIZE)
        .local_get(is_last)
        .select()
        .if_(BlockType::Empty)
        .local_get(address)
        .local_get(OLD_ADDRESS)
        .local_get(OLD_SIZE)
        .memory_copy(0, 0)
        .end();
    emit.i32_const(0)
        .local_get(end)
        .i64_store32(cursor)
        .local_get(address);
    let i32 = ValType::I32;
    module.function("cabi_realloc", &[i32; 4], &[i32], body)
}

/// The first word of the data.
pub(crate) fn data_word() -> MemArg {
    header_word(transfer::DATA)
}

fn header_word(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 2,
        memory_index: 0,
    }
}

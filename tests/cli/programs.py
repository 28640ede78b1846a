"""Small WASI preview 1 programs as text."""

from __future__ import annotations

from pathlib import Path

_IMPORT = '(import "wasi_snapshot_preview1"'


def _write_buffer(sizes: str, get: str) -> str:
    """Writes all strings of ``args_get`` or ``environ_get``, each with its zero byte."""
    return f"""(module $lister
  {_IMPORT} "{sizes}" (func $sizes (param i32 i32) (result i32)))
  {_IMPORT} "{get}" (func $get (param i32 i32) (result i32)))
  {_IMPORT} "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 1024) (i32.const 65536)))
    (i32.store (i32.const 16) (i32.const 65536))
    (i32.store (i32.const 20) (i32.load (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))))
"""


ARGUMENTS = _write_buffer("args_sizes_get", "args_get")
ENVIRONMENT = _write_buffer("environ_sizes_get", "environ_get")

CAT = f"""(module $cat
  {_IMPORT} "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  {_IMPORT} "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start") (local $left i32)
    (loop $next
      (i32.store (i32.const 0) (i32.const 4096))
      (i32.store (i32.const 4) (i32.const 60000))
      (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
      (local.set $left (i32.load (i32.const 8)))
      (if (local.get $left) (then
        (loop $rest
          (i32.store (i32.const 4) (local.get $left))
          (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
            (then unreachable))
          (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 8))))
          (br_if $rest (local.tee $left (i32.sub (local.get $left) (i32.load (i32.const 8))))))
        (br $next))))))
"""

LOOP = """(module $looper
  (memory (export "memory") 1)
  (func (export "_start") (loop $again (br $again))))
"""

TRAP = """(module $faulty
  (memory (export "memory") 1)
  (func $divide (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func $start (export "_start") (drop (call $divide (i32.const 0)))))
"""

LARGE_MEMORY = """(module (memory (export "memory") 1600) (func (export "_start")))"""


def exit_with(code: int) -> str:
    """A program that ends with a code."""
    return f"""(module
  {_IMPORT} "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const {code}))))
"""


def save(directory: Path, text: str, name: str = "program.wat") -> Path:
    """Writes a program to a file."""
    path = directory / name
    path.write_text(text)
    return path

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


def large(start: str = "", text: str = "ready\\n", then: str = "") -> str:
    """A program that is worth a snapshot: it has a megabyte of data, and works for a while
    when it is instantiated. What it prints is what that left in its memory.
    """
    codes = "".join(
        f"(i32.store8 (i32.const {64 + at}) (i32.const {byte}))"
        for at, byte in enumerate(text.encode().decode("unicode_escape").encode())
    )
    size = len(text.encode().decode("unicode_escape"))
    return f"""(module $large
  {_IMPORT} "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  {_IMPORT} "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 64)
  (data (i32.const 65536) "{"x" * (1 << 20)}")
  (func $work (local $left i32)
    (local.set $left (i32.const 30000000))
    (loop $again (br_if $again
      (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    {codes} {start})
  (start $work)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.const {size}))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    {then}))
"""


def large_environment() -> str:
    """A large component that reads the environment when it is instantiated, and only then;
    ``size`` tells the number of variables.
    """
    return f"""(component
  (import "wasi:cli/environment@0.2.0" (instance $e
    (export "get-environment" (func (result (list (tuple string string)))))))
  (core module $memory (memory (export "memory") 64)
    (data (i32.const 65536) "{"x" * (1 << 20)}")
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (global.get $free))
      (global.set $free (i32.add (global.get $free)
        (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $get (canon lower (func $e "get-environment")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "get" (func $get (param i32)))
    (func $start (local $left i32)
      (local.set $left (i32.const 30000000))
      (loop $again (br_if $again
        (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (call $get (i32.const 0)))
    (start $start)
    (func (export "size") (result i32) (i32.load (i32.const 4))))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory")) (export "get" (func $get))))))
  (func (export "size") (result u32) (canon lift (core func $i "size"))))
"""

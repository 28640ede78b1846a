"""Worlds that are hard to generate bindings for, as WIT text."""

from __future__ import annotations

KEYWORDS = """package a:b;
interface class {
    record %import { %from: u8, class: bool, %list: list<u8>, str: string, int: list<u32>,
        %bool: bool, %tuple: tuple<u8, string>, %float: f32, bytes: list<u8>, none: option<u8> }
    variant none { none, %true(u8), value(string), wit-case }
    enum false { true, name, value }
    flags %async { yield, name, value }
    resource lambda {
        constructor(self: u8, cls: u8);
        int: func(int: u8) -> list<u8>;
        %list: func(%list: list<u32>, str: string) -> list<string>;
        drop: func() -> u8;
        str: static func(self: u8) -> string;
    }
    int: func(int: s8, self: s8) -> s8;
    %list: func(%bool: bool, lambda: borrow<lambda>) -> list<%import>;
    def: func(print: lambda) -> tuple<false, %async, none>;
    %bool: func() -> result<bool, none>;
    builtins: func() -> u8;
}
world pass {
    import class;
    export class;
    import typing: func(typing: string);
    import int: func() -> list<u8>;
    export str: func(x: string) -> string;
}
"""
OWN_NAMES = """package a:b;
interface load {
    enum imports { a } enum exports { a } enum protocol { a } enum any { a } enum sandbox { a }
    record exports-of { imports: imports, exports: exports }
    f: func(any: any) -> exports-of;
}
interface typing { record point { x: load } enum load { a } f: func(p: point); }
interface dataclasses { use typing.{point}; f: func(p: point) -> point; }
interface runtime { use load.{imports}; f: func() -> imports; }
world component {
    import typing;
    import runtime;
    export load;
    export dataclasses;
    export structure: interface { f: func() -> u8; }
    export hlwasm-runtime: interface { enum hlwasm { a } f: func() -> hlwasm; }
    enum imports { a }
    enum component { b }
    export f: func(a: imports) -> component;
    import g: func(a: imports) -> component;
}
"""
SEVERAL_OPS = """package a:root;
world w {
    export a:b/ops@1.0.0; export a:b/ops@2.0.0; export a:c/ops@1.0.0;
    import a:c/ops@1.0.0; import a:b/ops@2.0.0; import a:b/ops@1.0.0;
}
package a:b@1.0.0 { interface ops { f: func(); } }
package a:b@2.0.0 { interface ops { g: func(); } }
package a:c@1.0.0 { interface ops { h: func(); } }
"""
BOTH_SIDES = """package a:b;
interface things {
    resource thing { constructor(); size: func() -> u8; twin: static func(of: thing) -> thing; }
    pair: func(left: thing, right: borrow<thing>) -> thing;
    record holder { thing: thing }
    variant slot { empty, full(thing) }
    hold: func(holder: holder, slots: list<slot>) -> option<holder>;
}
world w { import things; export things; }
"""
WITH_WASI = """package a:b;
interface clock {
    use wasi:clocks/wall-clock@0.2.6.{datetime};
    use wasi:io/poll@0.2.6.{pollable};
    set: func(now: datetime);
    wait: func(p: borrow<pollable>);
}
world w { import wasi:io/poll@0.2.6; import wasi:clocks/wall-clock@0.2.6; import clock; }
package wasi:io@0.2.6 {
    interface poll { resource pollable { ready: func() -> bool; } }
}
package wasi:clocks@0.2.6 {
    interface wall-clock { record datetime { seconds: u64 } now: func() -> datetime; }
}
"""
NOTHING = "package a:b; world w {}"
EVERY_RESULT = """package a:b;
interface results {
    type numbers = list<u32>;
    type name = string;
    none: func() -> result;
    ok: func() -> result<u8>;
    err: func() -> result<_, name>;
    both: func(a: result<numbers, option<result>>) -> result<list<option<option<u8>>>, tuple<u8>>;
    nested: func(a: option<option<option<u8>>>) -> option<option<result<u8>>>;
    deep: func(a: list<list<list<f32>>>, b: list<bool>, c: list<char>) -> list<list<u8>>;
}
world w { import results; export results; }
"""

DEEP = f"""package a:b;
world w {{
    export f: func(a: {"list<" * 90}u8{">" * 90}) -> {"option<" * 90}u8{">" * 90};
}}
"""

WORLDS = {
    "keywords": KEYWORDS,
    "own_names": OWN_NAMES,
    "several_ops": SEVERAL_OPS,
    "both_sides": BOTH_SIDES,
    "with_wasi": WITH_WASI,
    "nothing": NOTHING,
    "every_result": EVERY_RESULT,
    "deep": DEEP,
}

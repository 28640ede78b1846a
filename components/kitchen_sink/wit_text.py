"""Writes the WIT of the kitchen sink."""

from __future__ import annotations

from .catalogue import FUNCTIONS, NAMED, WORLD_FUNCTIONS, Signature
from .wit_types import escaped

HEAD = "// Written by generate.py; see catalogue.py.\n"

PACKAGE = """\
package demo:kitchen-sink@1.0.0;

/// A value of each type comes in and goes out again. The component imports this interface
/// as well as it exports it: its exported functions call the imported ones.
interface values {{
{types}

{functions}
}}

/// The same, without a call to the host.
interface echo {{
    use values.{{{used}}};

{functions}
}}

/// Handles. An exported thing holds an imported one, and forwards to it.
interface things {{
    resource thing {{
        constructor(label: string);
        label: func() -> string;
        set-label: func(label: string);
        /// The label of the thing whose label is longer.
        longer: func(other: borrow<thing>) -> string;
        /// Consumes both.
        merge: static func(left: thing, right: thing) -> thing;
        /// A new thing, or none if the label is empty.
        make: static func(label: string) -> option<thing>;
    }}
    /// The same things back, in reverse order.
    reverse: func(things: list<thing>) -> list<thing>;
    /// How many things were dropped so far.
    dropped: func() -> u32;
}}

/// What every toolchain here can do.
world kitchen-sink-interfaces {{
    import values;
    export values;
    export echo;
}}

world kitchen-sink-functions {{
    include kitchen-sink-interfaces;

    /// Functions of the world itself.
    import twice: func(value: u32) -> u32;
    export thrice: func(value: u32) -> u32;
    import note: func(text: string, level: option<u8>);
    export touch: func();

    use values.{{mixed, outer, label}};
{world}
}}

world kitchen-sink {{
    include kitchen-sink-functions;
    import things;
    export things;

    // Two versions of one package side by side.
    import demo:units/convert@1.2.3;
    export demo:shapes/areas@0.1.0;
    export demo:shapes/areas@0.2.0;
}}
"""

SHAPES_1 = """\
package demo:shapes@0.1.0;

interface areas {
    record rectangle { width: u32, height: u32 }
    area: func(rectangle: rectangle) -> u32;
}
"""

SHAPES_2 = """\
package demo:shapes@0.2.0;

interface areas {
    record rectangle { width: f64, height: f64, label: option<string> }
    /// In square feet, by way of `convert`.
    area: func(rectangle: rectangle) -> f64;
}
"""

UNITS = """\
package demo:units@1.2.3;

interface convert {
    square-feet: func(square-metres: f64) -> f64;
}
"""


def signature_text(signature: Signature) -> str:
    """Such as ``func(value: u8) -> u8``."""
    listed = ", ".join(f"{escaped(name)}: {t.wit()}" for name, t in signature.parameters)
    return f"func({listed}) -> {signature.result.wit()}"


def files() -> dict[str, str]:
    """Paths below ``wit/`` and what they hold."""
    main = PACKAGE.format(
        types="\n".join(f"    {t.definition()}" for t in NAMED),
        functions="\n".join(
            f"    {escaped(name)}: {signature_text(each)};" for name, each in FUNCTIONS.items()
        ),
        used=", ".join(t.wit() for t in NAMED),
        world="\n".join(
            f"    {direction} {name}: {signature_text(each)};"
            for name, each in WORLD_FUNCTIONS.items()
            for direction in ("import", "export")
        ),
    )
    return {
        "world.wit": HEAD + main,
        "deps/shapes-0.1/shapes.wit": HEAD + SHAPES_1,
        "deps/shapes-0.2/shapes.wit": HEAD + SHAPES_2,
        "deps/units/units.wit": HEAD + UNITS,
    }

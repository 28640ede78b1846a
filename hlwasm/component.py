"""Components: bytes or a path in; a world, an artifact and sandboxes out."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from hlwasm.artifact import Cache, CompileOptions, prepare
from hlwasm.errors import ArtifactError, InvalidWit, LoadError, TransferLimitExceeded
from hlwasm.frozen import Shared
from hlwasm.native.handles import Configuration
from hlwasm.sandbox.limits import WASM_PAGE, Limits, total_memory_bytes, window_bytes
from hlwasm.sandbox.sandbox import Sandbox
from hlwasm.sandbox.starts import Starts
from hlwasm.wit.model import Description, NumberLists

if TYPE_CHECKING:
    from hlwasm.artifact import Artifact, Progress
    from hlwasm.sandbox.async_sandbox import Instantiation
    from hlwasm.sandbox.types_view import ComponentTypes
    from hlwasm.wasi import Wasi

DEFAULT_TRANSFER_MEMORY = 64 << 20
# One object: looking for it among others is to compare it with itself.
_DEFAULT_LIMITS = Limits()


def load(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    cache: Cache | bool = True,
    transfer_memory: int = DEFAULT_TRANSFER_MEMORY,
    fuel: bool = False,
    reuse: bool = True,
    number_lists: NumberLists = "list",
    wit: str | os.PathLike[str] | None = None,
    world: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Component:
    """Loads a component, a core module, WAT text or an artifact.

    What is not compiled yet is compiled in a worker process and kept in the user's cache.

    Args:
        source: a path, or the contents.
        cache: False compiles without the cache; or a cache of your own.
        transfer_memory: bytes that the values of one call may take, each way. An artifact
            that was compiled for more is refused.
        fuel: compile code that counts its work, for ``Limits(fuel=…)``. It runs slower.
        reuse: later sandboxes of the component may start from the state in which an earlier
            one was right after its instantiation, instead of booting and instantiating once
            more. It shows in nothing but time: only instantiating that calls no host function,
            or only functions of WASI with the same answers, is done once for several. The
            component then holds that memory, for up to four different limits.
        number_lists: what lists of numbers are in results, in arguments of host functions, and
            within records and so on: ``"list"``; ``"array"`` for ``array.array``; ``"numpy"``
            for NumPy arrays. The latter two are one copy of the memory, without work for each
            element. ``list<u8>`` is ``bytes``, with ``"numpy"`` an array. What is passed in
            may be any buffer whatever this says. See :func:`hlwasm.view` for no copy at all.
        wit: a WIT file or folder whose documentation the component's functions and types get,
            for compilers leave it out of components. Nothing else is taken from it.
        world: which world of it, where there are several.
        progress: called while a compile runs.

    Raises:
        OSError: the file cannot be read.
        InvalidWit: the text in ``wit`` is no WIT, or has nothing to do with the component.
        InvalidWasm, UnsupportedItem, CompileError, ArtifactError: see :class:`LoadError`.
        TransferLimitExceeded: an artifact was compiled for larger values.
        ImportError: ``number_lists`` is ``"numpy"``, and NumPy is not installed.

    Example:
        >>> import hlwasm
        >>> text = '''(component
        ...   (core module $m (func (export "add") (param i32 i32) (result i32)
        ...     local.get 0 local.get 1 i32.add))
        ...   (core instance $i (instantiate $m))
        ...   (func (export "add") (param "a" s32) (param "b" s32) (result s32)
        ...     (canon lift (core func $i "add"))))'''
        >>> with hlwasm.load(text.encode()).instantiate() as sandbox:
        ...     sandbox.exports.add(2, 3)
        5
    """
    if number_lists != "list":
        from hlwasm.codec.number_lists import check_number_lists

        check_number_lists(number_lists)
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, path, source = "<bytes>", None, bytes(source)
    else:
        # Not by pathlib, which a start from the cache does without.
        path = os.path.abspath(source)  # noqa: PTH100
        name = os.fspath(source).rstrip("/").rpartition("/")[2]
    documentation = None
    if world is not None and wit is None:
        raise ValueError(f"world={world!r} says which world of wit=, which is not given")
    if wit is not None:
        from hlwasm.wit.sources import read_wit

        documentation = read_wit(wit, world)
    chosen = (Cache() if cache else None) if isinstance(cache, bool) else cache
    try:
        artifact = prepare(
            source,
            options=CompileOptions(fuel=fuel, transfer_bytes=transfer_memory),
            cache=chosen,
            progress=progress,
        )
    except LoadError as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (f"{name}: {error.args[0]}", *error.args[1:])
        raise
    component = Component(
        artifact,
        name,
        reuse=reuse,
        number_lists=number_lists,
        documentation=documentation,
        path=path,
    )
    if documentation is not None:
        _check_concern(component, documentation)
    _check_transfer_memory(component, transfer_memory)
    if fuel and not artifact.metadata.fuel:
        raise ArtifactError(
            f"{name}: the artifact was compiled without fuel: compile it again with fuel=True, "
            "on the command line with --fuel"
        )
    return component


def _check_concern(component: Component, documentation: Description) -> None:
    from hlwasm.wit.documentation import concerns

    if not concerns(documentation, component.description):
        raise InvalidWit(
            f"{component.name}: the world {documentation.world} in wit= has no interface and no "
            "function in common with it"
        )


def _check_transfer_memory(component: Component, limit: int) -> None:
    """An artifact from elsewhere chose its own size, which bounds what a call may cost here."""
    description = component.description
    pages = max(description.import_pages, description.export_pages)
    if pages > -(-limit // WASM_PAGE):
        needed = pages * WASM_PAGE
        raise TransferLimitExceeded(
            f"{component.name}: the artifact was compiled for values of {needed} bytes, and the "
            f"limit is {limit}: pass transfer_memory={needed} to hlwasm.load to allow it",
            "transfer_memory",
            limit,
        )


class Component(Shared):
    """A compiled component, ready to be instantiated any number of times, by any thread.

    Attributes:
        name: file name, or ``<bytes>``.
        artifact: what the guest runs.
        sandbox_class: what :meth:`instantiate` makes; see :mod:`hlwasm.bindgen`.
    """

    sandbox_class: ClassVar[type[Sandbox]] = Sandbox
    _instead = "load it where it is needed; the cache has it compiled"

    def __init__(
        self,
        artifact: Artifact,
        name: str,
        *,
        reuse: bool = True,
        number_lists: NumberLists = "list",
        documentation: Description | None = None,
        path: str | None = None,
    ) -> None:
        self.artifact = artifact
        self.name = name
        self._number_lists: NumberLists = number_lists
        self._documentation = documentation
        # Where it was loaded from; for tests, which look for constants in the code.
        self._path = path
        self._starts = Starts() if reuse else None
        self._configured: tuple[Limits | None, Configuration | None] = None, None

    @cached_property
    def description(self) -> Description:
        """Its world, as objects."""
        description = Description.from_json(self.artifact.description, self._number_lists)
        if self._documentation is not None:
            from hlwasm.wit.documentation import documented

            description = documented(description, self._documentation)
        description.cache["identity"] = self.artifact.metadata.source_sha256
        return description

    @property
    def wit(self) -> str:
        """Its world, as WIT text."""
        return self.description.wit

    @cached_property
    def types(self) -> ComponentTypes:
        """The classes of its records, variants, enums and flags, by interface.

        They are those of all its sandboxes, and there before the first one.

        Example:
            >>> component.types.geometry.Point(x=1.0, y=2.0)  # doctest: +SKIP
            Point(x=1.0, y=2.0)
        """
        from hlwasm.sandbox.types_view import ComponentTypes

        return ComponentTypes(self.description)

    def instantiate(
        self,
        imports: Any = None,
        *,
        wasi: Wasi | None = None,
        limits: Limits | None = None,
    ) -> Sandbox:
        """Boots a micro-VM and instantiates the component in it.

        Args:
            imports: what the component imports: a mapping, module or object with its
                interfaces (by WIT or Python name) and world-level functions. An interface
                given here goes before WASI's.
            wasi: what the component's WASI imports may reach; by default nothing: no
                arguments, environment or input, and output goes to the logger
                ``hlwasm.guest``.
            limits: what the sandbox may use.

        Raises:
            LinkError: imports are missing or do not fit, all of them named.
            NoHypervisorFound: no usable /dev/kvm.
            MemoryLimitExceeded, TableLimitExceeded: the component needs more than the
                limits allow.
            FuelExhausted, …: a limit was reached while it was instantiated, which is a call.
            ValueError: ``limits`` has fuel, and the artifact does not count it.
            Trap: the component trapped while it was instantiated.
        """
        return self.sandbox_class(self, imports, wasi, limits or _DEFAULT_LIMITS)

    def instantiate_async(
        self,
        imports: Any = None,
        *,
        wasi: Wasi | None = None,
        limits: Limits | None = None,
    ) -> Instantiation:
        """As :meth:`instantiate`, for asyncio: see :class:`hlwasm.AsyncSandbox`.

        ``await`` it, or use it in an ``async with`` statement::

            async with component.instantiate_async({"fetch": fetch}) as sandbox:
                await sandbox.exports.next(4)

        Functions in ``imports`` may be coroutine functions. What :meth:`instantiate` raises
        is raised when it is awaited.
        """
        from hlwasm.sandbox.async_sandbox import AsyncSandbox, Instantiation

        async def start() -> AsyncSandbox:
            return await AsyncSandbox(self, imports, wasi, limits or _DEFAULT_LIMITS).start()

        return Instantiation(start)

    def configuration(self, limits: Limits) -> Configuration:
        """What native sandboxes of it are made of.

        Raises:
            LimitExceeded: the component needs more than the limits allow.
        """
        fd = self.artifact.fd
        known, found = self._configured
        # The same object for the most part. A closed artifact has no descriptor any more.
        if known is limits and found is not None and found.artifact_fd == fd:
            return found
        made = Configuration(
            window_bytes(self.description, limits),
            limits.runtime_memory,
            fd,
            self.artifact.code_bytes,
            total_memory_bytes(limits),
        )
        self._configured = limits, made
        return made

    @cached_property
    def _imports_wasi(self) -> bool:
        names = (i.name for i in self.description.interfaces if i.direction == "import")
        return any(name.startswith(("wasi:", "hlwasm:")) for name in names)

    def _providers(self, wasi: Wasi | None) -> list[Any]:
        if wasi is None and not self._imports_wasi:
            return []
        from hlwasm.wasi import Wasi, WasiHost

        if wasi is not None and not isinstance(wasi, Wasi):
            raise TypeError(f"wasi: expected hlwasm.Wasi, not {type(wasi).__name__}")
        if not self._imports_wasi:
            return []
        # One write may fill a quarter of the memory that carries it.
        permit = max(4096, self.description.import_pages * WASM_PAGE // 4)
        return [WasiHost(wasi or Wasi(), write_permit=permit)]

    def __repr__(self) -> str:
        return f"<Component {self.name}: {self.description.world}>"

"""The pytest plugin: components, sandboxes and fakes as fixtures.

pytest imports this module in every run wherever hlwasm is installed; so it imports pytest, which
is there, and the rest of hlwasm when a fixture is first used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from types import TracebackType

    from hlwasm.component import Component
    from hlwasm.sandbox.exports import Exports
    from hlwasm.sandbox.limits import Limits
    from hlwasm.sandbox.sandbox import Sandbox
    from hlwasm.testing.fakes import Fakes
    from hlwasm.testing.kept import KeptSandboxes
    from hlwasm.wasi import Wasi

_MARKER = (
    "component(path, *, wit, world, imports, wasi, limits, load, strict, fake_wasi, recording): "
    "the component that the fixtures component, sandbox, exports and fakes are about; see hlwasm's "
    "docs/testing.md"
)
_OPTIONS = {
    "wit", "world", "imports", "wasi", "limits", "load", "strict", "fake_wasi", "recording"
}  # fmt: skip
_REQUIRE = "hlwasm_require_hypervisor"
_REQUIRE_VARIABLE = "HLWASM_REQUIRE_KVM"
_FAKES: pytest.StashKey[Fakes] = pytest.StashKey()
_RUN: pytest.StashKey[AbstractContextManager[Sandbox]] = pytest.StashKey()
_PACKAGE = str(Path(__file__).parent.parent) + os.sep


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("hlwasm_component", "component of tests without a mark, relative to the rootdir")
    parser.addini(
        _REQUIRE,
        "fail tests that need a hypervisor where there is none, instead of skipping them",
        type="bool",
        default=False,
    )
    parser.getgroup("hlwasm").addoption(
        "--hlwasm-record",
        action="store_true",
        help="make the recordings of tests whose mark names one, instead of replaying them",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


# Fixtures


@pytest.fixture(scope="session")
def _hlwasm_components() -> dict[object, Component | str]:
    """What was loaded in this session by its path, or why it cannot be."""
    return {}


@pytest.fixture(scope="session")
def _hlwasm_sandboxes() -> Iterator[KeptSandboxes]:
    from hlwasm.testing.kept import KeptSandboxes

    kept = KeptSandboxes()
    yield kept
    kept.close()


@pytest.fixture
def component(
    request: pytest.FixtureRequest, _hlwasm_components: dict[object, Component | str]
) -> Component:
    """The component of the test's ``@pytest.mark.component(path)``; loaded once a session.

    Parametrized indirectly, the parameter is the path. Where the mark has a ``wit``, it has to
    conform to that world.
    """
    from hlwasm.sandbox.limits import Limits

    source = _source(request)
    options = _options(request.node)
    loading = dict(options.get("load", {}))
    if "wit" in options:
        places = [request.node.path.parent, request.config.rootpath]
        loading["wit"] = _find("WIT", options["wit"], places)
        loading["world"] = options.get("world")
    limits = options.get("limits")
    if limits is not None and not isinstance(limits, Limits):
        _expected("limits", "hlwasm.Limits", limits)
    if limits is not None and limits.fuel is not None:
        loading.setdefault("fuel", True)
    key = source, repr(sorted(loading.items()))
    found = _hlwasm_components.get(key)
    if found is None:
        found = _hlwasm_components[key] = _load(source, loading)
    if isinstance(found, str):
        _fail(found)
    return found


@pytest.fixture
def imports(request: pytest.FixtureRequest) -> Any:
    """What implements the component's imports; override it with a fixture of your own.

    By default the mark's ``imports``, and where it has none the ``fakes``.
    """
    options = _options(request.node)
    if "imports" in options:
        return _made(options["imports"])
    return request.getfixturevalue("fakes")


@pytest.fixture
def wasi(request: pytest.FixtureRequest) -> Wasi | None:
    """What the component's WASI imports may reach: the mark's ``wasi``. May be overridden."""
    made: Wasi | None = _made(_options(request.node).get("wasi"))
    return made


@pytest.fixture
def fakes(request: pytest.FixtureRequest, component: Component) -> Fakes:
    """Fakes of the component's imports; what was expected of them is verified after the test."""
    from hlwasm.testing.fakes import Fakes

    options = _options(request.node)
    try:
        made = Fakes(
            component, strict=options.get("strict", False), wasi=options.get("fake_wasi", ())
        )
    except ValueError as error:
        _fail(str(error))
    request.node.stash[_FAKES] = made
    return made


@pytest.fixture
def sandbox(
    request: pytest.FixtureRequest,
    component: Component,
    imports: Any,
    wasi: Wasi | None,
    _hlwasm_sandboxes: KeptSandboxes,
) -> Iterator[Sandbox]:
    """The component in a micro-VM, in the state right after its instantiation.

    Tests with the same component, limits and WASI share one: it is restored after each. One with
    a recording has a sandbox of its own.
    """
    options = _options(request.node)
    limits = options.get("limits")
    if "recording" in options:
        run = _recorded_run(request, component, imports, wasi, limits)
        with _explained(request.config, component):
            made = run.__enter__()
        request.node.stash[_RUN] = run
        yield made
        if _RUN in request.node.stash:
            _abandon(run)
        return
    with _explained(request.config, component):
        taken = _hlwasm_sandboxes.take(component, imports, wasi, limits)
    yield taken
    _hlwasm_sandboxes.give_back(taken)


@pytest.fixture
def exports(sandbox: Sandbox) -> Exports:
    """The exports of the test's ``sandbox``."""
    return sandbox.exports


def _recorded_run(
    request: pytest.FixtureRequest,
    component: Component,
    imports: Any,
    wasi: Wasi | None,
    limits: Limits | None,
) -> AbstractContextManager[Sandbox]:
    """The sandbox of a test with a recording: one that makes it, or one that replays it."""
    from hlwasm.testing.recording import record, replaying

    given = _options(request.node)["recording"]
    if not isinstance(given, (str, os.PathLike)):
        _expected("recording", "a path", given)
    path = request.node.path.parent / given
    if request.config.getoption("hlwasm_record"):
        return record(path, component, imports, wasi=wasi, limits=limits)
    if not path.is_file():
        _fail(f"there is no recording {path}: make it by pytest --hlwasm-record")
    # They are not called, so nothing they expect would come. The recording expects it.
    if _FAKES in request.node.stash:
        del request.node.stash[_FAKES]
    return replaying(path, component, limits=limits)


@contextmanager
def _explained(config: pytest.Config, component: Component) -> Iterator[None]:
    """Fails in one line where a sandbox cannot be made; skips where there is no hypervisor."""
    from hlwasm.errors import HlwasmError, NoHypervisorFound

    try:
        yield
    except NoHypervisorFound as error:
        _without_hypervisor(config, error)
    except (HlwasmError, OSError) as error:
        _fail(f"{component.name} cannot be instantiated: {error}")


def _abandon(run: AbstractContextManager[Sandbox]) -> None:
    """Closes a sandbox whose test has failed, and makes no recording of it."""
    failed = RuntimeError("the test failed")
    with suppress(RuntimeError):
        run.__exit__(RuntimeError, failed, None)


# The end of a test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """What fakes and recordings expect is part of the test: it fails, and not its teardown."""
    try:
        result = yield
    except AssertionError as error:
        _hide_internals(error)
        raise
    try:
        if _FAKES in item.stash:
            item.stash[_FAKES].verify()
        if _RUN in item.stash:
            run = item.stash[_RUN]
            del item.stash[_RUN]
            run.__exit__(None, None, None)
    except Exception as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    return result


def _hide_internals(error: AssertionError) -> None:
    """Ends the traceback of a failed check where hlwasm begins: the rest is not about the test."""
    # In tests that have nothing to do with hlwasm, it is not imported.
    errors = sys.modules.get("hlwasm.errors")
    if errors is None or not isinstance(error, errors.CheckFailed):
        return
    users: TracebackType | None = None
    entry = error.__traceback__
    while entry is not None:
        file = entry.tb_frame.f_code.co_filename
        ours = file.startswith((_PACKAGE, "<hlwasm ")) and file != __file__
        if ours and users is not None:
            users.tb_next = None
            return
        users = None if ours else entry
        entry = entry.tb_next


# The mark


def _options(node: pytest.Item) -> dict[str, Any]:
    """The options of all marks of a test; a nearer one goes before one of its class or module."""
    options: dict[str, Any] = {}
    for mark in node.iter_markers("component"):
        unknown = [name for name in mark.kwargs if name not in _OPTIONS]
        if unknown or len(mark.args) > 1:
            known = ", ".join(sorted(_OPTIONS))
            wrong = f"unknown option {unknown[0]}" if unknown else "more than one path"
            _fail(f"@pytest.mark.component: {wrong}; it takes a path and {known}")
        options = {**mark.kwargs, **options}
    return options


def _source(request: pytest.FixtureRequest) -> Path | bytes:
    """Where the test's component is, or what it is."""
    node = request.node
    _options(node)
    paths = [mark.args[0] for mark in node.iter_markers("component") if mark.args]
    given = getattr(request, "param", None) or (paths[0] if paths else None)
    places = [node.path.parent, request.config.rootpath]
    if given is None:
        given = request.config.getini("hlwasm_component") or None
        places = [request.config.rootpath]
    if given is None:
        _fail(
            'no component: mark the test with @pytest.mark.component("path.wasm"), '
            "or set hlwasm_component in pytest's configuration"
        )
    if isinstance(given, bytes):
        return given
    return _find("component", given, places)


def _find(what: str, given: Any, places: Sequence[Path]) -> Path:
    """A path of the mark, relative to the first of these places where it exists."""
    if not isinstance(given, (str, os.PathLike)):
        _expected(what, "a path", given)
    candidates: list[Path] = [place / Path(given) for place in dict.fromkeys(places)]
    found = next((each for each in candidates if each.exists()), None)
    if found is None:
        _fail(f"there is no {what} {' or '.join(map(str, candidates))}")
    return found


def _load(source: Path | bytes, options: dict[str, Any]) -> Component | str:
    """The component, or what is wrong with it."""
    from hlwasm.component import load
    from hlwasm.errors import LimitExceeded, LoadError

    try:
        component = load(source, **options)
        if "wit" not in options:
            return component
        from hlwasm.testing.conforming import conformance

        report = conformance(component, options["wit"], options["world"])
    except (LoadError, LimitExceeded, OSError, TypeError, ValueError) as error:
        return f"the component cannot be loaded: {error}"
    return component if report.conforms else f"{component.name} {report}"


def _made(given: Any) -> Any:
    """An option's value, or what makes one for each test: a function or class."""
    return given() if isinstance(given, (FunctionType, type)) else given


# Ends


def _expected(option: str, what: str, given: object) -> NoReturn:
    got = type(given).__name__
    _fail(f"@pytest.mark.component: {option}: expected {what}, not {got}")


def _fail(message: str) -> NoReturn:
    """Fails without a traceback, which would show this module and nothing of the user's."""
    raise pytest.fail.Exception(message, pytrace=False) from None


def _without_hypervisor(config: pytest.Config, error: Exception) -> NoReturn:
    reason = str(error).partition("\n")[0]
    if config.getini(_REQUIRE):
        _fail(f"{reason} ({_REQUIRE} is set)")
    if os.environ.get(_REQUIRE_VARIABLE) == "1":
        _fail(f"{reason} ({_REQUIRE_VARIABLE}=1)")
    raise pytest.skip.Exception(reason) from None

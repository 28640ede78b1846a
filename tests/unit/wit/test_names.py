from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlwasm.wit import names


@pytest.mark.parametrize(
    ("wit", "snake", "camel", "upper"),
    [
        ("add", "add", "Add", "ADD"),
        ("get-random-bytes", "get_random_bytes", "GetRandomBytes", "GET_RANDOM_BYTES"),
        ("HTTP3-error", "http3_error", "Http3Error", "HTTP3_ERROR"),
        ("a1-b2", "a1_b2", "A1B2", "A1_B2"),
        ("is-2d", "is_2d", "Is2d", "IS_2D"),
        ("from", "from_", "From", "FROM"),
        ("none", "none", "None_", "NONE"),
        ("true", "true", "True_", "TRUE"),
        ("match", "match", "Match", "MATCH"),
        ("print", "print", "Print", "PRINT"),
    ],
)
def test_names_follow_componentize_py(wit: str, snake: str, camel: str, upper: str) -> None:
    assert names.snake_case(wit) == snake
    assert names.upper_camel_case(wit) == camel
    assert names.upper_snake_case(wit) == upper


@pytest.mark.parametrize("text", ["", "1a", "a--b", "-a", "a-", "a_b", "a b", "a\nb", "é", "a;b"])
def test_what_is_no_wit_name_never_becomes_source(text: str) -> None:
    for convert in (names.snake_case, names.upper_camel_case, names.upper_snake_case):
        with pytest.raises(names.NotAWitName):
            convert(text)


@given(st.text())
def test_an_identifier_can_be_made_of_any_text(text: str) -> None:
    made = names.identifier(text)
    assert made.isidentifier()
    assert not keyword.iskeyword(made)


def test_function_names_are_taken_apart() -> None:
    parse, Name = names.parse_function_name, names.FunctionName
    assert parse("add") == Name("function", None, "add")
    assert parse("[method]input-stream.read") == Name("method", "input-stream", "read")
    assert parse("[static]blob.make") == Name("static", "blob", "make")
    assert parse("[constructor]blob") == Name("constructor", "blob", "blob")
    with pytest.raises(names.NotAWitName):
        parse("[method]read")
    assert names.python_function_name("[constructor]in-put") == "InPut"
    assert names.python_function_name("[static]blob.from") == "from_"
    assert names.python_function_name("some.core name") == "some_core_name"


def test_a_member_of_a_resource_does_not_take_the_name_that_all_resources_have() -> None:
    assert names.python_function_name("[method]blob.drop") == "drop_"
    assert names.python_function_name("[static]blob.drop") == "drop_"
    assert names.python_function_name("drop") == "drop"


def test_interface_names_are_taken_apart() -> None:
    parsed = names.parse_interface_name("wasi:io/streams@0.2.0-rc.1")
    assert parsed == names.InterfaceName("wasi", "io", "streams", "0.2.0-rc.1")
    assert str(parsed) == "wasi:io/streams@0.2.0-rc.1"
    assert names.parse_interface_name("a:b/c").version == ""
    assert str(names.parse_interface_name("plain")) == "plain"

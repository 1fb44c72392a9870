"""Registries answer a wrong name with the nearest right one."""

import pytest

from robustmeta.errors import RobustMetaError, unknown
from robustmeta.registry import Registry


@pytest.fixture
def colours() -> Registry[int]:
    made: Registry[int] = Registry("colour")
    for name, value in (("red", 1), ("green", 2), ("amber", 3)):
        assert made.register(name)(value) == value
    return made


def test_entries_are_found_listed_and_counted(colours) -> None:
    assert colours["green"] == 2
    assert list(colours) == ["amber", "green", "red"]
    assert len(colours) == 3
    assert "red" in colours
    assert "blue" not in colours
    assert 7 not in colours


def test_a_misspelt_name_gets_the_nearest_and_all(colours) -> None:
    with pytest.raises(RobustMetaError) as error:
        colours["gren"]
    assert str(error.value) == "unknown colour 'gren'; did you mean 'green'? (known: amber, green, red)"


def test_a_name_near_to_none_gets_all(colours) -> None:
    with pytest.raises(RobustMetaError) as error:
        colours["xyzzy"]
    assert str(error.value) == "unknown colour 'xyzzy' (known: amber, green, red)"
    assert str(unknown("colour", 5, ["red"])) == "unknown colour 5 (known: red)"


def test_a_name_is_taken_once(colours) -> None:
    with pytest.raises(RobustMetaError, match="the colour 'red' is registered twice; choose another name"):
        colours.register("red")(9)
    assert colours["red"] == 1


def test_register_decorates_classes_and_hands_them_back() -> None:
    kinds: Registry[type] = Registry("kind")

    @kinds.register("thing")
    class Thing:
        pass

    assert kinds["thing"] is Thing


def test_the_error_is_a_value_error() -> None:
    assert issubclass(RobustMetaError, ValueError)


def test_an_entry_is_found_by_itself(colours) -> None:
    assert colours.name_of(1) == "red"
    assert colours.name_of(77) is None

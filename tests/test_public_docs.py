"""Every public name is documented in numpydoc form: shapes, units, what is returned and raised."""

import inspect
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate

import carkinetics as ck

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
CHECKS = set(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["numpydoc_validation"]["checks"])


def public_objects() -> list[str]:
    """Dotted names of the public functions and classes, and of the classes' own public methods."""
    found = []
    for name in ck.__all__:
        thing = getattr(ck, name)
        members = [thing]
        if inspect.ismodule(thing):
            members = [getattr(thing, inner) for inner in thing.__all__]
        for member in members:
            home = f"{member.__module__}.{member.__qualname__}"
            found.append(home)
            if inspect.isclass(member):
                found += [
                    f"{home}.{method}"
                    for method, value in vars(member).items()
                    if not method.startswith("_")
                    and inspect.isfunction(inspect.unwrap(value))
                    and not getattr(value, "__override__", False)  # documented where it is first defined
                ]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("name", public_objects())
def test_a_public_name_is_documented_in_numpydoc_form(name: str):
    errors = [(code, words) for code, words in validate(name)["errors"] if code in CHECKS]
    assert errors == []

"""The package is light until something heavy is asked of it."""

import subprocess
import sys

import pytest

import carkinetics as ck

HEAVY = ("pymc", "pytensor", "numba", "matplotlib", "arviz", "xarray", "pandas", "scipy", "lmfit")
NOT_FOR_HELP = ("pymc", "pytensor", "numba", "arviz", "nutpie", "matplotlib", "lmfit")


def loaded_after(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after some code; its own output is left out."""
    script = (
        f"{code}\nimport sys\nprint('LOADED', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("LOADED"))
    return set(line.split()[1:])


def test_importing_the_package_imports_nothing_heavy():
    found = loaded_after("import carkinetics")
    assert "carkinetics" in found
    assert not found & set(HEAVY)


def test_help_does_not_wait_for_the_sampler():
    found = loaded_after(
        "import sys\n"
        "from carkinetics.cli import main\n"
        "for arguments in ['--help'], ['fit', '--help'], ['--version']:\n"
        "    sys.argv = ['carkinetics', *arguments]\n"
        "    try:\n        main()\n    except SystemExit as stop:\n        assert not stop.code\n"
    )
    assert "typer" in found
    assert not found & set(NOT_FOR_HELP)


def test_describing_a_model_needs_no_sampler():
    found = loaded_after("import carkinetics as ck\nck.predict(ck.load_model('stein2019'), [1.0])")
    assert not found & {"pymc", "pytensor", "numba", "nutpie", "lmfit", "matplotlib"}


@pytest.mark.parametrize("name", ck.__all__)
def test_every_public_name_is_there(name: str):
    assert getattr(ck, name) is not None
    assert name in dir(ck)


def test_the_version_is_that_of_the_installed_package():
    from importlib.metadata import version

    assert ck.__version__ == version("carkinetics")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'read_nonmen'"):
        _ = ck.read_nonmen  # type: ignore[attr-defined]


def test_the_names_for_type_checkers_are_the_public_ones():
    import ast
    from pathlib import Path

    tree = ast.parse(Path(ck.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    named = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == set(ck.__all__)

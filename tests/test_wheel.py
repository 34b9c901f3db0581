"""What a user gets from the wheel: the package, its models and its example data, away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
USE = """
import carkinetics as ck
from pathlib import Path
assert "site-packages" in ck.__file__, ck.__file__
assert ck.load_model("stein2019").parameters["tmax"].typical == 9.3
assert len(ck.models()) >= 5
data = ck.example("nct05783089")
assert len(data.subjects) == 87, data
assert len(ck.nca(data, assay="qpcr").subject_ids) == 87
assert Path(ck.write_report("r.html", data)).stat().st_size > 10_000
print(ck.__version__)
"""


def call(*command: object, cwd: Path, **extra: str) -> str:
    env = {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")
    } | extra
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def uv(require) -> str:
    found = shutil.which("uv")
    require(found, "uv is needed to build and install the wheel")
    return str(found)


@pytest.fixture(scope="module")
def wheel(uv: str, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    call(uv, "build", "--wheel", "--python", sys.executable, "--out-dir", place, ROOT, cwd=place)
    (found,) = place.glob("*.whl")
    return found


def test_the_wheel_holds_models_data_and_the_page_and_no_run(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "carkinetics/py.typed", "carkinetics/report/page.html.j2", "carkinetics/report/page.css",
        "carkinetics/_shipped/models/stein2019.toml", "carkinetics/_shipped/data/nct05783089/dataset.toml",
    ):  # fmt: skip
        assert wanted in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "/runs/" in name or name.startswith("tests/")]


def test_the_installed_wheel_works_elsewhere(uv: str, wheel: Path, tmp_path: Path):
    venv = tmp_path / "venv"
    call(uv, "venv", "--quiet", "--python", sys.executable, venv, cwd=tmp_path)
    python = venv / "bin" / "python"
    call(uv, "pip", "install", "--quiet", "--python", python, wheel, cwd=tmp_path)
    assert call(python, "-c", USE, cwd=tmp_path).strip()
    assert "stein2019" in call(venv / "bin" / "carkinetics", "models", cwd=tmp_path)

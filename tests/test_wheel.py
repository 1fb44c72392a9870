"""What is installed: one importable name, with the cards and recipes inside it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAM = """
import robustmeta
from robustmeta.attacks.card import names, resolve
from robustmeta.recipe_file import find
print(robustmeta.__file__)
print(len(names()), len(resolve("quick")), find(None)[0].name)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the wheel's content, built from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("robustmeta", "attacks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


def test_robustmeta_is_the_only_importable_name(installed):
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names - {"bin"} == {"robustmeta"}
    assert (installed / "robustmeta" / "py.typed").is_file()
    assert (installed / "bin" / "robustmeta").is_file()


def test_the_installed_package_finds_its_own_cards_and_recipes(installed, tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    where, counts = result.stdout.splitlines()
    assert Path(where).parent == installed / "robustmeta"
    cards, quick, recipe = counts.split()
    assert int(cards) == len(list((ROOT / "attacks").glob("*.yaml"))) - len(list((ROOT / "attacks").glob("suite-*")))
    assert (int(quick), recipe) == (3, "glyphs-5w1s")


def test_what_the_pages_are_made_of_and_the_models_are_installed(installed):
    package = ROOT / "robustmeta"
    parts = [*(package / "report" / "web").glob("[!_]*.*"), package / "audit" / "codes.md"]
    parts += [*(package / "zoo").glob("*.safetensors"), package / "zoo" / "results.csv"]
    parts = [part.relative_to(package) for part in parts if part.suffix != ".pyc"]
    assert {"template.html", "page.css", "page.js", "codes.md", "results.csv"} <= {part.name for part in parts}
    assert [part for part in parts if not (installed / "robustmeta" / part).is_file()] == []


def test_nothing_imports_torchvision(installed, tmp_path):
    program = "import sys; sys.modules['torchvision'] = None\n" + PROGRAM + "from robustmeta.cli import main\n"
    program += "from robustmeta.attacks.card import card\nfrom robustmeta import Threat\ncard('mifgsm').build(Threat())"
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, capture_output=True)

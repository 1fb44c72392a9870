"""The pages under docs/ that teach: their snippets, recipes and commands run, in the order they stand in."""

import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from robustmeta.cli import main
from robustmeta.data import DATASETS
from robustmeta.defenses import DEFENSES
from robustmeta.learners import LEARNERS
from robustmeta.marked_yaml import load_marked

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("concepts", "recipes", "data", "attacks", "extending")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_runs(page, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for registry in (LEARNERS, DEFENSES, DATASETS):  # as they were, after the test
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    torch.manual_seed(0)
    names: dict[str, object] = {"__name__": "page"}
    for language, text in BLOCK.findall((DOCS / f"{page}.md").read_text("utf-8")):
        if language == "python":
            exec(compile(text, f"docs/{page}.md", "exec"), names)
        elif language == "yaml":
            Path(f"{load_marked(text, page)[0]['name']}.yaml").write_text(text, "utf-8")
        else:
            assert language == "sh"
            for line in text.splitlines():
                command, *arguments = line.partition("#")[0].split()
                assert command == "robustmeta"
                result = CliRunner().invoke(main, arguments)
                assert result.exit_code == 0, f"{line}\n{result.output}"


def test_every_page_is_reached_from_the_readme() -> None:
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    assert all(f"docs/{page.name}" in readme for page in DOCS.glob("*.md"))


@pytest.mark.parametrize("page", sorted(page.name for page in DOCS.glob("*.md")))
def test_links_lead_somewhere(page) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", (DOCS / page).read_text("utf-8"))
    assert all((DOCS / target).exists() for target in targets if "://" not in target)

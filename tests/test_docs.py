"""The pages under docs/: what those that teach show runs, in its order, and every command names what there is."""

import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from robustmeta.attacks.card import resolve
from robustmeta.cli import main
from robustmeta.data import DATASETS
from robustmeta.defenses import DEFENSES
from robustmeta.learners import LEARNERS
from robustmeta.marked_yaml import load_marked
from robustmeta.recipe_file import find
from robustmeta.zoo import open_model

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("concepts", "recipes", "data", "attacks", "extending", "results")
SHOWN = ("results",)
"""Pages whose commands need data or hours, or are run by tests/zoo/test_shelf.py: they are checked and not run."""
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
            for line in text.splitlines() if page not in SHOWN else ():
                command, *arguments = line.partition("#")[0].split()
                assert command == "robustmeta"
                result = CliRunner().invoke(main, arguments)
                assert result.exit_code == 0, f"{line}\n{result.output}"


def commands(text: str) -> set[str]:
    """The robustmeta commands in the sh blocks and in the prose of a page, without comments."""
    inline = re.findall(r"`(robustmeta\s[^`]+)`", BLOCK.sub("", text))
    lines = [line for language, block in BLOCK.findall(text) if language == "sh" for line in block.splitlines()]
    found = {" ".join(line.partition("#")[0].split()) for line in [*inline, *lines]}
    return {line for line in found if line.startswith("robustmeta ")}


def plain(line: str) -> list[list[str]]:
    """The arguments of a command whose optional parts are all there, once for each of its alternatives."""
    words = re.sub(r"[\[\]]|\.\.\.", "", line).replace("--threads N", "--threads 2").split()[1:]
    choices = next((word.split("|") for word in words if "|" in word), [""])
    return [[choice if "|" in word else word for word in words] for choice in choices]


COMMANDS = {
    path.name: commands(path.read_text("utf-8")) for path in [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]
}


@pytest.mark.parametrize(("page", "line"), [(page, line) for page in COMMANDS for line in sorted(COMMANDS[page])])
def test_a_command_has_options_that_there_are_and_names_what_there_is(page, line) -> None:
    for name, *arguments in plain(line):
        command, bare = main.commands[name], not arguments  # bare where prose speaks of it, and gives it nothing
        given = command.make_context(name, arguments, resilient_parsing=bare).params  # raises for what it has not
        named = {key: str(given[key]) for key in ("recipe", "checkpoint") if given.get(key) is not None}
        named = {key: value for key, value in named.items() if not re.search(r"[A-Z]{4}|\.(yaml|pt)$", value)}
        if "recipe" in named:
            assert find(named["recipe"])
        if "checkpoint" in named:
            assert open_model(named["checkpoint"])
        if given.get("attacks"):
            assert resolve([name for each in given["attacks"] for name in each.split(",")])
        if given.get("dataset"):
            assert DATASETS[given["dataset"]["name"]]


def test_commands_are_found_wherever_they_stand() -> None:
    assert {page for page, lines in COMMANDS.items() if lines} >= {"README.md", "results.md", "speed.md", "learners.md"}
    assert "robustmeta bench recommended-omniglot --data-root DATA" in COMMANDS["results.md"]
    assert sum(map(len, COMMANDS.values())) > 25
    assert commands("```sh\nrobustmeta a  b # c\n```\nor `robustmeta\nd` of `it`") == {"robustmeta a b", "robustmeta d"}
    assert plain("robustmeta list a|b") == [["list", "a"], ["list", "b"]]


def test_every_page_is_reached_from_the_readme() -> None:
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    assert all(f"docs/{page.name}" in readme for page in DOCS.glob("*.md"))


@pytest.mark.parametrize("page", sorted(page.name for page in DOCS.glob("*.md")))
def test_links_lead_somewhere(page) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", (DOCS / page).read_text("utf-8"))
    assert all((DOCS / target).exists() for target in targets if "://" not in target)

"""A small report with two rows, benched once."""

import pytest
from click.testing import CliRunner

from robustmeta.cli import main

RECIPE = """
name: small
test: {ways: 3, shots: 1, queries: 2, episodes: 6, seed: 4}
attacks: [fgsm, pgd-2]
curve: {attack: fgsm, eps: [0.1], episodes: 2}
backbone: {name: conv4, width: 4}
training: {ways: 3, shots: 2, queries: 2, tasks: 2, steps: 3}
rows:
  - learner: {name: protonet}
  - name: mine
    learner: {name: protonet}
    defense: {name: aq, attack: fgsm}
"""


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "small.yaml").write_text(RECIPE)
    ran = CliRunner().invoke(
        main, ["bench", str(folder / "small.yaml"), "--out", str(folder / "out"), "--threads", "1"]
    )
    assert ran.exit_code == 0, ran.output
    return folder / "out"

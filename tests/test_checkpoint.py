"""Checkpoints: whole, exact, and deaf to code; everything else is refused in one line."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustmeta.checkpoint import FORMAT, Checkpoint
from robustmeta.errors import RobustMetaError


@pytest.fixture
def state(learner, batch) -> Checkpoint:
    made = learner("protonet", "running").double()
    optimizer = torch.optim.Adam(made.parameters())
    made.loss(batch).backward()
    optimizer.step()
    recipe = {"learner": {"name": "protonet"}, "eps": 8 / 255, "seeds": [1, 2], "defense": {}, "none": None, "on": True}
    log = [{"step": 5, "loss": 0.1 + 0.2}]
    return Checkpoint(made.state_dict(), 5, optimizer.state_dict(), torch.get_rng_state(), recipe, log, [0.1])


def test_what_is_saved_is_loaded_to_the_last_bit(state, tmp_path) -> None:
    path = tmp_path / "new" / "a.pt"
    state.save(path)
    loaded = Checkpoint.load(path)
    assert (loaded.step, loaded.recipe, loaded.log, loaded.losses) == (5, state.recipe, state.log, [0.1])
    assert torch.equal(loaded.rng, state.rng)
    assert list(loaded.weights) == list(state.weights)
    assert all(torch.equal(loaded.weights[key], value) for key, value in state.weights.items())
    for index, moments in state.optimizer["state"].items():
        assert all(torch.equal(loaded.optimizer["state"][index][key], value) for key, value in moments.items())
    assert loaded.optimizer["param_groups"] == state.optimizer["param_groups"]


def test_weights_go_back_into_a_learner_or_are_refused(state, learner) -> None:
    made = learner("protonet", "running", seed=9).double()
    state.restore(made, "a.pt")
    assert all(torch.equal(value, state.weights[key]) for key, value in made.state_dict().items())
    with pytest.raises(RobustMetaError, match=r"^a.pt is the checkpoint of another learner; its weights do not fit$"):
        state.restore(learner("maml", "running"), "a.pt")


def refused(path: Path, message: str | None = None) -> None:
    with pytest.raises(RobustMetaError, match=message) as error:
        Checkpoint.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_or_a_folder_is_refused(tmp_path) -> None:
    refused(tmp_path / "none.pt", "there is no checkpoint")
    refused(tmp_path, "there is no checkpoint")


def test_a_file_cut_anywhere_is_refused(state, tmp_path) -> None:
    path = tmp_path / "a.pt"
    state.save(path)
    whole = path.read_bytes()
    for kept in (0, 1, 3, 50, 1000, *range(2000, len(whole), 1999), len(whole) - 30, len(whole) - 1):
        path.write_bytes(whole[:kept])
        refused(path, "truncated or not a checkpoint")


@given(content=st.binary(max_size=80))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_bytes_are_refused(tmp_path, content) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    refused(path)


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_spoiled_pickle_of_old_torch_is_refused(tmp_path, data) -> None:
    path = tmp_path / "a.pt"
    torch.save({"format": "other", "step": 1, "recipe": {"a": [1, 2.0]}}, path, _use_new_zipfile_serialization=False)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {"w": torch.ones(2)}},
        {"format": "robustmeta checkpoint 0"},
        {"format": FORMAT},
        {"format": FORMAT, "weights": {}, "step": 0, "optimizer": {}, "rng": torch.zeros(2), "further": 1},
        torch.ones(3),
        [1, 2],
        "text",
    ],
)
def test_what_others_saved_with_torch_is_refused(tmp_path, content) -> None:
    path = tmp_path / "a.pt"
    torch.save(content, path)
    refused(path, "not a checkpoint of robustmeta")


def test_files_of_other_programs_are_refused(tmp_path) -> None:
    path = tmp_path / "a.pt"
    path.write_text("name: glyphs\n")
    refused(path)
    with path.open("wb") as file:
        np.savez(file, weights=np.ones(3))
    refused(path)


class Trap:
    """Makes a folder when unpickled by a careless reader."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self):
        import os

        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("kind", ["torch", "torch old", "pickle"])
def test_code_in_a_file_does_not_run(state, tmp_path, kind) -> None:
    path, sprung = tmp_path / "a.pt", tmp_path / "sprung"
    content = {"format": FORMAT, **vars(state), "recipe": Trap(sprung)}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "torch")
    refused(path, "truncated or not a checkpoint")
    assert not sprung.exists()
    torch.load(path, weights_only=False) if kind != "pickle" else pickle.loads(path.read_bytes())
    assert sprung.exists()  # the trap is a real one


def test_an_interrupted_save_leaves_the_old_file(state, tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.pt"
    state.save(path)
    before = path.read_bytes()

    def broken(content, target):
        Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(KeyboardInterrupt):
        state.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]

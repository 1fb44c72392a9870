"""Nothing but the result of a foreign attack may remain."""

import random
import threading

import numpy as np
import pytest
import torch

from robustmeta.attacks.isolation import FrozenTask, isolated


def random_state() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002


def test_random_numbers_start_from_the_seed_and_are_put_back() -> None:
    before = random_state()
    draws = []
    for _ in range(2):
        with isolated(torch.nn.Identity(), 2**40 + 7):
            draws.append((torch.rand(1).item(), np.random.rand(), random.random()))  # noqa: NPY002
            torch.manual_seed(0)
        assert random_state() == before
    assert draws[0] == draws[1]


def test_all_is_put_back_after_an_exception(capsys) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2).eval())
    model[0].weight.requires_grad_(False)
    model[0].bias.grad = grad = torch.ones(2)
    before, state = random_state(), {name: value.clone() for name, value in model.state_dict().items()}

    def misbehave() -> None:
        with torch.no_grad(), isolated(model, 0):
            assert torch.is_grad_enabled()
            assert not any(p.requires_grad for p in model.parameters())
            model.train()
            model(torch.randn(8, 2))
            model[0].bias.grad = torch.zeros(2)
            print("chatter")
            raise RuntimeError("in the attack")

    with pytest.raises(RuntimeError, match="in the attack"):
        misbehave()
    assert random_state() == before
    assert [model.training, model[0].training, model[1].training] == [True, True, False]
    assert [model[0].weight.requires_grad, model[0].bias.requires_grad] == [False, True]
    assert model[0].bias.grad is grad
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert capsys.readouterr().out == ""


def test_threads_take_turns() -> None:
    draws: dict[int, list[float]] = {}

    def draw(seed: int) -> None:
        with isolated(torch.nn.Identity(), seed):
            draws[seed] = [torch.rand(1).item() for _ in range(300)]

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, drawn in draws.items():
        torch.manual_seed(seed)
        assert drawn == [torch.rand(1).item() for _ in range(300)]


def test_a_frozen_task_shows_libraries_what_they_look_for(problem) -> None:
    p = problem("Linf")
    frozen = FrozenTask(p.classifier, 1, torch.device("cpu"))
    assert next(frozen.parameters()).shape == (0,)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert not frozen.train().training
    logits, shifted = p.classifier(p.images)[1], frozen(p.images[1])
    assert (shifted.amin(-1) == 1).all()
    assert torch.allclose(shifted.log_softmax(-1), logits.log_softmax(-1), atol=1e-5)

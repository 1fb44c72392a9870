"""Few-shot tasks from data of your own, in one line each: arrays, a data set of PyTorch, a folder of images.

Run: python examples/your_data.py (a few seconds). Here the three hold the same images, so they give the same tasks.
"""

import tempfile
from pathlib import Path

import pandas as pd
import torch
from PIL import Image

import robustmeta as rm

rm.prepare_process(threads=1)
glyphs = rm.data.load("glyphs", "val")  # stands for your images, uint8 [M, 1, 28, 28], and their labels
images = glyphs.images
labels = [
    name.replace("/", "-") for name, count in zip(glyphs.labels, glyphs.counts, strict=True) for _ in range(count)
]

with tempfile.TemporaryDirectory() as folder:
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        (Path(folder) / label).mkdir(exist_ok=True)
        Image.fromarray(image[0].numpy()).save(Path(folder) / label / f"{row:05}.png")  # FOLDER/CLASS/IMAGE

    task = {"ways": 5, "shots": 1, "queries": 5}
    sources = {  # any `Dataset` of (image, label) will do, as those of torchvision; a list of pairs is one, too
        "arrays": lambda split: rm.Episodes((images, labels), split, **task),
        "dataset": lambda split: rm.Episodes(
            [(x / 255, y) for x, y in zip(images, labels, strict=True)], split, **task
        ),
        "folder": lambda split: rm.Episodes("folder", split, root=folder, size=28, channels=1, **task),
    }
    rows = []
    for name, episodes in sources.items():
        train, test = episodes("train"), episodes("test")  # by default 64 and 20 of 100 classes; none is in both
        torch.manual_seed(0)
        learner = rm.ProtoNet(rm.Conv4(channels=1, size=28, width=12))
        rm.train(learner, train, steps=10, tasks=2, lr=0.005)
        table = rm.evaluate(learner, test, attacks=["fgsm"], episodes=10).set_index("attack")["accuracy"]
        rows.append({"source": name, "train": len(train.counts), "test": len(test.counts), **table})
print(pd.DataFrame(rows).to_string(index=False))

"""Trains a graph that `training.py` wrote with PyTorch, for some steps.

    python benchmarks/training_torch.py GRAPH.json

For a Python with PyTorch, which is no dependency of this project. The layers
are those of RANet's authors' code; padding, which differs, costs nothing.
"""

import json
import pathlib
import sys
import time

import torch
from torch import nn
from torch.nn import functional

_BATCH, _WARMUP, _STEPS, _THREADS = 64, 3, 20, 2


class Graph(nn.Module):
    """Runs a functional model of Keras, channels first."""

    def __init__(self, graph: dict):
        super().__init__()
        self.graph = graph
        self.layers = nn.ModuleDict()
        for call in graph["calls"]:
            settings, channels = call["settings"], call["channels"]
            if call["kind"] == "Conv2D":
                size = settings["kernel_size"][0]
                self.layers[call["name"]] = nn.Conv2d(
                    channels,
                    settings["filters"],
                    size,
                    settings["strides"][0],
                    size // 2,
                    bias=settings["use_bias"],
                )
            elif call["kind"] == "BatchNormalization":
                self.layers[call["name"]] = nn.BatchNorm2d(channels)
            elif call["kind"] == "Dense":
                units = settings["units"]
                self.layers[call["name"]] = nn.Linear(channels, units)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Returns logits of every exit."""
        values = {self.graph["input"]: images}
        for call in self.graph["calls"]:
            inputs = [values[name] for name in call["inputs"]]
            values[call["name"]] = self._call(call, inputs)
        return [values[name] for name in self.graph["outputs"]]

    def _call(self, call: dict, inputs: list[torch.Tensor]) -> torch.Tensor:
        if call["name"] in self.layers:
            return self.layers[call["name"]](inputs[0])
        if call["kind"] == "ReLU":
            return functional.relu(inputs[0])
        if call["kind"] == "Concatenate":
            return torch.cat(inputs, 1)
        if call["kind"] == "BilinearResize":
            size = call["settings"]["height"], call["settings"]["width"]
            return functional.interpolate(
                inputs[0], size=size, mode="bilinear", align_corners=True
            )
        if call["kind"] == "GlobalAveragePooling2D":
            return inputs[0].mean((2, 3))
        raise ValueError(f"No counterpart for {call['kind']}")


def main(path: str) -> None:
    """Trains and prints what it took."""
    torch.set_num_threads(_THREADS)
    torch.manual_seed(0)
    model = Graph(json.loads(pathlib.Path(path).read_text()))
    optimizer = torch.optim.SGD(
        model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4, nesterov=True
    )
    images = torch.rand(_BATCH, 3, 32, 32)
    labels = torch.randint(0, 10, (_BATCH,))
    steps = []
    for _ in range(_WARMUP + _STEPS):
        begun = time.perf_counter()
        loss = sum(
            functional.cross_entropy(logits, labels) for logits in model(images)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps.append(time.perf_counter() - begun)
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "batch": _BATCH,
                "steps_s": steps[_WARMUP:],
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

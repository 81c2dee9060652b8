"""MiniTorch's trainings for benchmarks/accuracies.py: the recipes of exercises/4_fashion_mnist, as they stand there."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import minitorch
from benchmarks.accuracy_tasks import exercise_module, images_of
from minitorch.data import ImageDataset
from minitorch.losses import cross_entropy
from minitorch.training import evaluate, fit


def train(request: dict[str, Any]) -> dict[str, float]:
    """Train as a recipe says, test after the last epoch, and give accuracy and seconds."""
    minitorch.manual_seed(request["seed"])
    minitorch.set_default_backend(minitorch.FastBackend)
    minitorch.set_default_dtype("float32")
    recipes = exercise_module("4_fashion_mnist", "recipes")
    recipe = recipes.find(request["network"], request["dataset"])
    recipe = replace(recipe, epochs=request["epochs"] or recipe.epochs)
    images, test_images = images_of(recipe.dataset)
    if request["limit"]:
        images = ImageDataset(images.images[: request["limit"]], images.labels[: request["limit"]])

    begun = time.perf_counter()
    model = recipes.make_model(recipe)  # first the model, as in the script: both draw from one seed
    batches, test_batches = recipes.loaders(recipe, images, test_images)
    optimizer = recipes.make_optimizer(recipe, model)
    schedule = recipes.make_schedule(recipe, optimizer, len(batches))
    fit(
        model,
        batches,
        loss=cross_entropy,
        optimizer=optimizer,
        epochs=recipe.epochs,
        schedule=schedule,
        schedule_every="step",
        log=None,
    )
    accuracy = evaluate(model, test_batches)["accuracy"]
    return {"accuracy": accuracy, "training_s": time.perf_counter() - begun}


if __name__ == "__main__":
    print(json.dumps(train(json.loads(sys.argv[1]))))

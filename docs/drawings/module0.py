"""The pictures of module 0: a function of numbers with its derivative, and modules as a tree."""

from __future__ import annotations

import numpy as np
from interface.module_trees import branches, draw_tree
from interface.svg import BLUE, GREEN, ORANGE, Drawing

import minitorch
from minitorch import operators

from .sheets import Plot

__all__ = ["module_tree", "sigmoid"]


def sigmoid() -> Drawing:
    """Draw the sigmoid, its derivative from the rule, and points of that derivative from values alone."""
    plot = Plot((-6.0, 6.0), (0.0, 1.0))
    plot.ticks(range(-6, 7, 2), (0.0, 0.25, 0.5, 0.75, 1.0))
    xs = np.linspace(-6.0, 6.0, 97).tolist()
    plot.named_curve([(x, operators.sigmoid(x)) for x in xs], BLUE, "sigmoid(x)", (1.5, 0.7))
    plot.named_curve([(x, operators.sigmoid_back(x, 1.0)) for x in xs], ORANGE, "sigmoid_back(x, 1)", (2.4, 0.17))
    for x in range(-6, 7):
        slope = minitorch.central_difference(operators.sigmoid, float(x))
        plot.circle(*plot.at(x, slope), 4, fill=GREEN)
    plot.text(300, 288, "dots: central differences of the sigmoid's values", size=12, colour=GREEN)
    return plot


def module_tree() -> Drawing:
    """Draw two layers in a network, the tree that ``named_parameters`` walks through."""
    layers = minitorch.layers
    return draw_tree(branches(layers.Sequential(layers.Linear(2, 4), layers.ReLU(), layers.Linear(4, 1))))

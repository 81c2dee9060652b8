"""Published data sets as NumPy arrays: MNIST, SST-2 and GloVe.

A data set is a short file on top of one mechanism: ``records`` says what a file is, ``search`` finds it in a fixed
order of places and verifies it, ``download`` brings what is missing. Nothing here knows of tensors.
"""

from __future__ import annotations

from .glove import WordVectors, load_glove
from .labels import one_hot
from .mnist import MNIST, load_mnist
from .records import DataFile, DataSet, RemoteFile
from .search import DataNotFoundError
from .sst2 import SST2, load_sst2

__all__ = [
    "MNIST",
    "SST2",
    "DataFile",
    "DataNotFoundError",
    "DataSet",
    "RemoteFile",
    "WordVectors",
    "load_glove",
    "load_mnist",
    "load_sst2",
    "one_hot",
]

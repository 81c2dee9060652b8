"""Data: published data sets, transforms of images, and batches of tensors.

A published data set is a short file on top of one mechanism: ``records`` says what a file is, ``search`` finds it in a
fixed order of places and verifies it, ``download`` brings what is missing. ``catalogue`` knows the images by name.

``dataset`` says what a data set is, ``transforms`` what may become of a batch of images, and ``loader`` makes tensors
of a batch. Until then, data is NumPy arrays.
"""

from __future__ import annotations

from . import transforms
from .catalogue import load
from .cifar import load_cifar10
from .collate import collate
from .corrupt_mnist import load_corrupt_mnist
from .dataset import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from .fashion_mnist import load_fashion_mnist
from .glove import WordVectors, load_glove
from .images import ImageDataset
from .labels import one_hot
from .loader import DataLoader
from .mnist import MNIST, load_mnist
from .records import DataFile, DataSet, RemoteFile
from .search import DataNotFoundError
from .sst2 import SST2, load_sst2
from .transforms import (
    Compose,
    Lambda,
    Normalize,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    ToDtype,
    ToTensor,
    Transform,
    pixel_statistics,
)

__all__ = [
    "MNIST",
    "SST2",
    "Compose",
    "ConcatDataset",
    "DataFile",
    "DataLoader",
    "DataNotFoundError",
    "DataSet",
    "Dataset",
    "ImageDataset",
    "Lambda",
    "Normalize",
    "Pad",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RemoteFile",
    "Subset",
    "TensorDataset",
    "ToDtype",
    "ToTensor",
    "Transform",
    "WordVectors",
    "collate",
    "load",
    "load_cifar10",
    "load_corrupt_mnist",
    "load_fashion_mnist",
    "load_glove",
    "load_mnist",
    "load_sst2",
    "one_hot",
    "pixel_statistics",
    "random_split",
    "transforms",
]

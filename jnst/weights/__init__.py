"""Weights of VGG networks: found, read safely, checked, converted, kept with origin.

`load_weights("vgg19")` is all that most need. Names are the keys of `SOURCES`; files
may be of any format in `READERS`; what is kept is safetensors, with provenance.

| module | concept |
| --- | --- |
| `sources` | published files: address, checksum, licence; packages that carry them |
| `network` | weights in memory, preprocessing, checks of arrays |
| `pickles`, `torch_files` | PyTorch's files, without PyTorch, without running them |
| `h5_files` | Keras' files, HDF5 and `.keras` |
| `layouts` | names and order of arrays in others' files |
| `structure` | networks found by shapes and order alone |
| `recognition` | which layout a file follows; its arrays in our order |
| `readers` | one reader a format |
| `recovery` | the original VGG19 from the normalised one |
| `storage` | the one format weights are kept in |
| `places`, `search` | where to look, and in which order |
"""

from jnst.weights.network import CHANNELS, PREPROCESSING, Network
from jnst.weights.readers import READERS, read_network
from jnst.weights.recovery import channel_scales, recover_original
from jnst.weights.search import (
    convert_weights,
    fetch_weights,
    find_weights,
    list_weights,
    load_at_hand,
    load_described,
    load_weights,
)
from jnst.weights.sources import DEFAULT_SOURCE, SOURCES, PackagedFile, Source
from jnst.weights.storage import (
    read_provenance,
    save_weights,
    tensors_sha256,
    verify,
    write_network,
)

__all__ = [
    "CHANNELS",
    "DEFAULT_SOURCE",
    "PREPROCESSING",
    "READERS",
    "SOURCES",
    "Network",
    "PackagedFile",
    "Source",
    "channel_scales",
    "convert_weights",
    "fetch_weights",
    "find_weights",
    "list_weights",
    "load_at_hand",
    "load_described",
    "load_weights",
    "read_network",
    "read_provenance",
    "recover_original",
    "save_weights",
    "tensors_sha256",
    "verify",
    "write_network",
]

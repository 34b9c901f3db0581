"""Machine code that another version left behind is not read."""

import pickle

import numba
import numpy as np

from carkinetics.model.jit import compiled


@compiled()
def twice(x):
    return 2.0 * x


def test_an_index_of_another_version_is_never_unpickled():
    """What it holds may name a class that has moved since: numba unpickles it before it looks at its own stamp."""
    file = twice._cache._cache_file
    assert twice(3.0) == 6.0
    with open(file._index_path, "rb") as stream:
        assert pickle.load(stream) == file._version
    with open(file._index_path, "wb") as stream:
        stream.write(pickle.dumps(numba.__version__) + b"no pickle at all")
    assert file._load_index() == {}
    assert twice(np.ones(2)).tolist() == [2.0, 2.0]  # another signature: looks into the cache, and saves anew

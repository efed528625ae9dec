"""What `NativeDecoder.write` hands to the library, and what comes back: the arrays of `demur_writing`."""

from collections.abc import Iterator, Sequence

import numpy as np

from models.language_model import MEASURES
from models.native.native_cache import NativeCache
from models.writing_ahead import RowAhead, WrittenAhead


class RowsAhead:
    """R rows. columns: (3, R) ids, slots and positions. most_results: tokens that they may get together."""

    def __init__(self, rows: Sequence[RowAhead]) -> None:
        places = [(row.token_id, row.slot, row.position) for row in rows]
        self.columns = np.array(places, dtype=np.int64).T.copy()
        most = [len(row.uniforms) for row in rows]
        self.most_results = sum(most)
        self._steps = max(most)
        self._most = np.array(most, dtype=np.int32)
        self._uniforms = np.zeros((len(rows), self._steps))
        self._stops = np.full((len(rows), max(len(row.stops) for row in rows)), -1, dtype=np.int64)
        for index, row in enumerate(rows):
            self._uniforms[index, : len(row.uniforms)] = row.uniforms
            self._stops[index, : len(row.stops)] = row.stops
        self._temperatures = np.array([row.temperature for row in rows], dtype=np.float32)

    def counts(self, cache: NativeCache) -> Iterator[int]:
        """The numbers that the structure begins with."""
        yield from (len(self._most), self._steps, cache.slots, cache.length, self._stops.shape[1])

    def addresses(self) -> Iterator[int]:
        """Of the arrays that follow. They live as long as this does."""
        yield from (column.ctypes.data for column in self.columns)
        for array in (self._most, self._uniforms, self._temperatures, self._stops):
            yield array.ctypes.data


class ResultsAhead:
    """Room for what may come back. stride: numbers from the states of one token to those of the next."""

    def __init__(self, most: int, d_model: int, layers: Sequence[int], probes: int) -> None:
        self._layers = {layer: index for index, layer in enumerate(layers)}
        self._rows = np.empty(most, dtype=np.int32)
        self._ids = np.empty(most, dtype=np.int32)
        self._log_probs = np.empty(most, dtype=np.float32)
        self._measures = np.empty((most, len(MEASURES)), dtype=np.float32)
        self._states = np.empty((most, len(layers), d_model), dtype=np.float32)
        self._scores = np.empty((most, probes))
        self.stride = len(layers) * d_model

    def own_addresses(self) -> Iterator[int]:
        """Of rows, ids, log-probabilities and measures."""
        for array in (self._rows, self._ids, self._log_probs, self._measures):
            yield array.ctypes.data

    def addresses(self, n_layers: int) -> Iterator[int | None]:
        """Of the first token's states at each of the network's layers; None at those not asked for."""
        first, size = self._states.ctypes.data, self._states.shape[2] * self._states.itemsize
        for layer in range(n_layers + 1):
            index = self._layers.get(layer)
            yield None if index is None else first + index * size

    def read_addresses(self) -> Iterator[int]:
        """Of states and scores."""
        yield from (self._states.ctypes.data, self._scores.ctypes.data)

    def first(self, count: int) -> WrittenAhead:
        """The results, once there are `count`."""
        return WrittenAhead(
            self._rows[:count].tolist(),
            self._ids[:count].tolist(),
            self._log_probs[:count].tolist(),
            self._measures[:count].tolist(),
            self._states[:count],
            self._scores[:count].tolist(),
        )

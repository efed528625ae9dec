"""llama.cpp's own server on a port, until it is stopped: FILE PORT ROWS CONTEXT THREADS."""

import signal
import sys
from importlib import import_module
from typing import Any

xllamacpp: Any = import_module("xllamacpp")

file, port, rows, context, threads = sys.argv[1], *map(int, sys.argv[2:])
params = xllamacpp.CommonParams()
params.model.path, params.port, params.hostnames = file, port, ["127.0.0.1"]
params.n_parallel, params.n_ctx, params.n_gpu_layers, params.verbosity = rows, rows * context, 0, 0
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
server = xllamacpp.Server(params)
signal.pause()

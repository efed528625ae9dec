// What Python calls, by ctypes (models/native/library.py has the same structures).
#pragma once

#include <cstdint>

extern "C" {

struct demur_shape {
    std::int32_t vocabulary, context, width, layers, heads, threads;
};

// A pass over `count` tokens.
// tokens, slots, positions: (count,). wanted: (count,), whether there are results of a token; they are put one
// after the other.
// logits: (results, vocabulary). signals: (results, 5), as `RowSignals`.
// hidden: for each of layers + 1 (results, width), or null where a layer is not asked for.
// reads: from `demur_reads_new`, or null; read: (results, units), what it reads.
struct demur_pass {
    std::int32_t count, slots_held, length;
    const std::int64_t* tokens;
    const std::int64_t* slots;
    const std::int64_t* positions;
    const std::uint8_t* wanted;
    float* keys;
    float* values;
    float* logits;
    float* signals;
    float* const* hidden;
    const void* reads;
    float* read;
};

// Null if there is no memory. Weights, float32, in the order of `Network`'s constructor; those of the
// embeddings and the rotation have to stay where they are for as long as the network lives.
void* demur_new(const demur_shape* shape, const float* const* weights);
void demur_delete(void* network);

// Something to be read along with passes; see `Reads`. Null if there is no memory, or no such layer.
void* demur_reads_new(const void* network, const std::int32_t* layers, std::int32_t count, std::int32_t units,
                      const float* weights, const float* bias);
void demur_reads_delete(void* reads);

// -1, or the first token that does not fit, in which case nothing was done; -2 where memory was lacking.
std::int32_t demur_run(void* network, const demur_pass* pass);

// The set of instructions that is used.
const char* demur_kernels();
}

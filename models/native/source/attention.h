// Attention of one query over the positions of its slot, one head.
//
// Keys lie in blocks of BLOCK positions, each (head size, BLOCK): neighbouring positions fill a vector, scores
// need no sum across its lanes, and a slot is read from memory in one piece. Values lie (length, value size).
// Both are padded, so no vector reaches beyond.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace {

// Scores of the positions of `BLOCKS` blocks from `block` on.
template <int BLOCKS>
inline void score(const Attention& task, int block, float* scores) {
    constexpr int VECTORS = BLOCK / LANES;
    Vec sums[BLOCKS][VECTORS] = {};
    const long size = task.head_size;
    const float* keys = task.keys + block * size * BLOCK;
    for (long d = 0; d < size; ++d) {
        const Vec query = splat(task.query[d]);
#pragma GCC unroll 4
        for (int b = 0; b < BLOCKS; ++b)
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v)
                sums[b][v] += query * load(keys + (b * size + d) * BLOCK + v * LANES);
    }
    for (int b = 0; b < BLOCKS; ++b)
        for (int v = 0; v < VECTORS; ++v) store(scores + (block + b) * BLOCK + v * LANES, sums[b][v]);
}

// Add to `out` what `VECTORS` * LANES numbers of the head's values come to.
template <int VECTORS>
inline void mix(const Attention& task, const float* weights, int reach, int from, float* out, float inverse) {
    Vec sums[VECTORS] = {};
    for (int at = 0; at < reach; ++at) {
        const Vec weight = splat(weights[at]);
        const float* values = task.values + static_cast<long>(at) * task.value_size + from;
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) sums[v] += weight * load(values + v * LANES);
    }
    for (int v = 0; v < VECTORS; ++v) {
        const int at = from + v * LANES;
        const int count = task.head_size - at;
        if (count >= LANES) store(out + at, sums[v] * inverse);
        else if (count > 0) store_part(out + at, sums[v] * inverse, count);
    }
}

// `scores` is room for `length` numbers.
void attend(const Attention& task, float* scores) {
    const int reach = task.reach, blocks = (reach + BLOCK - 1) / BLOCK, at = blocks * BLOCK;
    int block = 0;
    for (; block + 2 <= blocks; block += 2) score<2>(task, block, scores);
    if (block < blocks) score<1>(task, block, scores);
    // What lies beyond the reach in the last block is of no text.
    for (int beyond = reach; beyond < at; ++beyond) scores[beyond] = -__builtin_inff();
    Vec most = load(scores);
    for (int place = LANES; place < at; place += LANES) {
        const Vec here = load(scores + place);
        most = here > most ? here : most;
    }
    const float top = largest(most);
    Vec total{};
    for (int place = 0; place < at; place += LANES) {
        const Vec weight = exponential(load(scores + place) - top);
        total += weight;
        store(scores + place, weight);
    }
    const float inverse = 1.0f / sum(total);
    int from = 0;
    for (; from + 4 * LANES <= task.value_size; from += 4 * LANES)
        mix<4>(task, scores, reach, from, task.out, inverse);
    for (; from + 2 * LANES <= task.value_size; from += 2 * LANES)
        mix<2>(task, scores, reach, from, task.out, inverse);
    for (; from < task.value_size; from += LANES) mix<1>(task, scores, reach, from, task.out, inverse);
}

}  // namespace

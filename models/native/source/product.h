// Matrix products of rows with packed weights.
//
// Weights lie in panels of PANEL columns: panel p holds, for each input, its PANEL weights side by side, and
// zeros behind the last column. Every output is one chain of multiply-adds over the inputs in order, however
// many rows and panels are computed together: so what a row gets does not depend on its company, on the number
// of threads, or on where a prompt was cut.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace {

constexpr int PANEL = 2 * LANES;
constexpr int MOST_ROWS = REGISTERS == 32 ? 12 : 6;  // with two vectors a row, as many sums as fit registers

// Weights come from memory in one long stream, which the processor's own prefetching follows too late where few
// rows are computed.
constexpr int LINE = 16;    // numbers of a cache line
constexpr int AHEAD = 768;  // numbers

// GELU in its tanh form, x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)).
inline Vec gelu(Vec x) {
    const Vec inner = x * (1.5957691216f + 0.0713548163f * (x * x));
    return x / (1.0f + exponential(-inner));
}

inline void finish(Vec value, Epilogue epilogue, float* out, int columns) {
    if (epilogue == Epilogue::gelu) value = gelu(value);
    if (columns >= LANES) {
        store(out, epilogue == Epilogue::add ? load(out) + value : value);
    } else if (columns > 0) {
        if (epilogue == Epilogue::add) value += load_part(out, columns, 0.0f);
        store_part(out, value, columns);
    }
}

template <int ROWS, int PANELS>
void tile(const Product& product, const float* in, float* out, int panel) {
    constexpr int VECTORS = 2 * PANELS;
    const long depth = product.depth;
    const float* weights = product.weights + panel * depth * PANEL;
    Vec sums[ROWS][VECTORS] = {};
    for (long k = 0; k < depth; ++k) {
        for (int line = 0; line < PANEL; line += LINE) __builtin_prefetch(weights + k * PANEL + line + AHEAD);
        Vec column[VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; ++v)
            column[v] = load(weights + ((v / 2) * depth + k) * PANEL + (v % 2) * LANES);
#pragma GCC unroll 12
        for (int row = 0; row < ROWS; ++row) {
            const Vec input = splat(in[row * product.in_stride + k]);
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; ++v) sums[row][v] += input * column[v];
        }
    }
    for (int v = 0; v < VECTORS; ++v) {
        const int at = panel * PANEL + v * LANES;
        const Vec bias = load(product.bias + at);
        for (int row = 0; row < ROWS; ++row)
            finish(sums[row][v] + bias, product.epilogue, out + row * product.out_stride + at,
                   product.columns - at);
    }
}

// Few rows take several panels at once: a single chain of sums would wait for itself.
template <int ROWS>
int tiles(const Product& product, const float* in, float* out, int panel, int last) {
    constexpr int WIDE = ROWS == 1 ? 4 : ROWS == 2 ? 3 : ROWS == 3 ? 2 : 1;
    if constexpr (WIDE > 1) {
        if (panel + WIDE <= last) {
            tile<ROWS, WIDE>(product, in, out, panel);
            return WIDE;
        }
    }
    tile<ROWS, 1>(product, in, out, panel);
    return 1;
}

template <int ROWS = MOST_ROWS>
int tiles_of(int rows, const Product& product, const float* in, float* out, int panel, int last) {
    if (rows == ROWS) return tiles<ROWS>(product, in, out, panel, last);
    if constexpr (ROWS > 1) return tiles_of<ROWS - 1>(rows, product, in, out, panel, last);
    return 1;
}

// Panels `first` to `last` of the product, for all rows. A panel is read from memory once and used for all of
// them; rows are shared out evenly, since a tile of few leaves registers unused.
void multiply(const Product& product, int first, int last) {
    const int blocks = (product.rows + MOST_ROWS - 1) / MOST_ROWS;
    if (blocks == 0) return;
    const int size = product.rows / blocks, larger = product.rows % blocks;
    for (int panel = first; panel < last;) {
        int done = 1, row = 0;
        for (int block = 0; block < blocks; ++block) {
            const int rows = size + (block < larger);
            // Blocks of one size and of another may differ in width: only a lone block goes ahead.
            const int until = blocks == 1 ? last : panel + 1;
            done = tiles_of(rows, product, product.in + row * product.in_stride,
                            product.out + row * product.out_stride, panel, until);
            row += rows;
        }
        panel += done;
    }
}

// (columns, depth) weights, as torch's linear layers have them, to panels.
void pack(const float* weights, int columns, int depth, float* packed) {
    const int panels = (columns + PANEL - 1) / PANEL;
    for (int panel = 0; panel < panels; ++panel)
        for (int k = 0; k < depth; ++k)
            for (int place = 0; place < PANEL; ++place) {
                const int column = panel * PANEL + place;
                *packed++ = column < columns ? weights[static_cast<long>(column) * depth + k] : 0.0f;
            }
}

}  // namespace

// Matrix products of rows with packed weights.
//
// Weights lie in panels of PANEL columns: panel p holds, for each input, its PANEL weights side by side, and
// zeros behind the last column. Weights that bfloat16 holds exactly, as checkpoints store them, lie as such, two
// to a number of 32 bits: half the memory to read, and nothing is rounded. Every output is one chain of
// multiply-adds over the inputs in order, however many rows and panels are computed together: so what a row gets
// does not depend on its company, on the number of threads, or on where a prompt was cut.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace {

constexpr int PANEL = 2 * LANES;
constexpr int MOST_ROWS = REGISTERS == 32 ? 12 : 6;  // with two vectors a row, as many sums as fit registers

// Weights come from memory in one long stream, which the processor's own prefetching follows too late where few
// rows are computed.
constexpr long LINE = 64, AHEAD = 3072;  // bytes

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

// The two vectors of a panel's weights at one input, the `place`-th of all panels' inputs.
template <bool HALVES>
inline void read_weights(const void* weights, long place, Vec& first, Vec& second) {
    if constexpr (HALVES) {
        const IntVec pairs = load_bits(static_cast<const std::int32_t*>(weights) + place * LANES);
        first = as_floats(pairs << 16);
        second = as_floats(pairs & -65536);
    } else {
        const float* both = static_cast<const float*>(weights) + place * PANEL;
        first = load(both);
        second = load(both + LANES);
    }
}

template <int ROWS, int PANELS, bool HALVES>
void tile(const Product& product, const float* in, float* out, int panel) {
    constexpr int VECTORS = 2 * PANELS;
    const long depth = product.depth;
    const char* begin = static_cast<const char*>(product.weights);
    constexpr long STRIDE = HALVES ? PANEL * 2 : PANEL * 4;  // bytes of a panel's weights at one input
    Vec sums[ROWS][VECTORS] = {};
    for (long k = 0; k < depth; ++k) {
        const char* ahead = begin + (panel * depth + k) * STRIDE + AHEAD;
        for (long line = 0; line < STRIDE; line += LINE) __builtin_prefetch(ahead + line);
        Vec column[VECTORS];
#pragma GCC unroll 4
        for (int p = 0; p < PANELS; ++p)
            read_weights<HALVES>(begin, (panel + p) * depth + k, column[2 * p], column[2 * p + 1]);
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
            if (product.halves) tile<ROWS, WIDE, true>(product, in, out, panel);
            else tile<ROWS, WIDE, false>(product, in, out, panel);
            return WIDE;
        }
    }
    if (product.halves) tile<ROWS, 1, true>(product, in, out, panel);
    else tile<ROWS, 1, false>(product, in, out, panel);
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
void pack(const float* weights, int columns, int depth, bool halves, void* packed) {
    const int panels = (columns + PANEL - 1) / PANEL;
    auto* floats = static_cast<float*>(packed);
    auto* pairs = static_cast<std::uint32_t*>(packed);
    for (int panel = 0; panel < panels; ++panel)
        for (int k = 0; k < depth; ++k) {
            std::uint32_t row[PANEL];
            for (int place = 0; place < PANEL; ++place) {
                const int column = panel * PANEL + place;
                const float weight = column < columns ? weights[static_cast<long>(column) * depth + k] : 0.0f;
                __builtin_memcpy(&row[place], &weight, sizeof weight);
            }
            if (halves) {
                for (int lane = 0; lane < LANES; ++lane) *pairs++ = row[LANES + lane] | row[lane] >> 16;
            } else {
                __builtin_memcpy(floats, row, sizeof row);
                floats += PANEL;
            }
        }
}

}  // namespace

// Matrix products of rows with packed weights.
//
// Weights lie in panels of PANEL columns: panel p holds, for each input, its PANEL weights side by side, and
// zeros behind the last column. Weights that bfloat16 holds exactly, as checkpoints store them, lie as such, two
// to a number of 32 bits: half the memory to read, and nothing is rounded. Every output is one chain of
// multiply-adds over the inputs in order, however many rows and panels are computed together: so what a row gets
// does not depend on its company, on the number of threads, or on where a prompt was cut.
//
// Bytes lie in the same panels, two inputs at a time: the two weights of a column side by side. Their sums are
// whole numbers, exact.
#pragma once

#include "kernels.h"
#include "vector.h"
#include "whole_numbers.h"

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

// How weights of a format are multiplied. INPUTS: taken in one step. STRIDE: bytes of a panel's weights in a step.
struct Floats {
    typedef Vec Sums;
    typedef Vec Column;
    static constexpr int INPUTS = 1;
    static Vec spread(const Product& product, int row, long step) {
        return splat(static_cast<const float*>(product.in)[row * product.in_stride + step]);
    }
    static Vec add(Vec sums, Vec input, Vec column) { return sums + input * column; }
    static Vec value(const Product&, Vec sums, int, int) { return sums; }
};

struct Whole : Floats {
    static constexpr long STRIDE = PANEL * 4;
    static void read(const char* weights, Vec& first, Vec& second) {
        const float* both = reinterpret_cast<const float*>(weights);
        first = load(both);
        second = load(both + LANES);
    }
};

struct Halves : Floats {
    static constexpr long STRIDE = PANEL * 2;
    static void read(const char* weights, Vec& first, Vec& second) {
        const IntVec pairs = load_bits(weights);
        first = as_floats(pairs << 16);
        second = as_floats(pairs & -65536);
    }
};

struct Bytes {
    typedef IntVec Sums;
    typedef ShortVec Column;
    static constexpr int INPUTS = 2;
    static constexpr long STRIDE = PANEL * 2;
    static void read(const char* weights, ShortVec& first, ShortVec& second) {
        const auto* both = reinterpret_cast<const std::int8_t*>(weights);
        first = load_bytes(both);
        second = load_bytes(both + PANEL);
    }
    static IntVec spread(const Product& product, int row, long step) {
        std::int32_t pair;
        __builtin_memcpy(&pair, static_cast<const std::int16_t*>(product.in) + row * product.in_stride + 2 * step, 4);
        return pair - IntVec{};
    }
    static IntVec add(IntVec sums, IntVec input, ShortVec column) { return add_products(sums, input, column); }
    static Vec value(const Product& product, IntVec sums, int row, int column) {
        const Vec scales = load(product.column_scales + column) * product.row_scales[row];
        return __builtin_convertvector(sums, Vec) * scales;
    }
};

template <typename Way, int ROWS, int PANELS>
void tile(const Product& product, int first_row, int panel) {
    constexpr int VECTORS = 2 * PANELS;
    const long steps = (product.depth + Way::INPUTS - 1) / Way::INPUTS;
    const char* begin = static_cast<const char*>(product.weights) + panel * steps * Way::STRIDE;
    typename Way::Sums sums[ROWS][VECTORS] = {};
    for (long step = 0; step < steps; ++step) {
        const char* here = begin + step * Way::STRIDE;
        for (long line = 0; line < Way::STRIDE; line += LINE) __builtin_prefetch(here + AHEAD + line);
        typename Way::Column column[VECTORS];
#pragma GCC unroll 4
        for (int p = 0; p < PANELS; ++p)
            Way::read(here + p * steps * Way::STRIDE, column[2 * p], column[2 * p + 1]);
#pragma GCC unroll 12
        for (int row = 0; row < ROWS; ++row) {
            const auto input = Way::spread(product, first_row + row, step);
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; ++v) sums[row][v] = Way::add(sums[row][v], input, column[v]);
        }
    }
    for (int v = 0; v < VECTORS; ++v) {
        const int at = panel * PANEL + v * LANES;
        const Vec bias = load(product.bias + at);
        for (int row = 0; row < ROWS; ++row)
            finish(Way::value(product, sums[row][v], first_row + row, at) + bias, product.epilogue,
                   product.out + (first_row + row) * product.out_stride + at, product.columns - at);
    }
}

// Few rows take several panels at once: a single chain of sums would wait for itself.
template <typename Way, int ROWS>
int tiles(const Product& product, int first_row, int panel, int last) {
    constexpr int WIDE = ROWS == 1 ? 4 : ROWS == 2 ? 3 : ROWS == 3 ? 2 : 1;
    if constexpr (WIDE > 1) {
        if (panel + WIDE <= last) {
            tile<Way, ROWS, WIDE>(product, first_row, panel);
            return WIDE;
        }
    }
    tile<Way, ROWS, 1>(product, first_row, panel);
    return 1;
}

template <typename Way, int ROWS = MOST_ROWS>
int tiles_of(int rows, const Product& product, int first_row, int panel, int last) {
    if (rows == ROWS) return tiles<Way, ROWS>(product, first_row, panel, last);
    if constexpr (ROWS > 1) return tiles_of<Way, ROWS - 1>(rows, product, first_row, panel, last);
    return 1;
}

// A panel is read from memory once and used for all rows; these are shared out evenly, since a tile of few leaves
// registers unused.
template <typename Way>
void multiply_as(const Product& product, int first, int last) {
    const int blocks = (product.rows + MOST_ROWS - 1) / MOST_ROWS;
    if (blocks == 0) return;
    const int size = product.rows / blocks, larger = product.rows % blocks;
    for (int panel = first; panel < last;) {
        int done = 1, row = 0;
        for (int block = 0; block < blocks; ++block) {
            const int rows = size + (block < larger);
            // Blocks of one size and of another may differ in width: only a lone block goes ahead.
            const int until = blocks == 1 ? last : panel + 1;
            done = tiles_of<Way>(rows, product, row, panel, until);
            row += rows;
        }
        panel += done;
    }
}

// Panels `first` to `last` of the product, for all rows.
void multiply(const Product& product, int first, int last) {
    switch (product.format) {
    case Format::whole: return multiply_as<Whole>(product, first, last);
    case Format::halves: return multiply_as<Halves>(product, first, last);
    case Format::bytes: return multiply_as<Bytes>(product, first, last);
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

// The same of bytes; an odd depth is made even by zeros.
void pack_bytes(const std::int8_t* weights, int columns, int depth, std::int8_t* packed) {
    const int panels = (columns + PANEL - 1) / PANEL;
    for (int panel = 0; panel < panels; ++panel)
        for (int k = 0; k < depth; k += 2)
            for (int place = 0; place < PANEL; ++place) {
                const int column = panel * PANEL + place;
                const std::int8_t* own = weights + static_cast<long>(column) * depth + k;
                *packed++ = column < columns ? own[0] : std::int8_t{0};
                *packed++ = column < columns && k + 1 < depth ? own[1] : std::int8_t{0};
            }
}

}  // namespace

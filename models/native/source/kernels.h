// What is compiled once for every set of instructions, and the table by which the rest calls it.
#pragma once

#include <cstdint>

namespace demur {

enum class Epilogue { store, gelu, add };

// What weights are packed as: float32, bfloat16, or int8 with a scale for each column.
enum class Format { whole, halves, bytes };

// out = in @ weights + bias, or its GELU, or added to what `out` holds.
// in: (rows, depth) floats; for bytes (rows, depth) std::int16_t, padded to an even depth.
// out: (rows, columns). Strides lie between rows, and count numbers.
// row_scales, column_scales: of bytes, what the whole numbers of a row and of a column are multiples of.
// bias, column_scales: padded to whole panels.
struct Product {
    const void* in;
    long in_stride;
    int rows, depth, columns;
    const void* weights;  // packed
    Format format;
    const float* row_scales;
    const float* column_scales;
    const float* bias;
    float* out;
    long out_stride;
    Epilogue epilogue;
};

// One query, already scaled, over positions 0 to reach - 1 of a slot.
struct Attention {
    const float* query;
    const float* keys;
    const float* values;
    int head_size, value_size, reach;
    float* out;
};

// normaliser: the logarithm of the sum of e^logit.
struct RowSignals {
    float normaliser, entropy, varentropy, max_probability, margin, confidence;
};

constexpr int BLOCK = 16;  // positions of a block of keys, and what rows are padded to: the widest vector

struct Kernels {
    const char* name;
    int panel;
    void (*pack)(const float* weights, int columns, int depth, bool halves, void* packed);
    void (*pack_bytes)(const std::int8_t* weights, int columns, int depth, std::int8_t* packed);
    void (*multiply)(const Product&, int first_panel, int last_panel);
    void (*normalise)(const float* in, const float* scale, const float* shift, int width, float* out);
    float (*round_row)(const float* in, int depth, int most, std::int16_t* out);
    void (*rotate)(float* head, const float* cosine, const float* sine, int size);
    void (*attend)(const Attention&, float* scores);
    void (*read_distribution)(const float* logits, int count, RowSignals&);
    int (*draw)(const float* logits, int count, float temperature, double uniform, float* mass);
};

// Those for this processor.
const Kernels& kernels();

}  // namespace demur

using demur::Attention;
using demur::BLOCK;
using demur::Epilogue;
using demur::Format;
using demur::Product;
using demur::RowSignals;

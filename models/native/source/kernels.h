// What is compiled once for every set of instructions, and the table by which the rest calls it.
#pragma once

namespace demur {

enum class Epilogue { store, gelu, add };

// out = in @ weights + bias, or its GELU, or added to what `out` holds.
// in: (rows, depth); out: (rows, columns), both with a stride between rows. bias: padded to whole panels.
struct Product {
    const float* in;
    long in_stride;
    int rows, depth, columns;
    const void* weights;  // packed
    bool halves;          // whether as bfloat16
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
    void (*multiply)(const Product&, int first_panel, int last_panel);
    void (*normalise)(const float* in, const float* scale, const float* shift, int width, float* out);
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
using demur::Product;
using demur::RowSignals;

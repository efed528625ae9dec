// The network of models/gpt2.py: weights, and a pass of tokens over a slotted cache.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "aligned.h"
#include "interface.h"
#include "linear.h"
#include "team.h"

namespace demur {

struct Norm {
    std::vector<float> scale, shift;
};

struct Block {
    Norm attention_norm, mlp_norm;
    Linear qkv, attention_out, mlp_in, mlp_out;
};

// A cache's memory. length: positions of a slot, padded to whole blocks.
// keys: (layers, slots, heads, length / BLOCK, head size, BLOCK). values: (layers, slots, heads, length, value size).
struct Cache {
    float* keys;
    float* values;
    int slots, length;
};

// Tokens of a pass that go through all layers together: `count` from `first` on. wanted: those of them that
// results are asked of. result: the first one's row.
struct Part {
    int first, count;
    std::vector<int> wanted;
    int result;
};

class Network {
public:
    // weights: token embedding; position embedding, cosine and sine of the rotation, null where there are none;
    // each block's norm, qkv, output, norm, inner layer and its output; the last norm; the head. A norm is scale
    // and shift, a linear layer its matrix and its bias, which the head has none of.
    Network(const demur_shape& shape, const void* const* weights);

    const demur_shape& shape() const { return shape_; }

    // The first token that does not fit the model and the cache, or -1. Tokens of one slot follow each other,
    // at positions that do too.
    int misfit(const demur_pass& pass) const;

    // Runs the tokens of a pass that fits. Calls of several threads wait for each other.
    void run(const demur_pass& pass);

private:
    void work_on(const demur_pass& pass, const Cache& cache, const Part& part, int member);
    void place(const demur_pass& pass, const Cache& cache, int layer, const Part& part, int member);
    void attend(const demur_pass& pass, const Cache& cache, int layer, const Part& part, int member);
    void apply(const Linear& layer, const float* in, int rows, float* out, Epilogue epilogue, int member);
    void keep(const demur_pass& pass, int layer, const Part& part, int member);
    void norm(const Norm& norm, const float* in, int rows, float* out, int member);

    demur_shape shape_;
    int head_size_, value_size_;
    const float* token_embedding_;     // (vocabulary, width), the caller's
    const float* position_embedding_;  // (context, width), the caller's; null where positions are rotary
    const float* cosine_;              // (context, head size), the caller's; null where they are learned
    const float* sine_;
    std::vector<Block> blocks_;
    Norm final_norm_;
    Linear unembedding_;
    Team team_;
    std::mutex running_;

    // For the tokens of a part: residual stream, its normalised form, projections, heads' output, inner layer.
    Aligned<float> stream_, normed_, qkv_, mixed_, inner_;
    Aligned<std::int16_t> rounded_;  // what a layer of bytes multiplies, and what its rows are multiples of
    Aligned<float> row_scales_;
    std::vector<Aligned<float>> scores_;  // of each member
};

}  // namespace demur

// What Python calls, by ctypes (models/native/library.py has the same structures).
#pragma once

#include <cstdint>

extern "C" {

struct demur_shape {
    std::int32_t vocabulary, context, width, layers, heads, threads;
    std::int32_t bytes;  // whether matrices are int8
};

// A pass over `count` tokens.
// tokens, slots, positions: (count,). wanted: (count,), whether there are results of a token; they are put one
// after the other.
// logits: (results, vocabulary). signals: (results, 6), as `RowSignals`.
// hidden: for each of layers + 1 (results, width), `hidden_stride` numbers a row, or null where a layer is not
// asked for.
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
    std::int64_t hidden_stride;
};

// A small network over hidden states and signals; see `Probes`.
// at: 0 before the first step, 1 after `read` tokens of a step, 2 at its first marker, 3 where it closes, 4 everywhere.
// layers: (layer_count,), places among the states of a token. weight: (units, layer_count * width).
// signal_weight: (units, 38), or null. out_weight: (units,), or null for none. tokens: (token_count,), a unit's each.
// knots, values: (knot_count,), of the calibration; with none it is the sigmoid of slope * logit + intercept.
struct demur_probe {
    std::int32_t at, read, pooled, units, closing_count, marker_count, layer_count, token_count, knot_count;
    const std::int64_t* closing;
    const std::int64_t* markers;
    const std::int32_t* layers;
    const float* weight;
    const double* bias;
    const double* signal_weight;
    const double* out_weight;
    const std::int64_t* tokens;
    const double* knots;
    const double* values;
    double out_bias, slope, intercept;
};

// The tokens that the step of a text has: `count` ids and (count, 5) signals; states: the sum of theirs, or null
// where no probe is wanted. number: how many steps come before it. wanted: of each probe.
struct demur_step {
    std::int32_t count, number;
    const std::int64_t* tokens;
    const double* signals;
    const float* states;
    const std::uint8_t* wanted;
};

// Several tokens to each of `rows` texts: passes of one token a row, each of which draws what the next one takes.
// tokens, slots, positions: (rows,), of the first pass. most: (rows,), how many tokens a row may get, at most
// `steps`. uniforms: (rows, steps), in [0, 1), one for each draw. temperatures: (rows,); at 0 the likeliest is
// taken. stops: (rows, stops_each), tokens after which a row gets no more; -1 is none.
// halt: where it is not 0 after a pass, there is no further one.
// Results of at most rows * steps tokens, pass by pass: row, the row's number; id, what was drawn, the vocabulary's
// size where nothing can be; log_prob, NaN where the logits are not all numbers, which ends the row too; signals
// and hidden as of `demur_pass`.
// probes: from `demur_probes_new`, or null; text_steps: (rows,); states: what `hidden` is within; scores: (results,
// probes), NaN where nothing is read.
struct demur_writing {
    std::int32_t rows, steps, slots_held, length, stops_each;
    const std::int64_t* tokens;
    const std::int64_t* slots;
    const std::int64_t* positions;
    const std::int32_t* most;
    const double* uniforms;
    const float* temperatures;
    const std::int64_t* stops;
    const std::int32_t* halt;
    float* keys;
    float* values;
    std::int32_t* row;
    std::int32_t* id;
    float* log_prob;
    float* signals;
    float* const* hidden;
    std::int64_t hidden_stride;
    const void* probes;
    const demur_step* text_steps;
    const float* states;
    double* scores;
};

// Null if there is no memory. Weights in the order of `Network`'s constructor, float32; where the shape says so, a
// matrix is int8, and the float32 that its rows are multiples of follow it. Those of the embeddings and the
// rotation have to stay where they are for as long as the network lives.
void* demur_new(const demur_shape* shape, const void* const* weights);
void demur_delete(void* network);

// All probes have the same closing tokens. Null if there is no memory.
void* demur_probes_new(const void* network, const demur_probe* probes, std::int32_t count, std::int32_t layers);
void demur_probes_delete(void* probes);

// -1, or the first token that does not fit, in which case nothing was done; -2 where memory was lacking.
std::int32_t demur_run(void* network, const demur_pass* pass);

// The same of the rows; `results` is how many there are.
std::int32_t demur_write(void* network, const demur_writing* writing, std::int32_t* results);

// Draws a token of each of (rows, vocabulary) logits by a uniform number in [0, 1): the first whose cumulative
// probability exceeds it; `vocabulary`, which is none, where nothing can be drawn.
std::int32_t demur_draw(const float* logits, std::int32_t rows, std::int32_t vocabulary, const double* uniforms,
                        std::int64_t* ids);

// The set of instructions that is used.
const char* demur_kernels();
}

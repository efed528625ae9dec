// What is done to one row of numbers: normalisation, and rotation by position.
#pragma once

#include "vector.h"

namespace {

constexpr float NORM_EPSILON = 1e-5f;

// Layer normalisation with a learned scale and shift (Ba et al. 2016).
void normalise(const float* in, const float* scale, const float* shift, int width, float* out) {
    const int whole = width / LANES * LANES, rest = width - whole;
    Vec total{};
    for (int at = 0; at < whole; at += LANES) total += load(in + at);
    if (rest) total += load_part(in + whole, rest, 0.0f);
    const float mean = sum(total) / static_cast<float>(width);
    Vec squares{};
    for (int at = 0; at < whole; at += LANES) {
        const Vec centred = load(in + at) - mean;
        squares += centred * centred;
    }
    if (rest) {
        const Vec centred = load_part(in + whole, rest, mean) - mean;
        squares += centred * centred;
    }
    const float variance = sum(squares) / static_cast<float>(width);
    const float inverse = 1.0f / __builtin_sqrtf(variance + NORM_EPSILON);
    for (int at = 0; at < whole; at += LANES)
        store(out + at, (load(in + at) - mean) * inverse * load(scale + at) + load(shift + at));
    for (int at = whole; at < width; ++at) out[at] = (in[at] - mean) * inverse * scale[at] + shift[at];
}

// Rotate the pairs (i, i + half) of a head (Su et al. 2021, in the layout of GPT-NeoX), in place.
void rotate(float* head, const float* cosine, const float* sine, int size) {
    const int half = size / 2;
    for (int at = 0; at < half; ++at) {
        const float first = head[at], second = head[at + half];
        head[at] = first * cosine[at] - second * sine[at];
        head[at + half] = second * cosine[at + half] + first * sine[at + half];
    }
}

}  // namespace

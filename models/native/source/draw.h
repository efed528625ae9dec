// From logits to a token: the inverse CDF, or the likeliest.
#pragma once

#include "signals.h"
#include "vector.h"

namespace {

// The first token whose cumulative probability at a temperature exceeds the uniform number, which none of
// probability 0 does; at temperature 0 the first of the likeliest. `count`, which is none, where the logits are not
// all numbers, or infinity is among them: then the sum is no number. mass: room for `count` numbers.
int draw(const float* logits, int count, float temperature, double uniform, float* mass) {
    float first, second;
    two_largest(logits, count, first, second);
    if (temperature == 0.0f) {
        int at = 0;
        while (at < count && logits[at] != first) ++at;
        return at;
    }
    for (int at = 0; at < count; at += LANES) {
        const int here = count - at < LANES ? count - at : LANES;
        const Vec own = here == LANES ? load(logits + at) : load_part(logits + at, here, first);
        store_part(mass + at, exponential((own - first) / temperature), here);
    }
    double total = 0.0;
    for (int at = 0; at < count; ++at) total += mass[at];
    const double point = uniform * total;
    double cumulative = 0.0;
    for (int at = 0; at < count; ++at) {
        cumulative += mass[at];
        if (cumulative > point) return at;
    }
    return count;
}

}  // namespace

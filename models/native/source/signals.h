// What one row of logits says about the model's certainty; the definitions are those of
// app.decoding.core.signals, in nats, over the whole vocabulary.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace {

constexpr float LOG_ZERO = -200.0f;  // keeps 0 * -inf from being formed

// The two largest logits; equal ones count twice. NaN is none of them.
inline void two_largest(const float* logits, int count, float& first, float& second) {
    const float nothing = -__builtin_inff();
    Vec best = splat(nothing), next = best;
    for (int at = 0; at < count; at += LANES) {
        const Vec here =
            at + LANES <= count ? load(logits + at) : load_part(logits + at, count - at, nothing);
        const Vec lower = here > best ? best : here;
        best = here > best ? here : best;
        next = lower > next ? lower : next;
    }
    first = second = nothing;
    for (int lane = 0; lane < 2 * LANES; ++lane) {
        const float each = lane < LANES ? best[lane] : next[lane - LANES];
        if (each > first) {
            second = first;
            first = each;
        } else if (each > second) {
            second = each;
        }
    }
}

constexpr int CONFIDENCE_TOP_K = 20;

// Mean of -ln p over the likeliest tokens.
inline float confidence(const float* logits, int count, float normaliser) {
    float best[CONFIDENCE_TOP_K];  // in falling order
    int held = 0;
    for (int at = 0; at < count; ++at) {
        const float each = logits[at];
        if (held == CONFIDENCE_TOP_K && !(each > best[held - 1])) continue;
        int place = held < CONFIDENCE_TOP_K ? held++ : held - 1;
        for (; place > 0 && best[place - 1] < each; --place) best[place] = best[place - 1];
        best[place] = each;
    }
    float total = 0.0f;
    for (int at = 0; at < held; ++at) {
        const float log_prob = best[at] - normaliser;
        total += log_prob < LOG_ZERO ? LOG_ZERO : log_prob;
    }
    return 0.0f - total / static_cast<float>(held);
}

void read_distribution(const float* logits, int count, RowSignals& out) {
    const float nothing = -__builtin_inff();
    float first, second;
    two_largest(logits, count, first, second);
    Vec mass{};
    for (int at = 0; at < count; at += LANES) {
        const Vec here =
            at + LANES <= count ? load(logits + at) : load_part(logits + at, count - at, nothing);
        mass += exponential(here - first);
    }
    const float normaliser = first + __builtin_logf(sum(mass));
    Vec information{};
    for (int at = 0; at < count; at += LANES) {
        const Vec here =
            at + LANES <= count ? load(logits + at) : load_part(logits + at, count - at, nothing);
        Vec log_prob = here - normaliser;
        log_prob = log_prob < LOG_ZERO ? splat(LOG_ZERO) : log_prob;
        information += exponential(log_prob) * log_prob;
    }
    const float entropy = 0.0f - sum(information);
    Vec deviations{};
    for (int at = 0; at < count; at += LANES) {
        const Vec here =
            at + LANES <= count ? load(logits + at) : load_part(logits + at, count - at, nothing);
        Vec log_prob = here - normaliser;
        log_prob = log_prob < LOG_ZERO ? splat(LOG_ZERO) : log_prob;
        const Vec deviation = log_prob + entropy;
        deviations += exponential(log_prob) * (deviation * deviation);
    }
    out.normaliser = normaliser;
    out.entropy = entropy < 0.0f ? 0.0f : entropy;
    out.varentropy = sum(deviations);
    out.max_probability = __builtin_expf(first - normaliser);
    out.margin = count > 1 ? out.max_probability - __builtin_expf(second - normaliser) : out.max_probability;
    out.confidence = confidence(logits, count, normaliser);
}

}  // namespace

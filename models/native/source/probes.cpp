#include "probes.h"

#include <algorithm>
#include <cmath>

namespace demur {

namespace {

enum At { PROMPT, READ, MARKER, CLOSE, EVERY };

constexpr double FLOOR = 1e-6;

// Of PAST: those of which more is more certain.
bool is_certainty(int signal) { return signal == 2 || signal == 3; }

void past_of(const RowSignals& signals, float log_prob, double* past) {
    past[0] = signals.entropy;
    past[1] = signals.varentropy;
    past[2] = signals.max_probability;
    past[3] = signals.margin;
    past[4] = 0.0 - static_cast<double>(log_prob);
}

// probes.inputs.signal_features.
void features_of(const Step& step, const RowSignals& signals, double* out) {
    double pooled[3 * PAST] = {};
    for (int signal = 0; step.read > 0 && signal < PAST; ++signal) {
        double* own = pooled + 3 * signal;
        own[0] = step.first[signal];
        own[1] = step.most[signal];
        own[2] = step.total[signal] / step.read;
        if (is_certainty(signal))
            for (int at = 0; at < 3; ++at) own[at] = 1.0 - own[at];
    }
    *out++ = signals.entropy;
    *out++ = signals.varentropy;
    *out++ = signals.max_probability;
    *out++ = signals.margin;
    *out++ = std::log(signals.entropy + FLOOR);
    *out++ = std::log(signals.varentropy + FLOOR);
    out = std::copy(pooled, pooled + 3 * PAST, out);
    for (const double each : pooled) *out++ = std::log(each + FLOOR);
    *out++ = step.read;
    *out++ = step.number;
}

double dot(const double* left, const double* right, int count) {
    double total = 0.0;
    for (int at = 0; at < count; ++at) total += left[at] * right[at];
    return total;
}

}  // namespace

Probes::Probes(const demur_probe* probes, int count, int layers, int width) : width_(width), size_(layers * width) {
    for (int index = 0; index < count; ++index) {
        const demur_probe& given = probes[index];
        Probe probe;
        probe.at = given.at;
        probe.read = given.read;
        probe.pooled = given.pooled != 0;
        probe.sees_signals = given.signal_weight != nullptr;
        closing_.insert(given.closing, given.closing + given.closing_count);
        probe.markers.insert(given.markers, given.markers + given.marker_count);
        for (int unit = 0; unit < given.token_count; ++unit) probe.unit_of[given.tokens[unit]] = unit;
        probe.layers.assign(given.layers, given.layers + given.layer_count);
        const int units = given.units;
        if (given.layer_count > 0) probe.units = Linear(given.weight, nullptr, units, given.layer_count * width);
        probe.bias.assign(given.bias, given.bias + units);
        if (probe.sees_signals)
            probe.signal_weight.assign(given.signal_weight, given.signal_weight + units * FEATURES);
        if (given.out_weight != nullptr) probe.out_weight.assign(given.out_weight, given.out_weight + units);
        probe.knots.assign(given.knots, given.knots + given.knot_count);
        probe.values.assign(given.values, given.values + given.knot_count);
        probe.out_bias = given.out_bias;
        probe.slope = given.slope;
        probe.intercept = given.intercept;
        probes_.push_back(std::move(probe));
    }
}

Step Probes::begin(const demur_step& given) const {
    Step step;
    step.number = given.number;
    step.states.assign(given.states, given.states + size_);
    step.marked.assign(probes_.size(), 0);
    for (int at = 0; at < given.count; ++at) {
        add(step, given.signals + at * PAST);
        for (std::size_t index = 0; index < probes_.size(); ++index)
            step.marked[index] |= probes_[index].markers.count(given.tokens[at]) > 0;
    }
    return step;
}

void Probes::read(const Step& step, int token, const float* states, const RowSignals& signals,
                  const std::uint8_t* wanted, double* scores) const {
    double features[FEATURES];
    bool made = false;
    for (std::size_t index = 0; index < probes_.size(); ++index) {
        const Probe& probe = probes_[index];
        scores[index] = NAN;
        if (!wanted[index] || !holds(probe, step, step.marked[index] != 0, token)) continue;
        if (probe.sees_signals && !made) {
            features_of(step, signals, features);
            made = true;
        }
        const double value = logit(probe, step, states, features, token);
        if (!std::isnan(value)) scores[index] = calibrated(probe, value);
    }
}

void Probes::go_on(Step& step, int token, const float* states, const RowSignals& signals, float log_prob) const {
    if (closing_.count(token) > 0) {
        step.number += step.read > 0;
        step.read = 0;
        std::fill(step.states.begin(), step.states.end(), 0.0f);
        std::fill(step.marked.begin(), step.marked.end(), 0);
        return;
    }
    double past[PAST];
    past_of(signals, log_prob, past);
    add(step, past);
    for (int at = 0; at < size_; ++at) step.states[at] += states[at];
    for (std::size_t index = 0; index < probes_.size(); ++index)
        step.marked[index] |= probes_[index].markers.count(token) > 0;
}

void Probes::add(Step& step, const double* past) {
    for (int signal = 0; signal < PAST; ++signal) {
        const double each = past[signal];
        if (step.read == 0) step.first[signal] = step.most[signal] = step.total[signal] = each;
        else {
            step.most[signal] = is_certainty(signal) ? std::min(step.most[signal], each)
                                                     : std::max(step.most[signal], each);
            step.total[signal] += each;
        }
    }
    ++step.read;
}

// probes.position.Position.is_read.
bool Probes::holds(const Probe& probe, const Step& step, bool marked, int token) const {
    const bool closes = closing_.count(token) > 0;
    if (step.read == 0 && closes && probe.at != EVERY) return false;
    switch (probe.at) {
        case PROMPT: return step.read == 0 && step.number == 0;
        case READ: return step.read == probe.read;
        case MARKER: return !marked && (closes || probe.markers.count(token) > 0);
        case CLOSE: return closes;
        default: return true;
    }
}

// NaN where the probe has no unit for the token.
double Probes::logit(const Probe& probe, const Step& step, const float* states, const double* features,
                     int token) const {
    const int units = static_cast<int>(probe.bias.size());
    std::vector<double> values(probe.bias);
    if (!probe.layers.empty()) {
        std::vector<float> inputs, products(static_cast<std::size_t>(units));
        inputs.reserve(probe.layers.size() * width_);
        for (const int layer : probe.layers)
            inputs.insert(inputs.end(), states + layer * width_, states + (layer + 1) * width_);
        if (probe.pooled) {
            float* own = inputs.data();
            const float inverse = 1.0f / static_cast<float>(step.read + 1);
            for (const int layer : probe.layers)
                for (int d = 0; d < width_; ++d, ++own) *own = (*own + step.states[layer * width_ + d]) * inverse;
        }
        probe.units.apply(inputs.data(), 1, products.data(), Epilogue::store, 0, 1);
        for (int unit = 0; unit < units; ++unit) values[unit] += products[unit];
    }
    if (probe.sees_signals)
        for (int unit = 0; unit < units; ++unit)
            values[unit] += dot(probe.signal_weight.data() + unit * FEATURES, features, FEATURES);
    if (!probe.out_weight.empty()) {
        double total = probe.out_bias;
        for (int unit = 0; unit < units; ++unit) total += std::max(values[unit], 0.0) * probe.out_weight[unit];
        return total;
    }
    if (probe.unit_of.empty()) return values[0];
    const auto found = probe.unit_of.find(token);
    return found == probe.unit_of.end() ? NAN : values[found->second];
}

// probes.probe.Calibration: by way of tanh, or linear between the knots.
double Probes::calibrated(const Probe& probe, double logit) {
    if (probe.knots.empty()) return 0.5 + 0.5 * std::tanh(0.5 * (probe.slope * logit + probe.intercept));
    if (logit <= probe.knots.front()) return probe.values.front();
    if (logit >= probe.knots.back()) return probe.values.back();
    const auto above = std::upper_bound(probe.knots.begin(), probe.knots.end(), logit) - probe.knots.begin();
    const double low = probe.knots[above - 1], high = probe.knots[above];
    const double share = (logit - low) / (high - low);
    return probe.values[above - 1] + share * (probe.values[above] - probe.values[above - 1]);
}

}  // namespace demur

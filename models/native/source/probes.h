// Probes that are read while texts are written; probes/rule.py and probes/inputs.py say what they compute, and why.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "interface.h"
#include "kernels.h"
#include "linear.h"

namespace demur {

constexpr int PAST = 5;       // signals of earlier tokens: entropy, varentropy, max_probability, margin, surprisal
constexpr int FEATURES = 38;  // of signals, as a probe sees them

// What is known of the step that a text is in. first, most, total: of each of PAST over its tokens; where more is
// more certain, `most` is the least. states: their sum over its tokens. marked: which probes' markers came.
struct Step {
    int read = 0, number = 0;
    double first[PAST], most[PAST], total[PAST];
    std::vector<float> states;
    std::vector<char> marked;
};

class Probes {
public:
    // layers: how many states a token has, of `width` numbers each.
    Probes(const demur_probe* probes, int count, int layers, int width);

    int count() const { return static_cast<int>(probes_.size()); }

    // The step of a text that goes on, from the tokens that it has: their ids and signals, and their states' sum.
    Step begin(const demur_step& given) const;

    // Scores (count) at a token, from the states that predicted it; NaN where a probe is not read or not wanted.
    void read(const Step& step, int token, const float* states, const RowSignals& signals, const std::uint8_t* wanted,
              double* scores) const;

    // The token is written.
    void go_on(Step& step, int token, const float* states, const RowSignals& signals, float log_prob) const;

private:
    struct Probe {
        int at, read;
        bool pooled, sees_signals;
        std::unordered_set<std::int64_t> markers;
        std::unordered_map<std::int64_t, int> unit_of;  // by token; empty where there is one logit
        std::vector<int> layers;
        Linear units;
        std::vector<double> bias, signal_weight, out_weight, knots, values;
        double out_bias, slope, intercept;
    };

    bool holds(const Probe& probe, const Step& step, bool marked, int token) const;
    double logit(const Probe& probe, const Step& step, const float* states, const double* features, int token) const;
    static double calibrated(const Probe& probe, double logit);
    static void add(Step& step, const double* past);

    int width_, size_;  // of one state, of all of a token
    std::unordered_set<std::int64_t> closing_;
    std::vector<Probe> probes_;
};

}  // namespace demur

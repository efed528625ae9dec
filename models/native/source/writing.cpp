#include "writing.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "aligned.h"
#include "kernels.h"
#include "probes.h"

namespace demur {

namespace {

// The rows that go on, as a pass takes them.
struct Going {
    std::vector<std::int64_t> tokens, slots, positions;
    std::vector<int> rows;
    std::vector<std::uint8_t> wanted;

    void add(int row, std::int64_t token, std::int64_t slot, std::int64_t position) {
        rows.push_back(row);
        tokens.push_back(token);
        slots.push_back(slot);
        positions.push_back(position);
        wanted.push_back(1);
    }
};

bool stops(const demur_writing& writing, int row, std::int64_t token) {
    const std::int64_t* given = writing.stops + static_cast<long>(row) * writing.stops_each;
    for (int at = 0; at < writing.stops_each; ++at)
        if (given[at] == token) return true;
    return false;
}

// The probes of a pass's rows, each in the step that its text is in.
class Reading {
public:
    explicit Reading(const demur_writing& writing)
        : writing_(writing), probes_(static_cast<const Probes*>(writing.probes)) {
        for (int row = 0; probes_ != nullptr && row < writing.rows; ++row)
            steps_.push_back(writing.text_steps[row].states == nullptr ? Step()
                                                                       : probes_->begin(writing.text_steps[row]));
    }

    // At a token of a row, the result `at`.
    void read(int row, int token, float log_prob, int at) {
        if (probes_ == nullptr) return;
        double* scores = writing_.scores + static_cast<long>(at) * probes_->count();
        const demur_step& given = writing_.text_steps[row];
        if (given.states == nullptr || std::isnan(log_prob)) {
            std::fill(scores, scores + probes_->count(), NAN);
            return;
        }
        RowSignals signals;
        std::memcpy(&signals, writing_.signals + at * 6L, sizeof signals);
        const float* states = writing_.states + at * writing_.hidden_stride;
        probes_->read(steps_[row], token, states, signals, given.wanted, scores);
        probes_->go_on(steps_[row], token, states, signals, log_prob);
    }

private:
    const demur_writing& writing_;
    const Probes* probes_;
    std::vector<Step> steps_;
};

bool is_halted(const demur_writing& writing) {
    return __atomic_load_n(writing.halt, __ATOMIC_RELAXED) != 0;
}

}  // namespace

int write(Network& network, const demur_writing& writing, std::int32_t& results) {
    const demur_shape& shape = network.shape();
    results = 0;
    Going going;
    for (int row = 0; row < writing.rows; ++row) {
        const auto last = writing.positions[row] + writing.most[row] - 1;
        if (writing.most[row] < 1 || writing.most[row] > writing.steps || last >= writing.length ||
            last >= shape.context)
            return row;
        going.add(row, writing.tokens[row], writing.slots[row], writing.positions[row]);
    }
    const long vocabulary = shape.vocabulary;
    Aligned<float> logits(static_cast<std::size_t>(writing.rows) * vocabulary), mass(vocabulary);
    Reading reading(writing);
    std::vector<float*> hidden(static_cast<std::size_t>(shape.layers) + 1);
    for (int step = 0; !going.rows.empty() && (step == 0 || !is_halted(writing)); ++step) {
        for (std::size_t layer = 0; layer < hidden.size(); ++layer) {
            float* states = writing.hidden[layer];
            hidden[layer] = states == nullptr ? nullptr : states + results * writing.hidden_stride;
        }
        const demur_pass pass{static_cast<std::int32_t>(going.rows.size()),
                              writing.slots_held,
                              writing.length,
                              going.tokens.data(),
                              going.slots.data(),
                              going.positions.data(),
                              going.wanted.data(),
                              writing.keys,
                              writing.values,
                              logits.data(),
                              writing.signals + results * 6L,
                              hidden.data(),
                              writing.hidden_stride};
        if (step == 0)
            if (const int misfit = network.misfit(pass); misfit >= 0) return misfit;
        network.run(pass);
        Going next;
        for (std::size_t at = 0; at < going.rows.size(); ++at, ++results) {
            const int row = going.rows[at];
            const float* own = logits.data() + static_cast<long>(at) * vocabulary;
            const double uniform = writing.uniforms[static_cast<long>(row) * writing.steps + step];
            const int drawn =
                kernels().draw(own, shape.vocabulary, writing.temperatures[row], uniform, mass.data());
            const float normaliser = writing.signals[results * 6L];
            float log_prob = drawn < shape.vocabulary ? own[drawn] - normaliser : NAN;
            if (!std::isfinite(log_prob)) log_prob = NAN;
            writing.row[results] = row;
            writing.id[results] = drawn;
            writing.log_prob[results] = log_prob;
            reading.read(row, drawn, log_prob, results);
            if (step + 1 < writing.most[row] && std::isfinite(log_prob) && !stops(writing, row, drawn))
                next.add(row, drawn, going.slots[at], going.positions[at] + 1);
        }
        going = std::move(next);
    }
    return -1;
}

}  // namespace demur

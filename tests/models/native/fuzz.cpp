// Networks of random shapes, and random passes over their caches, for sanitizers to watch. What is computed is
// compared elsewhere, with torch; here memory that a test in Python would not notice counts.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <random>
#include <vector>

#include "interface.h"

namespace {

std::mt19937 random_bits;

int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_bits); }

std::vector<std::int8_t> small_numbers(std::size_t count) {
    std::vector<std::int8_t> made(count);
    for (auto& each : made) each = static_cast<std::int8_t>(between(-127, 127));
    return made;
}

// Every other array of numbers that bfloat16 holds.
std::vector<float> numbers(std::size_t count) {
    std::normal_distribution<float> normal(0.0f, 0.3f);
    const std::uint32_t kept = between(0, 1) ? 0xffffffffu : 0xffff0000u;
    std::vector<float> made(count);
    for (float& each : made) {
        each = normal(random_bits);
        std::uint32_t bits;
        std::memcpy(&bits, &each, sizeof bits);
        bits &= kept;
        std::memcpy(&each, &bits, sizeof bits);
    }
    return made;
}

constexpr std::size_t BLOCK = 16;

std::size_t padded(std::size_t size) { return (size + BLOCK - 1) / BLOCK * BLOCK; }

std::vector<double> doubles(std::size_t count) {
    std::normal_distribution<double> normal;
    std::vector<double> made(count);
    for (double& each : made) each = normal(random_bits);
    return made;
}

std::vector<std::int64_t> some_tokens(int most, int vocabulary) {
    std::vector<std::int64_t> made(static_cast<std::size_t>(between(0, most)));
    for (auto& each : made) each = between(0, vocabulary - 1);
    return made;
}

constexpr int FEATURES = 38, LAYERS = 2;  // of signals; whose states are handed out, the first and the last

// Probes of every kind over them.
void* some_probes(const void* network, const demur_shape& shape, int count) {
    const std::vector<std::int64_t> closing = some_tokens(9, shape.vocabulary);
    std::vector<demur_probe> probes;
    std::vector<std::vector<std::int64_t>> ids;
    std::vector<std::vector<std::int32_t>> layers;
    std::vector<std::vector<float>> weights;
    std::vector<std::vector<double>> others;
    const auto hold = [&](std::vector<double> made) { return others.emplace_back(std::move(made)).data(); };
    const auto hold_ids = [&](std::vector<std::int64_t> made) -> const std::vector<std::int64_t>& {
        return ids.emplace_back(std::move(made));
    };
    ids.reserve(2 * count);
    others.reserve(5 * count);
    for (int index = 0; index < count; ++index) {
        demur_probe probe{};
        probe.at = between(0, 4);
        probe.read = between(0, 2);
        probe.pooled = between(0, 1);
        const auto& markers = hold_ids(some_tokens(5, shape.vocabulary));
        const auto& tokens = hold_ids(some_tokens(between(0, 1) * 6, shape.vocabulary));
        const bool network_follows = tokens.empty() && between(0, 1);
        probe.units = !tokens.empty() ? static_cast<int>(tokens.size()) : network_follows ? between(1, 40) : 1;
        auto& own = layers.emplace_back();
        for (int layer = 0; layer < LAYERS; ++layer)
            if (between(0, 2)) own.push_back(layer);
        probe.closing = closing.data();
        probe.closing_count = static_cast<int>(closing.size());
        probe.markers = markers.data();
        probe.marker_count = static_cast<int>(markers.size());
        probe.tokens = tokens.data();
        probe.token_count = static_cast<int>(tokens.size());
        probe.layers = own.data();
        probe.layer_count = static_cast<int>(own.size());
        const auto units = static_cast<std::size_t>(probe.units);
        probe.weight = weights.emplace_back(numbers(units * own.size() * shape.width)).data();
        probe.bias = hold(doubles(units));
        probe.signal_weight = between(0, 1) ? hold(doubles(units * FEATURES)) : nullptr;
        probe.out_weight = network_follows ? hold(doubles(units)) : nullptr;
        if (between(0, 1)) {
            probe.knots = hold({-1.0, 0.0, 2.0});
            probe.values = hold({0.1, 0.4, 0.9});
            probe.knot_count = 3;
        }
        probe.slope = 1.0;
        probes.push_back(probe);
    }
    return demur_probes_new(network, probes.data(), count, LAYERS);
}

// Some rows of a cache are gone on with, whatever it holds.
void write(void* network, const demur_shape& shape, int slots, int length, float* keys, float* values) {
    const int rows = between(1, slots), steps = between(1, 5), stops_each = between(0, 3);
    std::vector<std::int64_t> tokens, where, positions, stops;
    std::vector<std::int32_t> most;
    std::vector<double> uniforms;
    std::vector<float> temperatures;
    bool fits = true;
    for (int row = 0; row < rows; ++row) {
        tokens.push_back(between(0, shape.vocabulary - 1));
        where.push_back(row);
        positions.push_back(between(0, length - 1));
        most.push_back(between(1, steps));
        fits = fits && positions.back() + most.back() <= length;
        temperatures.push_back(between(0, 2) * 0.6f);
        for (int step = 0; step < steps; ++step) uniforms.push_back(between(0, 999) / 1000.0);
        for (int stop = 0; stop < stops_each; ++stop) stops.push_back(between(-1, shape.vocabulary - 1));
    }
    const auto results = static_cast<std::size_t>(rows) * steps;
    std::vector<std::int32_t> row(results), id(results);
    std::vector<float> log_prob(results), signals(6 * results), states(results * LAYERS * shape.width);
    std::vector<float*> hidden(static_cast<std::size_t>(shape.layers) + 1);
    hidden.front() = states.data();
    hidden.back() = states.data() + shape.width;
    const int count = between(1, 4);
    void* probes = between(0, 3) ? some_probes(network, shape, count) : nullptr;
    const std::vector<float> sums = numbers(static_cast<std::size_t>(LAYERS) * shape.width);
    const std::vector<std::int64_t> earlier = some_tokens(4, shape.vocabulary);
    const std::vector<double> past = doubles(5 * earlier.size());
    std::vector<std::uint8_t> wanted(static_cast<std::size_t>(count));
    for (auto& each : wanted) each = static_cast<std::uint8_t>(between(0, 1));
    std::vector<demur_step> text_steps;
    for (int at = 0; at < rows; ++at)
        text_steps.push_back({static_cast<int>(earlier.size()), between(0, 2), earlier.data(), past.data(),
                              between(0, 3) ? sums.data() : nullptr, wanted.data()});
    std::vector<double> scores(results * count);
    const std::int32_t halt = between(0, 3) == 0;
    const demur_writing writing{rows, steps, slots, length, stops_each, tokens.data(), where.data(),
                                positions.data(), most.data(), uniforms.data(), temperatures.data(),
                                stops.data(), &halt, keys, values, row.data(), id.data(), log_prob.data(),
                                signals.data(), hidden.data(), LAYERS * shape.width, probes, text_steps.data(),
                                states.data(), scores.data()};
    std::int32_t found;
    if ((demur_write(network, &writing, &found) == -1) != fits || (fits && found < rows)) std::abort();
    demur_probes_delete(probes);
}

void one_network() {
    const int heads = between(1, 4);
    const bool rotary = between(0, 1);
    const int size = between(1, 20) * (rotary ? 2 : 1);
    const bool bytes = between(0, 1);
    const demur_shape shape{between(1, 70), between(1, 40), heads * size, between(1, 3), heads, between(1, 3), bytes};
    const auto width = static_cast<std::size_t>(shape.width), context = static_cast<std::size_t>(shape.context);
    const auto vocabulary = static_cast<std::size_t>(shape.vocabulary);
    // Lists of their own hold what the addresses are of.
    std::list<std::vector<float>> floats;
    std::list<std::vector<std::int8_t>> rounded;
    std::vector<const void*> addresses;
    const auto give = [&](std::size_t count) { addresses.push_back(floats.emplace_back(numbers(count)).data()); };
    const auto matrix = [&](std::size_t columns, std::size_t depth) {
        if (!bytes) return give(columns * depth);
        addresses.push_back(rounded.emplace_back(small_numbers(columns * depth)).data());
        give(columns);
    };
    const auto norm = [&] {
        give(width);
        give(width);
    };
    const auto linear = [&](std::size_t columns, std::size_t depth) {
        matrix(columns, depth);
        give(columns);
    };
    give(vocabulary * width);
    if (rotary) addresses.push_back(nullptr);
    else give(context * width);
    for (int part = 0; part < 2; ++part) {
        if (rotary) give(context * size);
        else addresses.push_back(nullptr);
    }
    for (int layer = 0; layer < shape.layers; ++layer) {
        norm();
        linear(3 * width, width);
        linear(width, width);
        norm();
        linear(4 * width, width);
        linear(width, 4 * width);
    }
    norm();
    matrix(vocabulary, width);
    addresses.push_back(nullptr);
    void* network = demur_new(&shape, addresses.data());
    if (network == nullptr) std::abort();

    const int slots = between(1, 15), length = between(1, shape.context);
    const std::size_t outer = static_cast<std::size_t>(shape.layers) * slots * heads;
    std::vector<float> keys(outer * padded(length) * size), values(outer * padded(length) * padded(size));
    for (int turn = 0; turn < 6; ++turn) {
        std::vector<std::int64_t> tokens, where, positions;
        std::vector<std::uint8_t> wanted;
        const bool fits = between(0, 3) > 0;
        std::size_t results = 0;
        for (int slot = 0; slot < slots; ++slot) {
            const int start = between(0, length - 1), end = between(start + 1, length);
            for (int position = start; position < end; ++position) {
                tokens.push_back(between(0, shape.vocabulary - 1));
                where.push_back(slot);
                positions.push_back(position);
                wanted.push_back(between(0, 1) || position == end - 1);
                results += wanted.back();
            }
        }
        if (!fits) {
            auto& spoilt = *std::vector<std::vector<std::int64_t>*>{&tokens, &where, &positions}[between(0, 2)];
            spoilt[between(0, static_cast<int>(spoilt.size()) - 1)] = between(0, 1) ? -1 : 1L << between(20, 40);
        }
        std::vector<float> logits(results * vocabulary), signals(results * 6), states(results * width);
        std::vector<float*> hidden(static_cast<std::size_t>(shape.layers) + 1);
        hidden[between(0, shape.layers)] = states.data();
        const demur_pass pass{static_cast<std::int32_t>(tokens.size()), slots, length, tokens.data(), where.data(),
                              positions.data(), wanted.data(), keys.data(), values.data(), logits.data(),
                              signals.data(), hidden.data(), shape.width};
        if ((demur_run(network, &pass) == -1) != fits) std::abort();
        write(network, shape, slots, length, keys.data(), values.data());
    }
    demur_delete(network);
}

}  // namespace

int main(int, char** arguments) {
    const int count = std::atoi(arguments[1]);
    for (int seed = 0; seed < count; ++seed) {
        random_bits.seed(static_cast<unsigned>(seed));
        one_network();
    }
    std::printf("%d networks, %s\n", count, demur_kernels());
}

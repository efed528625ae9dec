// Networks of random shapes, and random passes over their caches, for sanitizers to watch. What is computed is
// compared elsewhere, with torch; here memory that a test in Python would not notice counts.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "interface.h"

namespace {

std::mt19937 random_bits;

int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_bits); }

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

void one_network() {
    const int heads = between(1, 4);
    const bool rotary = between(0, 1);
    const int size = between(1, 20) * (rotary ? 2 : 1);
    const demur_shape shape{between(1, 70), between(1, 40), heads * size, between(1, 3), heads, between(1, 3)};
    const auto width = static_cast<std::size_t>(shape.width), context = static_cast<std::size_t>(shape.context);
    const auto vocabulary = static_cast<std::size_t>(shape.vocabulary);
    std::vector<std::vector<float>> weights;
    weights.push_back(numbers(vocabulary * width));
    weights.push_back(rotary ? std::vector<float>{} : numbers(context * width));
    weights.push_back(rotary ? numbers(context * size) : std::vector<float>{});
    weights.push_back(rotary ? numbers(context * size) : std::vector<float>{});
    const auto norm = [&] {
        weights.push_back(numbers(width));
        weights.push_back(numbers(width));
    };
    const auto linear = [&](std::size_t columns, std::size_t depth) {
        weights.push_back(numbers(columns * depth));
        weights.push_back(numbers(columns));
    };
    for (int layer = 0; layer < shape.layers; ++layer) {
        norm();
        linear(3 * width, width);
        linear(width, width);
        norm();
        linear(4 * width, width);
        linear(width, 4 * width);
    }
    norm();
    std::vector<const float*> addresses;
    for (const auto& each : weights) addresses.push_back(each.empty() ? nullptr : each.data());
    void* network = demur_new(&shape, addresses.data());
    if (network == nullptr) std::abort();

    const int units = between(1, 40);
    const std::vector<std::int32_t> layers{0, shape.layers};
    std::vector<float> read_weights = numbers(units * 2 * width);
    if (between(0, 1)) std::fill_n(read_weights.begin(), read_weights.size() / 2, 0.0f);
    void* reads = demur_reads_new(network, layers.data(), 2, units, read_weights.data(), numbers(units).data());

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
        std::vector<float> logits(results * vocabulary), signals(results * 5), states(results * width);
        std::vector<float> read(results * units);
        std::vector<float*> hidden(static_cast<std::size_t>(shape.layers) + 1);
        hidden[between(0, shape.layers)] = states.data();
        const demur_pass pass{static_cast<std::int32_t>(tokens.size()), slots, length, tokens.data(), where.data(),
                              positions.data(), wanted.data(), keys.data(), values.data(), logits.data(),
                              signals.data(), hidden.data(), between(0, 1) ? reads : nullptr, read.data()};
        if ((demur_run(network, &pass) == -1) != fits) std::abort();
    }
    demur_reads_delete(reads);
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

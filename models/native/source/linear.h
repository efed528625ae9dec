// A linear layer whose weights are packed for the kernels of this processor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "aligned.h"
#include "kernels.h"
#include "team.h"

namespace demur {

class Linear {
public:
    Linear() = default;

    // weights: (columns, depth), as torch has them. bias: (columns,), or null for none.
    Linear(const float* weights, const float* bias, int columns, int depth)
        : columns_(columns), depth_(depth) {
        const int panel = kernels().panel;
        panels_ = (columns + panel - 1) / panel;
        const auto padded = static_cast<std::size_t>(panels_) * panel;
        halves_ = fit_halves(weights, static_cast<long>(columns) * depth);
        weights_ = Aligned<char>(padded * depth * (halves_ ? 2 : 4));
        kernels().pack(weights, columns, depth, halves_, weights_.data());
        bias_ = Aligned<float>(padded);
        std::fill(bias_.data(), bias_.data() + padded, 0.0f);
        if (bias != nullptr) std::copy(bias, bias + columns, bias_.data());
    }

    int columns() const { return columns_; }

    // One member's part of the product of `rows` rows. `in` and `out` have as many numbers a row as there are
    // inputs and outputs.
    void apply(const float* in, int rows, float* out, Epilogue epilogue, int member, int members) const {
        const Share panels(panels_, member, members);
        apply_panels(in, rows, out, epilogue, panels.first, panels.last);
    }

    // Only the columns of panels `first` to `last`.
    void apply_panels(const float* in, int rows, float* out, Epilogue epilogue, int first, int last) const {
        kernels().multiply({in, depth_, rows, depth_, columns_, weights_.data(), halves_, bias_.data(), out,
                            columns_, epilogue},
                           first, last);
    }

private:
    // Whether bfloat16, the upper half of a float32, holds every weight.
    static bool fit_halves(const float* weights, long count) {
        return std::all_of(weights, weights + count, [](float weight) {
            std::uint32_t bits;
            std::memcpy(&bits, &weight, sizeof bits);
            return (bits & 0xffff) == 0;
        });
    }

    int columns_ = 0, depth_ = 0, panels_ = 0;
    bool halves_ = false;
    Aligned<char> weights_;
    Aligned<float> bias_;
};

}  // namespace demur

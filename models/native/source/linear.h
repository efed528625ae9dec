// A linear layer whose weights are packed for the kernels of this processor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "aligned.h"
#include "kernels.h"
#include "team.h"

namespace demur {

// Rows rounded to 16 bits, which weights of 8 bits are multiplied with. stride: numbers of a row.
struct RoundedRows {
    std::int16_t* numbers;
    long stride;
    float* scales;
};

class Linear {
public:
    Linear() = default;

    // weights: (columns, depth), as torch has them. bias: (columns,), or null for none.
    Linear(const float* weights, const float* bias, int columns, int depth) : Linear(bias, columns, depth) {
        const bool fit = fit_halves(weights, static_cast<long>(columns) * depth);
        format_ = fit ? Format::halves : Format::whole;
        weights_ = Aligned<char>(padded_ * depth * (fit ? 2 : 4));
        kernels().pack(weights, columns, depth, fit, weights_.data());
    }

    // The same of int8 weights. scales: (columns,), what those of a column are multiples of.
    Linear(const std::int8_t* weights, const float* scales, const float* bias, int columns, int depth)
        : Linear(bias, columns, depth) {
        format_ = Format::bytes;
        weights_ = Aligned<char>(padded_ * ((depth + 1) / 2 * 2));
        kernels().pack_bytes(weights, columns, depth, reinterpret_cast<std::int8_t*>(weights_.data()));
        scales_ = Aligned<float>(padded_);
        std::fill(scales_.data(), scales_.data() + padded_, 0.0f);
        std::copy(scales, scales + columns, scales_.data());
        most_ = most_of(weights, columns, depth);
    }

    int columns() const { return columns_; }

    // Whether rows have to be rounded before they are multiplied.
    bool takes_rounded() const { return format_ == Format::bytes; }

    // Rounds rows `first` to `last` of (rows, depth).
    void round(const float* in, int first, int last, const RoundedRows& out) const {
        for (int row = first; row < last; ++row)
            out.scales[row] = kernels().round_row(in + static_cast<long>(row) * depth_, depth_, most_,
                                                  out.numbers + row * out.stride);
    }

    // One member's part of the product of `rows` rows. `in` and `out` have as many numbers a row as there are
    // inputs and outputs.
    void apply(const float* in, int rows, float* out, Epilogue epilogue, int member, int members) const {
        multiply({in, depth_, rows, depth_, columns_, weights_.data(), format_, nullptr, nullptr, bias_.data(), out,
                  columns_, epilogue},
                 member, members);
    }

    // The same of rounded rows.
    void apply(const RoundedRows& in, int rows, float* out, Epilogue epilogue, int member, int members) const {
        multiply({in.numbers, in.stride, rows, depth_, columns_, weights_.data(), format_, in.scales, scales_.data(),
                  bias_.data(), out, columns_, epilogue},
                 member, members);
    }

private:
    Linear(const float* bias, int columns, int depth) : columns_(columns), depth_(depth) {
        const int panel = kernels().panel;
        panels_ = (columns + panel - 1) / panel;
        padded_ = static_cast<std::size_t>(panels_) * panel;
        bias_ = Aligned<float>(padded_);
        std::fill(bias_.data(), bias_.data() + padded_, 0.0f);
        if (bias != nullptr) std::copy(bias, bias + columns, bias_.data());
    }

    void multiply(const Product& product, int member, int members) const {
        const Share panels(panels_, member, members);
        kernels().multiply(product, panels.first, panels.last);
    }

    // Whether bfloat16, the upper half of a float32, holds every weight.
    static bool fit_halves(const float* weights, long count) {
        return std::all_of(weights, weights + count, [](float weight) {
            std::uint32_t bits;
            std::memcpy(&bits, &weight, sizeof bits);
            return (bits & 0xffff) == 0;
        });
    }

    // The largest input for which no sum of products with a column's weights can exceed 32 bits.
    static int most_of(const std::int8_t* weights, int columns, int depth) {
        long largest = 1;
        for (int column = 0; column < columns; ++column) {
            long total = 0;
            for (int k = 0; k < depth; ++k) total += std::abs(weights[static_cast<long>(column) * depth + k]);
            largest = std::max(largest, total);
        }
        return static_cast<int>(std::min<long>(std::numeric_limits<std::int16_t>::max(),
                                               std::numeric_limits<std::int32_t>::max() / largest));
    }

    int columns_ = 0, depth_ = 0, panels_ = 0, most_ = 0;
    std::size_t padded_ = 0;  // columns, to whole panels
    Format format_ = Format::whole;
    Aligned<char> weights_;
    Aligned<float> bias_, scales_;
};

}  // namespace demur

// Numbers that are linear in the residual stream at several layers, such as the units of probes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "linear.h"

namespace demur {

class Reads {
public:
    // weights: (units, layers * width), of the states at `layers` side by side. bias: (units,).
    Reads(const std::int32_t* layers, int count, int units, int width, const float* weights, const float* bias)
        : units_(units), width_(width), bias_(bias, bias + units) {
        std::vector<float> own(static_cast<std::size_t>(units) * width);
        for (int index = 0; index < count; ++index) {
            for (int unit = 0; unit < units; ++unit)
                std::copy_n(weights + (static_cast<long>(unit) * count + index) * width, width,
                            own.begin() + static_cast<long>(unit) * width);
            at_.push_back({layers[index], Linear(own.data(), nullptr, units, width), used_panels(own)});
        }
    }

    int units() const { return units_; }

    // What is read of no layer.
    void begin(int rows, float* out) const {
        for (int row = 0; row < rows; ++row) std::copy(bias_.begin(), bias_.end(), out + row * units_);
    }

    // Adds what `rows` states (rows, width) at a layer come to.
    void add(int layer, const float* states, int rows, float* out) const {
        for (const auto& at : at_)
            if (at.layer == layer)
                for (const Range& range : at.used)
                    at.linear.apply_panels(states, rows, out, Epilogue::add, range.first, range.last);
    }

private:
    struct Range {
        int first, last;
    };
    struct AtLayer {
        int layer;
        Linear linear;
        std::vector<Range> used;  // panels with a weight: most probes read few layers
    };

    std::vector<Range> used_panels(const std::vector<float>& weights) const {
        const int panel = kernels().panel, panels = (units_ + panel - 1) / panel;
        std::vector<Range> ranges;
        for (int index = 0; index < panels; ++index) {
            const auto begin = weights.begin() + static_cast<long>(index) * panel * width_;
            const auto end = weights.begin() + static_cast<long>(std::min(units_, (index + 1) * panel)) * width_;
            if (std::all_of(begin, end, [](float weight) { return weight == 0.0f; })) continue;
            if (!ranges.empty() && ranges.back().last == index) ranges.back().last = index + 1;
            else ranges.push_back({index, index + 1});
        }
        return ranges;
    }

    int units_, width_;
    std::vector<float> bias_;
    std::vector<AtLayer> at_;
};

}  // namespace demur

#include "network.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace demur {

namespace {

// Tokens that go through all layers together. More would not fit the caches closest to the processor.
constexpr int PART = 96;

// Takes weights in the order in which Python lists them.
class Reader {
public:
    Reader(const void* const* weights, bool bytes) : next_(weights), bytes_(bytes) {}
    const float* take() { return static_cast<const float*>(*next_++); }
    Norm norm(int width) {
        const float* scale = take();
        const float* shift = take();
        return {{scale, scale + width}, {shift, shift + width}};
    }
    Linear linear(int columns, int depth) {
        const void* weights = *next_++;
        const float* scales = bytes_ ? take() : nullptr;
        const float* bias = take();
        if (bytes_) return {static_cast<const std::int8_t*>(weights), scales, bias, columns, depth};
        return {static_cast<const float*>(weights), bias, columns, depth};
    }

private:
    const void* const* next_;
    bool bytes_;
};

}  // namespace

Network::Network(const demur_shape& shape, const void* const* weights)
    : shape_(shape), head_size_(shape.width / shape.heads), value_size_((head_size_ + BLOCK - 1) / BLOCK * BLOCK),
      team_(std::max(1, shape.threads)) {
    const int width = shape.width;
    Reader reader(weights, shape.bytes != 0);
    token_embedding_ = reader.take();
    position_embedding_ = reader.take();
    cosine_ = reader.take();
    sine_ = reader.take();
    for (int layer = 0; layer < shape.layers; ++layer) {
        Block block;
        block.attention_norm = reader.norm(width);
        block.qkv = reader.linear(3 * width, width);
        block.attention_out = reader.linear(width, width);
        block.mlp_norm = reader.norm(width);
        block.mlp_in = reader.linear(4 * width, width);
        block.mlp_out = reader.linear(width, 4 * width);
        blocks_.push_back(std::move(block));
    }
    final_norm_ = reader.norm(width);
    unembedding_ = reader.linear(shape.vocabulary, width);
    const auto room = static_cast<std::size_t>(PART) * width;
    stream_ = Aligned<float>(room);
    normed_ = Aligned<float>(room);
    qkv_ = Aligned<float>(3 * room);
    mixed_ = Aligned<float>(room);
    inner_ = Aligned<float>(4 * room);
    if (shape.bytes != 0) {
        rounded_ = Aligned<std::int16_t>(4 * room);
        row_scales_ = Aligned<float>(PART);
    }
    for (int member = 0; member < team_.members(); ++member)
        scores_.emplace_back(static_cast<std::size_t>(shape.context) + BLOCK);
}

int Network::misfit(const demur_pass& pass) const {
    std::vector<char> seen(static_cast<std::size_t>(pass.slots_held));
    for (int at = 0; at < pass.count; ++at) {
        const auto token = pass.tokens[at], slot = pass.slots[at], position = pass.positions[at];
        if (token < 0 || token >= shape_.vocabulary || slot < 0 || slot >= pass.slots_held || position < 0 ||
            position >= pass.length || position >= shape_.context)
            return at;
        const bool goes_on = at > 0 && slot == pass.slots[at - 1] && position == pass.positions[at - 1] + 1;
        if (seen[static_cast<std::size_t>(slot)] && !goes_on) return at;
        seen[static_cast<std::size_t>(slot)] = 1;
    }
    return -1;
}

void Network::run(const demur_pass& pass) {
    const Cache cache{pass.keys, pass.values, pass.slots_held, (pass.length + BLOCK - 1) / BLOCK * BLOCK};
    const std::lock_guard<std::mutex> lock(running_);
    int results = 0;
    for (Part part{0, 0, {}, 0}; part.first < pass.count; part.first += part.count) {
        part.count = std::min(PART, pass.count - part.first);
        part.result = results;
        part.wanted.clear();
        for (int at = 0; at < part.count; ++at)
            if (pass.wanted[part.first + at]) part.wanted.push_back(at);
        team_.run([&](int member) { work_on(pass, cache, part, member); });
        results += static_cast<int>(part.wanted.size());
    }
}

// What one member of the team does of a part. Barriers stand where it needs what the others made.
void Network::work_on(const demur_pass& pass, const Cache& cache, const Part& part, int member) {
    const int width = shape_.width, members = team_.members(), first = part.first, count = part.count;
    const Share own(count, member, members);
    for (int at = own.first; at < own.last; ++at) {
        float* row = stream_.data() + at * width;
        std::memcpy(row, token_embedding_ + pass.tokens[first + at] * width, sizeof(float) * width);
        if (position_embedding_ == nullptr) continue;
        const float* position = position_embedding_ + pass.positions[first + at] * width;
        for (int d = 0; d < width; ++d) row[d] += position[d];
    }
    team_.barrier();
    for (int layer = 0; layer < shape_.layers; ++layer) {
        const Block& block = blocks_[layer];
        keep(pass, layer, part, member);
        norm(block.attention_norm, stream_.data(), count, normed_.data(), member);
        team_.barrier();
        apply(block.qkv, normed_.data(), count, qkv_.data(), Epilogue::store, member);
        team_.barrier();
        place(pass, cache, layer, part, member);
        team_.barrier();
        attend(pass, cache, layer, part, member);
        team_.barrier();
        apply(block.attention_out, mixed_.data(), count, stream_.data(), Epilogue::add, member);
        team_.barrier();
        norm(block.mlp_norm, stream_.data(), count, normed_.data(), member);
        team_.barrier();
        apply(block.mlp_in, normed_.data(), count, inner_.data(), Epilogue::gelu, member);
        team_.barrier();
        apply(block.mlp_out, inner_.data(), count, stream_.data(), Epilogue::add, member);
        team_.barrier();
    }
    keep(pass, shape_.layers, part, member);
    // The states that are asked for, side by side.
    const int results = static_cast<int>(part.wanted.size());
    if (results == 0) return;
    const Share rows(results, member, members);
    for (int row = rows.first; row < rows.last; ++row)
        kernels().normalise(stream_.data() + part.wanted[row] * width, final_norm_.scale.data(),
                            final_norm_.shift.data(), width, normed_.data() + row * width);
    team_.barrier();
    const long vocabulary = shape_.vocabulary;
    float* logits = pass.logits + part.result * vocabulary;
    apply(unembedding_, normed_.data(), results, logits, Epilogue::store, member);
    team_.barrier();
    for (int row = rows.first; row < rows.last; ++row) {
        RowSignals signals;
        kernels().read_distribution(logits + row * vocabulary, shape_.vocabulary, signals);
        std::memcpy(pass.signals + (part.result + row) * 6L, &signals, sizeof signals);
    }
}

// A member's part of a layer's product. Rows are rounded first where the layer's weights are.
void Network::apply(const Linear& layer, const float* in, int rows, float* out, Epilogue epilogue, int member) {
    const int members = team_.members();
    if (!layer.takes_rounded()) return layer.apply(in, rows, out, epilogue, member, members);
    const RoundedRows rounded{rounded_.data(), 4 * shape_.width, row_scales_.data()};
    const Share own(rows, member, members);
    layer.round(in, own.first, own.last, rounded);
    team_.barrier();
    layer.apply(rounded, rows, out, epilogue, member, members);
}

void Network::norm(const Norm& norm, const float* in, int rows, float* out, int member) {
    const Share own(rows, member, team_.members());
    for (int row = own.first; row < own.last; ++row)
        kernels().normalise(in + row * shape_.width, norm.scale.data(), norm.shift.data(), shape_.width,
                            out + row * shape_.width);
}

// Hands out the residual stream where it is asked for.
void Network::keep(const demur_pass& pass, int layer, const Part& part, int member) {
    const int width = shape_.width;
    const Share own(static_cast<int>(part.wanted.size()), member, team_.members());
    if (float* hidden = pass.hidden[layer]; hidden != nullptr)
        for (int row = own.first; row < own.last; ++row)
            std::memcpy(hidden + (part.result + row) * pass.hidden_stride, stream_.data() + part.wanted[row] * width,
                        sizeof(float) * width);
}

// Turns queries and keys by their positions, scales the queries, and writes keys and values into the cache.
void Network::place(const demur_pass& pass, const Cache& cache, int layer, const Part& part, int member) {
    const int width = shape_.width, heads = shape_.heads, size = head_size_;
    const float scale = 1.0f / std::sqrt(static_cast<float>(size));
    const Share own(part.count, member, team_.members());
    for (int at = own.first; at < own.last; ++at) {
        const auto slot = pass.slots[part.first + at], position = pass.positions[part.first + at];
        float* query = qkv_.data() + at * 3 * width;
        for (int head = 0; head < heads; ++head, query += size) {
            float* key = query + width;
            const float* value = key + width;
            if (cosine_ != nullptr) {
                kernels().rotate(query, cosine_ + position * size, sine_ + position * size, size);
                kernels().rotate(key, cosine_ + position * size, sine_ + position * size, size);
            }
            for (int d = 0; d < size; ++d) query[d] *= scale;
            const long row = ((static_cast<long>(layer) * cache.slots + slot) * heads + head) * cache.length;
            float* keys = cache.keys + (row + position / BLOCK * BLOCK) * size + position % BLOCK;
            for (int d = 0; d < size; ++d) keys[d * BLOCK] = key[d];
            std::memcpy(cache.values + (row + position) * value_size_, value, sizeof(float) * size);
        }
    }
}

void Network::attend(const demur_pass& pass, const Cache& cache, int layer, const Part& part, int member) {
    const int width = shape_.width, heads = shape_.heads, size = head_size_;
    const Share own(part.count * heads, member, team_.members());
    for (int task = own.first; task < own.last; ++task) {
        const int at = task / heads, head = task % heads;
        const auto slot = pass.slots[part.first + at];
        const long row = ((static_cast<long>(layer) * cache.slots + slot) * heads + head) * cache.length;
        kernels().attend({qkv_.data() + at * 3 * width + head * size, cache.keys + row * size,
                          cache.values + row * value_size_, size, value_size_,
                          static_cast<int>(pass.positions[part.first + at]) + 1,
                          mixed_.data() + at * width + head * size},
                         scores_[member].data());
    }
}

}  // namespace demur

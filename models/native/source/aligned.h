// Memory that begins at a cache line.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace demur {

template <typename Number>
class Aligned {
public:
    explicit Aligned(std::size_t count = 0) : size_(count) {
        if (count == 0) return;
        const std::size_t bytes = (count * sizeof(Number) + 63) / 64 * 64;
        data_ = static_cast<Number*>(std::aligned_alloc(64, bytes));
        if (data_ == nullptr) throw std::bad_alloc();
    }
    ~Aligned() { std::free(data_); }
    Aligned(Aligned&& other) noexcept : data_(other.data_), size_(other.size_) {
        other.data_ = nullptr;
        other.size_ = 0;
    }
    Aligned& operator=(Aligned&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    Aligned(const Aligned&) = delete;
    Aligned& operator=(const Aligned&) = delete;

    Number* data() { return data_; }
    const Number* data() const { return data_; }
    std::size_t size() const { return size_; }

private:
    Number* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace demur

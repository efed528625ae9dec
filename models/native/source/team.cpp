#include "team.h"

#include <system_error>

namespace demur {

namespace {

constexpr int SPINS = 4000;

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

}  // namespace

Team::Team(int members) {
    threads_.reserve(static_cast<std::size_t>(members - 1));
    try {
        for (int index = 1; index < members; ++index) threads_.emplace_back([this, index] { serve(index); });
    } catch (const std::system_error&) {
        // There are no more threads for this process: fewer do the same work.
    }
}

Team::~Team() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
        ++round_;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void Team::run(const std::function<void(int)>& work) {
    if (!threads_.empty()) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            work_ = &work;
            ++round_;
        }
        wake_.notify_all();
    }
    work(0);
    barrier();
}

void Team::barrier() {
    if (threads_.empty()) return;
    const long phase = phase_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members()) {
        arrived_.store(0, std::memory_order_relaxed);
        phase_.store(phase + 1, std::memory_order_release);
        return;
    }
    for (int spins = 0; phase_.load(std::memory_order_acquire) == phase; ++spins) {
        if (spins < SPINS) pause();
        else std::this_thread::yield();
    }
}

void Team::serve(int index) {
    for (long done = 0;;) {
        for (int spins = 0; spins < SPINS && round_.load(std::memory_order_acquire) == done; ++spins) pause();
        {
            std::unique_lock<std::mutex> lock(mutex_);
            wake_.wait(lock, [&] { return round_.load() != done; });
            done = round_.load();
            if (stopping_) return;
        }
        (*work_)(index);
        barrier();
    }
}

}  // namespace demur

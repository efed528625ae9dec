// Threads that go through one pass together and wait for each other at its barriers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace demur {

// A part of `count` things, for member `index` of `members`.
struct Share {
    int first, last;
    Share(int count, int index, int members)
        : first(static_cast<int>(static_cast<long>(count) * index / members)),
          last(static_cast<int>(static_cast<long>(count) * (index + 1) / members)) {}
};

// The caller is member 0. Waiting threads spin a while, since a barrier takes far less than to sleep and wake;
// then they give their core away. Between passes they sleep soon.
class Team {
public:
    // With fewer members where the system gives no more threads.
    explicit Team(int members);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    int members() const { return static_cast<int>(threads_.size()) + 1; }

    // Has every member do the work, which is told its index, and returns when all have.
    void run(const std::function<void(int)>& work);

    // Waits until every member is here.
    void barrier();

private:
    void serve(int index);

    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable wake_;
    const std::function<void(int)>* work_ = nullptr;
    std::atomic<long> round_{0};  // of passes
    std::atomic<bool> stopping_{false};
    std::atomic<int> arrived_{0};
    std::atomic<long> phase_{0};  // of barriers
};

}  // namespace demur

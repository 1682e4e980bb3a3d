// Sleeping until a word of memory changes (Linux' futex; elsewhere the C++ library's), for waits
// without a lock.
#pragma once

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <atomic>
#include <cstdint>

namespace tenon {

#if defined(__linux__)
// Sleeps while `word` is `value`; may return early.
inline void futex_wait(std::atomic<uint32_t>& word, uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

// Wakes one that sleeps on the word at this address, which is not looked at: it may have ceased to
// exist since the sleeper was last seen.
inline void futex_wake_one(std::atomic<uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}
#else
inline void futex_wait(std::atomic<uint32_t>& word, uint32_t value) { word.wait(value); }
inline void futex_wake_one(std::atomic<uint32_t>* word) { std::atomic_notify_one(word); }
#endif

}  // namespace tenon

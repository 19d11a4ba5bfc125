// Chance from a seed: the same seed, the same world.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace vigil::simulation {

// Mixes 64 bits well (splitmix64's finalizer).
constexpr std::uint64_t Mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

class Dice {
 public:
  // Streams of one seed with different names are independent: dropping a fault does not change what people do.
  Dice(std::uint64_t seed, std::string_view stream) : state_(Mix(seed)) {
    for (const char c : stream) state_ = Mix(state_ ^ static_cast<std::uint8_t>(c));
  }
  std::uint64_t Next() { return Mix(state_ += 0x9e3779b97f4a7c15ULL); }
  // 0 … below-1.
  std::size_t Below(std::size_t below) { return below == 0 ? 0 : static_cast<std::size_t>(Next() % below); }
  double Unit() { return static_cast<double>(Next() >> 11U) * 0x1.0p-53; }
  bool Chance(double p) { return Unit() < p; }
  absl::Duration Between(absl::Duration from, absl::Duration to) {
    const std::int64_t span = absl::ToInt64Microseconds(to - from);
    return from + absl::Microseconds(span <= 0 ? 0 : static_cast<std::int64_t>(Next() % static_cast<std::uint64_t>(span)));
  }
  // Of events that come by chance, so often in the mean.
  absl::Duration Until(absl::Duration mean) {
    return absl::Microseconds(static_cast<std::int64_t>(-std::log(1.0 - Unit()) * static_cast<double>(absl::ToInt64Microseconds(mean))));
  }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Below(from.size())];
  }

 private:
  std::uint64_t state_;
};

// A running hash of everything that happened, in order.
class TraceHash {
 public:
  void Add(std::uint64_t value) { state_ = Mix(state_ ^ value); }
  void Add(std::string_view text) {
    Add(text.size());
    while (text.size() >= 8) {
      std::uint64_t word = 0;
      __builtin_memcpy(&word, text.data(), 8);
      Add(word);
      text.remove_prefix(8);
    }
    std::uint64_t rest = 0;
    __builtin_memcpy(&rest, text.data(), text.size());
    Add(rest);
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0;
};

}  // namespace vigil::simulation

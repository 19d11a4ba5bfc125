#pragma once

#include <cstddef>
#include <iosfwd>
#include <utility>

namespace vigil {

namespace internal {
// Overwrites `size` bytes in a way the compiler may not leave out.
void WipeMemory(void* data, std::size_t size);
// What a test failure shows instead of a secret.
void PrintHidden(std::ostream* out);
}  // namespace internal

// Holds a value that must not reach a log line, a metric or a message by accident: it cannot be streamed, formatted or compared, and
// `reveal()` is easy to search for. A value with data() and size() (a string, an array of bytes) is overwritten at the end. Compare
// revealed bytes with ConstantTimeEqual (encoding.h).
template <typename T>
class Secret {
 public:
  Secret() = default;
  explicit Secret(T value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      Wipe();
      value_ = other.value_;
    }
    return *this;
  }
  Secret(Secret&& other) noexcept : value_(other.value_) { other.Wipe(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      Wipe();
      value_ = other.value_;
      other.Wipe();
    }
    return *this;
  }
  ~Secret() { Wipe(); }

  const T& reveal() const { return value_; }

  bool operator==(const Secret&) const = delete;
  friend std::ostream& operator<<(std::ostream&, const Secret&) = delete;
  friend void PrintTo(const Secret&, std::ostream* out) { internal::PrintHidden(out); }

 private:
  void Wipe() {
    if constexpr (requires(T& t) { internal::WipeMemory(t.data(), t.size() * sizeof(*t.data())); }) {
      internal::WipeMemory(value_.data(), value_.size() * sizeof(*value_.data()));
    }
  }

  T value_{};
};

}  // namespace vigil

// What each fuzz target defines. One source, two programs: under the `fuzz` preset (Clang) libFuzzer drives it, guided by coverage; in every other
// build fuzz_<target> is a test that feeds it its seeds and a fixed number of their mutations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vigil::fuzz {

// Whatever the bytes are: it returns, touches no memory that is not its own, and what it says of them holds; otherwise it aborts.
void Try(std::string_view input);

// Inputs that are well-formed or nearly so, for the fuzzer to begin with.
std::vector<std::string> Seeds();

// Aborts with these words: the target's own promise was broken.
[[noreturn]] void Broken(std::string_view promise);
inline void Promise(bool holds, std::string_view promise) {
  if (!holds) Broken(promise);
}

}  // namespace vigil::fuzz

// A fuzz target without a fuzzer: its seeds, and mutations of them that are the same in every run.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "fuzz/fuzz.h"

namespace vigil::fuzz {

void Broken(std::string_view promise) {
  std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(promise.size()), promise.data());
  std::abort();
}

namespace {

std::string Mutated(std::string text, const std::string& other, std::mt19937& random) {
  const auto below = [&](std::size_t end) { return end == 0 ? 0 : static_cast<std::size_t>(random() % end); };
  const std::size_t changes = 1 + below(4);
  for (std::size_t i = 0; i < changes; ++i) {
    const std::size_t at = below(text.size());
    switch (below(6)) {
      case 0:
        if (!text.empty()) text[at] = static_cast<char>(random());
        break;
      case 1:
        text.insert(at, 1 + below(8), static_cast<char>(random()));
        break;
      case 2:
        text.erase(at, 1 + below(16));
        break;
      case 3:
        text.resize(at);
        break;
      case 4:
        text.insert(at, other.substr(below(other.size()), 1 + below(64)));
        break;
      default:
        if (!text.empty()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
    }
  }
  return text;
}

TEST(FuzzTest, SeedsAndTheirMutationsKeepThePromises) {
  std::mt19937 random(20260310);
  const std::vector<std::string> seeds = Seeds();
  ASSERT_FALSE(seeds.empty());
  Try("");
  for (const std::string& seed : seeds) {
    Try(seed);
    for (int i = 0; i < FUZZ_MUTATIONS; ++i) Try(Mutated(seed, seeds[random() % seeds.size()], random));
  }
}

}  // namespace
}  // namespace vigil::fuzz

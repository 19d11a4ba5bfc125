// Which commit is being folded now, where another life of this process can read it: a commit that ends the process leaves its position behind. One
// that did so twice is poison, and is passed over.
//
// Two files: `<path>` is mapped into memory (a process that dies leaves what it wrote there; nothing is synced, so it costs a few nanoseconds a
// commit): magic, partition, sequence, index, and whether it is being folded, each 8 bytes, native order. `<path>.crashes` is written durably
// at start when the last life died folding: JSON {"<partition>/<sequence>/<index>": times}.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"

namespace vigil {

// Partition, sequence, index in the batch.
using CommitPlace = std::tuple<int, std::uint64_t, std::uint32_t>;

// Passed over by the fold from the first on; from the second on not even shown to the service.
inline constexpr int kCrashesOfPoison = 2;
inline constexpr int kCrashesOfWorsePoison = 4;

// Used by one thread.
class CrashMarker {
 public:
  // Reads what the last life left. Errors are the disk's, with the path.
  static absl::StatusOr<std::unique_ptr<CrashMarker>> Open(const std::string& path);
  ~CrashMarker();
  CrashMarker(const CrashMarker&) = delete;
  CrashMarker& operator=(const CrashMarker&) = delete;

  // How many lives of this process the commit has ended.
  int crashes(const CommitPlace& place) const {
    const auto it = crashes_.find(place);
    return it == crashes_.end() ? 0 : it->second;
  }

  void Begin(const CommitPlace& place);
  void End();

 private:
  struct Cell;
  explicit CrashMarker(Cell* cell) : cell_(cell) {}

  Cell* const cell_;
  std::map<CommitPlace, int> crashes_;
};

}  // namespace vigil

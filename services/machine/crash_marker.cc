#include "machine/crash_marker.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "platform/durable_file/durable_file.h"

namespace vigil {
namespace {

constexpr std::uint64_t kMagic = 0x7669676C6D61726BULL;

}  // namespace

struct CrashMarker::Cell {
  std::uint64_t magic;
  std::uint64_t partition;
  std::uint64_t sequence;
  std::uint64_t index;
  std::atomic<std::uint64_t> folding;
};

absl::StatusOr<std::unique_ptr<CrashMarker>> CrashMarker::Open(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  if (ftruncate(file, sizeof(Cell)) != 0) {
    const int error = errno;
    close(file);
    return absl::ErrnoToStatus(error, absl::StrCat("cannot size ", path));
  }
  void* const mapped = mmap(nullptr, sizeof(Cell), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped == MAP_FAILED) return absl::ErrnoToStatus(errno, absl::StrCat("cannot map ", path));
  auto* const cell = static_cast<Cell*>(mapped);

  const std::string crashes_path = absl::StrCat(path, ".crashes");
  const absl::StatusOr<std::string> text = ReadWhole(crashes_path);
  nlohmann::json crashes = text.ok() ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json::object();
  if (!crashes.is_object()) crashes = nlohmann::json::object();
  if (cell->magic == kMagic && cell->folding != 0) {
    const std::string place = absl::StrCat(cell->partition, "/", cell->sequence, "/", cell->index);
    crashes[place] = crashes.value(place, 0) + 1;
    if (absl::Status kept = WriteDurably(crashes_path, crashes.dump()); !kept.ok()) {
      munmap(mapped, sizeof(Cell));
      return kept;
    }
  }
  cell->magic = kMagic;
  cell->folding = 0;
  std::unique_ptr<CrashMarker> marker(new CrashMarker(cell));
  for (const auto& [place, times] : crashes.items()) {
    int partition = 0;
    unsigned long long sequence = 0;
    unsigned index = 0;
    if (!times.is_number_integer() || std::sscanf(place.c_str(), "%d/%llu/%u", &partition, &sequence, &index) != 3) continue;
    marker->crashes_[{partition, sequence, index}] = times.get<int>();
  }
  return marker;
}

CrashMarker::~CrashMarker() { munmap(cell_, sizeof(Cell)); }

void CrashMarker::Begin(const CommitPlace& place) {
  cell_->partition = static_cast<std::uint64_t>(std::get<0>(place));
  cell_->sequence = std::get<1>(place);
  cell_->index = std::get<2>(place);
  cell_->folding.store(1, std::memory_order_release);
}

void CrashMarker::End() { cell_->folding.store(0, std::memory_order_release); }

}  // namespace vigil

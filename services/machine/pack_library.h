// The protocol packs by which this process decides: the common one, as installed, and what schools have laid over it.
//
// A school's overlay stands in the log, so every reader resolves the same text over the same common pack, to the same rows. A resolved pack is
// immutable and shared by all who hold it; it is dropped with the last of them. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "domain/pack/loader.h"
#include "domain/pack/pack.h"

namespace vigil {

// By which mistakes in an overlay are named: "overlay.yaml:12: what is wrong".
inline constexpr char kOverlayName[] = "overlay.yaml";

class PackLibrary {
 public:
  // InvalidArgument: the files are no pack.
  static absl::StatusOr<std::unique_ptr<PackLibrary>> Open(domain::PackFiles common, domain::DigestFunction digest);
  // A pack whose files are not at hand: nothing can be laid over it (FailedPrecondition).
  explicit PackLibrary(std::shared_ptr<const domain::Pack> common) : common_(std::move(common)) {}
  PackLibrary(const PackLibrary&) = delete;
  PackLibrary& operator=(const PackLibrary&) = delete;

  const std::shared_ptr<const domain::Pack>& common() const { return common_; }

  // The common pack with the overlay (YAML; nothing but space: none) over it. Tens of milliseconds, unless somebody holds it already.
  // InvalidArgument: a line for each mistake.
  absl::StatusOr<std::shared_ptr<const domain::Pack>> Resolve(const std::string& overlay) const;

 private:
  PackLibrary(domain::PackFiles files, domain::DigestFunction digest, std::shared_ptr<const domain::Pack> common)
      : files_(std::move(files)), digest_(std::move(digest)), common_(std::move(common)) {}

  const domain::PackFiles files_;
  const domain::DigestFunction digest_;
  const std::shared_ptr<const domain::Pack> common_;
  mutable std::mutex mutex_;
  // By the overlay itself: no digest that somebody may have chosen stands for it.
  mutable std::map<std::string, std::weak_ptr<const domain::Pack>> resolved_;
};

}  // namespace vigil

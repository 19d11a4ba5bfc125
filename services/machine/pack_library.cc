#include "machine/pack_library.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "domain/pack/overlay.h"

namespace vigil {

absl::StatusOr<std::unique_ptr<PackLibrary>> PackLibrary::Open(domain::PackFiles common, domain::DigestFunction digest) {
  auto pack = domain::LoadPack(common, digest);
  if (!pack.ok()) return pack.status();
  return std::unique_ptr<PackLibrary>(new PackLibrary(std::move(common), std::move(digest), *std::move(pack)));
}

absl::StatusOr<std::shared_ptr<const domain::Pack>> PackLibrary::Resolve(const std::string& overlay) const {
  if (absl::StripAsciiWhitespace(overlay).empty()) return common_;
  if (files_.empty()) return absl::FailedPreconditionError("the files of the common pack are not at hand");
  const auto held = [&]() -> std::shared_ptr<const domain::Pack> {
    const auto known = resolved_.find(overlay);
    return known == resolved_.end() ? nullptr : known->second.lock();
  };
  {
    const std::lock_guard lock(mutex_);
    if (auto pack = held()) return pack;
  }
  // Nobody waits for somebody else's.
  auto pack = domain::LoadPackWithOverlay(*common_, files_, {{kOverlayName, overlay}}, digest_);
  if (!pack.ok()) return pack.status();
  const std::lock_guard lock(mutex_);
  if (auto other = held()) return other;
  std::erase_if(resolved_, [](const auto& entry) { return entry.second.expired(); });
  resolved_[overlay] = *pack;
  return pack;
}

}  // namespace vigil

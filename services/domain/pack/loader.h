// Reads a protocol pack: text in, checked rows out. Pure; whoever calls reads the files (platform/pack_directory).
//
// Strict on purpose: counsellors edit these files, and a mistyped key that is silently ignored is a clock that never runs. Every
// mistake of all files is reported at once, a line each, as `clocks.yaml:42: what is wrong`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "domain/pack/pack.h"

namespace vigil::domain {

// Texts by file name ("clocks.yaml"). A section (clocks, ladders, ...) may be spread over files; names serve messages only.
using PackFiles = std::map<std::string, std::string>;

// SHA-256 as lower-case hex; at least 12 digits.
using DigestFunction = std::function<std::string(std::string_view)>;

// More than this is no protocol.
inline constexpr std::size_t kMaxPackBytes = 2u << 20;

// InvalidArgument: the pack cannot be meant so; the message lists every mistake, a line each.
absl::StatusOr<std::shared_ptr<const Pack>> LoadPack(const PackFiles& files, const DigestFunction& digest);

}  // namespace vigil::domain

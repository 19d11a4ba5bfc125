#include "vigil/pack/pack_command.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "domain/pack/overlay.h"
#include "platform/pack_directory/pack_directory.h"

namespace vigil {
namespace {

using nlohmann::json;

constexpr int kFine = 0;
constexpr int kWrong = 1;

absl::StatusOr<std::shared_ptr<const domain::Pack>> Load(const std::string& directory, const std::string& overlay) {
  auto files = ReadPackDirectory(directory);
  if (!files.ok()) return files.status();
  domain::PackFiles over;
  if (!overlay.empty()) {
    auto read = ReadPackDirectory(overlay);
    if (!read.ok()) return read.status();
    over = *std::move(read);
  }
  return domain::LoadPackWithOverlay(*files, over, PackDigest);
}

int Refuse(const absl::Status& status, bool as_json) {
  const std::string message(status.message());
  if (as_json) {
    std::printf("%s\n", json{{"ok", false}, {"problems", message}}.dump(2).c_str());
  } else {
    std::fprintf(stderr, "%s\n", message.c_str());
  }
  return kWrong;
}

}  // namespace

int RunPackCheck(const PackOptions& options) {
  const auto pack = Load(options.pack, options.overlay);
  if (!pack.ok()) return Refuse(pack.status(), options.json);
  const domain::Pack& p = **pack;
  const json counts{{"indicators", p.indicators.size()}, {"rules", p.rules.size()},     {"levels", p.levels.size()}, {"clocks", p.clocks.size()},
                    {"ladders", p.ladders.size()},       {"records", p.records.size()}, {"duties", p.duties.size()}, {"roles", p.roles.size()},
                    {"texts", p.texts.size()}};
  if (options.json) {
    std::printf("%s\n", json{{"ok", true}, {"id", p.id}, {"version", p.version}, {"digest", p.digest}, {"rows", counts}}.dump(2).c_str());
    return kFine;
  }
  std::printf("%s version %s, %s:", p.id.c_str(), p.version.c_str(), p.digest.c_str());
  for (const auto& [section, count] : counts.items()) std::printf(" %s %d", section.c_str(), count.get<int>());
  std::printf("\nok\n");
  return kFine;
}

int RunPackDiff(const PackOptions& options) {
  const auto before = Load(options.pack, options.overlay);
  if (!before.ok()) return Refuse(before.status(), options.json);
  const auto after = Load(options.other.empty() ? options.pack : options.other, options.other_overlay);
  if (!after.ok()) return Refuse(after.status(), options.json);
  const auto changes = domain::DiffPacks(**before, **after);
  const auto longer = domain::LengthenedClocks(**before, **after);
  const auto loosened = domain::FindLoosened(**before, **after);
  if (options.json) {
    json out{{"before", (*before)->digest}, {"after", (*after)->digest}, {"changes", json::array()}, {"lengthened_clocks", longer}, {"loosened", json::array()}};
    for (const auto& change : changes) out["changes"].push_back({{"section", change.section}, {"id", change.id}, {"what", NameOf(change.what)}, {"keys", change.keys}});
    for (const auto& row : loosened) out["loosened"].push_back({{"section", row.section}, {"id", row.id}, {"why", row.why}});
    std::printf("%s\n", out.dump(2).c_str());
    return kFine;
  }
  for (const auto& change : changes) {
    std::printf("%s %s.%s\n", NameOf(change.what), change.section.c_str(), change.id.c_str());
    for (const std::string& key : change.keys) std::printf("    %s\n", key.c_str());
  }
  for (const auto& row : loosened) std::printf("loosened %s.%s: %s\n", row.section.c_str(), row.id.c_str(), row.why.c_str());
  for (const std::string& clock : longer) std::printf("runs longer, two people must approve: clocks.%s\n", clock.c_str());
  std::printf("%zu rows differ. Open cases keep the version that they were opened under.\n", changes.size());
  return kFine;
}

}  // namespace vigil

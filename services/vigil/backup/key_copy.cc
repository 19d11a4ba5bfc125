#include "vigil/backup/key_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "platform/crypto/encoding.h"
#include "platform/durable_file/durable_file.h"
#include "vigil/backup/copy.h"

namespace vigil {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kTitle = "vigil keys copy v1\n";
constexpr char kErased[] = "-";

std::string_view StdView(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace

std::string KeyCopyText(const KeyCopy& copy, const SigningKey& key) {
  ordered_json log = ordered_json::object();
  for (int partition = 0; partition < kPartitions; ++partition) log[absl::StrCat(partition)] = copy.log[static_cast<std::size_t>(partition)];
  std::string body = absl::StrCat(ordered_json{{"installation", copy.installation},
                                               {"made_time", absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", copy.made_time, absl::UTCTimeZone())},
                                               {"log", log}}
                                      .dump(),
                                  "\n");
  for (const NamedKey& one : copy.keys) absl::StrAppend(&body, KeyNameText(one.name), " ", one.erased ? std::string(kErased) : Base64Encode(one.wrapped), "\n");
  return SignText(kTitle, body, key);
}

absl::StatusOr<KeyCopy> ParseKeyCopy(std::string_view text, const NoteVerifier& key) {
  absl::StatusOr<std::string> body = OpenSigned(kTitle, text, key, "the copy of keys");
  if (!body.ok()) return body.status();
  const absl::Status damaged = absl::DataLossError("the copy of keys is not what vigil backup writes");
  KeyCopy copy;
  bool first = true;
  for (const absl::string_view line : absl::StrSplit(*body, '\n', absl::SkipEmpty())) {
    if (std::exchange(first, false)) {
      try {
        const json head = json::parse(line.begin(), line.end());
        copy.installation = head.at("installation").get<std::string>();
        if (!absl::ParseTime(absl::RFC3339_full, head.at("made_time").get<std::string>(), &copy.made_time, nullptr)) return damaged;
        for (int partition = 0; partition < kPartitions; ++partition) {
          copy.log[static_cast<std::size_t>(partition)] = head.at("log").at(absl::StrCat(partition)).get<std::uint64_t>();
        }
      } catch (const json::exception&) {
        return damaged;
      }
      continue;
    }
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    const auto name = words.size() == 2 ? ParseKeyName(StdView(words[0])) : std::nullopt;
    if (!name) return damaged;
    NamedKey one{*name, words[1] == kErased, ""};
    if (!one.erased) {
      auto wrapped = Base64Decode(StdView(words[1]));
      if (!wrapped || wrapped->size() != kWrappedKeyBytes) return damaged;
      one.wrapped = *std::move(wrapped);
    }
    copy.keys.push_back(std::move(one));
  }
  if (copy.installation.empty()) return damaged;
  return copy;
}

absl::Status ReplaceAndWipe(const std::string& path, std::string_view content) {
  const int old = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const absl::Cleanup closing = [old] {
    if (old >= 0) close(old);
  };
  if (absl::Status written = WriteDurably(path, content); !written.ok()) return written;
  struct stat found {};
  if (old < 0 || fstat(old, &found) != 0) return absl::OkStatus();
  const std::string zeros(1 << 16, '\0');
  for (off_t at = 0; at < found.st_size;) {
    const auto size = static_cast<std::size_t>(std::min<off_t>(static_cast<off_t>(zeros.size()), found.st_size - at));
    const ssize_t wrote = pwrite(old, zeros.data(), size, at);
    if (wrote <= 0) break;
    at += wrote;
  }
  return fsync(old) == 0 ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("cannot overwrite the old ", path));
}

}  // namespace vigil

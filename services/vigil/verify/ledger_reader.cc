#include "vigil/verify/ledger_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "platform/crypto/encoding.h"
#include "vigil/display.h"

namespace vigil {
namespace {

using nlohmann::json;

constexpr int kPageSize = 1'000;

absl::StatusOr<HttpResponse> Ask(const Connection& connection, std::string path) {
  absl::StatusOr<HttpResponse> answer = Call(connection, {.path = std::move(path), .timeout = absl::Seconds(60)});
  if (!answer.ok()) return absl::UnavailableError(answer.status().message());
  if (answer->status / 100 != 2) return absl::UnavailableError(DisplayProblem(answer->status, answer->body, connection.language));
  return answer;
}

absl::StatusOr<LedgerEntry> EntryFromJson(const json& object, int partition) {
  const absl::Status broken = absl::DataLossError("the ledger serves something that is not an entry");
  try {
    LedgerEntry entry;
    entry.id = {static_cast<std::uint32_t>(partition), object.at("leaf").get<std::uint64_t>()};
    entry.sequence = object.at("sequence").get<std::uint64_t>();
    entry.index = object.at("index").get<std::uint32_t>();
    const std::optional<std::string> hash = Base64Decode(object.at("leaf_hash").get<std::string>());
    std::optional<std::string> commit = Base64Decode(object.at("commit").get<std::string>());
    if (!hash || !commit) return broken;
    absl::StatusOr<Digest> digest = merkle::DigestFromBytes(*hash);
    if (!digest.ok()) return broken;
    entry.leaf_hash = *digest;
    entry.bytes = *std::move(commit);
    return entry;
  } catch (const json::exception&) {
    return broken;
  }
}

}  // namespace

absl::StatusOr<std::string> FetchCheckpoint(const Connection& connection, int partition) {
  absl::StatusOr<HttpResponse> answer = Ask(connection, absl::StrCat("/api/v1/audit/checkpoint?partition=", partition));
  if (!answer.ok()) return answer.status();
  return answer->body;
}

absl::StatusOr<bool> LedgerReader::Next(LedgerEntry& entry) {
  if (entries_.empty()) {
    if (next_ >= size_) return false;
    const std::uint64_t wanted = std::min<std::uint64_t>(kPageSize, size_ - next_);
    absl::StatusOr<HttpResponse> answer =
        Ask(connection_, absl::StrCat("/api/v1/audit/entries/", partition_, "?from=", next_, "&page_size=", wanted));
    if (!answer.ok()) return answer.status();
    const json page = json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
    const json list = page.is_object() ? page.value("entries", json::array()) : json::array();
    if (list.empty()) return false;  // fewer than signed: the comparison says so
    for (const json& object : list) {
      if (next_ >= size_) break;
      absl::StatusOr<LedgerEntry> one = EntryFromJson(object, partition_);
      if (!one.ok()) return one.status();
      entries_.push_back(*std::move(one));
      ++next_;
    }
  }
  entry = std::move(entries_.front());
  entries_.pop_front();
  return true;
}

}  // namespace vigil

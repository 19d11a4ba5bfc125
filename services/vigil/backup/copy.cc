#include "vigil/backup/copy.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "platform/durable_file/durable_file.h"

namespace vigil {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kManifestTitle = "vigil log copy v1\n";
constexpr std::string_view kSegmentTitle = "vigil log segment v1\n";
constexpr std::string_view kSignature = "signature ";
constexpr std::string_view kTimeFormat = "%Y-%m-%dT%H:%M:%E*SZ";

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

void AddNumber(std::uint64_t value, int bytes, std::string& out) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>((value >> shift) & 0xff));
}

// Takes `size` bytes from the front; nullopt: there are not so many.
std::optional<std::string_view> Take(std::string_view& from, std::size_t size) {
  if (from.size() < size) return std::nullopt;
  const std::string_view taken = from.substr(0, size);
  from.remove_prefix(size);
  return taken;
}

std::optional<std::uint64_t> TakeNumber(std::string_view& from, std::size_t bytes) {
  const auto taken = Take(from, bytes);
  if (!taken) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : *taken) value = (value << 8) | static_cast<unsigned char>(c);
  return value;
}

bool IsBelow(const std::string& path) {
  if (path.empty() || path.front() == '/') return false;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(path, '/'))) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

ordered_json FileJson(const CopiedFile& file) { return {{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}}; }

CopiedFile FileFromJson(const json& line) {
  return {line.at("path").get<std::string>(), line.at("bytes").get<std::uint64_t>(), line.at("sha256").get<std::string>()};
}

}  // namespace

std::string SignText(std::string_view title, std::string_view body, const SigningKey& key) {
  std::string text = absl::StrCat(View(title), View(body));
  const std::string signature = key.Sign(text);
  absl::StrAppend(&text, View(kSignature), HexEncode(signature), "\n");
  return text;
}

absl::StatusOr<std::string> OpenSigned(std::string_view title, std::string_view text, const NoteVerifier& key, std::string_view what) {
  const auto bad = [&](std::string_view why) { return absl::DataLossError(absl::StrCat(View(what), " ", View(why))); };
  if (!text.ends_with('\n')) return bad("is torn: its end is missing");
  const std::size_t before = text.rfind('\n', text.size() - 2);
  const std::size_t line = before == std::string_view::npos ? 0 : before + 1;
  const std::string_view last = text.substr(line, text.size() - line - 1);
  if (!last.starts_with(kSignature)) return bad("is torn: it has no signature");
  if (!text.starts_with(title)) return bad("is not such a file");
  const auto signature = HexDecode(last.substr(kSignature.size()));
  if (!signature || line < title.size() || !key.Verify(text.substr(0, line), *signature)) return bad("was altered, or is not signed by this installation");
  return std::string(text.substr(title.size(), line - title.size()));
}

std::uint64_t Manifest::LastSequence(int partition) const {
  std::uint64_t last = 0;
  for (const Segment& segment : segments) {
    if (segment.partition == partition) last = std::max(last, segment.last);
  }
  return last;
}

const CopiedFile* Manifest::Find(std::string_view name) const {
  for (const CopiedFile& file : files) {
    if (file.path == name || (file.path.starts_with(name) && file.path.size() > name.size() && file.path[name.size()] == '~')) return &file;
  }
  return nullptr;
}

std::string VersionName(std::string_view name, std::string_view content) {
  return absl::StrCat(View(name), "~", HexEncode(AsView(Sha256(content))).substr(0, 16));
}

std::string ManifestText(const Manifest& manifest, const SigningKey& key) {
  std::string body = absl::StrCat(
      ordered_json{{"installation", manifest.installation}, {"made_time", absl::FormatTime(View(kTimeFormat), manifest.made_time, absl::UTCTimeZone())}}.dump(), "\n");
  for (const Segment& segment : manifest.segments) {
    ordered_json line = FileJson(segment.file);
    line["partition"] = segment.partition;
    line["first"] = segment.first;
    line["last"] = segment.last;
    absl::StrAppend(&body, line.dump(), "\n");
  }
  for (const CopiedFile& file : manifest.files) absl::StrAppend(&body, FileJson(file).dump(), "\n");
  return SignText(kManifestTitle, body, key);
}

absl::StatusOr<Manifest> ParseManifest(std::string_view text, const NoteVerifier& key) {
  absl::StatusOr<std::string> body = OpenSigned(kManifestTitle, text, key, "the manifest");
  if (!body.ok()) return body.status();
  const absl::Status damaged = absl::DataLossError("the manifest is not what vigil backup writes");
  Manifest manifest;
  try {
    bool first = true;
    for (const absl::string_view line : absl::StrSplit(*body, '\n', absl::SkipEmpty())) {
      const json parsed = json::parse(line.begin(), line.end());
      if (std::exchange(first, false)) {
        manifest.installation = parsed.at("installation").get<std::string>();
        if (!absl::ParseTime(absl::RFC3339_full, parsed.at("made_time").get<std::string>(), &manifest.made_time, nullptr)) return damaged;
        continue;
      }
      CopiedFile file = FileFromJson(parsed);
      if (!IsBelow(file.path)) return damaged;
      if (!parsed.contains("partition")) {
        manifest.files.push_back(std::move(file));
        continue;
      }
      Segment segment{parsed.at("partition").get<int>(), parsed.at("first").get<std::uint64_t>(), parsed.at("last").get<std::uint64_t>(), std::move(file)};
      const bool follows = segment.partition >= 0 && segment.partition < kPartitions && segment.first == manifest.LastSequence(segment.partition) + 1 &&
                           segment.last >= segment.first;
      if (!follows) return absl::DataLossError(absl::StrCat("the manifest has a gap before ", segment.file.path));
      manifest.segments.push_back(std::move(segment));
    }
  } catch (const json::exception&) {
    return damaged;
  }
  if (manifest.installation.empty()) return damaged;
  return manifest;
}

absl::StatusOr<CopiedFile> WriteCopied(const std::string& directory, const std::string& path, std::string_view content) {
  const std::filesystem::path full = std::filesystem::path(directory) / path;
  std::error_code error;
  std::filesystem::create_directories(full.parent_path(), error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", full.parent_path().string(), ": ", error.message()));
  if (absl::Status written = WriteDurably(full.string(), content); !written.ok()) return written;
  return CopiedFile{path, content.size(), HexEncode(AsView(Sha256(content)))};
}

absl::StatusOr<std::string> ReadCopied(const std::string& directory, const CopiedFile& file) {
  absl::StatusOr<std::string> content = ReadWhole(directory + "/" + file.path);
  if (absl::IsNotFound(content.status())) return absl::DataLossError(absl::StrCat(file.path, " is missing"));
  if (!content.ok()) return content.status();
  if (content->size() < file.bytes) return absl::DataLossError(absl::StrCat(file.path, " is torn: ", content->size(), " of ", file.bytes, " bytes"));
  if (content->size() != file.bytes || HexEncode(AsView(Sha256(*content))) != file.sha256) {
    return absl::DataLossError(absl::StrCat(file.path, " is not what was copied"));
  }
  return content;
}

void AddToSegment(const LogMessage& message, std::string& segment) {
  if (segment.empty()) segment = std::string(kSegmentTitle);
  AddNumber(message.sequence, 8, segment);
  AddNumber(static_cast<std::uint64_t>(absl::ToUnixNanos(message.stored_time)), 8, segment);
  const std::string source = message.source.substr(0, 255);
  AddNumber(source.size(), 1, segment);
  segment.append(source);
  AddNumber(message.body.size(), 4, segment);
  segment.append(message.body);
}

absl::Status ForEachMessage(std::string_view segment, int partition, std::string_view what, const std::function<absl::Status(LogMessage)>& visit) {
  const absl::Status damaged = absl::DataLossError(absl::StrCat(View(what), " is not a segment of the log"));
  if (!segment.starts_with(kSegmentTitle)) return damaged;
  segment.remove_prefix(kSegmentTitle.size());
  while (!segment.empty()) {
    const auto sequence = TakeNumber(segment, 8);
    const auto stored = TakeNumber(segment, 8);
    const auto source_size = TakeNumber(segment, 1);
    const auto source = source_size ? Take(segment, *source_size) : std::nullopt;
    const auto body_size = source ? TakeNumber(segment, 4) : std::nullopt;
    const auto body = body_size ? Take(segment, *body_size) : std::nullopt;
    if (!sequence || !stored || !body) return damaged;
    if (absl::Status visited = visit(LogMessage{.partition = partition,
                                                .sequence = *sequence,
                                                .source = std::string(*source),
                                                .body = std::string(*body),
                                                .stored_time = absl::FromUnixNanos(static_cast<std::int64_t>(*stored))});
        !visited.ok()) {
      return visited;
    }
  }
  return absl::OkStatus();
}

absl::Status ForEachCopied(const std::string& directory, const Manifest& manifest, int partition, const std::function<absl::Status(LogMessage)>& visit) {
  std::uint64_t next = 1;
  for (const Segment& segment : manifest.segments) {
    if (segment.partition != partition) continue;
    const absl::StatusOr<std::string> content = ReadCopied(directory, segment.file);
    if (!content.ok()) return content.status();
    const absl::Status read = ForEachMessage(*content, partition, segment.file.path, [&](LogMessage message) {
      if (message.sequence != next) return absl::DataLossError(absl::StrCat(segment.file.path, " lacks message ", next));
      ++next;
      return visit(std::move(message));
    });
    if (!read.ok()) return read;
    if (next != segment.last + 1) return absl::DataLossError(absl::StrCat(segment.file.path, " ends at message ", next - 1, " and not at ", segment.last));
  }
  return absl::OkStatus();
}

}  // namespace vigil

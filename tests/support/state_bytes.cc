#include "support/state_bytes.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "vigil/state/v1/state.convert.h"
#include "vigil/state/v1/state.pb.h"

namespace vigil {
namespace {

// Protobuf maps have no order of their own: written in the order of their keys.
template <typename Proto, typename State>
std::string BytesOf(const State& state) {
  Proto proto;
  contract::ToProto(state, &proto);
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  proto.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

std::map<std::string, std::string> Parts(const Machine& machine) {
  std::map<std::string, std::string> parts;
  for (const auto& [id, entry] : machine.files()) {
    if (entry.state.file.empty()) continue;  // a writer thought of it, and it came to nothing
    parts[id] = BytesOf<state::v1::FileState>(entry.state);
  }
  for (const auto& [id, school] : machine.schools()) parts[absl::StrCat("school ", id)] = BytesOf<state::v1::SchoolState>(school.state);
  return parts;
}

}  // namespace

std::string StateBytes(const Machine& machine) {
  std::string all;
  for (const auto& [id, bytes] : Parts(machine)) absl::StrAppend(&all, id, ":", bytes, "\n");
  return all;
}

std::string StateDifference(const Machine& one, const Machine& other, int most) {
  const auto a = Parts(one);
  const auto b = Parts(other);
  std::string lines;
  for (const auto& [id, bytes] : a) {
    const auto it = b.find(id);
    if (it != b.end() && it->second == bytes) continue;
    if (most-- == 0) break;
    absl::StrAppend(&lines, id, it == b.end() ? ": only in one\n" : ":\n");
    state::v1::FileState left;
    state::v1::FileState right;
    if (it == b.end() || !left.ParseFromString(bytes) || !right.ParseFromString(it->second)) continue;
    const std::string text = left.DebugString();
    const std::string other_text = right.DebugString();
    std::size_t at = 0;
    while (at < text.size() && at < other_text.size() && text[at] == other_text[at]) ++at;
    const std::size_t from = at < 200 ? 0 : at - 200;
    absl::StrAppend(&lines, text.substr(from, 400), "\n--- but\n", other_text.substr(from, 400), "\n");
  }
  for (const auto& [id, bytes] : b) {
    if (!a.contains(id) && most-- > 0) absl::StrAppend(&lines, id, ": only in the other\n");
  }
  return lines;
}

}  // namespace vigil

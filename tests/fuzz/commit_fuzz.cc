// Commits, each after its length in two bytes, are folded into one student's file with the pack that we ship.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "domain/classify.h"
#include "domain/file.h"
#include "domain/pack/loader.h"
#include "domain/school.h"
#include "fuzz/fuzz.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "vigil/log/v1/commit.convert.h"
#include "vigil/log/v1/commit.pb.h"
#include "vigil/state/v1/state.convert.h"
#include "vigil/state/v1/state.pb.h"

namespace vigil::fuzz {
namespace {

const domain::Pack& ThePack() {
  static const std::shared_ptr<const domain::Pack> pack = [] {
    domain::PackFiles read;
    for (const auto& entry : std::filesystem::directory_iterator(PACK_DIRECTORY)) {
      if (entry.path().extension() != ".yaml") continue;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      read[entry.path().filename().string()] = std::move(text).str();
    }
    return domain::LoadPack(read, [](std::string_view text) { return HexEncode(AsView(Sha256(text))); }).value();
  }();
  return *pack;
}

std::string Bytes(const domain::FileState& file) {
  state::v1::FileState proto;
  contract::ToProto(file, &proto);
  return proto.SerializeAsString();
}

std::string Written(const std::vector<std::vector<domain::Event>>& all) {
  std::string text;
  int number = 0;
  for (const std::vector<domain::Event>& events : all) {
    domain::Commit commit;
    commit.id = "m" + std::to_string(++number);
    commit.source = "intake";
    commit.school = "s";
    commit.file = "f";
    commit.actor = domain::Actor{.person = "teacher", .role = "teacher"};
    commit.recorded_time = absl::FromUnixSeconds(1'773'108'000 + number);
    commit.events = events;
    log::v1::Commit proto;
    contract::ToProto(commit, &proto);
    const std::string bytes = proto.SerializeAsString();
    text.push_back(static_cast<char>(bytes.size() >> 8));
    text.push_back(static_cast<char>(bytes.size() & 0xff));
    text += bytes;
  }
  return text;
}

}  // namespace

void Try(std::string_view input) {
  domain::FileState file;
  const domain::SchoolState school;
  std::uint64_t sequence = 0;
  while (input.size() >= 2 && sequence < 40) {
    const std::size_t size = static_cast<std::size_t>(static_cast<unsigned char>(input[0])) << 8 | static_cast<unsigned char>(input[1]);
    input.remove_prefix(2);
    const std::string_view bytes = input.substr(0, size);
    input.remove_prefix(bytes.size());
    log::v1::Commit proto;
    if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) continue;
    const domain::Commit commit = contract::FromProto(proto);
    if (commit.file.empty()) {
      domain::SchoolState changed = school;
      if (!domain::CheckSchool(changed, commit).ok()) continue;
      for (const domain::Event& event : commit.events) domain::ApplyToSchool(changed, commit, event, {++sequence, 0});
      continue;
    }
    const std::string before = Bytes(file);
    const domain::Applied applied = domain::Apply(file, commit, {ThePack(), school, {++sequence, 0}});
    if (!applied.guard.ok()) Promise(Bytes(file) == before, "a void commit has no effect");
    domain::FileState again;
    state::v1::FileState stored;
    Promise(stored.ParseFromString(Bytes(file)), "a state can be stored");
    again = contract::FromProto(stored);
    Promise(Bytes(again) == Bytes(file), "a stored state is the state");
  }
}

std::vector<std::string> Seeds() {
  domain::ReportReceived report{.report_id = "r1", .case_id = "c1", .student = "child"};
  report.indicators = {"W1a"};
  report.sight = domain::SightClaim::kSeen;
  report.sight_person = "teacher";
  const domain::Classified level{.report_id = "r1", .level = "severe", .trigger = true};
  const domain::AlertRaised alert{.alert_id = "a1", .ladder = "severe_ladder", .trigger = 1};
  const std::vector<domain::Event> first{domain::Event{report}, domain::Event{level}, domain::Event{alert}};
  return {Written({first}), Written({first, {domain::Event{domain::AlertTaken{.alert_id = "a1", .person = "leader"}}}}),
          Written({first, {domain::Event{domain::SightConfirmed{.person = "teacher"}}}, {domain::Event{domain::Assessed{.level = "high", .kind = "group", .members = {"a", "b"}, .face_to_face = true}}},
                   {domain::Event{domain::CaseClosed{}}}})};
}

}  // namespace vigil::fuzz

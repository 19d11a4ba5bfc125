#include "vigil/sample/sample_command.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "platform/crypto/encoding.h"
#include "platform/http/url.h"
#include "vigil/display.h"

namespace vigil {
namespace {

using nlohmann::ordered_json;

// Requests under way at once: they mostly wait for the log.
constexpr int kLoaders = 4;
constexpr int kTries = 20;

bool IsTemporary(const absl::StatusOr<HttpResponse>& answer) { return answer.ok() ? answer->status == 429 || answer->status == 503 : true; }

absl::Status Put(const Connection& connection, std::string path, std::string body) {
  const ApiRequest request{.method = "PUT", .path = std::move(path), .body = std::move(body), .timeout = absl::Seconds(60)};
  absl::StatusOr<HttpResponse> answer = Call(connection, request);
  // Bulk is admitted only while the services keep up; setting the same people twice changes nothing.
  for (int i = 1; i < kTries && answer.ok() && IsTemporary(answer); ++i) {
    absl::SleepFor(std::min(absl::Seconds(2), absl::Milliseconds(50) * i));
    answer = Call(connection, request);
  }
  if (!answer.ok()) return absl::UnavailableError(answer.status().message());
  if (answer->status / 100 == 2) return absl::OkStatus();
  return absl::FailedPreconditionError(DisplayProblem(answer->status, answer->body, connection.language));
}

ordered_json SchoolJson(const SigningKey& key, const SampleSchool& school, absl::Time expires) {
  ordered_json out;
  out["id"] = school.id;
  out["token"] = ReportingToken(key, school, expires);
  out["leader_phone"] = school.leader_phone;
  out["students"] = ordered_json::array();
  for (const SamplePerson& student : school.students) out["students"].push_back(student.id);
  out["staff"] = ordered_json::array();
  for (const SamplePerson& person : school.staff) {
    out["staff"].push_back({{"id", person.id}, {"role", person.role}, {"phone", person.phone}, {"token", SampleToken(key, school, person.id, person.role, expires)}});
  }
  out["guardians"] = ordered_json::array();
  for (const SamplePerson& guardian : school.guardians) {
    out["guardians"].push_back({{"id", guardian.id}, {"student", guardian.student_id}, {"phone", guardian.phone}});
  }
  return out;
}

}  // namespace

absl::Time SampleTokenExpiry() { return absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now() + absl::Hours(24 * 365))); }

absl::StatusOr<SigningKey> ReadTokenKey(const Environment& environment) {
  const std::string path = environment.Get("VIGIL_HOME") + "/secrets/token.sign";
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path, ": samples are loaded on the installation's own machine, with VIGIL_HOME set"));
  }
  const std::optional<std::string> seed = HexDecode(std::string(absl::StripAsciiWhitespace(text.str())));
  if (!seed.has_value()) return absl::DataLossError(absl::StrCat(path, " is not a key"));
  return SigningKey::FromSeed(*seed);
}

absl::Status LoadSampleSchool(const Connection& connection, const SampleSchool& school) {
  const std::string base = "/api/v1/schools/" + PercentEncode(school.id);
  for (std::string& body : DirectoryBodies(school)) {
    if (absl::Status status = Put(connection, base + "/directory", std::move(body)); !status.ok()) return status;
  }
  for (ScheduleBody& schedule : ScheduleBodies(school)) {
    if (absl::Status status = Put(connection, base + "/schedules/" + PercentEncode(schedule.id), std::move(schedule.body)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

ExitCode RunSample(const SampleOptions& sample, const RunOptions& options, const Environment& environment) {
  absl::StatusOr<SigningKey> key = ReadTokenKey(environment);
  if (!key.ok()) {
    std::fprintf(stderr, "vigil: %s\n", std::string(key.status().message()).c_str());
    return kExitRefused;
  }
  const absl::Time expires = SampleTokenExpiry();
  std::vector<ordered_json> schools(static_cast<std::size_t>(sample.schools));
  std::atomic<int> next{0};
  std::mutex mutex;
  absl::Status failed;
  const auto load = [&] {
    for (int i = next++; i < sample.schools; i = next++) {
      const SampleSchool school = MakeSampleSchool(sample.seed, i + 1, sample.students);
      absl::Status status = LoadSampleSchool(options.connection, school);
      const std::lock_guard lock(mutex);
      if (!status.ok()) {
        if (failed.ok()) failed = std::move(status);
        next = sample.schools;
        return;
      }
      schools[static_cast<std::size_t>(i)] = SchoolJson(*key, school, expires);
    }
  };
  std::vector<std::thread> loaders;
  for (int i = 0; i < std::min(kLoaders, sample.schools); ++i) loaders.emplace_back(load);
  for (std::thread& loader : loaders) loader.join();
  if (!failed.ok()) {
    std::fprintf(stderr, "vigil: %s\n", std::string(failed.message()).c_str());
    return absl::IsUnavailable(failed) ? kExitUnreachable : kExitRefused;
  }
  if (options.json) {
    // School by school: a large sample is not held twice.
    std::fputs("{\"schools\":[", stdout);
    for (std::size_t i = 0; i < schools.size(); ++i) std::fprintf(stdout, "%s%s", i == 0 ? "" : ",", schools[i].dump().c_str());
    std::fputs("]}\n", stdout);
    return kExitDone;
  }
  for (const ordered_json& school : schools) {
    std::printf("%s  %zu %s  %zu %s  %zu %s\n", school["id"].get<std::string>().c_str(), school["students"].size(),
                std::string(Words{"名学生", "students"}.In(options.connection.language)).c_str(), school["staff"].size(),
                std::string(Words{"名教职工", "staff"}.In(options.connection.language)).c_str(), school["guardians"].size(),
                std::string(Words{"名监护人", "guardians"}.In(options.connection.language)).c_str());
  }
  return kExitDone;
}

}  // namespace vigil

#include "platform/log/nats_admin.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "platform/log/log.h"

namespace vigil {
namespace {

constexpr int kStreamNameInUse = 10058;

struct ApiAnswer {
  absl::Status status;
  int error_code = 0;
};

ApiAnswer CallApi(NatsClient& admin, const std::string& subject, const nlohmann::json& request) {
  const NatsClient::Reply reply = admin.Call(subject, request.dump());
  if (!reply.ok()) return {reply.status(), 0};
  const nlohmann::json answer = nlohmann::json::parse(*reply, nullptr, false);
  if (!answer.is_object()) return {absl::UnavailableError("the broker's answer is not JSON"), 0};
  if (!answer.contains("error")) return {absl::OkStatus(), 0};
  const nlohmann::json& error = answer["error"];
  return {absl::FailedPreconditionError(absl::StrCat(subject, ": ", error.value("description", "refused"))), error.value("err_code", 0)};
}

absl::Status CreateOrUpdate(NatsClient& admin, const nlohmann::json& config) {
  const std::string name = config["name"];
  const ApiAnswer created = CallApi(admin, absl::StrCat("$JS.API.STREAM.CREATE.", name), config);
  if (created.error_code != kStreamNameInUse) return created.status;
  return CallApi(admin, absl::StrCat("$JS.API.STREAM.UPDATE.", name), config).status;
}

nlohmann::json CommonConfig(const StreamSettings& settings) {
  return {{"retention", "limits"},
          {"storage", "file"},
          {"discard", "new"},
          {"max_consumers", -1},
          {"max_msgs", -1},
          {"max_age", 0},
          {"max_bytes", settings.max_bytes > 0 ? settings.max_bytes : -1},
          {"num_replicas", settings.replicas}};
}

}  // namespace

absl::Status CreateStreams(NatsClient& admin, const StreamSettings& settings) {
  for (int partition = 0; partition < kPartitions; ++partition) {
    nlohmann::json config = CommonConfig(settings);
    config["name"] = StreamName(partition);
    config["subjects"] = {SubjectName(partition, "*")};
    config["deny_delete"] = true;
    config["deny_purge"] = true;
    if (absl::Status status = CreateOrUpdate(admin, config); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CreateKeyBucket(NatsClient& admin, const StreamSettings& settings) {
  nlohmann::json config = CommonConfig(settings);
  config["name"] = absl::StrCat("KV_", kKeyBucket);
  config["subjects"] = {absl::StrCat("$KV.", kKeyBucket, ".>")};
  config["max_msgs_per_subject"] = 1;
  config["deny_delete"] = false;
  config["deny_purge"] = true;
  config["allow_direct"] = true;
  return CreateOrUpdate(admin, config);
}

}  // namespace vigil

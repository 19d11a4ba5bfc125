#include "platform/log/nats_log.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "platform/crypto/encoding.h"

namespace vigil {
namespace {

// JetStream's error codes that have a meaning of their own for an append.
constexpr int kWrongLastSequence = 10071;
constexpr int kStoreFailed = 10077;
constexpr int kInsufficientResources = 10023;
constexpr int kAccountResourcesExceeded = 10002;
constexpr int kMemoryResourcesExceeded = 10028;
constexpr int kStorageResourcesExceeded = 10047;
constexpr int kMessageTooLarge = 10054;
constexpr int kStreamNotFound = 10059;
constexpr int kNoMessageFound = 10037;

absl::Status StatusOf(const nlohmann::json& error) {
  const std::string text = error.value("description", "refused");
  switch (error.value("err_code", 0)) {
    case kWrongLastSequence:
      return absl::AbortedError(text);
    case kStoreFailed:
    case kInsufficientResources:
    case kAccountResourcesExceeded:
    case kMemoryResourcesExceeded:
    case kStorageResourcesExceeded:
      return absl::ResourceExhaustedError(text);
    case kMessageTooLarge:
      return absl::InvalidArgumentError(text);
    case kStreamNotFound:
    case kNoMessageFound:
      return absl::NotFoundError(text);
    default:
      break;
  }
  // 503 and the like: a server that is starting, stopping or electing. It says nothing of whether the message was stored.
  if (error.value("code", 0) >= 500) return absl::UnavailableError(text);
  return absl::FailedPreconditionError(text);
}

absl::StatusOr<nlohmann::json> Parse(const NatsClient::Reply& reply) {
  if (!reply.ok()) return reply.status();
  nlohmann::json answer = nlohmann::json::parse(*reply, nullptr, false);
  if (!answer.is_object()) return absl::UnavailableError("the broker's answer is not JSON");
  if (answer.contains("error") && answer["error"].is_object()) return StatusOf(answer["error"]);
  return answer;
}

bool IsPartition(int partition) { return partition >= 0 && partition < kPartitions; }

class NatsLog final : public Log {
 public:
  NatsLog(std::unique_ptr<NatsClient> client, std::string source) : source_(std::move(source)), client_(std::move(client)) {}

  void Append(int partition, std::uint64_t expected_last_sequence, std::string body, std::function<void(AppendOutcome)> done) override {
    const bool refused = !IsPartition(partition) || body.size() > kMaxLogMessageBytes;
    // An empty subject is refused by the client without sending anything, and `done` still runs on a library thread.
    client_->Request(refused ? std::string() : SubjectName(partition, source_),
                     {{"Nats-Expected-Last-Subject-Sequence", absl::StrCat(expected_last_sequence)}}, body,
                     [done = std::move(done)](NatsClient::Reply reply) {
                       const absl::StatusOr<nlohmann::json> answer = Parse(reply);
                       if (!answer.ok()) return done({answer.status(), 0});
                       const std::uint64_t sequence = answer->value("seq", std::uint64_t{0});
                       if (sequence == 0) return done({absl::UnavailableError("the broker's answer has no sequence"), 0});
                       done({absl::OkStatus(), sequence});
                     });
  }

  absl::StatusOr<std::unique_ptr<Subscription>> Follow(int partition, std::uint64_t first_sequence,
                                                       std::function<void(LogMessage)> handler) override {
    if (!IsPartition(partition)) return absl::InvalidArgumentError(absl::StrCat("no partition ", partition));
    if (first_sequence == 0) return absl::InvalidArgumentError("sequences begin at 1");
    NatsClient::FollowSpec spec;
    spec.stream = StreamName(partition);
    spec.first_sequence = first_sequence;
    spec.handler = [partition, handler = std::move(handler)](const NatsClient::Message& message) {
      handler(LogMessage{partition, message.sequence, std::string(message.subject.substr(message.subject.rfind('.') + 1)),
                         std::string(message.body), message.stored_time});
    };
    return client_->Follow(std::move(spec));
  }

  absl::StatusOr<StreamInfo> Info(int partition) override {
    if (!IsPartition(partition)) return absl::InvalidArgumentError(absl::StrCat("no partition ", partition));
    const absl::StatusOr<nlohmann::json> answer = Parse(client_->Call(absl::StrCat("$JS.API.STREAM.INFO.", StreamName(partition)), ""));
    if (!answer.ok()) return answer.status();
    const nlohmann::json state = answer->value("state", nlohmann::json::object());
    StreamInfo info;
    info.last_sequence = state.value("last_seq", std::uint64_t{0});
    info.first_sequence = state.value("messages", std::uint64_t{0}) == 0 ? info.last_sequence + 1 : state.value("first_seq", std::uint64_t{1});
    info.bytes = state.value("bytes", std::uint64_t{0});
    std::string error;
    if (!absl::ParseTime(absl::RFC3339_full, answer->value("created", ""), &info.created_time, &error)) {
      return absl::UnavailableError(absl::StrCat("the broker's creation time: ", error));
    }
    return info;
  }

  absl::StatusOr<LogMessage> Read(int partition, std::uint64_t sequence) override {
    if (!IsPartition(partition)) return absl::InvalidArgumentError(absl::StrCat("no partition ", partition));
    const absl::StatusOr<nlohmann::json> answer =
        Parse(client_->Call(absl::StrCat("$JS.API.STREAM.MSG.GET.", StreamName(partition)), nlohmann::json{{"seq", sequence}}.dump()));
    if (!answer.ok()) return answer.status();
    const nlohmann::json stored = answer->value("message", nlohmann::json::object());
    LogMessage message{.partition = partition, .sequence = sequence, .source = {}, .body = {}, .stored_time = {}};
    const std::string subject = stored.value("subject", "");
    message.source = subject.substr(subject.rfind('.') + 1);
    std::optional<std::string> body = Base64Decode(stored.value("data", ""));
    if (!body) return absl::UnavailableError("the broker's message is not Base64");
    message.body = *std::move(body);
    (void)absl::ParseTime(absl::RFC3339_full, stored.value("time", ""), &message.stored_time, nullptr);
    return message;
  }

  bool connected() const override { return client_->connected(); }
  void OnConnection(std::function<void(bool)> listener) override { client_->OnConnection(std::move(listener)); }
  std::string_view source() const override { return source_; }

 private:
  const std::string source_;
  const std::unique_ptr<NatsClient> client_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Log>> OpenNatsLog(NatsOptions options, std::string source) {
  absl::StatusOr<std::unique_ptr<NatsClient>> client = NatsClient::Open(std::move(options));
  if (!client.ok()) return client.status();
  return std::make_unique<NatsLog>(*std::move(client), std::move(source));
}

}  // namespace vigil

#include "platform/log/nats_client.h"

#include <nats/nats.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/nkey.h"
#include "platform/crypto/random.h"

namespace vigil {
namespace {

using SteadyClock = std::chrono::steady_clock;
using SteadyTime = SteadyClock::time_point;

// How often deadlines, stalls and followers to begin again are looked at, unless something wakes the keeper earlier.
constexpr auto kKeeperPeriod = std::chrono::milliseconds(50);
constexpr auto kFirstFollowRetry = std::chrono::milliseconds(50);
constexpr auto kLastFollowRetry = std::chrono::milliseconds(1000);
constexpr auto kReopenWait = std::chrono::milliseconds(1000);
constexpr auto kCloseWait = std::chrono::seconds(5);
// A consumer whose subscriber has gone is removed by the broker after this.
constexpr std::int64_t kInactiveThresholdNanoseconds = 5'000'000'000;

std::chrono::nanoseconds ToChrono(absl::Duration duration) { return absl::ToChronoNanoseconds(duration); }

// Where messages end. nats.c hands each one that is destroyed to a thread of its own, which costs a wake-up a message (a tenth of a reader's
// processor time, measured); so they go there many at a time. Thread-safe.
class MessageBin {
 public:
  MessageBin() = default;
  ~MessageBin() {
    for (natsMsg* message : messages_) natsMsg_Destroy(message);
  }
  MessageBin(const MessageBin&) = delete;
  MessageBin& operator=(const MessageBin&) = delete;

  void Put(natsMsg* message) {
    std::vector<natsMsg*> full;
    {
      const std::lock_guard lock(mutex_);
      messages_.push_back(message);
      bytes_ += static_cast<std::size_t>(std::max(0, natsMsg_GetDataLength(message)));
      if (messages_.size() < kMostMessages && bytes_ < kMostBytes) return;
      full.swap(messages_);
      bytes_ = 0;
    }
    for (natsMsg* done : full) natsMsg_Destroy(done);
  }

 private:
  static constexpr std::size_t kMostMessages = 128;
  static constexpr std::size_t kMostBytes = 1024 * 1024;
  std::mutex mutex_;
  std::vector<natsMsg*> messages_;
  std::size_t bytes_ = 0;
};

struct MessageDeleter {
  MessageBin* bin = nullptr;
  void operator()(natsMsg* message) const { bin->Put(message); }
};
using MessagePointer = std::unique_ptr<natsMsg, MessageDeleter>;

struct OptionsDeleter {
  void operator()(natsOptions* options) const { natsOptions_Destroy(options); }
};
using OptionsPointer = std::unique_ptr<natsOptions, OptionsDeleter>;

std::string_view Data(natsMsg* message) {
  return {natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message))};
}

std::string_view Header(natsMsg* message, const char* name) {
  const char* value = nullptr;
  return natsMsgHeader_Get(message, name, &value) == NATS_OK && value != nullptr ? std::string_view(value) : std::string_view();
}

std::uint64_t ParseNumber(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : 0;
}

// Where a delivered message stands, from its reply subject: $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer
// sequence>.<time>.<pending>, or the same with domain and account after ACK and a token at the end.
struct Place {
  std::uint64_t stream_sequence = 0;
  std::uint64_t consumer_sequence = 0;
  std::uint64_t time_nanoseconds = 0;
  std::uint64_t pending = 0;
};

std::optional<Place> ParsePlace(std::string_view reply) {
  std::array<std::string_view, 13> tokens;
  std::size_t count = 0;
  while (count < tokens.size()) {
    const auto dot = reply.find('.');
    tokens[count++] = reply.substr(0, dot);
    if (dot == std::string_view::npos) break;
    reply.remove_prefix(dot + 1);
  }
  if (count < 9 || tokens[0] != "$JS" || tokens[1] != "ACK") return std::nullopt;
  const std::size_t shift = count == 9 ? 0 : 2;
  if (count < 9 + shift) return std::nullopt;
  return Place{ParseNumber(tokens[5 + shift]), ParseNumber(tokens[6 + shift]), ParseNumber(tokens[7 + shift]),
               ParseNumber(tokens[8 + shift])};
}

// Whether this thread is inside a callback of some client. One thread delivers for all of them, so that waiting there for an answer would
// be waiting for oneself.
thread_local int callback_depth = 0;

class InsideCallback {
 public:
  InsideCallback() { ++callback_depth; }
  ~InsideCallback() { --callback_depth; }
};

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

absl::Status Check(natsStatus status, std::string_view what) {
  if (status == NATS_OK) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("nats: ", std::string(what), ": ", natsStatus_GetText(status)));
}

}  // namespace

class NatsClient::Impl : public std::enable_shared_from_this<NatsClient::Impl> {
 public:
  struct Follower {
    std::uint64_t number = 0;
    FollowSpec spec;

    // Touched by the delivery thread under `callbacks_`, read by the keeper.
    std::atomic<std::uint64_t> next_sequence{1};
    std::uint64_t heard_generation = 0;
    std::uint64_t last_consumer_sequence = 0;  // of that generation
    bool closed = false;
    bool was_caught_up = false;
    bool hole_reported = false;

    // Under `mutex_`.
    natsSubscription* subscription = nullptr;
    bool wants_subscription = true;
    SteadyTime not_before{};
    SteadyClock::duration retry = kFirstFollowRetry;

    std::atomic<std::uint64_t> generation{0};
    std::atomic<SteadyTime::rep> last_heard{0};

    void Heard() { last_heard = SteadyClock::now().time_since_epoch().count(); }
  };

  explicit Impl(NatsOptions options) : options_(std::move(options)) {
    SystemRandom random;
    inbox_ = absl::StrCat(options_.inbox_prefix, ".", Base32Encode(random.Bytes(10)));
  }

  absl::Status Start() {
    // One thread delivers for the whole process, so that handlers never run side by side.
    static const natsStatus opened = [] {
      natsStatus status = nats_Open(-1);
      if (status == NATS_OK) status = nats_SetMessageDeliveryPoolSize(1);
      return status;
    }();
    if (absl::Status status = Check(opened, "start"); !status.ok()) return status;
    if (absl::Status status = OpenConnection(); !status.ok()) {
      if (absl::IsInvalidArgument(status)) return status;
      Problem(std::string(status.message()));
      std::lock_guard lock(mutex_);
      lost_for_good_ = true;  // the keeper will try again
      reopen_at_ = SteadyClock::now() + kReopenWait;
    }
    keeper_ = std::thread([this] { Keep(); });
    return absl::OkStatus();
  }

  void Shutdown() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      wake_ = true;
    }
    wake_keeper_.notify_all();
    if (keeper_.joinable()) keeper_.join();
    {
      std::lock_guard callbacks(callbacks_);
      gone_ = true;  // from here on only outcomes of requests are told
      listener_ = nullptr;
    }
    std::shared_ptr<Connection> connection;
    std::vector<natsSubscription*> subscriptions;
    {
      std::lock_guard lock(mutex_);
      connection = std::move(connection_);
      for (auto& [number, follower] : followers_) {
        if (follower->subscription != nullptr) subscriptions.push_back(std::exchange(follower->subscription, nullptr));
      }
      followers_.clear();
    }
    connected_ = false;
    for (natsSubscription* subscription : subscriptions) natsSubscription_Destroy(subscription);
    if (connection) connection->Close();
    FailAllRequests("the connection is closed");
    while (RunFailures()) {  // an outcome may ask for more, which fails too
    }
  }

  void Request(const std::string& subject, const Headers& headers, std::string_view body, std::function<void(Reply)> done) {
    const std::shared_ptr<Connection> connection = Connected();
    if (!connection) return Fail(std::move(done), absl::UnavailableError("not connected to NATS"));
    const std::uint64_t token = next_token_++;
    const std::string reply = absl::StrCat(inbox_, ".r.", token);
    natsMsg* raw = nullptr;
    natsStatus status = natsMsg_Create(&raw, subject.c_str(), reply.c_str(), body.data(), static_cast<int>(body.size()));
    if (status != NATS_OK) return Fail(std::move(done), absl::InvalidArgumentError(natsStatus_GetText(status)));
    const MessagePointer message(raw, MessageDeleter{&bin_});
    for (const auto& [name, value] : headers) {
      if (status == NATS_OK) status = natsMsgHeader_Set(raw, name.c_str(), value.c_str());
    }
    if (status != NATS_OK) return Fail(std::move(done), absl::InvalidArgumentError(natsStatus_GetText(status)));
    {
      std::lock_guard lock(mutex_);
      requests_.emplace(token, Pending{std::move(done), SteadyClock::now() + ToChrono(options_.request_timeout)});
    }
    status = natsConnection_PublishMsg(connection->handle, raw);
    if (status == NATS_OK) {
      // The connection may have been lost between the look above and the entry: whoever failed all requests did not see this one.
      if (!connected_) FailRequest(token, absl::UnavailableError("the connection to NATS was lost"));
      return;
    }
    FailRequest(token, status == NATS_MAX_PAYLOAD || status == NATS_INVALID_SUBJECT || status == NATS_INVALID_ARG
                           ? absl::InvalidArgumentError(natsStatus_GetText(status))
                           : absl::UnavailableError(absl::StrCat("NATS: ", natsStatus_GetText(status))));
  }

  std::shared_ptr<Follower> AddFollower(FollowSpec spec) {
    auto follower = std::make_shared<Follower>();
    follower->next_sequence = spec.first_sequence;
    follower->spec = std::move(spec);
    {
      std::lock_guard lock(mutex_);
      follower->number = next_follower_++;
      followers_.emplace(follower->number, follower);
    }
    Wake();
    return follower;
  }

  void RemoveFollower(Follower& follower) {
    natsSubscription* subscription = nullptr;
    {
      std::lock_guard lock(mutex_);
      followers_.erase(follower.number);
      follower.wants_subscription = false;
      subscription = std::exchange(follower.subscription, nullptr);
    }
    if (subscription != nullptr) natsSubscription_Destroy(subscription);
    std::lock_guard callbacks(callbacks_);
    follower.closed = true;
  }

  bool connected() const { return connected_; }

  void SetListener(std::function<void(bool)> listener) {
    std::lock_guard callbacks(callbacks_);
    listener_ = std::move(listener);
    told_ = connected_;
    const InsideCallback inside;
    if (listener_) listener_(told_);
  }

  absl::Duration request_timeout() const { return options_.request_timeout; }

 private:
  struct Pending {
    std::function<void(Reply)> done;
    SteadyTime deadline;
  };

  // What nats.c holds of us. A callback may come as long as its closed callback has not: Close waits for it.
  struct Connection {
    std::weak_ptr<Impl> impl;
    natsConnection* handle = nullptr;
    natsSubscription* answers = nullptr;
    std::mutex mutex;
    std::condition_variable changed;
    bool closed = false;
    std::shared_ptr<Connection> self;  // keeps this alive until nats.c has said its last word

    void Close() {
      if (handle == nullptr) return;
      natsConnection_Close(handle);
      std::unique_lock lock(mutex);
      changed.wait_for(lock, kCloseWait, [&] { return closed; });
    }
    ~Connection() {
      if (answers != nullptr) natsSubscription_Destroy(answers);
      if (handle != nullptr) natsConnection_Destroy(handle);
    }
  };

  struct DeliveryContext {
    std::weak_ptr<Impl> impl;
    std::shared_ptr<Follower> follower;  // none: answers to requests
    std::uint64_t generation = 0;
  };

  std::shared_ptr<Connection> Connected() {
    if (!connected_) return nullptr;
    std::lock_guard lock(mutex_);
    return connection_;
  }

  void Wake() {
    {
      std::lock_guard lock(mutex_);
      wake_ = true;
    }
    wake_keeper_.notify_all();
  }

  void Problem(std::string what) {
    if (options_.on_problem) options_.on_problem(std::move(what));
  }

  // --- connection ---------------------------------------------------------------------------------------------------------------------

  absl::Status OpenConnection() {
    auto connection = std::make_shared<Connection>();
    connection->impl = weak_from_this();
    natsOptions* raw = nullptr;
    if (absl::Status status = Check(natsOptions_Create(&raw), "options"); !status.ok()) return status;
    const OptionsPointer owned(raw);
    if (absl::Status status = Configure(raw, connection.get()); !status.ok()) return status;

    connection->self = connection;
    const natsStatus status = natsConnection_Connect(&connection->handle, raw);
    if (status != NATS_OK && status != NATS_NOT_YET_CONNECTED) {
      connection->self.reset();
      connection->handle = nullptr;
      return absl::UnavailableError(absl::StrCat("NATS: ", natsStatus_GetText(status)));
    }
    auto context = std::make_unique<DeliveryContext>();
    context->impl = weak_from_this();
    natsSubscription* answers = nullptr;
    if (absl::Status subscribed = Subscribe(connection->handle, absl::StrCat(inbox_, ".r.*"), std::move(context), &answers);
        !subscribed.ok()) {
      connection->Close();
      return subscribed;
    }
    connection->answers = answers;
    {
      std::lock_guard lock(mutex_);
      connection_ = connection;
      lost_for_good_ = false;
    }
    if (status == NATS_OK) ConnectionChanged(true);
    return absl::OkStatus();
  }

  absl::Status Configure(natsOptions* raw, Connection* connection) {
    std::vector<std::string> servers;
    std::stringstream list(options_.url);
    for (std::string server; std::getline(list, server, ',');) servers.push_back(server);
    std::vector<const char*> pointers;
    for (const std::string& server : servers) pointers.push_back(server.c_str());

    const auto milliseconds = [](absl::Duration duration) { return absl::ToInt64Milliseconds(duration); };
    natsStatus status = natsOptions_SetServers(raw, pointers.data(), static_cast<int>(pointers.size()));
    const auto set = [&](natsStatus next) {
      if (status == NATS_OK) status = next;
    };
    set(natsOptions_SetName(raw, options_.name.c_str()));
    set(natsOptions_SetTimeout(raw, milliseconds(options_.connect_timeout)));
    set(natsOptions_UseGlobalMessageDelivery(raw, true));
    set(natsOptions_SetSendAsap(raw, true));
    set(natsOptions_SetWriteDeadline(raw, milliseconds(options_.request_timeout)));
    set(natsOptions_SetPingInterval(raw, milliseconds(options_.ping_interval)));
    set(natsOptions_SetMaxPingsOut(raw, 2));
    set(natsOptions_SetMaxReconnect(raw, -1));
    // As good as none: what is not sent now fails now. (nats.c has no way to say "none".)
    set(natsOptions_SetReconnectBufSize(raw, 1));
    set(natsOptions_SetCustomInboxPrefix(raw, options_.inbox_prefix.c_str()));
    set(natsOptions_SetCustomReconnectDelay(raw, &OnReconnectDelay, connection));
    set(natsOptions_SetRetryOnFailedConnect(raw, true, &OnConnected, connection));
    set(natsOptions_SetDisconnectedCB(raw, &OnDisconnected, connection));
    set(natsOptions_SetReconnectedCB(raw, &OnConnected, connection));
    set(natsOptions_SetClosedCB(raw, &OnClosed, connection));
    set(natsOptions_SetErrorHandler(raw, &OnError, connection));
    if (absl::Status checked = Check(status, "options"); !checked.ok()) return checked;

    if (!options_.ca_file.empty()) {
      set(natsOptions_SetSecure(raw, true));
      set(natsOptions_LoadCATrustedCertificates(raw, options_.ca_file.c_str()));
      if (absl::Status checked = Check(status, options_.ca_file); !checked.ok()) return checked;
      if (!options_.server_name.empty()) set(natsOptions_SetExpectedHostname(raw, options_.server_name.c_str()));
      if (!options_.certificate_file.empty()) {
        set(natsOptions_LoadCertificatesChain(raw, options_.certificate_file.c_str(), options_.key_file.c_str()));
        if (absl::Status checked = Check(status, options_.certificate_file); !checked.ok()) return checked;
      }
    }
    if (!options_.nkey_seed_file.empty()) {
      absl::StatusOr<std::string> text = ReadFile(options_.nkey_seed_file);
      if (!text.ok()) return text.status();
      const Secret<std::string> seed(text->substr(0, text->find_first_of(" \r\n")));
      const absl::StatusOr<SigningKey> key = DecodeNkeySeed(seed.reveal());
      if (!key.ok()) return absl::InvalidArgumentError(absl::StrCat(options_.nkey_seed_file, ": ", key.status().message()));
      set(natsOptions_SetNKeyFromSeed(raw, EncodeNkeyPublic(key->verify_key()).c_str(), options_.nkey_seed_file.c_str()));
    }
    return Check(status, "options");
  }

  static std::shared_ptr<Impl> Of(void* closure) { return static_cast<Connection*>(closure)->impl.lock(); }

  static void OnConnected(natsConnection*, void* closure) {
    if (const auto impl = Of(closure)) impl->ConnectionChanged(true);
  }
  static void OnDisconnected(natsConnection*, void* closure) {
    if (const auto impl = Of(closure)) impl->ConnectionChanged(false);
  }
  static void OnClosed(natsConnection*, void* closure) {
    auto* connection = static_cast<Connection*>(closure);
    if (const auto impl = Of(closure)) {
      impl->ConnectionChanged(false);
      std::lock_guard lock(impl->mutex_);
      impl->lost_for_good_ = true;
      impl->reopen_at_ = SteadyClock::now() + kReopenWait;
    }
    const std::shared_ptr<Connection> last = std::move(connection->self);
    {
      std::lock_guard lock(connection->mutex);
      connection->closed = true;
    }
    connection->changed.notify_all();
  }
  static void OnError(natsConnection*, natsSubscription*, natsStatus error, void* closure) {
    if (const auto impl = Of(closure)) impl->Problem(absl::StrCat("NATS: ", natsStatus_GetText(error)));
  }
  static std::int64_t OnReconnectDelay(natsConnection*, int attempts, void* closure) {
    const auto impl = Of(closure);
    if (!impl) return 1000;
    absl::Duration wait = impl->options_.minimum_reconnect_wait;
    for (int attempt = 1; attempt < attempts && wait < impl->options_.maximum_reconnect_wait; ++attempt) wait *= 2;
    return absl::ToInt64Milliseconds(std::min(wait, impl->options_.maximum_reconnect_wait));
  }

  void ConnectionChanged(bool up) {
    connected_ = up;
    if (up) {
      std::lock_guard lock(mutex_);
      // Whatever was on its way to us is lost: follow anew from the next expected sequence.
      for (auto& [number, follower] : followers_) {
        follower->wants_subscription = true;
        follower->not_before = {};
        follower->retry = kFirstFollowRetry;
      }
    } else {
      FailAllRequests("the connection to NATS was lost");
    }
    Wake();
    std::lock_guard callbacks(callbacks_);
    const bool now = connected_;
    if (listener_ && told_ != now) {
      told_ = now;
      const InsideCallback inside;
      listener_(now);
    }
  }

  // --- requests -----------------------------------------------------------------------------------------------------------------------

  void Fail(std::function<void(Reply)> done, absl::Status status) {
    {
      std::lock_guard lock(mutex_);
      failures_.emplace_back(std::move(done), std::move(status));
    }
    Wake();
  }

  void FailRequest(std::uint64_t token, absl::Status status) {
    std::function<void(Reply)> done;
    {
      std::lock_guard lock(mutex_);
      const auto found = requests_.find(token);
      if (found == requests_.end()) return;
      done = std::move(found->second.done);
      requests_.erase(found);
    }
    Fail(std::move(done), std::move(status));
  }

  void FailAllRequests(std::string_view why) {
    std::lock_guard lock(mutex_);
    for (auto& [token, pending] : requests_) {
      failures_.emplace_back(std::move(pending.done), absl::UnavailableError(absl::string_view(why.data(), why.size())));
    }
    requests_.clear();
    wake_ = true;
  }

  // Whether there were any.
  bool RunFailures() {
    std::vector<std::pair<std::function<void(Reply)>, absl::Status>> failures;
    {
      std::lock_guard lock(mutex_);
      failures.swap(failures_);
    }
    for (auto& [done, status] : failures) {
      std::lock_guard callbacks(callbacks_);
      const InsideCallback inside;
      done(std::move(status));
    }
    return !failures.empty();
  }

  void OnAnswer(natsMsg* message) {
    const std::string_view subject = natsMsg_GetSubject(message);
    const std::uint64_t token = ParseNumber(subject.substr(subject.rfind('.') + 1));
    std::lock_guard callbacks(callbacks_);
    if (gone_) return;
    std::function<void(Reply)> done;
    {
      std::lock_guard lock(mutex_);
      const auto found = requests_.find(token);
      if (found == requests_.end()) return;
      done = std::move(found->second.done);
      requests_.erase(found);
    }
    if (natsMsg_IsNoResponders(message)) {
      done(absl::UnavailableError("nobody answers this subject"));
    } else {
      done(std::string(Data(message)));
    }
  }

  // --- followers ----------------------------------------------------------------------------------------------------------------------

  static void OnMessage(natsConnection* connection, natsSubscription*, natsMsg* raw, void* closure) {
    const auto* context = static_cast<DeliveryContext*>(closure);
    const std::shared_ptr<Impl> impl = context->impl.lock();
    if (!impl) return natsMsg_Destroy(raw);
    const MessagePointer message(raw, MessageDeleter{&impl->bin_});
    const InsideCallback inside;
    if (context->follower) {
      impl->OnDelivery(connection, *context->follower, context->generation, raw);
    } else {
      impl->OnAnswer(raw);
    }
  }
  static void OnSubscriptionEnd(void* closure) { delete static_cast<DeliveryContext*>(closure); }

  static absl::Status Subscribe(natsConnection* connection, const std::string& subject, std::unique_ptr<DeliveryContext> context,
                                natsSubscription** subscription) {
    natsStatus status = natsConnection_Subscribe(subscription, connection, subject.c_str(), &OnMessage, context.get());
    if (status != NATS_OK) return absl::UnavailableError(absl::StrCat("NATS: ", natsStatus_GetText(status)));
    natsSubscription_SetOnCompleteCB(*subscription, &OnSubscriptionEnd, context.release());
    // The broker's flow control bounds what is on its way; nats.c must not drop any of it.
    natsSubscription_SetPendingLimits(*subscription, -1, -1);
    return absl::OkStatus();
  }

  void FollowAgain(Follower& follower, bool at_once) {
    {
      std::lock_guard lock(mutex_);
      follower.wants_subscription = true;
      follower.not_before = at_once ? SteadyTime{} : SteadyClock::now() + follower.retry;
      follower.retry = std::min<SteadyClock::duration>(follower.retry * 2, kLastFollowRetry);
      wake_ = true;
    }
    ++follower.generation;  // what still arrives for the old one is not heard
    wake_keeper_.notify_all();
  }

  void BeginFollowing(const std::shared_ptr<Follower>& follower) {
    const std::shared_ptr<Connection> connection = Connected();
    if (!connection) return;
    const std::uint64_t generation = ++follower->generation;
    follower->Heard();
    natsSubscription* old = nullptr;
    {
      std::lock_guard lock(mutex_);
      old = std::exchange(follower->subscription, nullptr);
    }
    if (old != nullptr) natsSubscription_Destroy(old);

    const std::string subject = absl::StrCat(inbox_, ".d.", follower->number, ".", generation);
    auto context = std::make_unique<DeliveryContext>();
    context->impl = weak_from_this();
    context->follower = follower;
    context->generation = generation;
    natsSubscription* subscription = nullptr;
    if (!Subscribe(connection->handle, subject, std::move(context), &subscription).ok()) return FollowAgain(*follower, false);
    {
      std::lock_guard lock(mutex_);
      if (followers_.contains(follower->number)) follower->subscription = std::exchange(subscription, nullptr);
    }
    if (subscription != nullptr) {  // ended meanwhile
      natsSubscription_Destroy(subscription);
      return;
    }

    const nlohmann::json request = {{"stream_name", follower->spec.stream},
                                    {"config",
                                     {{"deliver_subject", subject},
                                      {"deliver_policy", "by_start_sequence"},
                                      {"opt_start_seq", follower->next_sequence.load()},
                                      {"ack_policy", "none"},
                                      {"replay_policy", "instant"},
                                      {"flow_control", true},
                                      {"idle_heartbeat", absl::ToInt64Nanoseconds(options_.heartbeat)},
                                      {"inactive_threshold", kInactiveThresholdNanoseconds},
                                      {"mem_storage", true},
                                      {"num_replicas", 1}}}};
    Request(absl::StrCat("$JS.API.CONSUMER.CREATE.", follower->spec.stream), {}, request.dump(),
            [this, follower, generation](Reply reply) { OnConsumer(*follower, generation, reply); });
  }

  // Runs as a callback, so `this` is there.
  void OnConsumer(Follower& follower, std::uint64_t generation, const Reply& reply) {
    if (follower.closed || follower.generation != generation) return;
    std::string problem;
    if (!reply.ok()) {
      problem = std::string(reply.status().message());
    } else {
      const nlohmann::json answer = nlohmann::json::parse(*reply, nullptr, false);
      if (!answer.is_object()) {
        problem = "an answer that is not JSON";
      } else if (answer.contains("error")) {
        problem = answer["error"].value("description", "refused");
      } else if (!follower.was_caught_up && answer.value("num_pending", std::uint64_t{1}) == 0 &&
                 answer.value("delivered", nlohmann::json::object()).value("stream_seq", std::uint64_t{0}) < follower.next_sequence) {
        CaughtUp(follower);
      }
    }
    if (problem.empty()) return;
    if (connected_) Problem(absl::StrCat("cannot follow ", follower.spec.stream, ": ", problem));
    FollowAgain(follower, false);
  }

  static void CaughtUp(Follower& follower) {
    follower.was_caught_up = true;
    if (follower.spec.caught_up) follower.spec.caught_up();
  }

  void OnDelivery(natsConnection* connection, Follower& follower, std::uint64_t generation, natsMsg* raw) {
    std::lock_guard callbacks(callbacks_);
    if (gone_ || follower.closed || follower.generation != generation) return;
    follower.Heard();
    if (generation != follower.heard_generation) {
      follower.heard_generation = generation;
      follower.last_consumer_sequence = 0;
    }
    const char* reply = natsMsg_GetReply(raw);
    if (Header(raw, "Status") == "100") {
      OnControl(connection, follower, raw, reply);
      return;
    }
    const std::optional<Place> place = reply != nullptr ? ParsePlace(reply) : std::nullopt;
    if (!place) return;
    const std::uint64_t expected = follower.next_sequence;
    if (place->consumer_sequence != follower.last_consumer_sequence + 1) return FollowAgain(follower, true);
    follower.last_consumer_sequence = place->consumer_sequence;
    if (follower.spec.contiguous && place->stream_sequence > expected) {
      // The broker gave what comes after what we asked for. Never skipped: somebody has to look.
      if (!follower.hole_reported) {
        follower.hole_reported = true;
        Problem(absl::StrCat(follower.spec.stream, " has a hole: asked for ", expected, ", given ", place->stream_sequence));
      }
      return FollowAgain(follower, false);
    }
    if (place->stream_sequence >= expected) {
      Message message;
      message.subject = natsMsg_GetSubject(raw);
      message.body = Data(raw);
      message.sequence = place->stream_sequence;
      message.stored_time = absl::FromUnixNanos(static_cast<std::int64_t>(place->time_nanoseconds));
      message.key_value_operation = Header(raw, "KV-Operation");
      follower.next_sequence = place->stream_sequence + 1;
      follower.hole_reported = false;
      follower.spec.handler(message);
      if (follower.closed) return;
      follower.Heard();
    }
    if (!follower.was_caught_up && place->pending == 0) CaughtUp(follower);
  }

  void OnControl(natsConnection* connection, Follower& follower, natsMsg* raw, const char* reply) {
    if (reply != nullptr) {  // flow control: we have handled all that came before
      natsConnection_Publish(connection, reply, nullptr, 0);
      return;
    }
    const std::string_view stalled = Header(raw, "Nats-Consumer-Stalled");
    if (!stalled.empty()) natsConnection_Publish(connection, std::string(stalled).c_str(), nullptr, 0);
    const std::string_view sent = Header(raw, "Nats-Last-Consumer");
    if (!sent.empty() && ParseNumber(sent) != follower.last_consumer_sequence) {
      FollowAgain(follower, true);
      return;
    }
    std::lock_guard lock(mutex_);
    follower.retry = kFirstFollowRetry;
  }

  // --- the keeper: deadlines, followers that must begin (again), a connection that nats.c gave up -------------------------------------------

  void Keep() {
    while (true) {
      std::vector<std::shared_ptr<Follower>> begin;
      bool reopen = false;
      {
        std::unique_lock lock(mutex_);
        wake_keeper_.wait_for(lock, kKeeperPeriod, [&] { return wake_; });
        wake_ = false;
        if (stopping_) return;
        const SteadyTime now = SteadyClock::now();
        for (auto pending = requests_.begin(); pending != requests_.end();) {
          if (pending->second.deadline > now) {
            ++pending;
            continue;
          }
          failures_.emplace_back(std::move(pending->second.done), absl::UnavailableError("NATS did not answer in time"));
          pending = requests_.erase(pending);
        }
        if (connected_) {
          for (auto& [number, follower] : followers_) {
            if (!follower->wants_subscription && Stalled(*follower, now)) {
              follower->wants_subscription = true;
              follower->not_before = {};
            }
            if (follower->wants_subscription && follower->not_before <= now) {
              follower->wants_subscription = false;
              begin.push_back(follower);
            }
          }
        } else if (lost_for_good_ && reopen_at_ <= now) {
          reopen = true;
          reopen_at_ = now + kReopenWait;
        }
      }
      RunFailures();
      if (reopen) {
        if (absl::Status status = OpenConnection(); !status.ok()) Problem(std::string(status.message()));
      }
      for (const auto& follower : begin) BeginFollowing(follower);
    }
  }

  // Under mutex_. Messages that wait for a slow handler are a sign of life.
  bool Stalled(const Follower& follower, SteadyTime now) const {
    const SteadyTime heard{SteadyClock::duration(follower.last_heard.load())};
    if (follower.subscription == nullptr || now - heard < ToChrono(3 * options_.heartbeat)) return false;
    int messages = 0;
    int bytes = 0;
    return natsSubscription_GetPending(follower.subscription, &messages, &bytes) != NATS_OK || messages == 0;
  }

  MessageBin bin_;
  const NatsOptions options_;
  std::string inbox_;

  // Held while anything of the caller's runs. Taken before `mutex_`, never after it. Recursive: a handler may end its own subscription.
  std::recursive_mutex callbacks_;
  bool gone_ = false;
  bool told_ = false;
  std::function<void(bool)> listener_;

  std::mutex mutex_;
  std::condition_variable wake_keeper_;
  bool wake_ = false;
  bool stopping_ = false;
  bool lost_for_good_ = false;
  SteadyTime reopen_at_{};
  std::shared_ptr<Connection> connection_;
  std::map<std::uint64_t, Pending> requests_;
  std::vector<std::pair<std::function<void(Reply)>, absl::Status>> failures_;
  std::map<std::uint64_t, std::shared_ptr<Follower>> followers_;
  std::uint64_t next_follower_ = 1;

  std::atomic<bool> connected_{false};
  std::atomic<std::uint64_t> next_token_{1};
  std::thread keeper_;
};

namespace {

class FollowerSubscription final : public Subscription {
 public:
  explicit FollowerSubscription(std::function<void()> end) : end_(std::move(end)) {}
  ~FollowerSubscription() override { end_(); }

 private:
  std::function<void()> end_;
};

}  // namespace

NatsClient::NatsClient(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
NatsClient::~NatsClient() { impl_->Shutdown(); }

absl::StatusOr<std::unique_ptr<NatsClient>> NatsClient::Open(NatsOptions options) {
  auto impl = std::make_shared<Impl>(std::move(options));
  if (absl::Status status = impl->Start(); !status.ok()) return status;
  return std::unique_ptr<NatsClient>(new NatsClient(std::move(impl)));
}

void NatsClient::Request(const std::string& subject, const Headers& headers, std::string_view body, std::function<void(Reply)> done) {
  impl_->Request(subject, headers, body, std::move(done));
}

NatsClient::Reply NatsClient::Call(const std::string& subject, std::string_view body, const Headers& headers) {
  if (callback_depth > 0) return absl::FailedPreconditionError("a callback may not wait for an answer");
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<Reply> answer;
  impl_->Request(subject, headers, body, [&](Reply reply) {
    std::lock_guard lock(mutex);
    answer = std::move(reply);
    arrived.notify_one();
  });
  std::unique_lock lock(mutex);
  arrived.wait(lock, [&] { return answer.has_value(); });
  return *std::move(answer);
}

std::unique_ptr<Subscription> NatsClient::Follow(FollowSpec spec) {
  std::shared_ptr<Impl::Follower> follower = impl_->AddFollower(std::move(spec));
  return std::make_unique<FollowerSubscription>([impl = impl_, follower] { impl->RemoveFollower(*follower); });
}

bool NatsClient::connected() const { return impl_->connected(); }
void NatsClient::OnConnection(std::function<void(bool)> listener) { impl_->SetListener(std::move(listener)); }

}  // namespace vigil

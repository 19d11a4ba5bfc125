#include "platform/snapshot/redis_snapshot_store.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <sys/time.h>

#include <charconv>
#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"

namespace vigil {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kDefaultPort = 6379;

struct Address {
  std::string host;
  int port = kDefaultPort;
  std::string socket;  // instead of host and port
  std::string user;
  std::string password;
  int database = 0;
};

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const std::optional<std::string> byte = HexDecode(text.substr(i + 1, 2));
    if (!byte || byte->size() != 1) return std::nullopt;
    decoded += *byte;
    i += 2;
  }
  return decoded;
}

std::optional<int> ParseInteger(std::string_view text, int largest) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0 || number > largest) return std::nullopt;
  return number;
}

absl::StatusOr<Address> ParseUrl(std::string_view url) {
  // The URL holds a password: no error repeats it.
  const auto wrong = [] { return absl::InvalidArgumentError("the Redis URL is not redis://… or unix://…"); };
  Address address;
  const bool unix_socket = url.starts_with("unix://");
  if (!unix_socket && !url.starts_with("redis://")) return wrong();
  url.remove_prefix(unix_socket ? 7 : 8);
  const auto slash = url.find('/');
  std::string_view authority = url.substr(0, slash);
  const std::string_view path = slash == std::string_view::npos ? std::string_view() : url.substr(slash + 1);
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    const std::string_view credentials = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    const auto colon = credentials.find(':');
    const std::optional<std::string> user = PercentDecode(credentials.substr(0, colon));
    const std::optional<std::string> password =
        PercentDecode(colon == std::string_view::npos ? std::string_view() : credentials.substr(colon + 1));
    if (!user || !password) return wrong();
    address.user = *user;
    address.password = *password;
  }
  if (unix_socket) {
    if (!authority.empty() || path.empty()) return wrong();
    address.socket = absl::StrCat("/", std::string(path));
    return address;
  }
  const auto colon = authority.rfind(':');
  address.host = std::string(authority.substr(0, colon));
  if (colon != std::string_view::npos) {
    const std::optional<int> port = ParseInteger(authority.substr(colon + 1), 65'535);
    if (!port) return wrong();
    address.port = *port;
  }
  if (!path.empty()) {
    const std::optional<int> database = ParseInteger(path, 1'000'000);
    if (!database) return wrong();
    address.database = *database;
  }
  if (address.host.empty()) return wrong();
  return address;
}

// hiredis writes to its socket with write(): a Redis that has gone would end the process by SIGPIPE.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec none{};
    if (!was_pending_) sigtimedwait(&pipe_, nullptr, &none);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

struct ContextDeleter {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct ReplyDeleter {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using ReplyPointer = std::unique_ptr<redisReply, ReplyDeleter>;

// One connection, made anew after any error: hiredis cannot use a context again.
class RedisConnection {
 public:
  RedisConnection(Address address, absl::Duration timeout, absl::Duration reconnect_wait)
      : address_(std::move(address)), timeout_(timeout), reconnect_wait_(reconnect_wait) {}

  // The reply's text; nullopt: nil. Waits at most the timeout for other callers, at most two for a connection, and at most one for the answer.
  absl::StatusOr<std::optional<std::string>> Command(const std::vector<std::string_view>& words) {
    std::unique_lock lock(mutex_, std::defer_lock);
    if (!lock.try_lock_for(absl::ToChronoMilliseconds(timeout_))) return absl::UnavailableError("Redis is busy");
    const WithoutSigpipe without_sigpipe;
    if (absl::Status status = Connect(); !status.ok()) return status;
    return Exchange(words);
  }

 private:
  absl::Status Connect() {
    if (context_) return absl::OkStatus();
    const auto now = SteadyClock::now();
    if (now < not_before_) return absl::UnavailableError("Redis could not be reached a moment ago");
    not_before_ = now + absl::ToChronoMilliseconds(reconnect_wait_);
    const timeval timeout = absl::ToTimeval(timeout_);
    context_.reset(address_.socket.empty() ? redisConnectWithTimeout(address_.host.c_str(), address_.port, timeout)
                                           : redisConnectUnixWithTimeout(address_.socket.c_str(), timeout));
    if (!context_) return absl::UnavailableError("no memory for a Redis connection");
    absl::Status status;
    if (context_->err != 0) {
      status = absl::UnavailableError(absl::StrCat("Redis: ", context_->errstr));
    } else if (redisSetTimeout(context_.get(), timeout) != REDIS_OK) {
      status = absl::UnavailableError("Redis: no timeout can be set");
    }
    if (status.ok() && !address_.password.empty()) {
      std::vector<std::string_view> words = {"AUTH", address_.user, address_.password};
      if (address_.user.empty()) words.erase(words.begin() + 1);
      status = Exchange(words).status();
    }
    if (status.ok() && address_.database != 0) status = Exchange({"SELECT", absl::StrCat(address_.database)}).status();
    if (!status.ok()) {
      context_.reset();
      return status;
    }
    not_before_ = {};
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<std::string>> Exchange(const std::vector<std::string_view>& words) {
    std::vector<const char*> pointers;
    std::vector<std::size_t> sizes;
    for (const std::string_view word : words) {
      pointers.push_back(word.data());
      sizes.push_back(word.size());
    }
    const ReplyPointer reply(static_cast<redisReply*>(
        redisCommandArgv(context_.get(), static_cast<int>(words.size()), pointers.data(), sizes.data())));
    if (!reply) {
      absl::Status status = absl::UnavailableError(absl::StrCat("Redis: ", context_->errstr));
      context_.reset();
      return status;
    }
    switch (reply->type) {
      case REDIS_REPLY_ERROR:
        // Not permitted, out of memory, loading, read-only: all of it means "not now", and nobody may stop for it.
        return absl::UnavailableError(absl::StrCat("Redis: ", std::string(reply->str, reply->len)));
      case REDIS_REPLY_STRING:
      case REDIS_REPLY_STATUS:
        return std::string(reply->str, reply->len);
      case REDIS_REPLY_INTEGER:
        return absl::StrCat(reply->integer);
      default:
        return std::nullopt;
    }
  }

  const Address address_;
  const absl::Duration timeout_;
  const absl::Duration reconnect_wait_;
  std::timed_mutex mutex_;
  std::unique_ptr<redisContext, ContextDeleter> context_;
  SteadyClock::time_point not_before_{};
};

struct Manifest {
  std::string id;
  std::uint64_t position = 0;
  std::size_t chunks = 0;
  std::string digest;  // hex
};

std::optional<Manifest> ParseManifest(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    Manifest manifest{json.at("id"), json.at("position"), json.at("chunks"), json.at("sha256")};
    if (manifest.chunks > kMaxSnapshotChunks) return std::nullopt;
    return manifest;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

// Over the position and the chunks, each preceded by its length, so that chunks cannot be exchanged for others with the same bytes.
std::string DigestOf(const Snapshot& snapshot) {
  Sha256Hasher hasher;
  hasher.Update(absl::StrCat(snapshot.position, "\n"));
  for (const std::string& chunk : snapshot.chunks) hasher.Update(absl::StrCat(chunk.size(), "\n")).Update(chunk);
  return HexEncode(AsView(hasher.Finish()));
}

class RedisSnapshotStore final : public SnapshotStore {
 public:
  RedisSnapshotStore(RedisOptions options, Address address, Random& random)
      : options_(std::move(options)), random_(random), redis_(std::move(address), options_.timeout, options_.reconnect_wait) {}

  absl::Status Put(std::string_view name, const Snapshot& snapshot) override {
    if (absl::Status status = CheckLimits(snapshot); !status.ok()) return status;
    const std::string id = Base32Encode(random_.Bytes(10));
    const std::string seconds = absl::StrCat(absl::ToInt64Seconds(options_.time_to_live));
    for (std::size_t i = 0; i < snapshot.chunks.size(); ++i) {
      if (absl::Status status = redis_.Command({"SET", ChunkKey(name, id, i), snapshot.chunks[i], "EX", seconds}).status(); !status.ok()) {
        RemoveChunks(name, id, i);
        return status;
      }
    }
    const nlohmann::json manifest = {
        {"id", id}, {"position", snapshot.position}, {"chunks", snapshot.chunks.size()}, {"sha256", DigestOf(snapshot)}};
    const auto old = redis_.Command({"SET", Key(name), manifest.dump(), "EX", seconds, "GET"});
    if (!old.ok()) return old.status();
    if (old->has_value()) {
      if (const std::optional<Manifest> before = ParseManifest(**old)) RemoveChunks(name, before->id, before->chunks);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Snapshot> Get(std::string_view name) override {
    absl::StatusOr<Snapshot> got = GetOnce(name);
    // Somebody may have replaced it between two of our commands: then its chunks have gone, and the new one is there.
    if (absl::IsNotFound(got.status()) || absl::IsDataLoss(got.status())) got = GetOnce(name);
    return got;
  }

  absl::Status Remove(std::string_view name) override {
    const auto old = redis_.Command({"GETDEL", Key(name)});
    if (!old.ok()) return old.status();
    if (old->has_value()) {
      if (const std::optional<Manifest> before = ParseManifest(**old)) RemoveChunks(name, before->id, before->chunks);
    }
    return absl::OkStatus();
  }

 private:
  std::string Key(std::string_view name) const { return absl::StrCat(options_.key_prefix, std::string(name)); }
  std::string ChunkKey(std::string_view name, const std::string& id, std::size_t i) const {
    return absl::StrCat(options_.key_prefix, std::string(name), ":", id, ":", i);
  }

  // As far as it goes; what is left is forgotten by its time to live.
  void RemoveChunks(std::string_view name, const std::string& id, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      if (!redis_.Command({"UNLINK", ChunkKey(name, id, i)}).ok()) return;
    }
  }

  absl::StatusOr<Snapshot> GetOnce(std::string_view name) {
    const auto text = redis_.Command({"GET", Key(name)});
    if (!text.ok()) return text.status();
    if (!text->has_value()) return absl::NotFoundError("no such snapshot");
    const std::optional<Manifest> manifest = ParseManifest(**text);
    if (!manifest) return absl::DataLossError("the snapshot's manifest cannot be read");
    Snapshot snapshot;
    snapshot.position = manifest->position;
    for (std::size_t i = 0; i < manifest->chunks; ++i) {
      auto chunk = redis_.Command({"GET", ChunkKey(name, manifest->id, i)});
      if (!chunk.ok()) return chunk.status();
      if (!chunk->has_value()) return absl::NotFoundError("a chunk of the snapshot has gone");
      snapshot.chunks.push_back(**std::move(chunk));
    }
    if (DigestOf(snapshot) != manifest->digest) return absl::DataLossError("the snapshot is not as it was put");
    return snapshot;
  }

  const RedisOptions options_;
  Random& random_;
  RedisConnection redis_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SnapshotStore>> OpenRedisSnapshotStore(RedisOptions options, Random& random) {
  absl::StatusOr<Address> address = ParseUrl(options.url);
  if (!address.ok()) return address.status();
  return std::make_unique<RedisSnapshotStore>(std::move(options), *std::move(address), random);
}

}  // namespace vigil

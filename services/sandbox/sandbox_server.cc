#include "sandbox/sandbox_server.h"

#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "platform/http/problem.h"
#include "platform/http/server.h"
#include "sandbox/requests.h"
#include "sandbox/timer_queue.h"

namespace vigil::sandbox {
namespace {

constexpr std::size_t kMaxRequestBytes = std::size_t{512} * 1024;
constexpr std::size_t kDefaultPageSize = 1'000;
constexpr std::size_t kMaxPageSize = 10'000;

std::function<absl::Time()> SteadyTime() {
  return [wall = absl::Now(), start = std::chrono::steady_clock::now()] {
    return wall + absl::FromChrono(std::chrono::steady_clock::now() - start);
  };
}

HttpResponse Invalid(const std::vector<FieldError>& errors) {
  return ProblemResponse(400, "The request is not valid.", errors);
}

HttpResponse MethodNotAllowed(std::string allowed) {
  HttpResponse response = ProblemResponse(405, "");
  response.headers.Add("Allow", std::move(allowed));
  return response;
}

}  // namespace

class SandboxServer::Core {
 public:
  explicit Core(SandboxOptions options)
      : now_(options.now ? std::move(options.now) : SteadyTime()),
        network_(options.network),
        sender_(std::move(options.callbacks), timers_) {}

  ~Core() {
    if (server_ != nullptr) server_->Stop();
    timers_.Stop();
  }

  absl::Status Listen(const std::string& address, std::uint16_t port) {
    auto server = HttpServer::Start({.address = address, .port = port, .max_body_bytes = kMaxRequestBytes},
                                    [this](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
                                      Handle(request, std::move(responder));
                                    });
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    return absl::OkStatus();
  }

  std::uint16_t port() const { return server_->port(); }

 private:
  void Handle(const HttpRequest& request, std::shared_ptr<HttpResponder> responder) {
    const std::vector<std::string>& path = request.path_segments;
    const bool versioned = path.size() >= 2 && path[0] == "v1";
    if (versioned && path.size() == 2 && (path[1] == "calls" || path[1] == "messages")) {
      return AsProvider(request, std::move(responder));
    }
    if (versioned && path[1] == "phones" && path.size() >= 3) {
      return responder->Send(OnPhone(request, path[2], path.size() == 3 ? "" : path.size() == 4 ? path[3] : "/"));
    }
    if (versioned && path.size() == 2 && path[1] == "faults") return responder->Send(OnFaults(request));
    const bool known =
        request.path == "/healthz" || (versioned && path.size() == 2 && (path[1] == "received" || path[1] == "stats"));
    if (!known) return responder->Send(ProblemResponse(404, "There is nothing at this path."));
    if (request.method != "GET" && request.method != "HEAD") return responder->Send(MethodNotAllowed("GET"));
    if (request.path == "/healthz") return responder->Send(JsonResponse(200, R"({"status":"ok"})"));
    responder->Send(path[1] == "received" ? ReceivedPage(request) : Statistics());
  }

  // ---- What a provider is asked

  void AsProvider(const HttpRequest& request, std::shared_ptr<HttpResponder> responder) {
    if (request.method != "POST") return responder->Send(MethodNotAllowed("POST"));
    absl::Duration stall;
    HttpResponse response = request.path_segments[1] == "calls"
                                ? Place(ParseCall(request.body), &PhoneNetwork::PlaceCall, stall)
                                : Place(ParseMessage(request.body), &PhoneNetwork::SendMessage, stall);
    if (stall <= absl::ZeroDuration()) return responder->Send(std::move(response));
    timers_.After(stall,
                  [responder = std::move(responder), response = std::move(response)] { responder->Send(response); });
  }

  template <class Request>
  HttpResponse Place(Parsed<Request> parsed, PhoneNetwork::Placed (PhoneNetwork::*place)(Request, absl::Time),
                     absl::Duration& stall) {
    if (!parsed.errors.empty()) return Invalid(parsed.errors);
    const std::string id = parsed.value.id;
    PhoneNetwork::Placed placed{};
    Change([&](absl::Time now) {
      stall = network_.faults().stall;
      placed = (network_.*place)(std::move(parsed.value), now);
    });
    switch (placed) {
      case PhoneNetwork::Placed::kAccepted:
        return JsonResponse(202, IdJson(id));
      case PhoneNetwork::Placed::kRepeated:
        return JsonResponse(200, IdJson(id));
      case PhoneNetwork::Placed::kRefused:
      case PhoneNetwork::Placed::kFull:
        break;
    }
    HttpResponse refused = ProblemResponse(
        503, placed == PhoneNetwork::Placed::kFull ? "Too many calls are ringing." : "The network refuses.");
    refused.headers.Add("Retry-After", "1");
    return refused;
  }

  // ---- What the phones' owners do

  HttpResponse OnPhone(const HttpRequest& request, const std::string& number, std::string_view action) {
    if (!action.empty() && action != "behaviour" && action != "reply") {
      return ProblemResponse(404, "There is nothing at this path.");
    }
    if (!IsPhoneNumber(number)) return Invalid({{"number", "must be an optional + and 3 to 20 digits"}});
    if (action.empty()) {
      if (request.method != "GET" && request.method != "HEAD") return MethodNotAllowed("GET");
      std::vector<Received> received;
      {
        const std::lock_guard lock(mutex_);
        received = network_.ReceivedBy(number);
      }
      return JsonResponse(200, ReceivedJson(received));
    }
    if (request.method != "POST") return MethodNotAllowed("POST");
    return action == "behaviour" ? SetBehaviour(number, ParseBehaviour(request.body))
                                 : Reply(number, ParseReply(request.body));
  }

  HttpResponse SetBehaviour(const std::string& number, Parsed<Behaviour> parsed) {
    if (!parsed.errors.empty()) return Invalid(parsed.errors);
    bool set = false;
    Change([&](absl::Time now) { set = network_.SetBehaviour(number, std::move(parsed.value), now); });
    return set ? JsonResponse(200, "{}") : ProblemResponse(429, "Too many phones have a behaviour.");
  }

  HttpResponse Reply(const std::string& number, Parsed<std::string> parsed) {
    if (!parsed.errors.empty()) return Invalid(parsed.errors);
    std::optional<std::string> id;
    Change([&](absl::Time now) { id = network_.Reply(number, std::move(parsed.value), now); });
    return id ? JsonResponse(200, IdJson(*id))
              : ProblemResponse(409, "This phone has received no message to reply to.");
  }

  HttpResponse OnFaults(const HttpRequest& request) {
    if (request.method == "POST") {
      const Parsed<Faults> parsed = ParseFaults(request.body);
      if (!parsed.errors.empty()) return Invalid(parsed.errors);
      const std::lock_guard lock(mutex_);
      network_.SetFaults(parsed.value);
      return JsonResponse(200, FaultsJson(parsed.value));
    }
    if (request.method != "GET" && request.method != "HEAD") return MethodNotAllowed("GET, POST");
    const std::lock_guard lock(mutex_);
    return JsonResponse(200, FaultsJson(network_.faults()));
  }

  // ---- What onlookers see

  HttpResponse ReceivedPage(const HttpRequest& request) {
    std::uint64_t after = 0;
    std::uint64_t limit = kDefaultPageSize;
    std::vector<FieldError> errors;
    for (const auto& [name, value] : request.query) {
      if (name == "after") {
        if (!absl::SimpleAtoi(value, &after)) errors.push_back({name, "must be a whole number"});
      } else if (name == "limit") {
        if (!absl::SimpleAtoi(value, &limit) || limit < 1 || limit > kMaxPageSize) {
          errors.push_back({name, "must be a whole number from 1 to 10000"});
        }
      } else {
        errors.push_back({name, "unknown parameter"});
      }
    }
    if (!errors.empty()) return Invalid(errors);
    std::vector<Received> received;
    {
      const std::lock_guard lock(mutex_);
      received = network_.ReceivedAfter(after, limit);
    }
    return JsonResponse(200, ReceivedPageJson(received, after));
  }

  HttpResponse Statistics() {
    NetworkStatistics network;
    std::size_t live_calls = 0;
    {
      const std::lock_guard lock(mutex_);
      network = network_.statistics();
      live_calls = network_.live_calls();
    }
    const CallbackStatistics callbacks = sender_.statistics();
    const nlohmann::ordered_json json = {
        {"calls", network.calls},
        {"messages", network.messages},
        {"repeated", network.repeated},
        {"refused", network.refused},
        {"live_calls", live_calls},
        {"callbacks",
         {{"delivered", callbacks.delivered},
          {"pending", callbacks.pending},
          {"retried", callbacks.retried},
          {"failed", callbacks.failed},
          {"dropped", network.callbacks_dropped}}},
    };
    return JsonResponse(200, json.dump());
  }

  // ---- Time

  // Changes the network, lets happen what follows at once, and sees to what follows later.
  template <class Function>
  void Change(Function function) {
    const std::lock_guard lock(mutex_);
    const absl::Time now = now_();
    function(now);
    // Handed over under the lock: the order of a record's callbacks is the network's.
    sender_.Send(network_.Advance(now));
    const absl::Time due = network_.NextDue();
    if (due >= wakeup_) return;
    wakeup_ = due;
    timers_.After(due - now, [this, due] { Wake(due); });
  }

  void Wake(absl::Time due) {
    {
      const std::lock_guard lock(mutex_);
      if (due != wakeup_) return;  // an earlier one has been set since
      wakeup_ = absl::InfiniteFuture();
    }
    Change([](absl::Time) {});
  }

  const std::function<absl::Time()> now_;
  std::mutex mutex_;
  PhoneNetwork network_;                        // guarded by mutex_
  absl::Time wakeup_ = absl::InfiniteFuture();  // guarded by mutex_
  TimerQueue timers_;
  CallbackSender sender_;
  std::unique_ptr<HttpServer> server_;
};

absl::StatusOr<std::unique_ptr<SandboxServer>> SandboxServer::Start(SandboxOptions options) {
  const std::string address = options.address;
  const std::uint16_t port = options.port;
  auto core = std::make_unique<Core>(std::move(options));
  if (absl::Status status = core->Listen(address, port); !status.ok()) return status;
  return std::unique_ptr<SandboxServer>(new SandboxServer(std::move(core)));
}

SandboxServer::SandboxServer(std::unique_ptr<Core> core) : core_(std::move(core)) {}
SandboxServer::~SandboxServer() = default;

std::uint16_t SandboxServer::port() const { return core_->port(); }

}  // namespace vigil::sandbox

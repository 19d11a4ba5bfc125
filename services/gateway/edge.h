#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/edge_metrics.h"
#include "gateway/event_streams.h"
#include "gateway/permissions.h"
#include "gateway/rate_limiter.h"
#include "gateway/sessions.h"
#include "gateway/transcoder/problem.h"
#include "gateway/transcoder/transcoder.h"
#include "gateway/upstream.h"
#include "platform/clock/clock.h"
#include "platform/document/printer.h"
#include "platform/http/server.h"

namespace vigil::gateway {

// Largest bodies, in bytes: of a command, and of a file taken as it is.
inline constexpr size_t kMaxBodyBytes = size_t{1} << 20;
inline constexpr size_t kMaxRawBodyBytes = size_t{10} << 20;
// What a service may take for a command, and for saying whether it is well.
inline constexpr absl::Duration kCallDeadline = absl::Seconds(10);
inline constexpr absl::Duration kHealthDeadline = absl::Seconds(1);
// Per token. A report may be about a child in danger: it is held only when something has gone wild.
inline constexpr Rate kRequestRate{2'000, 4'000};
inline constexpr Rate kReportRate{50'000, 100'000};
// Per address, of tokens that are not good: each costs a signature's check.
inline constexpr Rate kFailedSignInRate{50, 100};
// Per address, of guardians' copies: a person with a phone, or several behind one router.
inline constexpr Rate kCopyRate{0.5, 20};

// A document that never changes while the process runs.
struct Page {
  HttpHeaders headers;
  std::string body;
};

// What the edge is made of. All of it must outlive the edge and all calls that it makes.
struct EdgeParts {
  const RouteTable* table = nullptr;
  const Transcoder* transcoder = nullptr;
  Sessions* sessions = nullptr;
  const Permissions* permissions = nullptr;
  const Clock* clock = nullptr;
  const EdgeMetrics* metrics = nullptr;
  EventStreams* events = nullptr;
  std::map<std::string, Upstream*> upstreams;      // By proto package: "vigil.intake.v1".
  Upstream* notification = nullptr;                // Takes callbacks.
  Upstream* intake = nullptr;                      // Takes those of break-glass calls.
  Secret<std::string> sandbox_secret;              // Empty: there is no sandbox, its callbacks are refused.
  std::map<std::string, Page, std::less<>> pages;  // By path: the web page, openapi.json.
  std::function<std::string()> metrics_text;
  document::Printer* printer = nullptr;            // Null: nothing is printed here.
  std::string public_url;                          // Where guardians reach us; empty: their copies have no address.
};

// Everything the gateway does with one HTTP request, apart from HTTP itself. Thread-safe; never blocks, and hands a
// request on in the thread in which it came.
class Edge {
 public:
  // InvalidArgument: a route whose package has no upstream.
  static absl::StatusOr<std::unique_ptr<Edge>> Create(EdgeParts parts);

  void Handle(HttpRequest request, std::shared_ptr<HttpResponder> responder);

  // What /metrics answers.
  HttpResponse Metrics() const;

  // For the server, which refuses a longer one unread.
  size_t MaxBodyBytes(std::string_view method, std::string_view path) const;

 private:
  // What is known of a route before any request.
  struct Target {
    Upstream* upstream = nullptr;
    std::string method_path;  // "/vigil.intake.v1.IntakeService/CreateReport"
    const google::protobuf::Message* request_prototype = nullptr;
    const google::protobuf::Message* response_prototype = nullptr;
    const MessagePlan* request_plan = nullptr;
    const MessagePlan* response_plan = nullptr;
    const google::protobuf::FieldDescriptor* language = nullptr;  // Filled from Accept-Language.
    const google::protobuf::FieldDescriptor* etag = nullptr;      // Of the response.
    int school_capture = -1;                                      // Index among the route's captures.
    bool open = false;                                            // Needs no token.
    bool report = false;
  };
  // A request that may go on.
  struct Admitted {
    std::string request;
    Upstream::Metadata metadata;
  };

  explicit Edge(EdgeParts parts) : parts_(std::move(parts)) {}
  absl::Status AddTarget(const Route& route);

  void HandleCommand(const HttpRequest& request, std::shared_ptr<HttpResponder> responder);
  void HandleEvents(const HttpRequest& request, std::shared_ptr<HttpResponder> responder);
  void HandleCallback(const HttpRequest& request, std::shared_ptr<HttpResponder> responder);
  void HandleCopy(const HttpRequest& request, std::shared_ptr<HttpResponder> responder);
  void HandleReady(std::shared_ptr<HttpResponder> responder);
  // Makes the pages of a serialized Document and gives `done` the answer.
  void Print(const std::string& document, bool copy, std::function<void(HttpResponse)> done) const;

  // In the order in which a request is judged.
  std::optional<Problem> Authenticate(const HttpRequest& request, std::shared_ptr<const Session>& session);
  std::optional<Problem> Limit(const Session& session, bool report);
  std::optional<Problem> Admit(const HttpRequest& request, const RouteTable::Match& match, const Target& target,
                               Admitted& admitted);
  HttpResponse Answer(const Route& route, const Target& target, absl::StatusOr<std::string> response) const;
  void Send(HttpResponse response, HttpResponder& responder) const;

  const EdgeParts parts_;
  absl::flat_hash_map<const Route*, Target> targets_;
  RateLimiter requests_{kRequestRate};
  RateLimiter reports_{kReportRate};
  RateLimiter failed_sign_ins_{kFailedSignInRate};
  RateLimiter copies_{kCopyRate};
};

}  // namespace vigil::gateway

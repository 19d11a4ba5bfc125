#include "gateway/edge.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>

#include <atomic>
#include <utility>

#include "gateway/callbacks.h"
#include "gateway/documents.h"
#include "gateway/header_text.h"
#include "gateway/transcoder/json_document.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "platform/logging/log.h"
#include "vigil/intake/v1/break_glass.pb.h"
#include "vigil/intake/v1/intake.pb.h"
#include "vigil/notification/v1/notification.pb.h"

namespace vigil::gateway {

namespace pb = google::protobuf;

namespace {

constexpr std::string_view kEventsPath = "/api/v1/events";
constexpr std::string_view kCallbacksPrefix = "/callbacks/";
constexpr std::string_view kEventsPermission = "events.read";
constexpr std::string_view kReportMethod = "vigil.intake.v1.IntakeService.CreateReport";
// Says nothing of any school, and is what a page needs before anybody has signed in.
constexpr std::string_view kClockMethod = "vigil.intake.v1.IntakeService.GetClock";
// Intake rings and counts these itself: notification may be what has failed.
constexpr std::string_view kBreakGlassKind = "break-glass";
constexpr std::string_view kBreakGlassMethodPath = "/vigil.intake.v1.BreakGlassService/ReceiveCallback";
constexpr std::string_view kCallbackMethodPath = "/vigil.notification.v1.NotificationService/ReceiveCallback";
constexpr std::string_view kOpenCopyMethodPath = "/vigil.intake.v1.IntakeService/OpenCopy";
constexpr std::string_view kHealthMethodPath = "/grpc.health.v1.Health/Check";
constexpr std::string_view kServing("\x08\x01", 2);  // grpc.health.v1.HealthCheckResponse{status: SERVING}

Problem Refusal(int status, std::string detail) {
  Problem problem;
  problem.status = status;
  problem.detail = std::move(detail);
  return problem;
}

Problem FieldRefusal(std::string field, std::string reason) {
  Problem problem = Refusal(400, "");
  problem.errors.push_back({std::move(field), std::move(reason)});
  return problem;
}

std::string_view QueryOf(const HttpRequest& request) {
  const size_t mark = request.target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(request.target).substr(mark + 1);
}

// "text/html; charset=utf-8" -> "text/html"
std::string_view MediaType(const HttpRequest& request) {
  std::string_view type = request.Header("Content-Type").value_or("");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type;
}

// By what it begins with; a Content-Type only says what somebody thinks it is.
bool IsPhotoOrDocument(std::string_view body) {
  using namespace std::string_view_literals;
  for (const std::string_view magic : {"\xFF\xD8\xFF"sv, "\x89PNG\r\n\x1A\n"sv, "%PDF-"sv}) {
    if (body.starts_with(magic)) return true;
  }
  return false;
}

// The first language of Accept-Language; which ones there are is the service's to know.
std::string_view Language(const HttpRequest& request) {
  std::string_view language = request.Header("Accept-Language").value_or("");
  language = language.substr(0, language.find_first_of(",; "));
  return IsHeaderText(language) ? language : std::string_view();
}

// The same message always gives the same bytes, also where it holds maps.
std::string Serialize(const pb::Message& message) {
  std::string bytes;
  {
    pb::io::StringOutputStream stream(&bytes);
    pb::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

// What of the headers goes on to the service.
std::optional<Problem> PassOn(const HttpRequest& request, Upstream::Metadata& metadata) {
  if (const std::optional<std::string_view> key = request.Header("Idempotency-Key");
      key.has_value() && request.method == "POST") {
    if (!IsHeaderText(*key)) return FieldRefusal("Idempotency-Key", "must be 1 to 255 printable ASCII characters");
    metadata.emplace_back("vigil-idempotency-key", std::string(*key));
  }
  if (std::optional<std::string_view> etag = request.Header("If-Match"); etag.has_value()) {
    if (etag->size() >= 2 && etag->front() == '"' && etag->back() == '"') etag = etag->substr(1, etag->size() - 2);
    if (!IsHeaderText(*etag)) return FieldRefusal("If-Match", "must be an etag that was read");
    if (*etag != "*") metadata.emplace_back("vigil-if-match", std::string(*etag));
  }
  if (const std::string_view language = Language(request); !language.empty())
    metadata.emplace_back("accept-language", std::string(language));
  if (const std::optional<std::string_view> trace = request.Header("traceparent");
      trace.has_value() && IsHeaderText(*trace)) {
    metadata.emplace_back("traceparent", std::string(*trace));
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Edge>> Edge::Create(EdgeParts parts) {
  std::unique_ptr<Edge> edge(new Edge(std::move(parts)));
  for (const auto& route : edge->parts_.table->routes()) {
    if (absl::Status status = edge->AddTarget(*route); !status.ok()) return status;
  }
  return edge;
}

absl::Status Edge::AddTarget(const Route& route) {
  const pb::MethodDescriptor& method = *route.method;
  const auto upstream = parts_.upstreams.find(method.file()->package());
  if (upstream == parts_.upstreams.end())
    return absl::InvalidArgumentError("no service is known for " + method.full_name());
  Target target;
  target.upstream = upstream->second;
  target.method_path = "/" + method.service()->full_name() + "/" + method.name();
  target.request_prototype = pb::MessageFactory::generated_factory()->GetPrototype(method.input_type());
  target.response_prototype = pb::MessageFactory::generated_factory()->GetPrototype(method.output_type());
  target.request_plan = parts_.transcoder->plans().Find(method.input_type());
  target.response_plan = parts_.transcoder->plans().Find(method.output_type());
  if (const int field = target.request_plan->Find("language"); field >= 0) {
    const FieldPlan& plan = target.request_plan->fields[static_cast<size_t>(field)];
    if (plan.not_in_body && plan.kind == FieldPlan::Kind::kString && !plan.repeated) target.language = plan.field;
  }
  if (const int field = target.response_plan->Find("etag"); field >= 0) {
    const FieldPlan& plan = target.response_plan->fields[static_cast<size_t>(field)];
    if (plan.kind == FieldPlan::Kind::kString && !plan.repeated) target.etag = plan.field;
  }
  for (size_t i = 0; i < route.captures.size(); ++i) {
    if (route.captures[i]->name() == "school") target.school_capture = static_cast<int>(i);
  }
  target.open = method.full_name() == kClockMethod;
  target.report = method.full_name() == kReportMethod;
  targets_.emplace(&route, std::move(target));
  return absl::OkStatus();
}

void Edge::Handle(HttpRequest request, std::shared_ptr<HttpResponder> responder) {
  if (request.path == kEventsPath) return HandleEvents(request, std::move(responder));
  if (request.path.compare(0, kCallbacksPrefix.size(), kCallbacksPrefix) == 0)
    return HandleCallback(request, std::move(responder));
  if (request.path.compare(0, kCopyPrefix.size(), kCopyPrefix) == 0) return HandleCopy(request, std::move(responder));
  if (request.method == "GET") {
    if (const auto page = parts_.pages.find(request.path); page != parts_.pages.end()) {
      HttpResponse response{200, page->second.headers, page->second.body};
      response.headers.Add("Cache-Control", "no-cache");
      return Send(std::move(response), *responder);
    }
    if (request.path == "/healthz")
      return Send({200, {{"Content-Type", "application/json"}}, R"({"status":"ok"})"}, *responder);
    if (request.path == "/readyz") return HandleReady(std::move(responder));
    if (request.path == "/metrics") return Send(Metrics(), *responder);
  }
  HandleCommand(request, std::move(responder));
}

HttpResponse Edge::Metrics() const {
  return {200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, parts_.metrics_text()};
}

size_t Edge::MaxBodyBytes(std::string_view method, std::string_view path) const {
  const RouteTable::Match match = parts_.table->Find(method, path);
  const auto target = targets_.find(match.route);
  return target != targets_.end() && target->second.request_plan->raw_body != nullptr ? kMaxRawBodyBytes
                                                                                      : kMaxBodyBytes;
}

void Edge::HandleCommand(const HttpRequest& request, std::shared_ptr<HttpResponder> responder) {
  const absl::Time start = parts_.clock->NowReal();
  const RouteTable::Match match = parts_.table->Find(request.method, request.path);
  if (match.outcome == RouteTable::Match::Outcome::kNoSuchPath)
    return Send(ToResponse(Refusal(404, "there is no such path")), *responder);
  if (match.outcome == RouteTable::Match::Outcome::kNoSuchVerb) {
    HttpResponse response = ToResponse(Refusal(405, ""));
    response.headers.Add("Allow", match.allow);
    return Send(std::move(response), *responder);
  }
  const Route& route = *match.route;
  const Target& target = targets_.find(&route)->second;
  Admitted admitted;
  if (const std::optional<Problem> problem = Admit(request, match, target, admitted); problem.has_value()) {
    return Send(ToResponse(*problem), *responder);
  }
  target.upstream->Call(
      target.method_path, admitted.request, admitted.metadata, kCallDeadline,
      [this, &route, &target, start, responder = std::move(responder)](absl::StatusOr<std::string> response) {
        const auto send = [this, &route, start, responder](HttpResponse answer) {
          Send(std::move(answer), *responder);
          parts_.metrics->Took(&route, parts_.clock->NowReal() - start);
        };
        if (response.ok() && target.response_plan->printed) return Print(*response, /*copy=*/false, send);
        send(Answer(route, target, std::move(response)));
      });
}

std::optional<Problem> Edge::Admit(const HttpRequest& request, const RouteTable::Match& match, const Target& target,
                                   Admitted& admitted) {
  if (!target.open) {
    std::shared_ptr<const Session> session;
    if (std::optional<Problem> problem = Authenticate(request, session)) return problem;
    if (std::optional<Problem> problem = Limit(*session, target.report)) return problem;
    if (!parts_.permissions->May(session->claims.role, match.route->permission)) {
      return Refusal(403, "this role may not do that");
    }
    if (target.school_capture >= 0) {
      std::string school;
      if (!PercentDecode(match.captured[static_cast<size_t>(target.school_capture)], /*form=*/false, school) ||
          !session->claims.AllowsSchool(school)) {
        return Refusal(403, "the token is of another school");
      }
    }
    admitted.metadata = session->metadata;
  }
  if (std::optional<Problem> problem = PassOn(request, admitted.metadata)) return problem;

  const bool raw = target.request_plan->raw_body != nullptr;
  if (!raw && !request.body.empty() && !EqualsIgnoringCase(MediaType(request), "application/json")) {
    return Refusal(415, "the body must be application/json");
  }
  const std::unique_ptr<pb::Message> message(target.request_prototype->New());
  if (target.language != nullptr) {
    message->GetReflection()->SetString(message.get(), target.language, std::string(Language(request)));
  }
  const std::string_view body = raw ? std::string_view() : std::string_view(request.body);
  if (std::vector<FieldError> errors = parts_.transcoder->Read(match, QueryOf(request), body, *message);
      !errors.empty()) {
    Problem problem = Refusal(400, "");
    problem.errors = std::move(errors);
    return problem;
  }
  if (raw) {
    if (!IsPhotoOrDocument(request.body)) return Refusal(415, "the body must be a jpeg, png or pdf");
    message->GetReflection()->SetString(message.get(), target.request_plan->raw_body, request.body);
    const pb::FieldDescriptor* type = target.request_plan->raw_body_type;
    if (type != nullptr) {
      const std::string_view given = MediaType(request);
      if (!IsHeaderText(given)) return Refusal(415, "a Content-Type is needed");
      message->GetReflection()->SetString(message.get(), type, std::string(given));
    }
  }
  admitted.request = Serialize(*message);
  if (match.route->verb == HttpVerb::kPost) {
    // The same key with another command is as much a conflict as with another body.
    Sha256Hasher hasher;
    hasher.Update(target.method_path).Update("\n").Update(admitted.request);
    admitted.metadata.emplace_back("vigil-body-hash", HexEncode(AsView(hasher.Finish())));
  }
  return std::nullopt;
}

std::optional<Problem> Edge::Authenticate(const HttpRequest& request, std::shared_ptr<const Session>& session) {
  const absl::Time now = parts_.clock->NowReal();
  // Nobody is turned away for a neighbour's bad tokens unless their own is bad too.
  absl::StatusOr<std::shared_ptr<const Session>> authenticated =
      parts_.sessions->Authenticate(request.Header("Authorization"));
  if (authenticated.ok()) {
    session = *std::move(authenticated);
    return std::nullopt;
  }
  if (const std::optional<absl::Duration> wait = failed_sign_ins_.Take(request.peer_address, now); wait.has_value()) {
    Problem problem = Refusal(429, "too many tokens that are not good");
    problem.retry_after = wait;
    return problem;
  }
  return ProblemFromStatus(authenticated.status());
}

std::optional<Problem> Edge::Limit(const Session& session, bool report) {
  RateLimiter& limiter = report ? reports_ : requests_;
  const std::optional<absl::Duration> wait = limiter.Take(session.claims.id, parts_.clock->NowReal());
  if (!wait.has_value()) return std::nullopt;
  Problem problem = Refusal(429, "too many requests with this token");
  problem.retry_after = wait;
  return problem;
}

HttpResponse Edge::Answer(const Route& route, const Target& target, absl::StatusOr<std::string> response) const {
  if (!response.ok()) {
    const Problem problem = ProblemFromStatus(response.status());
    if (problem.status == 500)
      log::Error("a service failed", {{"method", log::Id(target.method_path)}, {"status", response.status()}});
    return ToResponse(problem);
  }
  const std::unique_ptr<pb::Message> message(target.response_prototype->New());
  if (!message->ParseFromString(*response)) {
    log::Error("a service's answer cannot be read", {{"method", log::Id(target.method_path)}});
    return ToResponse(Refusal(500, ""));
  }
  HttpResponse answer;
  answer.status = route.success_status;
  answer.headers.Add("Cache-Control", "no-store");
  std::string scratch;
  if (target.response_plan->plain_text != nullptr) {
    answer.headers.Add("Content-Type", "text/plain; charset=utf-8");
    answer.body = message->GetReflection()->GetStringReference(*message, target.response_plan->plain_text, &scratch);
    return answer;
  }
  if (target.response_plan->raw_content != nullptr) {
    const pb::Reflection& reflection = *message->GetReflection();
    const std::string type = reflection.GetString(*message, target.response_plan->raw_content_type);
    answer.headers.Add("Content-Type", IsHeaderText(type) ? type : "application/octet-stream");
    // Somebody else's bytes: kept as a file, never run or shown as ours.
    answer.headers.Add("Content-Disposition", "attachment");
    answer.headers.Add("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'");
    answer.headers.Add("Referrer-Policy", "no-referrer");
    answer.body = reflection.GetString(*message, target.response_plan->raw_content);
    return answer;
  }
  answer.headers.Add("Content-Type", "application/json");
  if (target.etag != nullptr) {
    const std::string& etag = message->GetReflection()->GetStringReference(*message, target.etag, &scratch);
    if (IsHeaderText(etag)) answer.headers.Add("ETag", "\"" + etag + "\"");
  }
  parts_.transcoder->Print(*message, answer.body);
  return answer;
}

void Edge::HandleEvents(const HttpRequest& request, std::shared_ptr<HttpResponder> responder) {
  const auto refuse = [&](const Problem& problem) { Send(ToResponse(problem), *responder); };
  if (request.method != "GET") {
    HttpResponse response = ToResponse(Refusal(405, ""));
    response.headers.Add("Allow", "GET");
    return Send(std::move(response), *responder);
  }
  std::shared_ptr<const Session> session;
  if (const std::optional<Problem> problem = Authenticate(request, session)) return refuse(*problem);
  if (const std::optional<Problem> problem = Limit(*session, /*report=*/false)) return refuse(*problem);
  if (!parts_.permissions->MayOpenStream(session->claims.role, kEventsPermission))
    return refuse(Refusal(403, "this role may not do that"));

  EventStreams::Wanted wanted;
  for (const auto& [name, value] : request.query) {
    if (name != "school") return refuse(FieldRefusal(IsUtf8(name) ? name : "", "unknown query parameter"));
    wanted.school = value;
  }
  // A token of one school sees that school, whether it names it or not.
  if (wanted.school.empty() && session->claims.school != kEverySchool) wanted.school = session->claims.school;
  if (!IsUtf8(wanted.school)) return refuse(FieldRefusal("school", "is not valid UTF-8"));
  if (!wanted.school.empty() && !session->claims.AllowsSchool(wanted.school))
    return refuse(Refusal(403, "the token is of another school"));
  if (const std::optional<std::string_view> last = request.Header("Last-Event-ID");
      last.has_value() && !last->empty()) {
    if (!IsHeaderText(*last)) return refuse(FieldRefusal("Last-Event-ID", "must be an id of this stream"));
    wanted.after = std::string(*last);
  }
  wanted.language = std::string(Language(request));
  if (!parts_.events->Open(wanted, session->metadata, responder)) {
    Problem problem = Refusal(503, "too many event streams");
    problem.retry_after = absl::Seconds(5);
    return refuse(problem);
  }
  parts_.metrics->Answered(200);
}

void Edge::HandleCallback(const HttpRequest& request, std::shared_ptr<HttpResponder> responder) {
  const std::optional<CallbackPath> path = ParseCallbackPath(request.path);
  // So far every provider signs as the sandbox does; one that does not is added here with its own check.
  if (!path.has_value()) return Send(ToResponse(Refusal(404, "there is no such path")), *responder);
  if (request.method != "POST") {
    HttpResponse response = ToResponse(Refusal(405, ""));
    response.headers.Add("Allow", "POST");
    return Send(std::move(response), *responder);
  }
  if (!IsSandboxSignature(parts_.sandbox_secret, request.body, request.Header("X-Sandbox-Signature").value_or(""))) {
    return Send(ToResponse(Refusal(401, "the signature is not good")), *responder);
  }
  const auto answer = [this, responder = std::move(responder)](absl::StatusOr<std::string> response) {
    if (!response.ok()) return Send(ToResponse(ProblemFromStatus(response.status())), *responder);
    Send({200, {{"Content-Type", "application/json"}}, "{}"}, *responder);
  };
  if (path->kind == kBreakGlassKind && parts_.intake != nullptr) {
    intake::v1::ReceiveBreakGlassCallbackRequest callback;
    callback.set_body(request.body);
    return parts_.intake->Call(kBreakGlassMethodPath, callback.SerializeAsString(), {}, kCallDeadline, answer);
  }
  notification::v1::ReceiveCallbackRequest callback;
  callback.set_provider(path->provider);
  callback.set_kind(path->kind);
  callback.set_body(request.body);
  parts_.notification->Call(kCallbackMethodPath, callback.SerializeAsString(), {}, kCallDeadline, answer);
}

void Edge::Print(const std::string& document, bool copy, std::function<void(HttpResponse)> done) const {
  document::v1::Document words;
  if (!words.ParseFromString(document)) return done(ToResponse(Refusal(500, "")));
  if (parts_.printer == nullptr) return done(ToResponse(Refusal(501, "documents are not printed here")));
  parts_.printer->Print(ForPrinter(words, parts_.public_url),
                        [copy, name = words.file_name(), done = std::move(done)](absl::StatusOr<std::string> pdf) {
                          if (pdf.ok()) return done(PdfResponse(*std::move(pdf), name, /*to_keep=*/!copy));
                          log::Warn("a document was not printed", {{"reason", pdf.status()}});
                          const Problem problem = PrintProblem(pdf.status());
                          done(copy ? CopyRefusal(problem.status == 503 ? 503 : 500) : ToResponse(problem));
                        });
}

// What is scanned from a paper. The token is the permission: it is not logged, and every refusal reads alike.
void Edge::HandleCopy(const HttpRequest& request, std::shared_ptr<HttpResponder> responder) {
  if (request.method != "GET") {
    HttpResponse response = CopyRefusal(405);
    response.headers.Add("Allow", "GET");
    return Send(std::move(response), *responder);
  }
  if (copies_.Take(request.peer_address, parts_.clock->NowReal()).has_value())
    return Send(CopyRefusal(429), *responder);
  const std::string_view token = std::string_view(request.path).substr(kCopyPrefix.size());
  if (!IsCopyToken(token) || parts_.intake == nullptr) return Send(CopyRefusal(404), *responder);
  intake::v1::OpenCopyRequest wanted;
  wanted.set_token(std::string(token));
  Upstream::Metadata metadata;
  if (const std::string_view language = Language(request); !language.empty())
    metadata.emplace_back("accept-language", std::string(language));
  parts_.intake->Call(kOpenCopyMethodPath, wanted.SerializeAsString(), metadata, kCallDeadline,
                      [this, responder = std::move(responder)](absl::StatusOr<std::string> response) {
                        if (response.ok()) {
                          return Print(*response, /*copy=*/true,
                                       [this, responder](HttpResponse answer) { Send(std::move(answer), *responder); });
                        }
                        const int status = HttpStatusOf(response.status().code());
                        Send(CopyRefusal(status == 429 || status == 503 ? status : 404), *responder);
                      });
}

void Edge::HandleReady(std::shared_ptr<HttpResponder> responder) {
  // Each answer is noted; the last one answers.
  struct Asked {
    std::mutex mutex;
    std::map<std::string, bool> ready;
    size_t waiting = 0;
  };
  auto asked = std::make_shared<Asked>();
  asked->waiting = parts_.upstreams.size();
  for (const auto& [package, upstream] : parts_.upstreams) {
    upstream->Call(
        kHealthMethodPath, "", {}, kHealthDeadline,
        [this, asked, responder, name = package](absl::StatusOr<std::string> response) {
          std::string body;
          bool all = true;
          {
            std::lock_guard lock(asked->mutex);
            asked->ready[name] = response.ok() && *response == kServing;
            if (--asked->waiting > 0) return;
            body = R"({"ready":{)";
            for (const auto& [service, ready] : asked->ready) {
              if (body.back() != '{') body += ',';
              AppendJsonString(service, body);
              body += ready ? ":true" : ":false";
              all = all && ready;
            }
            body += "}}";
          }
          Send(
              {all ? 200 : 503, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, std::move(body)},
              *responder);
        });
  }
}

void Edge::Send(HttpResponse response, HttpResponder& responder) const {
  parts_.metrics->Answered(response.status);
  response.headers.Add("X-Content-Type-Options", "nosniff");
  responder.Send(std::move(response));
}

}  // namespace vigil::gateway

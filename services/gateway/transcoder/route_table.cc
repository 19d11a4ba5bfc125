#include "gateway/transcoder/route_table.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "vigil/api/v1/annotations.pb.h"

namespace vigil {

namespace pb = google::protobuf;

namespace {

constexpr std::array<std::string_view, kHttpVerbs> kVerbNames = {"GET", "POST", "PUT", "DELETE"};
// More than any template has; a longer path is no path of ours.
constexpr size_t kMaxSegments = 16;

using Segments = absl::InlinedVector<std::string_view, 8>;

// "/a/b:verb" -> {"a", "b"} and "verb". False if the path does not start with '/', is too long or has an empty segment.
bool Split(std::string_view path, Segments& segments, std::string_view& custom_verb) {
  if (path.empty() || path.front() != '/') return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash == 0 || segments.size() == kMaxSegments) return false;
    segments.push_back(path.substr(0, slash));
    path.remove_prefix(slash);
  }
  std::string_view& last = segments.back();
  const size_t colon = last.rfind(':');
  if (colon != std::string_view::npos) {
    custom_verb = last.substr(colon + 1);
    last = last.substr(0, colon);
    if (last.empty() || custom_verb.empty()) return false;
  }
  return true;
}

absl::Status Malformed(const Route& route, std::string_view what) {
  return absl::InvalidArgumentError(std::string(route.method->full_name()) + ": path " + route.path + ": " +
                                    std::string(what));
}

bool CanBeCaptured(const pb::FieldDescriptor& field) {
  return !field.is_repeated() && field.cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE &&
         field.type() != pb::FieldDescriptor::TYPE_BYTES;
}

}  // namespace

struct RouteTable::Node {
  // Few children each: an ordered map with transparent lookup needs no copy of the segment.
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> capture;
  using Verbs = std::array<const Route*, kHttpVerbs>;
  std::map<std::string, Verbs, std::less<>> ends;  // By custom verb, empty for none.

  // Looks for `verb` below this node; gathers in `other` what stands at the same path under other verbs.
  const Route* Find(const Segments& segments, size_t depth, std::string_view custom_verb, int verb, Verbs& other,
                    absl::InlinedVector<std::string_view, 4>& captured) const {
    if (depth == segments.size()) {
      const auto end = ends.find(custom_verb);
      if (end == ends.end()) return nullptr;
      if (verb >= 0 && end->second[static_cast<size_t>(verb)] != nullptr) return end->second[static_cast<size_t>(verb)];
      for (size_t i = 0; i < kHttpVerbs; ++i) {
        if (end->second[i] != nullptr) other[i] = end->second[i];
      }
      return nullptr;
    }
    const auto literal = literals.find(segments[depth]);
    if (literal != literals.end()) {
      const Route* route = literal->second->Find(segments, depth + 1, custom_verb, verb, other, captured);
      if (route != nullptr) return route;
    }
    if (capture == nullptr) return nullptr;
    captured.push_back(segments[depth]);
    const Route* route = capture->Find(segments, depth + 1, custom_verb, verb, other, captured);
    if (route == nullptr) captured.pop_back();
    return route;
  }
};

std::string_view HttpVerbName(HttpVerb verb) { return kVerbNames[static_cast<size_t>(verb)]; }

RouteTable::RouteTable() : root_(std::make_unique<Node>()) {}
RouteTable::RouteTable(RouteTable&&) noexcept = default;
RouteTable& RouteTable::operator=(RouteTable&&) noexcept = default;
RouteTable::~RouteTable() = default;

absl::StatusOr<RouteTable> RouteTable::Create(const std::vector<const pb::ServiceDescriptor*>& services) {
  RouteTable table;
  for (const pb::ServiceDescriptor* service : services) {
    for (int i = 0; i < service->method_count(); ++i) {
      const pb::MethodDescriptor* method = service->method(i);
      if (!method->options().HasExtension(api::v1::http)) continue;
      const api::v1::Http& http = method->options().GetExtension(api::v1::http);
      auto route = std::make_unique<Route>();
      route->method = method;
      route->success_status = http.success_status() == 0 ? 200 : http.success_status();
      route->permission = http.permission();
      route->summary = http.summary();
      switch (http.pattern_case()) {
        case api::v1::Http::kGet:
          route->verb = HttpVerb::kGet;
          route->path = http.get();
          break;
        case api::v1::Http::kPost:
          route->verb = HttpVerb::kPost;
          route->path = http.post();
          break;
        case api::v1::Http::kPut:
          route->verb = HttpVerb::kPut;
          route->path = http.put();
          break;
        case api::v1::Http::kDelete:
          route->verb = HttpVerb::kDelete;
          route->path = http.delete_();
          break;
        case api::v1::Http::PATTERN_NOT_SET:
          return Malformed(*route, "no verb given");
      }
      if (absl::Status status = table.Add(std::move(route)); !status.ok()) return status;
    }
  }
  return table;
}

absl::Status RouteTable::Add(std::unique_ptr<Route> route) {
  Segments segments;
  std::string_view custom_verb;
  if (!Split(route->path, segments, custom_verb)) return Malformed(*route, "malformed");
  Node* node = root_.get();
  for (std::string_view segment : segments) {
    if (segment.front() != '{') {
      if (segment.find_first_of("{}") != std::string_view::npos)
        return Malformed(*route, "a capture is a whole segment");
      std::unique_ptr<Node>& next = node->literals[std::string(segment)];
      if (next == nullptr) next = std::make_unique<Node>();
      node = next.get();
      continue;
    }
    if (segment.back() != '}') return Malformed(*route, "a capture is a whole segment");
    const pb::FieldDescriptor* field =
        route->method->input_type()->FindFieldByName(std::string(segment.substr(1, segment.size() - 2)));
    if (field == nullptr) return Malformed(*route, "captures a field that the request has not");
    if (!CanBeCaptured(*field)) return Malformed(*route, "captures a field that is no single scalar");
    if (std::find(route->captures.begin(), route->captures.end(), field) != route->captures.end()) {
      return Malformed(*route, "captures a field twice");
    }
    route->captures.push_back(field);
    if (node->capture == nullptr) node->capture = std::make_unique<Node>();
    node = node->capture.get();
  }
  auto [end, inserted] = node->ends.try_emplace(std::string(custom_verb));
  const Route*& place = end->second[static_cast<size_t>(route->verb)];
  if (place != nullptr) return Malformed(*route, "stands already for " + std::string(place->method->full_name()));
  place = route.get();
  routes_.push_back(std::move(route));
  return absl::OkStatus();
}

RouteTable::Match RouteTable::Find(std::string_view verb, std::string_view path) const {
  Match match;
  Segments segments;
  std::string_view custom_verb;
  if (!Split(path, segments, custom_verb)) return match;
  const auto found = std::find(kVerbNames.begin(), kVerbNames.end(), verb);
  const int verb_index = found == kVerbNames.end() ? -1 : static_cast<int>(found - kVerbNames.begin());
  Node::Verbs other{};
  match.route = root_->Find(segments, 0, custom_verb, verb_index, other, match.captured);
  if (match.route != nullptr) {
    match.outcome = Match::Outcome::kFound;
    return match;
  }
  for (size_t i = 0; i < kHttpVerbs; ++i) {
    if (other[i] == nullptr) continue;
    match.outcome = Match::Outcome::kNoSuchVerb;
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += kVerbNames[i];
  }
  return match;
}

}  // namespace vigil

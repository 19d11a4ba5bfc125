#pragma once

#include <google/protobuf/descriptor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"

namespace vigil {

enum class HttpVerb { kGet, kPost, kPut, kDelete };
inline constexpr int kHttpVerbs = 4;

std::string_view HttpVerbName(HttpVerb verb);

// One method of a service as it stands on the HTTP edge.
struct Route {
  HttpVerb verb = HttpVerb::kGet;
  std::string path;  // The template, for example "/api/v1/cases/{case}:close".
  const google::protobuf::MethodDescriptor* method = nullptr;
  std::vector<const google::protobuf::FieldDescriptor*>
      captures;  // Request fields that the path fills, in the path's order.
  int success_status = 200;
  std::string permission;  // Empty: any signed-in caller.
  std::string summary;
};

// Finds the method that an HTTP request means. Built once from the descriptors of services (vigil.api.v1.http); then
// immutable, so safe to share between threads.
//
// In the last segment a raw ':' begins a custom verb; an identifier that holds one is sent with "%3A". Literal segments
// go before captures.
class RouteTable {
 public:
  struct Match {
    enum class Outcome { kFound, kNoSuchPath, kNoSuchVerb };
    Outcome outcome = Outcome::kNoSuchPath;
    const Route* route = nullptr;  // Set when found.
    absl::InlinedVector<std::string_view, 4>
        captured;       // Still percent-encoded, one per Route::captures; views of the path looked up.
    std::string allow;  // For kNoSuchVerb: the value of the Allow header.
  };

  // InvalidArgument when a template is malformed, names a field that the request has not or that is no scalar or enum,
  // or stands twice. Methods without the option are left out. The descriptors must outlive the table.
  static absl::StatusOr<RouteTable> Create(const std::vector<const google::protobuf::ServiceDescriptor*>& services);

  RouteTable(RouteTable&&) noexcept;
  RouteTable& operator=(RouteTable&&) noexcept;
  ~RouteTable();

  // `path` is the target without its query, as it came.
  Match Find(std::string_view verb, std::string_view path) const;

  // In the order in which the descriptors list them.
  const std::vector<std::unique_ptr<const Route>>& routes() const { return routes_; }

 private:
  struct Node;

  RouteTable();
  absl::Status Add(std::unique_ptr<Route> route);

  std::vector<std::unique_ptr<const Route>> routes_;
  std::unique_ptr<Node> root_;
};

}  // namespace vigil

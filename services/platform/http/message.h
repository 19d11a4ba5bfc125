#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vigil {

struct HttpHeader {
  std::string name;
  std::string value;
};

// Header fields in the order they came. Names compare without regard to case. Not thread-safe.
class HttpHeaders {
 public:
  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<HttpHeader> headers) : headers_(headers) {}

  void Add(std::string name, std::string value) { headers_.push_back({std::move(name), std::move(value)}); }
  // Replaces every field of that name.
  void Set(std::string_view name, std::string value);
  // The first field of that name. The view lives as long as this object is unchanged.
  std::optional<std::string_view> Find(std::string_view name) const;

  auto begin() const { return headers_.begin(); }
  auto end() const { return headers_.end(); }
  std::size_t size() const { return headers_.size(); }

 private:
  std::vector<HttpHeader> headers_;
};

// A request as the server hands it to its handler: already complete, within all limits, its target well-formed.
struct HttpRequest {
  std::string method;  // as sent; methods are case-sensitive
  std::string target;  // as sent: path and query, undecoded
  std::string path;    // the target before '?', undecoded
  // The path between slashes, percent-decoded: "/v1/phones/%2B86" is {"v1", "phones", "+86"}. A trailing slash is
  // dropped.
  std::vector<std::string> path_segments;
  // Percent-decoded, '+' meaning space, in order.
  std::vector<std::pair<std::string, std::string>> query;
  HttpHeaders headers;
  std::string body;
  std::string peer_address;  // the address without port
  bool secure = false;       // came over TLS

  // The first query parameter of that name.
  std::optional<std::string_view> Query(std::string_view name) const;
  std::optional<std::string_view> Header(std::string_view name) const { return headers.Find(name); }
};

// A response, sent by our server or received by our client. Content-Length, Date and Connection are the server's to
// add.
struct HttpResponse {
  int status = 200;
  HttpHeaders headers;
  std::string body;
};

// The standard phrase of a status ("Not Found"), or "Unknown".
std::string_view HttpReason(int status);

// Compares ASCII text without regard to case.
bool EqualsIgnoringCase(std::string_view left, std::string_view right);

}  // namespace vigil

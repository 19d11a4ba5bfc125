#include "platform/http/problem.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace vigil {

HttpResponse ProblemResponse(int status, std::string_view detail, const std::vector<FieldError>& errors) {
  nlohmann::ordered_json problem = {{"type", "about:blank"}, {"title", HttpReason(status)}, {"status", status}};
  if (!detail.empty()) problem["detail"] = detail;
  if (!errors.empty()) {
    auto& list = problem["errors"] = nlohmann::ordered_json::array();
    for (const FieldError& error : errors) list.push_back({{"field", error.field}, {"reason", error.reason}});
  }
  HttpResponse response;
  response.status = status;
  response.headers.Add("Content-Type", "application/problem+json");
  response.body = problem.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return response;
}

HttpResponse JsonResponse(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.headers.Add("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

}  // namespace vigil

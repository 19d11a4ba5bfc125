// "VERB path", a line end, the query, a line end, the body.
#include <google/protobuf/message.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "fuzz/fuzz.h"
#include "gateway/transcoder/route_table.h"
#include "gateway/transcoder/transcoder.h"
#include "vigil/audit/v1/audit.pb.h"
#include "vigil/intake/v1/intake.pb.h"

namespace vigil::fuzz {
namespace {

struct Edge {
  explicit Edge(RouteTable routes) : table(std::move(routes)) {}
  RouteTable table;
  Transcoder transcoder;
};

const Edge& TheEdge() {
  static const std::unique_ptr<Edge> edge = [] {
    std::vector<const google::protobuf::ServiceDescriptor*> services;
    for (const auto* file : {intake::v1::Case::descriptor()->file(), audit::v1::TimelineRow::descriptor()->file()}) {
      for (int i = 0; i < file->service_count(); ++i) services.push_back(file->service(i));
    }
    auto made = std::make_unique<Edge>(RouteTable::Create(services).value());
    Promise(made->transcoder.Create(made->table).ok(), "the routes can be transcoded");
    return made;
  }();
  return *edge;
}

std::string_view Line(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

}  // namespace

void Try(std::string_view input) {
  const std::string_view request = Line(input);
  const std::string_view query = Line(input);
  const std::size_t space = std::min(request.find(' '), request.size());
  const std::string_view path = request.substr(std::min(space + 1, request.size()));
  const RouteTable::Match match = TheEdge().table.Find(request.substr(0, space), path);
  if (match.outcome != RouteTable::Match::Outcome::kFound) return;
  const auto* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(match.route->method->input_type());
  const std::unique_ptr<google::protobuf::Message> message(prototype->New());
  if (!TheEdge().transcoder.Read(match, query, input, *message).empty()) return;
  // What was understood is said again in JSON and understood alike.
  std::string json;
  TheEdge().transcoder.Print(*message, json);
  std::string again;
  const std::unique_ptr<google::protobuf::Message> reread(prototype->New());
  if (!TheEdge().transcoder.ReadBody(json, *reread).empty()) return;  // path fields may be no part of a body
  TheEdge().transcoder.Print(*reread, again);
  Promise(json == again, "what is printed reads as what it was");
}

std::vector<std::string> Seeds() {
  return {"POST /api/v1/schools/s-1/reports\n\n"
          R"({"student":{"id":"p1"},"channel":"web","reporter":{"kind":"staff","name":"王"},"discovered_time":"2026-03-10T02:00:00Z","signals":["W1a"],"factors":[],"claimed_level":"severe","deteriorating":true,"narrative":"x\u00e9\ud83d\ude00","in_sight":false,"home_unsafe":"unsure"})",
          "POST /api/v1/schools/s-1/reports\n\n" R"({"student":{"name":"a","class":"3-2"},"in_sight":{"staff_id":"t1"},"unknown":1})",
          "GET /api/v1/schools/s%2D1/cases\nstate=open&level=severe&page_size=20&page_token=a%20b\n",
          "POST /api/v1/cases/c1:planShifts\n\n"
          R"({"shifts":[{"staff_ids":["a","b"],"from_time":"2026-03-10T02:00:00.123456789+08:00","to_time":"2026-03-10T10:00:00Z","place":"office"}]})",
          "POST /api/v1/cases/c1/records\n\n" R"({"kind":"guardian_meeting","fields":{"a":"b","c":"1"}})",
          "POST /api/v1/cases/c1:assess\n\n" R"([[[[[[[[{"a":1e999,"b":-0,"c":18446744073709551616}]]]]]]]])"};
}

}  // namespace vigil::fuzz

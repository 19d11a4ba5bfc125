#include "gateway/transcoder/openapi.h"

#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/status/status.h"

namespace vigil {

namespace pb = google::protobuf;

namespace {

using Json = nlohmann::ordered_json;
using Kind = FieldPlan::Kind;

// The comments of the protos, by the full names of what they stand at.
class Comments {
 public:
  absl::Status Load(std::string_view descriptor_set) {
    pb::FileDescriptorSet files;
    if (!files.ParseFromArray(descriptor_set.data(), static_cast<int>(descriptor_set.size()))) {
      return absl::InvalidArgumentError("the descriptor set cannot be read");
    }
    for (const pb::FileDescriptorProto& file : files.file()) {
      if (pool_.BuildFile(file) == nullptr)
        return absl::InvalidArgumentError("the descriptor set is not whole: " + file.name());
    }
    return absl::OkStatus();
  }

  std::string Of(const pb::Descriptor& message) const { return Text(pool_.FindMessageTypeByName(message.full_name())); }
  std::string Of(const pb::FieldDescriptor& field) const { return Text(pool_.FindFieldByName(field.full_name())); }
  std::string Of(const pb::MethodDescriptor& method) const { return Text(pool_.FindMethodByName(method.full_name())); }

 private:
  template <typename Descriptor>
  static std::string Text(const Descriptor* descriptor) {
    pb::SourceLocation location;
    if (descriptor == nullptr || !descriptor->GetSourceLocation(&location)) return {};
    std::string text;
    for (char c : location.leading_comments) {
      if (c == '\n') c = ' ';
      if (c == ' ' && (text.empty() || text.back() == ' ')) continue;
      text += c;
    }
    if (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
  }

  pb::DescriptorPool pool_;
};

class Document {
 public:
  Document(const MessagePlans& plans, const Comments& comments) : plans_(plans), comments_(comments) {}

  Json Build(const RouteTable& table, std::string_view version) {
    Json paths = Json::object();
    for (const auto& route : table.routes()) {
      std::string verb(HttpVerbName(route->verb));
      std::transform(verb.begin(), verb.end(), verb.begin(), [](char c) { return static_cast<char>(c - 'A' + 'a'); });
      paths[route->path][verb] = Operation(*route);
    }
    schemas_["Problem"] = ProblemSchema();
    Json document;
    document["openapi"] = "3.1.0";
    document["info"] = {{"title", "Vigil"}, {"version", version}};
    document["security"] = Json::array({{{"bearer", Json::array()}}});
    document["paths"] = std::move(paths);
    document["components"]["schemas"] = std::move(schemas_);
    document["components"]["responses"]["Problem"] = {
        {"description", "What is wrong, and with which fields"},
        {"headers",
         {{"Retry-After", {{"description", "Seconds; with 429 and 503"}, {"schema", {{"type", "integer"}}}}}}},
        {"content", {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}};
    document["components"]["securitySchemes"]["bearer"] = {{"type", "http"}, {"scheme", "bearer"}};
    return document;
  }

 private:
  Json Operation(const Route& route) {
    const bool has_body = route.verb == HttpVerb::kPost || route.verb == HttpVerb::kPut;
    const MessagePlan& request = *plans_.Find(route.method->input_type());
    Json operation;
    operation["operationId"] = route.method->name();
    operation["tags"] = Json::array({route.method->service()->name()});
    if (!route.summary.empty()) operation["summary"] = route.summary;
    if (std::string text = comments_.Of(*route.method); !text.empty()) operation["description"] = std::move(text);
    Json parameters = Json::array();
    for (const pb::FieldDescriptor* field : route.captures) {
      const FieldPlan& plan = request.fields[static_cast<size_t>(request.Find(field->name()))];
      parameters.push_back(Parameter(plan, "path"));
    }
    if (!has_body) {
      for (const FieldPlan& plan : request.fields) {
        const bool captured =
            std::find(route.captures.begin(), route.captures.end(), plan.field) != route.captures.end();
        if (!captured && !plan.map && plan.kind != Kind::kMessage) parameters.push_back(Parameter(plan, "query"));
      }
    } else {
      const Json text = {{"type", "string"}, {"maxLength", 255}};
      if (route.verb == HttpVerb::kPost) {
        parameters.push_back(
            {{"name", "Idempotency-Key"},
             {"in", "header"},
             {"description", "A repeat with the same key and body gets the same answer; with another body 409"},
             {"schema", text}});
      }
      parameters.push_back({{"name", "If-Match"},
                            {"in", "header"},
                            {"description", "The etag that was read; 409 if it is stale"},
                            {"schema", text}});
      const char* media_type = request.raw_body != nullptr ? "*/*" : "application/json";
      Json schema = request.raw_body != nullptr ? Json::object() : RequestSchema(route, request);
      operation["requestBody"]["content"][media_type]["schema"] = std::move(schema);
    }
    if (!parameters.empty()) operation["parameters"] = std::move(parameters);
    Json answer = {{"description", "Done"}};
    const MessagePlan& response = *plans_.Find(route.method->output_type());
    if (response.plain_text != nullptr) {
      answer["content"]["text/plain"]["schema"] = {{"type", "string"}};
    } else if (response.printed) {
      answer["content"]["application/pdf"]["schema"] = {{"type", "string"}, {"format", "binary"}};
    } else if (response.raw_content != nullptr) {
      answer["content"]["*/*"]["schema"] = {{"type", "string"}, {"format", "binary"}};
    } else {
      answer["content"]["application/json"]["schema"] = Reference(response);
    }
    operation["responses"][std::to_string(route.success_status)] = std::move(answer);
    operation["responses"]["default"] = {{"$ref", "#/components/responses/Problem"}};
    if (!route.permission.empty()) operation["x-permission"] = route.permission;
    return operation;
  }

  Json Parameter(const FieldPlan& plan, const char* place) {
    Json parameter = {{"name", plan.name}, {"in", place}};
    if (std::string text = comments_.Of(*plan.field); !text.empty()) parameter["description"] = std::move(text);
    if (plan.required || std::string_view(place) == "path") parameter["required"] = true;
    parameter["schema"] = FieldSchema(plan);
    return parameter;
  }

  // A request's body leaves out what the path or a header gives.
  Json RequestSchema(const Route& route, const MessagePlan& request) {
    std::set<const pb::FieldDescriptor*> left_out(route.captures.begin(), route.captures.end());
    for (const FieldPlan& plan : request.fields) {
      if (plan.not_in_body) left_out.insert(plan.field);
    }
    return ObjectSchema(request, left_out);
  }

  Json ObjectSchema(const MessagePlan& plan, const std::set<const pb::FieldDescriptor*>& left_out) {
    Json schema = {{"type", "object"}};
    if (std::string text = comments_.Of(*plan.descriptor); !text.empty()) schema["description"] = std::move(text);
    Json properties = Json::object();
    Json required = Json::array();
    for (const FieldPlan& field : plan.fields) {
      if (field.said_by_false || left_out.count(field.field) > 0) continue;
      Json property = FieldSchema(field);
      if (std::string text = comments_.Of(*field.field); !text.empty()) property["description"] = std::move(text);
      properties[field.name] = std::move(property);
      if (field.required) required.push_back(field.name);
    }
    schema["properties"] = std::move(properties);
    if (!required.empty()) schema["required"] = std::move(required);
    schema["additionalProperties"] = false;
    return schema;
  }

  Json FieldSchema(const FieldPlan& plan) {
    Json value = ValueSchema(plan);
    if (plan.map) {
      if (plan.any_scalar) value = true;
      return {{"type", "object"}, {"additionalProperties", std::move(value)}, {"maxProperties", plan.max_items}};
    }
    if (plan.repeated) return {{"type", "array"}, {"items", std::move(value)}, {"maxItems", plan.max_items}};
    if (plan.false_means != nullptr) return {{"oneOf", Json::array({std::move(value), {{"const", false}}})}};
    return value;
  }

  Json ValueSchema(const FieldPlan& plan) {
    switch (plan.kind) {
      case Kind::kBool:
        return {{"type", "boolean"}};
      case Kind::kInt32:
        return {{"type", "integer"}, {"format", "int32"}};
      case Kind::kInt64:
        return {{"type", "integer"}, {"format", "int64"}};
      case Kind::kUint32:
      case Kind::kUint64:
        return {{"type", "integer"}, {"minimum", 0}};
      case Kind::kFloat:
      case Kind::kDouble:
        return {{"type", "number"}};
      case Kind::kString:
        return {{"type", "string"}, {"maxLength", plan.max_bytes}};
      case Kind::kBytes:
        return {{"type", "string"}, {"contentEncoding", "base64"}};
      case Kind::kEnum: {
        Json names = Json::array();
        for (const EnumPlan::Value& value : plan.enumeration->values) names.push_back(value.name);
        return {{"type", "string"}, {"enum", std::move(names)}};
      }
      case Kind::kTimestamp:
        return {{"type", "string"}, {"format", "date-time"}};
      case Kind::kDuration:
        return {{"type", "string"}, {"pattern", "^-?[0-9]+(\\.[0-9]{1,9})?s$"}};
      case Kind::kMessage:
        return Reference(*plan.message);
    }
    return Json::object();
  }

  Json Reference(const MessagePlan& plan) {
    // Short names, unless two packages use the same one.
    auto [named, first] = names_.try_emplace(plan.descriptor, plan.descriptor->name());
    if (first) {
      const bool taken =
          named->second == "Problem" || std::any_of(names_.begin(), names_.end(), [&](const auto& other) {
            return other.first != plan.descriptor && other.second == plan.descriptor->name();
          });
      if (taken) named->second = plan.descriptor->full_name();
      const std::string name = named->second;
      // Stands before it is filled: a message may hold itself.
      schemas_[name] = Json::object();
      Json schema = ObjectSchema(plan, {});
      schemas_[name] = std::move(schema);
      return {{"$ref", "#/components/schemas/" + name}};
    }
    return {{"$ref", "#/components/schemas/" + named->second}};
  }

  static Json ProblemSchema() {
    const Json text = {{"type", "string"}};
    Json schema = {{"type", "object"}};
    schema["properties"]["type"] = text;
    schema["properties"]["title"] = text;
    schema["properties"]["status"] = {{"type", "integer"}};
    schema["properties"]["detail"] = text;
    schema["properties"]["errors"] = {
        {"type", "array"},
        {"items",
         {{"type", "object"}, {"properties", {{"field", text}, {"reason", text}}}, {"required", {"field", "reason"}}}}};
    schema["properties"]["state"] = {{"type", "string"}, {"description", "409: where the thing stands"}};
    schema["properties"]["allowed"] = {
        {"type", "array"}, {"items", text}, {"description", "409: what may be done from there"}};
    schema["required"] = Json::array({"type", "title", "status"});
    return schema;
  }

  const MessagePlans& plans_;
  const Comments& comments_;
  Json schemas_ = Json::object();
  std::map<const pb::Descriptor*, std::string> names_;
};

}  // namespace

absl::StatusOr<std::string> OpenApiJson(const RouteTable& table, const MessagePlans& plans,
                                        std::string_view descriptor_set, std::string_view version,
                                        std::string_view other_paths) {
  Comments comments;
  if (absl::Status status = comments.Load(descriptor_set); !status.ok()) return status;
  const Json others = Json::parse(other_paths, nullptr, /*allow_exceptions=*/false);
  if (!others.is_object()) return absl::InvalidArgumentError("the other paths are no JSON object");
  Json document = Document(plans, comments).Build(table, version);
  document["paths"].update(others);
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vigil

#pragma once

#include <google/protobuf/descriptor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace vigil {

struct MessagePlan;

// How one enum is written in JSON: lower case, without the prefix that repeats the enum's name (LEVEL_SEVERE of Level
// is "severe").
struct EnumPlan {
  struct Value {
    std::string name;
    int number = 0;
  };
  std::vector<Value> values;  // In declaration order, aliases left out.
  std::string listed;         // "none, watch, mild", without the unspecified zero: for errors.
  bool zero_is_unspecified = false;

  const Value* FindName(std::string_view name) const;
  const Value* FindNumber(int number) const;
};

// What the edge does with one field: its descriptor and its vigil.api.v1.rule, looked up once.
struct FieldPlan {
  enum class Kind {
    kBool,
    kInt32,
    kInt64,
    kUint32,
    kUint64,
    kFloat,
    kDouble,
    kString,
    kBytes,
    kEnum,
    kTimestamp,
    kDuration,
    kMessage
  };

  const google::protobuf::FieldDescriptor* field = nullptr;
  Kind kind = Kind::kString;  // Of one element; for a map, of one value.
  bool map = false;           // Keys are strings.
  bool repeated = false;      // A list, not a map.
  bool required = false;
  bool not_in_body = false;
  bool any_scalar = false;
  bool said_by_false =
      false;  // The message's own member that some field's false_means names: in JSON it stands nowhere else.
  size_t max_bytes = 0;
  size_t max_items = 0;
  const google::protobuf::FieldDescriptor* false_means =
      nullptr;  // The boolean member of `message` that the literal `false` sets.
  const google::protobuf::FieldDescriptor* map_key = nullptr;
  const google::protobuf::FieldDescriptor* value = nullptr;  // For a map its entry's value, else `field`.
  const google::protobuf::OneofDescriptor* oneof = nullptr;  // Not for `optional`.
  const EnumPlan* enumeration = nullptr;                     // kEnum
  const MessagePlan* message = nullptr;                      // kMessage
  std::string name;
  std::string quoted_name;  // `"name":`
};

struct MessagePlan {
  const google::protobuf::Descriptor* descriptor = nullptr;
  std::vector<FieldPlan> fields;  // In declaration order.
  absl::flat_hash_map<std::string, size_t> by_name;
  // A request with a bytes field `content` that is not in the (JSON) body takes the HTTP body itself there, of whatever
  // media type; that type goes into its string field `content_type`, if it has one.
  const google::protobuf::FieldDescriptor* raw_body = nullptr;
  const google::protobuf::FieldDescriptor* raw_body_type = nullptr;
  // A response that is nothing but a string `text` is answered as that text, not as JSON.
  const google::protobuf::FieldDescriptor* plain_text = nullptr;
  // A response of bytes `content` and a string `media_type` is answered as those bytes.
  const google::protobuf::FieldDescriptor* raw_content = nullptr;
  const google::protobuf::FieldDescriptor* raw_content_type = nullptr;
  // A vigil.document.v1.Document: answered as its pages, PDF.
  bool printed = false;

  // -1 if there is none.
  int Find(std::string_view name) const;
};

// Longest string or bytes value, and most elements, where the rule gives no other.
inline constexpr size_t kDefaultMaxBytes = 1024;
inline constexpr size_t kDefaultMaxItems = 100;
// Longest key of a map.
inline constexpr size_t kMaxMapKeyBytes = 256;

// Plans of messages and of all that they hold. Immutable after building; thread-safe then. Descriptors must outlive it.
class MessagePlans {
 public:
  MessagePlans() = default;
  MessagePlans(const MessagePlans&) = delete;
  MessagePlans& operator=(const MessagePlans&) = delete;

  // InvalidArgument for what JSON here cannot say: a map whose keys are no strings, a rule on a field of another type,
  // Any and the like.
  absl::Status Add(const google::protobuf::Descriptor* descriptor);

  // nullptr if it was not added.
  const MessagePlan* Find(const google::protobuf::Descriptor* descriptor) const;

 private:
  absl::StatusOr<FieldPlan> PlanField(const google::protobuf::FieldDescriptor* field);
  const EnumPlan* PlanEnum(const google::protobuf::EnumDescriptor* descriptor);

  absl::flat_hash_map<const google::protobuf::Descriptor*, std::unique_ptr<MessagePlan>> messages_;
  absl::flat_hash_map<const google::protobuf::EnumDescriptor*, std::unique_ptr<EnumPlan>> enums_;
};

}  // namespace vigil

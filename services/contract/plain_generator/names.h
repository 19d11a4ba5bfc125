#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>

// What things in a proto are called in the C++ made from it: ours (plain) and protoc's (message).
namespace vigil::plain_generator {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::OneofDescriptor;

// What a field's elements are; how many there may be is another question.
enum class Kind { kScalar, kString, kEnum, kTime, kDuration, kMessage };

// The kind of one element: of a map, ask its key and value fields.
Kind KindOf(const FieldDescriptor& field);

bool IsPlain(const FileDescriptor& file);

// vigil/log/v1/commit.proto -> vigil/log/v1/commit
std::string Stem(const FileDescriptor& file);

// alert_step -> AlertStep, as protoc does it.
std::string CamelCase(std::string_view snake);

// AlertStep -> ALERT_STEP_: what its values' names must begin with.
std::string EnumValuePrefix(const EnumDescriptor& type);
// ALERT_STEP_ONE_MORE of enum AlertStep -> kOneMore. The prefix must be there.
std::string EnumeratorName(const EnumValueDescriptor& value);

// The struct member, and protoc's accessor, of a field: its name, with _ if that is a C++ keyword.
std::string MemberName(const FieldDescriptor& field);

// ::vigil::log::v1::Commit
std::string ProtoType(const Descriptor& type);
std::string ProtoType(const EnumDescriptor& type);

// std::string, Level, absl::Time …: of one element.
std::string ElementType(const FieldDescriptor& field);
// std::vector<Level>, std::optional<Student> …: of the whole member.
std::string MemberType(const FieldDescriptor& field);

}  // namespace vigil::plain_generator

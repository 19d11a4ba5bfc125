#include "contract/plain_generator/check.h"

#include <google/protobuf/descriptor.pb.h>

#include <cstdint>
#include <limits>
#include <map>
#include <set>

namespace vigil::plain_generator {
namespace {

// Visits messages depth first, contained before containing, and notes every way back to a message still being visited.
class Ordering {
 public:
  explicit Ordering(const FileDescriptor& file) {
    for (int i = 0; i < file.message_type_count(); ++i) Visit(*file.message_type(i));
  }

  const std::vector<const Descriptor*>& messages() const { return messages_; }
  const std::vector<std::string>& cycles() const { return cycles_; }

 private:
  enum class Mark { kNone, kVisiting, kDone };

  void Visit(const Descriptor& message) {
    if (marks_[&message] == Mark::kDone) return;
    marks_[&message] = Mark::kVisiting;
    for (int i = 0; i < message.field_count(); ++i) {
      const FieldDescriptor* field = message.field(i);
      if (field->is_map()) field = field->message_type()->map_value();
      if (field->message_type() == nullptr || field->message_type()->file() != message.file()) continue;
      const Descriptor& contained = *field->message_type();
      if (marks_[&contained] == Mark::kVisiting) {
        cycles_.push_back(message.field(i)->full_name() + ": " + contained.full_name() +
                          " contains itself through this field; plain structs cannot be recursive");
      } else {
        Visit(contained);
      }
    }
    marks_[&message] = Mark::kDone;
    messages_.push_back(&message);
  }

  std::map<const Descriptor*, Mark> marks_;
  std::vector<const Descriptor*> messages_;
  std::vector<std::string> cycles_;
};

void CheckEnum(const EnumDescriptor& type, std::vector<std::string>* faults) {
  const std::string prefix = EnumValuePrefix(type);
  std::set<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor& value = *type.value(i);
    if (value.name().size() <= prefix.size() || value.name().compare(0, prefix.size(), prefix) != 0) {
      faults->push_back(value.full_name() + ": the value's name must begin with " + prefix);
    } else if (!names.insert(EnumeratorName(value)).second) {
      faults->push_back(value.full_name() + ": another value is called " + EnumeratorName(value) + " too");
    }
    if (value.number() < 0 || value.number() > std::numeric_limits<std::uint8_t>::max()) {
      faults->push_back(value.full_name() + ": the value's number must be 0 to 255");
    }
  }
}

void CheckElement(const FieldDescriptor& field, const std::string& name, std::vector<std::string>* faults) {
  const Kind kind = KindOf(field);
  if (kind == Kind::kMessage && !IsPlain(*field.message_type()->file())) {
    faults->push_back(name + ": " + field.message_type()->full_name() + " is not in a plain file");
  }
  if (kind == Kind::kEnum && !IsPlain(*field.enum_type()->file())) {
    faults->push_back(name + ": " + field.enum_type()->full_name() + " is not in a plain file");
  }
}

void CheckOneof(const OneofDescriptor& oneof, std::vector<std::string>* faults) {
  std::set<const Descriptor*> types;
  for (int i = 0; i < oneof.field_count(); ++i) {
    const FieldDescriptor& field = *oneof.field(i);
    if (KindOf(field) != Kind::kMessage) {
      faults->push_back(field.full_name() + ": a member of oneof " + oneof.name() + " must be a message of ours");
    } else if (!types.insert(field.message_type()).second) {
      faults->push_back(field.full_name() + ": another member of oneof " + oneof.name() + " is a " +
                        field.message_type()->name() + " too");
    }
  }
}

void CheckMessage(const Descriptor& message, std::vector<std::string>* faults) {
  for (int i = 0; i < message.nested_type_count(); ++i) {
    if (message.nested_type(i)->options().map_entry()) continue;
    faults->push_back(message.nested_type(i)->full_name() + ": a plain file nests no messages; move it to the top");
  }
  for (int i = 0; i < message.enum_type_count(); ++i) {
    faults->push_back(message.enum_type(i)->full_name() + ": a plain file nests no enums; move it to the top");
  }
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    CheckElement(field.is_map() ? *field.message_type()->map_value() : field, field.full_name(), faults);
  }
  for (int i = 0; i < message.real_oneof_decl_count(); ++i) CheckOneof(*message.oneof_decl(i), faults);
}

}  // namespace

std::vector<std::string> Faults(const FileDescriptor& file) {
  if (file.syntax() != FileDescriptor::SYNTAX_PROTO3) return {file.name() + ": a plain file must be proto3"};
  std::vector<std::string> faults;
  for (int i = 0; i < file.enum_type_count(); ++i) CheckEnum(*file.enum_type(i), &faults);
  for (int i = 0; i < file.message_type_count(); ++i) CheckMessage(*file.message_type(i), &faults);
  const Ordering ordering(file);
  faults.insert(faults.end(), ordering.cycles().begin(), ordering.cycles().end());
  return faults;
}

std::vector<const Descriptor*> InDependencyOrder(const FileDescriptor& file) { return Ordering(file).messages(); }

}  // namespace vigil::plain_generator

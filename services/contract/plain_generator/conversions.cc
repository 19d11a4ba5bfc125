#include "contract/plain_generator/conversions.h"

#include <map>

namespace vigil::plain_generator {
namespace {

using google::protobuf::io::Printer;
using Words = std::map<std::string, std::string>;

// `expression`, an element that is held by value on both sides, as the other side has it.
std::string ElementFromProto(const FieldDescriptor& field, const std::string& expression) {
  switch (KindOf(field)) {
    case Kind::kEnum:
      return "FromProto(static_cast<" + ProtoType(*field.enum_type()) + ">(" + expression + "))";
    case Kind::kTime:
      return "TimeFromProto(" + expression + ")";
    case Kind::kDuration:
      return "DurationFromProto(" + expression + ")";
    default:
      return expression;
  }
}

std::string ElementToProto(const FieldDescriptor& field, const std::string& expression) {
  return KindOf(field) == Kind::kEnum ? "ToProto(" + expression + ")" : expression;
}

// The statement's beginning that fills a submessage of `to` from an element; its end is "(element, mutable)".
std::string SubmessageToProto(const FieldDescriptor& field) {
  switch (KindOf(field)) {
    case Kind::kTime:
      return "TimeToProto";
    case Kind::kDuration:
      return "DurationToProto";
    default:
      return "ToProto";
  }
}

bool IsSubmessage(const FieldDescriptor& field) { return field.message_type() != nullptr; }

void WriteMapToProto(const FieldDescriptor& field, Words words, Printer* out) {
  const FieldDescriptor& value = *field.message_type()->map_value();
  words["convert"] = SubmessageToProto(value);
  words["value"] = ElementToProto(value, "value");
  out->Print(words, "for (const auto& [key, value] : from.$name$) ");
  out->Print(words, IsSubmessage(value) ? "$convert$(value, &(*to->mutable_$name$())[key]);\n"
                                        : "(*to->mutable_$name$())[key] = $value$;\n");
}

void WriteMapFromProto(const FieldDescriptor& field, Words words, Printer* out) {
  const FieldDescriptor& value = *field.message_type()->map_value();
  words["value"] = ElementFromProto(value, "value");
  out->Print(words, "to->$name$.clear();\nfor (const auto& [key, value] : from.$name$()) ");
  out->Print(words, KindOf(value) == Kind::kMessage ? "FromProto(value, &to->$name$[key]);\n"
                                                    : "to->$name$.emplace(key, $value$);\n");
}

void WriteRepeatedToProto(const FieldDescriptor& field, Words words, Printer* out) {
  words["convert"] = SubmessageToProto(field);
  if (IsSubmessage(field)) {
    out->Print(words,
               "to->mutable_$name$()->Reserve(static_cast<int>(from.$name$.size()));\n"
               "for (const auto& element : from.$name$) $convert$(element, to->add_$name$());\n");
  } else if (KindOf(field) == Kind::kEnum) {
    out->Print(words,
               "to->mutable_$name$()->Reserve(static_cast<int>(from.$name$.size()));\n"
               "for (const auto element : from.$name$) to->add_$name$(ToProto(element));\n");
  } else {
    out->Print(words, "to->mutable_$name$()->Add(from.$name$.begin(), from.$name$.end());\n");
  }
}

void WriteRepeatedFromProto(const FieldDescriptor& field, Words words, Printer* out) {
  words["element"] = ElementFromProto(field, "element");
  switch (KindOf(field)) {
    case Kind::kMessage:
      out->Print(words,
                 "to->$name$.resize(static_cast<std::size_t>(from.$name$_size()));\n"
                 "for (int i = 0; i < from.$name$_size(); ++i) {\n"
                 "  FromProto(from.$name$(i), &to->$name$[static_cast<std::size_t>(i)]);\n"
                 "}\n");
      break;
    case Kind::kScalar:
    case Kind::kString:
      out->Print(words, "to->$name$.assign(from.$name$().begin(), from.$name$().end());\n");
      break;
    default:
      out->Print(words,
                 "to->$name$.clear();\n"
                 "to->$name$.reserve(static_cast<std::size_t>(from.$name$_size()));\n"
                 "for (const auto& element : from.$name$()) to->$name$.push_back($element$);\n");
  }
}

void WriteSingularToProto(const FieldDescriptor& field, Words words, Printer* out) {
  words["value"] = ElementToProto(field, field.has_presence() ? "*from." + words["name"] : "from." + words["name"]);
  switch (KindOf(field)) {
    case Kind::kTime:
      out->Print(words, "if (from.$name$ != absl::InfinitePast()) TimeToProto(from.$name$, to->mutable_$name$());\n");
      return;
    case Kind::kDuration:
      out->Print(words,
                 "if (from.$name$ != absl::ZeroDuration()) DurationToProto(from.$name$, to->mutable_$name$());\n");
      return;
    case Kind::kMessage:
      out->Print(words, "if (from.$name$) ToProto(*from.$name$, to->mutable_$name$());\n");
      return;
    case Kind::kString:
      if (!field.has_presence()) {
        out->Print(words, "if (!from.$name$.empty()) to->set_$name$(from.$name$);\n");
        return;
      }
      break;
    default:
      break;
  }
  out->Print(words,
             field.has_presence() ? "if (from.$name$) to->set_$name$($value$);\n" : "to->set_$name$($value$);\n");
}

void WriteSingularFromProto(const FieldDescriptor& field, Words words, Printer* out) {
  words["value"] = ElementFromProto(field, "from." + words["name"] + "()");
  switch (KindOf(field)) {
    case Kind::kTime:
      out->Print(words, "to->$name$ = from.has_$name$() ? $value$ : absl::InfinitePast();\n");
      return;
    case Kind::kDuration:
      out->Print(words, "to->$name$ = from.has_$name$() ? $value$ : absl::ZeroDuration();\n");
      return;
    default:
      break;
  }
  if (!field.has_presence()) {
    out->Print(words, "to->$name$ = $value$;\n");
    return;
  }
  out->Print(words, "if (from.has_$name$()) {\n");
  out->Print(words, KindOf(field) == Kind::kMessage ? "  FromProto(from.$name$(), &to->$name$.emplace());\n"
                                                    : "  to->$name$ = $value$;\n");
  out->Print(words, "} else {\n  to->$name$.reset();\n}\n");
}

void WriteOneofToProto(const OneofDescriptor& oneof, Printer* out) {
  out->Print("switch (from.$oneof$.index()) {\n", "oneof", oneof.name());
  for (int i = 0; i < oneof.field_count(); ++i) {
    out->Print(
        "  case $index$:\n"
        "    ToProto(*std::get_if<$index$>(&from.$oneof$), to->mutable_$name$());\n"
        "    break;\n",
        "index", std::to_string(i + 1), "oneof", oneof.name(), "name", MemberName(*oneof.field(i)));
  }
  out->Print("  default:\n    break;\n}\n");
}

void WriteOneofFromProto(const OneofDescriptor& oneof, Printer* out) {
  out->Print("switch (from.$oneof$_case()) {\n", "oneof", oneof.name());
  for (int i = 0; i < oneof.field_count(); ++i) {
    out->Print(
        "  case $message$::k$camel$:\n"
        "    FromProto(from.$name$(), &to->$oneof$.emplace<$index$>());\n"
        "    break;\n",
        "message", ProtoType(*oneof.containing_type()), "camel", CamelCase(oneof.field(i)->name()), "name",
        MemberName(*oneof.field(i)), "oneof", oneof.name(), "index", std::to_string(i + 1));
  }
  out->Print("  default:\n    to->$oneof$.emplace<0>();\n    break;\n}\n", "oneof", oneof.name());
}

using FieldWriter = void (*)(const FieldDescriptor&, Words, Printer*);
using OneofWriter = void (*)(const OneofDescriptor&, Printer*);

void WriteFields(const Descriptor& message, FieldWriter map, FieldWriter repeated, FieldWriter singular,
                 OneofWriter oneof_writer, Printer* out) {
  out->Indent();
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    const Words words = {{"name", MemberName(field)}};
    if (const OneofDescriptor* oneof = field.real_containing_oneof(); oneof != nullptr) {
      if (oneof->field(0) == &field) oneof_writer(*oneof, out);
    } else if (field.is_map()) {
      map(field, words, out);
    } else if (field.is_repeated()) {
      repeated(field, words, out);
    } else {
      singular(field, words, out);
    }
  }
  out->Outdent();
}

void WriteMessage(const Descriptor& message, Printer* out) {
  const Words words = {{"struct", "domain::" + message.name()},
                       {"proto", ProtoType(message)},
                       {"from", message.field_count() > 0 ? " from" : ""},
                       {"to", message.field_count() > 0 ? " to" : ""}};
  out->Print(words, "\nvoid ToProto(const $struct$&$from$, $proto$* to) {\n  to->Clear();\n");
  WriteFields(message, WriteMapToProto, WriteRepeatedToProto, WriteSingularToProto, WriteOneofToProto, out);
  out->Print(words, "}\n\nvoid FromProto(const $proto$&$from$, $struct$*$to$) {\n");
  WriteFields(message, WriteMapFromProto, WriteRepeatedFromProto, WriteSingularFromProto, WriteOneofFromProto, out);
  out->Print(words,
             "}\n\n"
             "$struct$ FromProto(const $proto$& from) {\n"
             "  $struct$ to;\n"
             "  FromProto(from, &to);\n"
             "  return to;\n"
             "}\n");
}

void WriteEnum(const EnumDescriptor& type, Printer* out) {
  const Words words = {{"enum", "domain::" + type.name()}, {"proto", ProtoType(type)}};
  out->Print(words,
             "\n$proto$ ToProto($enum$ from) { return static_cast<$proto$>(from); }\n"
             "\n$enum$ FromProto($proto$ from) {\n"
             "  return $proto$_IsValid(from) ? static_cast<$enum$>(from) : $enum${};\n"
             "}\n");
}

}  // namespace

void WriteConversionsHeader(const FileDescriptor& file, Printer* out) {
  out->Print(
      "// Generated from $file$; do not edit.\n"
      "// What was in `to` is replaced. An enum value that is not declared becomes the first.\n"
      "#pragma once\n\n"
      "#include \"$stem$.pb.h\"\n"
      "#include \"$stem$.plain.h\"\n\n"
      "namespace vigil::contract {\n\n",
      "file", file.name(), "stem", Stem(file));
  for (int i = 0; i < file.enum_type_count(); ++i) {
    const Words words = {{"enum", "domain::" + file.enum_type(i)->name()}, {"proto", ProtoType(*file.enum_type(i))}};
    out->Print(words, "$proto$ ToProto($enum$ from);\n$enum$ FromProto($proto$ from);\n");
  }
  for (int i = 0; i < file.message_type_count(); ++i) {
    const Words words = {{"struct", "domain::" + file.message_type(i)->name()},
                         {"proto", ProtoType(*file.message_type(i))}};
    out->Print(words,
               "void ToProto(const $struct$& from, $proto$* to);\n"
               "void FromProto(const $proto$& from, $struct$* to);\n"
               "$struct$ FromProto(const $proto$& from);\n");
  }
  out->Print("\n}  // namespace vigil::contract\n");
}

void WriteConversionsSource(const FileDescriptor& file, Printer* out) {
  out->Print(
      "// Generated from $file$; do not edit.\n"
      "#include \"$stem$.convert.h\"\n\n"
      "#include \"contract/time_conversion.h\"\n",
      "file", file.name(), "stem", Stem(file));
  for (int i = 0; i < file.dependency_count(); ++i) {
    if (!IsPlain(*file.dependency(i))) continue;
    out->Print("#include \"$stem$.convert.h\"\n", "stem", Stem(*file.dependency(i)));
  }
  out->Print("\nnamespace vigil::contract {\n");
  for (int i = 0; i < file.enum_type_count(); ++i) WriteEnum(*file.enum_type(i), out);
  for (int i = 0; i < file.message_type_count(); ++i) WriteMessage(*file.message_type(i), out);
  out->Print("\n}  // namespace vigil::contract\n");
}

}  // namespace vigil::plain_generator

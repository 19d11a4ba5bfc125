#include "contract/plain_generator/structs.h"

#include <set>
#include <sstream>

#include "contract/plain_generator/check.h"

namespace vigil::plain_generator {
namespace {

using google::protobuf::io::Printer;

// The proto's comment on a thing: the one before it, else the one beside it.
template <typename Described>
void WriteComment(const Described& described, Printer* out) {
  google::protobuf::SourceLocation location;
  if (!described.GetSourceLocation(&location)) return;
  std::istringstream comment(location.leading_comments.empty() ? location.trailing_comments
                                                               : location.leading_comments);
  for (std::string line; std::getline(comment, line);) out->Print("//$line$\n", "line", line);
}

void WriteEnum(const EnumDescriptor& type, Printer* out) {
  out->Print("\n");
  WriteComment(type, out);
  out->Print("enum class $name$ : std::uint8_t {\n", "name", type.name());
  out->Indent();
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor& value = *type.value(i);
    WriteComment(value, out);
    out->Print("$name$ = $number$,\n", "name", EnumeratorName(value), "number", std::to_string(value.number()));
  }
  out->Outdent();
  out->Print("};\n");
}

std::string DefaultOf(const FieldDescriptor& field) {
  if (field.is_repeated()) return "";
  const Kind kind = KindOf(field);
  if (kind == Kind::kTime) return " = absl::InfinitePast()";
  if (field.has_presence()) return "";
  return kind == Kind::kString ? "" : "{}";
}

void WriteOneof(const OneofDescriptor& oneof, Printer* out) {
  WriteComment(oneof, out);
  out->Print("std::variant<std::monostate");
  for (int i = 0; i < oneof.field_count(); ++i) {
    out->Print(",\n             $type$", "type", ElementType(*oneof.field(i)));
  }
  out->Print("> $name$;\n", "name", oneof.name());
}

void WriteStruct(const Descriptor& message, Printer* out) {
  out->Print("\n");
  WriteComment(message, out);
  out->Print("struct $name$ {\n", "name", message.name());
  out->Indent();
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    if (const OneofDescriptor* oneof = field.real_containing_oneof(); oneof != nullptr) {
      if (oneof->field(0) == &field) WriteOneof(*oneof, out);
      continue;
    }
    WriteComment(field, out);
    out->Print("$type$ $name$$default$;\n", "type", MemberType(field), "name", MemberName(field), "default",
               DefaultOf(field));
  }
  if (message.field_count() > 0) out->Print("\n");
  out->Print("bool operator==(const $name$&) const = default;\n", "name", message.name());
  out->Outdent();
  out->Print("};\n");
  for (int i = 0; i < message.real_oneof_decl_count(); ++i) {
    out->Print(
        "// The proto's name of the member that `$oneof$` holds; empty if it holds none.\n"
        "std::string_view $function$Name(const $message$& message);\n",
        "oneof", message.oneof_decl(i)->name(), "function", CamelCase(message.oneof_decl(i)->name()), "message",
        message.name());
  }
}

std::set<std::string> Includes(const FileDescriptor& file) {
  std::set<std::string> includes;
  if (file.enum_type_count() > 0) includes.insert("<cstdint>");
  for (int i = 0; i < file.message_type_count(); ++i) {
    const Descriptor& message = *file.message_type(i);
    if (message.real_oneof_decl_count() > 0) includes.insert({"<string_view>", "<variant>"});
    for (int j = 0; j < message.field_count(); ++j) {
      const FieldDescriptor& field = *message.field(j);
      if (field.real_containing_oneof() != nullptr) continue;
      const std::string type = MemberType(field);
      for (const char* name : {"string", "map", "vector", "optional"}) {
        if (type.find(std::string("std::") + name) != std::string::npos) {
          includes.insert(std::string("<") + name + ">");
        }
      }
      if (type.find("int32_t") != std::string::npos || type.find("int64_t") != std::string::npos) {
        includes.insert("<cstdint>");
      }
      if (type.find("absl::") != std::string::npos) includes.insert("\"absl/time/time.h\"");
    }
  }
  return includes;
}

}  // namespace

void WriteStructsHeader(const FileDescriptor& file, Printer* out) {
  out->Print("// Generated from $file$; do not edit.\n#pragma once\n\n", "file", file.name());
  const std::set<std::string> includes = Includes(file);
  for (const std::string& include : includes) {
    if (include.front() == '<') out->Print("#include $include$\n", "include", include);
  }
  for (const std::string& include : includes) {
    if (include.front() == '"') out->Print("\n#include $include$\n", "include", include);
  }
  for (int i = 0; i < file.dependency_count(); ++i) {
    if (IsPlain(*file.dependency(i))) {
      out->Print("#include \"$stem$.plain.h\"\n", "stem", Stem(*file.dependency(i)));
    }
  }
  out->Print("\nnamespace vigil::domain {\n");
  for (int i = 0; i < file.enum_type_count(); ++i) WriteEnum(*file.enum_type(i), out);
  for (const Descriptor* message : InDependencyOrder(file)) WriteStruct(*message, out);
  out->Print("\n}  // namespace vigil::domain\n");
}

void WriteStructsSource(const FileDescriptor& file, Printer* out) {
  out->Print(
      "// Generated from $file$; do not edit.\n"
      "#include \"$stem$.plain.h\"\n\n"
      "namespace vigil::domain {\n",
      "file", file.name(), "stem", Stem(file));
  for (int i = 0; i < file.message_type_count(); ++i) {
    const Descriptor& message = *file.message_type(i);
    for (int j = 0; j < message.real_oneof_decl_count(); ++j) {
      const OneofDescriptor& oneof = *message.oneof_decl(j);
      out->Print(
          "\nstd::string_view $function$Name(const $message$& message) {\n"
          "  static constexpr std::string_view kNames[] = {\n"
          "      \"\",\n",
          "function", CamelCase(oneof.name()), "message", message.name());
      for (int k = 0; k < oneof.field_count(); ++k) {
        out->Print("      \"$name$\",\n", "name", oneof.field(k)->name());
      }
      out->Print(
          "  };\n"
          "  return message.$oneof$.valueless_by_exception() ? kNames[0] : kNames[message.$oneof$.index()];\n"
          "}\n",
          "oneof", oneof.name());
    }
  }
  out->Print("\n}  // namespace vigil::domain\n");
}

}  // namespace vigil::plain_generator

#include "contract/plain_generator/names.h"

#include <cctype>
#include <set>

#include "vigil/api/v1/annotations.pb.h"

namespace vigil::plain_generator {
namespace {

bool IsLower(char c) { return std::islower(static_cast<unsigned char>(c)) != 0; }
bool IsUpper(char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; }
bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
char ToUpper(char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); }
char ToLower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

const std::set<std::string>& Keywords() {
  static const auto* const keywords =
      new std::set<std::string>{"NULL",          "alignas",      "alignof",   "and",        "and_eq",
                                "asm",           "auto",         "bitand",    "bitor",      "bool",
                                "break",         "case",         "catch",     "char",       "class",
                                "compl",         "const",        "constexpr", "const_cast", "continue",
                                "decltype",      "default",      "delete",    "do",         "double",
                                "dynamic_cast",  "else",         "enum",      "explicit",   "export",
                                "extern",        "false",        "float",     "for",        "friend",
                                "goto",          "if",           "inline",    "int",        "long",
                                "mutable",       "namespace",    "new",       "noexcept",   "not",
                                "not_eq",        "nullptr",      "operator",  "or",         "or_eq",
                                "private",       "protected",    "public",    "register",   "reinterpret_cast",
                                "return",        "short",        "signed",    "sizeof",     "static",
                                "static_assert", "static_cast",  "struct",    "switch",     "template",
                                "this",          "thread_local", "throw",     "true",       "try",
                                "typedef",       "typeid",       "typename",  "union",      "unsigned",
                                "using",         "virtual",      "void",      "volatile",   "wchar_t",
                                "while",         "xor",          "xor_eq",    "char8_t",    "char16_t",
                                "char32_t",      "concept",      "consteval", "constinit",  "co_await",
                                "co_return",     "co_yield",     "requires"};
  return *keywords;
}

std::string Namespaced(const std::string& package, const std::string& name) {
  std::string result = "::";
  for (const char c : package) {
    if (c == '.') {
      result += "::";
    } else {
      result += c;
    }
  }
  return package.empty() ? result + name : result + "::" + name;
}

}  // namespace

Kind KindOf(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return Kind::kString;
    case FieldDescriptor::CPPTYPE_ENUM:
      return Kind::kEnum;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (field.message_type()->full_name() == "google.protobuf.Timestamp") return Kind::kTime;
      if (field.message_type()->full_name() == "google.protobuf.Duration") return Kind::kDuration;
      return Kind::kMessage;
    default:
      return Kind::kScalar;
  }
}

bool IsPlain(const FileDescriptor& file) { return file.options().GetExtension(vigil::api::v1::plain); }

std::string Stem(const FileDescriptor& file) {
  constexpr std::string_view kSuffix = ".proto";
  return file.name().substr(0, file.name().size() - kSuffix.size());
}

std::string CamelCase(std::string_view snake) {
  std::string result;
  bool capitalise = true;
  for (const char c : snake) {
    if (c == '_') {
      capitalise = true;
      continue;
    }
    result += capitalise ? ToUpper(c) : c;
    capitalise = IsDigit(c);
  }
  return result;
}

std::string EnumValuePrefix(const EnumDescriptor& type) {
  const std::string& name = type.name();
  std::string result;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool after_small = i > 0 && (IsLower(name[i - 1]) || IsDigit(name[i - 1]));
    const bool last_of_acronym = i > 0 && IsUpper(name[i - 1]) && i + 1 < name.size() && IsLower(name[i + 1]);
    if (IsUpper(name[i]) && (after_small || last_of_acronym)) result += '_';
    result += ToUpper(name[i]);
  }
  return result + "_";
}

std::string EnumeratorName(const EnumValueDescriptor& value) {
  std::string rest = value.name().substr(EnumValuePrefix(*value.type()).size());
  for (char& c : rest) c = ToLower(c);
  return "k" + CamelCase(rest);
}

std::string MemberName(const FieldDescriptor& field) {
  std::string name = field.lowercase_name();
  return Keywords().count(name) > 0 ? name + "_" : name;
}

std::string ProtoType(const Descriptor& type) { return Namespaced(type.file()->package(), type.name()); }
std::string ProtoType(const EnumDescriptor& type) { return Namespaced(type.file()->package(), type.name()); }

std::string ElementType(const FieldDescriptor& field) {
  switch (KindOf(field)) {
    case Kind::kString:
      return "std::string";
    case Kind::kEnum:
      return field.enum_type()->name();
    case Kind::kTime:
      return "absl::Time";
    case Kind::kDuration:
      return "absl::Duration";
    case Kind::kMessage:
      return field.message_type()->name();
    case Kind::kScalar:
      break;
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return "std::int32_t";
    case FieldDescriptor::CPPTYPE_INT64:
      return "std::int64_t";
    case FieldDescriptor::CPPTYPE_UINT32:
      return "std::uint32_t";
    case FieldDescriptor::CPPTYPE_UINT64:
      return "std::uint64_t";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "double";
    case FieldDescriptor::CPPTYPE_FLOAT:
      return "float";
    default:
      return "bool";
  }
}

std::string MemberType(const FieldDescriptor& field) {
  if (field.is_map()) {
    const Descriptor& entry = *field.message_type();
    return "std::map<" + ElementType(*entry.map_key()) + ", " + ElementType(*entry.map_value()) + ">";
  }
  const Kind kind = KindOf(field);
  if (field.is_repeated()) return "std::vector<" + ElementType(field) + ">";
  if (kind == Kind::kTime || kind == Kind::kDuration) return ElementType(field);
  if (field.has_presence()) return "std::optional<" + ElementType(field) + ">";
  return ElementType(field);
}

}  // namespace vigil::plain_generator

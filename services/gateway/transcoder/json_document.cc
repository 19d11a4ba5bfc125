#include "gateway/transcoder/json_document.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <nlohmann/json.hpp>

namespace vigil {

namespace {

constexpr size_t kFewKeys = 12;

template <typename Integer>
void AppendInteger(Integer value, std::string& out) {
  char buffer[24];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out.append(buffer, end);
}

}  // namespace

std::string FieldPath::ToString() const {
  std::string text = parent != nullptr ? parent->ToString() : std::string();
  if (name.empty() && parent == nullptr) return text;
  if (name.empty()) {
    text += '[';
    AppendInteger(index, text);
    text += ']';
    return text;
  }
  std::string_view shown = name;
  if (shown.size() > kMaxEchoedNameBytes) {
    size_t length = kMaxEchoedNameBytes;
    while (length > 0 && (static_cast<unsigned char>(shown[length]) & 0xC0) == 0x80) --length;
    shown = shown.substr(0, length);
  }
  if (!text.empty()) text += '.';
  text += shown;
  return text;
}

// Receives the parser's events. Its member names are given by the parser.
class JsonDocumentBuilder {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;
  using Kind = JsonDocument::Kind;
  using Node = JsonDocument::Node;

  JsonDocumentBuilder(JsonDocument& document, std::string_view input) : document_(document), input_(input) {}

  std::optional<FieldError> TakeError() { return std::move(error_); }

  bool null() {
    Add(Kind::kNull);
    return true;
  }
  bool boolean(bool value) {
    Add(Kind::kBool).boolean = value;
    return true;
  }
  bool number_integer(number_integer_t value) {
    Add(Kind::kInteger).integer = value;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) {
    Add(Kind::kUnsigned).unsigned_integer = value;
    return true;
  }
  bool number_float(number_float_t value, const string_t& digits) {
    Node& node = Add(Kind::kDouble);
    node.number = value;
    node.text = Keep(digits);
    return true;
  }
  bool string(string_t& value) {
    if (value.find('\0') != std::string::npos) return Refuse("must not contain U+0000");
    Add(Kind::kString).text = Keep(value);
    return true;
  }
  bool binary(binary_t& /*value*/) { return false; }
  bool start_object(size_t /*elements*/) { return Open(Kind::kObject); }
  bool start_array(size_t /*elements*/) { return Open(Kind::kArray); }
  bool key(string_t& name) {
    key_ = Keep(name);
    if (name.find('\0') != std::string::npos) return Refuse("must not contain U+0000");
    return true;
  }
  bool end_object() {
    MarkDuplicate(open_.back());
    return Close();
  }
  bool end_array() { return Close(); }
  bool parse_error(size_t position, const std::string& /*last_token*/, const nlohmann::json::exception& exception) {
    if (!IsUtf8(input_)) return Refuse("is not valid UTF-8");
    if (exception.id == 406) return Refuse("is a number out of range");
    std::string reason = "the body is not well-formed JSON near byte ";
    AppendInteger(position, reason);
    error_ = FieldError{"", std::move(reason)};
    return false;
  }

 private:
  Node& Add(Kind kind) {
    Node& node = document_.nodes_.emplace_back();
    node.kind = kind;
    node.key = key_;
    node.end = static_cast<uint32_t>(document_.nodes_.size());
    key_ = {};
    return node;
  }
  bool Open(Kind kind) {
    if (open_.size() >= kMaxJsonDepth) return Refuse("is nested too deep");
    open_.push_back(static_cast<uint32_t>(document_.nodes_.size()));
    Add(kind);
    return true;
  }
  bool Close() {
    document_.nodes_[open_.back()].end = static_cast<uint32_t>(document_.nodes_.size());
    open_.pop_back();
    return true;
  }
  // Every byte of a decoded string comes from at least one byte of the input, so the reserve made for the input's
  // length always suffices.
  std::string_view Keep(std::string_view value) {
    const size_t start = document_.strings_.size();
    document_.strings_.append(value);
    return std::string_view(document_.strings_).substr(start);
  }
  void MarkDuplicate(uint32_t object) {
    auto& nodes = document_.nodes_;
    keys_.clear();
    for (uint32_t child = object + 1; child < nodes.size(); child = nodes[child].end) keys_.push_back(nodes[child].key);
    const std::string_view* repeated = nullptr;
    if (keys_.size() <= kFewKeys) {
      for (size_t i = 1; i < keys_.size() && repeated == nullptr; ++i) {
        if (std::find(keys_.begin(), keys_.begin() + static_cast<ptrdiff_t>(i), keys_[i]) !=
            keys_.begin() + static_cast<ptrdiff_t>(i)) {
          repeated = &keys_[i];
        }
      }
    } else {
      std::sort(keys_.begin(), keys_.end());
      const auto found = std::adjacent_find(keys_.begin(), keys_.end());
      if (found != keys_.end()) repeated = &*found;
    }
    if (repeated != nullptr) {
      nodes[object].duplicate_key = true;
      nodes[object].text = *repeated;
    }
  }
  // Stops the parser with an error at the value being read.
  bool Refuse(std::string reason) {
    std::vector<FieldPath> path(open_.size() + 1);
    for (size_t depth = 0; depth < open_.size(); ++depth) {
      const uint32_t container = open_[depth];
      const bool innermost = depth + 1 == open_.size();
      FieldPath& step = path[depth + 1];
      step.parent = &path[depth];
      if (document_.nodes_[container].kind == Kind::kObject) {
        step.name = innermost ? key_ : document_.nodes_[open_[depth + 1]].key;
      } else {
        const uint32_t limit = innermost ? static_cast<uint32_t>(document_.nodes_.size()) : open_[depth + 1];
        for (uint32_t child = container + 1; child < limit; child = document_.nodes_[child].end) ++step.index;
      }
    }
    std::string field =
        path.back().name.empty() && !open_.empty() && document_.nodes_[open_.back()].kind == Kind::kObject
            ? path[path.size() - 2].ToString()
            : path.back().ToString();
    // A name may itself be what is broken.
    if (!IsUtf8(field)) field.clear();
    error_ = FieldError{std::move(field), std::move(reason)};
    return false;
  }

  JsonDocument& document_;
  const std::string_view input_;
  std::vector<uint32_t> open_;
  std::vector<std::string_view> keys_;
  std::string_view key_;
  std::optional<FieldError> error_;
};

std::optional<FieldError> JsonDocument::Parse(std::string_view text) {
  nodes_.clear();
  strings_.clear();
  strings_.reserve(text.size());
  nodes_.reserve(text.size() / 16 + 1);
  JsonDocumentBuilder builder(*this, text);
  if (nlohmann::json::sax_parse(text.begin(), text.end(), &builder, nlohmann::json::input_format_t::json,
                                /*strict=*/true)) {
    return std::nullopt;
  }
  std::optional<FieldError> error = builder.TakeError();
  nodes_.clear();
  return error.has_value() ? std::move(error) : FieldError{"", "the body is not well-formed JSON"};
}

void JsonDocument::AppendCompact(uint32_t index, std::string& out) const {
  const Node& node = nodes_[index];
  switch (node.kind) {
    case Kind::kNull:
      out += "null";
      return;
    case Kind::kBool:
      out += node.boolean ? "true" : "false";
      return;
    case Kind::kInteger:
      AppendInteger(node.integer, out);
      return;
    case Kind::kUnsigned:
      AppendInteger(node.unsigned_integer, out);
      return;
    case Kind::kDouble:
      out += node.text;
      return;
    case Kind::kString:
      AppendJsonString(node.text, out);
      return;
    case Kind::kArray:
    case Kind::kObject:
      break;
  }
  const bool object = node.kind == Kind::kObject;
  out += object ? '{' : '[';
  for (uint32_t child = index + 1; child < node.end; child = nodes_[child].end) {
    if (child != index + 1) out += ',';
    if (object) {
      AppendJsonString(nodes_[child].key, out);
      out += ':';
    }
    AppendCompact(child, out);
  }
  out += object ? '}' : ']';
}

const JsonDocument::Node* JsonDocument::FindDuplicate(uint32_t index) const {
  for (uint32_t i = index; i < nodes_[index].end; ++i) {
    if (nodes_[i].duplicate_key) return &nodes_[i];
  }
  return nullptr;
}

void AppendJsonString(std::string_view value, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t plain = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    const unsigned char byte = static_cast<unsigned char>(value[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out.append(value, plain, i - plain);
    plain = i + 1;
    switch (byte) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += kHex[byte >> 4];
        out += kHex[byte & 0xF];
    }
  }
  out.append(value, plain, value.size() - plain);
  out += '"';
}

bool IsUtf8(std::string_view text) {
  size_t i = 0;
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  while (i < text.size()) {
    const unsigned char lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() - i < length) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    // Overlong forms, surrogates, and beyond U+10FFFF.
    if ((lead == 0xE0 && byte(i + 1) < 0xA0) || (lead == 0xED && byte(i + 1) >= 0xA0) ||
        (lead == 0xF0 && byte(i + 1) < 0x90) || (lead == 0xF4 && byte(i + 1) >= 0x90)) {
      return false;
    }
    i += length;
  }
  return true;
}

}  // namespace vigil

#include "vigil/names.h"

#include <nlohmann/json.hpp>

#include "vigil/embedded.h"

namespace vigil {

std::string NameOf(std::string_view kind, std::string_view id, Language language) {
  static const nlohmann::json names = nlohmann::json::parse(embedded::kNames);
  const auto of_kind = names.find(std::string(kind));
  if (of_kind == names.end()) return std::string(id);
  const auto words = of_kind->find(std::string(id));
  if (words == of_kind->end()) return std::string(id);
  return words->at(language == Language::kChinese ? "zh" : "en").get<std::string>();
}

}  // namespace vigil

// Strict reading of YAML maps: every value is asked for by key and type, what is wrong is noted with its line, and what nobody
// asked for is wrong too. Used by the loader only.
#pragma once

#include <yaml-cpp/yaml.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "domain/pack/pack.h"

namespace vigil::domain {

struct Place {
  std::string file;
  int line = 0;  // from 1

  std::string ToString() const;
};

class Problems {
 public:
  void Add(const Place& place, std::string what);
  bool empty() const { return found_.empty(); }
  // A line each, by file and line.
  std::string ToString() const;

 private:
  std::set<std::pair<std::pair<std::string, int>, std::string>> found_;
};

struct Value {
  YAML::Node node;
  Place place;
};

// A span as packs write it: a whole number and one of s, m, h, d.
std::optional<absl::Duration> ParseSpan(std::string_view text);
// "22:00" as an offset from midnight.
std::optional<absl::Duration> ParseTimeOfDay(std::string_view text);

Value At(const YAML::Node& node, const Place& near);
// The scalar's text; a problem and nullopt when the value is no scalar or is empty.
std::optional<std::string> ReadString(const Value& value, std::string_view what, Problems& problems);
std::optional<absl::Duration> ReadSpan(const Value& value, std::string_view what, Problems& problems);
std::vector<Value> ReadList(const Value& value, std::string_view what, Problems& problems);

class MapReader {
 public:
  // `what` names the map in messages ("clock written_report"). A value that is no map is a problem and reads as empty.
  MapReader(const Value& value, std::string what, Problems& problems);
  MapReader(const MapReader&) = delete;
  MapReader& operator=(const MapReader&) = delete;

  const Place& place() const { return place_; }
  const std::string& what() const { return what_; }
  Problems& problems() { return *problems_; }
  // In the order written.
  const std::vector<std::pair<std::string, Value>>& entries() const { return entries_; }

  bool Has(std::string_view key) const;
  // The value, which counts as asked for from now on.
  std::optional<Value> Take(std::string_view key);
  std::optional<Value> Need(std::string_view key);

  std::string String(std::string_view key, std::string fallback = "");
  std::string NeedString(std::string_view key);
  bool Bool(std::string_view key, bool fallback = false);
  int Int(std::string_view key, int fallback, int least, int most);
  std::optional<absl::Duration> Span(std::string_view key);
  std::optional<absl::Duration> TimeOfDay(std::string_view key);
  std::vector<std::pair<std::string, Place>> Strings(std::string_view key);
  // One of `names`, by its index.
  std::optional<int> OneOf(std::string_view key, const std::vector<std::string_view>& names);

  void Wrong(const Place& place, std::string_view problem);
  void Wrong(std::string_view problem) { Wrong(place_, problem); }
  // Notes every key that nobody asked for. To be called last.
  void Finish();

 private:
  Place place_;
  std::string what_;
  Problems* problems_;
  std::vector<std::pair<std::string, Value>> entries_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace vigil::domain

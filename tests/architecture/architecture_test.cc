// The arrows between folders, what the domain may know, and that the protocol stands in the pack and not in code. Each finding is a line
// "file:line: what" to click on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/pack/loader.h"
#include "platform/pack_directory/pack_directory.h"

namespace vigil {
namespace {

namespace fs = std::filesystem;

struct Line {
  std::string path;  // from services/
  int number = 0;
  std::string text;  // without // comments
  std::string At() const { return "services/" + path + ":" + std::to_string(number) + ": "; }
};

// Cuts a comment that runs to the end of the line, if it does not stand in a string.
std::string WithoutComment(const std::string& text) {
  bool quoted = false;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == '/' && text[i + 1] == '/') {
      return text.substr(0, i);
    }
  }
  return text;
}

std::vector<Line> LinesOf(const std::string& path, std::istream& in) {
  std::vector<Line> lines;
  std::string text;
  for (int number = 1; std::getline(in, text); ++number) lines.push_back({path, number, WithoutComment(text)});
  return lines;
}

const std::vector<Line>& Sources() {
  static const auto& lines = *new std::vector<Line>([] {
    const fs::path root = fs::path(VIGIL_SOURCES) / "services";
    std::vector<Line> all;
    for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator(); ++it) {
      if (it->path().filename() == "node_modules") it.disable_recursion_pending();
      if (it->path().extension() != ".cc" && it->path().extension() != ".h") continue;
      std::ifstream in(it->path());
      std::vector<Line> lines_of_file = LinesOf(fs::relative(it->path(), root).generic_string(), in);
      all.insert(all.end(), lines_of_file.begin(), lines_of_file.end());
    }
    return all;
  }());
  return lines;
}

// The included file and whether it is in quotes; empty: no include.
std::pair<std::string, bool> IncludeOf(const std::string& text) {
  const std::size_t hash = text.find_first_not_of(" \t");
  if (hash == std::string::npos || !std::string_view(text).substr(hash).starts_with("#include")) return {};
  const std::size_t from = text.find_first_of("\"<", hash);
  if (from == std::string::npos) return {};
  const std::size_t to = text.find(text[from] == '"' ? '"' : '>', from + 1);
  return {text.substr(from + 1, to - from - 1), text[from] == '"'};
}

// Generated from proto/vigil/<area>/v1/.
bool IsGenerated(std::string_view include) { return include.starts_with("vigil/") && include.find("/v1/") != std::string_view::npos; }

std::string TopFolder(std::string_view path) { return std::string(path.substr(0, path.find('/'))); }

// Includes among our own folders that a service may make besides platform, contract, domain, machine, host and itself.
const std::set<std::pair<std::string, std::string>>& OtherArrows() {
  static const auto& arrows = *new std::set<std::pair<std::string, std::string>>{
      // A ledger is verified offline, with the very code that wrote it.
      {"vigil", "audit/ledger/"},
      // Break-glass: intake rings by itself, by the same providers, when notification is what has failed.
      {"intake", "notification/break_glass/"},
      {"intake", "notification/channels/"},
  };
  return arrows;
}

// Why an include points the wrong way; empty: it does not.
std::string WrongArrow(const std::string& path, const std::string& include, bool quoted) {
  if (!quoted) return "";
  static const std::set<std::string> kOurs = {"domain", "contract", "platform", "machine", "host", "audit", "gateway", "intake", "notification",
                                              "risk-rules", "escalation-timer", "sandbox", "supervisor", "vigil"};
  const std::string from = TopFolder(path);
  const std::string to = TopFolder(include);
  if (IsGenerated(include)) {
    if (from == "domain" && !include.ends_with(".plain.h")) return "the domain knows no protobuf: " + include;
    if (from == "platform" && !(include.starts_with("vigil/api/v1/") && path.starts_with("platform/rpc/"))) return "platform knows no contract: " + include;
    return "";
  }
  if (!kOurs.contains(to) || from == to) return "";
  static const std::map<std::string, std::set<std::string>> kMay = {
      {"domain", {}}, {"platform", {}}, {"contract", {"domain"}}, {"machine", {"platform", "contract", "domain"}}, {"host", {"platform", "contract", "domain", "machine"}}};
  const auto may = kMay.find(from);
  if (may != kMay.end()) return may->second.contains(to) ? "" : from + " must not include " + include;
  if (to == "platform" || to == "contract" || to == "domain" || to == "machine" || to == "host") return "";
  for (const auto& [source, target] : OtherArrows()) {
    if (source == from && include.starts_with(target)) return "";
  }
  return "a service must not include another: " + include;
}

// What of the outside a line of the domain reaches for; empty: nothing.
std::string ImpureDomain(const std::string& path, const std::string& text) {
  const auto [include, quoted] = IncludeOf(text);
  if (!include.empty()) {
    static const std::set<std::string> kStandard = {"algorithm", "array",    "bitset", "cctype",   "charconv", "cmath",  "compare",     "concepts", "cstddef",
                                                    "cstdint",   "cstring",  "deque",  "functional", "initializer_list", "iterator", "limits", "list", "map",
                                                    "memory",    "numeric",  "optional", "queue",  "set",      "span",   "string",      "string_view", "tuple",
                                                    "type_traits", "unordered_map", "unordered_set", "utility", "variant", "vector"};
    if (!quoted) {
      if (kStandard.contains(include)) return "";
      // The pack is read from text in memory; yaml-cpp takes that as a stream.
      if (path.starts_with("domain/pack/") && (include.starts_with("yaml-cpp/") || include == "sstream")) return "";
      return "the domain includes <" + include + ">";
    }
    if (include == "absl/time/clock.h" || include.starts_with("absl/synchronization/") || include.starts_with("absl/random/")) return "the domain includes " + include;
    if (include.starts_with("absl/") || include.starts_with("domain/") || IsGenerated(include)) return "";
    return "the domain includes " + include;
  }
  for (const char* call : {"absl::Now(", "absl::GetCurrentTime", "clock::now(", "std::time(", "gettimeofday(", "clock_gettime(", "getenv(", "std::rand", "std::thread", "std::mutex",
                           "std::this_thread", "thread_local", "google::protobuf"}) {
    if (text.find(call) != std::string::npos) return std::string("the domain calls ") + call;
  }
  return "";
}

// Ids of the pack's rows, each with the kinds of row that it names.
std::map<std::string, std::string> PackIds() {
  const auto files = ReadPackDirectory(VIGIL_PRIMARY_SCHOOL_PACK);
  const auto loaded = domain::LoadPack(files.value_or(domain::PackFiles{}), PackDigest);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  std::map<std::string, std::string> ids;
  if (!loaded.ok()) return ids;
  const domain::Pack& pack = **loaded;
  const auto add = [&](const std::string& id, const char* kind) { ids[id] += ids[id].empty() ? kind : std::string(", ") + kind; };
  for (const auto& row : pack.rules) add(row.id, "rule");
  for (const auto& row : pack.levels) add(row.id, "level");
  for (const auto& [id, row] : pack.indicators) add(id, "indicator");
  for (const auto& [id, row] : pack.clocks) add(id, "clock");
  for (const auto& [id, row] : pack.ladders) add(id, "ladder");
  for (const auto& [id, row] : pack.custody) add(id, "custody");
  for (const auto& [id, row] : pack.records) add(id, "record");
  for (const auto& [id, row] : pack.roles) add(id, "role");
  for (const auto& [id, row] : pack.schedules) add(id, "schedule");
  for (const auto& [id, row] : pack.duties) add(id, "duty");
  for (const auto& [id, row] : pack.texts) add(id, "text");
  return ids;
}

// A word of our own that a row of the shipped pack happens to be called too. It says nothing of the row.
struct OwnWord {
  std::string word;
  std::string path;  // prefix, from services/
  std::string is;
};

const std::vector<OwnWord>& OwnWords() {
  static const auto& words = *new std::vector<OwnWord>{
      {"check_in", "domain/pack/permissions.h", "a permission"},
      {"departure", "domain/", "the reason of a gap"},
      {"departure", "audit/summary", "the reason of a gap"},
      {"guardian", "intake/school.cc", "a kind of person in the API"},
      {"none", "intake/views.cc", "a custody state in the API"},
      {"none", "platform/log/", "an answer of the broker"},
      {"none", "audit/ledger/", "a word of the ledger's format"},
      {"taken", "intake/views.cc", "a state of an alert in the API"},
      {"report_read", "audit/summary", "the name of an event"},
      {"security", "gateway/transcoder/openapi.cc", "a word of OpenAPI"},
      {"security", "domain/pack/loader.cc", "a key of the pack's schema"},
      {"administrator", "supervisor/", "who operates the installation, named by its own token"},
      // The command line's words follow the API's; its sample schools and the play are data about one school, written in C++.
      {"", "vigil/", "the words of a client"},
  };
  return words;
}

bool IsOwnWord(const std::string& word, const std::string& path) {
  return std::any_of(OwnWords().begin(), OwnWords().end(),
                     [&](const OwnWord& own) { return (own.word.empty() || own.word == word) && path.starts_with(own.path); });
}

std::vector<std::string> StringLiterals(const std::string& text) {
  std::vector<std::string> literals;
  std::string now;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') {
      now.push_back(c);
      if (i + 1 < text.size()) now.push_back(text[++i]);
    } else if (c == '"') {
      if (quoted) literals.push_back(std::exchange(now, {}));
      quoted = !quoted;
    } else if (quoted) {
      now.push_back(c);
    }
  }
  return literals;
}

// kWrittenReport -> written_report, of enumerators declared on this line ("kName," or "kName ="); uses are found where they are declared.
std::vector<std::string> Enumerators(const std::string& text) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const bool begins = text[i] == 'k' && std::isupper(static_cast<unsigned char>(text[i + 1])) != 0 && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '{');
    if (!begins) continue;
    std::string name;
    std::size_t end = i + 1;
    for (; end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_'); ++end) {
      const auto c = static_cast<unsigned char>(text[end]);
      if (std::isupper(c) != 0 && !name.empty()) name.push_back('_');
      name.push_back(static_cast<char>(std::tolower(c)));
    }
    names.push_back(name);
    i = end;
  }
  return names;
}

// Whole enumerations, with the line of each enumerator.
std::vector<std::pair<Line, std::string>> DeclaredEnumerators(const std::vector<Line>& lines) {
  std::vector<std::pair<Line, std::string>> found;
  bool inside = false;
  std::string path;
  for (const Line& line : lines) {
    if (line.path != path) inside = false;
    path = line.path;
    const std::size_t begin = line.text.find("enum ");
    if (begin != std::string::npos && line.text.find('{') != std::string::npos) inside = true;
    if (!inside) continue;
    for (std::string& name : Enumerators(begin == std::string::npos ? line.text : line.text.substr(line.text.find('{')))) found.emplace_back(line, std::move(name));
    if (line.text.find('}') != std::string::npos) inside = false;
  }
  return found;
}

// Rows that an enumerator of the engine's own may be called like: facts (child.in_sight …), phases and the absence of anything.
const std::set<std::string>& OwnEnumerators() {
  static const auto& names = *new std::set<std::string>{"none", "in_sight", "report_read", "taken", "guardian", "receipt"};
  return names;
}

std::string Joined(const std::vector<std::string>& findings) {
  std::ostringstream out;
  for (const std::string& finding : findings) out << finding << "\n";
  return out.str();
}

TEST(ArchitectureTest, ArrowsPointOneWay) {
  ASSERT_GT(Sources().size(), 10'000u) << "the sources were not found";
  std::vector<std::string> findings;
  for (const Line& line : Sources()) {
    const auto [include, quoted] = IncludeOf(line.text);
    if (include.empty()) continue;
    if (const std::string wrong = WrongArrow(line.path, include, quoted); !wrong.empty()) findings.push_back(line.At() + wrong);
  }
  EXPECT_TRUE(findings.empty()) << Joined(findings);
}

TEST(ArchitectureTest, TheDomainIsPure) {
  std::vector<std::string> findings;
  for (const Line& line : Sources()) {
    if (!line.path.starts_with("domain/")) continue;
    if (const std::string impure = ImpureDomain(line.path, line.text); !impure.empty()) findings.push_back(line.At() + impure);
  }
  EXPECT_TRUE(findings.empty()) << Joined(findings);
}

TEST(ArchitectureTest, TheProtocolStandsInThePack) {
  const std::map<std::string, std::string> ids = PackIds();
  ASSERT_GT(ids.size(), 150u);
  std::vector<std::string> findings;
  for (const Line& line : Sources()) {
    if (!IncludeOf(line.text).first.empty()) continue;
    for (const std::string& literal : StringLiterals(line.text)) {
      const auto id = ids.find(literal);
      if (id != ids.end() && !IsOwnWord(literal, line.path)) findings.push_back(line.At() + "\"" + literal + "\" is a row of the pack (" + id->second + ")");
    }
  }
  for (const auto& [line, name] : DeclaredEnumerators(Sources())) {
    const auto id = ids.find(name);
    if (id != ids.end() && !OwnEnumerators().contains(name) && !line.path.starts_with("vigil/")) {
      findings.push_back(line.At() + "an enumerator is called like a row of the pack: " + name + " (" + id->second + ")");
    }
  }
  EXPECT_TRUE(findings.empty()) << Joined(findings);
}

TEST(ArchitectureTest, NoExceptionIsLeftOver) {
  for (const OwnWord& own : OwnWords()) {
    if (own.word.empty()) continue;
    const bool used = std::any_of(Sources().begin(), Sources().end(), [&](const Line& line) {
      const std::vector<std::string> literals = StringLiterals(line.text);
      return line.path.starts_with(own.path) && std::find(literals.begin(), literals.end(), own.word) != literals.end();
    });
    EXPECT_TRUE(used) << own.word << " in " << own.path;
  }
}

// The checks themselves can fail.
TEST(ArchitectureTest, FindsWhatItLooksFor) {
  EXPECT_NE(WrongArrow("domain/file.cc", "platform/log/log.h", true), "");
  EXPECT_NE(WrongArrow("platform/log/log.cc", "domain/file.h", true), "");
  EXPECT_NE(WrongArrow("platform/log/log.cc", "vigil/log/v1/commit.pb.h", true), "");
  EXPECT_NE(WrongArrow("domain/file.cc", "vigil/log/v1/commit.pb.h", true), "");
  EXPECT_NE(WrongArrow("contract/time_conversion.cc", "platform/clock/clock.h", true), "");
  EXPECT_NE(WrongArrow("machine/machine.cc", "host/host.h", true), "");
  EXPECT_NE(WrongArrow("gateway/edge.cc", "intake/intake.h", true), "");
  EXPECT_NE(WrongArrow("gateway/edge.cc", "audit/ledger/note.h", true), "");
  EXPECT_EQ(WrongArrow("vigil/verify/verify.cc", "audit/ledger/note.h", true), "");
  EXPECT_EQ(WrongArrow("domain/file.cc", "vigil/log/v1/commit.plain.h", true), "");
  EXPECT_EQ(WrongArrow("intake/intake.cc", "machine/machine.h", true), "");
  EXPECT_EQ(WrongArrow("platform/rpc/status.cc", "vigil/api/v1/problem.pb.h", true), "");
  EXPECT_NE(ImpureDomain("domain/file.cc", "#include <fstream>"), "");
  EXPECT_NE(ImpureDomain("domain/file.cc", "#include \"absl/time/clock.h\""), "");
  EXPECT_NE(ImpureDomain("domain/file.cc", "#include <yaml-cpp/yaml.h>"), "");
  EXPECT_NE(ImpureDomain("domain/file.cc", "  const absl::Time t = absl::Now();"), "");
  EXPECT_EQ(ImpureDomain("domain/file.cc", "  const absl::Time t = now();"), "") << "the fold's now is the commit's time";
  EXPECT_THAT(StringLiterals(R"(f("written_report", "a \" b"))"), ::testing::ElementsAre("written_report", R"(a \" b)"));
  EXPECT_EQ(WithoutComment(R"(x = "http://a"; // "written_report")"), R"(x = "http://a"; )");
  std::istringstream in("enum class A { kOne,\n  kWrittenReport = 2,\n};\nint kNightPlan = 1;\n");
  const auto declared = DeclaredEnumerators(LinesOf("x.h", in));
  ASSERT_EQ(declared.size(), 2u);
  EXPECT_EQ(declared[1].second, "written_report");
  EXPECT_EQ(declared[1].first.number, 2);
}

}  // namespace
}  // namespace vigil

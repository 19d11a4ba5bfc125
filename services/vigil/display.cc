#include "vigil/display.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "platform/http/message.h"
#include "vigil/names.h"

namespace vigil {
namespace {

using nlohmann::json;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string Text(const json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

const json& Member(const json& object, const char* name) {
  static const json kNothing;
  const auto it = object.find(name);
  return it == object.end() ? kNothing : *it;
}

std::string Joined(const json& list) {
  std::vector<std::string> texts;
  for (const json& item : list) {
    if (item.is_string()) texts.push_back(item.get<std::string>());
  }
  return texts.empty() ? "-" : absl::StrJoin(texts, ", ");
}

std::string OrDash(std::string text) { return text.empty() ? "-" : text; }

// Rows of cells, as wide as their widest.
class Table {
 public:
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string ToText(std::string_view indent = "") const {
    std::vector<int> widths;
    for (const auto& row : rows_) {
      if (widths.size() < row.size()) widths.resize(row.size());
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(row[i]));
    }
    std::string text;
    for (const auto& row : rows_) {
      text += indent;
      for (std::size_t i = 0; i < row.size(); ++i) text += i + 1 == row.size() ? row[i] : Padded(row[i], widths[i] + 2);
      text.push_back('\n');
    }
    return text;
  }
  bool empty() const { return rows_.empty(); }

 private:
  std::vector<std::vector<std::string>> rows_;
};

class Writer {
 public:
  explicit Writer(Language language) : language_(language) {}

  std::string Say(std::string_view zh, std::string_view en) const { return std::string(Words{zh, en}.In(language_)); }

  std::string Level(const json& level) const {
    const std::string decided = Text(level, "final");
    if (!decided.empty()) return NameOf("level", decided, language_);
    const std::string provisional = Text(level, "provisional");
    if (provisional.empty()) return "-";
    return NameOf("level", provisional, language_) + Say("（暂定）", " (provisional)");
  }

  std::string Receipt(const json& receipt) const {
    Table table;
    table.Add({Say("回执", "receipt"), Text(receipt, "report_id")});
    if (!Text(receipt, "case_id").empty()) table.Add({Say("事项", "case"), Text(receipt, "case_id")});
    if (!Text(receipt, "provisional_level").empty()) {
      table.Add({Say("暂定等级", "provisional"), NameOf("level", Text(receipt, "provisional_level"), language_)});
    }
    if (!Text(receipt, "state").empty()) table.Add({Say("状态", "state"), Text(receipt, "state")});
    table.Add({Say("受理时间", "accepted"), SchoolTime(Text(receipt, "accepted_time"))});
    const std::string advice = Text(receipt, "advice");
    return table.ToText() + (advice.empty() ? "" : advice + "\n");
  }

  std::string Cases(const json& answer) const {
    const json& cases = Member(answer, "cases");
    if (cases.empty()) return Say("没有事项", "no cases") + "\n";
    Table table;
    for (const json& one : cases) {
      table.Add({Text(one, "case_id"), Text(one, "code"), Text(one, "state"), Level(Member(one, "level")), OrDash(Text(one, "student_id")),
                 SchoolTime(Text(one, "opened_time")), Next(one)});
    }
    const std::string more = Text(answer, "next_page_token");
    return table.ToText() + (more.empty() ? "" : Say("还有：--page-token ", "more: --page-token ") + more + "\n");
  }

  std::string Next(const json& one) const {
    const json& next = Member(one, "next");
    if (!next.is_object() || Text(next, "kind").empty()) return "-";
    return NameOf("clock", Text(next, "kind"), language_) + " " + SchoolTime(Text(next, "due_time"));
  }

  std::string Case(const json& one) const {
    Table table;
    table.Add({Say("事项", "case"), Text(one, "case_id") + "  " + Text(one, "code")});
    table.Add({Say("学校", "school"), Text(one, "school")});
    table.Add({Say("学生", "student"), OrDash(Text(one, "student_id"))});
    table.Add({Say("等级", "level"), Level(Member(one, "level"))});
    table.Add({Say("状态", "state"), Text(one, "state")});
    table.Add({Say("负责", "responsible"), OrDash(Text(one, "responsible"))});
    table.Add({Say("看护", "with the child"), Joined(Member(Member(one, "custody"), "holders"))});
    table.Add({Say("下一项", "next"), Next(one)});
    Table alerts;
    for (const json& alert : Member(one, "alerts")) {
      if (Text(alert, "state") == "closed") continue;
      alerts.Add({Say("警报", "alert"), Text(alert, "id"), NameOf("ladder", Text(alert, "ladder"), language_), Text(alert, "state"), OrDash(Text(alert, "taken_by"))});
    }
    return table.ToText() + alerts.ToText();
  }

  std::string Timeline(const json& answer) const {
    std::string text;
    for (const json& row : Member(answer, "events")) absl::StrAppend(&text, Row(row), "\n");
    return text;
  }

  std::string Row(const json& row) const {
    const std::string actor = Text(Member(row, "actor"), "role").empty() ? Text(Member(row, "actor"), "person") : Text(Member(row, "actor"), "role");
    std::string text = absl::StrCat(SchoolTime(Text(row, "time")), "  ", Padded(Text(row, "type"), 20), "  ", Padded(actor, 18), "  ", Text(row, "summary"));
    if (Member(row, "void") == true) text += Say("（未生效）", " (void)");
    return text;
  }

  std::string Clocks(const json& answer) const {
    Table table;
    for (const json& clock : Member(answer, "clocks")) {
      std::string state = Text(clock, "state");
      if (Member(clock, "late") == true) state += Say("（迟）", " (late)");
      table.Add({NameOf("clock", Text(clock, "kind"), language_), state, SchoolTime(Text(clock, "start_time")), OrDash(SchoolTime(Text(clock, "due_time"))),
                 OrDash(SchoolTime(Text(clock, "met_time")))});
    }
    return table.ToText();
  }

  std::string Custody(const json& custody) const {
    Table table;
    for (const json& interval : Member(custody, "intervals")) {
      table.Add({SchoolTime(Text(interval, "from_time")), OrDash(SchoolTime(Text(interval, "to_time"))), Joined(Member(interval, "holders")),
                 Text(interval, "ended_by")});
    }
    std::string text = table.ToText();
    for (const json& gap : Member(custody, "gaps")) {
      absl::StrAppend(&text, Say("空档 ", "gap "), SchoolTime(Text(gap, "from_time")), " - ", OrDash(SchoolTime(Text(gap, "to_time"))), "  ",
                      Text(gap, "reason"), "\n");
    }
    if (!Text(custody, "code").empty()) absl::StrAppend(&text, Say("口令 ", "code "), Text(custody, "code"), "\n");
    return text;
  }

  std::string OnCall(const json& answer) const {
    Table table;
    for (const json& line : Member(answer, "lines")) {
      const json& unreachable = Member(line, "unreachable");
      table.Add({Text(line, "schedule"), Joined(Member(line, "staff_ids")),
                 unreachable.empty() ? "" : Say("无电话：", "without a telephone: ") + Joined(unreachable)});
    }
    return table.ToText();
  }

  std::string Clock(const json& clock) const {
    return absl::StrCat(SchoolTime(Text(clock, "now_time")), Say("  速度 ", "  speed "), Member(clock, "speed").dump(), "\n");
  }

  std::string Changes(const json& changes) const {
    std::string text;
    for (const json& change : Member(changes, "changes")) {
      absl::StrAppend(&text, "  ", Text(change, "change"), " ", Text(change, "section"), ".", Text(change, "id"), "\n");
      for (const json& key : Member(change, "keys")) absl::StrAppend(&text, "      ", key.is_string() ? key.get<std::string>() : key.dump(), "\n");
    }
    return text;
  }

  std::string Pack(const json& pack) const {
    std::string text = absl::StrCat(Say("现行 ", "in force "), Text(pack, "digest"), "  ", Text(pack, "common_id"), " ", Text(pack, "common_version"));
    if (!Text(pack, "adopted_by").empty()) {
      absl::StrAppend(&text, Say("，提出 ", ", proposed by "), Text(pack, "proposed_by"), Say("，采用 ", ", adopted by "), Text(pack, "adopted_by"), " ",
                      SchoolTime(Text(pack, "adopted_time")));
    }
    absl::StrAppend(&text, "\n", Changes(pack));
    const json& proposed = Member(pack, "proposed");
    if (proposed.is_object()) {
      absl::StrAppend(&text, Say("等待第二人批准 ", "waits for a second person "), Text(proposed, "digest"), Say("，提出 ", ", proposed by "), Text(proposed, "proposed_by"),
                      " ", SchoolTime(Text(proposed, "proposed_time")), "\n", Changes(proposed));
      for (const json& less : Member(proposed, "asks_less")) absl::StrAppend(&text, "  ", Say("放宽：", "asks less: "), less.is_string() ? less.get<std::string>() : "", "\n");
    }
    return text;
  }

  std::string Plain(const json& answer) const {
    if (!answer.is_object()) return answer.dump() + "\n";
    Table table;
    for (const auto& [name, value] : answer.items()) table.Add({name, value.is_string() ? value.get<std::string>() : value.dump()});
    return table.ToText();
  }

 private:
  Language language_;
};

}  // namespace

std::string SchoolTime(std::string_view rfc3339) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, View(rfc3339), &time, &error)) return std::string(rfc3339);
  absl::TimeZone zone;
  if (!absl::LoadTimeZone("Asia/Shanghai", &zone)) zone = absl::FixedTimeZone(8 * 60 * 60);
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", time, zone);
}

std::string Display(Answer answer, std::string_view body, Language language) {
  const json parsed = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return std::string(body);
  const Writer writer(language);
  switch (answer) {
    case Answer::kReceipt:
      return writer.Receipt(parsed);
    case Answer::kCase:
      return writer.Case(parsed);
    case Answer::kCases:
      return writer.Cases(parsed);
    case Answer::kTimeline:
      return writer.Timeline(parsed);
    case Answer::kClocks:
      return writer.Clocks(parsed);
    case Answer::kCustody:
      return writer.Custody(parsed);
    case Answer::kOnCall:
      return writer.OnCall(parsed);
    case Answer::kClock:
      return writer.Clock(parsed);
    case Answer::kPack:
      return writer.Pack(parsed);
    case Answer::kFile:  // its refusals alone come here
    case Answer::kPlain:
      return writer.Plain(parsed);
  }
  return std::string(body);
}

std::string DisplayProblem(int status, std::string_view body, Language language) {
  const json problem = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!problem.is_object()) return absl::StrCat(status, " ", View(HttpReason(status)), "\n");
  std::string text = absl::StrCat(status, " ", Text(problem, "title").empty() ? std::string(HttpReason(status)) : Text(problem, "title"));
  if (!Text(problem, "detail").empty()) absl::StrAppend(&text, ": ", Text(problem, "detail"));
  text += "\n";
  for (const json& error : Member(problem, "errors")) absl::StrAppend(&text, "  ", Text(error, "field"), ": ", Text(error, "reason"), "\n");
  if (!Text(problem, "state").empty()) {
    absl::StrAppend(&text, "  ", View(Words{"状态：", "state: "}.In(language)), Text(problem, "state"), "\n");
  }
  if (!Member(problem, "allowed").empty()) {
    absl::StrAppend(&text, "  ", View(Words{"可以：", "allowed: "}.In(language)), Joined(Member(problem, "allowed")), "\n");
  }
  return text;
}

std::string DisplayRow(std::string_view row, Language language) {
  const json parsed = json::parse(row, nullptr, /*allow_exceptions=*/false);
  return parsed.is_object() ? Writer(language).Row(parsed) : std::string(row);
}

}  // namespace vigil

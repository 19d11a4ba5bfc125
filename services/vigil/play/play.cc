#include "vigil/play/play.h"

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "machine/machine.h"
#include "vigil/embedded.h"
#include "vigil/play/live_events.h"
#include "vigil/play/narrator.h"
#include "vigil/play/stage.h"
#include "vigil/play/story.h"
#include "vigil/sample/sample_command.h"
#include "vigil/sample/sample_school.h"
#include "vigil/verify/verify_command.h"

namespace vigil {
namespace {

using nlohmann::json;

volatile std::sig_atomic_t g_interrupted = 0;

constexpr std::uint32_t kSeed = 1;
constexpr int kLabelColumn = 22;
constexpr int kCaseColumn = 34;

void Print(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

absl::Time TimeOf(const json& object, const char* name) {
  absl::Time time = absl::InfinitePast();
  std::string error;
  if (object.contains(name) && object.at(name).is_string()) absl::ParseTime(absl::RFC3339_full, object.at(name).get<std::string>(), &time, &error);
  return time;
}

// What the table says of one case, from its events and its custody chain.
class Summary {
 public:
  Summary(const Narrator& narrator, const std::vector<LiveEvent>& history, std::string case_id, std::string written_report, Language language)
      : narrator_(narrator), history_(history), case_id_(std::move(case_id)), written_report_(std::move(written_report)), language_(language) {}

  std::string FirstRing() const {
    const LiveEvent* report = First("report_received");
    const LiveEvent* ring = First("attempt_intended", "channel", "call");
    if (report == nullptr || ring == nullptr) return "-";
    return absl::StrCat(narrator_.SchoolClock(ring->time), Say("（", " ("), absl::ToInt64Seconds(ring->time - report->time), Say(" 秒后）", " s later)"));
  }
  std::string Taken() const {
    const LiveEvent* taken = First("alert_taken");
    return taken == nullptr ? "-" : absl::StrCat(narrator_.Called(taken->Detail("person")), Say("，", ", "), narrator_.SchoolClock(taken->time));
  }
  std::string WrittenReport() const {
    const LiveEvent* filed = First("record_filed", "kind", written_report_);
    if (filed == nullptr) return Say("没有", "none");
    return absl::StrCat(narrator_.SchoolClock(filed->time), filed->Detail("late") == "true" ? Say("（迟交）", " (late)") : Say("（按时）", " (in time)"));
  }
  std::string Guardian() const {
    const LiveEvent* handed = First("handed_over_to_guardian");
    if (handed == nullptr) return Say("没有", "no");
    return absl::StrCat(narrator_.Called(handed->Detail("guardian")), Say("，", ", "), narrator_.SchoolClock(handed->time));
  }
  // From the first adult who held the child to the guardian, and of it what nobody had confirmed.
  std::string Supervised(const json& custody) const {
    const LiveEvent* handed = First("handed_over_to_guardian");
    absl::Time from = absl::InfinitePast();
    for (const json& interval : custody.value("intervals", json::array())) {
      if (!interval.value("holders", json::array()).empty() && from == absl::InfinitePast()) from = TimeOf(interval, "from_time");
    }
    if (handed == nullptr || from == absl::InfinitePast()) return "-";
    return absl::StrFormat("%.1f", absl::ToDoubleHours(handed->time - from));
  }
  std::string Gaps(const json& custody) const {
    absl::Duration total;
    const json gaps = custody.value("gaps", json::array());
    for (const json& gap : gaps) {
      const absl::Time from = TimeOf(gap, "from_time");
      const absl::Time to = TimeOf(gap, "to_time");
      if (to > from) total += to - from;
    }
    if (gaps.empty()) return "0";
    return absl::StrCat(gaps.size(), Say("（共 ", " ("), absl::ToInt64Minutes(total), Say(" 分钟）", " min)"));
  }

 private:
  std::string Say(std::string_view zh, std::string_view en) const { return std::string(Words{zh, en}.In(language_)); }
  const LiveEvent* First(std::string_view type, std::string_view name = "", std::string_view value = "") const {
    for (const LiveEvent& event : history_) {
      if (event.has_effect && event.case_id == case_id_ && event.type == type && (name.empty() || event.Detail(name) == value)) return &event;
    }
    return nullptr;
  }

  const Narrator& narrator_;
  const std::vector<LiveEvent>& history_;
  const std::string case_id_;
  const std::string written_report_;
  const Language language_;
};

class Play {
 public:
  Play(const RunOptions& options, const Environment& environment, SigningKey token_key)
      : options_(options), environment_(environment), token_key_(std::move(token_key)), script_(json::parse(embedded::kStory)) {}

  absl::Status Run() {
    const Language language = options_.connection.language;
    school_ = MakeSampleSchool(kSeed, 1, script_.at("students").get<int>());
    if (absl::Status status = Load(); !status.ok()) return status;
    Narrator narrator(school_, language, Print);
    // From the school's partition's first message on, so that nothing is missed between asking for the stream and the first report.
    LiveEvents events(options_.connection, {.school = school_.id, .after = absl::StrFormat("%02d-1-0", PartitionOf(school_.id))});
    Stage stage({.connection = options_.connection, .sandbox_url = environment_.Get("VIGIL_SANDBOX_URL"), .interrupted = [] { return g_interrupted != 0; }},
                school_, token_key_, events, narrator);
    Story story(script_, school_, stage, narrator, language);
    const absl::Status played = story.Play();
    narrator.Flush();
    const absl::Status shown = ShowTable(story, stage, narrator);
    return played.ok() ? shown : played;
  }

  // Where to look on, already signed in.
  std::string Link() const {
    const std::string person = absl::StrCat(school_.id, "-", script_.at("supervisor").get<std::string>());
    const SamplePerson* supervisor = school_.Find(person);
    const std::string token = supervisor == nullptr ? "" : SampleToken(token_key_, school_, supervisor->id, supervisor->role, SampleTokenExpiry());
    return absl::StrCat(options_.connection.url, "/#token=", token, "&lang=", options_.connection.language == Language::kChinese ? "zh" : "en");
  }

 private:
  std::string Say(std::string_view zh, std::string_view en) const { return std::string(Words{zh, en}.In(options_.connection.language)); }

  absl::Status Load() {
    constexpr absl::Duration kPatience = absl::Seconds(60);
    const absl::Time end = absl::Now() + kPatience;
    absl::Status status = LoadSampleSchool(options_.connection, school_);
    while (absl::IsUnavailable(status) && absl::Now() < end && g_interrupted == 0) {
      absl::SleepFor(absl::Milliseconds(200));
      status = LoadSampleSchool(options_.connection, school_);
    }
    return status;
  }

  absl::Status ShowTable(const Story& story, Stage& stage, const Narrator& narrator) {
    const Language language = options_.connection.language;
    std::vector<std::pair<std::string, std::vector<std::string>>> rows = {
        {Say("事项", "case"), {}},           {Say("首次拨出", "first ring"), {}}, {Say("谁接手", "taken by"), {}},
        {Say("书面报告", "written report"), {}}, {Say("监护（小时）", "hours supervised"), {}}, {Say("空档", "gaps"), {}},
        {Say("家长签字", "guardian signed"), {}},
    };
    for (const auto& [name, case_id] : story.cases()) {
      const Summary summary(narrator, stage.history(), case_id, script_.at("written_report").get<std::string>(), language);
      const absl::StatusOr<json> custody = stage.Get(absl::StrCat("/api/v1/cases/", case_id, "/custody"));
      const json chain = custody.ok() ? *custody : json::object();
      const std::string cells[] = {script_.at("cases").at(name).at(language == Language::kChinese ? "zh" : "en").get<std::string>(),
                                   summary.FirstRing(), summary.Taken(), summary.WrittenReport(), summary.Supervised(chain), summary.Gaps(chain),
                                   summary.Guardian()};
      for (std::size_t i = 0; i < rows.size(); ++i) rows[i].second.push_back(cells[i]);
    }
    Print("");
    for (const auto& [label, cells] : rows) {
      std::string line = Padded(label, kLabelColumn);
      for (const std::string& cell : cells) line += Padded(cell, kCaseColumn);
      while (line.ends_with(' ')) line.pop_back();
      Print(line);
    }
    const absl::StatusOr<Verified> verified = VerifyAll(options_.connection, environment_);
    Print(Padded(Say("账本核对", "ledger verified"), kLabelColumn) +
          (verified.ok() ? absl::StrCat(verified->commits, Say(" 条提交，", " commits in "), verified->partitions, Say(" 个分区", " partitions"))
                         : std::string(verified.status().message())));
    return verified.status();
  }

  const RunOptions& options_;
  const Environment& environment_;
  const SigningKey token_key_;
  const json script_;
  SampleSchool school_;
};

}  // namespace

ExitCode RunPlay(const PlayOptions& play, const RunOptions& options, const Environment& environment) {
  std::signal(SIGINT, [](int) { g_interrupted = 1; });
  std::signal(SIGTERM, [](int) { g_interrupted = 1; });
  const auto say = [&](std::string_view zh, std::string_view en) { return std::string(Words{zh, en}.In(options.connection.language)); };
  absl::StatusOr<SigningKey> key = ReadTokenKey(environment);
  if (!key.ok()) {
    std::fprintf(stderr, "vigil: %s\n", std::string(key.status().message()).c_str());
    return kExitRefused;
  }
  Play performance(options, environment, *std::move(key));
  const absl::Status status = performance.Run();
  Print("");
  if (!status.ok()) {
    Print(absl::StrCat(say("demo: 没有成功：", "demo: failed: "), std::string(status.message())));
    return absl::IsUnavailable(status) ? kExitUnreachable : kExitRefused;
  }
  Print("demo: ok");
  if (play.once) return kExitDone;
  Print(say("打开看看（已登录；证书由本次安装签发）：", "Have a look (signed in; the certificate is this installation's own):"));
  Print(performance.Link());
  Print(say("Ctrl-C 结束。", "Ctrl-C ends it."));
  while (g_interrupted == 0) absl::SleepFor(absl::Milliseconds(100));
  return kExitDone;
}

}  // namespace vigil

// RELIABILITY.md, test 3: every service is killed at every step of the main job; the case ends as if nothing had happened.
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "chaos/nemesis.h"

namespace vigil::chaos {
namespace {

class MainJob {
 public:
  MainJob(Nemesis& nemesis, int student, std::string name) : nemesis_(nemesis), school_(nemesis.school()), student_(student), name_(std::move(name)) {}

  // The steps in order. Each is a command, sent again under its key until it is done, as a person would who is told to try again.
  static constexpr int kSteps = 10;
  void Do(int step) {
    const auto token = [&](const char* who) { return school_.Staff(who).token; };
    switch (step) {
      case 0: {
        const json report{{"student", {{"id", school_.students[static_cast<std::size_t>(student_)]}}},
                          {"signals", {"W1a"}},
                          {"in_sight", {{"staff_id", school_.Staff("class-1-1").id}}},
                          {"narrative", kCanary}};
        const Answer answer = nemesis_.Report(report, true, Key("report"));
        ASSERT_EQ(answer.status, 201) << answer;
        const std::string receipt = "/api/v1/schools/" + school_.id + "/reports/" + answer.body.at("report_id").get<std::string>();
        ASSERT_TRUE(Eventually(absl::Seconds(20), [&] {
          case_ = nemesis_.stack().Get(receipt).body.value("case_id", "");
          return !case_.empty();
        }));
        ASSERT_TRUE(Eventually(absl::Seconds(20), [&] { return !Alert().is_null(); }));
        return;
      }
      case 1: {
        json found;
        ASSERT_TRUE(Eventually(absl::Seconds(30), [&] { return !(found = Alert()).is_null(); }));
        const std::string alert = found.at("id");
        ASSERT_TRUE(Eventually(absl::Seconds(30), [&] {
          const Answer taken = nemesis_.stack().Post("/api/v1/alerts/" + alert + ":take", json::object(), token("leader"), Key("take"));
          return taken.status == 200;
        }));
        return;
      }
      case 2: return Command("recordPhoneReport", {{"with_staff_id", school_.Staff("leader").id}, {"spoken_time", stack::Rfc3339(started_)}}, token("class-1-1"));
      case 3: return Command("confirmInSight", {{"staff_id", school_.Staff("class-1-1").id}}, token("class-1-1"));
      case 4: return Command("fileWrittenReport", {{"fields", {{"place", "教室"}, {"actions", "已陪伴"}}}}, token("class-1-1"));
      case 5: return Command("receiveWrittenReport", json::object(), token("leader"));
      case 6:
        return Command("assess",
                       {{"level", "severe"}, {"kind", "group"}, {"members", {school_.Staff("assessor").id, school_.Staff("counsellor-2").id}},
                        {"face_to_face", true}, {"rationale", "当面评估"}},
                       token("assessor"));
      case 7:
        return Command("recordGuardianContact",
                       {{"guardian_id", Guardian()}, {"outcome", "reached"}, {"arrival_time", stack::Rfc3339(started_ + absl::Hours(1))}}, token("class-1-1"));
      case 8:
        return Command("handOverToGuardian",
                       {{"guardian_id", Guardian()},
                        {"identity_checked", true},
                        {"fields", {{"child_state", "平静"}, {"advice_given", true}, {"destination", "hospital"}}},
                        {"signatures", {Guardian(), school_.Staff("leader").id}}},
                       token("leader"));
      case 9: return Command("recuse", {{"staff_id", school_.Staff("teacher-1-1").id}, {"reason", "回避"}}, token("leader"));
      default: FAIL();
    }
  }

  // What may not depend on crashes.
  json End() const {
    const json now = nemesis_.stack().Case(case_);
    json end{{"state", now.at("state")}, {"level", now.at("level")}};
    std::map<std::string, std::string> clocks;
    for (const json& clock : now.at("clocks")) clocks[clock.at("kind")] = clock.at("state");
    end["clocks"] = clocks;
    std::multiset<std::string> records;
    for (const json& record : now.at("records")) records.insert(record.at("kind").get<std::string>());
    end["records"] = records;
    end["reports"] = now.at("reports").size();
    end["supervised"] = now.at("custody").at("supervised");
    end["alert"] = stack::AlertOf(now, "severe_ladder").value("state", "");
    std::map<std::string, int> told;
    for (const json& row : nemesis_.stack().Get("/api/v1/cases/" + case_ + "/timeline").body.at("events")) {
      static const std::set<std::string> kOnce = {"report_received", "classified", "alert_raised", "alert_taken", "spoken", "sight_confirmed", "record_filed",
                                                  "record_acknowledged", "assessed", "guardian_contacted", "handed_over_to_guardian", "recused"};
      if (kOnce.contains(row.at("type").get<std::string>()) && !row.value("void", false)) ++told[row.at("type")];
    }
    end["told"] = told;
    return end;
  }

 private:
  std::string Key(const std::string& step) const { return name_ + "-" + step; }
  std::string Guardian() const { return school_.GuardiansOf(school_.students[static_cast<std::size_t>(student_)]).front().id; }
  // Null while intake is away.
  json Alert() const {
    const json now = nemesis_.stack().Get("/api/v1/cases/" + case_).body;
    return now.is_object() && now.contains("alerts") ? stack::AlertOf(now, "severe_ladder") : json();
  }
  void Command(const std::string& command, const json& body, const std::string& token) {
    Answer answer;
    EXPECT_TRUE(Eventually(absl::Seconds(30), [&] {
      answer = nemesis_.stack().Command(case_, command, body, token, Key(command));
      return answer.status == 200;
    })) << command << ": " << answer;
  }

  Nemesis& nemesis_;
  const School& school_;
  const int student_;
  const std::string name_;
  const absl::Time started_ = nemesis_.stack().DomainNow();
  std::string case_;
};

TEST(ServicesChaosTest, KilledAtEveryStep_TheCaseEndsTheSame) {
  Nemesis nemesis({.students = 80});
  MainJob undisturbed(nemesis, 0, "undisturbed");
  for (int step = 0; step < MainJob::kSteps; ++step) undisturbed.Do(step);
  const auto settled = [](const MainJob& job, const json& wanted) {
    json end;
    Eventually(absl::Seconds(10), [&] { return (end = job.End()) == wanted; });
    return end;
  };
  // What nothing changes any more.
  json wanted = undisturbed.End();
  ASSERT_TRUE(Eventually(absl::Seconds(20), [&] {
    absl::SleepFor(absl::Seconds(1));
    const json before = std::exchange(wanted, undisturbed.End());
    return before == wanted;
  }));
  std::cout << "undisturbed: " << wanted << "\n";

  // Short: each service at every other step, once before and once after the command. Full: at every step, twice.
  const int stride = Count(3, 1);
  int kills = 0;
  int student = 1;
  for (const bool before : {true, false}) {
    for (int offset = 0; offset < (stride == 1 ? 6 : 1); ++offset) {
      SCOPED_TRACE(absl::StrCat(before ? "before" : "right after", " each step, from service ", offset));
      MainJob job(nemesis, student, absl::StrCat("job-", student));
      ++student;
      for (int step = 0; step < MainJob::kSteps; ++step) {
        const char* service = stack::kServices[static_cast<std::size_t>(step + offset) % 6];
        SCOPED_TRACE(absl::StrCat("step ", step, " ", service));
        if (before) nemesis.Kill(service);
        job.Do(step);
        if (::testing::Test::HasFatalFailure()) return;
        if (!before) nemesis.Kill(service);
        ++kills;
      }
      EXPECT_TRUE(Eventually(absl::Seconds(20), [&] { return nemesis.stack().Get("/readyz").status == 200; }));
      EXPECT_EQ(settled(job, wanted), wanted);
    }
  }
  Figure("kills", absl::StrCat(kills));
  nemesis.Judge();
}

}  // namespace
}  // namespace vigil::chaos

// RELIABILITY.md, test 12: the same request again, after an hour, after restarts of everything, after a flush: one effect, the first answer.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "chaos/nemesis.h"

namespace vigil::chaos {
namespace {

TEST(AgainChaosTest, OneEffectAndTheFirstAnswerForEver) {
  Nemesis nemesis({.speed = 1, .students = 20});
  Stack& stack = nemesis.stack();
  const School& school = nemesis.school();
  const int many = Count(12, 1000);
  struct Sent {
    std::function<Answer()> send;
    Answer first;
  };
  std::vector<Sent> sent;
  const auto send = [&](std::function<Answer()> request) {
    Sent one{std::move(request), {}};
    one.first = one.send();
    EXPECT_TRUE(one.first.ok()) << one.first;
    sent.push_back(std::move(one));
    return sent.back().first;
  };
  for (int i = 0; i < many; ++i) {
    const Answer report = send([&, i] { return stack.Report(school, i % 3 == 0 ? nemesis.Severe(i) : nemesis.Quiet(i), "", absl::StrCat("again-", i)); });
    const std::string case_id = report.body.at("case_id");
    send([&, i, case_id] {
      return stack.Post("/api/v1/cases/" + case_id + "/records", {{"kind", "observation"}, {"fields", {{"note", "x"}}}}, "", absl::StrCat("record-", i));
    });
  }
  const std::uint64_t before = stack.LastSequence(school.partition());
  const auto same = [&](const char* when) {
    for (const Sent& one : sent) {
      const Answer again = one.send();
      EXPECT_EQ(again.status, one.first.status) << when;
      EXPECT_EQ(again.text, one.first.text) << when;
    }
  };
  same("at once");
  stack.SetSpeed(3600);
  absl::SleepFor(absl::Milliseconds(1500));
  stack.SetSpeed(1);
  same("an hour later");
  EXPECT_EQ(stack.Vigil("--help >/dev/null; redis-cli -u \"$VIGIL_REDIS_URL\" --no-auth-warning FLUSHALL").exit_code, 0);
  same("after a flush");
  for (const char* service : stack::kServices) nemesis.KillAndAwait(service);
  EXPECT_TRUE(Eventually(absl::Seconds(30), [&] { return stack.Get("/readyz").status == 200; }));
  same("after every service was killed");
  stack.Down();
  stack.Up();
  same("after everything was stopped and started");
  const json page = stack.Get("/api/v1/schools/" + school.id + "/cases?page_size=500").body;
  std::size_t reports = 0;
  std::size_t records = 0;
  for (const json& one : page.at("cases")) {
    reports += one.at("reports").size();
    records += one.at("records").size();
  }
  EXPECT_EQ(reports, static_cast<std::size_t>(many)) << "each once";
  EXPECT_EQ(records, static_cast<std::size_t>(many));
  Figure("requests_repeated", absl::StrCat(sent.size() * 5));
  Figure("sequence_before_and_after", absl::StrCat(before, " ", stack.LastSequence(school.partition())));
  nemesis.Judge();
}

}  // namespace
}  // namespace vigil::chaos

// RELIABILITY.md, test 2, for the log: a partition's stream is lost, with everything running and from a cold start. It is noticed before any append,
// severe reports ring all the same, and `vigil repair` brings back every message where it stood.
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "chaos/nemesis.h"

namespace vigil::chaos {
namespace {

class RepairChaosTest : public ::testing::Test {
 protected:
  // Everything stops, one partition's files are gone, everything starts.
  static void LoseStream(Nemesis& nemesis) {
    Stack& stack = nemesis.stack();
    stack.Down();
    const std::string stream = StreamName(nemesis.school().partition());
    int removed = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(stack.home() + "/nats/store")) {
      if (entry.is_directory() && entry.path().filename() == stream) {
        std::filesystem::remove_all(entry.path());
        ++removed;
        break;
      }
    }
    ASSERT_EQ(removed, 1) << stream;
  }
};

TEST_F(RepairChaosTest, ALostStreamIsNoticedRungPastAndRepairedToTheByte) {
  Nemesis nemesis({.students = 30});
  Stack& stack = nemesis.stack();
  for (int i = 0; i < 12; ++i) nemesis.Report(nemesis.Quiet(i), false, absl::StrCat("before-", i));
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] { return nemesis.Drained(); }));
  absl::SleepFor(absl::Seconds(5));  // the ledger has it, positions and the emergency list are on disk
  const int partition = nemesis.school().partition();
  const std::vector<LogMessage> before = stack.Messages(partition);
  ASSERT_GT(before.size(), 10U);

  LoseStream(nemesis);
  // It cannot become ready; that is the point.
  EXPECT_ANY_THROW(stack.UpWithin(absl::Seconds(25)));
  EXPECT_EQ(stack.LastSequence(partition), 0U) << "nothing was appended to the stream that was made anew";
  EXPECT_GE(stack.Metric("INTAKE", "vigil_machine_stopped_partitions"), 1);
  EXPECT_THAT(stack.LogText("intake"), ::testing::HasSubstr("stands still"));
  EXPECT_EQ(stack.Get("/readyz").status, 503);

  const std::size_t calls = stack.Count(nemesis.school().leader_phone, "call");
  const absl::Time asked = absl::Now();
  EXPECT_EQ(nemesis.Report(nemesis.Severe(20), true, "severe-while-lost").status, 201);
  EXPECT_TRUE(Eventually(absl::Seconds(10), [&] { return stack.Count(nemesis.school().leader_phone, "call") > calls; }));
  Figure("rang_while_stream_lost", absl::FormatDuration(absl::Now() - asked));

  const absl::Time repair = absl::Now();
  const stack::Outcome repaired = stack.Vigil("repair --json");
  ASSERT_EQ(repaired.exit_code, 0) << repaired.out << repaired.err;
  Figure("repair_took", absl::FormatDuration(absl::Now() - repair));
  EXPECT_TRUE(Eventually(absl::Seconds(40), [&] { return stack.Get("/readyz").status == 200; }));
  Figure("ready_after_repair", absl::FormatDuration(absl::Now() - repair));
  const std::vector<LogMessage> after = stack.Messages(partition);
  ASSERT_GT(after.size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    ASSERT_EQ(after[i].sequence, before[i].sequence);
    ASSERT_EQ(after[i].source, before[i].source) << i;
    ASSERT_EQ(after[i].body, before[i].body) << "message " << before[i].sequence << " is the old one, byte for byte";
  }
  nemesis.Judge();
}

}  // namespace
}  // namespace vigil::chaos

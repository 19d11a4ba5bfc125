// RELIABILITY.md, test 10: somebody who has got round the broker's permissions writes on our subjects, under load.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "chaos/nemesis.h"
#include "machine/batch_codec.h"
#include "platform/log/nats_client.h"

namespace vigil::chaos {
namespace {

TEST(ForgeryChaosTest, ForgedReplayedAndReorderedBatchesAreSkippedByEveryReaderAndTheWritersGoOn) {
  Nemesis nemesis({.students = 40});
  Stack& stack = nemesis.stack();
  const int partition = nemesis.school().partition();
  for (int i = 0; i < 5; ++i) nemesis.Report(nemesis.Quiet(i), false, absl::StrCat("before-", i));
  // So that notification has written too.
  nemesis.Report(nemesis.Severe(5), true, "before-severe");
  std::map<std::string, double> refused;
  constexpr const char* kReaders[] = {"INTAKE", "RISK_RULES", "ESCALATION_TIMER", "NOTIFICATION", "AUDIT"};
  for (const char* service : kReaders) refused[service] = stack.Metric(service, "vigil_machine_refused_messages_total");

  std::map<std::string, std::vector<LogMessage>> genuine;
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] {
    genuine.clear();
    for (LogMessage& message : stack.Messages(partition)) genuine[message.source].push_back(std::move(message));
    return !genuine["intake"].empty() && !genuine["notice"].empty();
  }));
  SystemRandom random;
  const SigningKey own = SigningKey::Generate(random);
  nemesis.StartLoad(3, 50);
  const int rounds = Count(4, 100);
  int forged = 0;
  for (int round = 0; round < rounds; ++round) {
    for (const char* source : {"intake", "notice"}) {
      const std::vector<LogMessage>& old = genuine[source];
      ASSERT_FALSE(old.empty());
      const std::string& replayed = old[static_cast<std::size_t>(round) % old.size()].body;
      const auto decoded = DecodeOwnBatch(replayed);
      ASSERT_TRUE(decoded.ok());
      std::string altered = replayed;
      altered[altered.size() / 2] = static_cast<char>(altered[altered.size() / 2] ^ 0x20);
      const std::unique_ptr<NatsClient> intruder = stack.Nats(source);
      for (const std::string& body : {replayed, altered, EncodeBatch(partition, source, BatchHash(old.back().body), decoded->commits, own),
                                      EncodeBatch((partition + 1) % 16, source, "", decoded->commits, own), std::string("not a batch"), std::string()}) {
        ASSERT_TRUE(intruder->Call(SubjectName(partition, source), body).ok());
        ++forged;
      }
    }
    // Once more what another source said, on this one's subject.
    ASSERT_TRUE(stack.Nats("timer")->Call(SubjectName(partition, "timer"), genuine["intake"].front().body).ok());
    ++forged;
  }
  absl::SleepFor(absl::Seconds(1));
  nemesis.StopLoad();
  for (const auto& [service, count] : refused) {
    EXPECT_TRUE(Eventually(absl::Seconds(10), [&, s = service, n = count] { return stack.Metric(s, "vigil_machine_refused_messages_total") == n + forged; }))
        << service << " notices each, and nothing else: " << stack.Metric(service, "vigil_machine_refused_messages_total") - count << " of " << forged;
  }
  Figure("forged", absl::StrCat(forged));
  const Verdict verdict = nemesis.Judge();
  EXPECT_EQ(verdict.skipped, static_cast<std::uint64_t>(forged));
}

}  // namespace
}  // namespace vigil::chaos

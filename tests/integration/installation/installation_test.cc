#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "integration/installation/test_home.h"
#include "platform/custody/custody.h"
#include "supervisor/certificates.h"
#include "supervisor/child.h"
#include "supervisor/custodians.h"
#include "supervisor/files.h"
#include "supervisor/installation.h"
#include "supervisor/ports.h"
#include "supervisor/supervisor.h"
#include "supervisor/synchronous_store.h"

namespace vigil::installation {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

bool Eventually(absl::Duration patience, const std::function<bool()>& holds) {
  const absl::Time end = absl::Now() + patience;
  while (!holds()) {
    if (absl::Now() > end) return false;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return true;
}

constexpr const char* kForever = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

TEST(InstallationTest, BrokersThatAreKilledAreBackWithinASecond) {
  const TestHome home;
  ASSERT_EQ(home.Init("--not-durable").exit_code, 0);
  const CommandResult run = home.Run();
  ASSERT_EQ(run.exit_code, 0) << run.output;
  for (const auto& [variable, offset] :
       std::map<std::string, int>{{"VIGIL_PID_NATS", kNatsPortOffset}, {"VIGIL_PID_REDIS", kRedisPortOffset}}) {
    const pid_t before = home.PidOf(variable);
    ASSERT_GT(before, 0);
    ASSERT_EQ(kill(before, SIGKILL), 0);
    EXPECT_TRUE(Eventually(absl::Seconds(1), [&] {
      return kill(before, 0) != 0 && Accepts(home.port() + offset, absl::Milliseconds(100));
    })) << variable;
    EXPECT_TRUE(Eventually(absl::Seconds(1), [&] {
      const pid_t now = home.PidOf(variable);
      return now > 0 && now != before && kill(now, 0) == 0;
    })) << "env names the new process";
  }
}

TEST(InstallationTest, AServiceThatKeepsDyingIsTriedAtLeastOnceASecondAndTheOthersAreLeftAlone) {
  const TestHome home;
  const std::filesystem::path starts = home.layout().home() / "logs" / "starts";
  home.Pretend("intake", absl::StrCat("echo x >>", starts.string(), "; exit 1"));
  home.Pretend("audit", kForever);
  ASSERT_EQ(home.Init("--not-durable").exit_code, 0);
  ASSERT_EQ(home.Run().exit_code, 0);
  const pid_t audit = home.PidOf("VIGIL_PID_AUDIT");
  ASSERT_GT(audit, 0);
  // 0, 100, 300, 700, 1500, 2400, 3300 ms
  EXPECT_TRUE(Eventually(absl::Seconds(6), [&] {
    return std::filesystem::exists(starts) && std::filesystem::file_size(starts) >= 2 * 6;
  }));
  EXPECT_EQ(home.PidOf("VIGIL_PID_AUDIT"), audit);
  ASSERT_EQ(kill(audit, SIGKILL), 0);
  EXPECT_TRUE(Eventually(absl::Seconds(1), [&] {
    const pid_t now = home.PidOf("VIGIL_PID_AUDIT");
    return now > 0 && now != audit && kill(now, 0) == 0;
  }));
}

TEST(InstallationTest, ASecondRunStartsWhatIsMissingAndChangesNothingElse) {
  const TestHome home;
  ASSERT_EQ(home.Init("--not-durable").exit_code, 0);
  ASSERT_EQ(home.Run("--no-restart-brokers").exit_code, 0);
  const pid_t nats = home.PidOf("VIGIL_PID_NATS");
  const pid_t redis = home.PidOf("VIGIL_PID_REDIS");
  ASSERT_EQ(kill(redis, SIGKILL), 0);
  ASSERT_TRUE(Eventually(absl::Seconds(2), [&] { return home.PidOf("VIGIL_PID_REDIS") == 0; }))
      << "a broker that may stay down";
  home.Pretend("gateway", kForever);
  ASSERT_EQ(home.Init().exit_code, 0);
  ASSERT_EQ(home.Run().exit_code, 0);
  EXPECT_TRUE(Eventually(absl::Seconds(2),
                         [&] { return home.PidOf("VIGIL_PID_REDIS") > 0 && home.PidOf("VIGIL_PID_GATEWAY") > 0; }));
  EXPECT_NE(home.PidOf("VIGIL_PID_REDIS"), redis);
  EXPECT_EQ(home.PidOf("VIGIL_PID_NATS"), nats);
}

TEST(InstallationTest, NothingOutlivesTheSupervisor) {
  const TestHome home;
  home.Pretend("audit", kForever);
  ASSERT_EQ(home.Init("--not-durable").exit_code, 0);
  ASSERT_EQ(home.Run().exit_code, 0);
  std::set<pid_t> pids;
  for (const char* variable : {"VIGIL_PID_NATS", "VIGIL_PID_REDIS", "VIGIL_PID_AUDIT"})
    pids.insert(home.PidOf(variable));
  ASSERT_EQ(pids.count(0), 0u);
  const absl::StatusOr<std::string> supervisor = ReadFile(home.layout().run("supervisor.pid"));
  ASSERT_TRUE(supervisor.ok());
  ASSERT_EQ(kill(std::stoi(*supervisor), SIGKILL), 0);
  EXPECT_TRUE(Eventually(absl::Seconds(5), [&] {
    for (const pid_t pid : pids) {
      if (kill(pid, 0) == 0) return false;
    }
    return true;
  }));
  EXPECT_EQ(home.Command("status").exit_code, 3);
}

TEST(InstallationTest, StopEndsAServiceThatWillNot) {
  const TestHome home;
  home.Pretend("audit", "trap '' TERM; while :; do sleep 0.05; done");
  ASSERT_EQ(home.Init("--not-durable").exit_code, 0);
  ASSERT_EQ(home.Run().exit_code, 0);
  const pid_t audit = home.PidOf("VIGIL_PID_AUDIT");
  ASSERT_GT(audit, 0);
  EXPECT_EQ(home.Stop().exit_code, 0);
  EXPECT_NE(kill(audit, 0), 0);
  EXPECT_FALSE(Accepts(home.port() + kNatsPortOffset, absl::Milliseconds(100)));
}

TEST(InstallationTest, HomeIsForItsOwnerAloneAndTheStoreIsSynchronous) {
  const TestHome home;
  const CommandResult init = home.Init();
  if (init.exit_code != 0 && init.output.find("--not-durable") != std::string::npos) GTEST_SKIP() << init.output;
  ASSERT_EQ(init.exit_code, 0) << init.output;
  const CommandResult run = home.Run();
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const absl::Status synchronous = VerifySynchronous(home.layout().nats_store());
  EXPECT_TRUE(synchronous.ok()) << synchronous;
  int seen = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home.layout().home())) {
    struct stat status = {};
    ASSERT_EQ(lstat(entry.path().c_str(), &status), 0) << entry.path();
    EXPECT_EQ(status.st_mode & 0077u, 0u) << entry.path();
    ++seen;
  }
  EXPECT_GT(seen, 60);
}

TEST(InstallationTest, AStoreThatLostItsAttributeIsRefused) {
  const TestHome home;
  const CommandResult init = home.Init();
  if (init.exit_code != 0 && init.output.find("--not-durable") != std::string::npos) GTEST_SKIP() << init.output;
  std::filesystem::remove(home.layout().nats_store());
  std::filesystem::create_directory(home.layout().nats_store());
  const CommandResult refused = home.Run();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, HasSubstr("chattr"));
  ASSERT_EQ(home.Init("--not-durable").exit_code, 0);
  EXPECT_EQ(home.Run().exit_code, 0);
  const absl::StatusOr<std::string> config = ReadFile(home.layout().config("gateway"));
  ASSERT_TRUE(config.ok());
  EXPECT_THAT(*config, HasSubstr("not_durable = true"));
}

TEST(InstallationTest, ABusyPortIsNamedWithTheProcessThatHasIt) {
  const TestHome first;
  ASSERT_EQ(first.Init("--not-durable").exit_code, 0);
  ASSERT_EQ(first.Run().exit_code, 0);
  const TestHome second;
  ASSERT_EQ(second.Init("--not-durable").exit_code, 0);
  const CommandResult run = second.Run("", absl::StrCat("VIGIL_PORT=", first.port()));
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.output, HasSubstr(absl::StrCat("port ", first.port() + kNatsPortOffset)));
  EXPECT_THAT(run.output, HasSubstr("nats-server (pid "));
}

TEST(InstallationTest, ARehearsalAndAnInstallationForUseAreNotMixedUp) {
  const TestHome used;
  ASSERT_EQ(used.Init("--not-durable").exit_code, 0);
  EXPECT_EQ(used.Init("--rehearsal --speed 60").exit_code, 1);
  EXPECT_EQ(used.Init("--speed 60").exit_code, 2);
  const TestHome rehearsal;
  ASSERT_EQ(rehearsal.Init("--not-durable --rehearsal --speed 60").exit_code, 0);
  EXPECT_EQ(rehearsal.Init().exit_code, 0);
  EXPECT_EQ(rehearsal.Init("--rehearsal --speed 61").exit_code, 1);
  ASSERT_EQ(rehearsal.Run().exit_code, 0);
  const absl::StatusOr<std::string> config = ReadFile(rehearsal.layout().config("intake"));
  ASSERT_TRUE(config.ok());
  EXPECT_THAT(*config, HasSubstr("rehearsal = true\nspeed = 60\n"));
}

TEST(InstallationTest, AnOutsidePhoneNetworkIsUsedInsteadOfOurs) {
  const TestHome home;
  home.Pretend("sandbox", kForever);
  ASSERT_EQ(home.Init("--not-durable").exit_code, 0);
  EXPECT_EQ(home.Run("", "VIGIL_SANDBOX_URL=http://127.0.0.1:9").exit_code, 1) << "its secret is not known";
  ASSERT_EQ(home.Run("", "VIGIL_SANDBOX_URL=http://127.0.0.1:9 VIGIL_SANDBOX_SECRET=known").exit_code, 0);
  auto environment = home.Environment();
  EXPECT_EQ(environment["VIGIL_SANDBOX_URL"], "http://127.0.0.1:9");
  EXPECT_EQ(environment["VIGIL_SANDBOX_SECRET"], "known");
  EXPECT_EQ(home.PidOf("VIGIL_PID_SANDBOX"), 0);
  ASSERT_EQ(home.Stop().exit_code, 0);
  // A shell that has read our own env names our own sandbox.
  const std::string own = absl::StrCat("http://127.0.0.1:", home.port() + kSandboxPortOffset);
  const CommandResult again = home.Run("", absl::StrCat("VIGIL_SANDBOX_URL=", own, " VIGIL_SANDBOX_SECRET=other"));
  ASSERT_EQ(again.exit_code, 0) << again.output;
  environment = home.Environment();
  EXPECT_EQ(environment["VIGIL_SANDBOX_URL"], own);
  EXPECT_GT(home.PidOf("VIGIL_PID_SANDBOX"), 0);
}

TEST(InstallationTest, EachServiceGetsOnlyTheSecretsItNeeds) {
  const TestHome home;
  ASSERT_EQ(home.Init("--not-durable").exit_code, 0);
  ASSERT_EQ(home.Run().exit_code, 0);
  for (const Service& service : kServices) {
    const absl::StatusOr<std::string> config = ReadFile(home.layout().config(service.name));
    ASSERT_TRUE(config.ok());
    EXPECT_EQ(config->find("installation_key_file") != std::string::npos,
              service.name != "escalation-timer" && service.name != "audit");
    EXPECT_EQ(config->find("signing_key_file") != std::string::npos,
              service.name != "audit" && service.name != "gateway");
    EXPECT_EQ(config->find("check_in_key_file") != std::string::npos, service.name == "intake");
    EXPECT_EQ(config->find("checkpoint_key_file") != std::string::npos, service.name == "audit");
    EXPECT_THAT(*config, Not(HasSubstr("token.sign")));
    EXPECT_THAT(*config, Not(HasSubstr("ca.key")));
  }
}

// Durability: either custodian opens the secrets, on another machine, with the machine gone.
TEST(InstallationTest, SecretsAreSealedToTwoCustodiansAndMakeTheInstallationAgain) {
  const TestHome home;
  if (home.Init().exit_code != 0) {
    ASSERT_EQ(home.Init("--not-durable").exit_code, 0);
  }
  const Layout& layout = home.layout();
  const std::string sealed = *ReadFile(layout.custodians(kSealedSecretsFile));
  const std::string first = *ReadFile(layout.custodians("custodian-1.key"));
  std::map<std::string, std::string> opened;
  for (const char* file : {"custodian-1.key", "custodian-2.key"}) {
    const absl::StatusOr<BoxSecretKey> key = ParseCustodianFile(*ReadFile(layout.custodians(file)));
    ASSERT_TRUE(key.ok()) << key.status();
    const absl::StatusOr<Secrets> secrets = OpenSecrets(sealed, *key);
    ASSERT_TRUE(secrets.ok()) << secrets.status();
    for (const auto& [name, content] : *secrets) {
      EXPECT_EQ(content.reveal(), *ReadFile(layout.secret(name))) << name;
      opened[name] = content.reveal();
    }
  }
  for (const char* name : {"installation.key", "intake.sign", "checkpoint.sign", "token.sign", "ca.key", "intake.nkey"}) EXPECT_TRUE(opened.contains(name)) << name;
  EXPECT_FALSE(opened.contains("gateway.key")) << "what is made again is not among them";

  // Taken away, they are not made again.
  for (const char* file : {"custodian-1.key", "custodian-2.key"}) std::filesystem::remove(layout.custodians(file));
  ASSERT_EQ(home.Run("--only-log").exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(layout.custodians("custodian-1.key")));
  EXPECT_TRUE(OpenSecrets(*ReadFile(layout.custodians(kSealedSecretsFile)), *ParseCustodianFile(first)).ok()) << "sealed to the same";

  const TestHome other;
  for (const auto& [name, content] : opened) {
    ASSERT_TRUE(MakeDirectory(other.layout().home() / "secrets").ok());
    ASSERT_TRUE(WriteFile(other.layout().secret(name), content).ok());
  }
  ASSERT_TRUE(MakeDirectory(other.layout().home() / "trust").ok());
  ASSERT_TRUE(WriteFile(other.layout().authority(), *ReadFile(layout.authority())).ok());
  const std::string durable = ReadInstallation(layout)->durable ? "" : " --not-durable";
  const CommandResult made = other.Init("--restored-from " + layout.installation().string() + durable);
  ASSERT_EQ(made.exit_code, 0) << made.output;
  EXPECT_EQ(ReadInstallation(other.layout())->id, ReadInstallation(layout)->id);
  EXPECT_EQ(ReadInstallation(other.layout())->created_time, ReadInstallation(layout)->created_time);
  for (const char* file : {"sources", "checkpoint.pub", "token.pub", "ca.crt"}) EXPECT_EQ(*ReadFile(other.layout().trust(file)), *ReadFile(layout.trust(file))) << file;
}

TEST(InstallationTest, NothingButTheLogStartsInAHomeWhoseRestoreHasNotEnded) {
  const TestHome home;
  if (home.Init().exit_code != 0) {
    ASSERT_EQ(home.Init("--not-durable").exit_code, 0);
  }
  ASSERT_TRUE(WriteFile(home.layout().restoring(), "").ok());
  const CommandResult run = home.Run();
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_NE(run.output.find("restore that did not end"), std::string::npos) << run.output;
  ASSERT_EQ(home.Run("--only-log").exit_code, 0);
  const absl::StatusOr<std::vector<ProcessState>> processes = ReadProcesses(home.layout());
  ASSERT_TRUE(processes.ok()) << processes.status();
  ASSERT_EQ(processes->size(), 1U);
  EXPECT_EQ(processes->front().name, "nats");
  EXPECT_EQ(processes->front().state, "running");
}

TEST(RestartDelayTest, GrowsWhileAProcessKeepsDyingButNeverReachesASecond) {
  absl::Duration delay = NextRestartDelay(absl::ZeroDuration(), absl::ZeroDuration());
  EXPECT_EQ(delay, kFirstRestartDelay);
  absl::Duration last = delay;
  for (int death = 0; death < 20; ++death) {
    delay = NextRestartDelay(delay, absl::Milliseconds(5));
    EXPECT_GE(delay, last);
    EXPECT_LT(delay, absl::Seconds(1));
    last = delay;
  }
  EXPECT_EQ(NextRestartDelay(delay, kHealthyLife), kFirstRestartDelay);
}

TEST(CertificatesTest, ALeafIsKeptWhileItIsGoodAndRenewedBeforeItEnds) {
  const TestHome home;
  ASSERT_EQ(home.Init("--not-durable").exit_code, 0);
  const Layout& layout = home.layout();
  const auto ensure = [&](absl::Time now) {
    EXPECT_TRUE(EnsureLeaf(layout.secret("ca.key"), layout.authority(), layout.secret("intake.key"),
                           layout.secret("intake.crt"), "intake", now)
                    .ok());
    return ReadFile(layout.secret("intake.crt")).value_or("");
  };
  const absl::Time made = absl::Now();
  const std::string first = ensure(made);
  EXPECT_THAT(first, HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_EQ(ensure(made + kLeafLifetime - kRenewBeforeExpiry - absl::Hours(48)), first);
  EXPECT_NE(ensure(made + kLeafLifetime - kRenewBeforeExpiry + absl::Hours(48)), first);
}

}  // namespace
}  // namespace vigil::installation

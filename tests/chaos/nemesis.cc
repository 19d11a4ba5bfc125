#include "chaos/nemesis.h"

#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "domain/pack/loader.h"
#include "machine/batch_codec.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/seal.h"
#include "platform/keys/nats_key_store.h"
#include "platform/pack_directory/pack_directory.h"

namespace vigil::chaos {

bool Full() {
  const char* wanted = std::getenv("VIGIL_CHAOS");
  return wanted != nullptr && std::string_view(wanted) == "full";
}

void Figure(const std::string& name, const std::string& value) { std::cout << "figure: " << name << " " << value << std::endl; }

Nemesis::Nemesis(const StackOptions& options) : stack_(std::make_unique<Stack>(options)) {
  pack_ = *domain::LoadPack(*ReadPackDirectory(VIGIL_PACK), PackDigest);
}

Nemesis::~Nemesis() {
  StopLoad();
  keys_.reset();
}

json Nemesis::Quiet(int student) const {
  const auto& students = school().students;
  return {{"student", {{"id", students[static_cast<std::size_t>(student) % students.size()]}}}, {"factors", {"H2"}}, {"narrative", kCanary}};
}

json Nemesis::Severe(int student) const {
  const auto& students = school().students;
  return {{"student", {{"id", students[static_cast<std::size_t>(student) % students.size()]}}}, {"signals", {"W1a"}}, {"deteriorating", true}, {"narrative", kCanary}};
}

Answer Nemesis::Report(const json& report, bool severe, const std::string& key) {
  const absl::Time sent = absl::Now();
  Answer answer;
  const absl::Time end = sent + absl::Seconds(60);
  do {
    answer = stack_->Report(school(), report, "", key);
    if (answer.status == 201) {
      const std::lock_guard lock(mutex_);
      accepted_.push_back({.report_id = answer.body.at("report_id"), .school = school().id, .severe = severe, .sent = sent, .answered = absl::Now()});
      return answer;
    }
    absl::SleepFor(absl::Milliseconds(50));
  } while (absl::Now() < end && !stop_);
  return answer;
}

void Nemesis::StartLoad(int clients, int severe_every) {
  stop_ = false;
  for (int i = 0; i < clients; ++i) {
    clients_.emplace_back([this, severe_every] {
      while (!stop_) {
        const int mine = number_++;
        const bool severe = severe_every > 0 && mine % severe_every == 0;
        Report(severe ? Severe(mine) : Quiet(mine), severe, absl::StrCat("load-", mine));
      }
    });
  }
}

void Nemesis::StopLoad() {
  stop_ = true;
  for (std::thread& client : clients_) client.join();
  clients_.clear();
  stop_ = false;
}

std::size_t Nemesis::accepted() const {
  const std::lock_guard lock(mutex_);
  return accepted_.size();
}

void Nemesis::Kill(const std::string& name) {
  const pid_t pid = stack_->Pid(name);
  ASSERT_GT(pid, 0) << name;
  ASSERT_EQ(kill(pid, SIGKILL), 0) << name;
  ASSERT_TRUE(Eventually(absl::Seconds(5), [&] { return stack_->Pid(name) != pid; })) << name;
}

void Nemesis::KillAndAwait(const std::string& name) {
  const pid_t before = stack_->Pid(name);
  Kill(name);
  ASSERT_TRUE(Eventually(absl::Seconds(5), [&] { return stack_->Pid(name) > 0 && stack_->Pid(name) != before; })) << name;
}

void Nemesis::StartMissing() {
  const std::string pid = testing::ReadFile(stack_->home() + "/run/supervisor.pid");
  ASSERT_EQ(kill(std::stoi(pid), SIGHUP), 0);
  stack_->AwaitReady();
}

bool Nemesis::Drained() {
  std::vector<AcceptedReport> reports;
  {
    const std::lock_guard lock(mutex_);
    reports = accepted_;
  }
  // The last ones arrive last; the checker looks at each.
  constexpr std::ptrdiff_t kLooked = 50;
  const auto end = reports.size() > kLooked ? reports.rbegin() + kLooked : reports.rend();
  for (auto report = reports.rbegin(); report != end; ++report) {
    const Answer receipt = stack_->Get("/api/v1/schools/" + report->school + "/reports/" + report->report_id);
    if (receipt.status != 200 || !receipt.body.contains("case_id")) return false;
  }
  return true;
}

Evidence Nemesis::Collect() {
  Evidence evidence;
  {
    const std::lock_guard lock(mutex_);
    evidence.reports = accepted_;
  }
  for (int partition = 0; partition < kPartitions; ++partition) evidence.log[static_cast<std::size_t>(partition)] = stack_->Messages(partition);
  evidence.trusted = *ParseTrustedSources(testing::ReadFile(stack_->home() + "/trust/sources"));
  evidence.pack = pack_.get();
  if (keys_ == nullptr) {
    NatsOptions options;
    options.url = stack_->Variable("VIGIL_NATS_URL");
    options.name = "chaos";
    options.ca_file = stack_->Variable("VIGIL_NATS_CA");
    options.nkey_seed_file = stack_->home() + "/secrets/intake.nkey";
    options.inbox_prefix = "_INBOX_intake";
    std::string hex = stack_->SecretFile("installation.key");
    while (!hex.empty() && hex.back() == '\n') hex.pop_back();
    keys_ = *OpenNatsKeyStore(options, *SealingKey::FromBytes(HexDecode(hex).value_or("")), random_);
    Eventually(absl::Seconds(10), [&] { return keys_->ready(); });
  }
  evidence.opens = [this](const domain::Sealed& sealed) {
    const absl::StatusOr<SealingKey> key = keys_->Find(sealed.person);
    return key.ok() ? key->Open(sealed.content, sealed.person).status() : key.status();
  };
  for (const School& one : stack_->schools()) {
    std::vector<absl::Time>& calls = evidence.calls[one.id];
    for (const json& received : stack_->Received(one.leader_phone)) {
      if (received.at("kind") == "call") calls.push_back(stack::TimeOf(received.at("time")));
    }
    std::sort(calls.begin(), calls.end());
  }
  evidence.canaries = {kCanary};
  evidence.now = stack_->DomainNow();
  return evidence;
}

Verdict Nemesis::Judge(absl::Duration patience, absl::Duration down) {
  const absl::Time start = absl::Now();
  EXPECT_TRUE(Eventually(patience, [&] { return Drained(); })) << "what was promised is in the log";
  Figure("drained_after", absl::FormatDuration(absl::Now() - start));
  Evidence evidence = Collect();
  // A moment for what is being decided while the dump is made.
  evidence.down = down + absl::Seconds(10) * std::max(1.0, stack_->Get("/api/v1/clock").body.value("speed", 1.0));
  Verdict verdict = Check(evidence);
  for (const std::string& violation : verdict.violations) ADD_FAILURE() << violation;
  EXPECT_EQ(stack_->Vigil("verify --json").exit_code, 0) << "the ledger agrees with the log";
  Figure("reports", absl::StrCat(verdict.reports));
  Figure("commits", absl::StrCat(verdict.commits));
  Figure("severe_rung", absl::StrCat(verdict.severe_rung));
  Figure("longest_first_call", absl::FormatDuration(verdict.longest_first_call));
  Figure("violations", absl::StrCat(verdict.violations.size()));
  return verdict;
}

}  // namespace vigil::chaos

// What the chaos tests share: an installation under load, ways to hurt it, and the evidence for the checker.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "chaos/checker.h"
#include "integration/stack/stack.h"
#include "platform/crypto/random.h"
#include "platform/keys/key_store.h"

namespace vigil::chaos {

using stack::Answer;
using stack::Eventually;
using stack::json;
using stack::School;
using stack::Stack;
using stack::StackOptions;

// The full counts of RELIABILITY.md, or short loops for every day. VIGIL_CHAOS=full chooses (tests/full sets it).
bool Full();
template <typename T>
T Count(T short_loop, T full) {
  return Full() ? full : short_loop;
}

// No word of it may be seen in the clear.
inline constexpr const char* kCanary = "金丝雀口供不可外泄";

class Nemesis {
 public:
  explicit Nemesis(const StackOptions& options);
  ~Nemesis();

  Stack& stack() { return *stack_; }
  const School& school() const { return stack_->school(); }

  // ---- load
  json Quiet(int student) const;
  json Severe(int student) const;
  // Sends a report, again and again under one key, until it is answered 201; what was accepted is in the history.
  Answer Report(const json& report, bool severe, const std::string& key);
  // So many clients report one after the other, quietly, every `severe_every`th severe; until StopLoad.
  void StartLoad(int clients, int severe_every = 0);
  void StopLoad();
  std::size_t accepted() const;

  // ---- harm
  void Kill(const std::string& name);                 // SIGKILL, and waits until it is gone
  void KillAndAwait(const std::string& name);         // and until another stands in its place
  void Freeze(const std::string& name) { ASSERT_EQ(kill(stack_->Pid(name), SIGSTOP), 0); }
  void Wake(const std::string& name) { ASSERT_EQ(kill(stack_->Pid(name), SIGCONT), 0); }
  void StartMissing();

  // ---- evidence
  // Waits until what was promised is in the log (`patience`), then collects everything and judges. Fails the test on each violation.
  Verdict Judge(absl::Duration patience = absl::Seconds(60), absl::Duration down = absl::ZeroDuration());
  Evidence Collect();
  // Whether the reports accepted so far have reached the log.
  bool Drained();

 private:
  std::unique_ptr<Stack> stack_;
  std::shared_ptr<const domain::Pack> pack_;
  SystemRandom random_;
  std::unique_ptr<KeyStore> keys_;
  mutable std::mutex mutex_;
  std::vector<AcceptedReport> accepted_;
  std::atomic<bool> stop_{false};
  std::atomic<int> number_{0};
  std::vector<std::thread> clients_;
};

// Prints a figure for docs/reliability.md: "figure: <name> <value>".
void Figure(const std::string& name, const std::string& value);

}  // namespace vigil::chaos

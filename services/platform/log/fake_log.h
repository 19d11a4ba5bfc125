#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "platform/log/log.h"

namespace vigil {

// A broker in memory, as hard as the real one: refuses wrong sequences, answers late or not at all, loses what was not synced. Nothing happens
// by itself: an append is only on its way until somebody delivers. Each handle has lanes (requests, answers, one a followed partition) that
// keep their own order; between lanes the order is chosen by `choose`, so that a simulation explores it from its seed.
//
// Thread-safe; callbacks run in whichever thread delivers, one at a time. The broker outlives its logs.
class FakeBroker {
 public:
  // `now` is the broker's clock: it stamps messages, and nothing is delivered before its time by it.
  explicit FakeBroker(std::function<absl::Time()> now);
  FakeBroker() : FakeBroker([] { return absl::UnixEpoch(); }) {}
  ~FakeBroker();

  FakeBroker(const FakeBroker&) = delete;
  FakeBroker& operator=(const FakeBroker&) = delete;

  // A handle that writes as `source`.
  std::unique_ptr<Log> Connect(std::string source);

  // Carries out one thing that is due; false when there is none.
  bool DeliverOne();
  // Until nothing is due; returns how many things were done.
  int Deliver();
  // When the next thing will be due (perhaps already); InfiniteFuture if nothing is on its way.
  absl::Time NextTime() const;

  // Which of `count` due lanes goes next, 0 … count-1. Default: the one that has been due longest.
  void SetChooser(std::function<std::size_t(std::size_t count)> choose);
  // How long each single thing (a request, an answer, a delivery) is on its way. Default: zero.
  void SetLatency(std::function<absl::Duration()> latency);

  // The process is killed and comes back: everything that was written is still there; what was on its way is lost, its outcome unknown.
  void Stop();
  void Start();
  bool running() const;

  // Power is lost (also stops): each partition falls back to what was synced. Default: every append is synced before its answer, as on a
  // synchronous store; SyncEveryAppend(false) makes Sync the only way.
  void SyncEveryAppend(bool sync);
  void Sync();
  void LosePower();

  // One partition falls back to its first `last_sequence` messages, as after a rollback of its store. Sequences will be reused.
  void Rollback(int partition, std::uint64_t last_sequence);
  // The stream is deleted and created anew: empty, with another creation time.
  void Recreate(int partition);

  // The connection of one source is cut, and comes back. Others go on.
  void Cut(const std::string& source);
  void Mend(const std::string& source);

  // The next `count` appends to `partition`: stored, but the answer is lost / lost before they are stored. Either way: kUnavailable.
  void LoseAnswers(int partition, int count);
  void LoseRequests(int partition, int count);

  // Space left for bodies, in bytes; an append beyond it is refused with kResourceExhausted. Default: no limit.
  void SetSpace(std::uint64_t bytes);

  // While held, followers of the partition receive nothing.
  void Hold(int partition);
  void Release(int partition);

  // Stores a message as somebody who got round the permissions would: any source, no checks.
  std::uint64_t Forge(int partition, std::string source, std::string body);

  // What is stored now, whether delivered or not; for a checker.
  std::uint64_t LastSequence(int partition) const;
  LogMessage Message(int partition, std::uint64_t sequence) const;

 private:
  friend class FakeLog;
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace vigil

#include "platform/log/fake_log.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace vigil {
namespace {

struct Stored {
  std::string source;
  std::string body;
  absl::Time stored_time;
};

struct Stream {
  std::vector<Stored> messages;
  std::map<std::string, std::uint64_t> last_of;  // source -> its last sequence
  std::uint64_t synced = 0;
  std::uint64_t bytes = 0;
  absl::Time created_time;
  int incarnation = 0;
  bool held = false;
  int answers_to_lose = 0;
  int requests_to_lose = 0;
};

bool IsPartition(int partition) { return partition >= 0 && partition < kPartitions; }

}  // namespace

// Lock order: `delivering_` (held while a caller's code runs), then `mutex_`.
class FakeBroker::State {
 public:
  struct Thing {
    absl::Time due;
    std::function<void()> run;  // without mutex_
  };
  struct Lane {
    std::deque<Thing> things;
    absl::Time last_due = absl::InfinitePast();
  };
  struct Follower {
    int partition = 0;
    std::uint64_t next_sequence = 1;
    std::function<void(LogMessage)> handler;
    absl::Time due = absl::InfinitePast();  // of next_sequence, once it has been drawn
    std::uint64_t due_for = 0;
    bool closed = false;
  };
  struct Handle {
    std::string source;
    Lane requests;
    Lane answers;
    std::vector<std::shared_ptr<Follower>> followers;
    std::function<void(bool)> listener;
    bool told = true;
    bool gone = false;
  };

  explicit State(std::function<absl::Time()> now_function) : now(std::move(now_function)) {
    for (Stream& stream : streams) stream.created_time = now();
  }

  bool Up(const Handle& handle) const { return running && !cut.contains(handle.source); }

  absl::Time Due(Lane& lane, const Handle& handle) {
    if (handle.gone) return lane.last_due;  // runs at once; what the simulation drew from may be gone too
    // A lane keeps its order whatever the latencies drawn.
    lane.last_due = std::max(lane.last_due, now() + (latency ? latency() : absl::ZeroDuration()));
    return lane.last_due;
  }

  // Under mutex_. Requests on their way are dropped and answers lost: for the caller, unknown.
  void Disconnect(const std::shared_ptr<Handle>& handle) {
    handle->requests.things.clear();
    handle->answers.things.clear();
    for (auto& [token, pending] : pending_) {
      if (pending.handle == handle) Finish(token, {absl::UnavailableError("the connection was lost"), 0});
    }
    TellConnection(handle);
  }

  void TellConnection(const std::shared_ptr<Handle>& handle) {
    handle->answers.things.push_back({Due(handle->answers, *handle), [this, handle] {
                                        std::function<void(bool)> listener;
                                        bool up = false;
                                        {
                                          std::lock_guard lock(mutex);
                                          up = Up(*handle);
                                          if (handle->told == up) return;
                                          handle->told = up;
                                          listener = handle->listener;
                                        }
                                        if (listener) listener(up);
                                      }});
  }

  // Under mutex_. Sends the outcome of an append on its way; it is lost again if the connection is.
  void Finish(std::uint64_t token, AppendOutcome outcome) {
    const auto found = pending_.find(token);
    if (found == pending_.end()) return;
    Handle& handle = *found->second.handle;
    found->second.outcome = std::move(outcome);
    handle.answers.things.push_back({Due(handle.answers, handle), [this, token] {
                                       std::unique_lock lock(mutex);
                                       auto pending = pending_.extract(token);
                                       lock.unlock();
                                       if (pending) pending.mapped().done(std::move(pending.mapped().outcome));
                                     }});
  }

  void Append(const std::shared_ptr<Handle>& handle, int partition, std::uint64_t expected, std::string body,
              std::function<void(AppendOutcome)> done) {
    std::lock_guard lock(mutex);
    const std::uint64_t token = next_token_++;
    pending_.emplace(token, Pending{handle, std::move(done), {}});
    if (!IsPartition(partition) || body.size() > kMaxLogMessageBytes) {
      return Finish(token, {absl::InvalidArgumentError("no such partition, or a body that is too large"), 0});
    }
    if (!Up(*handle) || handle->gone) return Finish(token, {absl::UnavailableError("not connected"), 0});
    const absl::Time due = Due(handle->requests, *handle);
    handle->requests.things.push_back({due, [this, handle, token, partition, expected, moved = std::move(body)]() mutable {
                                         std::lock_guard inner(mutex);
                                         Carry(handle, token, partition, expected, std::move(moved));
                                       }});
  }

  // Under mutex_: the broker has received the request.
  void Carry(const std::shared_ptr<Handle>& handle, std::uint64_t token, int partition, std::uint64_t expected, std::string body) {
    Stream& stream = streams[static_cast<std::size_t>(partition)];
    if (stream.requests_to_lose > 0) {
      --stream.requests_to_lose;
      return Finish(token, {absl::UnavailableError("no answer in time"), 0});
    }
    const auto found = stream.last_of.find(handle->source);
    const std::uint64_t last = found == stream.last_of.end() ? 0 : found->second;
    if (last != expected) return Finish(token, {absl::AbortedError(absl::StrCat("wrong last sequence: ", last)), 0});
    if (body.size() > space_left) return Finish(token, {absl::ResourceExhaustedError("no space left"), 0});
    const std::uint64_t sequence = Store(stream, handle->source, std::move(body));
    if (stream.answers_to_lose > 0) {
      --stream.answers_to_lose;
      return Finish(token, {absl::UnavailableError("no answer in time"), 0});
    }
    Finish(token, {absl::OkStatus(), sequence});
  }

  std::uint64_t Store(Stream& stream, std::string source, std::string body) {
    space_left -= std::min<std::uint64_t>(space_left, body.size());
    stream.bytes += body.size();
    stream.last_of[source] = stream.messages.size() + 1;
    stream.messages.push_back({std::move(source), std::move(body), now()});
    if (sync_every_append) stream.synced = stream.messages.size();
    return stream.messages.size();
  }

  void Truncate(Stream& stream, std::uint64_t last_sequence) {
    while (stream.messages.size() > last_sequence) {
      stream.bytes -= stream.messages.back().body.size();
      space_left += space_left == kNoLimit ? 0 : stream.messages.back().body.size();
      stream.messages.pop_back();
    }
    stream.synced = std::min<std::uint64_t>(stream.synced, last_sequence);
    stream.last_of.clear();
    for (std::uint64_t sequence = 1; sequence <= stream.messages.size(); ++sequence) {
      stream.last_of[stream.messages[sequence - 1].source] = sequence;
    }
  }

  void DisconnectAll() {
    for (const auto& handle : handles) Disconnect(handle);
  }

  // --- choosing ---------------------------------------------------------------------------------------------------------------------

  struct Choice {
    absl::Time due;
    Lane* lane = nullptr;
    std::shared_ptr<Follower> follower;
  };

  // Under mutex_: everything that is next in its lane, due or not.
  std::vector<Choice> Choices() {
    std::vector<Choice> choices;
    for (const auto& handle : handles) {
      for (Lane* lane : {&handle->answers, &handle->requests}) {
        if (!lane->things.empty()) choices.push_back({lane->things.front().due, lane, nullptr});
      }
      if (handle->gone || !Up(*handle)) continue;
      for (const auto& follower : handle->followers) {
        const Stream& stream = streams[static_cast<std::size_t>(follower->partition)];
        if (stream.held || follower->next_sequence > stream.messages.size()) continue;
        if (follower->due_for != follower->next_sequence) {
          follower->due_for = follower->next_sequence;
          const absl::Time sent = std::max(follower->due, stream.messages[follower->next_sequence - 1].stored_time);
          follower->due = sent + (latency ? latency() : absl::ZeroDuration());
        }
        choices.push_back({follower->due, nullptr, follower});
      }
    }
    return choices;
  }

  bool DeliverOne() {
    std::lock_guard delivering(delivering_mutex);
    std::function<void()> run;
    std::shared_ptr<Follower> follower;
    LogMessage message;
    {
      std::lock_guard lock(mutex);
      std::vector<Choice> choices = Choices();
      const absl::Time present = now();
      std::erase_if(choices, [&](const Choice& choice) { return choice.due > present; });
      if (choices.empty()) return false;
      std::stable_sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) { return a.due < b.due; });
      const std::size_t chosen = choose && choices.size() > 1 ? std::min(choose(choices.size()), choices.size() - 1) : 0;
      Choice& choice = choices[chosen];
      if (choice.lane != nullptr) {
        run = std::move(choice.lane->things.front().run);
        choice.lane->things.pop_front();
      } else {
        follower = choice.follower;
        const Stored& stored =
            streams[static_cast<std::size_t>(follower->partition)].messages[follower->next_sequence - 1];
        message = {follower->partition, follower->next_sequence, stored.source, stored.body, stored.stored_time};
        ++follower->next_sequence;
      }
    }
    if (follower) {
      if (!follower->closed) follower->handler(std::move(message));
    } else {
      run();
    }
    return true;
  }

  static constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

  const std::function<absl::Time()> now;
  std::recursive_mutex delivering_mutex;
  mutable std::recursive_mutex mutex;
  std::function<std::size_t(std::size_t)> choose;
  std::function<absl::Duration()> latency;
  std::array<Stream, kPartitions> streams;
  std::vector<std::shared_ptr<Handle>> handles;
  std::set<std::string> cut;
  std::uint64_t space_left = kNoLimit;
  bool running = true;
  bool sync_every_append = true;

 private:
  struct Pending {
    std::shared_ptr<Handle> handle;
    std::function<void(AppendOutcome)> done;
    AppendOutcome outcome;
  };
  std::map<std::uint64_t, Pending> pending_;
  std::uint64_t next_token_ = 1;

  friend class FakeLog;
};

class FakeLog final : public Log {
 public:
  FakeLog(FakeBroker::State& state, std::shared_ptr<FakeBroker::State::Handle> handle) : state_(state), handle_(std::move(handle)) {}

  ~FakeLog() override {
    std::lock_guard delivering(state_.delivering_mutex);
    std::deque<FakeBroker::State::Thing> answers;
    {
      std::lock_guard lock(state_.mutex);
      handle_->gone = true;
      handle_->listener = nullptr;
      handle_->followers.clear();
      state_.Disconnect(handle_);
      answers.swap(handle_->answers.things);
      std::erase(state_.handles, handle_);
    }
    for (auto& answer : answers) answer.run();  // every append has its outcome
  }

  void Append(int partition, std::uint64_t expected_last_sequence, std::string body, std::function<void(AppendOutcome)> done) override {
    state_.Append(handle_, partition, expected_last_sequence, std::move(body), std::move(done));
  }

  absl::StatusOr<std::unique_ptr<Subscription>> Follow(int partition, std::uint64_t first_sequence,
                                                       std::function<void(LogMessage)> handler) override {
    if (!IsPartition(partition)) return absl::InvalidArgumentError(absl::StrCat("no partition ", partition));
    if (first_sequence == 0) return absl::InvalidArgumentError("sequences begin at 1");
    auto follower = std::make_shared<FakeBroker::State::Follower>();
    follower->partition = partition;
    follower->next_sequence = first_sequence;
    follower->handler = std::move(handler);
    std::lock_guard lock(state_.mutex);
    handle_->followers.push_back(follower);
    return std::make_unique<FollowerSubscription>(state_, handle_, follower);
  }

  absl::StatusOr<StreamInfo> Info(int partition) override {
    if (!IsPartition(partition)) return absl::InvalidArgumentError(absl::StrCat("no partition ", partition));
    std::lock_guard lock(state_.mutex);
    if (!state_.Up(*handle_)) return absl::UnavailableError("not connected");
    const Stream& stream = state_.streams[static_cast<std::size_t>(partition)];
    StreamInfo info;
    info.first_sequence = 1;
    info.last_sequence = stream.messages.size();
    info.bytes = stream.bytes;
    info.created_time = stream.created_time + absl::Nanoseconds(stream.incarnation);
    return info;
  }

  absl::StatusOr<LogMessage> Read(int partition, std::uint64_t sequence) override {
    if (!IsPartition(partition)) return absl::InvalidArgumentError(absl::StrCat("no partition ", partition));
    std::lock_guard lock(state_.mutex);
    if (!state_.Up(*handle_)) return absl::UnavailableError("not connected");
    const Stream& stream = state_.streams[static_cast<std::size_t>(partition)];
    if (sequence == 0 || sequence > stream.messages.size()) return absl::NotFoundError("no message there");
    const Stored& stored = stream.messages[sequence - 1];
    return LogMessage{partition, sequence, stored.source, stored.body, stored.stored_time};
  }

  bool connected() const override {
    std::lock_guard lock(state_.mutex);
    return state_.Up(*handle_);
  }

  void OnConnection(std::function<void(bool)> listener) override {
    std::lock_guard delivering(state_.delivering_mutex);
    std::function<void(bool)> first = listener;
    bool up = false;
    {
      std::lock_guard lock(state_.mutex);
      up = state_.Up(*handle_);
      handle_->told = up;
      handle_->listener = std::move(listener);
    }
    if (first) first(up);
  }

  std::string_view source() const override { return handle_->source; }

 private:
  class FollowerSubscription final : public Subscription {
   public:
    FollowerSubscription(FakeBroker::State& state, std::shared_ptr<FakeBroker::State::Handle> handle,
                         std::shared_ptr<FakeBroker::State::Follower> follower)
        : state_(state), handle_(std::move(handle)), follower_(std::move(follower)) {}
    ~FollowerSubscription() override {
      std::lock_guard delivering(state_.delivering_mutex);
      std::lock_guard lock(state_.mutex);
      follower_->closed = true;
      std::erase(handle_->followers, follower_);
    }

   private:
    FakeBroker::State& state_;
    const std::shared_ptr<FakeBroker::State::Handle> handle_;
    const std::shared_ptr<FakeBroker::State::Follower> follower_;
  };

  FakeBroker::State& state_;
  const std::shared_ptr<FakeBroker::State::Handle> handle_;
};

FakeBroker::FakeBroker(std::function<absl::Time()> now) : state_(std::make_unique<State>(std::move(now))) {}
FakeBroker::~FakeBroker() = default;

std::unique_ptr<Log> FakeBroker::Connect(std::string source) {
  std::lock_guard lock(state_->mutex);
  auto handle = std::make_shared<State::Handle>();
  handle->source = std::move(source);
  handle->told = state_->Up(*handle);
  state_->handles.push_back(handle);
  return std::make_unique<FakeLog>(*state_, std::move(handle));
}

bool FakeBroker::DeliverOne() { return state_->DeliverOne(); }

int FakeBroker::Deliver() {
  int count = 0;
  while (DeliverOne()) ++count;
  return count;
}

absl::Time FakeBroker::NextTime() const {
  std::lock_guard lock(state_->mutex);
  absl::Time next = absl::InfiniteFuture();
  for (const State::Choice& choice : state_->Choices()) next = std::min(next, choice.due);
  return next;
}

void FakeBroker::SetChooser(std::function<std::size_t(std::size_t)> choose) {
  std::lock_guard lock(state_->mutex);
  state_->choose = std::move(choose);
}

void FakeBroker::SetLatency(std::function<absl::Duration()> latency) {
  std::lock_guard lock(state_->mutex);
  state_->latency = std::move(latency);
}

void FakeBroker::Stop() {
  std::lock_guard lock(state_->mutex);
  if (!state_->running) return;
  state_->running = false;
  state_->DisconnectAll();
}

void FakeBroker::Start() {
  std::lock_guard lock(state_->mutex);
  if (state_->running) return;
  state_->running = true;
  for (const auto& handle : state_->handles) state_->TellConnection(handle);
}

bool FakeBroker::running() const {
  std::lock_guard lock(state_->mutex);
  return state_->running;
}

void FakeBroker::SyncEveryAppend(bool sync) {
  std::lock_guard lock(state_->mutex);
  state_->sync_every_append = sync;
}

void FakeBroker::Sync() {
  std::lock_guard lock(state_->mutex);
  for (Stream& stream : state_->streams) stream.synced = stream.messages.size();
}

void FakeBroker::LosePower() {
  Stop();
  std::lock_guard lock(state_->mutex);
  for (Stream& stream : state_->streams) state_->Truncate(stream, stream.synced);
}

void FakeBroker::Rollback(int partition, std::uint64_t last_sequence) {
  std::lock_guard lock(state_->mutex);
  state_->Truncate(state_->streams.at(static_cast<std::size_t>(partition)), last_sequence);
}

void FakeBroker::Recreate(int partition) {
  std::lock_guard lock(state_->mutex);
  Stream& stream = state_->streams.at(static_cast<std::size_t>(partition));
  state_->Truncate(stream, 0);
  stream.created_time = state_->now();
  ++stream.incarnation;
}

void FakeBroker::Cut(const std::string& source) {
  std::lock_guard lock(state_->mutex);
  if (!state_->cut.insert(source).second) return;
  for (const auto& handle : state_->handles) {
    if (handle->source == source) state_->Disconnect(handle);
  }
}

void FakeBroker::Mend(const std::string& source) {
  std::lock_guard lock(state_->mutex);
  if (state_->cut.erase(source) == 0) return;
  for (const auto& handle : state_->handles) {
    if (handle->source == source) state_->TellConnection(handle);
  }
}

void FakeBroker::LoseAnswers(int partition, int count) {
  std::lock_guard lock(state_->mutex);
  state_->streams.at(static_cast<std::size_t>(partition)).answers_to_lose = count;
}

void FakeBroker::LoseRequests(int partition, int count) {
  std::lock_guard lock(state_->mutex);
  state_->streams.at(static_cast<std::size_t>(partition)).requests_to_lose = count;
}

void FakeBroker::SetSpace(std::uint64_t bytes) {
  std::lock_guard lock(state_->mutex);
  state_->space_left = bytes;
}

void FakeBroker::Hold(int partition) {
  std::lock_guard lock(state_->mutex);
  state_->streams.at(static_cast<std::size_t>(partition)).held = true;
}

void FakeBroker::Release(int partition) {
  std::lock_guard lock(state_->mutex);
  state_->streams.at(static_cast<std::size_t>(partition)).held = false;
}

std::uint64_t FakeBroker::Forge(int partition, std::string source, std::string body) {
  std::lock_guard lock(state_->mutex);
  return state_->Store(state_->streams.at(static_cast<std::size_t>(partition)), std::move(source), std::move(body));
}

std::uint64_t FakeBroker::LastSequence(int partition) const {
  std::lock_guard lock(state_->mutex);
  return state_->streams.at(static_cast<std::size_t>(partition)).messages.size();
}

LogMessage FakeBroker::Message(int partition, std::uint64_t sequence) const {
  std::lock_guard lock(state_->mutex);
  const Stored& stored = state_->streams.at(static_cast<std::size_t>(partition)).messages.at(sequence - 1);
  return {partition, sequence, stored.source, stored.body, stored.stored_time};
}

}  // namespace vigil

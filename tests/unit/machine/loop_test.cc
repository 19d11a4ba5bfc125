#include "machine/loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "platform/clock/clock.h"

namespace vigil {
namespace {

// Waits for threads, never for time: a test that hangs has failed.
class ThreadLoopTest : public testing::Test {
 protected:
  void Start(absl::Time wake = absl::InfiniteFuture()) {
    loop_.Start({.on_wake = [this, wake] {
      ++wakes_;
      return wakes_ == 1 ? absl::InfiniteFuture() : wake;
    }});
    RunOne();
  }
  // Returns when everything before it has run.
  void RunOne() {
    std::promise<void> ran;
    loop_.Post([&] { ran.set_value(); });
    ran.get_future().wait();
  }

  SystemClock clock_;
  std::atomic<int> wakes_{0};
  ThreadLoop loop_{&clock_};
};

TEST_F(ThreadLoopTest, WhoDispatchesToAnIdleLoopRunsTheTaskAndTheMachineIsAskedWhenToWake) {
  Start();
  std::thread::id thread;
  // The loop's thread may still be at the end of its last task; then it runs this one too.
  for (int tries = 0; tries < 1000 && thread != std::this_thread::get_id(); ++tries) {
    std::promise<void> ran;
    const int before = wakes_;
    loop_.Dispatch([&] {
      thread = std::this_thread::get_id();
      ran.set_value();
    });
    ran.get_future().wait();
    if (thread == std::this_thread::get_id()) {
      EXPECT_GT(wakes_, before);
    }
  }
  EXPECT_EQ(thread, std::this_thread::get_id());
}

TEST_F(ThreadLoopTest, WhatIsDispatchedWhileATaskRunsWaitsForItsTurn) {
  Start();
  std::promise<void> begun;
  std::promise<void> end;
  std::vector<int> order;
  loop_.Post([&] {
    begun.set_value();
    end.get_future().wait();
    order.push_back(1);
  });
  begun.get_future().wait();
  std::thread::id thread = std::this_thread::get_id();
  loop_.Dispatch([&] {
    order.push_back(2);
    thread = std::this_thread::get_id();
  });
  EXPECT_NE(thread, std::thread::id()) << "not yet run";
  end.set_value();
  RunOne();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_NE(thread, std::this_thread::get_id());
}

TEST_F(ThreadLoopTest, BeforeStartTasksWait) {
  std::atomic<bool> ran{false};
  loop_.Dispatch([&] { ran = true; });
  EXPECT_FALSE(ran);
  Start();
  EXPECT_TRUE(ran);
}

TEST_F(ThreadLoopTest, TasksOfManyThreadsRunOneAtATimeAndEachThreadsInOrder) {
  Start();
  constexpr int kThreads = 4;
  constexpr int kTasks = 5000;
  bool inside = false;  // guarded by nothing but the loop
  int together = 0;
  std::vector<int> last(kThreads, -1);
  int out_of_order = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) {
        const auto task = [&, t, i] {
          if (inside) ++together;
          inside = true;
          if (i != last[static_cast<std::size_t>(t)] + 1) ++out_of_order;
          last[static_cast<std::size_t>(t)] = i;
          inside = false;
        };
        if (i % 3 == 0) {
          loop_.Post(task);
        } else {
          loop_.Dispatch(task);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  RunOne();
  EXPECT_EQ(together, 0);
  EXPECT_EQ(out_of_order, 0);
  EXPECT_EQ(last, std::vector<int>(kThreads, kTasks - 1));
}

TEST_F(ThreadLoopTest, AnInstantThatADispatchedTaskAsksForIsKept) {
  std::promise<void> woken;
  std::atomic<bool> asked{false};
  bool promised = false;
  loop_.Start({.on_wake = [&] {
    if (asked.exchange(false)) {
      promised = true;
      return clock_.Now() + absl::Milliseconds(1);
    }
    if (std::exchange(promised, false)) woken.set_value();
    return absl::InfiniteFuture();
  }});
  RunOne();
  loop_.Dispatch([&] { asked = true; });
  woken.get_future().wait();
}

TEST_F(ThreadLoopTest, StoppedItDropsWhatComes) {
  Start();
  loop_.Stop();
  bool ran = false;
  loop_.Dispatch([&] { ran = true; });
  loop_.Post([&] { ran = true; });
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace vigil

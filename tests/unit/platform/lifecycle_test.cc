#include "platform/lifecycle/lifecycle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "platform/logging/log.h"

namespace vigil {
namespace {

TEST(LifecycleTest, StopsInReverseOrderAndOnce) {
  std::vector<std::string> stopped;
  {
    Lifecycle lifecycle;
    for (const char* name : {"log", "machine", "server"}) lifecycle.OnStop(name, [&stopped, name] { stopped.emplace_back(name); });
    lifecycle.Stop();
    EXPECT_THAT(stopped, testing::ElementsAre("server", "machine", "log"));
  }
  EXPECT_EQ(stopped.size(), 3U);
}

TEST(LifecycleTest, StopsAlsoWhenStartingIsAbandoned) {
  bool stopped = false;
  {
    Lifecycle lifecycle;
    lifecycle.OnStop("first", [&] { stopped = true; });
  }
  EXPECT_TRUE(stopped);
}

TEST(LifecycleTest, WhatIsStartedAfterTheStopIsStoppedAtOnce) {
  Lifecycle lifecycle;
  lifecycle.Stop();
  bool stopped = false;
  lifecycle.OnStop("late", [&] { stopped = true; });
  EXPECT_TRUE(stopped);
}

TEST(SignalWaitTest, ReturnsTheSignalThatCameWhicheverThreadRuns) {
  SignalWait signals;
  std::thread thread([] { kill(getpid(), SIGTERM); });
  EXPECT_EQ(signals.Wait(), SIGTERM);
  thread.join();
}

TEST(SignalWaitTest, ReturnsWhenAskedTo) {
  SignalWait signals;
  std::thread thread([&] { signals.RequestStop(); });
  EXPECT_EQ(signals.Wait(), 0);
  thread.join();
}

TEST(SignalWaitTest, TheExitCodeSaysWhetherItWasWanted) {
  const log::CaptureForTest quiet([](std::string_view) {});
  for (const bool by_signal : {true, false}) {
    SignalWait signals;
    Lifecycle lifecycle;
    bool stopped = false;
    lifecycle.OnStop("part", [&] { stopped = true; });
    if (by_signal) {
      kill(getpid(), SIGINT);
    } else {
      signals.RequestStop();
    }
    EXPECT_EQ(RunUntilSignal(signals, lifecycle), by_signal ? 0 : 1);
    EXPECT_TRUE(stopped);
  }
}

TEST(SignalWaitTest, ASecondSignalEndsAStopThatHangs) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    SignalWait signals;
    kill(getpid(), SIGTERM);
    signals.Wait();
    kill(getpid(), SIGTERM);
    pause();
    _exit(7);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

}  // namespace
}  // namespace vigil

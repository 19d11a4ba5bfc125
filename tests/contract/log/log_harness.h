#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "platform/log/fake_log.h"
#include "platform/log/log.h"
#include "platform/log/nats_log.h"
#include "support/nats_server.h"

namespace vigil::testing {

// A broker that a contract test may kill, real or not.
class LogHarness {
 public:
  virtual ~LogHarness() = default;
  virtual std::unique_ptr<Log> Connect(const std::string& source) = 0;
  virtual void Kill() = 0;
  virtual void Start() = 0;
  // Lets things happen until `done`; false when they do not.
  virtual bool Until(const std::function<bool()>& done) = 0;
  // Lets everything happen that would.
  virtual void Settle() = 0;
};

class FakeHarness final : public LogHarness {
 public:
  std::unique_ptr<Log> Connect(const std::string& source) override { return broker_.Connect(source); }
  void Kill() override { broker_.Stop(); }
  void Start() override { broker_.Start(); }
  bool Until(const std::function<bool()>& done) override {
    while (!done()) {
      if (!broker_.DeliverOne()) return done();
    }
    return true;
  }
  void Settle() override { broker_.Deliver(); }

 private:
  FakeBroker broker_;
};

class NatsHarness final : public LogHarness {
 public:
  explicit NatsHarness(bool tls) : server_(NatsServer::Settings{.tls = tls}) { server_.CreateStreams(); }
  std::unique_ptr<Log> Connect(const std::string& source) override {
    auto log = OpenNatsLog(server_.Options(source), source);
    if (!log.ok()) throw std::runtime_error(log.status().ToString());
    return *std::move(log);
  }
  void Kill() override { server_.Kill(); }
  void Start() override { server_.Start(); }
  bool Until(const std::function<bool()>& done) override {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return true;
  }
  void Settle() override { std::this_thread::sleep_for(std::chrono::milliseconds(300)); }

 private:
  NatsServer server_;
};

}  // namespace vigil::testing

#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "platform/http/problem.h"
#include "platform/http/server.h"

namespace vigil::testing {

// Stands where the gateway would: takes callbacks, checks their signature, and keeps them in order.
class CallbackReceiver {
 public:
  explicit CallbackReceiver(std::string secret, HttpServerOptions options = {}) : secret_(std::move(secret)) {
    const std::string_view scheme = options.tls_key_file.empty() ? "http" : "https";
    auto server = HttpServer::Start(
        std::move(options),
        [this](HttpRequest request, std::shared_ptr<HttpResponder> responder) { Take(request, *responder); });
    server_ = *std::move(server);
    url_ = std::string(scheme) + "://127.0.0.1:" + std::to_string(server_->port()) + "/callbacks/sandbox/call";
  }

  const std::string& url() const { return url_; }
  std::uint16_t port() const { return server_->port(); }

  // The next callbacks are answered 503, and not kept.
  void RefuseNext(int count) {
    const std::lock_guard lock(mutex_);
    refuse_ = count;
  }

  // Waits until that many have come in all; fewer after twenty seconds.
  std::vector<nlohmann::json> WaitFor(std::size_t count) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, std::chrono::seconds(20), [&] { return callbacks_.size() >= count; });
    return callbacks_;
  }
  std::vector<std::string> EventsOf(std::string_view id, std::size_t all_callbacks) {
    std::vector<std::string> events;
    for (const nlohmann::json& callback : WaitFor(all_callbacks)) {
      if (callback["id"] == id) events.push_back(callback["event"]);
    }
    return events;
  }

 private:
  void Take(const HttpRequest& request, HttpResponder& responder) {
    const std::string expected = "sha256=" + HexEncode(AsView(HmacSha256(secret_, request.body)));
    const std::lock_guard lock(mutex_);
    if (refuse_ > 0) {
      --refuse_;
      return responder.Send(ProblemResponse(503, ""));
    }
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.Header("X-Sandbox-Signature"), expected);
    callbacks_.push_back(nlohmann::json::parse(request.body));
    arrived_.notify_all();
    responder.Send(JsonResponse(200, "{}"));
  }

  const std::string secret_;
  std::string url_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  int refuse_ = 0;
  std::vector<nlohmann::json> callbacks_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace vigil::testing

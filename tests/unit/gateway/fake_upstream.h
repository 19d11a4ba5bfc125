#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/upstream.h"
#include "platform/http/server.h"

namespace vigil::gateway {

// A service that answers at once with what it is told, and remembers what it was asked.
class FakeUpstream final : public Upstream {
 public:
  struct Asked {
    std::string method;
    std::string request;
    std::map<std::string, std::string> metadata;
  };

  void Call(std::string_view method_path, std::string_view request, const Metadata& metadata,
            absl::Duration /*deadline*/, Callback callback) override {
    asked.push_back({std::string(method_path), std::string(request), {metadata.begin(), metadata.end()}});
    callback(answer);
  }
  Cancel Stream(std::string_view method_path, std::string_view request, const Metadata& metadata, OnMessage on_message,
                OnEnd on_end) override {
    asked.push_back({std::string(method_path), std::string(request), {metadata.begin(), metadata.end()}});
    if (!stream_answer.ok()) {
      on_end(stream_answer);
      return [] {};
    }
    message = std::move(on_message);
    end = std::move(on_end);
    return [this] {
      ++cancelled;
      if (end) std::exchange(end, nullptr)(absl::CancelledError());
    };
  }

  // The stream ends by itself.
  void End(absl::Status status) { std::exchange(end, nullptr)(std::move(status)); }

  absl::StatusOr<std::string> answer = std::string();
  absl::Status stream_answer;
  std::vector<Asked> asked;
  OnMessage message;
  OnEnd end;
  int cancelled = 0;
};

// Keeps what a client would have got.
class FakeResponder final : public HttpResponder {
 public:
  void Send(HttpResponse sent) override {
    ++answers;
    response = std::move(sent);
  }
  void StartStream(int status, HttpHeaders headers, std::function<void()> closed) override {
    ++answers;
    response.status = status;
    response.headers = std::move(headers);
    on_closed = std::move(closed);
    open = true;
  }
  bool Write(std::string chunk) override {
    if (open) response.body += chunk;
    return open;
  }
  void Close() override { ClientLeaves(); }

  void ClientLeaves() {
    if (std::exchange(open, false) && on_closed) std::exchange(on_closed, nullptr)();
  }

  HttpResponse response;
  int answers = 0;
  bool open = false;
  std::function<void()> on_closed;
};

}  // namespace vigil::gateway

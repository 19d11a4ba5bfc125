#pragma once

#include <memory>
#include <string>
#include <vector>

#include "support/child_process.h"

namespace vigil::testing {

// A real redis-server on a free loopback port and a unix socket, without files, with one user "vigil".
class RedisServer {
 public:
  // Starts it and waits until it serves; throws std::runtime_error with its log otherwise.
  RedisServer();

  void Kill();
  // Again on the same port; empty.
  void Start();
  void Stop();
  void Continue();
  // Runs redis-cli with these words and returns what it prints.
  std::string Command(const std::vector<std::string>& words) const;

  std::string url() const;
  std::string socket_url() const;
  pid_t pid() const { return process_->pid(); }

 private:
  TemporaryDirectory directory_;
  int port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace vigil::testing

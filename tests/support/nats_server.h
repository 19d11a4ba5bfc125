#pragma once

#include <memory>
#include <string>

#include "platform/log/nats_client.h"
#include "support/child_process.h"

namespace vigil::testing {

// A real nats-server with JetStream, on a free loopback port, with its store in a directory of its own that is removed at the end.
class NatsServer {
 public:
  struct Settings {
    bool tls = false;
    std::string extra;                  // further configuration, e.g. an authorization block
    std::string max_file_store = "1GB";
  };
  // Starts it and waits until it serves; throws std::runtime_error with its log otherwise.
  explicit NatsServer(Settings settings);
  NatsServer() : NatsServer(Settings{}) {}

  // kill -9, and start again on the same port and store.
  void Kill();
  void Start();
  // kill -9, and start with another `extra` configuration.
  void Reconfigure(std::string extra);
  // Freezes and thaws the process.
  void Stop();
  void Continue();

  std::string url() const;
  const std::string& ca_file() const { return ca_file_; }  // empty without TLS
  std::string store_directory() const { return directory_.path() + "/store"; }
  std::string log() const { return ReadFile(directory_.path() + "/output"); }
  int port() const { return port_; }
  pid_t pid() const { return process_->pid(); }

  // Options to connect with, as `name`.
  NatsOptions Options(const std::string& name) const;
  // The 16 streams and the key bucket.
  void CreateStreams();

 private:
  Settings settings_;
  TemporaryDirectory directory_;
  std::string ca_file_;
  int port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace vigil::testing

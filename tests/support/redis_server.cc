#include "support/redis_server.h"

#include <signal.h>

#include <chrono>
#include <stdexcept>
#include <thread>

namespace vigil::testing {
namespace {
constexpr char kPassword[] = "p@ss word";
}  // namespace

RedisServer::RedisServer() {
  for (int attempt = 0;; ++attempt) {
    port_ = FreePort();
    try {
      Start();
      return;
    } catch (const std::runtime_error&) {
      if (attempt == 3) throw;  // somebody else took the port each time, or something worse
    }
  }
}

void RedisServer::Start() {
  const std::string output = directory_.path() + "/output";
  const std::size_t known = ReadFile(output).size();
  WriteFile(directory_.path() + "/redis.conf", "bind 127.0.0.1\nport " + std::to_string(port_) + "\nunixsocket " + directory_.path() +
                                                   "/socket\nsave \"\"\nappendonly no\ndir " + directory_.path() +
                                                   "\nuser default off\nuser vigil on \">" + kPassword + "\" ~* &* +@all\n");
  process_ = std::make_unique<ChildProcess>(std::vector<std::string>{"redis-server", directory_.path() + "/redis.conf"}, output);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  // The last line it prints when it listens on both.
  while (ReadFile(output).find("now ready to accept connections at", known) == std::string::npos) {
    if (!process_->alive() || std::chrono::steady_clock::now() > deadline) throw std::runtime_error("redis-server: " + ReadFile(output));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void RedisServer::Kill() { process_->Kill(); }
void RedisServer::Stop() { process_->Signal(SIGSTOP); }
void RedisServer::Continue() { process_->Signal(SIGCONT); }

std::string RedisServer::Command(const std::vector<std::string>& words) const {
  const std::string output = directory_.path() + "/command";
  WriteFile(output, "");
  std::vector<std::string> command = {"redis-cli", "-p", std::to_string(port_), "--user", "vigil", "--pass", kPassword, "--no-auth-warning"};
  command.insert(command.end(), words.begin(), words.end());
  ChildProcess process(command, output);
  process.Wait();
  return ReadFile(output);
}

std::string RedisServer::url() const { return "redis://vigil:p%40ss%20word@127.0.0.1:" + std::to_string(port_); }
std::string RedisServer::socket_url() const { return "unix://vigil:p%40ss%20word@" + directory_.path() + "/socket"; }

}  // namespace vigil::testing

// The program vigil-sandbox as an operator starts it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "contract/sandbox/callback_receiver.h"
#include "platform/http/fetch.h"
#include "unit/http/test_certificate.h"

namespace vigil {
namespace {

using testing::CallbackReceiver;
using ::testing::ElementsAre;
using testing::TestCertificate;

// A child process whose output is read through a pipe; ended with the object.
class SandboxProcess {
 public:
  explicit SandboxProcess(std::vector<std::string> arguments, std::vector<std::string> environment = {}) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    arguments.insert(arguments.begin(), VIGIL_SANDBOX_PROGRAM);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::vector<char*> envp;
    for (std::string& variable : environment) envp.push_back(variable.data());
    envp.push_back(nullptr);
    EXPECT_EQ(posix_spawn(&process_, VIGIL_SANDBOX_PROGRAM, &actions, nullptr, argv.data(), envp.data()), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    output_ = ends[0];
  }
  ~SandboxProcess() {
    if (process_ > 0) {
      kill(process_, SIGKILL);
      WaitForExit();
    }
    close(output_);
  }
  SandboxProcess(const SandboxProcess&) = delete;
  SandboxProcess& operator=(const SandboxProcess&) = delete;

  // Reads until `text` comes or the process ends.
  std::string ReadUntil(std::string_view text) {
    std::string all;
    char byte = 0;
    while (all.find(text) == std::string::npos && read(output_, &byte, 1) == 1) all.push_back(byte);
    return all;
  }
  // The port from the line that says where it listens; 0 if it never says so.
  int WaitForPort() {
    const std::string line = ReadUntil("\"}\n");
    const std::size_t at = line.find("127.0.0.1:");
    return at == std::string::npos ? 0 : std::stoi(line.substr(at + 10));
  }
  void Terminate() const { kill(process_, SIGTERM); }
  int WaitForExit() {
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t process_ = -1;
  int output_ = -1;
};

std::string WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

std::string MessageTo(const std::string& callback, const std::string& id) {
  return nlohmann::json{{"id", id}, {"to", "13800000001"}, {"text", "x"}, {"callback", callback}}.dump();
}

TEST(SandboxProcessTest, TakesAConfigFileAndCallsBackOverTlsWithItsOwnAuthority) {
  const TestCertificate certificate;
  CallbackReceiver receiver(
      "the secret", {.tls_certificate_file = certificate.certificate_file(), .tls_key_file = certificate.key_file()});
  const std::string secret = WriteFile(certificate.directory() + "/secret", "the secret\n");
  const std::string config = WriteFile(certificate.directory() + "/sandbox.toml",
                                       "listen = \"127.0.0.1:0\"\nsecret_file = \"" + secret + "\"\ncallback_ca = \"" +
                                           certificate.certificate_file() + "\"\n");
  SandboxProcess process({"--config", config, "--ring-timeout-ms", "100", "--seed", "5"});
  const int port = process.WaitForPort();
  ASSERT_NE(port, 0);
  const std::string url = "http://127.0.0.1:" + std::to_string(port);
  const nlohmann::json call = {
      {"id", "c"}, {"to", "13800000001"}, {"say", {{{"language", "zh"}, {"text", "x"}}}}, {"callback", receiver.url()}};
  EXPECT_EQ(Fetch({.method = "POST", .url = url + "/v1/calls", .body = call.dump()})->status, 202);
  EXPECT_THAT(receiver.EventsOf("c", 2), ElementsAre("ringing", "no_answer"));
  process.Terminate();
  EXPECT_EQ(process.WaitForExit(), 0);
}

TEST(SandboxProcessTest, CallbacksWaitForAReceiverThatComesLater) {
  SandboxProcess process({"--listen", "127.0.0.1:0"}, {"VIGIL_SANDBOX_SECRET=s"});
  const int port = process.WaitForPort();
  ASSERT_NE(port, 0);
  std::optional<CallbackReceiver> receiver(std::in_place, "s");
  const std::string callback = receiver->url();
  const std::uint16_t receiver_port = receiver->port();
  receiver.reset();
  const std::string url = "http://127.0.0.1:" + std::to_string(port);
  EXPECT_EQ(Fetch({.method = "POST", .url = url + "/v1/messages", .body = MessageTo(callback, "m")})->status, 202);
  // Once the first attempt has failed, somebody begins to listen.
  for (int i = 0; i < 1000; ++i) {
    const auto stats = Fetch({.url = url + "/v1/stats"});
    ASSERT_TRUE(stats.ok()) << stats.status();
    if (nlohmann::json::parse(stats->body)["callbacks"]["retried"] > 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  receiver.emplace("s", HttpServerOptions{.port = receiver_port});
  EXPECT_THAT(receiver->EventsOf("m", 1), ElementsAre("delivered"));
}

TEST(SandboxProcessTest, SaysWhyItDoesNotStart) {
  SandboxProcess without_secret({"--listen", "127.0.0.1:0"});
  EXPECT_THAT(without_secret.ReadUntil("\n"), ::testing::HasSubstr("secret"));
  EXPECT_EQ(without_secret.WaitForExit(), 2);
  SandboxProcess unknown_option({"--no-such-option"}, {"VIGIL_SANDBOX_SECRET=s"});
  EXPECT_EQ(unknown_option.WaitForExit(), 2);
  SandboxProcess first({}, {"VIGIL_SANDBOX_SECRET=s"});
  const int port = first.WaitForPort();
  ASSERT_NE(port, 0);
  SandboxProcess second({"--listen", "127.0.0.1:" + std::to_string(port)}, {"VIGIL_SANDBOX_SECRET=s"});
  EXPECT_THAT(second.ReadUntil("\n"), ::testing::HasSubstr("cannot listen"));
  EXPECT_EQ(second.WaitForExit(), 1);
}

}  // namespace
}  // namespace vigil

#include "support/nats_server.h"

#include <signal.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "platform/log/nats_admin.h"

namespace vigil::testing {

NatsServer::NatsServer(Settings settings) : settings_(std::move(settings)) {
  if (settings_.tls) {
    ca_file_ = directory_.path() + "/cert.pem";
    RunCommand({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                "/CN=vigil test", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", directory_.path() + "/key.pem", "-out",
                ca_file_});
  }
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

void NatsServer::Start() {
  std::string text = "listen: \"127.0.0.1:" + std::to_string(port_) + "\"\nmax_payload: 1MB\njetstream {\n  store_dir: \"" +
                     store_directory() + "\"\n  max_file_store: " + settings_.max_file_store + "\n}\n" + settings_.extra + "\n";
  if (settings_.tls) {
    text += "tls {\n  cert_file: \"" + ca_file_ + "\"\n  key_file: \"" + directory_.path() + "/key.pem\"\n  timeout: 5\n}\n";
  }
  const std::string configuration = directory_.path() + "/nats.conf";
  WriteFile(configuration, text);
  const std::size_t known = log().size();
  process_ = std::make_unique<ChildProcess>(std::vector<std::string>{"nats-server", "-c", configuration}, directory_.path() + "/output");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (log().find("Server is ready", known) == std::string::npos) {
    if (!process_->alive() || std::chrono::steady_clock::now() > deadline) throw std::runtime_error("nats-server: " + log());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void NatsServer::Kill() { process_->Kill(); }
void NatsServer::Reconfigure(std::string extra) {
  Kill();
  settings_.extra = std::move(extra);
  Start();
}
void NatsServer::Stop() { process_->Signal(SIGSTOP); }
void NatsServer::Continue() { process_->Signal(SIGCONT); }

std::string NatsServer::url() const { return (settings_.tls ? "tls://127.0.0.1:" : "nats://127.0.0.1:") + std::to_string(port_); }

NatsOptions NatsServer::Options(const std::string& name) const {
  NatsOptions options;
  options.url = url();
  options.name = name;
  options.ca_file = ca_file_;
  options.inbox_prefix = "_INBOX_" + name;
  return options;
}

void NatsServer::CreateStreams() {
  auto admin = NatsClient::Open(Options("admin"));
  if (!admin.ok()) throw std::runtime_error(admin.status().ToString());
  for (const absl::Status& status : {vigil::CreateStreams(**admin, {}), CreateKeyBucket(**admin, {})}) {
    if (!status.ok()) throw std::runtime_error(status.ToString());
  }
}

}  // namespace vigil::testing

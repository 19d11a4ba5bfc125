// vigil-sandbox: a simulated phone network for rehearsals, demonstrations and tests. It reaches no real phone.
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "platform/config/settings.h"
#include "platform/lifecycle/lifecycle.h"
#include "platform/logging/log.h"
#include "sandbox/sandbox_server.h"

namespace {

using vigil::sandbox::SandboxOptions;
using vigil::sandbox::SandboxServer;

// The file's text without the line end that editors add; without a file, the environment's, which wins over nothing at
// all.
std::string ReadSecret(const std::string& file) {
  if (file.empty()) {
    const char* const secret = std::getenv("VIGIL_SANDBOX_SECRET");
    return secret != nullptr ? secret : "";
  }
  std::ifstream in(file, std::ios::binary);
  std::string secret{std::istreambuf_iterator<char>(in), {}};
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  return secret;
}

}  // namespace

int main(int argc, char** argv) {
  std::string listen = "127.0.0.1:0";
  std::string secret_file;
  SandboxOptions options;
  std::int64_t seed = 1;
  std::int64_t ring_timeout_ms = absl::ToInt64Milliseconds(vigil::sandbox::kRingTimeout);

  vigil::config::Settings settings("vigil-sandbox", "A simulated phone network. It reaches no real phone.");
  settings.Add("listen", &listen,
               {.help = "address to listen on; port 0 takes a free one", .kind = vigil::config::Text::kAddress});
  settings.Add("secret_file", &secret_file,
               {.help = "file with the secret that callbacks are signed under; without it VIGIL_SANDBOX_SECRET",
                .kind = vigil::config::Text::kFile});
  settings.Add("callback_ca", &options.callbacks.ca_file,
               {.help = "PEM file: whom https callbacks are believed", .kind = vigil::config::Text::kFile});
  settings.Add("seed", &seed, {.help = "of all chance", .unit = "", .min = 0, .max = 9e15});
  settings.Add("ring_timeout_ms", &ring_timeout_ms,
               {.help = "how long a phone rings that nobody answers", .unit = "ms", .min = 1, .max = 3'600'000});
  if (const auto code = settings.ParseOrExit(argc, argv)) return *code;

  options.callbacks.secret = ReadSecret(secret_file);
  if (options.callbacks.secret.empty()) {
    std::cerr << "vigil-sandbox: no secret: give --secret-file or set VIGIL_SANDBOX_SECRET\n";
    return 2;
  }
  const std::size_t colon = listen.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(listen.substr(colon + 1), &port) || port < 0 || port > 65535) {
    std::cerr << "vigil-sandbox: --listen is not an address and a port: " << listen << '\n';
    return 2;
  }
  options.address = listen.substr(0, colon);
  options.port = static_cast<std::uint16_t>(port);
  options.network.seed = static_cast<std::uint64_t>(seed);
  options.network.ring_timeout = absl::Milliseconds(ring_timeout_ms);

  vigil::SignalWait signals;
  vigil::log::Configure("sandbox", vigil::log::Level::kInfo);
  vigil::Lifecycle lifecycle;
  auto server = SandboxServer::Start(std::move(options));
  if (!server.ok()) {
    vigil::log::Error("cannot start", {{"error", server.status()}});
    return 1;
  }
  lifecycle.OnStop("http", [&server] { server->reset(); });
  const std::string address = absl::StrCat(listen.substr(0, colon), ":", (*server)->port());
  vigil::log::Info("listening", {{"address", vigil::log::Id(address)}});
  return vigil::RunUntilSignal(signals, lifecycle);
}

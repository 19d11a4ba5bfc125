#include <cstdio>
#include <string>

#include "gateway/app.h"
#include "platform/clock/clock.h"
#include "platform/config/service_options.h"
#include "platform/config/settings.h"
#include "platform/lifecycle/lifecycle.h"
#include "platform/logging/log.h"

int main(int argc, char** argv) {
  vigil::SignalWait signals;
  vigil::config::ServiceOptions options;
  vigil::config::Settings settings("vigil-gateway", "The one HTTP edge.");
  vigil::config::AddServiceOptions(settings, options, vigil::gateway::AcceptedOptions());
  if (const auto code = settings.ParseOrExit(argc, argv)) return *code;
  vigil::log::Level level = vigil::log::Level::kInfo;
  if (const absl::Status status = vigil::log::ParseLevel(options.log_level, &level); !status.ok()) return 2;
  vigil::log::Configure("gateway", level);

  const vigil::SystemClock clock;
  auto app = vigil::gateway::App::Start(options, clock);
  if (!app.ok()) {
    vigil::log::Error("cannot start", {{"status", app.status()}});
    return 1;
  }
  vigil::log::Info("ready", {{"http_port", (*app)->http_port()}, {"grpc_port", (*app)->grpc_port()}});
  vigil::Lifecycle lifecycle;
  lifecycle.OnStop("gateway", [&app] { app->reset(); });
  return vigil::RunUntilSignal(signals, lifecycle);
}

// Every clock, and every ladder's climb.
#include "escalation-timer/escalation_timer.h"
#include "host/host.h"

namespace {

const vigil::ServiceIdentity kIdentity{.name = "escalation-timer",
                                       .user = "timer",
                                       .writes = true,
                                       .snapshots = true,
                                       .summary = "Warns, expires and reviews clocks, and climbs ladders until somebody takes the alert."};

}  // namespace

int main(int argc, char** argv) {
  vigil::SignalWait signals;
  vigil::config::ServiceOptions options;
  if (auto code = vigil::ParseOptions(kIdentity, {}, argc, argv, options)) return *code;
  auto host = vigil::ServiceHost::Open(kIdentity, options);
  if (!host.ok()) return vigil::CannotStart(host.status());
  vigil::EscalationTimer service(&(*host)->common_pack(), (*host)->clock(), &(*host)->metrics());
  (*host)->Attach(&service);
  service.Attach(&(*host)->machine());
  if (absl::Status started = (*host)->Start({}); !started.ok()) return vigil::CannotStart(started);
  return vigil::RunUntilSignal(signals, (*host)->lifecycle());
}

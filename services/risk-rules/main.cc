// Classifies reports with the pack's rules.
#include "host/host.h"
#include "risk-rules/risk_rules.h"

namespace {

const vigil::ServiceIdentity kIdentity{
    .name = "risk-rules", .user = "risk", .writes = true, .snapshots = true, .summary = "Classifies reports with the protocol pack's rules."};

// For the text cues to come: they are found in what only this service, of those that decide, may read.
const vigil::config::AcceptedOptions kOwnOptions{.required = {}, .optional = {&vigil::config::ServiceOptions::installation_key_file}};

}  // namespace

int main(int argc, char** argv) {
  vigil::SignalWait signals;
  vigil::config::ServiceOptions options;
  if (auto code = vigil::ParseOptions(kIdentity, kOwnOptions, argc, argv, options)) return *code;
  auto host = vigil::ServiceHost::Open(kIdentity, options);
  if (!host.ok()) return vigil::CannotStart(host.status());
  vigil::RiskRules service;
  (*host)->Attach(&service);
  if (absl::Status started = (*host)->Start({}); !started.ok()) return vigil::CannotStart(started);
  return vigil::RunUntilSignal(signals, (*host)->lifecycle());
}
